-- What a run computed and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_silver_patient (
    id string COMMENT 'Patient.id',
    identifiers array<string> COMMENT 'identifier:SYSTEM|VALUE of each identifier, to resolve logical references',
    gender string COMMENT 'Patient.gender',
    birth_date date COMMENT 'Patient.birthDate; NULL if it is no full date',
    deceased_date date COMMENT 'Day of deceasedDateTime as written; NULL if unknown or imprecise',
    deceased_instant string COMMENT 'deceasedDateTime in UTC, if it has time and offset',
    deceased_flag boolean COMMENT 'Whether the patient is dead; NULL if nothing is said',
    pseudonym string COMMENT 'Keyed hash of the id, which stands for it in published tables',
    key_id string COMMENT 'Which key made the pseudonyms; all rows have the same',
    last_updated string COMMENT 'meta.lastUpdated in UTC, sorts by time; NULL if the upload had none',
    version_id string COMMENT 'meta.versionId, if it is a number',
    version_rank string COMMENT 'Sorts versions by lastUpdated, then versionId',
    uploaded_at timestamp COMMENT 'When the upload came, UTC, in whole seconds',
    source_key string COMMENT 'S3 key of the upload',
    source_pos bigint COMMENT 'Place of the value in the upload, from 1',
    upload_id string COMMENT 'Version of the upload'
)
COMMENT 'Newest versions of patients, of one run, before publication'
PARTITIONED BY (
    run string COMMENT 'Run that wrote them',
    slice string COMMENT 'all'
)
STORED AS PARQUET
LOCATION {{ s3('staging/clinical_quality/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.slice.type' = 'enum',
    'projection.slice.values' = 'all',
    'storage.location.template' = {{ s3('staging/clinical_quality/run=${run}/silver_patient/slice=${slice}/') }}
)
