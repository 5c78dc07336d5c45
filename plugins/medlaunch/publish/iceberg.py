"""Iceberg results: rows by key, changed by one MERGE per table.

A version of a slice is the snapshot of the table after its MERGE. It stays readable as long as VACUUM keeps snapshots
(``vacuum_max_snapshot_age_seconds``), so rolling back is one MERGE from the table as it was then.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from medlaunch.athena.queries import render
from medlaunch.athena.statements import Identifier
from medlaunch.aws.documents import Run
from medlaunch.declaration import IcebergResult, Pipeline
from medlaunch.publish.manifests import Manifest

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

    from medlaunch.athena.queries import Queries


#: Instead of a snapshot: the table held nothing yet.
EMPTY = "empty"


class ConcurrentMerge(Exception):
    """Another run changed the table between the MERGE and the look at its snapshot; a retry merges once more."""


def iceberg_results(pipeline: Pipeline) -> list[IcebergResult]:
    """The Iceberg results of a pipeline."""
    return [one for one in pipeline.results if isinstance(one, IcebergResult)]


def merge(run: Run, queries: Queries, pipeline: Pipeline, slices: Sequence[str]) -> dict[str, str]:
    """Merge the staged rows of slices into each Iceberg table; doing it again commits nothing.

    Returns the snapshot of the table by result; empty if the pipeline has no Iceberg result, or there is no slice.

    Raises:
        ConcurrentMerge: if it is not certain which snapshot is that of this MERGE.
        QueryFailed: if Athena refuses the MERGE, for example because another one committed first.
    """
    made = {}
    for result in iceberg_results(pipeline) if slices else ():
        before = snapshots(queries, result.table)
        queries.run(render(f"{pipeline.dag_id}/{result.merge}", {"run": run.key, "slices": list(slices)}))
        after = snapshots(queries, result.table)
        new = [one for one in after if one not in before]
        if len(new) > 1:
            raise ConcurrentMerge(
                f"{result.table} has {len(new)} new snapshots after the MERGE of {pipeline.dag_id} {run.run_id}: another "
                "run changed it in the same moment. A retry merges once more"
            )
        made[result.name] = new[0] if new else after[0] if after else EMPTY
    return made


def snapshots(queries: Queries, table: str) -> list[str]:
    """The snapshots of a table's history, the current one first."""
    rows = queries.rows(render("common/iceberg_history.sql", {"table": Identifier(table)}))
    return [row["snapshot_id"] for row in rows]


def missing_snapshots(queries: Queries, pipeline: Pipeline, manifest: Manifest) -> list[str]:
    """The snapshots of a version that VACUUM has removed, as ``table snapshot``."""
    gone = []
    for result in iceberg_results(pipeline):
        snapshot = manifest.results[result.name].iceberg_snapshot
        if snapshot == EMPTY:
            continue
        if snapshot is None or snapshot not in snapshots(queries, result.table):
            gone.append(f"{result.table} {snapshot}")
    return gone


def restore(
    queries: Queries, glue: GlueClient, database: str, pipeline: Pipeline, manifest: Manifest
) -> None:
    """Make each Iceberg table show a slice as it was in a version; doing it again commits nothing."""
    for result in iceberg_results(pipeline):
        snapshot = manifest.results[result.name].iceberg_snapshot
        if snapshot == EMPTY:
            values: Mapping[str, object] = {
                "table": Identifier(result.table),
                "slice_column": Identifier(result.slice_column),
                "slice": manifest.slice,
            }
            queries.run(render("common/empty_slice.sql", values))
        elif snapshot is not None:
            queries.run(_restore_statement(glue, database, result, manifest.slice, int(snapshot)))


def _restore_statement(
    glue: GlueClient, database: str, result: IcebergResult, slice_: str, snapshot: int
) -> str:
    found = glue.get_table(DatabaseName=database, Name=result.table)["Table"]
    columns = [Identifier(one["Name"]) for one in found["StorageDescriptor"]["Columns"]]
    values: Mapping[str, object] = {
        "table": Identifier(result.table),
        "columns": columns,
        "keys": [Identifier(one) for one in result.keys],
        "values": [one for one in columns if one not in (*result.keys, result.slice_column)],
        "slice_column": Identifier(result.slice_column),
        "slice": slice_,
        "snapshot": snapshot,
    }
    return render("common/restore_slice.sql", values)
