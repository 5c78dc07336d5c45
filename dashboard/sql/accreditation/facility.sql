-- One facility in each snapshot that has it.
SELECT
    snapshot_date,
    facility_id,
    facility_name,
    state,
    employee_count,
    number_of_offered_services,
    expiry_date_of_first_accreditation,
    first_listed_accreditation_expiry
FROM facility_metrics
WHERE facility_id = :facility
ORDER BY snapshot_date
