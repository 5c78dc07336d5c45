-- Which versions of which uploads make up the slices of a run, oldest first.
-- A query must name the pipeline and the run.
CREATE EXTERNAL TABLE IF NOT EXISTS run_uploads (
    slice string COMMENT 'Slice that the upload has a part in',
    dataset string COMMENT 'Dataset of the upload',
    upload_id string COMMENT 'Version of the upload',
    upload_order bigint COMMENT 'Place in the slice: later uploads have greater numbers and win over earlier ones',
    uploaded_at timestamp COMMENT 'When it was uploaded, UTC, in whole seconds',
    source_key string COMMENT 'S3 key of the upload'
)
COMMENT 'The uploads that a run reads'
PARTITIONED BY (
    pipeline string COMMENT 'DAG of the pipeline',
    run string COMMENT 'Run that reads them'
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('staging/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.pipeline.type' = 'injected',
    'projection.run.type' = 'injected',
    'storage.location.template' = {{ s3('staging/${pipeline}/run=${run}/uploads/') }}
)
