-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS gold_stays (
    encounter_id string COMMENT 'Pseudonym of the encounter',
    not_stay_reason string COMMENT 'First rule that keeps the encounter from being a stay; NULL for stays',
    patient_id string COMMENT 'Pseudonym of the patient; of the reference where no patient is known by it',
    org_id string COMMENT 'Organization; unknown if the encounter names none, Organization/ALL if its id is ALL',
    admit date COMMENT 'First day',
    discharge date COMMENT 'Last day',
    month string COMMENT 'Month of discharge, YYYY-MM',
    los bigint COMMENT 'Length of stay: midnights between admit and discharge',
    disposition string COMMENT 'Category of the discharge disposition',
    planned boolean COMMENT 'Admitted by plan (priority EL)',
    psychiatric boolean COMMENT 'Admitted for psychiatry or rehabilitation',
    death_date date COMMENT 'Day of death, if known',
    vital_unknown boolean COMMENT 'Nobody says whether, or when, the patient died',
    died boolean COMMENT 'Died in hospital',
    same_day boolean COMMENT 'los is 0',
    stay_number bigint COMMENT 'Place of the stay among those of the patient by admit, from 1',
    episode_id string COMMENT 'Pseudonyms of the patient and of the first stay of the transfer chain',
    episode_place bigint COMMENT 'Place of the stay in its episode, from 1',
    episode_stays bigint COMMENT 'Stays of the episode',
    is_index boolean COMMENT 'The stay from which readmission counts: the last discharge of the episode',
    mortality_30d_exclusion string COMMENT 'Why the first stay of an episode does not count; NULL if it counts',
    mortality_30d boolean COMMENT 'Counts, and death came 0 to 30 days after admit',
    readmission_exclusion string COMMENT 'Why the index stay does not count; NULL if it counts',
    readmission_30d boolean COMMENT 'Counts, and the next episode began 1 to 30 days after discharge',
    readmission_30d_unplanned boolean COMMENT 'As readmission_30d, and the next episode was not planned',
    next_admit date COMMENT 'First day of the next episode of the patient',
    data_end date COMMENT 'Last day that the data cover'
)
COMMENT 'One row per encounter: whether it is a stay, and what each measure makes of it'
PARTITIONED BY (slice string COMMENT 'all')
STORED AS PARQUET
LOCATION {{ s3('prod/gold_stays/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
