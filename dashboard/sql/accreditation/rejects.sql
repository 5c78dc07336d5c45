-- One page of the rejected lines of one snapshot; of one reason or all ('').
WITH ranked AS (
    SELECT
        facility_id,
        facility_name,
        state,
        reject_reason,
        array_join(reject_reasons, ', ') AS reject_reasons,
        source_file,
        line_number,
        row_number() OVER (ORDER BY source_file ASC, line_number ASC) AS place
    FROM facility_rejects
    WHERE
        snapshot_date = CAST(:snapshot AS date)
        AND (:reason = '' OR reject_reason = :reason)
)

SELECT
    facility_id,
    facility_name,
    state,
    reject_reason,
    reject_reasons,
    source_file,
    line_number
FROM ranked
WHERE
    place > :skip
    AND place <= :until
ORDER BY place
