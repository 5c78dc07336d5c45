"""What a query reads of an Iceberg table: the files that its conditions leave, without deleted rows.

Columns are found by field id, so that renamed, moved, added and widened ones are read right from old files
(https://iceberg.apache.org/spec/#column-projection).
"""

from __future__ import annotations

import datetime as dt
import decimal
import functools
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
from pyiceberg import types as it
from pyiceberg.expressions import (
    AlwaysTrue,
    And,
    BooleanExpression,
    EqualTo,
    GreaterThan,
    GreaterThanOrEqual,
    In,
    LessThan,
    LessThanOrEqual,
)
from pyiceberg.manifest import DataFile, FileFormat
from pyiceberg.schema import Schema
from pyiceberg.table import DataScan, FileScanTask
from pyiceberg.table.name_mapping import NameMapping
from pyiceberg.transforms import IdentityTransform

from local_aws.athena.engine import Session
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.iceberg.table import FILE, POSITION, IcebergTable, StoreIO, find_object, trino_type
from local_aws.athena.plan import Scan
from local_aws.athena.types import Type, duckdb_type, quote, text


class Reader(Protocol):
    """What reads a query's tables: where SQL runs, where files may be kept, and who counts the bytes."""

    scratch: Path
    session: Session

    def read(self, size: int) -> None: ...


@dataclass
class Planned:
    """A data file that a scan reads. `number`: what the scan's rows call it."""

    number: int
    path: str
    task: FileScanTask

    @property
    def file(self) -> DataFile:
        return self.task.file


def relation(reader: Reader, scan: Scan) -> str:
    """DuckDB SQL, a parenthesised query, that stands for the scan; its files are left in `scan.plan`."""
    table = scan.table
    assert isinstance(table, IcebergTable)
    scan.plan = plan(table, row_filter(reader, table, scan))
    used = [c.field for c in table.fields if c.name in scan.used]
    leaves = set(_leaves(used))
    for p in scan.plan:
        sizes = p.file.column_sizes or {}
        reader.read(sum(sizes.get(i, 0) for i in leaves) if sizes else p.file.file_size_in_bytes * bool(used))
        for d in p.task.delete_files:
            reader.read(d.file_size_in_bytes)
    hidden = [n for n, _ in table.hidden if n in scan.used]
    return rows(reader, table, scan.plan, used, hidden)


def plan(table: IcebergTable, condition: BooleanExpression | None = None) -> list[Planned]:
    """The files of the table's snapshot that may hold rows for which a condition is true."""
    io = StoreIO(table.store)
    scan = DataScan(
        table_metadata=table.metadata,
        io=io,
        row_filter=condition or AlwaysTrue(),
        case_sensitive=False,
        snapshot_id=table.snapshot_id,
    )
    name = f"{table.database}.{table.name}"
    try:
        tasks = list(scan.plan_files())
    except ValueError as e:
        if "equality deletes" in str(e):
            raise not_supported(f"Equality deletes (in table {name}, written by another engine)") from e
        raise QueryError("ICEBERG_INVALID_METADATA", f"Error reading table {name}: {e}") from e
    except FileNotFoundError as e:
        raise QueryError("ICEBERG_CANNOT_OPEN_SPLIT", f"Missing file of table {name}: {e}") from e
    planned = []
    # By names that begin with the time of writing, so that results without ORDER BY do not jump about.
    tasks.sort(key=lambda t: t.file.file_path.rpartition("/")[2])
    for i, task in enumerate(tasks):
        if task.file.file_format != FileFormat.PARQUET:
            raise not_supported(f"Iceberg data files in {task.file.file_format} ({task.file.file_path})")
        info = find_object(table.store, task.file.file_path)
        if info is None:
            raise QueryError(
                "ICEBERG_CANNOT_OPEN_SPLIT",
                f"Error opening Iceberg split {task.file.file_path}: the object of table {name} does not exist",
            )
        planned.append(Planned(i, info.path, task))
    return planned


# ------------------------------------------------------------------------------------------ pruning

_OPERATORS: dict[str, Any] = {
    "=": EqualTo,
    "in": In,
    ">": GreaterThan,
    ">=": GreaterThanOrEqual,
    "<": LessThan,
    "<=": LessThanOrEqual,
}


def row_filter(reader: Reader, table: IcebergTable, scan: Scan) -> BooleanExpression:
    """The query's conditions with constants, as PyIceberg compares them with partitions and metrics."""
    out: BooleanExpression = AlwaysTrue()
    flat = [(n, b, c) for n, bs in scan.bounds.items() for b in bs for c in b.constants]
    if not flat:
        return out
    # As text and numbers: what DuckDB gives for a timestamp with time zone would need pytz.
    items = [f"{_plain(c, column_type(table, n))}" for n, _, c in flat]
    values = iter(reader.session.rows("SELECT " + ", ".join(items))[0])
    current = table.metadata.schema()
    for n, bounds in scan.bounds.items():
        field = next(c.field for c in table.fields if c.name == n)
        for b in bounds:
            constants = [next(values) for _ in b.constants]
            try:
                # Time travel knows a column by its old name, the plan by the current one.
                name = current.find_column_name(field.field_id)
            except ValueError:
                name = None
            if any(s.find_type(field.field_id) != field.field_type for s in _knowing(table, field)):
                # PyIceberg reads an old file's bounds in the column's type of today, and trips over them.
                continue
            known = [v for v in constants if v is not None]
            typed = [_typed(v, field.field_type) for v in known]
            if name is None or not typed or any(v is None for v in typed):
                continue
            if b.op == "in":
                one = len(typed) == 1
                out = And(out, _OPERATORS["="](name, typed[0]) if one else _OPERATORS["in"](name, typed))
            elif len(typed) == len(constants) == 1:
                out = And(out, _OPERATORS[b.op](name, typed[0]))
    return out


def _knowing(table: IcebergTable, field: it.NestedField) -> list[Schema]:
    """The table's schemas, past and present, that have a column."""
    return [s for s in table.metadata.schemas if any(f.field_id == field.field_id for f in s.fields)]


def column_type(table: IcebergTable, name: str) -> Type:
    return next(c.type for c in table.fields if c.name == name)


def _plain(sql: str, t: Type) -> str:
    return f"epoch_us({sql})" if t.base.startswith("timestamp") else sql


def _typed(value: Any, t: it.IcebergType) -> Any:
    """A constant as a value of the column's type, None where that would change it."""
    if isinstance(t, it.IntegerType | it.LongType):
        if isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal):
            return None
        limit = 2**31 if isinstance(t, it.IntegerType) else 2**63
        return int(value) if -limit <= value < limit and value == int(value) else None
    if isinstance(t, it.DecimalType):
        if isinstance(value, bool) or not isinstance(value, int | decimal.Decimal):
            return None
        with decimal.localcontext(prec=60):
            scaled = decimal.Decimal(value).quantize(decimal.Decimal(1).scaleb(-t.scale))
            fits = scaled == value and len(scaled.as_tuple().digits) <= t.precision
        return scaled if fits else None
    if isinstance(t, it.DoubleType):
        return float(value) if isinstance(value, int | float | decimal.Decimal) else None
    if isinstance(t, it.TimestampType | it.TimestamptzType):
        zone = dt.UTC if isinstance(t, it.TimestamptzType) else None
        return dt.datetime(1970, 1, 1, tzinfo=zone) + dt.timedelta(microseconds=value)
    if isinstance(t, it.StringType) and isinstance(value, str):
        return value
    if isinstance(t, it.DateType) and isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        return value
    if isinstance(t, it.BooleanType) and isinstance(value, bool):
        return value
    # Others, such as real, are left to the filter on the rows.
    return None


# ------------------------------------------------------------------------------------------- reading


def rows(
    reader: Reader,
    table: IcebergTable,
    files: Iterable[Planned],
    wanted: list[it.NestedField],
    hidden: list[str],
) -> str:
    """A parenthesised query over files: `wanted` by their lower-case names, then the hidden columns."""
    groups: dict[tuple[tuple[str, ...], bool], list[Planned]] = {}
    for p in files:
        items = tuple(
            f"{_column(table, p, f)} AS {quote(f.name.lower())}" for f in wanted
        )  # the same for most files
        groups.setdefault((items, bool(p.task.delete_files)), []).append(p)
    parts = []
    for (items, with_deletes), group in groups.items():
        if hidden or with_deletes:
            _check_names(table, group)
        own = [*items, *[f"{_hidden(h, group)} AS {quote(h)}" for h in hidden]] or ["1 AS one"]
        paths = ", ".join(text(p.path) for p in group)
        source = f"read_parquet([{paths}], hive_partitioning=false) AS d"
        where = ""
        if with_deletes:
            deleted = _deleted(reader, table, group)
            where = f" WHERE NOT EXISTS (SELECT 1 FROM read_parquet({text(deleted)}) AS x WHERE x.f = d.file_index AND x.p = d.file_row_number)"
        parts.append(f"SELECT {', '.join(own)} FROM {source}{where}")
    if not parts:
        names = [(f.name.lower(), trino_type(f.field_type)) for f in wanted]
        names += [(n, t) for n, t in table.hidden if n in hidden]
        empty = ", ".join(f"CAST(NULL AS {duckdb_type(t)}) AS {quote(n)}" for n, t in names)
        return f"(SELECT {empty or '1 AS one'} WHERE false)"
    return "(" + " UNION ALL ".join(parts) + ")"


def _check_names(table: IcebergTable, group: list[Planned]) -> None:
    """A column would hide what DuckDB calls a row's file and place."""
    for p in group:
        taken = next((n for n in _file_schema(p.path).names if n.lower() in _VIRTUAL), None)
        if taken is not None:
            raise not_supported(
                f"Changing or locating rows of a table that has a column named {taken} ({table.database}.{table.name})"
            )


def _hidden(name: str, group: list[Planned]) -> str:
    if name == POSITION:
        return "CAST(d.file_row_number AS BIGINT)"
    if name == FILE:
        values = ", ".join(str(p.number) for p in group)
        return f"CAST([{values}][CAST(d.file_index AS BIGINT) + 1] AS INTEGER)"
    return f"[{', '.join(text(p.file.file_path) for p in group)}][CAST(d.file_index AS BIGINT) + 1]"


def deleted_positions(table: IcebergTable, p: Planned) -> pa.Array:
    """The numbers of a file's rows that position deletes name."""
    # Imports pandas, which takes a second.
    from pyiceberg.io.pyarrow import _read_deletes

    io = StoreIO(table.store)
    found: set[int] = set()
    for d in p.task.delete_files:
        try:
            deletes = _read_deletes(io, d)
        except (ValueError, OSError) as e:
            raise QueryError(
                "ICEBERG_BAD_DATA", f"Cannot read the delete file {d.file_path} of {table.name}: {e}"
            ) from e
        positions = deletes.get(p.file.file_path)
        if positions is not None:
            found.update(positions.to_pylist())
    return pa.array(sorted(found), pa.int64())


def _deleted(reader: Reader, table: IcebergTable, group: list[Planned]) -> str:
    """A Parquet file (f, p) of the deleted rows of files, by their place in the list."""
    files, positions = [], []
    for i, p in enumerate(group):
        found = deleted_positions(table, p)
        files.append(pa.repeat(pa.scalar(i, pa.int64()), len(found)))
        positions.append(found)
    path = reader.scratch / f"deletes-{uuid.uuid4().hex}.parquet"
    pq.write_table(pa.table({"f": pa.chunked_array(files), "p": pa.chunked_array(positions)}), path)
    return str(path)


def _leaves(fields: Iterable[it.NestedField]) -> Iterable[int]:
    def of(identifier: int, t: it.IcebergType) -> Iterable[int]:
        if isinstance(t, it.StructType):
            for f in t.fields:
                yield from of(f.field_id, f.field_type)
        elif isinstance(t, it.ListType):
            yield from of(t.element_id, t.element_type)
        elif isinstance(t, it.MapType):
            yield from of(t.key_id, t.key_type)
            yield from of(t.value_id, t.value_type)
        else:
            yield identifier

    for f in fields:
        yield from of(f.field_id, f.field_type)


# ------------------------------------------------------------------------------------------- columns

_ID = b"PARQUET:field_id"
_VIRTUAL = ("file_index", "file_row_number")


@functools.lru_cache(maxsize=20_000)
def _file_schema(path: str) -> pa.Schema:
    """Bodies never change, so neither do their schemas."""
    return pq.read_schema(path)


def _column(table: IcebergTable, p: Planned, field: it.NestedField) -> str:
    """DuckDB SQL of a table's column in a data file."""
    try:
        schema = _file_schema(p.path)
    except (pa.ArrowInvalid, OSError) as e:
        raise QueryError(
            "ICEBERG_BAD_DATA", f"Not a valid Parquet file: {p.file.file_path} ({str(e).splitlines()[0]})"
        ) from e
    found = _by_id(schema, field.field_id)
    if found is None and all(_id(f) is None for f in schema):
        # Files that were added as they were have no ids: https://iceberg.apache.org/spec/#name-mapping-serialization
        mapping = table.metadata.name_mapping()
        names = _mapped(mapping, field.field_id) if mapping is not None else [field.name]
        found = next((f for f in schema if f.name in names), None)
        if found is not None:
            return _reshape(f"d.{quote(found.name)}", found.type, field.field_type, p, by_name=True)
    if found is None:
        constant = _partition_value(table, p.file, field)
        return f"CAST({constant} AS {duckdb_type(trino_type(field.field_type))})"
    return _reshape(f"d.{quote(found.name)}", found.type, field.field_type, p, by_name=False)


def _id(field: pa.Field) -> int | None:
    value = (field.metadata or {}).get(_ID)
    return int(value) if value is not None else None


def _by_id(fields: Iterable[pa.Field], identifier: int) -> pa.Field | None:
    return next((f for f in fields if _id(f) == identifier), None)


def _mapped(mapping: NameMapping, identifier: int) -> list[str]:
    return next((list(f.names) for f in mapping.root if f.field_id == identifier), [])


def _partition_value(table: IcebergTable, file: DataFile, field: it.NestedField) -> str:
    """A column that a file lacks has its identity partition's value, or else NULL."""
    spec = table.metadata.specs()[file.spec_id]
    for i, f in enumerate(spec.fields):
        if f.source_id == field.field_id and isinstance(f.transform, IdentityTransform):
            value = file.partition[i]
            if value is None:
                return "NULL"
            if isinstance(field.field_type, it.DateType):
                return f"DATE '1970-01-01' + {int(value)}"
            if isinstance(field.field_type, it.TimestampType | it.TimestamptzType):
                return f"make_timestamp({int(value)})"
            return text(str(value))
    return "NULL"


def _reshape(sql: str, have: pa.DataType, want: it.IcebergType, p: Planned, *, by_name: bool) -> str:
    """A value as the file has it, as the table's type has it."""
    if isinstance(want, it.StructType) and pa.types.is_struct(have):
        parts = []
        names = [f.name for f in have]
        plain = len(names) == len(want.fields)
        for i, f in enumerate(want.fields):
            found = next((x for x in have if x.name == f.name), None) if by_name else _by_id(have, f.field_id)
            if found is None:
                value, plain = f"CAST(NULL AS {duckdb_type(trino_type(f.field_type))})", False
            else:
                inner = f"struct_extract({sql}, {text(found.name)})"
                value = _reshape(inner, found.type, f.field_type, p, by_name=by_name)
                plain = plain and value == inner and names[i] == f.name.lower() == found.name
            parts.append(f"{text(f.name.lower())}: {value}")
        return sql if plain else f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{', '.join(parts)}}} END"
    if isinstance(want, it.ListType) and (pa.types.is_list(have) or pa.types.is_large_list(have)):
        inner = _reshape("v", have.value_type, want.element_type, p, by_name=by_name)
        return sql if inner == "v" else f"list_transform({sql}, lambda v: {inner})"
    if isinstance(want, it.MapType) and pa.types.is_map(have):
        k = _reshape("v.key", have.key_type, want.key_type, p, by_name=by_name)
        x = _reshape("v.value", have.item_type, want.value_type, p, by_name=by_name)
        if (k, x) == ("v.key", "v.value"):
            return sql
        return f"map_from_entries(list_transform(map_entries({sql}), lambda v: {{'key': {k}, 'value': {x}}}))"
    if not want.is_primitive or pa.types.is_nested(have):
        raise QueryError(
            "ICEBERG_BAD_DATA", f"A column of {p.file.file_path} is of type {have}, the table's is {want}"
        )
    if _same(have, want):
        return sql
    return f"CAST({sql} AS {duckdb_type(trino_type(want))})"


def _same(have: pa.DataType, want: it.IcebergType) -> bool:
    tests: list[tuple[Any, type[it.IcebergType]]] = [
        (pa.types.is_boolean, it.BooleanType),
        (pa.types.is_int32, it.IntegerType),
        (pa.types.is_int64, it.LongType),
        (pa.types.is_float32, it.FloatType),
        (pa.types.is_float64, it.DoubleType),
        (pa.types.is_string, it.StringType),
        (pa.types.is_large_string, it.StringType),
        (pa.types.is_binary, it.BinaryType),
        (pa.types.is_large_binary, it.BinaryType),
        (pa.types.is_date32, it.DateType),
    ]
    if any(test(have) and isinstance(want, kind) for test, kind in tests):
        return True
    if isinstance(want, it.DecimalType):
        return pa.types.is_decimal(have) and (have.precision, have.scale) == (want.precision, want.scale)
    if pa.types.is_timestamp(have) and have.unit == "us":
        return isinstance(want, it.TimestamptzType if have.tz else it.TimestampType)
    return False


__all__ = ["Planned", "deleted_positions", "plan", "relation", "rows"]
