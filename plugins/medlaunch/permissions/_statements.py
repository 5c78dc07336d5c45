"""Statements that several DAGs have."""

from __future__ import annotations

from collections.abc import Sequence

from medlaunch import lake
from medlaunch.declaration import IcebergResult, PartitionedResult, Pipeline
from medlaunch.permissions import Statement


def results(pipeline: Pipeline) -> tuple[str, ...]:
    """The files of all versions of a pipeline's partitioned results."""
    return tuple(
        below(f"{lake.PROD}/{result.name}/")
        for result in pipeline.results
        if isinstance(result, PartitionedResult)
    )


def partitioned_tables(pipeline: Pipeline) -> tuple[str, ...]:
    """The tables whose partitions a pipeline points at files."""
    return tuple(
        result.table for result in pipeline.results if isinstance(result, PartitionedResult) and result.table
    )


def iceberg_results(pipeline: Pipeline) -> tuple[IcebergResult, ...]:
    """The results that a pipeline merges into Iceberg tables."""
    return tuple(one for one in pipeline.results if isinstance(one, IcebergResult))


def below(prefix: str) -> str:
    """All objects below a prefix of the lake."""
    return f"{{bucket}}/{prefix}*"


def catalog(*tables: str) -> tuple[str, ...]:
    """Tables and their ancestors, for each of which Glue wants the permission."""
    return ("{catalog}", "{database}", *(f"{{tables}}{one}" for one in tables))


def list_lake(*steps: str) -> Statement:
    return Statement(
        sid="ListLake",
        actions=("s3:ListBucket",),
        resources=("{bucket}",),
        steps=steps,
        why="Finding uploads and a run's own files. Without a condition on the prefix: with one, S3 answers 403 "
        "instead of 404 for a manifest that does not exist yet.",
    )


def write_reports(*prefixes: str) -> Statement:
    return Statement(
        sid="WriteReports",
        actions=("s3:PutObject",),
        resources=tuple(below(one) for one in prefixes),
        steps=("write_report",),
        why="The report of the run.",
    )


def publish_alerts() -> Statement:
    return Statement(
        sid="PublishAlerts",
        actions=("sns:Publish",),
        resources=("{alerts_topic}",),
        steps=("alert", "dag processor: callback of a failed run"),
        why="One alert per failed run.",
    )


def use_key(
    name: str, service: str, actions: tuple[str, ...], why: str, *steps: str, only_with: tuple[str, ...] = ()
) -> Statement:
    """Using the lake's key, and only through a service of AWS."""
    return Statement(
        sid=f"UseKeyFor{name}",
        actions=actions,
        resources=("{key}",),
        steps=steps,
        why=f"{why} Through {service.upper() if len(service) == 3 else service.capitalize()} only.",
        condition={"StringEquals": {"kms:ViaService": (f"{service}.{{region}}.amazonaws.com",)}},
        only_with=only_with,
    )


def use_key_for_objects(*steps: str) -> Statement:
    why = "All objects of the lake are encrypted with its key."
    return use_key("Objects", "s3", ("kms:Decrypt", "kms:GenerateDataKey"), why, *steps)


def use_key_for_catalog(*steps: str) -> Statement:
    actions = ("kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey")
    return use_key("Catalog", "glue", actions, "The Glue catalog is encrypted with it.", *steps)


def use_key_for_alerts() -> Statement:
    actions = ("kms:Decrypt", "kms:GenerateDataKey")
    return use_key("Alerts", "sns", actions, "The alerts topic is encrypted with it.", "alert")


def merge_slices(
    iceberg: Sequence[IcebergResult], *steps: str, reading: Sequence[str] = ()
) -> tuple[Statement, ...]:
    """``reading``: steps that only read the tables. The commit of a MERGE needs ``glue:UpdateTable`` beside these."""
    files = tuple(below(f"{lake.PROD}/{one.table}/") for one in iceberg)
    return (
        Statement(
            sid="ReadIcebergTables",
            actions=("s3:GetObject",),
            resources=files,
            steps=(*reading, *steps),
            why="What a table holds already: a MERGE compares with it.",
        ),
        Statement(
            sid="WriteIcebergTables",
            actions=("s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"),
            resources=files,
            steps=steps,
            why="An Iceberg table changes by one MERGE, which writes files of data and of metadata.",
        ),
    )


def use_athena(*steps: str) -> tuple[Statement, ...]:
    """Running statements in the pipeline's workgroup, and reading what they return."""
    return (
        Statement(
            sid="UseAthenaResults",
            actions=(
                "s3:GetObject",
                "s3:PutObject",
                "s3:AbortMultipartUpload",
                "s3:ListMultipartUploadParts",
            ),
            resources=(below(f"{lake.ATHENA_RESULTS}/"),),
            steps=steps,
            why="Athena writes the result of each query there, and the tasks read it.",
        ),
        Statement(
            sid="LetAthenaWriteToLake",
            actions=("s3:GetBucketLocation", "s3:ListBucketMultipartUploads"),
            resources=("{bucket}",),
            steps=steps,
            why="Athena looks up where the bucket is, and writes in parts.",
        ),
        Statement(
            sid="RunQueries",
            actions=("athena:StartQueryExecution", "athena:GetQueryExecution"),
            resources=("{workgroup}",),
            steps=steps,
            why="Queries run in the pipeline's own workgroup, with its limits.",
        ),
        Statement(
            sid="FindDatabase",
            actions=("glue:GetDatabase",),
            resources=(*catalog(), "{default_database}"),
            steps=steps,
            why="Athena looks up the database of each statement, and the account's database named default.",
        ),
    )


def stop_queries(*steps: str) -> Statement:
    return Statement(
        sid="StopQueries",
        actions=("athena:StopQueryExecution",),
        resources=("{workgroup}",),
        steps=steps,
        why="A query stops with its task, and stops costing.",
    )
