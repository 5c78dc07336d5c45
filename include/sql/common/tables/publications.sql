-- Every publication and every rollback, one record each, of all pipelines. Records are never changed, so they show
-- what readers saw at any time: the newest record of a slice before it.
-- noqa: disable=CP01,LT01
CREATE EXTERNAL TABLE IF NOT EXISTS publications (
    publication string COMMENT 'Name of the publication: the version, or rollback. and the run of the rollback',
    action string COMMENT 'publish or rollback',
    pipeline string COMMENT 'DAG of the pipeline',
    environment string COMMENT 'Environment',
    slice string COMMENT 'Slice of the pipeline: a snapshot date, a quarter',
    version string COMMENT 'Version that readers see from then on; it is in the paths below prod/',
    replaced_version string COMMENT 'Version that readers saw before; NULL at the first publication',
    previous_version string COMMENT 'Version that this one was made after; a rollback goes there',
    published_at timestamp COMMENT 'When, UTC',
    published_by string COMMENT 'Run that published or rolled back, as in keys',
    run_id string COMMENT 'Run of the pipeline that made the version',
    reason string COMMENT 'Why it was rolled back; NULL for a publication',
    params map<string, string> COMMENT 'Params of the run that made the version',
    lines_read bigint COMMENT 'Lines that the version was computed from: of all its uploads, or of those that its run merged',
    lines_accepted bigint COMMENT 'Lines accepted',
    lines_superseded bigint COMMENT 'Lines that a later one of the same key replaced',
    lines_rejected bigint COMMENT 'Lines rejected',
    measures map<string, bigint> COMMENT 'Other counts of the pipeline, over its uploads',
    result_rows map<string, bigint> COMMENT 'Rows of each result',
    files bigint COMMENT 'Published files',
    bytes bigint COMMENT 'Bytes of the published files',
    uploads bigint COMMENT 'Uploads that the version was made of',
    excluded_uploads array<string> COMMENT 'Keys of uploads that rollbacks have excluded'
)
COMMENT 'What readers saw when: publications and rollbacks'
ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'
LOCATION {{ s3('publications/') }}
