SELECT
    'meter_readings' AS result,
    month AS slice,
    count(*) AS result_rows
FROM staging_meter_readings
WHERE run = {{ run }} AND month IN ({{ slices }})
GROUP BY month

UNION ALL

SELECT
    'month_totals' AS result,
    month AS slice,
    count(*) AS result_rows
FROM staging_month_totals
WHERE run = {{ run }} AND month IN ({{ slices }})
GROUP BY month
