-- The reports of all runs, as they were written: those of pipelines, which the view run_reports shows with types, and
-- those of tools, which have no pipeline.
-- noqa: disable=CP01,LT01
CREATE EXTERNAL TABLE IF NOT EXISTS run_report_documents (
    pipeline string COMMENT 'DAG of the pipeline; NULL for the report of a tool',
    environment string COMMENT 'Environment',
    run_id string COMMENT 'Run, as Airflow names it',
    run string COMMENT 'Run, as in keys',
    outcome string COMMENT 'published or nothing_to_publish',
    started_at string COMMENT 'When the run claimed its uploads, UTC',
    finished_at string COMMENT 'When the report was written, UTC',
    params map<string, string> COMMENT 'Params of the run',
    files struct<
        claimed: bigint,
        loaded: bigint,
        skipped: bigint,
        left_for_next_run: bigint,
        bytes_read: bigint
    > COMMENT 'Files of the run',
    lines struct<
        read: bigint,
        accepted: bigint,
        superseded: bigint,
        rejected: bigint,
        rejected_by_reason: map<string, bigint>
    > COMMENT 'Lines of the uploads that the run read',
    measures map<string, bigint> COMMENT 'Other counts of the pipeline, over these lines',
    warnings array<string> COMMENT 'What is worth a look, and stopped nothing',
    skipped array<struct<
        key: string,
        reason: string,
        moved_to: string
    >> COMMENT 'Objects that were not loaded, each with its reason',
    excluded array<string> COMMENT 'Keys of uploads that were left out, because a rollback had excluded them',
    quarantine array<string> COMMENT 'Keys of the rejected lines',
    slices array<struct<
        slice: string,
        version: string,
        manifest: string
    >> COMMENT 'What was published',
    queries array<struct<
        task: string,
        query_execution_id: string,
        bytes_scanned: bigint,
        seconds: double
    >> COMMENT 'Queries of the run and what each cost',
    bytes_scanned bigint COMMENT 'Bytes that Athena scanned for the run',
    tasks array<struct<
        task: string,
        instances: bigint,
        seconds: double,
        longest_seconds: double
    >> COMMENT 'Seconds of each task: of all its instances together, and of the longest',
    versions struct<
        medlaunch: string,
        airflow: string,
        amazon_provider: string,
        python: string
    > COMMENT 'What the run was made with'
)
COMMENT 'The reports of all runs, as they were written'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('reports/') }}
