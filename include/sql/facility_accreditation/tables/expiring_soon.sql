-- Published: expiring_soon.csv of each snapshot, every column as text. See expiring_accreditations.
CREATE EXTERNAL TABLE IF NOT EXISTS expiring_soon (
    facility_id string COMMENT 'FAC and digits',
    facility_name string COMMENT 'Name',
    address string COMMENT 'Street address',
    city string COMMENT 'City',
    state string COMMENT 'Two-letter code',
    zip string COMMENT 'Postal code',
    employee_count string COMMENT 'Employees',
    accreditation_body string COMMENT 'Who accredited',
    accreditation_id string COMMENT 'Id of the accreditation',
    valid_until string COMMENT 'Last day of the accreditation',
    days_until_expiry string COMMENT 'Days from run_date to valid_until',
    run_date string COMMENT 'Day on which accreditations were looked at (as_of)'
)
COMMENT 'Accreditations that expire within the window, as in the CSV export'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
ROW FORMAT SERDE 'org.apache.hadoop.hive.serde2.OpenCSVSerde'
WITH SERDEPROPERTIES ('separatorChar' = ',', 'quoteChar' = '"', 'escapeChar' = '"')
STORED AS TEXTFILE
LOCATION {{ s3('prod/expiring_soon/') }}
TBLPROPERTIES ('skip.header.line.count' = '1')
