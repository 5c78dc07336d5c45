-- Of each condition the newest version in a run's uploads.
UNLOAD (
    WITH ranked AS (
        SELECT
            lines.id,
            lines.condition.void AS void,
            coalesce(lines.condition.codings, CAST(ARRAY[] AS array(varchar))) AS codings,
            lines.condition.infection_type AS infection_type,
            lines.condition.verification AS verification,
            lines.condition.patient_ref AS patient_id,
            lines.condition.encounter_id AS encounter_id,
            lines.condition.onset_written AS onset_written,
            CAST(lines.condition.onset_date AS date) AS onset_date,
            lines.condition.onset_instant AS onset_instant,
            CAST(lines.condition.recorded_date AS date) AS recorded_date,
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
            AND lines.resource_type = 'Condition'
            AND lines.reject_reason IS NULL
    )

    SELECT
        id,
        void,
        codings,
        infection_type,
        verification,
        patient_id,
        encounter_id,
        onset_written,
        onset_date,
        onset_instant,
        recorded_date,
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
