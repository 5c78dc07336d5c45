-- Hours per resident and day (HPRD) of each facility and quarter: sums of hours over sums of residents, of days with residents.
-- days: all rows. incomplete: fewer than the quarter has days. cms_excluded: what CMS leaves out of its averages.
CREATE OR REPLACE VIEW v_hprd_facility_quarter AS
WITH sums AS (
    SELECT
        ccn,
        max_by(state, work_date) AS state,
        quarter,
        count(*) AS days,
        coalesce(sum(census) FILTER (WHERE census > 0), 0) AS resident_days,
        coalesce(sum(rn_hours) FILTER (WHERE census > 0), 0) AS rn_hours,
        coalesce(sum(lpn_hours) FILTER (WHERE census > 0), 0) AS lpn_hours,
        coalesce(sum(aide_hours) FILTER (WHERE census > 0), 0) AS aide_hours,
        coalesce(sum(direct_hours) FILTER (WHERE census > 0), 0) AS direct_hours,
        coalesce(sum(total_hours) FILTER (WHERE census > 0), 0) AS total_hours,
        date_diff(
            'day',
            date_trunc('quarter', min(work_date)),
            date_add('month', 3, date_trunc('quarter', min(work_date)))
        ) AS days_of_quarter,
        count_if(census > 0 AND rn_hours = 0) AS days_without_rn
    FROM gold_daily_staffing_fact
    GROUP BY
        ccn,
        quarter
)

SELECT
    ccn,
    state,
    quarter,
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
    CAST(total_hours AS decimal(33, 5)) / nullif(resident_days, 0) AS total_hprd,
    days < days_of_quarter AS incomplete,
    days_without_rn,
    CASE
        WHEN resident_days = 0 THEN NULL
        WHEN total_hours < decimal '1.5' * resident_days THEN 'low'
        WHEN total_hours > 12 * resident_days THEN 'high'
        WHEN aide_hours > decimal '5.25' * resident_days THEN 'aide'
    END AS cms_excluded
FROM sums
