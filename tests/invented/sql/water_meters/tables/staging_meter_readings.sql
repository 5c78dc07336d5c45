CREATE EXTERNAL TABLE IF NOT EXISTS staging_meter_readings (
    meter string,
    litres bigint,
    upload_id string
)
PARTITIONED BY (run string, month string)
STORED AS PARQUET
LOCATION {{ s3('staging/water_meters/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.month.type' = 'injected',
    'storage.location.template' = {{ s3('staging/water_meters/run=${run}/meter_readings/month=${month}/') }}
)
