-- Whose accreditation expires soon, by the newest snapshot that was published.
CREATE OR REPLACE VIEW current_expiring_accreditations AS
SELECT
    expiring.facility_id,
    expiring.facility_name,
    expiring.address,
    expiring.city,
    expiring.state,
    expiring.zip,
    expiring.employee_count,
    expiring.accreditation_body,
    expiring.accreditation_id,
    expiring.valid_until,
    expiring.days_until_expiry,
    expiring.run_date,
    expiring.snapshot_date
FROM expiring_accreditations AS expiring
INNER JOIN latest_facility_snapshot
    ON expiring.snapshot_date = latest_facility_snapshot.snapshot_date
