-- One row per condition: the current version, also of those entered in error.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS silver_condition (
    {% include 'clinical_quality/columns/silver_condition.columns' %},
    run_id string COMMENT 'Run that merged this version',
    slice string COMMENT 'all'
)
LOCATION {{ s3('prod/silver_condition/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
