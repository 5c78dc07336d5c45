UNLOAD (
    WITH ranked AS (
        SELECT
            lines.meter,
            lines.litres,
            lines.upload_id,
            lines.month,
            row_number() OVER (
                PARTITION BY lines.month, lines.meter ORDER BY uploads.upload_order DESC, lines.line_number DESC
            ) AS newest
        FROM bronze_meters AS lines
        INNER JOIN run_uploads AS uploads
            ON lines.month = uploads.slice AND lines.upload_id = uploads.upload_id
        WHERE
            uploads.pipeline = 'water_meters'
            AND uploads.run = {{ run }}
            AND lines.month IN ({{ slices }})
            AND lines.reject_reason IS NULL
    )

    SELECT meter, litres, upload_id, month FROM ranked WHERE newest = 1
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['month'])
