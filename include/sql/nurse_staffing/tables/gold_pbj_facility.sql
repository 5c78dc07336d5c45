-- Each facility of each quarter as PBJ knew it on its latest day.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS gold_pbj_facility (
    {% include 'nurse_staffing/columns/pbj_facility.columns' %},
    quarter string COMMENT 'Calendar quarter, such as 2024Q2'
)
PARTITIONED BY (quarter)
LOCATION {{ s3('prod/gold_pbj_facility/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'write_compression' = 'zstd',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
