-- The quarters that have staffing, the newest first.
SELECT
    quarter,
    count(*) AS facility_days
FROM gold_daily_staffing_fact
GROUP BY quarter
ORDER BY quarter DESC
