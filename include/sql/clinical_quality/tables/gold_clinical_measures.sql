-- noqa: disable=PRS,LT01,CP01
CREATE EXTERNAL TABLE IF NOT EXISTS gold_clinical_measures (
    {% include 'clinical_quality/columns/gold_clinical_measures.columns' %}
)
COMMENT 'Observed rates, not adjusted for risk; infections are proxies from diagnosis codes'
PARTITIONED BY (slice string COMMENT 'all')
STORED AS PARQUET
LOCATION {{ s3('prod/gold_clinical_measures/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
