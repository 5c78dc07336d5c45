"""Partitioned results: files of a version below ``prod/``, and the partition that points at them.

Every version of a slice has prefixes of its own, so nothing that a reader may be reading is ever changed. Moving the
partition's location is one atomic call per table and slice.
"""

from __future__ import annotations

from collections.abc import Sequence
from posixpath import basename
from typing import TYPE_CHECKING, Any

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import Copy, in_parallel, list_objects
from medlaunch.declaration import PartitionedResult, Pipeline
from medlaunch.publish.manifests import Manifest, read_manifest

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import TaggingTypeDef, TagTypeDef

#: The lifecycle rule of the bucket removes objects of prod/ that carry this tag.
SUPERSEDED_TAG: TagTypeDef = {"Key": "medlaunch-state", "Value": "superseded"}


class TableNameConflict(Exception):
    """A result cannot be shown, because a view has the name of its table."""


def staged(run: Run, pipeline: Pipeline, result: str, slice_: str) -> list[Copy]:
    """The files that a run wrote of a result, as copies that have no target yet."""
    prefix = run.path(f"{result}/{lake.partition(pipeline.slice_column, slice_)}")
    return [
        Copy(stored.key, "", stored.size, stored.etag)
        for stored in list_objects(run.s3, run.bucket, prefix)
        if not basename(stored.key).startswith((".", "_"))
    ]


def targets(prefix: str, copies: Sequence[Copy]) -> list[Copy]:
    """Copies of staged files to the prefix of a version."""
    return [
        Copy(one.source, prefix + _published_name(one.source, number), one.size, one.etag)
        for number, one in enumerate(copies)
    ]


def _published_name(source: str, number: int) -> str:
    """Athena names its files at random; the exports that people open keep the name they were given."""
    name = basename(source)
    return name if name.endswith((".csv", ".ndjson")) else f"part-{number:05d}.parquet"


def stored_keys(s3: S3Client, bucket: str, pipeline: Pipeline, slice_: str) -> set[str]:
    """Everything of a slice below ``prod/``, of whatever version."""
    prefixes = [
        lake.versions_prefix(result.name, pipeline.slice_column, slice_)
        for result in pipeline.results
        if isinstance(result, PartitionedResult)
    ]
    listings = in_parallel(lambda prefix: [one.key for one in list_objects(s3, bucket, prefix)], prefixes)
    return {key for keys in listings for key in keys}


def mark_superseded(s3: S3Client, bucket: str, manifest: Manifest, keys: Sequence[str]) -> None:
    """Have the lifecycle rule remove files of a slice, but none of what readers see by now."""
    seen = read_manifest(s3, bucket, manifest.pipeline, manifest.slice)
    spared = set(seen.keys) if seen else set()
    mark: TaggingTypeDef = {"TagSet": [SUPERSEDED_TAG]}
    in_parallel(
        lambda key: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=mark),
        [key for key in keys if key not in spared],
    )


def spare(s3: S3Client, bucket: str, keys: Sequence[str]) -> None:
    """Have the lifecycle rule spare files that a rollback brings back."""
    in_parallel(lambda key: s3.delete_object_tagging(Bucket=bucket, Key=key), keys)


def point(glue: GlueClient, bucket: str, database: str, pipeline: Pipeline, manifest: Manifest) -> None:
    """Point the partition of each table at the files of a version; doing it again changes nothing.

    Raises:
        TableNameConflict: if a view has the name of a table.
    """
    for result in pipeline.results:
        prefix = manifest.results[result.name].prefix
        if isinstance(result, PartitionedResult) and result.table and prefix:
            _point(glue, database, result.table, manifest.slice, lake.s3_uri(bucket, prefix))


def _point(glue: GlueClient, database: str, table: str, slice_: str, location: str) -> None:
    """One atomic call: readers see the old location or the new one, never anything between."""
    values = [slice_]
    found: Any = glue.get_table(DatabaseName=database, Name=table)["Table"]
    if found.get("TableType") == "VIRTUAL_VIEW":
        # CREATE TABLE IF NOT EXISTS lets it be, and its readers would go on seeing what they saw.
        raise TableNameConflict(
            f"{database}.{table} is a view, and the table of that name is to be published. DROP VIEW {table}, "
            "and clear prepare_tables and everything downstream of it"
        )
    partition: Any = {
        "Values": values,
        "StorageDescriptor": {**found["StorageDescriptor"], "Location": location},
    }
    try:
        glue.update_partition(
            DatabaseName=database, TableName=table, PartitionValueList=values, PartitionInput=partition
        )
    except glue.exceptions.EntityNotFoundException:
        glue.create_partition(DatabaseName=database, TableName=table, PartitionInput=partition)
