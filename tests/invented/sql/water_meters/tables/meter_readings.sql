CREATE TABLE IF NOT EXISTS meter_readings (
    meter string,
    month string,
    litres bigint
)
PARTITIONED BY (month)
LOCATION {{ s3('prod/meter_readings/') }}
TBLPROPERTIES ('table_type' = 'ICEBERG', 'format' = 'parquet')
