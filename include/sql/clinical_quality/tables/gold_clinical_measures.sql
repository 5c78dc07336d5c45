-- noqa: disable=PRS,LT01,CP01
CREATE EXTERNAL TABLE IF NOT EXISTS gold_clinical_measures (
    measure string COMMENT 'Name of the measure',
    org_id string COMMENT 'Organization, or ALL for the total of all organizations',
    month string COMMENT 'Month of discharge, YYYY-MM',
    numerator bigint COMMENT 'Stays, episodes, days or events that count',
    denominator bigint COMMENT 'Stays, episodes or patient days that they are counted among',
    rate decimal(18, 5) COMMENT 'numerator / denominator, of hai_*_per_1000_patient_days times 1,000; NULL without denominator',
    ci_low decimal(7, 5) COMMENT 'Lower end of the 95 % Wilson interval of a proportion; NULL for other measures',
    ci_high decimal(7, 5) COMMENT 'Upper end of the 95 % Wilson interval of a proportion; NULL for other measures',
    exclusions map<string, bigint> COMMENT 'What does not count, by reason',
    data_end date COMMENT 'Last day that the data cover',
    run_id string COMMENT 'Run that computed the row'
)
COMMENT 'Observed rates, not adjusted for risk; infections are proxies from diagnosis codes'
PARTITIONED BY (slice string COMMENT 'all')
STORED AS PARQUET
LOCATION {{ s3('prod/gold_clinical_measures/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
