"""Result files as Athena writes them, and reading them back page by page.

https://docs.aws.amazon.com/athena/latest/ug/querying-finding-output-files.html
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from local_aws.athena import types as ty
from local_aws.athena.engine import Session
from local_aws.athena.expressions import struct_field, to_varchar
from local_aws.athena.types import Type, text

# What SHOW, DESCRIBE and other utilities give: Hive's type, which no value of a query has.
STRING = Type("string")

# ResultSetMetadata's Precision of types without one of their own.
_PRECISION = {
    "boolean": 0,
    "tinyint": 3,
    "smallint": 5,
    "integer": 10,
    "bigint": 19,
    "real": 17,
    "double": 17,
    "varchar": 2147483647,
    "varbinary": 1073741824,
    "time": 3,
    "time with time zone": 3,
    "timestamp": 3,
    "timestamp with time zone": 3,
}


def column_info(name: str, t: Type) -> dict[str, Any]:
    """A ColumnInfo of GetQueryResults."""
    base = {"real": "float"}.get(t.base, t.base)
    precision = (
        t.p
        if t.base in ("decimal", "char") or (t.base == "varchar" and t.p is not None)
        else _PRECISION.get(t.base, 0)
    )
    return {
        "CatalogName": "hive",
        "SchemaName": "",
        "TableName": "",
        "Name": name,
        "Label": name,
        "Type": base,
        "Precision": precision,
        "Scale": t.s or 0 if t.base == "decimal" else 0,
        "Nullable": "UNKNOWN",
        "CaseSensitive": t.base in ("varchar", "char"),
    }


def as_text(sql: str, t: Type) -> str:
    """A value as Athena's CSV has it; NULL stays NULL."""
    if t.base == "varbinary":
        return f"trino_bytes_text({sql})"
    if t.base == "array":
        return f"'[' || array_to_string(list_transform({sql}, lambda λv: {_inner('λv', t.args[0])}), ', ') || ']'"
    if t.base == "map":
        pair = f"{_inner('λv.key', t.args[0])} || '=' || {_inner('λv.value', t.args[1])}"
        return f"'{{' || array_to_string(list_transform(map_entries({sql}), lambda λv: {pair}), ', ') || '}}'"
    if t.base == "row":
        parts = []
        for i, n in enumerate(t.names):
            label = (n or f"field{i}").replace("'", "''")
            parts.append(f"'{label}=' || {_inner(struct_field(sql, t, i), t.args[i])}")
        body = " || ', ' || ".join(parts)
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE '{{' || {body} || '}}' END"
    if t.base.startswith("timestamp") and (t.p or 0) < 3:
        # Athena shows milliseconds at least; of times of day it shows what they have.
        t = replace(t, p=3)
    return to_varchar(sql, t)


def _inner(sql: str, t: Type) -> str:
    return f"coalesce({as_text(sql, t)}, 'null')"


def write_csv(session: Session, query: str, columns: list[tuple[str, Type]], path: Path) -> int:
    """SELECT's result: everything quoted, NULL as nothing at all. Returns the number of rows."""
    items = ", ".join(
        f"""CAST({as_text(f'q."c{i}"', t)} AS VARCHAR) AS "c{i}" """ for i, (_, t) in enumerate(columns)
    )
    body = path.with_suffix(".body")
    rows = session.rows(
        f"COPY (SELECT {items} FROM ({query}) AS q) TO {text(str(body))} "
        "(FORMAT csv, HEADER false, DELIMITER ',', QUOTE '\"', ESCAPE '\"', FORCE_QUOTE *, NULLSTR '')"
    )[0][0]
    # DuckDB would write its own column names, which are positions.
    header = ",".join('"' + n.replace('"', '""') + '"' for n, _ in columns) + "\n"
    with path.open("wb") as out:
        out.write(header.encode())
        with body.open("rb") as source:
            while block := source.read(1 << 20):
                out.write(block)
    body.unlink()
    return int(rows)


_FIELD = re.compile(rb'(?:"((?:[^"]|"")*)"|([^,\n]*))(,|\n|$)')


def read_csv_page(path: str, offset: int, count: int) -> tuple[list[list[str | None]], int | None]:
    """Up to `count` lines from a byte offset, and the offset of the next (None at the end).

    Python's csv module could not tell NULL (nothing) from an empty string (two quotes).
    """
    rows: list[list[str | None]] = []
    with Path(path).open("rb") as f:
        f.seek(offset)
        for line in _lines(f, count):
            row: list[str | None] = []
            pos = 0
            while True:
                m = _FIELD.match(line, pos)
                assert m is not None
                quoted, plain, end = m.groups()
                if quoted is not None:
                    row.append(quoted.replace(b'""', b'"').decode())
                else:
                    row.append(plain.decode() if plain else None)
                pos = m.end()
                if end != b",":
                    break
            rows.append(row)
            offset += len(line)
        more = f.seek(0, 2) > offset
    return rows, offset if more else None


def _lines(f: Any, count: int) -> Iterator[bytes]:
    """CSV records: a line break inside quotes does not end one."""
    for _ in range(count):
        record = f.readline()
        if not record:
            return
        while record.count(b'"') % 2:
            more = f.readline()
            if not more:
                break
            record += more
        yield record


def metadata_bytes(query_id: str, columns: list[tuple[str, Type]]) -> bytes:
    """The .metadata file, a protocol buffer whose schema Athena does not publish.

    As the athena-jdbc driver reads it (https://github.com/burtcorp/athena-jdbc, AthenaMetaDataParser): field 1 is the
    query's id, each field 4 a column of catalog (1), name (4), label (5), type (6), precision (7), scale (8), nullable
    (9: 1 no, 2 yes, 3 unknown) and case sensitivity (10).
    """

    def varint(n: int) -> bytes:
        out = b""
        while n > 127:
            out += bytes([n & 127 | 128])
            n >>= 7
        return out + bytes([n])

    def chunk(number: int, data: bytes) -> bytes:
        return varint(number << 3 | 2) + varint(len(data)) + data

    out = chunk(1, query_id.encode())
    for name, t in columns:
        info = column_info(name, t)
        body = chunk(1, str(info["CatalogName"]).encode())
        for number, text_ in ((4, info["Name"]), (5, info["Label"]), (6, info["Type"])):
            body += chunk(number, str(text_).encode())
        for number, n in ((7, info["Precision"]), (8, info["Scale"]), (9, 3), (10, info["CaseSensitive"])):
            body += varint(number << 3) + varint(int(n))
        out += chunk(4, body)
    return out


__all__ = ["as_text", "column_info", "metadata_bytes", "read_csv_page", "ty", "write_csv"]
