-- What readers see now: the newest publication or rollback of each slice of each pipeline.
WITH ranked AS (
    SELECT
        pipeline,
        slice,
        publication,
        action,
        published_at,
        run_id,
        published_by,
        version,
        reason,
        lines_read,
        lines_accepted,
        lines_superseded,
        lines_rejected,
        bytes,
        json_format(CAST(params AS json)) AS params,
        json_format(CAST(result_rows AS json)) AS result_rows,
        row_number() OVER (
            PARTITION BY pipeline, slice
            ORDER BY published_at DESC, publication DESC
        ) AS newest
    FROM publications
)

SELECT
    pipeline,
    slice,
    publication,
    action,
    published_at,
    run_id,
    published_by,
    version,
    reason,
    lines_read,
    lines_accepted,
    lines_superseded,
    lines_rejected,
    bytes,
    params,
    result_rows
FROM ranked
WHERE newest = 1
ORDER BY pipeline ASC, slice DESC
