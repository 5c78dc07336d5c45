-- Every monthly snapshot of each facility, typed, the latest record of each.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS silver_provider_info (
    {% include 'nurse_staffing/columns/provider_info.columns' %},
    quarter string COMMENT 'Calendar quarter of processing_date, such as 2024Q4'
)
PARTITIONED BY (quarter)
LOCATION {{ s3('prod/silver_provider_info/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'write_compression' = 'zstd',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
