-- Each facility as it was known last.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS gold_facility_dim (
    {% include 'nurse_staffing/columns/facility_dim.columns' %}
)
LOCATION {{ s3('prod/gold_facility_dim/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'write_compression' = 'zstd',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
