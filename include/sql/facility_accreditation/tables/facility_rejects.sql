-- Published: each snapshot's partition points at the version that is current.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS facility_rejects (
    {% include 'facility_accreditation/columns/facility_rejects.columns' %}
)
COMMENT 'Lines that were rejected, each with its reasons'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/facility_rejects/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
