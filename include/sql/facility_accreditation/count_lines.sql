-- What became of the lines of each upload, as Athena sees it: the loader's account must say the same.
-- outcome: a reject reason, 'valid' (not rejected), or 'accepted' (valid and not superseded).
SELECT
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid') AS outcome,
    count(*) AS lines
FROM bronze_facilities AS lines
INNER JOIN staging_uploads AS uploads
    ON
        lines.snapshot_date = uploads.snapshot_date
        AND lines.upload_id = uploads.upload_id
WHERE
    uploads.run = {{ run }}
    AND lines.snapshot_date IN ({{ snapshots }})
GROUP BY
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid')

UNION ALL

SELECT
    upload_id,
    'accepted' AS outcome,
    count(*) AS lines
FROM staging_facilities
WHERE
    run = {{ run }}
    AND snapshot_date IN ({{ snapshots }})
GROUP BY upload_id
