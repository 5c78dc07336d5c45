-- Of each encounter the newest version in a run's uploads, unless silver has a newer one. The same one again counts as
-- newer, so that a run finds its versions again which an earlier one merged before it failed.
-- noqa: disable=all
{% set kind, same_again = 'encounter', true -%}
UNLOAD (
    WITH versions AS (
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
            lines.slice
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
    ),

    {% include 'clinical_quality/extract/newest_versions.jinja' %}

)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
