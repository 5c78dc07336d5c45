-- Hours and resident-days of each state in one quarter: all days, weekends, weekdays. Ratios are sums over sums.
SELECT
    hprd.state,
    hprd.facilities,
    hprd.resident_days,
    hprd.total_hours,
    hprd.rn_hours,
    hprd.lpn_hours,
    hprd.aide_hours,
    hprd.direct_hours,
    hprd.total_hprd,
    hprd.rn_hprd,
    hprd.lpn_hprd,
    hprd.aide_hprd,
    hprd.direct_hprd,
    weekend.weekend_resident_days,
    weekend.weekend_total_hours,
    weekend.weekend_rn_hours,
    weekend.weekend_lpn_hours,
    weekend.weekend_aide_hours,
    weekend.weekend_direct_hours,
    weekend.weekday_resident_days,
    weekend.weekday_total_hours,
    weekend.weekday_rn_hours,
    weekend.weekday_lpn_hours,
    weekend.weekday_aide_hours,
    weekend.weekday_direct_hours,
    weekend.total_gap
FROM v_hprd_state_quarter AS hprd
INNER JOIN v_weekend_gap_state_quarter AS weekend
    ON
        hprd.state = weekend.state
        AND hprd.quarter = weekend.quarter
WHERE
    hprd.quarter = :quarter
    AND weekend.quarter = :quarter
ORDER BY hprd.state
