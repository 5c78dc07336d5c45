-- Hours per resident and day (HPRD) of each state and month: sums of hours over sums of residents, of days with residents.
-- A facility counts where its rows say it is.
CREATE OR REPLACE VIEW v_hprd_state_month AS
WITH sums AS (
    SELECT
        state,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7) AS month,
        count(DISTINCT ccn) AS facilities,
        count(*) AS days,
        coalesce(sum(census) FILTER (WHERE census > 0), 0) AS resident_days,
        coalesce(sum(rn_hours) FILTER (WHERE census > 0), 0) AS rn_hours,
        coalesce(sum(lpn_hours) FILTER (WHERE census > 0), 0) AS lpn_hours,
        coalesce(sum(aide_hours) FILTER (WHERE census > 0), 0) AS aide_hours,
        coalesce(sum(direct_hours) FILTER (WHERE census > 0), 0) AS direct_hours,
        coalesce(sum(total_hours) FILTER (WHERE census > 0), 0) AS total_hours
    FROM gold_daily_staffing_fact
    GROUP BY
        state,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7)
),

ratios AS (
    SELECT
        *,
        CAST(rn_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS rn_hprd,
        CAST(lpn_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS lpn_hprd,
        CAST(aide_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS aide_hprd,
        CAST(direct_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS direct_hprd,
        CAST(total_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS total_hprd
    FROM sums
)

SELECT
    state,
    quarter,
    month,
    facilities,
    days,
    resident_days,
    rn_hours,
    lpn_hours,
    aide_hours,
    direct_hours,
    total_hours,
    rn_hprd,
    lpn_hprd,
    aide_hprd,
    direct_hprd,
    total_hprd,
    row_number() OVER (
        PARTITION BY month
        ORDER BY total_hprd DESC NULLS LAST, state ASC
    ) AS rank_in_month
FROM ratios
