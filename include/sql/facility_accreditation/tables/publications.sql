-- Every publication and every rollback, one record each, of all pipelines. Records are never changed, so what
-- readers saw at any time can be told: the newest record of a snapshot before it.
-- noqa: disable=CP01,LT01
CREATE EXTERNAL TABLE IF NOT EXISTS publications (
    publication string COMMENT 'Name of the publication: the version, or rollback. and the run of the rollback',
    action string COMMENT 'publish or rollback',
    pipeline string COMMENT 'DAG of the pipeline',
    environment string COMMENT 'Environment',
    snapshot_date date COMMENT 'Snapshot',
    version string COMMENT 'Version that readers see from then on; it is in the paths below prod/',
    replaced_version string COMMENT 'Version that readers saw before; NULL at the first publication',
    previous_version string COMMENT 'Version that this one was made after; a rollback goes there',
    published_at timestamp COMMENT 'When, UTC',
    published_by string COMMENT 'Run that published or rolled back, as in keys',
    run_id string COMMENT 'Run of the pipeline that made the version',
    reason string COMMENT 'Why it was rolled back; NULL for a publication',
    as_of date COMMENT 'Day on which accreditations were looked at',
    expiry_window string COMMENT 'ISO-8601 duration from as_of on',
    lines_read bigint COMMENT 'Lines of all uploads of the snapshot',
    lines_accepted bigint COMMENT 'Lines accepted: facilities of the snapshot',
    lines_superseded bigint COMMENT 'Lines that a later one of the same facility replaced',
    lines_rejected bigint COMMENT 'Lines rejected',
    result_rows map<string, bigint> COMMENT 'Rows of each result',
    files bigint COMMENT 'Published files',
    bytes bigint COMMENT 'Bytes of the published files',
    uploads bigint COMMENT 'Uploads that the version was made of',
    withdrawn_uploads array<string> COMMENT 'Keys of uploads that rollbacks have taken out'
)
COMMENT 'What readers saw when: publications and rollbacks'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('reports/publications/') }}
