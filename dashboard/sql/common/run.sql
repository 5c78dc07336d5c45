-- The report of one run.
SELECT
    pipeline,
    run,
    run_id,
    environment,
    outcome,
    started_at,
    finished_at,
    files_claimed,
    files_loaded,
    files_skipped,
    lines_read,
    lines_accepted,
    lines_superseded,
    lines_rejected,
    bytes_scanned,
    medlaunch_version,
    airflow_version,
    python_version,
    json_format(CAST(params AS json)) AS params,
    json_format(CAST(rejected_by_reason AS json)) AS rejected_by_reason,
    json_format(CAST(measures AS json)) AS measures,
    json_format(CAST(transform(skipped, x -> MAP(ARRAY['key', 'reason'], ARRAY[x.key, x.reason])) AS json)) AS skipped,
    json_format(CAST(transform(slices, x -> MAP(ARRAY['slice', 'version'], ARRAY[x.slice, x.version])) AS json)) AS slices,
    json_format(
        CAST(
            transform(
                tasks,
                x -> MAP(
                    ARRAY['task', 'instances', 'seconds', 'longest_seconds'],
                    ARRAY[x.task, CAST(x.instances AS varchar), CAST(CAST(x.seconds AS decimal(12, 1)) AS varchar), CAST(CAST(x.longest_seconds AS decimal(12, 1)) AS varchar)]
                )
            ) AS json
        )
    ) AS tasks
FROM run_reports
WHERE
    pipeline = :pipeline
    AND run = :run
