-- One row per encounter: the current version, also of those entered in error.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS silver_encounter (
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
    upload_id string COMMENT 'Version of the upload',
    run_id string COMMENT 'Run that merged this version',
    slice string COMMENT 'all'
)
LOCATION {{ s3('prod/silver_encounter/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
