"""Statements that several DAGs have."""

from __future__ import annotations

from collections.abc import Sequence

from medlaunch import lake
from medlaunch.declaration import IcebergResult, PartitionedResult, Pipeline
from medlaunch.permissions import Statement


def results(pipeline: Pipeline) -> tuple[str, ...]:
    """The files of all versions of a pipeline's results."""
    return tuple(below(f"{lake.PROD}/{result.name}/") for result in pipeline.results)


def partitioned_tables(pipeline: Pipeline) -> tuple[str, ...]:
    """The tables whose partitions a pipeline points at files."""
    return tuple(
        result.table for result in pipeline.results if isinstance(result, PartitionedResult) and result.table
    )


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


def write_reports(prefix: str) -> Statement:
    return Statement(
        sid="WriteReports",
        actions=("s3:PutObject",),
        resources=(below(prefix),),
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


def merge_slices(iceberg: Sequence[IcebergResult], *steps: str) -> Statement:
    return Statement(
        sid="MergeIntoTables",
        actions=("s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "glue:UpdateTable"),
        resources=(
            *(below(f"{lake.PROD}/{one.name}/") for one in iceberg),
            *catalog(*(one.table for one in iceberg)),
        ),
        steps=steps,
        why="An Iceberg table changes by one MERGE, which writes files and commits to the catalog.",
    )
