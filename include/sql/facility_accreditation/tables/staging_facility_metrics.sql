-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_facility_metrics (
    facility_id string COMMENT 'FAC and digits',
    facility_name string COMMENT 'Name, trimmed',
    employee_count bigint COMMENT 'Employees',
    number_of_offered_services bigint COMMENT 'Length of the list of services',
    expiry_date_of_first_accreditation date COMMENT 'Earliest valid_until; NULL without a readable one',
    first_listed_accreditation_expiry date COMMENT 'valid_until of the accreditation listed first; NULL if unreadable',
    state string COMMENT 'Two-letter code of state, DC or territory'
)
COMMENT 'Metrics of each accepted facility, of one run, before publication'
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
    = {{ s3('staging/facility_accreditation/run=${run}/facility_metrics/snapshot_date=${snapshot_date}/') }}
)
