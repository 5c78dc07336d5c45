-- The accreditors of one snapshot's expiring accreditations.
SELECT
    accreditation_body,
    count(*) AS accreditations
FROM expiring_accreditations
WHERE snapshot_date = CAST(:snapshot AS date)
GROUP BY accreditation_body
ORDER BY
    accreditations DESC,
    accreditation_body ASC
