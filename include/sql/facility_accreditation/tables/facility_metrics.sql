-- Published: each snapshot's partition points at the version that is current.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS facility_metrics (
    facility_id string COMMENT 'FAC and digits',
    facility_name string COMMENT 'Name, trimmed',
    employee_count bigint COMMENT 'Employees',
    number_of_offered_services bigint COMMENT 'Length of the list of services',
    expiry_date_of_first_accreditation date COMMENT 'Earliest valid_until; NULL without a readable one',
    first_listed_accreditation_expiry date COMMENT 'valid_until of the accreditation listed first; NULL if unreadable',
    state string COMMENT 'Two-letter code of state, DC or territory'
)
COMMENT 'Metrics of each accepted facility'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
STORED AS PARQUET
LOCATION {{ s3('prod/facility_metrics/') }}
TBLPROPERTIES ('parquet.compression' = 'SNAPPY')
