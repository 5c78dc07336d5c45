SELECT
    lines.month AS slice,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid') AS outcome,
    count(*) AS lines
FROM bronze_meters AS lines
INNER JOIN run_uploads AS uploads
    ON lines.month = uploads.slice AND lines.upload_id = uploads.upload_id
WHERE
    uploads.pipeline = 'water_meters'
    AND uploads.run = {{ run }}
    AND lines.month IN ({{ slices }})
GROUP BY lines.month, lines.upload_id, coalesce(lines.reject_reason, 'valid')

UNION ALL

SELECT
    month AS slice,
    upload_id,
    'accepted' AS outcome,
    count(*) AS lines
FROM staging_meter_readings
WHERE run = {{ run }} AND month IN ({{ slices }})
GROUP BY month, upload_id
