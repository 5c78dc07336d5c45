-- Facilities in PBJ that no snapshot of Provider Information names, those of the run included.
WITH known AS (
    SELECT ccn
    FROM silver_provider_info

    UNION

    SELECT ccn
    FROM staging_provider_info
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
)

SELECT
    pbj.quarter AS slice,
    pbj.ccn,
    max_by(pbj.state, pbj.work_date) AS state,
    count(*) AS days
FROM staging_daily_staffing_fact AS pbj
LEFT OUTER JOIN known
    ON pbj.ccn = known.ccn
WHERE
    pbj.run = {{ run }}
    AND pbj.quarter IN ({{ slices }})
    AND NOT pbj.gone
    AND known.ccn IS NULL
GROUP BY
    pbj.quarter,
    pbj.ccn
