-- One row per patient: the current version. No names, no addresses.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS silver_patient (
    {% include 'clinical_quality/columns/silver_patient.columns' %},
    run_id string COMMENT 'Run that merged this version',
    slice string COMMENT 'all'
)
LOCATION {{ s3('prod/silver_patient/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
