-- One record per facility and snapshot: of all accepted lines, the latest wins.
UNLOAD (
    WITH ranked AS (
        SELECT
            lines.facility_id,
            lines.facility_name,
            lines.employee_count,
            lines.location,
            lines.services,
            lines.labs,
            lines.accreditations,
            lines.number_of_offered_services,
            lines.upload_id,
            lines.snapshot_date,
            row_number() OVER (
                PARTITION BY lines.snapshot_date, lines.facility_id
                ORDER BY uploads.upload_order DESC, lines.line_number DESC, lines.record_number DESC
            ) AS newest
        FROM bronze_facilities AS lines
        INNER JOIN run_uploads AS uploads
            ON
                lines.snapshot_date = uploads.slice
                AND lines.upload_id = uploads.upload_id
        WHERE
            uploads.pipeline = 'facility_accreditation'
            AND uploads.run = {{ run }}
            AND lines.snapshot_date IN ({{ slices }})
            AND lines.reject_reason IS NULL
    )

    SELECT
        facility_id,
        facility_name,
        employee_count,
        location,
        services,
        labs,
        accreditations,
        number_of_offered_services,
        upload_id,
        snapshot_date
    FROM ranked
    WHERE newest = 1
)
TO {{ target }}
WITH (format = 'JSON', partitioned_by = ARRAY['snapshot_date'])
