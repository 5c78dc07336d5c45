-- Hours and census of each facility and day, typed, the latest record of each.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS silver_pbj_daily (
    {% include 'nurse_staffing/columns/pbj_daily.columns' %},
    quarter string COMMENT 'Calendar quarter of work_date, such as 2024Q2'
)
PARTITIONED BY (quarter)
LOCATION {{ s3('prod/silver_pbj_daily/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'write_compression' = 'zstd',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
