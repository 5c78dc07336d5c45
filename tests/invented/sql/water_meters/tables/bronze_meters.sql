CREATE EXTERNAL TABLE IF NOT EXISTS bronze_meters (
    meter string,
    litres bigint,
    reject_reason string,
    upload_id string,
    line_number bigint
)
PARTITIONED BY (dataset string, month string)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('bronze/meters/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.dataset.type' = 'enum',
    'projection.dataset.values' = 'readings,by-hand',
    'projection.month.type' = 'injected',
    'storage.location.template' = {{ s3('bronze/meters/${dataset}/month=${month}/') }}
)
