"""Parquet files: what they say of themselves, and their columns as the table declares them."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq

from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError
from local_aws.athena.expressions import convert
from local_aws.athena.types import Type, duckdb_type, text


@dataclass
class Footer:
    """What a Parquet file says of itself: columns by lower-case name (name, type, physical type), and the
    bytes that their chunks take in the file."""

    columns: dict[str, tuple[str, Type | None, str]]
    sizes: dict[str, int]
    rows: int


def parquet_footer(path: str, url: str) -> Footer:
    try:
        return _footer(path)
    except (pa.ArrowInvalid, OSError) as e:
        raise QueryError("HIVE_BAD_DATA", f"Not valid Parquet file: {url} ({str(e).splitlines()[0]})") from e


@functools.lru_cache(maxsize=20_000)
def _footer(path: str) -> Footer:
    """Bodies never change, so neither do their footers."""
    with pq.ParquetFile(path) as file:
        metadata, schema = file.metadata, file.schema_arrow
    sizes: dict[str, int] = {}
    physical: dict[str, str] = {}
    for g in range(metadata.num_row_groups):
        group = metadata.row_group(g)
        for i in range(group.num_columns):
            column = group.column(i)
            name = column.path_in_schema.split(".", 1)[0].lower()
            sizes[name] = sizes.get(name, 0) + column.total_compressed_size
            physical.setdefault(name, column.physical_type)
    columns = {
        f.name.lower(): (f.name, arrow_type(f.type), physical.get(f.name.lower(), str(f.type).upper()))
        for f in schema
    }
    return Footer(columns, sizes, metadata.num_rows)


def arrow_type(t: pa.DataType) -> Type | None:
    """The Trino type of an Arrow type, None where there is none."""
    simple = [
        (pa.types.is_boolean, ty.BOOLEAN), (pa.types.is_int8, ty.TINYINT), (pa.types.is_int16, ty.SMALLINT),
        (pa.types.is_uint8, ty.SMALLINT), (pa.types.is_uint16, ty.INTEGER), (pa.types.is_int32, ty.INTEGER),
        (pa.types.is_uint32, ty.BIGINT), (pa.types.is_int64, ty.BIGINT), (pa.types.is_float32, ty.REAL),
        (pa.types.is_float64, ty.DOUBLE), (pa.types.is_string, ty.VARCHAR), (pa.types.is_large_string, ty.VARCHAR),
        (pa.types.is_binary, ty.VARBINARY), (pa.types.is_large_binary, ty.VARBINARY), (pa.types.is_date32, ty.DATE),
        (pa.types.is_date64, ty.DATE),
    ]  # fmt: skip
    for test, found in simple:
        if test(t):
            return found
    if pa.types.is_decimal(t):
        return ty.decimal(t.precision, t.scale)
    if pa.types.is_timestamp(t):
        return ty.TIMESTAMP
    if pa.types.is_map(t):
        k, v = arrow_type(t.key_type), arrow_type(t.item_type)
        return ty.map_of(k, v) if k and v else None
    if pa.types.is_list(t) or pa.types.is_large_list(t):
        e = arrow_type(t.value_type)
        return ty.array(e) if e else None
    if pa.types.is_struct(t):
        fields = [(f.name, arrow_type(f.type)) for f in t]
        if any(x is None for _, x in fields):
            return None
        return ty.row(*[(n, x) for n, x in fields if x is not None])
    return None


def parquet_value(sql: str, have: Type | None, want: Type, column: str, physical: str, url: str) -> str:
    """A file's column as the table declares it."""
    if have is None or not _readable(have, want):
        raise QueryError(
            "HIVE_BAD_DATA",
            f"Field {column}'s type {physical} in parquet file {url} is incompatible with type {want} defined in table schema",
        )
    return _reshape(sql, have, want)


def _readable(have: Type, want: Type) -> bool:
    if have.base == want.base and not have.args:
        return True
    if have.base == want.base == "row":
        mine = {(n or "").lower(): t for n, t in zip(have.names, have.args, strict=True)}
        return all(
            (n or "") not in mine or _readable(mine[n or ""], t)
            for n, t in zip(want.names, want.args, strict=True)
        )
    if have.base == want.base:
        return all(map(_readable, have.args, want.args))
    if have.base in ty.INTEGERS and want.base in (*ty.INTEGERS, "double", "real", "decimal"):
        return True
    if {have.base, want.base} <= {"real", "double"}:
        return True
    return (have.base == "varbinary" and want.base in ("varchar", "char")) or {have.base, want.base} <= {
        "varchar",
        "char",
    }


def _reshape(sql: str, have: Type, want: Type) -> str:
    if want.base == "row":
        mine = {(n or "").lower(): (n or "", t) for n, t in zip(have.names, have.args, strict=True)}
        if have.names == want.names and all(_plain(a, b) for a, b in zip(have.args, want.args, strict=True)):
            return sql
        fields = []
        for n, t in zip(want.names, want.args, strict=True):
            found = mine.get(n or "")
            value = (
                f"CAST(NULL AS {duckdb_type(t)})"
                if found is None
                else _reshape(f"struct_extract({sql}, {text(found[0])})", found[1], t)
            )
            fields.append(f"{text(n or '')}: {value}")
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{', '.join(fields)}}} END"
    if want.base == "array":
        inner = _reshape("λv", have.args[0], want.args[0])
        return sql if inner == "λv" else f"list_transform({sql}, lambda λv: {inner})"
    if want.base == "map":
        k, v = (
            _reshape("λv.key", have.args[0], want.args[0]),
            _reshape("λv.value", have.args[1], want.args[1]),
        )
        if (k, v) == ("λv.key", "λv.value"):
            return sql
        return (
            f"map_from_entries(list_transform(map_entries({sql}), lambda λv: {{'key': {k}, 'value': {v}}}))"
        )
    if have == want or _plain(have, want):
        return sql
    if have.base == "varbinary":
        return f"decode({sql})"
    if want.base in ("varchar", "char"):
        return convert(sql, ty.VARCHAR, want)
    return f"CAST({sql} AS {duckdb_type(want)})"


def _plain(have: Type, want: Type) -> bool:
    if have.args:
        return False
    return duckdb_type(have) == duckdb_type(want) and (want.base != "varchar" or want.p is None)
