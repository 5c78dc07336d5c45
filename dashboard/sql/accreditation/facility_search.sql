-- Facilities of one snapshot whose id or name contains a text (lower case), 50 at most.
WITH found AS (
    SELECT
        facility_id,
        facility_name,
        state,
        row_number() OVER (ORDER BY facility_name ASC, facility_id ASC) AS place
    FROM facility_metrics
    WHERE
        snapshot_date = CAST(:snapshot AS date)
        AND (:state = '' OR state = :state)
        AND (
            :text = ''
            OR strpos(lower(facility_name), :text) > 0
            OR strpos(lower(facility_id), :text) > 0
        )
)

SELECT
    facility_id,
    facility_name,
    state
FROM found
WHERE place <= 50
ORDER BY place
