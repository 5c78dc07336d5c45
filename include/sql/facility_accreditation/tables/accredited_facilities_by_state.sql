-- Published: each snapshot's partition points at the version that is current.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS accredited_facilities_by_state (
    {% include 'facility_accreditation/columns/accredited_facilities_by_state.columns' %}
)
COMMENT 'Facilities and accredited facilities of each state'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/accredited_facilities_by_state/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
