-- Published: each snapshot's partition points at the version that is current.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS facility_metrics (
    {% include 'facility_accreditation/columns/facility_metrics.columns' %}
)
COMMENT 'Metrics of each accepted facility'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/facility_metrics/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
