-- Of each patient the newest version in a run's uploads.
UNLOAD (
    WITH ranked AS (
        SELECT
            lines.id,
            coalesce(lines.patient.identifiers, CAST(ARRAY[] AS array(varchar))) AS identifiers,
            lines.patient.gender AS gender,
            CAST(lines.patient.birth_date AS date) AS birth_date,
            CAST(lines.patient.deceased_date AS date) AS deceased_date,
            lines.patient.deceased_instant AS deceased_instant,
            lines.patient.deceased_flag AS deceased_flag,
            lines.last_updated,
            lines.version_id,
            lines.version_rank,
            uploads.uploaded_at,
            lines.source_key,
            lines.record_number AS source_pos,
            lines.upload_id,
            lines.slice,
            row_number() OVER (
                PARTITION BY lines.id
                ORDER BY
                    lines.version_rank DESC,
                    uploads.uploaded_at DESC,
                    lines.source_key DESC,
                    lines.record_number DESC
            ) AS newest
        FROM bronze_fhir AS lines
        INNER JOIN run_uploads AS uploads
            ON lines.upload_id = uploads.upload_id
        WHERE
            uploads.pipeline = 'clinical_quality'
            AND uploads.run = {{ run }}
            AND lines.slice IN ({{ slices }})
            AND lines.resource_type = 'Patient'
            AND lines.reject_reason IS NULL
    )

    SELECT
        id,
        identifiers,
        gender,
        birth_date,
        deceased_date,
        deceased_instant,
        deceased_flag,
        last_updated,
        version_id,
        version_rank,
        uploaded_at,
        source_key,
        source_pos,
        upload_id,
        slice
    FROM ranked
    WHERE newest = 1
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
