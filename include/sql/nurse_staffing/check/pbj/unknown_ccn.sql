-- Facilities in PBJ that no snapshot of Provider Information names; none as long as no snapshot was published.
WITH known AS (
    SELECT DISTINCT ccn
    FROM silver_provider_info
)

SELECT
    pbj.quarter AS slice,
    pbj.ccn,
    pbj.state
FROM staging_gold_pbj_facility AS pbj
LEFT OUTER JOIN known
    ON pbj.ccn = known.ccn
WHERE
    pbj.run = {{ run }}
    AND pbj.quarter IN ({{ slices }})
    AND NOT pbj.gone
    AND known.ccn IS NULL
    AND EXISTS (SELECT 1 FROM silver_provider_info)
