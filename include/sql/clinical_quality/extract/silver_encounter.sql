-- Of each encounter the newest version in a run's uploads, unless silver has a newer one. The same one again counts as
-- newer, so that a run finds its versions again which an earlier one merged before it failed.
UNLOAD (
    WITH ranked AS (
        SELECT
            lines.id,
            lines.encounter.status AS status,
            lines.encounter.void AS void,
            coalesce(lines.encounter.class_codes, CAST(ARRAY[] AS array(varchar))) AS class_codes,
            coalesce(lines.encounter.type_codes, CAST(ARRAY[] AS array(varchar))) AS type_codes,
            coalesce(lines.encounter.service_codes, CAST(ARRAY[] AS array(varchar))) AS service_codes,
            coalesce(lines.encounter.priority_codes, CAST(ARRAY[] AS array(varchar))) AS priority_codes,
            lines.encounter.patient_ref AS patient_id,
            lines.encounter.org_id AS org_id,
            lines.encounter.part_of AS part_of,
            lines.encounter.start_written AS start_written,
            CAST(lines.encounter.start_date AS date) AS admit,
            lines.encounter.start_instant AS start_instant,
            lines.encounter.end_written AS end_written,
            CAST(lines.encounter.end_date AS date) AS discharge,
            lines.encounter.end_instant AS end_instant,
            lines.encounter.disposition AS disposition,
            coalesce(lines.encounter.disposition_codings, CAST(ARRAY[] AS array(varchar))) AS disposition_codings,
            lines.pseudonym,
            lines.encounter.patient_pseudonym AS patient_pseudonym,
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
            AND lines.resource_type = 'Encounter'
            AND lines.reject_reason IS NULL
    )

    SELECT
        new.id,
        new.status,
        new.void,
        new.class_codes,
        new.type_codes,
        new.service_codes,
        new.priority_codes,
        new.patient_id,
        new.org_id,
        new.part_of,
        new.start_written,
        new.admit,
        new.start_instant,
        new.end_written,
        new.discharge,
        new.end_instant,
        new.disposition,
        new.disposition_codings,
        new.pseudonym,
        new.patient_pseudonym,
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
    LEFT JOIN silver_encounter AS old
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
