-- Published: expiring_facilities.ndjson of each snapshot.
CREATE EXTERNAL TABLE IF NOT EXISTS expiring_facilities (
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
    >> COMMENT 'All accreditations of the facility'
)
COMMENT 'Whole records of the facilities with an accreditation that expires within the window'
PARTITIONED BY (snapshot_date date COMMENT 'Snapshot')
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('prod/expiring_facilities/') }}
