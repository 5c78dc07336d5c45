-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_facility_rejects (
    facility_id string COMMENT 'As far as it could be read',
    facility_name string COMMENT 'As far as it could be read',
    state string COMMENT 'As far as it could be read',
    reject_reason string COMMENT 'The first rule that the line broke',
    reject_reasons array<string> COMMENT 'All rules that the line broke',
    source_file string COMMENT 'S3 key of the upload below landing/ (archive/ once processed)',
    line_number bigint COMMENT 'Line of the upload where the record begins'
)
COMMENT 'Lines that were rejected, each with its reasons, of one run, before publication'
PARTITIONED BY (
    run string COMMENT 'Run that wrote them',
    snapshot_date string COMMENT 'Snapshot, YYYY-MM-DD'
)
STORED AS PARQUET
LOCATION {{ s3('staging/facility_accreditation/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.snapshot_date.type' = 'injected',
    'storage.location.template'
    = {{ s3('staging/facility_accreditation/run=${run}/facility_rejects/snapshot_date=${snapshot_date}/') }}
)
