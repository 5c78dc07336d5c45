-- The latest that is known of each facility: its row in the newest snapshot that has it.
CREATE OR REPLACE VIEW current_facility_metrics AS
WITH ranked AS (
    SELECT
        facility_id,
        facility_name,
        employee_count,
        number_of_offered_services,
        expiry_date_of_first_accreditation,
        first_listed_accreditation_expiry,
        state,
        snapshot_date,
        row_number() OVER (PARTITION BY facility_id ORDER BY snapshot_date DESC) AS newest
    FROM facility_metrics
)

SELECT
    facility_id,
    facility_name,
    employee_count,
    number_of_offered_services,
    expiry_date_of_first_accreditation,
    first_listed_accreditation_expiry,
    state,
    snapshot_date
FROM ranked
WHERE newest = 1
