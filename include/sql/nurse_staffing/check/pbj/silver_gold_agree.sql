-- Rows, residents and hours of each quarter in silver and in the daily fact, of which both sides must be equal.
WITH silver AS (
    SELECT
        quarter,
        count(*) AS silver_rows,
        sum(census) AS silver_census,
        sum(
            coalesce(hrs_rndon, 0)
            + coalesce(hrs_rnadmin, 0)
            + coalesce(hrs_rn, 0)
            + coalesce(hrs_lpnadmin, 0)
            + coalesce(hrs_lpn, 0)
            + coalesce(hrs_cna, 0)
            + coalesce(hrs_natrn, 0)
            + coalesce(hrs_medaide, 0)
        ) AS silver_hours
    FROM staging_silver_pbj_daily
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
    GROUP BY quarter
),

gold AS (
    SELECT
        quarter,
        count(*) AS gold_rows,
        sum(census) AS gold_census,
        sum(total_hours) AS gold_hours
    FROM staging_gold_daily_staffing_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
        AND NOT gone
    GROUP BY quarter
)

SELECT
    coalesce(silver.quarter, gold.quarter) AS slice,
    silver.silver_rows,
    gold.gold_rows,
    silver.silver_census,
    gold.gold_census,
    silver.silver_hours,
    gold.gold_hours
FROM silver
FULL OUTER JOIN gold
    ON silver.quarter = gold.quarter
