-- What a run computed and has not published yet.
-- noqa: disable=PRS,LT01,CP01
CREATE EXTERNAL TABLE IF NOT EXISTS staging_gold_clinical_measures (
    {% include 'clinical_quality/columns/gold_clinical_measures.columns' %}
)
COMMENT 'Observed rates, not adjusted for risk; infections are proxies from diagnosis codes, of one run, before publication'
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
    'storage.location.template' = {{ s3('staging/clinical_quality/run=${run}/gold_clinical_measures/slice=${slice}/') }}
)
