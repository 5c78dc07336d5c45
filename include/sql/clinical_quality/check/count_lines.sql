-- What became of the values of each upload, as Athena sees it: the loader's counts must say the same.
SELECT
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid') AS outcome,
    count(*) AS lines
FROM bronze_fhir AS lines
INNER JOIN run_uploads AS uploads
    ON lines.upload_id = uploads.upload_id
WHERE
    uploads.pipeline = 'clinical_quality'
    AND uploads.run = {{ run }}
    AND lines.slice IN ({{ slices }})
GROUP BY
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid')
