-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_expiring_accreditations (
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
COMMENT 'Accreditations that expire within the window, of one run, before publication'
PARTITIONED BY (
    run string COMMENT 'Run that wrote them',
    snapshot_date string COMMENT 'Snapshot, YYYY-MM-DD'
)
STORED AS PARQUET
LOCATION {{ s3('staging/facility_accreditation/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.snapshot_date.type' = 'injected',
    'storage.location.template'
    = {{ s3('staging/facility_accreditation/run=${run}/expiring_accreditations/snapshot_date=${snapshot_date}/') }}
)
