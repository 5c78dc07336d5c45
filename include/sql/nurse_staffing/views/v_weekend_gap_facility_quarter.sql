-- HPRD on Saturdays and Sundays against Monday to Friday of each facility and quarter; holidays are days like others.
-- gap: weekend less weekday, from the exact ratios: a/b - c/d is (ad - cb) / bd.
CREATE OR REPLACE VIEW v_weekend_gap_facility_quarter AS
WITH sums AS (
    SELECT
        ccn,
        max_by(state, work_date) AS state,
        quarter,
        coalesce(sum(census) FILTER (WHERE census > 0 AND day_of_week(work_date) > 5), 0) AS weekend_resident_days,
        coalesce(sum(rn_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) > 5), 0) AS weekend_rn_hours,
        coalesce(sum(lpn_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) > 5), 0) AS weekend_lpn_hours,
        coalesce(sum(aide_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) > 5), 0) AS weekend_aide_hours,
        coalesce(sum(direct_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) > 5), 0) AS weekend_direct_hours,
        coalesce(sum(total_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) > 5), 0) AS weekend_total_hours,
        coalesce(sum(census) FILTER (WHERE census > 0 AND day_of_week(work_date) < 6), 0) AS weekday_resident_days,
        coalesce(sum(rn_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) < 6), 0) AS weekday_rn_hours,
        coalesce(sum(lpn_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) < 6), 0) AS weekday_lpn_hours,
        coalesce(sum(aide_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) < 6), 0) AS weekday_aide_hours,
        coalesce(sum(direct_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) < 6), 0) AS weekday_direct_hours,
        coalesce(sum(total_hours) FILTER (WHERE census > 0 AND day_of_week(work_date) < 6), 0) AS weekday_total_hours
    FROM gold_daily_staffing_fact
    GROUP BY
        ccn,
        quarter
)

SELECT
    ccn,
    state,
    quarter,
    weekend_resident_days,
    weekend_rn_hours,
    weekend_lpn_hours,
    weekend_aide_hours,
    weekend_direct_hours,
    weekend_total_hours,
    CAST(weekend_rn_hours AS decimal(33, 5)) / nullif(weekend_resident_days, 0) AS weekend_rn_hprd,
    CAST(weekend_lpn_hours AS decimal(33, 5)) / nullif(weekend_resident_days, 0) AS weekend_lpn_hprd,
    CAST(weekend_aide_hours AS decimal(33, 5)) / nullif(weekend_resident_days, 0) AS weekend_aide_hprd,
    CAST(weekend_direct_hours AS decimal(33, 5)) / nullif(weekend_resident_days, 0) AS weekend_direct_hprd,
    CAST(weekend_total_hours AS decimal(33, 5)) / nullif(weekend_resident_days, 0) AS weekend_total_hprd,
    weekday_resident_days,
    weekday_rn_hours,
    weekday_lpn_hours,
    weekday_aide_hours,
    weekday_direct_hours,
    weekday_total_hours,
    CAST(weekday_rn_hours AS decimal(33, 5)) / nullif(weekday_resident_days, 0) AS weekday_rn_hprd,
    CAST(weekday_lpn_hours AS decimal(33, 5)) / nullif(weekday_resident_days, 0) AS weekday_lpn_hprd,
    CAST(weekday_aide_hours AS decimal(33, 5)) / nullif(weekday_resident_days, 0) AS weekday_aide_hprd,
    CAST(weekday_direct_hours AS decimal(33, 5)) / nullif(weekday_resident_days, 0) AS weekday_direct_hprd,
    CAST(weekday_total_hours AS decimal(33, 5)) / nullif(weekday_resident_days, 0) AS weekday_total_hprd,
    CAST(
        CAST(weekend_rn_hours AS decimal(15, 2)) * CAST(weekday_resident_days AS decimal(12, 0))
        - CAST(weekday_rn_hours AS decimal(15, 2)) * CAST(weekend_resident_days AS decimal(12, 0))
        AS decimal(34, 5)
    ) / nullif(CAST(weekend_resident_days AS decimal(12, 0)) * CAST(weekday_resident_days AS decimal(12, 0)), 0) AS rn_gap,
    CAST(
        CAST(weekend_lpn_hours AS decimal(15, 2)) * CAST(weekday_resident_days AS decimal(12, 0))
        - CAST(weekday_lpn_hours AS decimal(15, 2)) * CAST(weekend_resident_days AS decimal(12, 0))
        AS decimal(34, 5)
    ) / nullif(CAST(weekend_resident_days AS decimal(12, 0)) * CAST(weekday_resident_days AS decimal(12, 0)), 0) AS lpn_gap,
    CAST(
        CAST(weekend_aide_hours AS decimal(15, 2)) * CAST(weekday_resident_days AS decimal(12, 0))
        - CAST(weekday_aide_hours AS decimal(15, 2)) * CAST(weekend_resident_days AS decimal(12, 0))
        AS decimal(34, 5)
    ) / nullif(CAST(weekend_resident_days AS decimal(12, 0)) * CAST(weekday_resident_days AS decimal(12, 0)), 0) AS aide_gap,
    CAST(
        CAST(weekend_direct_hours AS decimal(15, 2)) * CAST(weekday_resident_days AS decimal(12, 0))
        - CAST(weekday_direct_hours AS decimal(15, 2)) * CAST(weekend_resident_days AS decimal(12, 0))
        AS decimal(34, 5)
    ) / nullif(CAST(weekend_resident_days AS decimal(12, 0)) * CAST(weekday_resident_days AS decimal(12, 0)), 0) AS direct_gap,
    CAST(
        CAST(weekend_total_hours AS decimal(15, 2)) * CAST(weekday_resident_days AS decimal(12, 0))
        - CAST(weekday_total_hours AS decimal(15, 2)) * CAST(weekend_resident_days AS decimal(12, 0))
        AS decimal(34, 5)
    ) / nullif(CAST(weekend_resident_days AS decimal(12, 0)) * CAST(weekday_resident_days AS decimal(12, 0)), 0) AS total_gap
FROM sums
