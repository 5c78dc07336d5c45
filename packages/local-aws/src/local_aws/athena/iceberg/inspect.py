"""What a table's metadata says of itself, as tables: "t$snapshots", "t$files" and so on.

https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-table-metadata.html, with the columns and types
of https://trino.io/docs/435/connector/iceberg.html#metadata-tables
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg import types as it
from pyiceberg.conversions import from_bytes
from pyiceberg.manifest import DataFile, DataFileContent
from pyiceberg.table.snapshots import ancestors_of
from pyiceberg.transforms import IdentityTransform

from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError
from local_aws.athena.iceberg.table import IcebergTable, StoreIO, trino_type
from local_aws.athena.plan import Scan
from local_aws.athena.tables import CATALOG, Table
from local_aws.athena.types import Type, duckdb_type, quote

Row = tuple[Any, ...]
_WHEN = Type("timestamp with time zone", p=3)
_COUNTS = ty.map_of(ty.INTEGER, ty.BIGINT)
_BOUNDS = ty.map_of(ty.INTEGER, ty.VARCHAR)


class MetadataTable(Table):
    """A table of an Iceberg table's metadata."""

    def __init__(
        self, base: IcebergTable, what: str, columns: list[tuple[str, Type]], made: Callable[[], list[Row]]
    ) -> None:
        super().__init__({"DatabaseName": base.database, "Name": f"{base.name}${what}"})
        self._columns = columns
        self.made = made

    @property
    def columns(self) -> list[tuple[str, Type]]:
        return self._columns

    @property
    def hidden(self) -> list[tuple[str, Type]]:
        return []

    @property
    def format(self) -> str:
        return "iceberg metadata"


def metadata_table(table: Table, what: str, where: tuple[int, int] | None) -> MetadataTable:
    """Raises TABLE_NOT_FOUND for a name that means nothing."""
    assert isinstance(table, IcebergTable)
    made = _TABLES.get(what)
    if made is None:
        raise QueryError(
            "TABLE_NOT_FOUND", f"Table '{CATALOG}.{table.database}.{table.name}${what}' does not exist", where
        )
    columns, rows = made
    return MetadataTable(
        table, what, columns if isinstance(columns, list) else columns(table), lambda: rows(table)
    )


def relation(scratch: Path, scan: Scan) -> str:
    """DuckDB SQL that stands for the scan of a metadata table."""
    table = scan.table
    assert isinstance(table, MetadataTable)
    rows = table.made()
    arrays = [pa.array([r[i] for r in rows], _arrow(t)) for i, (_, t) in enumerate(table.columns)]
    path = scratch / f"metadata-{uuid.uuid4().hex}.parquet"
    pq.write_table(pa.table(arrays, names=[n for n, _ in table.columns]), path)
    items = ", ".join(f"CAST({quote(n)} AS {duckdb_type(t)}) AS {quote(n)}" for n, t in table.columns)
    text = "'" + str(path).replace("'", "''") + "'"
    return f"(SELECT {items} FROM read_parquet({text}))"


def _arrow(t: Type) -> pa.DataType:
    simple = {
        "varchar": pa.string(),
        "bigint": pa.int64(),
        "integer": pa.int32(),
        "boolean": pa.bool_(),
        "double": pa.float64(),
        "real": pa.float32(),
        "varbinary": pa.binary(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us"),
        "timestamp with time zone": pa.timestamp("us", "UTC"),
    }
    if t.base in simple:
        return simple[t.base]
    if t.base == "decimal":
        return pa.decimal128(*t.digits)
    if t.base == "array":
        return pa.list_(_arrow(t.args[0]))
    if t.base == "map":
        return pa.map_(_arrow(t.args[0]), _arrow(t.args[1]))
    return pa.struct([pa.field(n or "", _arrow(a)) for n, a in zip(t.names, t.args, strict=True)])


def _moment(milliseconds: int) -> dt.datetime:
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(milliseconds=milliseconds)


def _files(table: IcebergTable) -> list[DataFile]:
    """The files of the current snapshot."""
    snapshot = table.metadata.current_snapshot()
    if snapshot is None:
        return []
    io = StoreIO(table.store)
    return [
        entry.data_file
        for manifest in snapshot.manifests(io)
        for entry in manifest.fetch_manifest_entry(io, discard_deleted=True)
    ]


# -------------------------------------------------------------------------------------------- tables


def _snapshots(table: IcebergTable) -> list[Row]:
    out = []
    for s in table.metadata.snapshots:
        summary = s.summary
        operation = summary.operation.value if summary is not None else None
        more = list(summary.additional_properties.items()) if summary is not None else None
        out.append(
            (_moment(s.timestamp_ms), s.snapshot_id, s.parent_snapshot_id, operation, s.manifest_list, more)
        )
    return out


def _history(table: IcebergTable) -> list[Row]:
    metadata = table.metadata
    current = {s.snapshot_id for s in ancestors_of(metadata.current_snapshot(), metadata)}
    out = []
    for e in metadata.snapshot_log:
        snapshot = metadata.snapshot_by_id(e.snapshot_id)
        parent = snapshot.parent_snapshot_id if snapshot is not None else None
        out.append((_moment(e.timestamp_ms), e.snapshot_id, parent, e.snapshot_id in current))
    return out


def _refs(table: IcebergTable) -> list[Row]:
    return [
        (
            name,
            ref.snapshot_ref_type.value.upper(),
            ref.snapshot_id,
            ref.max_ref_age_ms,
            ref.min_snapshots_to_keep,
            ref.max_snapshot_age_ms,
        )
        for name, ref in table.metadata.refs.items()
    ]


def _manifests(table: IcebergTable) -> list[Row]:
    snapshot = table.metadata.current_snapshot()
    if snapshot is None:
        return []
    out = []
    for m in snapshot.manifests(StoreIO(table.store)):
        spec = table.metadata.specs()[m.partition_spec_id]
        kinds = spec.partition_type(table.metadata.schema()).fields
        summaries = []
        for field, part, kind in zip(spec.fields, m.partitions or [], kinds, strict=False):
            summaries.append(
                {
                    "contains_null": part.contains_null,
                    "contains_nan": part.contains_nan,
                    "lower_bound": _shown(kind.field_type, part.lower_bound, field.transform),
                    "upper_bound": _shown(kind.field_type, part.upper_bound, field.transform),
                }
            )
        out.append(
            (
                m.manifest_path,
                m.manifest_length,
                m.partition_spec_id,
                m.added_snapshot_id,
                m.added_files_count,
                m.added_rows_count,
                m.existing_files_count,
                m.existing_rows_count,
                m.deleted_files_count,
                m.deleted_rows_count,
                summaries,
            )
        )
    return out


def _shown(t: it.IcebergType, value: bytes | None, transform: Any = None) -> str | None:
    if value is None:
        return None
    assert isinstance(t, it.PrimitiveType)
    return str((transform or IdentityTransform()).to_human_string(t, _bound(t, value)))


def _bound(t: it.PrimitiveType, value: bytes) -> Any:
    """A bound's value; that of a file from before the column was widened is in the narrower type."""
    if len(value) == 4 and isinstance(t, it.LongType | it.DoubleType):
        t = it.IntegerType() if isinstance(t, it.LongType) else it.FloatType()
    return from_bytes(t, value)


def _data_files(table: IcebergTable) -> list[Row]:
    schema = table.metadata.schema()

    def bounds(values: dict[int, bytes] | None) -> list[tuple[int, str | None]] | None:
        if values is None:
            return None
        out = []
        for i, v in values.items():
            try:
                t = schema.find_type(i)
            except ValueError:
                # A column that was dropped.
                continue
            out.append((i, _shown(t, v)))
        return out

    def counts(values: dict[int, int] | None) -> list[tuple[int, int]] | None:
        return None if values is None else list(values.items())

    return [
        (
            int(f.content.value),
            f.file_path,
            f.file_format.value,
            f.record_count,
            f.file_size_in_bytes,
            counts(f.column_sizes),
            counts(f.value_counts),
            counts(f.null_value_counts),
            counts(f.nan_value_counts),
            bounds(f.lower_bounds),
            bounds(f.upper_bounds),
            f.key_metadata,
            f.split_offsets,
            f.equality_ids,
        )
        for f in _files(table)
    ]


def _partition_type(table: IcebergTable) -> Type | None:
    fields = table.metadata.spec().partition_type(table.metadata.schema()).fields
    return ty.row(*[(f.name.lower(), trino_type(f.field_type)) for f in fields]) if fields else None


def _measured(table: IcebergTable) -> list[it.NestedField]:
    """The columns whose bounds "t$partitions" shows: all that are no partition themselves."""
    identities = {
        f.source_id for f in table.metadata.spec().fields if isinstance(f.transform, IdentityTransform)
    }
    return [
        f
        for f in table.metadata.schema().fields
        if f.field_type.is_primitive and f.field_id not in identities
    ]


def _partition_columns(table: IcebergTable) -> list[tuple[str, Type]]:
    out: list[tuple[str, Type]] = []
    partition = _partition_type(table)
    if partition is not None:
        out.append(("partition", partition))
    out += [("record_count", ty.BIGINT), ("file_count", ty.BIGINT), ("total_size", ty.BIGINT)]
    measured = []
    for f in _measured(table):
        t = trino_type(f.field_type)
        measured.append(
            (
                f.name.lower(),
                ty.row(("min", t), ("max", t), ("null_count", ty.BIGINT), ("nan_count", ty.BIGINT)),
            )
        )
    if measured:
        out.append(("data", ty.row(*measured)))
    return out


def _value(t: it.IcebergType, value: Any) -> Any:
    """A value of Iceberg's own representation, as Arrow takes it."""
    if value is None:
        return None
    if isinstance(t, it.DateType) and isinstance(value, int):
        return dt.date(1970, 1, 1) + dt.timedelta(days=value)
    if isinstance(t, it.TimestampType | it.TimestamptzType) and isinstance(value, int):
        zone = dt.UTC if isinstance(t, it.TimestamptzType) else None
        return dt.datetime(1970, 1, 1, tzinfo=zone) + dt.timedelta(microseconds=value)
    return value


def _partitions(table: IcebergTable) -> list[Row]:
    metadata = table.metadata
    spec = metadata.spec()
    kinds = spec.partition_type(metadata.schema()).fields
    measured = _measured(table)
    groups: dict[tuple[Any, ...], list[DataFile]] = {}
    for f in _files(table):
        if f.content != DataFileContent.DATA:
            continue
        own = {p.field_id: f.partition[i] for i, p in enumerate(metadata.specs()[f.spec_id].fields)}
        groups.setdefault(tuple(own.get(p.field_id) for p in spec.fields), []).append(f)
    out = []
    for key, files in groups.items():
        row: list[Any] = []
        if kinds:
            row.append({k.name.lower(): _value(k.field_type, v) for k, v in zip(kinds, key, strict=True)})
        row += [
            sum(f.record_count for f in files),
            len(files),
            sum(f.file_size_in_bytes for f in files),
        ]
        if measured:
            row.append({m.name.lower(): _metrics(m, files) for m in measured})
        out.append(tuple(row))
    return out


def _metrics(field: it.NestedField, files: list[DataFile]) -> dict[str, Any]:
    t = field.field_type
    assert isinstance(t, it.PrimitiveType)

    def bounds(which: str) -> list[Any]:
        return [
            _bound(t, found[field.field_id])
            for f in files
            if (found := getattr(f, which)) is not None and field.field_id in found
        ]

    def total(which: str) -> int | None:
        counts = [(getattr(f, which) or {}).get(field.field_id) for f in files]
        known: list[int] = [c for c in counts if c is not None]
        return sum(known) if len(known) == len(files) else None

    low, high = bounds("lower_bounds"), bounds("upper_bounds")
    return {
        "min": _value(t, min(low)) if low else None,
        "max": _value(t, max(high)) if high else None,
        "null_count": total("null_value_counts"),
        "nan_count": total("nan_value_counts"),
    }


_TABLES: dict[
    str,
    tuple[
        list[tuple[str, Type]] | Callable[[IcebergTable], list[tuple[str, Type]]],
        Callable[[IcebergTable], list[Row]],
    ],
] = {
    "snapshots": (
        [
            ("committed_at", _WHEN),
            ("snapshot_id", ty.BIGINT),
            ("parent_id", ty.BIGINT),
            ("operation", ty.VARCHAR),
            ("manifest_list", ty.VARCHAR),
            ("summary", ty.map_of(ty.VARCHAR, ty.VARCHAR)),
        ],
        _snapshots,
    ),
    "history": (
        [
            ("made_current_at", _WHEN),
            ("snapshot_id", ty.BIGINT),
            ("parent_id", ty.BIGINT),
            ("is_current_ancestor", ty.BOOLEAN),
        ],
        _history,
    ),
    "refs": (
        [
            ("name", ty.VARCHAR),
            ("type", ty.VARCHAR),
            ("snapshot_id", ty.BIGINT),
            ("max_reference_age_in_ms", ty.BIGINT),
            ("min_snapshots_to_keep", ty.INTEGER),
            ("max_snapshot_age_in_ms", ty.BIGINT),
        ],
        _refs,
    ),
    "manifests": (
        [
            ("path", ty.VARCHAR),
            ("length", ty.BIGINT),
            ("partition_spec_id", ty.INTEGER),
            ("added_snapshot_id", ty.BIGINT),
            ("added_data_files_count", ty.INTEGER),
            ("added_rows_count", ty.BIGINT),
            ("existing_data_files_count", ty.INTEGER),
            ("existing_rows_count", ty.BIGINT),
            ("deleted_data_files_count", ty.INTEGER),
            ("deleted_rows_count", ty.BIGINT),
            (
                "partition_summaries",
                ty.array(
                    ty.row(
                        ("contains_null", ty.BOOLEAN),
                        ("contains_nan", ty.BOOLEAN),
                        ("lower_bound", ty.VARCHAR),
                        ("upper_bound", ty.VARCHAR),
                    )
                ),
            ),
        ],
        _manifests,
    ),
    "files": (
        [
            ("content", ty.INTEGER),
            ("file_path", ty.VARCHAR),
            ("file_format", ty.VARCHAR),
            ("record_count", ty.BIGINT),
            ("file_size_in_bytes", ty.BIGINT),
            ("column_sizes", _COUNTS),
            ("value_counts", _COUNTS),
            ("null_value_counts", _COUNTS),
            ("nan_value_counts", _COUNTS),
            ("lower_bounds", _BOUNDS),
            ("upper_bounds", _BOUNDS),
            ("key_metadata", ty.VARBINARY),
            ("split_offsets", ty.array(ty.BIGINT)),
            ("equality_ids", ty.array(ty.INTEGER)),
        ],
        _data_files,
    ),
    "partitions": (_partition_columns, _partitions),
}
