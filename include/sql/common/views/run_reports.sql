-- One row per run that processed uploads. Arrays of rows are read with UNNEST(transform(tasks, x -> x.task), ...).
CREATE OR REPLACE VIEW run_reports AS
SELECT
    pipeline,
    environment,
    run_id,
    run,
    outcome,
    CAST(from_iso8601_timestamp(started_at) AS timestamp) AS started_at,
    CAST(from_iso8601_timestamp(finished_at) AS timestamp) AS finished_at,
    params,
    files.claimed AS files_claimed,
    files.loaded AS files_loaded,
    files.skipped AS files_skipped,
    files.left_for_next_run AS files_left_for_next_run,
    files.bytes_read AS bytes_read,
    lines.read AS lines_read,
    lines.accepted AS lines_accepted,
    lines.superseded AS lines_superseded,
    lines.rejected AS lines_rejected,
    lines.rejected_by_reason AS rejected_by_reason,
    measures,
    warnings,
    skipped,
    excluded,
    slices,
    queries,
    bytes_scanned,
    tasks,
    versions.medlaunch AS medlaunch_version,
    versions.airflow AS airflow_version,
    versions.python AS python_version
FROM run_report_documents
WHERE pipeline IS NOT NULL
