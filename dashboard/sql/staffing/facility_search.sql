-- Facilities whose CCN or name contains a text (lower case), 50 at most; of one state or all ('').
WITH found AS (
    SELECT
        ccn,
        provider_name,
        state,
        row_number() OVER (ORDER BY provider_name ASC, ccn ASC) AS place
    FROM gold_facility_dim
    WHERE
        (:state = '' OR state = :state)
        AND (
            :text = ''
            OR strpos(lower(provider_name), :text) > 0
            OR strpos(lower(ccn), :text) > 0
        )
)

SELECT
    ccn,
    provider_name,
    state
FROM found
WHERE place <= 50
ORDER BY place
