-- Of each patient the newest version in a run's uploads, unless silver has a newer one. The same one again counts as
-- newer, so that a run finds its versions again which an earlier one merged before it failed.
-- noqa: disable=all
{% set kind, same_again = 'patient', true -%}
UNLOAD (
    WITH versions AS (
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
            lines.slice
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
    ),

    {% include 'clinical_quality/extract/newest_versions.jinja' %}

)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
