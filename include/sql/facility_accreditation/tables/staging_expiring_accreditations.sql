-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_expiring_accreditations (
    {% include 'facility_accreditation/columns/expiring_accreditations.columns' %}
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
