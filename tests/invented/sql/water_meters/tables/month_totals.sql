CREATE EXTERNAL TABLE IF NOT EXISTS month_totals (
    meters bigint,
    litres bigint
)
PARTITIONED BY (month string)
STORED AS PARQUET
LOCATION {{ s3('prod/month_totals/') }}
