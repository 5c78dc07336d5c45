-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_silver_provider_info (
    {% include 'nurse_staffing/columns/provider_info.columns' %}
)
COMMENT 'The quarters of a run as they will be: snapshots of each facility'
PARTITIONED BY (
    run string COMMENT 'Run that wrote them',
    quarter string COMMENT 'Calendar quarter, such as 2024Q2'
)
STORED AS PARQUET
LOCATION {{ s3('staging/nurse_staffing.provider_info/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.quarter.type' = 'injected',
    'storage.location.template'
    = {{ s3('staging/nurse_staffing.provider_info/run=${run}/silver_provider_info/quarter=${quarter}/') }}
)
