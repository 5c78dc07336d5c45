-- Rejected lines of one snapshot by the first rule that each broke.
SELECT
    reject_reason,
    count(*) AS lines,
    count(DISTINCT source_file) AS files
FROM facility_rejects
WHERE snapshot_date = CAST(:snapshot AS date)
GROUP BY reject_reason
ORDER BY
    lines DESC,
    reject_reason ASC
