-- Hours per resident and day of each quarter: of a facility's state, and of all states together ('US').
SELECT
    quarter,
    state AS place,
    resident_days,
    total_hours,
    rn_hours,
    total_hprd,
    rn_hprd
FROM v_hprd_state_quarter
WHERE state = (SELECT dim.state FROM gold_facility_dim AS dim WHERE dim.ccn = :ccn)

UNION ALL

SELECT
    quarter,
    'US' AS place,
    sum(resident_days) AS resident_days,
    sum(total_hours) AS total_hours,
    sum(rn_hours) AS rn_hours,
    CAST(sum(total_hours) AS double) / nullif(sum(resident_days), 0) AS total_hprd,
    CAST(sum(rn_hours) AS double) / nullif(sum(resident_days), 0) AS rn_hprd
FROM v_hprd_state_quarter
GROUP BY quarter
ORDER BY
    quarter,
    place
