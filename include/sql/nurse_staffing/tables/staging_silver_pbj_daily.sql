-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_silver_pbj_daily (
    {% include 'nurse_staffing/columns/pbj_daily.columns' %}
)
COMMENT 'The quarters of a run as they will be: hours and census of each facility and day'
PARTITIONED BY (
    run string COMMENT 'Run that wrote them',
    quarter string COMMENT 'Calendar quarter, such as 2024Q2'
)
STORED AS PARQUET
LOCATION {{ s3('staging/nurse_staffing.pbj/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.quarter.type' = 'injected',
    'storage.location.template'
    = {{ s3('staging/nurse_staffing.pbj/run=${run}/silver_pbj_daily/quarter=${quarter}/') }}
)
