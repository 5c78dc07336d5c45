-- One record per facility and snapshot: what a run computes its results from.
CREATE EXTERNAL TABLE IF NOT EXISTS staging_facilities (
    facility_id string COMMENT 'FAC and digits',
    facility_name string COMMENT 'Name',
    employee_count bigint COMMENT 'Employees',
    location struct<
        address: string,
        city: string,
        state: string,
        zip: string
    > COMMENT 'Where the facility is',
    services array<string> COMMENT 'Services offered',
    labs array<struct<
        lab_name: string,
        certifications: array<string>
    >> COMMENT 'Laboratories and their certifications',
    accreditations array<struct<
        accreditation_body: string,
        accreditation_id: string,
        valid_until: string
    >> COMMENT 'Accreditations in the order of the upload',
    number_of_offered_services bigint COMMENT 'Number of services',
    upload_id string COMMENT 'Version of the upload that has it'
)
COMMENT 'Accepted facilities of a run, one row per facility and snapshot'
PARTITIONED BY (
    run string COMMENT 'Run that extracted them',
    snapshot_date string COMMENT 'Snapshot, YYYY-MM-DD'
)
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('staging/facility_accreditation/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'projection.snapshot_date.type' = 'injected',
    'storage.location.template'
    = {{ s3('staging/facility_accreditation/run=${run}/facilities/snapshot_date=${snapshot_date}/') }}
)
