-- What a run wrote and has not published yet.
-- noqa: disable=PRS
CREATE EXTERNAL TABLE IF NOT EXISTS staging_facility_dim (
    {% include 'nurse_staffing/columns/facility_dim.columns' %}
)
COMMENT 'Facilities that a run has read, before publication'
PARTITIONED BY (
    run string COMMENT 'Run that wrote them'
)
STORED AS PARQUET
LOCATION {{ s3('staging/nurse_staffing/') }}
TBLPROPERTIES (
    'projection.enabled' = 'true',
    'projection.run.type' = 'injected',
    'storage.location.template'
    = {{ s3('staging/nurse_staffing/run=${run}/facility_dim/') }}
)
