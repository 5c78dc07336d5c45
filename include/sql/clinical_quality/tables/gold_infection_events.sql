-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS gold_infection_events (
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
COMMENT 'One row per condition that is an infection, with its fate'
PARTITIONED BY (slice string COMMENT 'all')
STORED AS PARQUET
LOCATION {{ s3('prod/gold_infection_events/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
