"""Files that statements write: UNLOAD, CREATE TABLE AS and INSERT."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from local_aws.athena import formats
from local_aws.athena import types as ty
from local_aws.athena.buckets import bucket_number
from local_aws.athena.context import Context
from local_aws.athena.errors import Cancelled, QueryError, not_supported
from local_aws.athena.expressions import struct_field, to_varchar
from local_aws.athena.json_keys import written_in_lower_case
from local_aws.athena.syntax import Unload
from local_aws.athena.tables import DEFAULT_PARTITION, escape_path, split_location
from local_aws.athena.types import Type, quote, text
from local_aws.objects import NoSuchBucket

# https://docs.aws.amazon.com/athena/latest/ug/ctas-considerations-limitations.html
MAX_PARTITIONS = 100


@dataclass
class Target:
    """How to write: format PARQUET, ORC, AVRO, JSON, TEXTFILE or ION, its compression, and the folders.

    bucketed_by, bucket_count: a file for each bucket of Hive's. delimiters, null, escape: of TEXTFILE (see
    scan.delimiters). csv: separator, quote and escape of an OpenCSVSerde table. place: where a partition's
    files go, by its values; below `location` in Hive's folders if it is None.
    """

    location: str
    format: str
    compression: str
    partitioned_by: list[str] = field(default_factory=list)
    level: int | None = None
    bucketed_by: list[str] = field(default_factory=list)
    bucket_count: int = 0
    delimiters: list[str] = field(default_factory=lambda: [chr(i) for i in range(1, 9)])
    null: str = "\\N"
    escape: str = ""
    csv: dict[str, str] | None = None
    ion_encoding: str = "BINARY"
    place: Callable[[tuple[str | None, ...]], str] | None = None


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
_TEXT_CODECS = {
    "GZIP": "gzip", "NONE": "uncompressed", "UNCOMPRESSED": "uncompressed", "ZSTD": "zstd", "BZIP2": "bzip2",
    "DEFLATE": "deflate", "SNAPPY": "snappy", "LZ4": "lz4",
}  # fmt: skip
# Athena's defaults and what each format knows
# (https://docs.aws.amazon.com/athena/latest/ug/compression-support-by-file-format.html).
_CODECS = {
    "PARQUET": ("GZIP", _PARQUET_CODECS),
    "ORC": ("ZLIB", formats.ORC_CODECS),
    "AVRO": ("DEFLATE", formats.AVRO_CODECS),
    "JSON": ("GZIP", _TEXT_CODECS),
    "TEXTFILE": ("GZIP", _TEXT_CODECS),
    "ION": ("GZIP", _TEXT_CODECS),
}
_EXTENSIONS = {codec: ending for ending, codec in reversed(formats.EXTENSIONS.items())}
# Formats that compress within their files, and those that are written as Parquet first.
_SELF_COMPRESSED = ("PARQUET", "ORC", "AVRO")
_VIA_PARQUET = (*_SELF_COMPRESSED, "ION")


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
    if "format" not in u.options:
        raise QueryError("INVALID_UNLOAD_PROPERTY", "UNLOAD needs WITH (format = ...)")
    kind = str(u.options["format"]).upper()
    if kind == "CSV":
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            "Unload format 'CSV' is not one of ORC, PARQUET, AVRO, JSON, TEXTFILE; use TEXTFILE with field_delimiter = ','",
        )
    if kind not in _CODECS or kind == "ION":
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            f"Unload format '{kind}' is not one of ORC, PARQUET, AVRO, JSON, TEXTFILE",
        )
    given = u.options.get("compression")
    if (
        given is not None
        and kind not in ("ORC", "PARQUET")
        and (kind == "AVRO" or str(given).upper() != "GZIP")
    ):
        # https://docs.aws.amazon.com/athena/latest/ug/unload.html: specific to ORC and Parquet; JSON and text are gzip.
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            f"compression is for the formats ORC and PARQUET only; {kind} is written with {_CODECS[kind][0]}",
        )
    compression = compression_of(kind, given)
    if "field_delimiter" in u.options and kind != "TEXTFILE":
        raise QueryError("INVALID_UNLOAD_PROPERTY", "field_delimiter is for format = 'TEXTFILE' only")
    target = Target(
        u.location,
        kind,
        compression,
        [str(c).lower() for c in u.options.get("partitioned_by", [])],
        level_of(kind, compression, u.options.get("compression_level")),
    )
    set_delimiter(target, u.options.get("field_delimiter"))
    return target


def set_delimiter(target: Target, delimiter: Any) -> None:
    if delimiter is None:
        return
    if len(str(delimiter)) != 1:
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY", f"field_delimiter must be a single character, not '{delimiter}'"
        )
    target.delimiters[0] = str(delimiter)


def compression_of(kind: str, given: Any) -> str:
    """The codec of the name given, or the format's default."""
    default, codecs = _CODECS[kind]
    name = str(given or default).upper()
    if name not in codecs:
        raise QueryError(
            "INVALID_UNLOAD_PROPERTY",
            f"Compression '{name}' is not supported for {kind}; there are {', '.join(codecs)}",
        )
    return codecs[name]


def ion_encoding(given: Any) -> str:
    """https://docs.aws.amazon.com/athena/latest/ug/ion-serde-using-ctas-and-insert-into-to-create-ion-tables.html"""
    name = str(given or "BINARY").upper()
    if name not in ("BINARY", "TEXT"):
        raise QueryError("INVALID_TABLE_PROPERTY", f"ion_encoding '{given}' is not BINARY or TEXT", (1, 1))
    return name


def level_of(kind: str, compression: str, given: Any) -> int | None:
    """compression_level, which is for ZSTD only
    (https://docs.aws.amazon.com/athena/latest/ug/compression-support-zstd-levels.html)."""
    if given is None:
        return None
    if compression != "zstd" or not isinstance(given, int) or not 1 <= given <= 22:
        raise QueryError(
            "INVALID_TABLE_PROPERTY", f"compression_level {given} is not one of 1 to 22 with ZSTD compression"
        )
    # Other writers have no levels: the file is as good, of another size.
    return given if kind == "PARQUET" else None


class Writer:
    """Runs queries into files on S3."""

    def __init__(self, context: Context) -> None:
        self.session = context.session
        self.store = context.store
        self.scratch = context.scratch
        self.stem = f"{context.now:%Y%m%d_%H%M%S}_00000_{context.query_id[:5]}"

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
            if target.format in ("ORC", "AVRO"):
                self._convert(folder, [c for c in columns if c[0] not in keys], target)
            elif target.format == "ION":
                self._convert(folder, [c for c in columns if c[0] not in keys], target)
                if target.compression != "uncompressed":
                    # In one piece: Ion has no lines.
                    self._compress(folder, target.compression, ordered=True)
            elif target.format == "PARQUET":
                for f in [p for p in folder.rglob("*") if p.is_file()]:
                    formats.as_athena_writes(f, target.compression, target.level)
            elif _packed_here(target):
                self._compress(folder, target.compression, ordered)
            return self._publish(
                folder,
                target,
                rows,
                in_lower_case=target.format == "JSON"
                and all(n == n.lower() and _in_lower_case(t) for n, t in columns),
            )
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
        folders = list(target.partitioned_by)
        if target.bucketed_by:
            types = {n: (f'q."c{i}"', t) for i, (n, t) in enumerate(columns)}
            items.append(
                f'{bucket_number([types[n] for n in target.bucketed_by], target.bucket_count)} AS "{BUCKET}"'
            )
            folders.append(BUCKET)
        options = []
        compression = "uncompressed" if _packed_here(target) else target.compression
        if target.format == "PARQUET":
            level = f", COMPRESSION_LEVEL {target.level}" if target.level is not None else ""
            options.append(f"FORMAT parquet, COMPRESSION {target.compression}{level}")
        elif target.format in _VIA_PARQUET:
            options.append("FORMAT parquet, COMPRESSION uncompressed")
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
                f"FORMAT csv, HEADER false, DELIMITER {text(target.delimiters[0])}, QUOTE '', ESCAPE '', NULLSTR {text(target.null)}, COMPRESSION {compression}"
            )
        source = f"(SELECT {', '.join(items)} FROM ({sql}) AS q)"
        if folders:
            names = ", ".join(quote(k) for k in folders)
            options.append(f"PARTITION_BY ({names}), FILENAME_PATTERN '{{uuid}}'")
            path = folder
        elif not ordered and target.format not in _VIA_PARQUET and target.compression != "uncompressed":
            # Compression is what takes the time, so there should be a file for each processor.
            options.append("PER_THREAD_OUTPUT true, FILENAME_PATTERN '{uuid}'")
            path = folder / "parts"
        else:
            path = folder / "data"
        return int(self.session.rows(f"COPY {source} TO {text(str(path))} ({', '.join(options)})")[0][0])

    def _convert(self, folder: Path, columns: list[tuple[str, Type]], target: Target) -> None:
        """Makes ORC, Avro or Ion of the Parquet files, in their place."""
        for f in [p for p in folder.rglob("*") if p.is_file()]:
            made = f.with_name(f"{f.name}-converted")
            if target.format == "ORC":
                formats.parquet_to_orc(f, made, target.compression)
            elif target.format == "ION":
                from local_aws.athena.ion import parquet_to_ion

                parquet_to_ion(f, made, columns, target.ion_encoding == "BINARY")
            else:
                formats.parquet_to_avro(f, made, columns, target.compression)
            f.unlink()
            if self.session.cancelled:
                raise Cancelled

    def _compress(self, folder: Path, codec: str, ordered: bool) -> None:
        """Compresses files in place, several at once: DuckDB's own gzip takes several times as long.

        A large file becomes one for each PIECE of whole lines, unless their order matters.
        """

        def one(piece: tuple[Path, int, int]) -> None:
            path, start, end = piece
            compressor = formats.compressor(codec)
            packed = path.with_name(f"{path.name}-{start:015d}")
            with path.open("rb", buffering=0) as source, packed.open("wb", buffering=0) as out:
                source.seek(start)
                while start < end and (block := source.read(min(1 << 20, end - start))):
                    if self.session.cancelled:
                        raise Cancelled
                    out.write(compressor.compress(block))
                    start += len(block)
                out.write(compressor.flush())

        files = [p for p in folder.rglob("*") if p.is_file()]
        pieces = [p for f in files for p in _pieces(f, None if ordered else PIECE)]
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            list(pool.map(one, pieces))
        for f in files:
            f.unlink()

    def _publish(self, folder: Path, target: Target, rows: int, *, in_lower_case: bool) -> Written:
        extension = "" if target.format in _SELF_COMPRESSED else _EXTENSIONS.get(target.compression, "")
        found = sorted(p for p in folder.rglob("*") if p.is_file())
        partitions: dict[tuple[str | None, ...], str] = {}
        if not rows:
            found = []
        plan = []
        writers = set()
        for path in found:
            parts = path.relative_to(folder).parts[:-1] if target.partitioned_by or target.bucketed_by else ()
            writers.add(parts)
            if in_lower_case:
                written_in_lower_case(path)
            name = f"{self.stem}_{uuid.uuid4()}"
            if target.bucketed_by:
                name = f"{self.stem}_bucket-{int(parts[-1].split('=', 1)[1]):05d}"
                parts = parts[:-1]
            values = []
            for part in parts:
                value = unquote(part.split("=", 1)[1])
                values.append(None if value in ("", DEFAULT_PARTITION, "NULL") and _is_null(part) else value)
            location = target.location
            if values:
                location = (target.place or hive_folders(target))(tuple(values))
                partitions[tuple(values)] = location
            bucket, prefix = split_location(location)
            plan.append((path, bucket, f"{prefix}{name}{extension}"))
        if len(writers) > MAX_PARTITIONS:
            raise QueryError(
                "HIVE_TOO_MANY_OPEN_PARTITIONS",
                f"Exceeded limit of {MAX_PARTITIONS} open writers for partitions/buckets",
            )
        by_bucket: dict[str, list[tuple[str, Path]]] = {}
        for path, bucket, key in plan:
            by_bucket.setdefault(bucket, []).append((key, path))
        for bucket, files in by_bucket.items():
            try:
                self.store.put_files(bucket, files)
            except NoSuchBucket as e:
                raise missing_bucket(bucket) from e
        return Written([f"s3://{bucket}/{key}" for _, bucket, key in plan], partitions, rows)


def _in_lower_case(t: Type) -> bool:
    """Whether no field of a type has an upper-case letter in its name."""
    return all(n is None or n == n.lower() for n in t.names) and all(map(_in_lower_case, t.args))


# The folder of a bucket's files, while they are written.
BUCKET = "$bucket"


def hive_folders(target: Target) -> Callable[[tuple[str | None, ...]], str]:
    def place(values: tuple[str | None, ...]) -> str:
        folders = "".join(
            f"{k}={escape_path(v) if v is not None else DEFAULT_PARTITION}/"
            for k, v in zip(target.partitioned_by, values, strict=True)
        )
        return target.location.rstrip("/") + "/" + folders

    return place


def _packed_here(target: Target) -> bool:
    """Whether the text is compressed afterwards (see Writer._compress), and not by DuckDB."""
    return target.format not in _VIA_PARQUET and target.compression not in ("uncompressed", "zstd")


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
    if target.format in _VIA_PARQUET:
        _writable(t)
        return _parquet(sql, t)
    if target.format == "JSON":
        _writable(t)
        return _json(sql, t)
    if target.csv is not None:
        return to_varchar(sql, t)
    return _text(sql, t, target.delimiters[1:], target)


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
        f"{text(n or f'field{i}')}: {each(struct_field(sql, t, i), t.args[i])}" for i, n in enumerate(t.names)
    )
    return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{fields}}} END"


def _parquet(sql: str, t: Type) -> str:
    if t.base == "array":
        inner = _parquet("λv", t.args[0])
        return sql if inner == "λv" else f"list_transform({sql}, lambda λv: {inner})"
    if t.base == "row":
        if all(t.names) and all(_parquet("x", a) == "x" for a in t.args):
            return sql
        return _renamed(sql, t, _parquet)
    return sql


def _json(sql: str, t: Type) -> str:
    if t.base == "array":
        inner = _json("λv", t.args[0])
        return sql if inner == "λv" else f"list_transform({sql}, lambda λv: {inner})"
    if t.base == "row":
        if all(t.names) and all(_json("x", a) == "x" for a in t.args):
            return sql
        return _renamed(sql, t, _json)
    if t.base == "map":
        k, v = to_varchar("λv.key", t.args[0]), _json("λv.value", t.args[1])
        if (k, v) == ("λv.key", "λv.value"):
            return sql
        return (
            f"map_from_entries(list_transform(map_entries({sql}), lambda λv: {{'key': {k}, 'value': {v}}}))"
        )
    if t.base == "timestamp":
        return to_varchar(sql, ty.TIMESTAMP)
    if t.base == "varbinary":
        return f"to_base64({sql})"
    return sql


def _text(sql: str, t: Type, delimiters: list[str], target: Target) -> str:
    """LazySimpleSerDe's text; the nested levels take the delimiters one after another, as Hive does."""
    if t.base == "varbinary":
        return f"to_base64({sql})"
    if t.base not in ("array", "map", "row"):
        _writable(t)
        value = to_varchar(sql, ty.TIMESTAMP if t.base == "timestamp" else t)
        if target.escape and t.base in ("varchar", "char"):
            for ch in dict.fromkeys([target.escape, *target.delimiters]):
                value = f"replace({value}, {text(ch)}, {text(target.escape + ch)})"
        return value
    if len(delimiters) < (2 if t.base == "map" else 1):
        raise not_supported("Text nested deeper than eight levels")
    d, null = text(delimiters[0]), text(target.null)

    def inner(value: str, u: Type, used: int = 1) -> str:
        return f"coalesce({_text(value, u, delimiters[used:], target)}, {null})"

    if t.base == "array":
        return f"array_to_string(list_transform({sql}, lambda λv: {inner('λv', t.args[0])}), {d})"
    if t.base == "map":
        pair = (
            f"{inner('λv.key', t.args[0], 2)} || {text(delimiters[1])} || {inner('λv.value', t.args[1], 2)}"
        )
        return f"array_to_string(list_transform(map_entries({sql}), lambda λv: {pair}), {d})"
    parts = [inner(struct_field(sql, t, i), a) for i, a in enumerate(t.args)]
    return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {f' || {d} || '.join(parts)} END"
