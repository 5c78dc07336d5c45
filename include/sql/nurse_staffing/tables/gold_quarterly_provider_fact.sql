-- What CMS published of each facility last in each quarter.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS gold_quarterly_provider_fact (
    {% include 'nurse_staffing/columns/quarterly_provider_fact.columns' %},
    quarter string COMMENT 'Calendar quarter of processing_date, such as 2024Q4'
)
PARTITIONED BY (quarter)
LOCATION {{ s3('prod/gold_quarterly_provider_fact/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'write_compression' = 'zstd',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
