-- Rows of each result in the quarters of the run, counted in what is about to be published.
SELECT
    'silver_pbj_daily' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_pbj_daily
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
GROUP BY quarter

UNION ALL

SELECT
    'silver_provider_info' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_provider_info
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
GROUP BY quarter

UNION ALL

SELECT
    'gold_daily_staffing_fact' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_daily_staffing_fact
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
    AND NOT gone
GROUP BY quarter

UNION ALL

SELECT
    'gold_quarterly_provider_fact' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_quarterly_provider_fact
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
    AND NOT gone
GROUP BY quarter
