-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS gold_stays (
    {% include 'clinical_quality/columns/gold_stays.columns' %}
)
COMMENT 'One row per encounter: whether it is a stay, and what each measure makes of it'
PARTITIONED BY (slice string COMMENT 'all')
STORED AS PARQUET
LOCATION {{ s3('prod/gold_stays/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
