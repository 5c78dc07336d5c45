-- Of each patient the newest version in a run's uploads, unless silver has a newer one. The same one again counts as
-- newer, so that a run finds its versions again which an earlier one merged before it failed.
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
            lines.pseudonym,
            lines.key_id,
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
            AND lines.run = {{ run }}
            AND lines.slice IN ({{ slices }})
            AND lines.resource_type = 'Patient'
            AND lines.reject_reason IS NULL
    )

    SELECT
        new.id,
        new.identifiers,
        new.gender,
        new.birth_date,
        new.deceased_date,
        new.deceased_instant,
        new.deceased_flag,
        new.pseudonym,
        new.key_id,
        new.last_updated,
        new.version_id,
        new.version_rank,
        new.uploaded_at,
        new.source_key,
        new.source_pos,
        new.upload_id,
        new.slice
    FROM ranked AS new
    LEFT JOIN silver_patient AS old
        ON new.id = old.id
    WHERE
        new.newest = 1
        AND (
            old.id IS NULL
            OR new.version_rank > old.version_rank
            OR (
                new.version_rank = old.version_rank
                AND (
                    new.uploaded_at > old.uploaded_at
                    OR (
                        new.uploaded_at = old.uploaded_at
                        AND (
                            new.source_key > old.source_key
                            OR (new.source_key = old.source_key AND new.source_pos >= old.source_pos)
                        )
                    )
                )
            )
        )
)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
