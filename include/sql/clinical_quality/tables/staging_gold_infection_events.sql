-- What a run computed and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_gold_infection_events (
    condition_id string COMMENT 'Pseudonym of the condition',
    infection_type string COMMENT 'sepsis, pneumonia, uti, cdiff or ssi',
    patient_id string COMMENT 'Pseudonym of the patient; of the reference where no patient is known by it',
    linked_encounter_id string COMMENT 'Pseudonym of the encounter that the condition names',
    onset_date date COMMENT 'Day of onset',
    fate string COMMENT 'hospital_onset counts; otherwise why it does not',
    onset_setting string COMMENT 'hospital_onset or present_on_admission, also of repeats; NULL without a stay',
    stay_id string COMMENT 'Pseudonym of the encounter of the stay that the infection belongs to',
    org_id string COMMENT 'Organization of that stay',
    month string COMMENT 'Month of discharge of that stay, YYYY-MM',
    event_date date COMMENT 'Later one of onset and admit'
)
COMMENT 'One row per condition that is an infection, with its fate, of one run, before publication'
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
    'storage.location.template' = {{ s3('staging/clinical_quality/run=${run}/gold_infection_events/slice=${slice}/') }}
)
