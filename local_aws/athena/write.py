"""Files that statements write: UNLOAD, CREATE TABLE AS and INSERT."""

from __future__ import annotations

import datetime as dt
import os
import re
import shutil
import uuid
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local_aws.athena import types as ty
from local_aws.athena.ddl import escape_path
from local_aws.athena.engine import Session
from local_aws.athena.errors import Cancelled, QueryError, not_supported
from local_aws.athena.expressions import to_varchar
from local_aws.athena.scan import DEFAULT_PARTITION, split_location, text
from local_aws.athena.types import Type, quote
from local_aws.objects import NoSuchBucket, ObjectStore

# https://docs.aws.amazon.com/athena/latest/ug/ctas-considerations-limitations.html
MAX_PARTITIONS = 100


@dataclass
class Unload:
    """UNLOAD's parts; `query` is padded so that positions in it are those in the statement."""

    query: str
    location: str
    options: dict[str, Any]


_TRINO_TOKEN = re.compile(
    r"(?P<skip>\s+|--[^\n]*|/\*.*?\*/)|(?P<string>'(?:[^']|'')*')|(?P<name>\"(?:[^\"]|\"\")*\")|(?P<word>\w+)|(?P<op>.)",
    re.S,
)


def tokens(sql: str, start: int = 0) -> list[tuple[str, str, int, int]]:
    """(kind, text, start, end) of Trino's tokens, without white space and comments."""
    found = _TRINO_TOKEN.finditer(sql, start)
    return [(str(m.lastgroup), m.group(), m.start(), m.end()) for m in found if m.lastgroup != "skip"]


def padded(sql: str, start: int, end: int) -> str:
    """A part of a statement, at its place: what is before becomes blank."""
    return re.sub(r"[^\n]", " ", sql[:start]) + sql[start:end]


def parse_unload(sql: str) -> Unload:
    """UNLOAD (query) TO 's3://...' [WITH (...)] (https://docs.aws.amazon.com/athena/latest/ug/unload.html)."""
    from local_aws.athena.parser import offset_position

    ts = tokens(sql)

    def fail(i: int, expected: str) -> QueryError:
        found, at = (ts[i][1], ts[i][2]) if i < len(ts) else ("<EOF>", len(sql))
        return QueryError("", f"mismatched input '{found}'. Expecting: {expected}", offset_position(sql, at))

    if len(ts) < 2 or ts[1][1] != "(":
        raise fail(1, "'('")
    depth, i = 0, 1
    while i < len(ts):
        if ts[i][1] == "(" and ts[i][0] == "op":
            depth += 1
        elif ts[i][1] == ")" and ts[i][0] == "op":
            depth -= 1
            if not depth:
                break
        i += 1
    if depth:
        raise fail(i, "')'")
    query = padded(sql, ts[1][3], ts[i][2])
    i += 1
    if i >= len(ts) or ts[i][1].upper() != "TO":
        raise fail(i, "'TO'")
    if i + 1 >= len(ts) or ts[i + 1][0] != "string":
        raise fail(i + 1, "a string")
    location = ts[i + 1][1][1:-1].replace("''", "'")
    i += 2
    options: dict[str, Any] = {}
    if i < len(ts) and ts[i][1].upper() == "WITH":
        options, i = parse_options(sql, ts, i + 1)
    if i < len(ts):
        raise fail(i, "<EOF>")
    return Unload(query, location, options)


def parse_options(sql: str, ts: list[tuple[str, str, int, int]], i: int) -> tuple[dict[str, Any], int]:
    """(key = value, ...) with strings, numbers, booleans and ARRAY[...] of strings."""
    from local_aws.athena.parser import offset_position

    def fail(expected: str) -> QueryError:
        found, at = (ts[i][1], ts[i][2]) if i < len(ts) else ("<EOF>", len(sql))
        return QueryError("", f"mismatched input '{found}'. Expecting: {expected}", offset_position(sql, at))

    def at(k: int) -> str:
        return ts[k][1] if k < len(ts) else ""

    options: dict[str, Any] = {}
    if at(i) != "(":
        raise fail("'('")
    i += 1
    while True:
        if i >= len(ts) or ts[i][0] not in ("word", "name"):
            raise fail("<identifier>")
        key = ts[i][1].strip('"').lower()
        i += 1
        if at(i) != "=":
            raise fail("'='")
        i += 1
        value: Any
        if at(i).upper() == "ARRAY":
            i += 2
            value = []
            while at(i) != "]":
                if i >= len(ts):
                    raise fail("']'")
                if ts[i][0] == "string":
                    value.append(ts[i][1][1:-1].replace("''", "'"))
                i += 1
            i += 1
        elif i < len(ts) and ts[i][0] == "string":
            value = ts[i][1][1:-1].replace("''", "'")
            i += 1
        elif i < len(ts) and ts[i][0] == "word":
            word = ts[i][1]
            value = int(word) if word.isdigit() else {"true": True, "false": False}.get(word.lower(), word)
            i += 1
        else:
            raise fail("a value")
        options[key] = value
        if at(i) == ")":
            return options, i + 1
        if at(i) != ",":
            raise fail("',', ')'")
        i += 1


@dataclass
class Target:
    """How to write: format PARQUET, JSON or TEXTFILE, its compression, and the folders."""

    location: str
    format: str
    compression: str
    partitioned_by: list[str] = field(default_factory=list)
    delimiter: str = "\x01"
    # OpenCSVSerde tables, on INSERT.
    csv: dict[str, str] | None = None


@dataclass
class Written:
    """Files made: their URLs, and for each partition its values and location."""

    files: list[str]
    partitions: dict[tuple[str | None, ...], str]
    rows: int


_PARQUET_CODECS = {
    "SNAPPY": "snappy",
    "GZIP": "gzip",
    "ZSTD": "zstd",
    "LZ4": "lz4",
    "NONE": "uncompressed",
    "UNCOMPRESSED": "uncompressed",
}
_TEXT_CODECS = {"GZIP": "gzip", "NONE": "uncompressed", "UNCOMPRESSED": "uncompressed", "ZSTD": "zstd"}


def unload_target(u: Unload) -> Target:
    """UNLOAD's options with Athena's defaults. Raises QueryError for what Athena refuses."""
    known = {"format", "compression", "compression_level", "field_delimiter", "partitioned_by"}
    for key in u.options:
        if key not in known:
            raise QueryError(
                "INVALID_UNLOAD_PROPERTY",
                f"Unload property '{key}' does not exist; there are {', '.join(sorted(known))}",
            )
    if not u.location.startswith("s3://"):
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            f"UNLOAD location '{u.location}' must be an S3 location (s3://bucket/folder/)",
        )
    kind = str(u.options.get("format", "PARQUET")).upper()
    if kind in ("ORC", "AVRO"):
        raise not_supported(f"UNLOAD WITH (format = '{kind}')")
    if kind == "CSV":
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            "Unload format 'CSV' is not one of ORC, PARQUET, AVRO, JSON, TEXTFILE; use TEXTFILE with field_delimiter = ','",
        )
    if kind not in ("PARQUET", "JSON", "TEXTFILE"):
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            f"Unload format '{kind}' is not one of ORC, PARQUET, AVRO, JSON, TEXTFILE",
        )
    if "compression_level" in u.options:
        raise not_supported("UNLOAD WITH (compression_level = ...)")
    compression = compression_of(kind, u.options.get("compression"))
    if "field_delimiter" in u.options and kind != "TEXTFILE":
        raise QueryError("INVALID_UNLOAD_PROPERTY", "field_delimiter is for format = 'TEXTFILE' only")
    delimiter = str(u.options.get("field_delimiter", "\x01"))
    if len(delimiter) != 1:
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY", f"field_delimiter must be a single character, not '{delimiter}'"
        )
    return Target(
        u.location,
        kind,
        compression,
        [str(c).lower() for c in u.options.get("partitioned_by", [])],
        delimiter,
    )


def compression_of(kind: str, given: Any) -> str:
    """GZIP is the default of all formats (https://docs.aws.amazon.com/athena/latest/ug/unload.html)."""
    name = str(given or "GZIP").upper()
    codecs = _PARQUET_CODECS if kind == "PARQUET" else _TEXT_CODECS
    if name not in codecs:
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            f"Compression '{name}' is not supported for {kind}; there are {', '.join(codecs)}",
        )
    return codecs[name]


class Writer:
    """Runs queries into files on S3."""

    def __init__(
        self, session: Session, store: ObjectStore, scratch: Path, query_id: str, now: dt.datetime
    ) -> None:
        self.session = session
        self.store = store
        self.scratch = scratch
        self.stem = f"{now:%Y%m%d_%H%M%S}_00000_{query_id[:5]}"

    def require_empty(self, location: str) -> None:
        """UNLOAD and CTAS want an empty place. Raises HIVE_PATH_ALREADY_EXISTS.

        Athena lets an UNLOAD with partitions add to a place that has others; this does not, because a
        target that is empty works in both.
        """
        bucket, prefix = split_location(location)
        try:
            occupied = self.store.objects(bucket, prefix)
        except NoSuchBucket as e:
            raise missing_bucket(bucket) from e
        if occupied:
            raise QueryError(
                "HIVE_PATH_ALREADY_EXISTS",
                f"Target directory for table '{location}' already exists: {location}. You may need to manually clean the data at location '{location}' before retrying. Athena will not delete data in your account.",
            )

    def write(self, sql: str, columns: list[tuple[str, Type]], target: Target, *, ordered: bool) -> Written:
        """Writes the rows of a compiled query below target.location."""
        names = [n for n, _ in columns]
        keys = target.partitioned_by
        if len(set(names)) != len(names):
            twice = next(n for n in names if names.count(n) > 1)
            raise QueryError("DUPLICATE_COLUMN_NAME", f"Column name '{twice}' specified more than once")
        if keys and names[-len(keys) :] != keys:
            raise QueryError(
                "HIVE_COLUMN_ORDER_MISMATCH",
                f"Partition keys must be the last columns in the table and in the same order as the table properties: [{', '.join(keys)}]",
            )
        if len(keys) == len(names):
            raise QueryError("INVALID_TABLE_PROPERTY", "Table contains only partition columns")
        split_location(target.location)
        folder = self.scratch / f"write-{uuid.uuid4().hex}"
        folder.mkdir(parents=True)
        try:
            rows = self._copy(sql, columns, target, folder, ordered)
            if target.compression == "gzip" and target.format != "PARQUET":
                self._compress(folder, ordered)
            return self._publish(folder, target, rows)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _copy(
        self, sql: str, columns: list[tuple[str, Type]], target: Target, folder: Path, ordered: bool
    ) -> int:
        items, keys = [], []
        for i, (n, t) in enumerate(columns):
            value = f'q."c{i}"'
            if n in target.partitioned_by:
                keys.append(f"{to_varchar(value, t)} AS {quote(n)}")
            elif target.format == "JSON":
                items.append(f"{text(n)}: {_stored(value, t, target)}")
            else:
                items.append(f"{_stored(value, t, target)} AS {quote(n)}")
        if target.format == "JSON":
            # DuckDB's JSON writer knows no partitions; it is a CSV writer over to_json, as this is.
            items = [f'to_json({{{", ".join(items)}}}) AS "$line"']
        items += keys
        options = []
        # gzip is done afterwards, see _compress.
        compression = "uncompressed" if target.compression == "gzip" else target.compression
        if target.format == "PARQUET":
            options.append(f"FORMAT parquet, COMPRESSION {target.compression}")
        elif target.format == "JSON":
            options.append(
                f"FORMAT csv, HEADER false, DELIMITER '\x01', QUOTE '', ESCAPE '', COMPRESSION {compression}"
            )
        elif target.csv is not None:
            c = target.csv
            options.append(
                f"FORMAT csv, HEADER false, DELIMITER {text(c['separator'])}, QUOTE {text(c['quote'])}, ESCAPE {text(c['escape'])}, FORCE_QUOTE *, NULLSTR '', COMPRESSION {compression}"
            )
        else:
            options.append(
                f"FORMAT csv, HEADER false, DELIMITER {text(target.delimiter)}, QUOTE '', ESCAPE '', NULLSTR '\\N', COMPRESSION {compression}"
            )
        source = f"(SELECT {', '.join(items)} FROM ({sql}) AS q)"
        if target.partitioned_by:
            names = ", ".join(quote(k) for k in target.partitioned_by)
            options.append(f"PARTITION_BY ({names}), FILENAME_PATTERN '{{uuid}}'")
            path = folder
        elif not ordered and target.format != "PARQUET" and target.compression != "uncompressed":
            # Compression is what takes the time, so there should be a file for each processor.
            options.append("PER_THREAD_OUTPUT true, FILENAME_PATTERN '{uuid}'")
            path = folder / "parts"
        else:
            path = folder / "data"
        return int(self.session.rows(f"COPY {source} TO {text(str(path))} ({', '.join(options)})")[0][0])

    def _compress(self, folder: Path, ordered: bool) -> None:
        """Gzips files in place, fast and several at once: DuckDB's own gzip takes several times as long.

        A large file becomes one for each PIECE of whole lines, unless their order matters.
        """

        def one(piece: tuple[Path, int, int]) -> None:
            path, start, end = piece
            gzip = zlib.compressobj(level=1, wbits=31)
            packed = path.with_name(f"{path.name}-{start:015d}")
            with path.open("rb", buffering=0) as source, packed.open("wb", buffering=0) as out:
                source.seek(start)
                while start < end and (block := source.read(min(1 << 20, end - start))):
                    if self.session.cancelled:
                        raise Cancelled
                    out.write(gzip.compress(block))
                    start += len(block)
                out.write(gzip.flush())

        files = [p for p in folder.rglob("*") if p.is_file()]
        pieces = [p for f in files for p in _pieces(f, None if ordered else PIECE)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(one, pieces))
        for f in files:
            f.unlink()

    def _publish(self, folder: Path, target: Target, rows: int) -> Written:
        bucket, prefix = split_location(target.location)
        extension = (
            {"gzip": ".gz", "zstd": ".zst"}.get(target.compression, "") if target.format != "PARQUET" else ""
        )
        found = sorted(p for p in folder.rglob("*") if p.is_file())
        partitions: dict[tuple[str | None, ...], str] = {}
        if not rows:
            found = []
        plan = []
        for path in found:
            parts = path.relative_to(folder).parts[:-1] if target.partitioned_by else ()
            values = []
            for part in parts:
                value = unquote(part.split("=", 1)[1])
                values.append(None if value in ("", DEFAULT_PARTITION, "NULL") and _is_null(part) else value)
            sub = "".join(
                f"{k}={escape_path(v) if v is not None else DEFAULT_PARTITION}/"
                for k, v in zip(target.partitioned_by, values, strict=True)
            )
            if values:
                partitions[tuple(values)] = f"s3://{bucket}/{prefix}{sub}"
            plan.append((path, f"{prefix}{sub}{self.stem}_{uuid.uuid4()}{extension}"))
        if len(partitions) > MAX_PARTITIONS:
            raise QueryError(
                "HIVE_TOO_MANY_OPEN_PARTITIONS",
                f"Exceeded limit of {MAX_PARTITIONS} open writers for partitions/buckets",
            )
        try:
            self.store.put_files(bucket, [(key, path) for path, key in plan])
        except NoSuchBucket as e:
            raise missing_bucket(bucket) from e
        return Written([f"s3://{bucket}/{key}" for _, key in plan], partitions, rows)


# Bytes of text in one gzipped file, about.
PIECE = 64 << 20


def _pieces(path: Path, size: int | None) -> list[tuple[Path, int, int]]:
    """Ranges of whole lines."""
    total = path.stat().st_size
    out, start = [], 0
    with path.open("rb") as f:
        while size is not None and total - start > size * 3 // 2:
            f.seek(start + size)
            f.readline()
            out.append((path, start, f.tell()))
            start = f.tell()
    return [*out, (path, start, total)]


def _is_null(part: str) -> bool:
    value = part.split("=", 1)[1]
    return value in ("", DEFAULT_PARTITION)


def missing_bucket(bucket: str) -> QueryError:
    return QueryError(
        "HIVE_UNKNOWN_ERROR",
        f"The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Bucket: {bucket})",
    )


def _stored(sql: str, t: Type, target: Target) -> str:
    if target.format == "PARQUET":
        _writable(t)
        return _parquet(sql, t)
    if target.format == "JSON":
        _writable(t)
        return _json(sql, t)
    if target.csv is not None:
        return to_varchar(sql, t)
    return _text(sql, t, ["\x02", "\x03"])


def _writable(t: Type) -> None:
    """Raises for types that Hive formats cannot hold, as Athena does."""
    if t.base in ("json", "uuid", "time", "unknown", "timestamp with time zone") or t.base.startswith(
        "interval"
    ):
        raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {t}")
    for a in t.args:
        _writable(a)


def _renamed(sql: str, t: Type, each: Any) -> str:
    """Anonymous fields get the names that Athena gives them, field0 and so on."""
    fields = ", ".join(
        f"{text(n or f'field{i}')}: {each(ty_field(sql, t, i), t.args[i])}" for i, n in enumerate(t.names)
    )
    return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{fields}}} END"


def ty_field(sql: str, t: Type, i: int) -> str:
    from local_aws.athena.expressions import struct_field

    return struct_field(sql, t, i)


def _parquet(sql: str, t: Type) -> str:
    if t.base == "array":
        inner = _parquet("v", t.args[0])
        return sql if inner == "v" else f"list_transform({sql}, lambda v: {inner})"
    if t.base == "row":
        if all(t.names) and all(_parquet("x", a) == "x" for a in t.args):
            return sql
        return _renamed(sql, t, _parquet)
    return sql


def _json(sql: str, t: Type) -> str:
    if t.base == "array":
        inner = _json("v", t.args[0])
        return sql if inner == "v" else f"list_transform({sql}, lambda v: {inner})"
    if t.base == "row":
        if all(t.names) and all(_json("x", a) == "x" for a in t.args):
            return sql
        return _renamed(sql, t, _json)
    if t.base == "map":
        k, v = to_varchar("v.key", t.args[0]), _json("v.value", t.args[1])
        if (k, v) == ("v.key", "v.value"):
            return sql
        return f"map_from_entries(list_transform(map_entries({sql}), lambda v: {{'key': {k}, 'value': {v}}}))"
    if t.base == "timestamp":
        return to_varchar(sql, t)
    if t.base == "varbinary":
        return f"to_base64({sql})"
    return sql


def _text(sql: str, t: Type, delimiters: list[str]) -> str:
    """LazySimpleSerDe's text."""
    if t.base == "varbinary":
        return f"to_base64({sql})"
    if t.base not in ("array", "map", "row"):
        _writable(t)
        return to_varchar(sql, t)
    if not delimiters:
        raise not_supported("Deeper nesting in TEXTFILE output")
    d = f"chr({ord(delimiters[0])})"
    if t.base == "array":
        return f"array_to_string(list_transform({sql}, lambda v: coalesce({_text('v', t.args[0], delimiters[1:])}, '\\N')), {d})"
    if t.base == "map":
        if len(delimiters) < 2:
            raise not_supported("Deeper nesting in TEXTFILE output")
        pair = f"{_text('v.key', t.args[0], [])} || chr({ord(delimiters[1])}) || coalesce({_text('v.value', t.args[1], [])}, '\\N')"
        return f"array_to_string(list_transform(map_entries({sql}), lambda v: {pair}), {d})"
    parts = [
        f"coalesce({_text(ty_field(sql, t, i), a, delimiters[1:])}, '\\N')" for i, a in enumerate(t.args)
    ]
    return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {f' || {d} || '.join(parts)} END"


__all__ = ["Target", "Unload", "Writer", "Written", "parse_unload", "ty", "unload_target"]
