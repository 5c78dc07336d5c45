"""The permissions of a pipeline, from its declaration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from medlaunch import lake
from medlaunch.declaration import Pipeline
from medlaunch.permissions import Statement
from medlaunch.permissions._statements import (
    below,
    catalog,
    iceberg_results,
    list_lake,
    merge_slices,
    partitioned_tables,
    publish_alerts,
    results,
    stop_queries,
    use_athena,
    use_key,
    use_key_for_alerts,
    use_key_for_catalog,
    use_key_for_objects,
    write_reports,
)

#: About files that a pipeline publishes; one that merges into Iceberg tables only has none.
_ABOUT_FILES = ("MarkSupersededResults", "PointPartitions")
_WATCHER = "triggerer: watcher of the uploads queue"
_QUERIES = ("extract", "check_results")
#: The tasks and places that a DAG has once; every other task is one of each pipeline.
_OF_DAG = ("wait_for_uploads", "prepare_tables", "alert", "triggerer", "dag processor")


def statements(*pipelines: Pipeline) -> tuple[Statement, ...]:
    """What the role of the workers may do for the pipelines of one DAG."""
    (dag_id,) = {one.dag_id for one in pipelines}
    datasets = [one.name for pipeline in pipelines for one in pipeline.datasets]
    landing = tuple(below(lake.landing_prefix(one)) for one in datasets)
    archive = tuple(below(lake.archive_prefix(one)) for one in datasets)
    bronze = tuple(below(f"{lake.BRONZE}/{one}/") for one in datasets)
    quarantine = tuple(below(lake.quarantine_prefix(one)) for one in datasets)
    skipped = tuple(below(lake.skipped_prefix(one)) for one in datasets)
    files = tuple(one for pipeline in pipelines for one in results(pipeline))
    pointed = tuple(one for pipeline in pipelines for one in partitioned_tables(pipeline))
    iceberg = tuple(one for pipeline in pipelines for one in iceberg_results(pipeline))
    manifests = tuple(below(lake.manifests_prefix(one.name)) for one in pipelines)
    in_parts = any(one.cut for pipeline in pipelines for one in pipeline.datasets)
    cutting = ("claim_uploads",) if in_parts else ()
    joining = ("plan_slices",) if in_parts else ()
    # Iceberg tables change in publish_results itself, by MERGE.
    merging = ("publish_results",) if iceberg else ()
    declared = (
        # --- S3: what comes in
        list_lake("wait_for_uploads", "claim_uploads", "plan_slices", *_QUERIES, "publish_results"),
        Statement(
            sid="ReadUploads",
            actions=("s3:GetObject",),
            resources=landing,
            steps=(*cutting, "load_bronze", "publish_results", "archive_uploads"),
            why="The uploads are the input.",
        ),
        Statement(
            sid="ReadExactVersionOfUploads",
            actions=("s3:GetObjectVersion",),
            resources=landing,
            steps=("archive_uploads",),
            why="Only the version that was read is archived, whatever was uploaded meanwhile.",
        ),
        Statement(
            sid="ListVersionsOfUploads",
            actions=("s3:ListBucketVersions",),
            resources=("{bucket}",),
            steps=("archive_uploads",),
            why="What was overwritten before a run read it is archived too, and must not come back into landing.",
        ),
        Statement(
            sid="ReadTagsOfUploads",
            actions=("s3:GetObjectVersionTagging",),
            resources=landing,
            steps=("archive_uploads",),
            why="S3 copies the tags that an uploader gave to a file, and wants to see the permission.",
        ),
        Statement(
            sid="ArchiveUploads",
            actions=("s3:PutObject", "s3:PutObjectTagging"),
            resources=archive,
            steps=("archive_uploads",),
            why="Processed uploads are kept as they came, with their tags.",
        ),
        Statement(
            sid="RemoveProcessedUploads",
            actions=("s3:DeleteObjectVersion",),
            resources=landing,
            steps=("archive_uploads",),
            why="Landing is the queue. By version only, so that no newer upload can be removed.",
        ),
        # --- S3: what the run makes
        Statement(
            sid="WriteBronze",
            actions=("s3:PutObject", "s3:AbortMultipartUpload"),
            resources=bronze,
            steps=("load_bronze",),
            why="Canonical lines; an upload that turns out to be unreadable leaves nothing behind.",
        ),
        Statement(
            sid="ReadBronze",
            actions=("s3:GetObject",),
            resources=bronze,
            steps=_QUERIES,
            why="Athena reads with the permissions of the caller.",
        ),
        Statement(
            sid="WriteQuarantine",
            actions=("s3:PutObject", "s3:AbortMultipartUpload"),
            resources=quarantine,
            steps=("load_bronze", *joining, "archive_uploads"),
            why="Rejected lines with their reasons, and objects that are not data.",
        ),
        Statement(
            sid="TagSkippedObjects",
            actions=("s3:PutObjectTagging",),
            resources=skipped,
            steps=("archive_uploads",),
            why="Skipped objects keep their uploader's tags too.",
        ),
        Statement(
            sid="DropStaleRejects",
            actions=("s3:DeleteObject",),
            resources=quarantine,
            steps=("plan_slices", "publish_results"),
            why="Rejects of an upload that was replaced are no longer true. The bucket keeps the old version.",
        ),
        Statement(
            sid="UseStaging",
            actions=(
                "s3:GetObject",
                "s3:PutObject",
                "s3:DeleteObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ),
            resources=tuple(below(f"{lake.STAGING}/{one.name}/") for one in pipelines),
            steps=(
                "claim_uploads",
                "load_bronze",
                "plan_slices",
                *_QUERIES,
                "publish_results",
                "write_report",
            ),
            why="The run's private place: its documents, and what Athena unloads; a retry empties its target first.",
        ),
        *use_athena("prepare_tables", *_QUERIES, *merging),
        # --- S3: what goes out
        Statement(
            sid="ReadManifests",
            actions=("s3:GetObject",),
            resources=manifests,
            steps=("plan_slices", "publish_results"),
            why="What is published of a slice now, and from which uploads.",
        ),
        Statement(
            sid="PublishResults",
            actions=("s3:PutObject",),
            resources=(
                *files,
                *manifests,
                *(below(lake.version_manifests_prefix(one.name)) for one in pipelines),
                *(below(lake.publication_prefix(one.name)) for one in pipelines),
            ),
            steps=("publish_results",),
            why="The files that readers see, its manifest, and the record of each publication.",
        ),
        Statement(
            sid="MarkSupersededResults",
            actions=("s3:PutObjectTagging",),
            resources=files,
            steps=("publish_results",),
            why="The lifecycle rule removes files of earlier versions by this tag. The pipeline cannot delete them.",
        ),
        write_reports(*(lake.reports_prefix(one.name) for one in pipelines)),
        # --- Athena and the catalog
        stop_queries(*(f"{one}: on_kill" for one in ("prepare_tables", *_QUERIES, *merging))),
        Statement(
            sid="FindQueriesOfKilledTries",
            actions=("athena:ListQueryExecutions", "athena:BatchGetQueryExecution"),
            resources=("{workgroup}",),
            steps=("extract",),
            why="A retry stops the query of a try that was killed: it would write beside the retry's own.",
        ),
        Statement(
            sid="CreateDefaultDatabase",
            actions=("glue:CreateDatabase",),
            resources=("{default_database}",),
            steps=("prepare_tables",),
            why="Athena creates the database named default in an account that has none.",
        ),
        Statement(
            sid="PrepareDatabase",
            actions=("glue:CreateDatabase", "glue:GetDatabases"),
            resources=catalog(),
            steps=("prepare_tables",),
            why="CREATE DATABASE IF NOT EXISTS and CREATE TABLE, by Athena's list of what its statements need.",
        ),
        Statement(
            sid="PrepareTables",
            actions=("glue:GetTables", "glue:CreateTable", "glue:UpdateTable"),
            resources=catalog("*"),
            steps=("prepare_tables", *merging),
            why="CREATE TABLE IF NOT EXISTS and CREATE OR REPLACE VIEW, and the commit of a MERGE; all tables of the "
            "pipeline's own database.",
        ),
        Statement(
            sid="ReadTables",
            actions=("glue:GetTable", "glue:GetPartitions"),
            resources=catalog("*"),
            steps=("prepare_tables", *_QUERIES, "publish_results"),
            why="What a query reads: columns, partitions and where they lie.",
        ),
        Statement(
            sid="PointPartitions",
            actions=("glue:CreatePartition", "glue:UpdatePartition"),
            resources=catalog(*pointed),
            steps=("publish_results",),
            why="Publishing is pointing a slice's partition at its new files. No other table has such partitions.",
        ),
        # --- messages
        publish_alerts(),
        Statement(
            sid="PublishSuccess",
            actions=("sns:Publish",),
            resources=("{success_topic}",),
            steps=("dag processor: callback of a run that succeeded",),
            why="Where a topic for it is configured, one message per run that published something.",
        ),
        Statement(
            sid="ConsumeUploadEvents",
            actions=("sqs:ReceiveMessage", "sqs:DeleteMessage"),
            resources=(f"{{uploads_queues}}{dag_id}",),
            steps=(_WATCHER,),
            why="Where the bucket's notifications go to a queue, an upload starts a run within seconds.",
        ),
        # --- the key
        use_key_for_objects("claim_uploads", "load_bronze"),
        use_key_for_catalog("prepare_tables", "publish_results"),
        use_key_for_alerts(),
        use_key(
            "UploadsQueue",
            "sqs",
            ("kms:Decrypt",),
            "The uploads queue is encrypted with it.",
            _WATCHER,
            only_with=("uploads_queues",),
        ),
        *(merge_slices(iceberg, "prepare_tables", "publish_results", reading=_QUERIES) if iceberg else ()),
    )
    return tuple(
        replace(one, steps=_task_ids(one.steps, pipelines))
        for one in declared
        if one.sid not in _ABOUT_FILES or files
    )


def _task_ids(steps: Sequence[str], pipelines: Sequence[Pipeline]) -> tuple[str, ...]:
    """Steps with the ids that their tasks have in the DAG, in each of its tracks."""
    return tuple(
        step if step.split(":")[0] in _OF_DAG else pipeline.task_id(step)
        for step in steps
        for pipeline in (pipelines[:1] if step.split(":")[0] in _OF_DAG else pipelines)
    )
