-- Which versions of which uploads make up the snapshots of a run, oldest first.
CREATE EXTERNAL TABLE IF NOT EXISTS staging_uploads (
    snapshot_date string COMMENT 'Snapshot that the upload belongs to, YYYY-MM-DD',
    upload_id string COMMENT 'Version of the upload',
    upload_order bigint COMMENT 'Later uploads have greater numbers and win over earlier ones'
)
COMMENT 'The uploads that a run reads'
PARTITIONED BY (run string COMMENT 'Run that reads them')
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('staging/facility_accreditation/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'storage.location.template' = {{ s3('staging/facility_accreditation/run=${run}/uploads/') }}
)
