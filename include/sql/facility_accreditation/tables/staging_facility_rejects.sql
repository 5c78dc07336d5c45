-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_facility_rejects (
    {% include 'facility_accreditation/columns/facility_rejects.columns' %}
)
COMMENT 'Lines that were rejected, each with its reasons, of one run, before publication'
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
    = {{ s3('staging/facility_accreditation/run=${run}/facility_rejects/snapshot_date=${snapshot_date}/') }}
)
