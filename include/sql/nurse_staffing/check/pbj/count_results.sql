-- Rows of each result in the quarters of the run, counted in what is about to be published.
SELECT
    'silver_pbj_daily' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_silver_pbj_daily
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
GROUP BY quarter

UNION ALL

SELECT
    'gold_daily_staffing_fact' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_gold_daily_staffing_fact
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
    AND NOT gone
GROUP BY quarter

UNION ALL

SELECT
    'gold_pbj_facility' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_gold_pbj_facility
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
    AND NOT gone
GROUP BY quarter
