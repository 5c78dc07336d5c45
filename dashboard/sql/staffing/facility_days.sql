-- One facility on each day of one quarter. flag: why the day is implausible; such days are shown, not dropped.
SELECT
    work_date,
    census,
    rn_hours,
    lpn_hours,
    aide_hours,
    total_hours,
    contract_hours,
    CAST(total_hours AS double) / nullif(census, 0) AS total_hprd,
    CASE
        WHEN census IS NULL THEN 'no census'
        WHEN census = 0 AND total_hours > 0 THEN 'hours without residents'
        WHEN census > 0 AND total_hours = 0 THEN 'residents without hours'
        WHEN total_hours > 24 * census THEN 'above 24 hours per resident'
    END AS flag
FROM gold_daily_staffing_fact
WHERE
    quarter = :quarter
    AND ccn = :ccn
ORDER BY work_date
