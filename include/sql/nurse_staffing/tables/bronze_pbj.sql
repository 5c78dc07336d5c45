-- Canonical PBJ records, one per line, as the uploads brought them. Decimals are text, which any SerDe reads exactly.
-- A query must name the run and the quarters it wants: run = '...' AND quarter IN ('2024Q2').
CREATE EXTERNAL TABLE IF NOT EXISTS bronze_pbj (
    ccn string COMMENT 'CMS Certification Number, 6 characters',
    provider_name string COMMENT 'Name of the facility',
    city string COMMENT 'City',
    state string COMMENT 'Two-letter code',
    county_name string COMMENT 'County',
    county_fips string COMMENT 'FIPS code of the county within the state, 3 digits',
    work_date string COMMENT 'Day, YYYY-MM-DD',
    census bigint COMMENT 'Residents; NULL if blank',
    hours array<string> COMMENT 'Decimal text: all, employees, contract of each job, ordered as in silver_pbj_daily',
    flags array<string> COMMENT 'What is unlikely about the record',
    reject_reason string COMMENT 'The first rule that the record broke; NULL if accepted. A rejected record has nothing else',
    source_key string COMMENT 'S3 key of the upload; in a zip, its key, ! and the member',
    upload_id string COMMENT 'Version of the upload',
    line_number bigint COMMENT 'Line of the file where the record begins'
)
COMMENT 'Canonical records of every PBJ upload, accepted and rejected'
PARTITIONED BY (
    quarter string COMMENT 'Calendar quarter, such as 2024Q2; unknown for records that name none',
    run string COMMENT 'Run that loaded the upload'
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('bronze/pbj/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.quarter.type' = 'injected',
    'projection.run.type' = 'injected',
    'storage.location.template' = {{ s3('bronze/pbj/quarter=${quarter}/run=${run}/') }}
)
