-- Published: the rows of expiring_soon.csv with their types. Nothing reads the CSV with SQL: Athena's SerDe for it
-- splits names with line breaks and drops backslashes.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS expiring_accreditations (
    facility_id string COMMENT 'FAC and digits',
    facility_name string COMMENT 'Name, trimmed',
    address string COMMENT 'Street address',
    city string COMMENT 'City',
    state string COMMENT 'Two-letter code',
    zip string COMMENT 'Postal code',
    employee_count bigint COMMENT 'Employees',
    accreditation_body string COMMENT 'Who accredited',
    accreditation_id string COMMENT 'Id of the accreditation',
    valid_until date COMMENT 'Last day of the accreditation',
    days_until_expiry bigint COMMENT 'Days from run_date to valid_until',
    run_date date COMMENT 'Day on which accreditations were looked at (as_of)'
)
COMMENT 'Accreditations that expire within the window, one row each'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/expiring_accreditations/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
