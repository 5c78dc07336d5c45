-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS gold_infection_events (
    {% include 'clinical_quality/columns/gold_infection_events.columns' %}
)
COMMENT 'One row per condition that is an infection, with its fate'
PARTITIONED BY (slice string COMMENT 'all')
STORED AS PARQUET
LOCATION {{ s3('prod/gold_infection_events/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
