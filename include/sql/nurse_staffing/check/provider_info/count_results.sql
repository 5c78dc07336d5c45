-- Rows of each result in the quarters of the run, counted in what is about to be published.
SELECT
    'silver_provider_info' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_silver_provider_info
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
GROUP BY quarter

UNION ALL

SELECT
    'gold_quarterly_provider_fact' AS result,
    quarter AS slice,
    count(*) AS result_rows
FROM staging_gold_quarterly_provider_fact
WHERE
    run = {{ run }}
    AND quarter IN ({{ slices }})
    AND NOT gone
GROUP BY quarter
