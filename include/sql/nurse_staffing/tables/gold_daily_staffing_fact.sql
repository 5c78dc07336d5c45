-- Census and hours by group of each facility and day.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS gold_daily_staffing_fact (
    {% include 'nurse_staffing/columns/daily_staffing_fact.columns' %},
    quarter string COMMENT 'Calendar quarter of work_date, such as 2024Q2'
)
PARTITIONED BY (quarter)
LOCATION {{ s3('prod/gold_daily_staffing_fact/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'write_compression' = 'zstd',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
