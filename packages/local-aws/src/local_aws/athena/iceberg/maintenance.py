"""OPTIMIZE and VACUUM, and which objects belong to a table."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pyiceberg.manifest import ManifestContent
from pyiceberg.table import TableProperties
from pyiceberg.table.snapshots import Snapshot, ancestors_of

from local_aws.athena import statements as st
from local_aws.athena.context import Context
from local_aws.athena.errors import QueryError
from local_aws.athena.hive_parser import HiveParser
from local_aws.athena.iceberg.scan import Planned, plan, rows
from local_aws.athena.iceberg.table import (
    COMMIT_FAILURES,
    FILE,
    IcebergTable,
    StoreIO,
    commit_lock,
    conflict,
    split,
)
from local_aws.athena.iceberg.write import commit, pending, write, writing
from local_aws.athena.parser import padded
from local_aws.athena.tables import split_location
from local_aws.athena.types import quote
from local_aws.objects import NoSuchBucket


def _table(context: Context, name: st.Name, what: str) -> IcebergTable:
    database = (name.database or context.database).lower()
    found = context.catalog.resolve(None, database, name.name, (1, 1))
    if not isinstance(found, IcebergTable):
        raise QueryError(
            "NOT_SUPPORTED", f"{what} is only supported for Iceberg tables, which {name.name} is not"
        )
    return found


# ---------------------------------------------------------------------------------------- OPTIMIZE


def optimize(context: Context, sql: str) -> None:
    """OPTIMIZE table REWRITE DATA USING BIN_PACK [WHERE predicate].

    https://docs.aws.amazon.com/athena/latest/ug/optimize-statement.html
    """
    p = HiveParser(sql)
    p.expect("OPTIMIZE")
    name = p.name()
    p.expect("REWRITE", "DATA", "USING", "BIN_PACK")
    start = p.token.start
    if p.token.word == "WHERE":
        table, files = _where(context, name, sql, start)
    else:
        p.end()
        table = _table(context, name, "OPTIMIZE")
        files = plan(table)
    chosen = _worth(table, files)
    if not chosen:
        return
    items = [f't.{quote(n)} AS "c{i}"' for i, (n, _) in enumerate(table.columns)]
    source = rows(context.reader, table, chosen, [c.field for c in table.fields], [])
    with writing(context) as written:
        # None of these rows is new, so none counts for the limit of partitions.
        every = f"SELECT {', '.join(items)} FROM {source} AS t"
        added = write(written, table.metadata, every, counted=f"{every} WHERE false")
        commit(written, table, added, [x.file for x in chosen], replace=True)


def _where(context: Context, name: st.Name, sql: str, start: int) -> tuple[IcebergTable, list[Planned]]:
    """The files with any row for which the predicate holds."""
    text = ".".join(f'"{n}"' for n in (name.database, name.name) if n)
    query = f'SELECT DISTINCT "{FILE}" FROM {text} ' + padded(sql, start, len(sql)).lstrip()
    body, _, compiler = context.compile(query)
    table = compiler.scans[0].table
    if not isinstance(table, IcebergTable):
        raise QueryError(
            "NOT_SUPPORTED", f"OPTIMIZE is only supported for Iceberg tables, which {name.name} is not"
        )
    numbers = {n for (n,) in context.session.rows(body)}
    return table, [x for x in compiler.scans[0].plan if x.number in numbers]


def _worth(table: IcebergTable, files: list[Planned]) -> list[Planned]:
    """The files that are too small, too large, or have too many delete files."""
    properties = table.metadata.properties

    def number(key: str, default: float) -> int:
        return int(properties.get(key, default))

    target = number(
        TableProperties.WRITE_TARGET_FILE_SIZE_BYTES, TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT
    )
    small = number("optimize_rewrite_min_data_file_size_bytes", target * 0.75)
    large = number("optimize_rewrite_max_data_file_size_bytes", target * 1.8)
    deletes = number("optimize_rewrite_delete_file_threshold", 2)
    threshold = number("optimize_rewrite_data_file_threshold", 5)
    partitions: dict[Any, list[Planned]] = {}
    for x in files:
        partitions.setdefault((x.file.spec_id, repr(x.file.partition)), []).append(x)
    chosen = []
    for group in partitions.values():
        sized = [x for x in group if not small <= x.file.file_size_in_bytes <= large]
        marked = [x for x in group if len(x.task.delete_files) >= deletes]
        old = [x for x in group if x.file.spec_id != table.metadata.default_spec_id]
        wanted = [*marked, *old] if len(sized) < threshold else [*marked, *old, *sized]
        chosen += [x for x in group if any(x is y for y in wanted)]
    return chosen


# ------------------------------------------------------------------------------------------ VACUUM


def vacuum(context: Context, sql: str) -> None:
    """Expires snapshots and removes what no snapshot needs.

    https://docs.aws.amazon.com/athena/latest/ug/vacuum-statement.html
    """
    p = HiveParser(sql)
    p.expect("VACUUM")
    name = p.name()
    p.end()
    table = _table(context, name, "VACUUM")
    if not split_location(table.metadata.location)[1]:
        raise QueryError(
            "GENERIC_INTERNAL_ERROR", f"Path missing in file system location: {table.metadata.location}"
        )
    now = time.time()
    properties = table.metadata.properties
    age = int(
        properties.get(TableProperties.MAX_SNAPSHOT_AGE_MS, TableProperties.MAX_SNAPSHOT_AGE_MS_DEFAULT)
    )
    least = int(
        properties.get(TableProperties.MIN_SNAPSHOTS_TO_KEEP, TableProperties.MIN_SNAPSHOTS_TO_KEEP_DEFAULT)
    )
    with commit_lock(table):
        table = _table(context, name, "VACUUM")
        metadata = table.metadata
        heads = {ref.snapshot_id for ref in metadata.refs.values()}
        ancestry = list(ancestors_of(metadata.current_snapshot(), metadata))
        kept = heads | {s.snapshot_id for s in ancestry[: max(least, 1)]}
        expired = [
            s for s in metadata.snapshots if s.timestamp_ms < now * 1000 - age and s.snapshot_id not in kept
        ]
        if expired:
            try:
                with table.py().transaction() as transaction:
                    _expire(transaction, expired)
            except COMMIT_FAILURES as e:
                raise conflict(table, e) from e
            table = _table(context, name, "VACUUM")
        needed = reachable(table, table.metadata.snapshots)
        keep = int(
            properties.get(
                TableProperties.METADATA_PREVIOUS_VERSIONS_MAX,
                TableProperties.METADATA_PREVIOUS_VERSIONS_MAX_DEFAULT,
            )
        )
        log = [e.metadata_file for e in table.metadata.metadata_log]
        needed.difference_update(log[: max(len(log) - keep, 0)])
        gone = reachable(table, expired, missing_ok=True) - needed if expired else set()
        writing_now = pending()
        for location, path in _listed(table):
            old = path.stat().st_mtime < now - age / 1000 if path.exists() else False
            if old and location not in needed and location not in writing_now:
                gone.add(location)
        delete_files(table, gone)


def _expire(transaction: Any, snapshots: list[Snapshot]) -> None:
    from pyiceberg.table.update.snapshot import ExpireSnapshots

    ExpireSnapshots(transaction).by_ids([s.snapshot_id for s in snapshots]).commit()


# ----------------------------------------------------------------------------------------- objects


def reachable(table: IcebergTable, snapshots: Iterable[Snapshot], *, missing_ok: bool = False) -> set[str]:
    """The locations of all objects that these snapshots and the table's metadata need."""
    io = StoreIO(table.store)
    out = {table.metadata_location, *(e.metadata_file for e in table.metadata.metadata_log)}
    out.update(s.statistics_path for s in table.metadata.statistics)
    seen: set[str] = set()
    for snapshot in snapshots:
        out.add(snapshot.manifest_list)
        try:
            for manifest in snapshot.manifests(io):
                if manifest.manifest_path in seen:
                    continue
                seen.add(manifest.manifest_path)
                out.add(manifest.manifest_path)
                assert manifest.content in (ManifestContent.DATA, ManifestContent.DELETES)
                for entry in manifest.fetch_manifest_entry(io, discard_deleted=True):
                    out.add(entry.data_file.file_path)
        except FileNotFoundError as e:
            if not missing_ok:
                raise QueryError(
                    "ICEBERG_INVALID_METADATA", f"Missing file of table {table.database}.{table.name}: {e}"
                ) from e
    return out


def _listed(table: IcebergTable) -> list[tuple[str, Path]]:
    """The objects below the table's location, which Glue knows even where the metadata is lost."""
    bucket, prefix = split_location(table.location)
    if not prefix:
        return []
    try:
        return [(f"s3://{bucket}/{o.key}", Path(o.path)) for o in table.store.objects(bucket, prefix)]
    except NoSuchBucket:
        return []


def below(table: IcebergTable) -> set[str]:
    """All objects below the table's location."""
    try:
        return {location for location, _ in _listed(table)}
    except QueryError:
        return set()


def delete_files(table: IcebergTable, locations: Iterable[str]) -> None:
    by_bucket: dict[str, list[str]] = {}
    for location in locations:
        bucket, key = split(re.sub(r"^s3[an]://", "s3://", location))
        by_bucket.setdefault(bucket, []).append(key)
    for bucket, keys in by_bucket.items():
        try:
            table.store.delete(bucket, sorted(keys))
        except NoSuchBucket:
            continue
