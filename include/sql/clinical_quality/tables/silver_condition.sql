-- One row per condition: the current version, also of those entered in error.
-- Snapshots stay readable for 30 days, for time travel and rollbacks.
-- noqa: disable=PRS
CREATE TABLE IF NOT EXISTS silver_condition (
    id string COMMENT 'Condition.id',
    void boolean COMMENT 'Entered in error; the row stays, or a late older version would revive it',
    codings array<string> COMMENT 'Codings of Condition.code, SYSTEM|CODE',
    infection_type string COMMENT 'sepsis, pneumonia, uti, cdiff or ssi by the first coding that is listed; NULL if none is',
    verification string COMMENT 'Code of verificationStatus; NULL if missing',
    patient_id string COMMENT 'Patient as referred to: an id, or identifier:SYSTEM|VALUE',
    encounter_id string COMMENT 'Encounter that the condition names',
    onset_written string COMMENT 'onsetDateTime, else onsetPeriod.start, as written',
    onset_date date COMMENT 'Day of the onset as written; NULL if missing, imprecise or invalid',
    onset_instant string COMMENT 'Onset in UTC, if it has time and offset',
    recorded_date date COMMENT 'Day of recordedDate; no measure uses it',
    pseudonym string COMMENT 'Keyed hash of the id, which stands for it in published tables',
    patient_pseudonym string COMMENT 'Keyed hash of patient_id',
    encounter_pseudonym string COMMENT 'Keyed hash of encounter_id',
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
LOCATION {{ s3('prod/silver_condition/') }}
TBLPROPERTIES (
    'table_type' = 'ICEBERG',
    'format' = 'parquet',
    'vacuum_max_snapshot_age_seconds' = '2592000'
)
