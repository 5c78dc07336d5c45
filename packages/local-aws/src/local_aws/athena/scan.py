"""What a query reads of a table: which partitions, which files, which columns, and how."""

from __future__ import annotations

import datetime as dt
import functools
import io
import itertools
import json
import os
import re
import struct
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from local_aws.athena import formats, grok
from local_aws.athena import types as ty
from local_aws.athena.buckets import bucket_of, wanted_buckets
from local_aws.athena.catalog import Catalog
from local_aws.athena.engine import Session
from local_aws.athena.errors import Cancelled, QueryError, not_supported
from local_aws.athena.expressions import _convert, raise_sql, raise_text, whole_number
from local_aws.athena.plan import Bound, Scan
from local_aws.athena.tables import (
    CLOUDTRAIL_INPUT,
    DEFAULT_PARTITION,
    HIVE_JSON_SERDE,
    SYMLINK_INPUT,
    Partition,
    Table,
    split_location,
)
from local_aws.athena.types import Type, duckdb_type, hive_type, quote, text
from local_aws.objects import NoSuchBucket, ObjectInfo, ObjectStore

# More partitions than this are told apart by joining on the file's name instead of by one SELECT each.
UNION_LIMIT = 64


@dataclass
class File:
    """A file of a table: `path` here, `url` on S3."""

    path: str
    url: str
    size: int
    # How a quote inside quotes is written (CSV).
    escape: str | None = None

    @property
    def compression(self) -> str:
        """What the extension says: https://docs.aws.amazon.com/athena/latest/ug/compression-formats.html"""
        name = self.url.rsplit("/", 1)[-1].lower()
        if name.endswith(".lzo"):
            raise not_supported(f"Reading {self.url} (compression)")
        return next(
            (codec for ending, codec in formats.EXTENSIONS.items() if name.endswith(ending)), "uncompressed"
        )

    @property
    def longest(self) -> int:
        """More bytes of text than the file can hold in one line."""
        return self.size if self.compression == "uncompressed" else self.size * 50


@dataclass
class Rewritten(File):
    """A copy in a form that DuckDB reads; `size` is the original's."""

    @property
    def compression(self) -> str:
        return "uncompressed"

    @property
    def longest(self) -> int:
        return Path(self.path).stat().st_size


@dataclass
class Renamed(Rewritten):
    """JSON whose keys are the names of the table's fields."""


@dataclass
class Quoted(Rewritten):
    """Text of whose lines DuckDB's CSV reader could not make the same fields, as plain CSV."""


@dataclass
class Reader:
    """Builds relations over a table's files."""

    catalog: Catalog
    store: ObjectStore
    session: Session
    now: dt.datetime
    scratch: Path
    # The workgroup's BytesScannedCutoffPerQuery, and what to say when it was exceeded.
    limit: int | None = None
    exceeded: str | None = None
    scanned: int = 0

    def read(self, size: int) -> None:
        """Counts bytes to be read. Raises Cancelled beyond the workgroup's limit."""
        self.scanned += size
        if self.limit is not None and self.scanned > self.limit:
            self.exceeded = f"Query cancelled! Bytes scanned limit was exceeded: {self.scanned} of {self.limit} bytes allowed by the workgroup"
            raise Cancelled

    def relation(self, scan: Scan) -> str:
        """DuckDB SQL, a parenthesised query, that stands for the scan."""
        table = scan.table
        assert isinstance(table, Table)
        if table.format == "iceberg":
            from local_aws.athena.iceberg import scan as iceberg

            return iceberg.relation(self, scan)
        if table.format == "iceberg metadata":
            from local_aws.athena.iceberg import inspect

            return inspect.relation(self.scratch, scan)
        table.require_known_input_format()
        partitions = self.partitions(table, scan)
        buckets = wanted_buckets(table, scan, self.session)
        keys = table.partition_keys
        groups: list[tuple[Partition, list[File]]] = []
        for p in partitions:
            found = self.files(p.location)
            if table.input_format == SYMLINK_INPUT:
                found = [linked for manifest in found for linked in self._linked(manifest)]
            if buckets is not None and all(bucket_of(f.url) is not None for f in found):
                found = [f for f in found if bucket_of(f.url) in buckets]
            if found:
                groups.append((p, [self._readable(table, f, scan.used) for f in found]))
        used = [(n, t) for n, t in table.columns if n in scan.used]
        key_types = [(n, t) for n, t in keys if n in scan.used]
        by_file = bool({"$path", "$file_size"} & scan.used)
        if not groups:
            everything = [
                *used,
                *key_types,
                *[
                    (h, ty.VARCHAR if h == "$path" else ty.BIGINT)
                    for h in ("$path", "$file_size")
                    if h in scan.used
                ],
            ]
            items = ", ".join(f"CAST(NULL AS {duckdb_type(t)}) AS {quote(n)}" for n, t in everything)
            return f"(SELECT {items or '1 AS one'} WHERE false)"
        reads = {
            "json": self._json,
            "csv": self._csv,
            "text": self._text,
            "regex": self._split,
            "grok": self._split,
            "parquet": self._parquet,
            "orc": self._parquet,
            "avro": self._parquet,
            "ion": self._parquet,
        }
        read = reads.get(table.format)
        if read is None:
            raise not_supported(f"Reading {table.format} tables ('{table.database}.{table.name}')")
        names = [n for n, _ in keys]
        if len(groups) > UNION_LIMIT or by_file:
            return self._joined(read, table, used, key_types, groups, names, by_file)
        parts = []
        for p, files in groups:
            constants = [
                f"{partition_literal(p.values[names.index(n)], t)} AS {quote(n)}" for n, t in key_types
            ]
            for sql in read(table, used, files, False):
                items = ", ".join([*[quote(n) for n, _ in used], *constants]) or "1 AS one"
                parts.append(f"SELECT {items} FROM {sql}")
        return "(" + " UNION ALL ".join(parts) + ")"

    def _joined(
        self,
        read: Any,
        table: Table,
        used: list[tuple[str, Type]],
        key_types: list[tuple[str, Type]],
        groups: list[tuple[Partition, list[File]]],
        names: list[str],
        by_file: bool,
    ) -> str:
        """All files in one read, each row told its partition and path by the name of its file."""
        files = [f for _, fs in groups for f in fs]
        rows = []
        for p, fs in groups:
            values = [partition_literal(p.values[names.index(n)], t) for n, t in key_types]
            rows += ["(" + ", ".join([text(f.path), *values, text(f.url), str(f.size)]) + ")" for f in fs]
        columns = ['"$file"', *[quote(n) for n, _ in key_types], '"$path"', '"$file_size"']
        items = ", ".join([*[f"d.{quote(n)}" for n, _ in used], *[f"m.{c}" for c in columns[1:]]])
        data = " UNION ALL ".join(
            f"SELECT {', '.join([*[quote(n) for n, _ in used], 'filename'])} FROM {sql}"
            for sql in read(table, used, files, True)
        )
        del by_file
        return f'(SELECT {items} FROM ({data}) AS d JOIN (VALUES {", ".join(rows)}) AS m({", ".join(columns)}) ON d.filename = m."$file")'

    # ----------------------------------------------------------------------------------- files

    def _readable(self, table: Table, f: File, used: set[str]) -> File:
        """The file itself, or a copy of it in a form that DuckDB reads."""
        copy = self.scratch / f"read-{uuid.uuid4().hex}"
        if table.format == "orc":
            chosen = [(n, i) for i, (n, _) in enumerate(table.columns) if n in used]
            by_index = table.serde_parameters.get("orc.column.index.access", "true").lower() != "false"
            formats.orc_to_parquet(f.path, f.url, copy, chosen, by_index)
            return Rewritten(str(copy), f.url, f.size)
        if table.format == "avro":
            formats.avro_to_parquet(f.path, f.url, copy, [(n, t) for n, t in table.columns if n in used])
            return Rewritten(str(copy), f.url, f.size)
        if table.format != "parquet" and f.compression not in formats.NATIVE:
            formats.decompress(f.path, f.url, f.compression, copy)
            f = Rewritten(str(copy), f.url, f.size)
        if table.format == "ion":
            from local_aws.athena.ion import ion_to_parquet

            rows = self.scratch / f"read-{uuid.uuid4().hex}"
            with _open_bytes(f) as source:
                ion_to_parquet(
                    source, f.url, rows, [c for c in table.columns if c[0] in used], table.serde_parameters
                )
            return Rewritten(str(rows), f.url, f.size)
        if table.format == "regex":
            return self._matched(table, f)
        if table.format == "grok":
            return self._grokked(table, f)
        if table.format == "csv":
            return self._with_escape(table, f)
        if table.input_format == CLOUDTRAIL_INPUT:
            with _open_text(f) as lines:
                return self._renamed(f, formats.cloudtrail_lines(lines, ty.row(*table.columns), f.url))
        if table.format == "json":
            f = self._with_names(table, f)
        if table.format == "text":
            return self._unescaped(table, f)
        return self._cleaned(f) if _lenient(table) else f

    def _quoted(self, f: File, split: Callable[[str], list[str | None]]) -> Quoted:
        """A copy in which each line's fields are what `split` makes of it."""
        path = self.scratch / f"quoted-{uuid.uuid4().hex}"
        with _open_text(f) as source, path.open("w", encoding="utf-8", newline="\n") as out:
            for line in source:
                out.write(formats.quoted_line(split(line.removesuffix("\n").removesuffix("\r")), NO_VALUE))
        return Quoted(str(path), f.url, f.size)

    def _matched(self, table: Table, f: File) -> Quoted:
        """Lines as RegexSerDe reads them: a group for each column, NULL where there is none or the line does not match.

        https://docs.aws.amazon.com/athena/latest/ug/regex-serde.html
        """
        pattern = table.serde_parameters.get("input.regex")
        if pattern is None:
            raise QueryError(
                "HIVE_CURSOR_ERROR",
                f'This table does not have serde property "input.regex"! ({table.database}.{table.name})',
            )
        lenient = table.serde_parameters.get("input.regex.case.insensitive", "").lower() == "true"
        try:
            compiled = re.compile(pattern, re.I if lenient else 0)
        except re.error as e:
            raise not_supported(f"The regular expression of '{table.database}.{table.name}' ({e})") from e
        width = len(table.columns)

        def split(line: str) -> list[str | None]:
            m = compiled.fullmatch(line)
            found = list(m.groups()) if m else []
            return [*found, *[None] * width][:width]

        return self._quoted(f, split)

    def _grokked(self, table: Table, f: File) -> Quoted:
        """https://docs.aws.amazon.com/athena/latest/ug/grok-serde.html"""
        p = table.serde_parameters
        if "input.format" not in p:
            raise QueryError(
                "HIVE_CURSOR_ERROR",
                f"Table {table.database}.{table.name} has no grok pattern: SerDe property input.format",
            )
        names = [n for n, _ in table.columns]
        return self._quoted(f, grok.splitter(p["input.format"], p.get("input.grokCustomPatterns", ""), names))

    def _linked(self, manifest: File) -> list[File]:
        """The files whose locations a symlink file lists, one in a line."""
        found = []
        with _open_text(manifest) as lines:
            for location in filter(None, map(str.strip, lines)):
                bucket, _, key = location.removeprefix("s3://").partition("/")
                info = self.store.get(bucket, key) if location.startswith("s3://") else None
                if info is None:
                    raise QueryError(
                        "HIVE_FILE_NOT_FOUND", f"{location}, which {manifest.url} lists, does not exist"
                    )
                found.append(File(info.path, location, info.size))
        return found

    def files(self, location: str) -> list[File]:
        """Data files below a location; those that Hive hides (names that begin with _ or .) left out."""
        bucket, prefix = split_location(location)
        try:
            found = self.store.objects(bucket, prefix)
        except NoSuchBucket as e:
            raise QueryError(
                "HIVE_UNKNOWN_ERROR",
                f"Failed to list directory: {location}. The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Bucket: {bucket})",
            ) from e
        visible = []
        for o in found:
            relative = o.key[len(prefix) :]
            if o.size == 0 or any(part.startswith(("_", ".")) for part in relative.split("/")):
                continue
            visible.append(File(o.path, f"s3://{bucket}/{o.key}", o.size))
        return visible

    # ------------------------------------------------------------------------------ partitions

    def partitions(self, table: Table, scan: Scan | None = None) -> list[Partition]:
        """The partitions that the query's conditions leave."""
        keys = table.partition_keys
        if not keys:
            return [Partition((), table.location)]
        bounds = self._bounds(table, scan) if scan is not None else {}
        found = self._projected(table, bounds) if table.projected else self.catalog.partitions(table)
        if scan is None or not scan.filters or not found:
            return found
        columns = []
        for i, (n, t) in enumerate(keys):
            values = ", ".join("NULL" if p.values[i] is None else text(str(p.values[i])) for p in found)
            columns.append(f"CAST(unnest(CAST([{values}] AS VARCHAR[])) AS {duckdb_type(t)}) AS {quote(n)}")
        source = f"SELECT unnest(range({len(found)})) AS i, {', '.join(columns)}"
        sql = f"SELECT p.i FROM ({source}) AS p WHERE {' AND '.join(scan.filters)} ORDER BY p.i"
        return [found[i] for (i,) in self.session.rows(sql)]

    def _bounds(self, table: Table, scan: Scan) -> dict[str, list[tuple[str, list[str | None]]]]:
        """The constants of each column's bounds, as text."""
        flat: list[tuple[str, Bound]] = [(n, b) for n, bs in scan.bounds.items() for b in bs]
        constants = [c for _, b in flat for c in b.constants]
        if not constants or not table.projected:
            return {}
        row = self.session.rows("SELECT " + ", ".join(f"CAST({c} AS VARCHAR)" for c in constants))[0]
        values = iter(row)
        out: dict[str, list[tuple[str, list[str | None]]]] = {}
        for n, b in flat:
            out.setdefault(n, []).append((b.op, [next(values) for _ in b.constants]))
        return out

    def _projected(
        self, table: Table, bounds: dict[str, list[tuple[str, list[str | None]]]]
    ) -> list[Partition]:
        """https://docs.aws.amazon.com/athena/latest/ug/partition-projection-supported-types.html"""
        candidates = []
        for n, _ in table.partition_keys:
            kind = table.parameters.get(f"projection.{n}.type", "").lower()
            allowed: set[str] | None = None
            for op, values in bounds.get(n, []):
                if op == "in":
                    found = {v for v in values if v is not None}
                    allowed = found if allowed is None else allowed & found
            low = max(
                (v[0] for op, v in bounds.get(n, []) if op in (">", ">=") and v[0] is not None), default=None
            )
            high = min(
                (v[0] for op, v in bounds.get(n, []) if op in ("<", "<=") and v[0] is not None), default=None
            )
            if kind == "injected":
                if allowed is None:
                    raise QueryError(
                        "CONSTRAINT_VIOLATION",
                        f"For the injected projected partition column {n}, the WHERE clause must contain only static equality conditions, and at least one such condition must be present.",
                    )
                candidates.append(sorted(allowed))
            elif kind == "enum":
                values_text = self._property(table, n, "values")
                listed = [v.strip() for v in values_text.split(",")]
                candidates.append([v for v in listed if allowed is None or v in allowed])
            elif kind == "integer":
                candidates.append(self._integers(table, n, allowed, low, high))
            elif kind == "date":
                candidates.append(self._dates(table, n, allowed, low, high))
            elif not kind:
                raise QueryError(
                    "INVALID_TABLE_PROPERTY",
                    f"For projection enabled tables, property projection.{n}.type must be set (table {table.database}.{table.name})",
                )
            else:
                raise QueryError(
                    "INVALID_TABLE_PROPERTY",
                    f"Unknown projection type '{kind}' of partition column {n} in table {table.database}.{table.name}",
                )
        count = functools.reduce(lambda a, b: a * len(b), candidates, 1)
        if count > 1_000_000:
            raise QueryError(
                "HIVE_EXCEEDED_PARTITION_LIMIT",
                f"Query over table '{table.database}.{table.name}' can potentially read {count} partitions",
            )
        return [
            Partition(chosen, _projected_location(table, chosen)) for chosen in itertools.product(*candidates)
        ]

    def projected_location(self, table: Table, values: tuple[str | None, ...]) -> str:
        """Where rows of a partition have to be written so that the projection finds them. Raises where it
        would not."""
        chosen = []
        for (n, t), v in zip(table.partition_keys, values, strict=True):
            bounds = {n: [("in", [v])]}
            only = _with_key(table, n, t)
            found = self._projected(only, bounds) if v is not None else []
            if not found:
                raise QueryError(
                    "CONSTRAINT_VIOLATION",
                    f"Partition column {n} has the value {v}, which its projection in table {table.database}.{table.name} does not produce: no query could read the row",
                )
            chosen.append(str(found[0].values[0]))
        return _projected_location(table, tuple(chosen))

    def _property(self, table: Table, column: str, name: str) -> str:
        value = table.parameters.get(f"projection.{column}.{name}")
        if value is None:
            raise QueryError(
                "INVALID_TABLE_PROPERTY",
                f"Missing required property projection.{column}.{name} of table {table.database}.{table.name}",
            )
        return value

    def _integers(
        self, table: Table, n: str, allowed: set[str] | None, low: str | None, high: str | None
    ) -> list[str]:
        first, _, last = self._property(table, n, "range").partition(",")
        a, b = int(first), int(last)
        step = int(table.parameters.get(f"projection.{n}.interval", "1"))
        digits = int(table.parameters.get(f"projection.{n}.digits", "0"))

        def written(i: int) -> str:
            return str(i).zfill(digits)

        if allowed is not None:
            return [
                written(int(v))
                for v in sorted(allowed)
                if re.fullmatch(r"-?\d+", v) and a <= int(v) <= b and (int(v) - a) % step == 0
            ]
        start, stop = a, b
        if low is not None and re.fullmatch(r"-?\d+", low) and int(low) > a:
            start = a + -(-(int(low) - a) // step) * step
        if high is not None and re.fullmatch(r"-?\d+", high):
            stop = min(stop, int(high))
        if (stop - start) // step > 1_000_000:
            raise QueryError(
                "HIVE_EXCEEDED_PARTITION_LIMIT",
                f"The range of projected column {n} holds too many partitions",
            )
        return [written(i) for i in range(start, stop + 1, step)]

    def _dates(
        self, table: Table, n: str, allowed: set[str] | None, low: str | None, high: str | None
    ) -> list[str]:
        pattern = _java_format(self._property(table, n, "format"))
        first, _, last = self._property(table, n, "range").partition(",")
        a, b = self._moment(first.strip(), pattern), self._moment(last.strip(), pattern)
        unit = table.parameters.get(f"projection.{n}.interval.unit", "").upper().rstrip("S")
        if not unit:
            fine = {"%S": "SECOND", "%M": "MINUTE", "%H": "HOUR", "%d": "DAY", "%m": "MONTH"}
            unit = next((u for k, u in fine.items() if k in pattern), "YEAR")
        step = int(table.parameters.get(f"projection.{n}.interval", "1"))
        if allowed is not None:
            found = []
            for v in sorted(allowed):
                try:
                    moment = dt.datetime.strptime(v, pattern)
                except ValueError:
                    try:
                        # A DATE column: the value is ISO, the folder has the format.
                        moment = dt.datetime.fromisoformat(v)
                    except ValueError:
                        continue
                if a <= moment <= b:
                    found.append(moment.strftime(pattern))
            return found
        for bound, is_low in ((low, True), (high, False)):
            if bound is None:
                continue
            try:
                moment = dt.datetime.strptime(bound, pattern)
            except ValueError:
                try:
                    moment = dt.datetime.fromisoformat(bound)
                except ValueError:
                    continue
            # Whole steps before the bound may be skipped, if steps are of fixed length.
            if is_low and unit in _FIXED and moment > a:
                length = _FIXED[unit] * step
                a += (moment - a) // length * length
            elif not is_low:
                b = min(b, moment)
        out = []
        moment, i, start = a, 0, a
        while moment <= b:
            out.append(moment.strftime(pattern))
            i += step
            moment = (
                start + _FIXED[unit] * i
                if unit in _FIXED
                else _months(start, i * (12 if unit == "YEAR" else 1))
            )
            if len(out) > 1_000_000:
                raise QueryError(
                    "HIVE_EXCEEDED_PARTITION_LIMIT",
                    f"The range of projected column {n} holds too many partitions",
                )
        return list(dict.fromkeys(out))

    def _moment(self, value: str, pattern: str) -> dt.datetime:
        m = re.fullmatch(
            r"NOW\s*(?:([+-])\s*(\d+)\s*(YEAR|MONTH|WEEK|DAY|HOUR|MINUTE|SECOND)S?)?", value, re.I
        )
        if m is None:
            try:
                return dt.datetime.strptime(value, pattern)
            except ValueError as e:
                raise QueryError(
                    "INVALID_TABLE_PROPERTY", f"'{value}' in a projection's range does not match its format"
                ) from e
        moment = self.now.replace(tzinfo=None)
        if m.group(1):
            count = int(m.group(2)) * (1 if m.group(1) == "+" else -1)
            unit = m.group(3).upper()
            moment = (
                moment + _FIXED[unit] * count
                if unit in _FIXED
                else _months(moment, count * (12 if unit == "YEAR" else 1))
            )
        return moment

    # --------------------------------------------------------------------------------- formats

    def _json(
        self, table: Table, used: list[tuple[str, Type]], files: list[File], by_file: bool
    ) -> list[str]:
        """https://docs.aws.amazon.com/athena/latest/ug/json-serde.html"""
        parameters = table.serde_parameters
        unknown = [k for k in parameters if k.lower() not in _KNOWN_JSON and not k.startswith("mapping.")]
        if unknown:
            raise not_supported(f"JSON SerDe property '{unknown[0]}'")
        keys = formats.json_keys(parameters)
        self.session.json_failure = (
            "JsonParseException"
            if table.serde == HIVE_JSON_SERDE
            else "Row is not a valid JSON Object - JSONException"
        )
        # Without any column the rows still have to be counted.
        columns = used or [(table.columns[0][0], ty.VARCHAR)]
        row = ty.row(*columns)
        positions = {n: i for i, (n, _) in enumerate(table.columns)}
        options = "format='newline_delimited', records=true, auto_detect=false"
        if by_file:
            options += ", filename=true"
        self.read(sum(f.size for f in files))
        out = []
        for compression, group in _by_compression(files):
            spellings: dict[str, tuple[Spelling, list[File]]] = {}
            for f in group:
                renamed = isinstance(f, Renamed)
                spelling = {} if renamed or keys.exact else self._spelling(f, compression, row)
                spellings.setdefault(repr((renamed, spelling)), (spelling, []))[1].append(f)
            for spelling, same in spellings.values():
                mapping = {} if isinstance(same[0], Renamed) else keys.mapping
                names = {n: mapping.get(n) or spelling.get(n, (n, {}))[0] for n, _ in columns}
                inner = {n: spelling.get(n, (n, {}))[1] for n, _ in columns}
                read = ", ".join(f"{text(names[n])}: {text(_json_type(t, inner[n]))}" for n, t in columns)
                items = [
                    f"{_json_value(quote(names[n]), t, inner[n], positions[n])} AS {quote(n)}"
                    for n, t in columns
                ]
                if by_file:
                    items.append("filename")
                out.append(
                    f"(SELECT {', '.join(items)} FROM read_json({_paths(same)}, columns={{{read}}}, {options}, maximum_object_size={_longest(same)}, compression='{compression}'))"
                )
        return out

    def _with_names(self, table: Table, f: File) -> File:
        """A copy with the fields' names as keys, where DuckDB could not find them: of a file that spells one of them
        in several ways, or if the SerDe properties say more than the keys of the table's columns."""
        keys, row = formats.json_keys(table.serde_parameters), ty.row(*table.columns)
        nested = keys.mapping.keys() - dict(table.columns).keys()
        if not (keys.dots or nested or (keys.mapping and keys.exact)):
            if keys.exact:
                return f
            try:
                self._spelling(f, f.compression, row)
            except SeveralSpellingsError:
                pass
            else:
                return f

        def lines(source: Iterable[str]) -> Iterator[str]:
            for line in source:
                try:
                    value = keys.named(json.loads(line), row, f.url)
                except ValueError:
                    # Whoever reads it will say what is wrong.
                    yield line
                    continue
                yield json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n"

        with _open_text(f) as source:
            return self._renamed(f, lines(source))

    def _renamed(self, f: File, lines: Iterable[str]) -> Renamed:
        path = self.scratch / f"named-{uuid.uuid4().hex}"
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(lines)
        return Renamed(str(path), f.url, f.size)

    def _cleaned(self, f: File) -> File:
        """With ignore.malformed.json a malformed line is a row of NULLs. DuckDB's own ignore_errors may lose
        the line after it, so such lines are replaced in a copy."""
        lines = f"read_csv({text(f.path)}, columns={{'line': 'VARCHAR'}}, {_LINES}, {_buffers([f])}, compression='{f.compression}')"
        if not self.session.rows(f"SELECT 1 FROM {lines} WHERE NOT json_valid(line) LIMIT 1"):
            return f
        path = self.scratch / f"cleaned-{Path(f.path).name}"
        self.session.execute(
            f"COPY (SELECT CASE WHEN json_valid(line) THEN line ELSE '{{}}' END FROM {lines}) "
            f"TO {text(str(path))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER '\x01\x02\x03')"
        )
        return (
            type(f)(str(path), f.url, f.size)
            if isinstance(f, Renamed)
            else Rewritten(str(path), f.url, f.size)
        )

    def _spelling(self, f: File, compression: str, row: Type) -> Spelling:
        """How a file spells the keys of the table's columns, where it does so otherwise than in lower case.

        The SerDe compares keys without regard to case, DuckDB does not.
        """
        if not self._has_upper_case_keys(f, compression):
            return {}
        if f.path not in _structures:
            lines = f"read_csv({text(f.path)}, columns={{'line': 'VARCHAR'}}, {_LINES}, {_buffers([f])}, compression='{compression}')"
            found = self.session.rows(
                f"SELECT json_group_structure(CAST(line AS JSON)) FROM {lines} WHERE json_valid(line)"
            )[0][0]
            if len(_structures) > 1000:
                _structures.clear()
            _structures[f.path] = json.loads(found or "{}")
        return _spelling(_structures[f.path], row, f.url)

    def _has_upper_case_keys(self, f: File, compression: str) -> bool:
        """Whether a file may spell a key with upper-case letters. The first query of a file searches all of it."""
        body = _body(f.path)
        known = _upper_case.get(body)
        if known is None:
            known, at_once = False, 2 * (os.cpu_count() or 1)
            blocks = _blocks(f.path, compression)
            with ThreadPoolExecutor(at_once // 2) as pool:
                while not known and (some := list(itertools.islice(blocks, at_once))):
                    if self.session.cancelled:
                        raise Cancelled
                    search = map if len(some) == 1 else pool.map
                    known = any(search(_mentions_upper_case_key, some))
            if len(_upper_case) > 100_000:
                _upper_case.clear()
            _upper_case[body] = known
        return known

    def _csv(self, table: Table, used: list[tuple[str, Type]], files: list[File], by_file: bool) -> list[str]:
        """https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html"""
        p = table.serde_parameters
        separator, quotation = p.get("separatorChar", ","), p.get("quoteChar", '"')
        positions = {n: i for i, (n, _) in enumerate(table.columns)}
        out = []
        self.read(sum(f.size for f in files))
        for compression, group in _by_compression(files):
            for mark in dict.fromkeys(f.escape for f in group):
                same = [f for f in group if f.escape == mark]
                if isinstance(same[0], Quoted):
                    source = self._read_quoted(table, same, by_file)
                else:
                    source = self._read_csv(
                        table, same, separator, quotation, mark or quotation, None, compression, by_file
                    )
                items = [f"{_csv_value(quote(n), t, positions[n])} AS {quote(n)}" for n, t in used]
                items = items or ["1 AS one"]
                out.append(
                    f"(SELECT {', '.join([*items, *(['filename'] if by_file else [])])} FROM {source})"
                )
        return out

    def _with_escape(self, table: Table, f: File) -> File:
        """OpenCSV knows two escapes at once, the escape character and a doubled quote; DuckDB knows one."""
        p = table.serde_parameters
        separator, quotation = p.get("separatorChar", ","), p.get("quoteChar", '"')
        escape = p.get("escapeChar", "\\")
        if not _has_blank_lines(f):
            if escape == quotation or not self._contains(f, f.compression, escape):
                return replace(f, escape=quotation)
            if not self._contains(f, f.compression, quotation * 2):
                return replace(f, escape=escape)
        # OpenCSV finds no fields in an empty line, not even an empty one.
        return self._quoted(
            f, lambda line: [*formats.opencsv_fields(line, separator, quotation, escape)] if line else [None]
        )

    def _unescaped(self, table: Table, f: File) -> File:
        """Delimited text whose fields hold escaped characters."""
        separator, null, escape = (
            delimiters(table)[0],
            null_format(table),
            table.serde_parameters.get("escape.delim"),
        )
        if not escape or not self._contains(f, f.compression, escape):
            if not _has_blank_lines(f):
                return f
            return self._quoted(f, lambda line: [None if v == null else v for v in line.split(separator)])
        nested = [i for i, (_, t) in enumerate(table.columns) if t.args]

        def split(line: str) -> list[str | None]:
            fields = formats.escaped_fields(line, separator, escape)
            if any(i < len(fields) and escape in fields[i][0] for i in nested):
                raise not_supported(f"Escaped characters in arrays, maps and structs of text ({f.url})")
            return [None if raw == null else value for raw, value in fields]

        return self._quoted(f, split)

    def _read_quoted(self, table: Table, files: list[File], by_file: bool) -> str:
        return self._read_csv(table, files, ",", '"', '"', NO_VALUE, "uncompressed", by_file)

    def _contains(self, f: File, compression: str, needle: str) -> bool:
        lines = f"read_csv({text(f.path)}, columns={{'line': 'VARCHAR'}}, {_LINES}, {_buffers([f])}, compression='{compression}')"
        return bool(self.session.rows(f"SELECT 1 FROM {lines} WHERE contains(line, {text(needle)}) LIMIT 1"))

    def _read_csv(
        self,
        table: Table,
        files: list[File],
        separator: str,
        quotation: str,
        escape: str,
        null: str | None,
        compression: str,
        by_file: bool,
    ) -> str:
        skip = int(table.parameters.get("skip.header.line.count", "0") or 0)
        columns = ", ".join(f"{text(n)}: 'VARCHAR'" for n, _ in table.columns)
        # Extra fields are ignored by the SerDes: DuckDB needs a name for them.
        return (
            f"read_csv({_paths(files)}, columns={{{columns}}}, auto_detect=false, header=false, skip={skip}, "
            f"delim={text(separator)}, quote={text(quotation)}, escape={text(escape)}, nullstr={text(null if null is not None else chr(1) + chr(2))}, "
            f"null_padding=true, strict_mode=false, ignore_errors=false, {_buffers(files)}, "
            f"compression='{compression}'{', filename=true' if by_file else ''}, parallel=false)"
        )

    def _text(
        self, table: Table, used: list[tuple[str, Type]], files: list[File], by_file: bool
    ) -> list[str]:
        """https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html"""
        separator, *inner = delimiters(table)
        null = null_format(table)
        items = [f"{_lazy_value(quote(n), t, inner, null)} AS {quote(n)}" for n, t in used] or ["1 AS one"]
        out = []
        self.read(sum(f.size for f in files))
        for compression, group in _by_compression(files):
            plain = [f for f in group if not isinstance(f, Quoted)]
            quoted: list[File] = [f for f in group if isinstance(f, Quoted)]
            sources = []
            if plain:
                sources.append(self._read_csv(table, plain, separator, "", "", null, compression, by_file))
            if quoted:
                sources.append(self._read_quoted(table, quoted, by_file))
            out += [
                f"(SELECT {', '.join([*items, *(['filename'] if by_file else [])])} FROM {s})"
                for s in sources
            ]
        return out

    def _split(
        self, table: Table, used: list[tuple[str, Type]], files: list[File], by_file: bool
    ) -> list[str]:
        self.read(sum(f.size for f in files))
        items = [f"{_lazy_value(quote(n), t, [], NO_VALUE)} AS {quote(n)}" for n, t in used] or ["1 AS one"]
        source = self._read_quoted(table, files, by_file)
        return [f"(SELECT {', '.join([*items, *(['filename'] if by_file else [])])} FROM {source})"]

    def _parquet(
        self, table: Table, used: list[tuple[str, Type]], files: list[File], by_file: bool
    ) -> list[str]:
        """Columns are found by name; a file without a column has NULLs there.

        https://docs.aws.amazon.com/athena/latest/ug/handling-schema-updates-chapter.html
        """
        groups: dict[tuple[str, ...], list[File]] = {}
        by_index = table.serde_parameters.get("parquet.column.index.access", "").lower() == "true"
        positions = {n: i for i, (n, _) in enumerate(table.columns)}
        for f in files:
            footer = parquet_footer(f.path, f.url)
            converted = isinstance(f, Rewritten)
            if converted:
                self.read(f.size)
            in_order = list(footer.columns.values()) if by_index and not converted else []
            items = []
            for n, t in used:
                found = footer.columns.get(n)
                if in_order:
                    found = in_order[positions[n]] if positions[n] < len(in_order) else None
                if found is None:
                    items.append(f"CAST(NULL AS {duckdb_type(t)}) AS {quote(n)}")
                    continue
                name, have, physical = found
                items.append(f"{_parquet_value(quote(name), have, t, n, physical, f.url)} AS {quote(n)}")
                if not converted:
                    self.read(footer.sizes.get(name.lower(), 0))
            groups.setdefault(tuple(items), []).append(f)
        return [
            f"(SELECT {', '.join([*items, *(['filename'] if by_file else [])]) or '1 AS one'} FROM read_parquet({_paths(group)}, hive_partitioning=false{', filename=true' if by_file else ''}))"
            for items, group in groups.items()
        ]


# A field without a value in Quoted files.
NO_VALUE = "\x01\x02"


def delimiters(table: Table) -> list[str]:
    """LazySimpleSerDe's delimiters: of fields, of collections' items, of maps' keys, and of what is nested
    deeper, as Hive numbers them."""
    p = table.serde_parameters

    def one(value: str) -> str:
        return chr(int(value)) if re.fullmatch(r"\d{1,3}", value) and len(value) > 1 else value

    field = p.get("field.delim")
    if not field:
        field = p.get("serialization.format") or "\x01"
        field = chr(int(field)) if field.isdigit() else field
    collection = p.get("collection.delim") or p.get("colelction.delim") or "\x02"
    return [one(field), one(collection), one(p.get("mapkey.delim") or "\x03"), *map(chr, range(4, 9))]


def null_format(table: Table) -> str:
    return table.serde_parameters.get("serialization.null.format", "\\N")


_KNOWN_JSON = {
    "ignore.malformed.json", "serialization.format", "dots.in.keys", "case.insensitive", "paths", "field.delim",
    "timestamp.formats", "use.null.for.invalid.data",
}  # fmt: skip
_FIXED = {
    "WEEK": dt.timedelta(weeks=1),
    "DAY": dt.timedelta(days=1),
    "HOUR": dt.timedelta(hours=1),
    "MINUTE": dt.timedelta(minutes=1),
    "SECOND": dt.timedelta(seconds=1),
}


def _with_key(table: Table, name: str, t: Type) -> Table:
    """The table as if it had one partition column only."""
    return Table({**table.description, "PartitionKeys": [{"Name": name, "Type": hive_type(t)}]})


def _projected_location(table: Table, values: tuple[str, ...]) -> str:
    template = table.parameters.get("storage.location.template")
    names = [n for n, _ in table.partition_keys]
    if not template:
        folders = "".join(f"{n}={v}/" for n, v in zip(names, values, strict=True))
        return table.location.rstrip("/") + "/" + folders
    for n, v in zip(names, values, strict=True):
        template = template.replace("${" + n + "}", v)
    return template


def _months(moment: dt.datetime, count: int) -> dt.datetime:
    index = moment.year * 12 + moment.month - 1 + count
    year, month = divmod(index, 12)
    return moment.replace(year=year, month=month + 1, day=min(moment.day, 28))


def _java_format(pattern: str) -> str:
    table = {"yyyy": "%Y", "MM": "%m", "dd": "%d", "HH": "%H", "mm": "%M", "ss": "%S", "yy": "%y"}

    def one(m: re.Match[str]) -> str:
        if m.group().startswith("'"):
            return m.group().strip("'")
        if m.group() not in table:
            raise not_supported(f"'{m.group()}' in a projection's date format")
        return table[m.group()]

    return re.sub(r"'[^']*'|([A-Za-z])\1*", one, pattern)


def partition_literal(value: str | None, t: Type) -> str:
    """A partition's value as DuckDB SQL of the column's type."""
    if value is None or value == DEFAULT_PARTITION:
        return f"CAST(NULL AS {duckdb_type(t)})"
    return text(value) if t.base == "varchar" else f"CAST({text(value)} AS {duckdb_type(t)})"


def _paths(files: list[File]) -> str:
    return "[" + ", ".join(text(f.path) for f in files) + "]"


def _by_compression(files: list[File]) -> list[tuple[str, list[File]]]:
    groups: dict[str, list[File]] = {}
    for f in files:
        groups.setdefault(f.compression, []).append(f)
    return list(groups.items())


def _longest(files: list[File]) -> int:
    """The longest line that these files can have, up to LONGEST."""
    return min(LONGEST, max(1 << 16, *(f.longest for f in files)))


def _buffers(files: list[File]) -> str:
    longest = _longest(files)
    return f"max_line_size={longest}, buffer_size={2 * longest}"


def _lenient(table: Table) -> bool:
    return (
        table.format == "json" and table.serde_parameters.get("ignore.malformed.json", "").lower() == "true"
    )


# How keys are really spelled: by lower-case field the spelling, and the spellings inside the field.
Spelling = dict[str, tuple[str, Any]]

# A file of whole lines: a separator that no text has, and no quotes.
_LINES = "auto_detect=false, header=false, delim='\x01\x02\x03', quote='', escape=''"
# The longest line or JSON value. DuckDB's buffers grow with it, whatever the files' sizes.
LONGEST = 16 << 20
# A key with upper-case letters, also where they are written as \\u0041; some values look like it, too.
_UPPER_CASE_KEY = r'(?:[A-Z]|\\u00[45])[^"]*"\s*:'
# Bytes that are searched at once.
_BLOCK = 8 << 20
# What was found, by body; bodies never change.
_upper_case: dict[tuple[int, ...], bool] = {}
_blank: dict[tuple[int, ...], bool] = {}
_structures: dict[str, Any] = {}


def _body(path: str | Path) -> tuple[int, ...]:
    """What a body is known by before and after it becomes an object: a rename changes none of it."""
    found = os.stat(path)  # noqa: PTH116 - paths of bodies are text
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def written_in_lower_case(path: Path) -> None:
    """Notes that a JSON file about to become an object has no keys with upper-case letters but those of maps."""
    _upper_case[_body(path)] = False


def _blocks(path: str, compression: str) -> Iterator[bytes]:
    """A file's text in blocks of whole lines."""
    rest = b""
    with pa.input_stream(path, compression=None if compression == "uncompressed" else compression) as stream:
        while block := stream.read(_BLOCK):
            whole, line_break, tail = block.rpartition(b"\n")
            if line_break:
                yield rest + whole
                rest = tail
            else:
                rest += block
    yield rest


def _open_bytes(f: File) -> Any:
    """A file's content, decompressed."""
    return pa.input_stream(f.path, compression=None if f.compression == "uncompressed" else f.compression)


def _open_text(f: File) -> io.TextIOWrapper:
    return io.TextIOWrapper(_open_bytes(f), "utf-8", newline="\n")


def _has_blank_lines(f: File) -> bool:
    """Whether a text has a line without a character, which DuckDB would leave out."""
    body = _body(f.path)
    if body not in _blank:
        found, last = False, b"\n"
        with _open_bytes(f) as stream:
            while not found and (block := stream.read(_BLOCK)):
                joined = last + block
                found = b"\n\n" in joined or b"\n\r\n" in joined
                last = joined[-2:]
        if len(_blank) > 100_000:
            _blank.clear()
        _blank[body] = found
    return _blank[body]


def _mentions_upper_case_key(block: bytes) -> bool:
    # One value of all the bytes: Arrow searches it where it lies, at the speed of RE2's automaton.
    ends = pa.py_buffer(struct.pack("=qq", 0, len(block)))
    value = pa.Array.from_buffers(pa.large_binary(), 1, [None, ends, pa.py_buffer(block)])
    return bool(pc.match_substring_regex(value, _UPPER_CASE_KEY)[0].as_py())


class SeveralSpellingsError(Exception):
    """A JSON file spells the name of one field in several ways."""


def _spelling(structure: Any, t: Type, url: str) -> Spelling:
    """Compares the structure that DuckDB found in a file with the table's type."""
    if t.base == "array":
        return _spelling(structure[0], t.args[0], url) if isinstance(structure, list) and structure else {}
    if t.base == "map":
        values = list(structure.values()) if isinstance(structure, dict) else []
        return _spelling(values[0], t.args[1], url) if len(values) == 1 else {}
    if t.base != "row" or not isinstance(structure, dict):
        return {}
    out: Spelling = {}
    for n, a in zip(t.names, t.args, strict=True):
        found = [k for k in structure if k.lower() == n]
        if len(found) > 1:
            raise SeveralSpellingsError(f"{', '.join(found)} in {url}")
        if found:
            inner = _spelling(structure[found[0]], a, url)
            if found[0] != n or inner:
                out[n or ""] = (found[0], inner)
    return out


def _json_type(t: Type, names: Spelling) -> str:
    """The DuckDB type as which JSON values are read.

    Integers as text: DuckDB would round 1.5 to 2 where the SerDe refuses it. Long decimals as JSON, which tells
    numbers, that DuckDB has made doubles of, from strings.
    """
    if _long_decimal(t):
        return "JSON"
    if t.base in ty.INTEGERS or t.base == "varbinary":
        return "VARCHAR"
    if t.base == "array":
        return _json_type(t.args[0], names) + "[]"
    if t.base == "map":
        return f"MAP({_json_type(t.args[0], {})}, {_json_type(t.args[1], names)})"
    if t.base == "row":
        fields = []
        for n, a in zip(t.names, t.args, strict=True):
            spelled, inner = names.get(n or "", (n or "", {}))
            fields.append(f"{quote(spelled)} {_json_type(a, inner)}")
        return f"STRUCT({', '.join(fields)})"
    return duckdb_type(t)


def _long_decimal(t: Type) -> bool:
    """Whether a decimal can have more digits than a double keeps of a decimal number."""
    return t.base == "decimal" and (t.p or 0) > DOUBLE_DIGITS


DOUBLE_DIGITS = 15


def _unparsable(sql: str, duckdb: str, position: int | None) -> str:
    """SQL that fails as Hive's readers do for a value that is none of the column's type."""
    where = "" if position is None else f" for field {position}"
    return raise_sql(
        "HIVE_BAD_DATA",
        f"'Error parsing field value ''' || {sql} || '''{where}: For input string: \"' || {sql} || '\"'",
        duckdb,
    )


def _json_value(sql: str, t: Type, names: Spelling, position: int | None = None) -> str:
    if _long_decimal(t):
        value = f"({sql} ->> '$')"
        digits = f"length(ltrim(regexp_replace(split_part(lower({value}), 'e', 1), '[^0-9]', '', 'g'), '0'))"
        exact = f"starts_with(CAST({sql} AS VARCHAR), '\"') OR regexp_full_match({value}, '-?[0-9]+') OR {digits} <= {DOUBLE_DIGITS}"
        lost = raise_text(
            "NOT_SUPPORTED",
            f"A number of more than {DOUBLE_DIGITS} digits in JSON, for a column of type {t}, is not supported by local_aws: as a string it is read exactly",
            duckdb_type(t),
        )
        d = duckdb_type(t)
        bad = _unparsable(value, d, position)
        return f"CASE WHEN {value} IS NULL THEN NULL WHEN TRY_CAST({value} AS {d}) IS NULL THEN {bad} WHEN {exact} THEN CAST({value} AS {d}) ELSE {lost} END"
    if t.base in ty.INTEGERS:
        return whole_number(sql, duckdb_type(t), _unparsable(sql, duckdb_type(t), position))
    if t.base == "varbinary":
        return f"from_base64({sql})"
    if t.base == "varchar" and t.p is not None:
        return f"left({sql}, {t.p})"
    if t.base in ("array", "map", "row") and _json_type(t, names) != duckdb_type(t):
        if t.base == "array":
            return f"list_transform({sql}, lambda λv: {_json_value('λv', t.args[0], names)})"
        if t.base == "map":
            return (
                f"map_from_entries(list_transform(map_entries({sql}), lambda λv: "
                f"{{'key': {_json_value('λv.key', t.args[0], {})}, 'value': {_json_value('λv.value', t.args[1], names)}}}))"
            )
        fields = []
        for n, a in zip(t.names, t.args, strict=True):
            spelled, inner = names.get(n or "", (n or "", {}))
            fields.append(
                f"{text(n or '')}: {_json_value(f'struct_extract({sql}, {text(spelled)})', a, inner)}"
            )
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{', '.join(fields)}}} END"
    return sql


def _csv_value(sql: str, t: Type, position: int) -> str:
    if t.base in ("varchar", "char"):
        # The SerDe reads line by line: https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html
        bad = raise_text(
            "HIVE_BAD_DATA",
            "OpenCSVSerde does not support line breaks inside values; real Athena would read broken rows",
            "VARCHAR",
        )
        return f"CASE WHEN contains({sql}, chr(10)) THEN {bad} ELSE {sql} END"
    d = duckdb_type(t)
    bad = _unparsable(sql, d, position)
    if t.base in ty.INTEGERS:
        return whole_number(sql, d, bad)
    if t.base in ("double", "real", "decimal"):
        return f"CASE WHEN {sql} IS NULL OR TRY_CAST({sql} AS {d}) IS NOT NULL THEN CAST({sql} AS {d}) ELSE {bad} END"
    if t.base == "boolean":
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE lower({sql}) = 'true' END"
    if t.base == "date":
        # Days since 1970-01-01.
        return f"CASE WHEN {sql} IS NULL OR regexp_full_match({sql}, '-?[0-9]+') THEN DATE '1970-01-01' + CAST({sql} AS INTEGER) ELSE {bad} END"
    if t.base == "timestamp":
        return f"CASE WHEN {sql} IS NULL OR regexp_full_match({sql}, '-?[0-9]+') THEN epoch_ms(CAST({sql} AS BIGINT)) ELSE {bad} END"
    raise not_supported(f"OpenCSVSerde columns of type {t}")


def _lazy_value(sql: str, t: Type, delimiters: list[str], null: str) -> str:
    """LazySimpleSerDe: what cannot be parsed is NULL."""
    if t.base in ("varchar", "char"):
        return f"left({sql}, {t.p})" if t.p is not None else sql
    if t.base in ty.INTEGERS:
        return (
            f"CASE WHEN regexp_full_match({sql}, '[+-]?[0-9]+') THEN TRY_CAST({sql} AS {duckdb_type(t)}) END"
        )
    if t.base == "boolean":
        return f"CASE lower({sql}) WHEN 'true' THEN true WHEN 'false' THEN false END"
    if t.base == "varbinary":
        return f"from_base64({sql})"
    if t.base in ("date", "timestamp", "double", "real", "decimal"):
        return f"TRY_CAST({sql} AS {duckdb_type(t)})"
    if not delimiters:
        raise not_supported("Deeper nesting in a text table")
    delimiter = f"chr({ord(delimiters[0])})"
    element = f"CASE WHEN λv = {text(null)} THEN NULL ELSE λv END"
    if t.base == "array":
        return f"CASE WHEN {sql} = '' THEN [] ELSE list_transform(string_split({sql}, {delimiter}), lambda λv: {_lazy_value(f'({element})', t.args[0], delimiters[1:], null)}) END"
    if t.base == "map" and len(delimiters) > 1:
        key = f"split_part(λv, chr({ord(delimiters[1])}), 1)"
        value = f"split_part(λv, chr({ord(delimiters[1])}), 2)"
        nullable = f"CASE WHEN {value} = {text(null)} THEN NULL ELSE {value} END"
        pairs = f"list_transform(string_split({sql}, {delimiter}), lambda λv: {{'key': {_lazy_value(key, t.args[0], [], null)}, 'value': {_lazy_value(f'({nullable})', t.args[1], delimiters[2:], null)}}})"
        # Of a key written twice the first counts (LazyMap.parse).
        return f"CASE WHEN {sql} = '' THEN CAST(MAP {{}} AS {duckdb_type(t)}) ELSE trino_map_of_entries({pairs}) END"
    if t.base == "row":
        fields = []
        for i, (n, a) in enumerate(zip(t.names, t.args, strict=True)):
            part = f"nullif(split_part({sql}, {delimiter}, {i + 1}), {text(null)})"
            fields.append(f"{text(n or '')}: {_lazy_value(part, a, delimiters[1:], null)}")
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{', '.join(fields)}}} END"
    raise not_supported(f"Text columns of type {t}")


# ---------------------------------------------------------------------------------------- Parquet


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


def _parquet_value(sql: str, have: Type | None, want: Type, column: str, physical: str, url: str) -> str:
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
        return _convert(sql, ty.VARCHAR, want)
    return f"CAST({sql} AS {duckdb_type(want)})"


def _plain(have: Type, want: Type) -> bool:
    if have.args:
        return False
    return duckdb_type(have) == duckdb_type(want) and (want.base != "varchar" or want.p is None)


__all__ = ["File", "ObjectInfo", "Reader"]
