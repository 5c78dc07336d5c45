-- Published: each snapshot's partition points at the version that is current.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS facility_rejects (
    facility_id string COMMENT 'As far as it could be read',
    facility_name string COMMENT 'As far as it could be read',
    state string COMMENT 'As far as it could be read',
    reject_reason string COMMENT 'The first rule that the line broke',
    reject_reasons array<string> COMMENT 'All rules that the line broke',
    source_file string COMMENT 'S3 key of the upload below landing/ (archive/ once processed)',
    line_number bigint COMMENT 'Line of the upload where the record begins'
)
COMMENT 'Lines that were rejected, each with its reasons'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/facility_rejects/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
