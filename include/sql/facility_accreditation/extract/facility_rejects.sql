UNLOAD (
    SELECT
        lines.facility_id,
        lines.facility_name,
        lines.location.state AS state,
        lines.reject_reason,
        lines.reject_reasons,
        lines.source_key AS source_file,
        lines.line_number,
        lines.snapshot_date
    FROM bronze_facilities AS lines
    INNER JOIN run_uploads AS uploads
        ON
            lines.snapshot_date = uploads.slice
            AND lines.upload_id = uploads.upload_id
    WHERE
        uploads.pipeline = 'facility_accreditation'
        AND uploads.run = {{ run }}
        AND lines.snapshot_date IN ({{ slices }})
        AND lines.reject_reason IS NOT NULL
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['snapshot_date'])
