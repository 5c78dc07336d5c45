CREATE EXTERNAL TABLE IF NOT EXISTS staging_month_totals (
    meters bigint,
    litres bigint
)
PARTITIONED BY (run string, month string)
STORED AS PARQUET
LOCATION {{ s3('staging/water_meters/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.month.type' = 'injected',
    'storage.location.template' = {{ s3('staging/water_meters/run=${run}/month_totals/month=${month}/') }}
)
