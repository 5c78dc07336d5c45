-- What became of the lines of each upload, as Athena sees it: the loaders must have counted the same.
-- outcome: a reject reason, 'valid' (not rejected), or 'accepted' (valid and not superseded).
SELECT
    lines.quarter AS slice,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid') AS outcome,
    count(*) AS lines
FROM bronze_pbj AS lines
INNER JOIN run_uploads AS uploads
    ON
        lines.quarter = uploads.slice
        AND lines.upload_id = uploads.upload_id
WHERE
    uploads.pipeline = 'nurse_staffing'
    AND uploads.run = {{ run }}
    AND lines.quarter IN ({{ slices }})
GROUP BY
    lines.quarter,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid')

UNION ALL

SELECT
    staged.quarter AS slice,
    staged.upload_id,
    'accepted' AS outcome,
    count(*) AS lines
FROM staging_pbj_daily AS staged
INNER JOIN run_uploads AS uploads
    ON
        staged.quarter = uploads.slice
        AND staged.upload_id = uploads.upload_id
WHERE
    staged.run = {{ run }}
    AND staged.quarter IN ({{ slices }})
    AND uploads.pipeline = 'nurse_staffing'
    AND uploads.run = {{ run }}
GROUP BY
    staged.quarter,
    staged.upload_id

UNION ALL

SELECT
    lines.quarter AS slice,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid') AS outcome,
    count(*) AS lines
FROM bronze_provider_info AS lines
INNER JOIN run_uploads AS uploads
    ON
        lines.quarter = uploads.slice
        AND lines.upload_id = uploads.upload_id
WHERE
    uploads.pipeline = 'nurse_staffing'
    AND uploads.run = {{ run }}
    AND lines.quarter IN ({{ slices }})
GROUP BY
    lines.quarter,
    lines.upload_id,
    coalesce(lines.reject_reason, 'valid')

UNION ALL

SELECT
    staged.quarter AS slice,
    staged.upload_id,
    'accepted' AS outcome,
    count(*) AS lines
FROM staging_provider_info AS staged
INNER JOIN run_uploads AS uploads
    ON
        staged.quarter = uploads.slice
        AND staged.upload_id = uploads.upload_id
WHERE
    staged.run = {{ run }}
    AND staged.quarter IN ({{ slices }})
    AND uploads.pipeline = 'nurse_staffing'
    AND uploads.run = {{ run }}
GROUP BY
    staged.quarter,
    staged.upload_id
