-- Whose accreditation expires soon, by the newest snapshot that was published.
CREATE OR REPLACE VIEW current_expiring_accreditations AS
SELECT
    facility_id,
    facility_name,
    address,
    city,
    state,
    zip,
    employee_count,
    accreditation_body,
    accreditation_id,
    valid_until,
    days_until_expiry,
    run_date,
    snapshot_date
FROM expiring_accreditations
WHERE snapshot_date = (SELECT max(snapshot_date) FROM accredited_facilities_by_state)
