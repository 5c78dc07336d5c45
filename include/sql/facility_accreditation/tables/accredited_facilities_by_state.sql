-- Published: each snapshot's partition points at the version that is current.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS accredited_facilities_by_state (
    state_code string COMMENT 'Two-letter code',
    state_name string COMMENT 'Name of state, district or territory',
    accredited_facilities bigint COMMENT 'Facilities with an accreditation valid on as_of or later',
    facilities bigint COMMENT 'All accepted facilities, each counted once',
    as_of date COMMENT 'Day on which accreditations are looked at'
)
COMMENT 'Facilities and accredited facilities of each state'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/accredited_facilities_by_state/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
