-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_accredited_facilities_by_state (
    {% include 'facility_accreditation/columns/accredited_facilities_by_state.columns' %}
)
COMMENT 'Facilities and accredited facilities of each state, of one run, before publication'
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
    = {{ s3('staging/facility_accreditation/run=${run}/accredited_facilities_by_state/snapshot_date=${snapshot_date}/') }}
)
