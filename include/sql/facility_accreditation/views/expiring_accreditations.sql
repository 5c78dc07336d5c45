-- expiring_soon with its types: one row an accreditation that expires within the window.
CREATE OR REPLACE VIEW expiring_accreditations AS
SELECT
    facility_id,
    facility_name,
    address,
    city,
    state,
    zip,
    CAST(employee_count AS bigint) AS employee_count,
    accreditation_body,
    accreditation_id,
    CAST(valid_until AS date) AS valid_until,
    CAST(days_until_expiry AS bigint) AS days_until_expiry,
    CAST(run_date AS date) AS run_date,
    snapshot_date
FROM expiring_soon
