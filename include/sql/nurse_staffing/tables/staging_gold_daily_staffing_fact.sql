-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_gold_daily_staffing_fact (
    {% include 'nurse_staffing/columns/daily_staffing_fact.columns' %},
    gone boolean COMMENT 'The published table has the row, and should not'
)
COMMENT 'Hours by group of the quarters of a run, before publication'
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
    = {{ s3('staging/nurse_staffing.pbj/run=${run}/gold_daily_staffing_fact/quarter=${quarter}/') }}
)
