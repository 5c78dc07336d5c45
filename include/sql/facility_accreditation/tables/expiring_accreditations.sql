-- Published: the rows of expiring_soon.csv with their types. Nothing reads the CSV with SQL: Athena's SerDe for it
-- splits names with line breaks and drops backslashes.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS expiring_accreditations (
    {% include 'facility_accreditation/columns/expiring_accreditations.columns' %}
)
COMMENT 'Accreditations that expire within the window, one row each'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/expiring_accreditations/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
