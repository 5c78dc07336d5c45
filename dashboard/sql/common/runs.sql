-- The latest runs that processed uploads, of all pipelines.
WITH ranked AS (
    SELECT
        pipeline,
        run,
        run_id,
        outcome,
        started_at,
        finished_at,
        files_loaded,
        files_skipped,
        lines_read,
        lines_accepted,
        lines_superseded,
        lines_rejected,
        bytes_scanned,
        row_number() OVER (ORDER BY finished_at DESC, run DESC) AS place
    FROM run_reports
)

SELECT
    pipeline,
    run,
    run_id,
    outcome,
    started_at,
    finished_at,
    date_diff('second', started_at, finished_at) AS seconds,
    files_loaded,
    files_skipped,
    lines_read,
    lines_accepted,
    lines_superseded,
    lines_rejected,
    bytes_scanned
FROM ranked
WHERE place <= :rows
ORDER BY place
