-- Canonical facility records, one a line, accepted and rejected, as the uploads brought them.
-- A query must name the snapshots it wants: snapshot_date = '2026-11-01' or IN (...).
CREATE EXTERNAL TABLE IF NOT EXISTS bronze_facilities (
    facility_id string COMMENT 'Trimmed and upper-cased, FAC and digits',
    facility_name string COMMENT 'Trimmed',
    employee_count bigint COMMENT 'Employees, 0 or more',
    location struct<
        address: string,
        city: string,
        state: string,
        zip: string
    > COMMENT 'Where the facility is; state is a two-letter code',
    services array<string> COMMENT 'Services offered; empty if the upload had no list',
    labs array<struct<
        lab_name: string,
        certifications: array<string>
    >> COMMENT 'Laboratories and their certifications',
    accreditations array<struct<
        accreditation_body: string,
        accreditation_id: string,
        valid_until: string
    >> COMMENT 'In the order of the upload; valid_until is NULL where it was no date YYYY-MM-DD',
    number_of_offered_services bigint COMMENT 'Length of services as uploaded',
    snapshot_date_differs boolean COMMENT 'The record names another snapshot than its folder',
    reject_reason string COMMENT 'The first rule that the line broke; NULL if accepted',
    reject_reasons array<string> COMMENT 'All rules that the line broke',
    source_key string COMMENT 'S3 key of the upload',
    upload_id string COMMENT 'Version of the upload',
    line_number bigint COMMENT 'Line of the upload where the record begins',
    record_number bigint COMMENT 'Place of the record among those that begin on its line, from 1'
)
COMMENT 'Canonical facility records of every upload, accepted and rejected'
PARTITIONED BY (snapshot_date string COMMENT 'Date of the upload folder, YYYY-MM-DD')
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('bronze/facilities/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.snapshot_date.type' = 'injected',
    'storage.location.template' = {{ s3('bronze/facilities/snapshot_date=${snapshot_date}/') }}
)
