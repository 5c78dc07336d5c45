"""What a query reads of a table: which partitions, which files, which columns, and how."""

from __future__ import annotations

import datetime as dt
import json
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from local_aws.athena import formats, grok
from local_aws.athena import types as ty
from local_aws.athena.buckets import bucket_of, wanted_buckets
from local_aws.athena.catalog import Catalog
from local_aws.athena.engine import Session
from local_aws.athena.errors import Cancelled, QueryError, not_supported
from local_aws.athena.files import (
    LINES,
    File,
    Quoted,
    Renamed,
    Rewritten,
    buffers,
    by_compression,
    has_blank_lines,
    longest_line,
    open_bytes,
    open_text,
    paths,
)
from local_aws.athena.json_keys import STRUCTURES, SeveralSpellingsError, has_upper_case_keys, spelling_of
from local_aws.athena.parquet import parquet_footer, parquet_value
from local_aws.athena.partitions import Partitions
from local_aws.athena.plan import Scan
from local_aws.athena.serdes import (
    NO_VALUE,
    Spelling,
    csv_value,
    delimiters,
    json_type,
    json_value,
    lazy_value,
    null_format,
)
from local_aws.athena.tables import (
    CLOUDTRAIL_INPUT,
    DEFAULT_PARTITION,
    HIVE_JSON_SERDE,
    SYMLINK_INPUT,
    Partition,
    Table,
    split_location,
)
from local_aws.athena.types import Type, duckdb_type, quote, text
from local_aws.objects import NoSuchBucket, ObjectStore

# More partitions than this are told apart by joining on the file's name instead of by one SELECT each.
UNION_LIMIT = 64


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
    partitions: Partitions = field(init=False)

    def __post_init__(self) -> None:
        self.partitions = Partitions(self.catalog, self.session, self.now)

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
        partitions = self.partitions.of(table, scan)
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
            with open_bytes(f) as source:
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
            with open_text(f) as lines:
                return self._renamed(f, formats.cloudtrail_lines(lines, ty.row(*table.columns), f.url))
        if table.format == "json":
            f = self._with_names(table, f)
        if table.format == "text":
            return self._unescaped(table, f)
        return self._cleaned(f) if _lenient(table) else f

    def _quoted(self, f: File, split: Callable[[str], list[str | None]]) -> Quoted:
        """A copy in which each line's fields are what `split` makes of it."""
        path = self.scratch / f"quoted-{uuid.uuid4().hex}"
        with open_text(f) as source, path.open("w", encoding="utf-8", newline="\n") as out:
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
        with open_text(manifest) as lines:
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
        for compression, group in by_compression(files):
            spellings: dict[str, tuple[Spelling, list[File]]] = {}
            for f in group:
                renamed = isinstance(f, Renamed)
                spelling = {} if renamed or keys.exact else self._spelling(f, compression, row)
                spellings.setdefault(repr((renamed, spelling)), (spelling, []))[1].append(f)
            for spelling, same in spellings.values():
                mapping = {} if isinstance(same[0], Renamed) else keys.mapping
                names = {n: mapping.get(n) or spelling.get(n, (n, {}))[0] for n, _ in columns}
                inner = {n: spelling.get(n, (n, {}))[1] for n, _ in columns}
                read = ", ".join(f"{text(names[n])}: {text(json_type(t, inner[n]))}" for n, t in columns)
                items = [
                    f"{json_value(quote(names[n]), t, inner[n], positions[n])} AS {quote(n)}"
                    for n, t in columns
                ]
                if by_file:
                    items.append("filename")
                out.append(
                    f"(SELECT {', '.join(items)} FROM read_json({paths(same)}, columns={{{read}}}, {options}, maximum_object_size={longest_line(same)}, compression='{compression}'))"
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

        with open_text(f) as source:
            return self._renamed(f, lines(source))

    def _renamed(self, f: File, lines: Iterable[str]) -> Renamed:
        path = self.scratch / f"named-{uuid.uuid4().hex}"
        with path.open("w", encoding="utf-8", newline="\n") as out:
            out.writelines(lines)
        return Renamed(str(path), f.url, f.size)

    def _cleaned(self, f: File) -> File:
        """With ignore.malformed.json a malformed line is a row of NULLs. DuckDB's own ignore_errors may lose
        the line after it, so such lines are replaced in a copy."""
        lines = f"read_csv({text(f.path)}, columns={{'line': 'VARCHAR'}}, {LINES}, {buffers([f])}, compression='{f.compression}')"
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
        if not has_upper_case_keys(f.path, compression, self.session):
            return {}
        if f.path not in STRUCTURES:
            lines = f"read_csv({text(f.path)}, columns={{'line': 'VARCHAR'}}, {LINES}, {buffers([f])}, compression='{compression}')"
            found = self.session.rows(
                f"SELECT json_group_structure(CAST(line AS JSON)) FROM {lines} WHERE json_valid(line)"
            )[0][0]
            if len(STRUCTURES) > 1000:
                STRUCTURES.clear()
            STRUCTURES[f.path] = json.loads(found or "{}")
        return spelling_of(STRUCTURES[f.path], row, f.url)

    def _csv(self, table: Table, used: list[tuple[str, Type]], files: list[File], by_file: bool) -> list[str]:
        """https://docs.aws.amazon.com/athena/latest/ug/csv-serde.html"""
        p = table.serde_parameters
        separator, quotation = p.get("separatorChar", ","), p.get("quoteChar", '"')
        positions = {n: i for i, (n, _) in enumerate(table.columns)}
        out = []
        self.read(sum(f.size for f in files))
        for compression, group in by_compression(files):
            for mark in dict.fromkeys(f.escape for f in group):
                same = [f for f in group if f.escape == mark]
                if isinstance(same[0], Quoted):
                    source = self._read_quoted(table, same, by_file)
                else:
                    source = self._read_csv(
                        table, same, separator, quotation, mark or quotation, None, compression, by_file
                    )
                items = [f"{csv_value(quote(n), t, positions[n])} AS {quote(n)}" for n, t in used]
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
        if not has_blank_lines(f):
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
            if not has_blank_lines(f):
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
        lines = f"read_csv({text(f.path)}, columns={{'line': 'VARCHAR'}}, {LINES}, {buffers([f])}, compression='{compression}')"
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
            f"read_csv({paths(files)}, columns={{{columns}}}, auto_detect=false, header=false, skip={skip}, "
            f"delim={text(separator)}, quote={text(quotation)}, escape={text(escape)}, nullstr={text(null if null is not None else chr(1) + chr(2))}, "
            f"null_padding=true, strict_mode=false, ignore_errors=false, {buffers(files)}, "
            f"compression='{compression}'{', filename=true' if by_file else ''}, parallel=false)"
        )

    def _text(
        self, table: Table, used: list[tuple[str, Type]], files: list[File], by_file: bool
    ) -> list[str]:
        """https://docs.aws.amazon.com/athena/latest/ug/lazy-simple-serde.html"""
        separator, *inner = delimiters(table)
        null = null_format(table)
        items = [f"{lazy_value(quote(n), t, inner, null)} AS {quote(n)}" for n, t in used] or ["1 AS one"]
        out = []
        self.read(sum(f.size for f in files))
        for compression, group in by_compression(files):
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
        items = [f"{lazy_value(quote(n), t, [], NO_VALUE)} AS {quote(n)}" for n, t in used] or ["1 AS one"]
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
                items.append(f"{parquet_value(quote(name), have, t, n, physical, f.url)} AS {quote(n)}")
                if not converted:
                    self.read(footer.sizes.get(name.lower(), 0))
            groups.setdefault(tuple(items), []).append(f)
        return [
            f"(SELECT {', '.join([*items, *(['filename'] if by_file else [])]) or '1 AS one'} FROM read_parquet({paths(group)}, hive_partitioning=false{', filename=true' if by_file else ''}))"
            for items, group in groups.items()
        ]


_KNOWN_JSON = {
    "ignore.malformed.json", "serialization.format", "dots.in.keys", "case.insensitive", "paths", "field.delim",
    "timestamp.formats", "use.null.for.invalid.data",
}  # fmt: skip


def partition_literal(value: str | None, t: Type) -> str:
    """A partition's value as DuckDB SQL of the column's type."""
    if value is None or value == DEFAULT_PARTITION:
        return f"CAST(NULL AS {duckdb_type(t)})"
    return text(value) if t.base == "varchar" else f"CAST({text(value)} AS {duckdb_type(t)})"


def _lenient(table: Table) -> bool:
    return (
        table.format == "json" and table.serde_parameters.get("ignore.malformed.json", "").lower() == "true"
    )
