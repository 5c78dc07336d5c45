-- Hours per resident and day (HPRD) of each facility and month: sums of hours over sums of residents, of days with residents.
CREATE OR REPLACE VIEW v_hprd_facility_month AS
WITH sums AS (
    SELECT
        ccn,
        max_by(state, work_date) AS state,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7) AS month,
        count(*) AS days,
        coalesce(sum(census) FILTER (WHERE census > 0), 0) AS resident_days,
        coalesce(sum(rn_hours) FILTER (WHERE census > 0), 0) AS rn_hours,
        coalesce(sum(lpn_hours) FILTER (WHERE census > 0), 0) AS lpn_hours,
        coalesce(sum(aide_hours) FILTER (WHERE census > 0), 0) AS aide_hours,
        coalesce(sum(direct_hours) FILTER (WHERE census > 0), 0) AS direct_hours,
        coalesce(sum(total_hours) FILTER (WHERE census > 0), 0) AS total_hours
    FROM gold_daily_staffing_fact
    GROUP BY
        ccn,
        quarter,
        substr(CAST(work_date AS varchar), 1, 7)
)

SELECT
    ccn,
    state,
    quarter,
    month,
    days,
    resident_days,
    rn_hours,
    lpn_hours,
    aide_hours,
    direct_hours,
    total_hours,
    CAST(rn_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS rn_hprd,
    CAST(lpn_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS lpn_hprd,
    CAST(aide_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS aide_hprd,
    CAST(direct_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS direct_hprd,
    CAST(total_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS total_hprd
FROM sums
