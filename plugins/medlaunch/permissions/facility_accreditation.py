"""The permissions of the DAG facility_accreditation."""

from __future__ import annotations

from medlaunch import lake
from medlaunch.permissions import Statement
from medlaunch.permissions._needs import (
    RESULTS,
    TABLES,
    below,
    catalog,
    list_lake,
    publish_alerts,
    use_key,
    use_key_for_alerts,
    use_key_for_catalog,
    use_key_for_objects,
    write_reports,
)

_DAG = "facility_accreditation"
_LANDING = below(lake.landing_prefix("facilities"))
_ARCHIVE = below(f"{lake.ARCHIVE}/facilities/")
_BRONZE = below(f"{lake.BRONZE}/facilities/")
_QUARANTINE = below(f"{lake.QUARANTINE}/facilities/")
_MANIFESTS = below(f"{lake.PROD}/manifests/{_DAG}/")
_VERSIONS = below(lake.version_manifests_prefix(_DAG))
_QUERIES = ("extract", "count")
_WATCHER = "triggerer: watcher of the uploads queue"


STATEMENTS = (
    # --- S3: what comes in
    list_lake("wait_for_uploads", "claim_uploads", "plan_snapshots", *_QUERIES, "publish_results"),
    Statement(
        sid="ReadUploads",
        actions=("s3:GetObject",),
        resources=(_LANDING,),
        steps=("load_bronze", "publish_results", "acknowledge_uploads"),
        why="The uploads are the input.",
    ),
    Statement(
        sid="ReadExactVersionOfUploads",
        actions=("s3:GetObjectVersion",),
        resources=(_LANDING,),
        steps=("acknowledge_uploads",),
        why="Only the version that was read is archived, whatever was uploaded meanwhile.",
    ),
    Statement(
        sid="ListVersionsOfUploads",
        actions=("s3:ListBucketVersions",),
        resources=("{bucket}",),
        steps=("acknowledge_uploads",),
        why="What was overwritten before a run read it is archived too, and must not come back into landing.",
    ),
    Statement(
        sid="ReadTagsOfUploads",
        actions=("s3:GetObjectVersionTagging",),
        resources=(_LANDING,),
        steps=("acknowledge_uploads",),
        why="S3 copies the tags that an uploader gave to a file, and wants to see the permission.",
    ),
    Statement(
        sid="ArchiveUploads",
        actions=("s3:PutObject", "s3:PutObjectTagging"),
        resources=(_ARCHIVE,),
        steps=("acknowledge_uploads",),
        why="Processed uploads are kept as they came, with their tags.",
    ),
    Statement(
        sid="RemoveProcessedUploads",
        actions=("s3:DeleteObjectVersion",),
        resources=(_LANDING,),
        steps=("acknowledge_uploads",),
        why="Landing is the queue. By version only, so that no newer upload can be removed.",
    ),
    # --- S3: what the run makes
    Statement(
        sid="WriteBronze",
        actions=("s3:PutObject", "s3:AbortMultipartUpload"),
        resources=(_BRONZE,),
        steps=("load_bronze",),
        why="Canonical lines; an upload that turns out to be unreadable leaves nothing behind.",
    ),
    Statement(
        sid="ReadBronze",
        actions=("s3:GetObject",),
        resources=(_BRONZE,),
        steps=("extract.extract_facilities", "extract.extract_rejects", "count.count_lines"),
        why="Athena reads with the permissions of whoever asks.",
    ),
    Statement(
        sid="WriteQuarantine",
        actions=("s3:PutObject", "s3:AbortMultipartUpload"),
        resources=(_QUARANTINE,),
        steps=("load_bronze", "acknowledge_uploads"),
        why="Rejected lines with their reasons, and objects that are not data.",
    ),
    Statement(
        sid="TagWhatIsSetAside",
        actions=("s3:PutObjectTagging",),
        resources=(below(f"{lake.QUARANTINE}/facilities/set_aside/"),),
        steps=("acknowledge_uploads",),
        why="What is set aside keeps its uploader's tags too.",
    ),
    Statement(
        sid="DropStaleRejects",
        actions=("s3:DeleteObject",),
        resources=(_QUARANTINE,),
        steps=("plan_snapshots", "publish_results"),
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
        resources=(below(f"{lake.STAGING}/{_DAG}/"),),
        steps=(
            "claim_uploads",
            "load_bronze",
            "plan_snapshots",
            *_QUERIES,
            "write_report",
        ),
        why="The run's private place: its documents, and what Athena unloads; a retry empties its target first.",
    ),
    Statement(
        sid="UseAthenaResults",
        actions=("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
        resources=(below(f"{lake.ATHENA_RESULTS}/"),),
        steps=("prepare_tables", *_QUERIES, "check_results"),
        why="Athena writes the result of each query there, and the tasks read it.",
    ),
    Statement(
        sid="LetAthenaWriteToLake",
        actions=("s3:GetBucketLocation", "s3:ListBucketMultipartUploads"),
        resources=("{bucket}",),
        steps=("prepare_tables", *_QUERIES),
        why="Athena looks where the bucket is, and writes in parts.",
    ),
    # --- S3: what goes out
    Statement(
        sid="ReadManifests",
        actions=("s3:GetObject",),
        resources=(_MANIFESTS,),
        steps=("plan_snapshots", "publish_results"),
        why="What is published of a snapshot now, and from which uploads.",
    ),
    Statement(
        sid="PublishResults",
        actions=("s3:PutObject",),
        resources=(*RESULTS, _MANIFESTS, _VERSIONS, below(lake.publication_prefix(_DAG))),
        steps=("publish_results",),
        why="The files that readers see, its manifest, and the record of each publication.",
    ),
    Statement(
        sid="MarkSupersededResults",
        actions=("s3:PutObjectTagging",),
        resources=RESULTS,
        steps=("publish_results",),
        why="The lifecycle rule removes files of earlier versions by this tag. The pipeline cannot delete them.",
    ),
    write_reports(_DAG),
    # --- Athena and the catalog
    Statement(
        sid="RunQueries",
        actions=("athena:StartQueryExecution", "athena:GetQueryExecution"),
        resources=("{workgroup}",),
        steps=("prepare_tables", *_QUERIES),
        why="Queries run in the pipeline's own workgroup, with its limits.",
    ),
    Statement(
        sid="StopQueries",
        actions=("athena:StopQueryExecution",),
        resources=("{workgroup}",),
        steps=("prepare_tables: on_kill", "extract: on_kill", "count: on_kill"),
        why="A query stops with its task, and stops costing.",
    ),
    Statement(
        sid="FindQueriesOfKilledTries",
        actions=("athena:ListQueryExecutions", "athena:BatchGetQueryExecution"),
        resources=("{workgroup}",),
        steps=("extract",),
        why="A retry stops the query of a try that was killed: it would write beside the retry's own.",
    ),
    Statement(
        sid="FindDatabase",
        actions=("glue:GetDatabase",),
        resources=catalog(),
        steps=("prepare_tables", *_QUERIES),
        why="Athena looks the database up for each statement.",
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
        steps=("prepare_tables",),
        why="CREATE TABLE IF NOT EXISTS and CREATE OR REPLACE VIEW; all tables of the pipeline's own database.",
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
        resources=catalog(*TABLES),
        steps=("publish_results",),
        why="Publishing is pointing a snapshot's partition at its new files. No other table has such partitions.",
    ),
    # --- telling, and being told
    publish_alerts(),
    Statement(
        sid="TellOfSuccesses",
        actions=("sns:Publish",),
        resources=("{success_topic}",),
        steps=("dag processor: callback of a run that succeeded",),
        why="Where a topic for it is configured, one message a run that published something.",
    ),
    Statement(
        sid="HearOfUploads",
        actions=("sqs:ReceiveMessage", "sqs:DeleteMessage"),
        resources=("{uploads_queue}",),
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
        only_with=("uploads_queue",),
    ),
)
