-- The account of each run that processed uploads, as it was written; the view run_reports gives it types.
-- noqa: disable=CP01,LT01
CREATE EXTERNAL TABLE IF NOT EXISTS run_report_documents (
    pipeline string COMMENT 'DAG of the pipeline',
    environment string COMMENT 'Environment',
    run_id string COMMENT 'Run, as Airflow names it',
    run string COMMENT 'Run, as in keys',
    outcome string COMMENT 'published or nothing_to_publish',
    started_at string COMMENT 'When the run claimed its uploads, UTC',
    finished_at string COMMENT 'When the report was written, UTC',
    as_of string COMMENT 'Day on which accreditations were looked at',
    expiry_window string COMMENT 'ISO-8601 duration from as_of on',
    files struct<
        claimed: bigint,
        loaded: bigint,
        set_aside: bigint,
        left_for_next_run: bigint,
        bytes_read: bigint
    > COMMENT 'Files of the run',
    lines struct<
        read: bigint,
        accepted: bigint,
        superseded: bigint,
        rejected: bigint,
        rejected_by_reason: map<string, bigint>,
        snapshot_date_differs: bigint
    > COMMENT 'Lines of the uploads that the run read',
    accreditations struct<
        read: bigint,
        quarantined: bigint
    > COMMENT 'Accreditations in these lines',
    set_aside array<struct<
        key: string,
        reason: string,
        moved_to: string
    >> COMMENT 'Objects that were not data, each with its reason',
    withdrawn array<string> COMMENT 'Keys of uploads that were left out, because a rollback had taken them out',
    quarantine array<string> COMMENT 'Keys of the rejected lines',
    snapshots array<struct<
        snapshot_date: string,
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
    steps array<struct<
        step: string,
        tasks: bigint,
        seconds: double,
        longest_seconds: double
    >> COMMENT 'Seconds of each step: of all its tasks together, and of the longest',
    versions struct<
        medlaunch: string,
        airflow: string,
        amazon_provider: string,
        python: string
    > COMMENT 'What the run was made with'
)
COMMENT 'The account of each run, as it was written'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('reports/facility_accreditation/') }}
