-- Total HPRD and resident days of each state in the quarters of the run, beside those of the quarter published before.
-- Shares are of the previous figure: 0.20 is a fifth more, -0.20 a fifth less. NULL for a state that it does not have.
WITH days AS (
    SELECT
        quarter,
        state,
        census,
        total_hours
    FROM staging_gold_daily_staffing_fact
    WHERE
        run = {{ run }}
        AND quarter IN ({{ slices }})
        AND NOT gone

    UNION ALL

    SELECT
        quarter,
        state,
        census,
        total_hours
    FROM gold_daily_staffing_fact
    WHERE
        quarter IN ({{ slices_and_before }})
        AND quarter NOT IN ({{ slices }})
),

states AS (
    SELECT
        quarter,
        state,
        coalesce(sum(census) FILTER (WHERE census > 0), 0) AS resident_days,
        CAST(sum(total_hours) FILTER (WHERE census > 0) AS decimal(33, 5))
        / nullif(sum(census) FILTER (WHERE census > 0), 0) AS total_hprd
    FROM days
    GROUP BY
        quarter,
        state
),

beside AS (
    SELECT
        quarter,
        state,
        resident_days,
        total_hprd,
        lag(quarter) OVER (PARTITION BY state ORDER BY quarter ASC) AS previous_quarter,
        lag(resident_days) OVER (PARTITION BY state ORDER BY quarter ASC) AS previous_resident_days,
        lag(total_hprd) OVER (PARTITION BY state ORDER BY quarter ASC) AS previous_total_hprd
    FROM states
)

SELECT
    quarter AS slice,
    state,
    previous_quarter,
    total_hprd,
    previous_total_hprd,
    CAST(total_hprd - previous_total_hprd AS decimal(20, 5)) / nullif(previous_total_hprd, 0) AS hprd_change,
    resident_days,
    previous_resident_days,
    CAST(resident_days - previous_resident_days AS decimal(20, 5))
    / nullif(previous_resident_days, 0) AS resident_days_change
FROM beside
WHERE quarter IN ({{ slices }})
