-- What became of the lines of each upload, as Athena sees it: the loader must have counted the same.
-- outcome: a reject reason, 'valid' (not rejected), or 'accepted' (valid and not superseded).
SELECT
    lines.snapshot_date AS slice,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid') AS outcome,
    count(*) AS lines
FROM bronze_facilities AS lines
INNER JOIN run_uploads AS uploads
    ON
        lines.snapshot_date = uploads.slice
        AND lines.upload_id = uploads.upload_id
WHERE
    uploads.pipeline = 'facility_accreditation'
    AND uploads.run = {{ run }}
    AND lines.snapshot_date IN ({{ slices }})
GROUP BY
    lines.snapshot_date,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid')

UNION ALL

SELECT
    snapshot_date AS slice,
    upload_id,
    'accepted' AS outcome,
    count(*) AS lines
FROM staging_facilities
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ slices }})
GROUP BY
    snapshot_date,
    upload_id
