-- What became of the values of each upload, as Athena sees it: the loader's counts must say the same. Accepted are the
-- versions that become current.
SELECT
    lines.slice,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid') AS outcome,
    count(*) AS lines
FROM bronze_fhir AS lines
INNER JOIN run_uploads AS uploads
    ON lines.upload_id = uploads.upload_id
WHERE
    uploads.pipeline = 'clinical_quality'
    AND uploads.run = {{ run }}
    AND lines.run = {{ run }}
    AND lines.slice IN ({{ slices }})
GROUP BY
    lines.slice,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid')

UNION ALL

SELECT
    slice,
    upload_id,
    'accepted' AS outcome,
    count(*) AS lines
FROM (
    SELECT
        slice,
        upload_id
    FROM staging_silver_patient
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})

    UNION ALL

    SELECT
        slice,
        upload_id
    FROM staging_silver_encounter
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})

    UNION ALL

    SELECT
        slice,
        upload_id
    FROM staging_silver_condition
    WHERE
        run = {{ run }}
        AND slice IN ({{ slices }})
) AS current_versions
GROUP BY
    slice,
    upload_id
