-- What expires soon of one facility, in one snapshot.
SELECT
    accreditation_body,
    accreditation_id,
    valid_until,
    days_until_expiry
FROM expiring_accreditations
WHERE
    snapshot_date = CAST(:snapshot AS date)
    AND facility_id = :facility
ORDER BY
    valid_until,
    accreditation_id
