-- What a run computed and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_gold_stays (
    {% include 'clinical_quality/columns/gold_stays.columns' %}
)
COMMENT 'One row per encounter: whether it is a stay, and what each measure makes of it, of one run, before publication'
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
    'storage.location.template' = {{ s3('staging/clinical_quality/run=${run}/gold_stays/slice=${slice}/') }}
)
