-- Facilities of each quarter in silver and in the quarterly fact, of which both sides must be equal.
WITH silver AS (
    SELECT
        quarter,
        count(DISTINCT ccn) AS silver_facilities
    FROM staging_silver_provider_info
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
    GROUP BY quarter
),

gold AS (
    SELECT
        quarter,
        count(*) AS gold_facilities
    FROM staging_gold_quarterly_provider_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
        AND NOT gone
    GROUP BY quarter
)

SELECT
    coalesce(silver.quarter, gold.quarter) AS slice,
    silver.silver_facilities,
    gold.gold_facilities
FROM silver
FULL OUTER JOIN gold
    ON silver.quarter = gold.quarter
