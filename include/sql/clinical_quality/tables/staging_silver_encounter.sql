-- What a run computed and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_silver_encounter (
    id string COMMENT 'Encounter.id',
    status string COMMENT 'Encounter.status',
    void boolean COMMENT 'Entered in error; the row stays, or a late older version would revive it',
    class_codes array<string> COMMENT 'Class codes in upper case; IMP where only a type says inpatient',
    type_codes array<string> COMMENT 'Codes of Encounter.type in upper case',
    service_codes array<string> COMMENT 'Codes of Encounter.serviceType in upper case',
    priority_codes array<string> COMMENT 'Codes of Encounter.priority in upper case; EL is planned',
    patient_id string COMMENT 'Patient as referred to: an id, or identifier:SYSTEM|VALUE',
    org_id string COMMENT 'Organization of serviceProvider: an id, or identifier:SYSTEM|VALUE',
    part_of string COMMENT 'Encounter of which this one is a part',
    start_written string COMMENT 'period.start as written',
    admit date COMMENT 'Day of period.start as written; NULL if missing, imprecise or invalid',
    start_instant string COMMENT 'period.start in UTC, if it has time and offset',
    end_written string COMMENT 'period.end as written',
    discharge date COMMENT 'Day of period.end as written; NULL if missing, imprecise or invalid',
    end_instant string COMMENT 'period.end in UTC, if it has time and offset',
    disposition string COMMENT 'Category of the discharge disposition; unknown if no coding is listed',
    disposition_codings array<string> COMMENT 'Codings of the discharge disposition, SYSTEM|CODE',
    pseudonym string COMMENT 'Keyed hash of the id, which stands for it in published tables',
    patient_pseudonym string COMMENT 'Keyed hash of patient_id',
    key_id string COMMENT 'Which key made the pseudonyms; all rows have the same',
    last_updated string COMMENT 'meta.lastUpdated in UTC, sorts by time; NULL if the upload had none',
    version_id string COMMENT 'meta.versionId, if it is a number',
    version_rank string COMMENT 'Sorts versions by lastUpdated, then versionId',
    uploaded_at timestamp COMMENT 'When the upload came, UTC, in whole seconds',
    source_key string COMMENT 'S3 key of the upload',
    source_pos bigint COMMENT 'Place of the value in the upload, from 1',
    upload_id string COMMENT 'Version of the upload'
)
COMMENT 'Newest versions of encounters, of one run, before publication'
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
    'storage.location.template' = {{ s3('staging/clinical_quality/run=${run}/silver_encounter/slice=${slice}/') }}
)
