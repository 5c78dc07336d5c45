-- Of each condition the newest version in a run's uploads, unless silver has a newer one. The same one again counts as
-- newer, so that a run finds its versions again which an earlier one merged before it failed.
-- noqa: disable=all
{% set kind, same_again = 'condition', true -%}
UNLOAD (
    WITH versions AS (
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
            lines.pseudonym,
            lines.condition.patient_pseudonym AS patient_pseudonym,
            lines.condition.encounter_pseudonym AS encounter_pseudonym,
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
            AND lines.resource_type = 'Condition'
            AND lines.reject_reason IS NULL
    ),

    {% include 'clinical_quality/extract/newest_versions.jinja' %}

)
TO {{ target }}
WITH (format = 'PARQUET', compression = 'SNAPPY', partitioned_by = ARRAY['slice'])
