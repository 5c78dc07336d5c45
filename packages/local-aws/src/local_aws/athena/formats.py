"""Files that DuckDB neither reads nor writes: ORC, Avro, and text in Hadoop's codecs.

ORC and Avro pass through Parquet, compressed text through plain text, in the query's scratch folder.
"""

from __future__ import annotations

import bz2
import datetime as dt
import itertools
import json
import struct
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Protocol

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from local_aws.athena.errors import QueryError
from local_aws.athena.types import Type

# Rows in memory at once while a file is converted.
BATCH = 65_536

# --------------------------------------------------------------------------------------------- codecs

# What the extension of a text file says
# (https://docs.aws.amazon.com/athena/latest/ug/compression-formats.html).
EXTENSIONS = {
    ".gz": "gzip", ".zst": "zstd", ".zstd": "zstd", ".bz2": "bzip2", ".deflate": "deflate",
    ".snappy": "snappy", ".lz4": "lz4",
}  # fmt: skip
# Those that DuckDB knows.
NATIVE = ("uncompressed", "gzip", "zstd")
# Hadoop's block codecs hold blocks of up to this many bytes of text.
BLOCK = 256 << 10


class Compressor(Protocol):
    def compress(self, data: bytes, /) -> bytes: ...
    def flush(self) -> bytes: ...


class _Blocks:
    """Hadoop's BlockCompressorStream: blocks of (length of the text, length of the data, data)."""

    def __init__(self, codec: str) -> None:
        self._codec = pa.Codec(codec)
        self._rest = b""

    def compress(self, data: bytes) -> bytes:
        self._rest += data
        out = b""
        while len(self._rest) >= BLOCK:
            out += self._block(self._rest[:BLOCK])
            self._rest = self._rest[BLOCK:]
        return out

    def flush(self) -> bytes:
        rest, self._rest = self._rest, b""
        return self._block(rest) if rest else b""

    def _block(self, text: bytes) -> bytes:
        data = self._codec.compress(text, asbytes=True)
        return struct.pack(">II", len(text), len(data)) + data


def compressor(codec: str) -> Compressor:
    """A streaming compressor of gzip, deflate, bzip2, zstd, snappy or lz4."""
    if codec == "gzip":
        return zlib.compressobj(level=1, wbits=31)
    if codec == "deflate":
        return zlib.compressobj(level=1)
    if codec == "bzip2":
        return bz2.BZ2Compressor()
    if codec == "zstd":
        return zstandard.ZstdCompressor().compressobj()
    return _Blocks({"snappy": "snappy", "lz4": "lz4_raw"}[codec])


def decompress(path: str, url: str, codec: str, target: Path) -> None:
    """Writes the text of a file that DuckDB could not read. Raises HIVE_BAD_DATA."""
    try:
        with Path(path).open("rb") as source, target.open("wb") as out:
            for text in _decompressed(source, codec):
                out.write(text)
    except (OSError, EOFError, ValueError, zlib.error, struct.error) as e:
        raise QueryError("HIVE_CURSOR_ERROR", f"Failed to read file {url}: not valid {codec} ({e})") from e


def _decompressed(source: IO[bytes], codec: str) -> Iterator[bytes]:
    if codec == "bzip2":
        with bz2.open(source) as whole:
            while block := whole.read(1 << 20):
                yield block
    elif codec == "deflate":
        inflate = zlib.decompressobj()
        while block := source.read(1 << 20):
            yield inflate.decompress(block)
        yield inflate.flush()
        if not inflate.eof:
            raise EOFError("the stream ends early")
    else:
        block_codec = pa.Codec({"snappy": "snappy", "lz4": "lz4_raw"}[codec])
        while header := source.read(4):
            (length,) = struct.unpack(">I", header)
            done = 0
            while done < length:
                (size,) = struct.unpack(">I", source.read(4))
                data = source.read(size)
                # A block of one piece has all the text; one of several has as much in each as fits.
                text = _piece(block_codec, data, length - done)
                done += len(text)
                yield text


def _piece(codec: pa.Codec, data: bytes, most: int) -> bytes:
    if codec.name == "snappy":
        # Snappy's data begins with the length of its text.
        size = shift = 0
        for byte in data:
            size |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                break
        most = size
    return codec.decompress(data, decompressed_size=most, asbytes=True)


# ------------------------------------------------------------------------------------------------ ORC

ORC_CODECS = {
    "ZLIB": "zlib", "SNAPPY": "snappy", "LZ4": "lz4", "ZSTD": "zstd", "NONE": "uncompressed",
    "UNCOMPRESSED": "uncompressed", "GZIP": "zlib",
}  # fmt: skip


def orc_to_parquet(path: str, url: str, target: Path, columns: list[tuple[str, int]], by_index: bool) -> None:
    """The (name, position) columns of an ORC file as Parquet; those that it does not have are left out.

    Athena finds ORC's columns by position unless orc.column.index.access is false
    (https://docs.aws.amazon.com/athena/latest/ug/handling-schema-updates-chapter.html#index-access).
    """
    # Late: a server that reads no ORC need not load it.
    from pyarrow import orc

    try:
        file = orc.ORCFile(path)
        names = file.schema.names
        if by_index:
            chosen = [(n, i) for n, i in columns if i < len(names)]
        else:
            lower = {n.lower(): i for i, n in reversed(list(enumerate(names)))}
            chosen = [(n, lower[n]) for n, _ in columns if n in lower]
        if not chosen:
            # Rows still have to be counted.
            chosen = [("$row", 0)]
        wanted = [names[i] for _, i in chosen]
        schema = pa.schema([pa.field(n, file.schema.field(i).type) for n, i in chosen])
        with pq.ParquetWriter(
            target, schema, compression="none", coerce_timestamps="us", allow_truncated_timestamps=True
        ) as writer:
            for stripe in range(file.nstripes):
                batch = file.read_stripe(stripe, columns=wanted)
                found = [batch.column(batch.schema.get_field_index(n)) for n in wanted]
                writer.write_batch(pa.record_batch(found, schema=schema))
    except (pa.ArrowInvalid, OSError) as e:
        raise QueryError("HIVE_BAD_DATA", f"Malformed ORC file. {str(e).splitlines()[0]} [{url}]") from e


def parquet_to_orc(source: Path, target: Path, compression: str) -> None:
    from pyarrow import orc

    file = pq.ParquetFile(source)
    with orc.ORCWriter(str(target), compression=compression) as writer:
        for batch in file.iter_batches(BATCH):
            writer.write(pa.Table.from_batches([batch]))
        if not file.metadata.num_rows:
            writer.write(file.schema_arrow.empty_table())


# -------------------------------------------------------------------------------------------- Parquet


def as_athena_writes(path: Path, compression: str, level: int | None) -> None:
    """Gives a Parquet file the types of those that Athena writes: timestamps are INT96, and an array's elements are
    named array_element. DuckDB writes neither."""
    with pq.ParquetFile(path) as file:
        schema = pa.schema([pa.field(f.name, _athena_type(f.type)) for f in file.schema_arrow])
        if not any(_differs(f.type) for f in schema):
            return
        target = path.with_name(f"{path.name}-rewritten")
        with pq.ParquetWriter(
            target,
            schema,
            compression="none" if compression == "uncompressed" else compression,
            compression_level=level,
            use_deprecated_int96_timestamps=True,
            use_compliant_nested_type=False,
            store_schema=False,
        ) as writer:
            for group in range(file.num_row_groups):
                writer.write_table(file.read_row_group(group).cast(schema))
    target.replace(path)


def _athena_type(t: pa.DataType) -> pa.DataType:
    if pa.types.is_list(t):
        return pa.list_(pa.field("array_element", _athena_type(t.value_type)))
    if pa.types.is_map(t):
        return pa.map_(_athena_type(t.key_type), _athena_type(t.item_type))
    if pa.types.is_struct(t):
        return pa.struct([pa.field(f.name, _athena_type(f.type)) for f in t])
    return t


def _differs(t: pa.DataType) -> bool:
    """Whether a type has a timestamp or an array in it."""
    if pa.types.is_timestamp(t) or pa.types.is_list(t):
        return True
    return any(_differs(t.field(i).type) for i in range(t.num_fields))


# ----------------------------------------------------------------------------------------------- Avro

AVRO_CODECS = {
    "DEFLATE": "deflate",
    "GZIP": "deflate",
    "BZIP2": "bzip2",
    "SNAPPY": "snappy",
    "ZSTD": "zstandard",
    "NONE": "null",
    "UNCOMPRESSED": "null",
}


def arrow(t: Type) -> pa.DataType:
    """The Arrow type of values of `t`, as Hive's formats keep them."""
    simple = {
        "boolean": pa.bool_(), "tinyint": pa.int8(), "smallint": pa.int16(), "integer": pa.int32(),
        "bigint": pa.int64(), "real": pa.float32(), "double": pa.float64(), "varchar": pa.string(),
        "char": pa.string(), "varbinary": pa.binary(), "date": pa.date32(), "timestamp": pa.timestamp("us"),
    }  # fmt: skip
    if t.base == "decimal":
        return pa.decimal128(*t.digits)
    if t.base == "array":
        return pa.list_(arrow(t.args[0]))
    if t.base == "map":
        return pa.map_(arrow(t.args[0]), arrow(t.args[1]))
    if t.base == "row":
        return pa.struct(
            [
                pa.field(n or f"field{i}", arrow(a))
                for i, (n, a) in enumerate(zip(t.names, t.args, strict=True))
            ]
        )
    if t.base not in simple:
        raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {t}")
    return simple[t.base]


def avro_to_parquet(path: str, url: str, target: Path, columns: list[tuple[str, Type]]) -> None:
    """The columns of an Avro file as Parquet, found by name; those that it does not have are NULL."""
    try:
        with Path(path).open("rb") as source:
            rows_to_parquet(target, columns, _avro_rows(source, columns))
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, ValueError, EOFError, struct.error) as e:
        raise QueryError("HIVE_BAD_DATA", f"Cannot read Avro file {url}: {str(e).splitlines()[0]}") from e


def _avro_rows(source: IO[bytes], columns: list[tuple[str, Type]]) -> Iterator[dict[str, Any]]:
    import fastavro

    for record in fastavro.reader(source):
        if not isinstance(record, dict):
            raise ValueError("its schema is no record")  # noqa: TRY004
        lower = {k.lower(): v for k, v in record.items()}
        yield {n: _from_avro(lower.get(n), t) for n, t in columns}


def rows_to_parquet(target: Path, columns: list[tuple[str, Type]], rows: Iterable[dict[str, Any]]) -> None:
    """Rows as a Parquet file. Without columns they are still counted."""
    schema = pa.schema([pa.field(n, arrow(t)) for n, t in columns] or [pa.field("$row", pa.bool_())])
    with pq.ParquetWriter(target, schema, compression="none") as writer:
        for batch in batched(rows, BATCH):
            writer.write_table(pa.Table.from_pylist([r or {"$row": None} for r in batch], schema))


def batched(rows: Iterable[Any], size: int) -> Iterator[list[Any]]:
    """Lists of up to `size` rows (itertools.batched, which Python 3.11 does not have)."""
    source = iter(rows)
    while batch := list(itertools.islice(source, size)):
        yield batch


def _from_avro(value: Any, t: Type) -> Any:
    if value is None:
        return None
    if t.base == "row" and isinstance(value, dict):
        lower = {k.lower(): v for k, v in value.items()}
        return {n: _from_avro(lower.get(n or ""), a) for n, a in zip(t.names, t.args, strict=True)}
    if t.base == "array":
        return [_from_avro(v, t.args[0]) for v in value]
    if t.base == "map":
        return [(k, _from_avro(v, t.args[1])) for k, v in value.items()]
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=None)
    return value


def parquet_to_avro(source: Path, target: Path, columns: list[tuple[str, Type]], codec: str) -> None:
    import fastavro

    records = iter(range(1, 1 << 30))
    schema = fastavro.parse_schema(
        {
            "type": "record",
            "name": "row",
            "fields": [{"name": n, "type": _avro_type(t, records), "default": None} for n, t in columns],
        }
    )
    types = dict(columns)

    def rows() -> Iterator[dict[str, Any]]:
        for batch in pq.ParquetFile(source).iter_batches(BATCH):
            for row in batch.to_pylist():
                yield {n: _to_avro(v, types[n]) for n, v in row.items()}

    with target.open("wb") as out:
        fastavro.writer(out, schema, rows(), codec=codec)


def _avro_type(t: Type, records: Iterator[int]) -> Any:
    """An Avro type that may be null (https://cwiki.apache.org/confluence/display/Hive/AvroSerDe)."""
    simple: dict[str, Any] = {
        "boolean": "boolean", "tinyint": "int", "smallint": "int", "integer": "int", "bigint": "long",
        "real": "float", "double": "double", "varchar": "string", "char": "string", "varbinary": "bytes",
        "date": {"type": "int", "logicalType": "date"},
        "timestamp": {"type": "long", "logicalType": "timestamp-millis"},
    }  # fmt: skip
    kind: Any
    if t.base == "decimal":
        kind = {"type": "bytes", "logicalType": "decimal", "precision": t.digits[0], "scale": t.digits[1]}
    elif t.base == "array":
        kind = {"type": "array", "items": _avro_type(t.args[0], records)}
    elif t.base == "map":
        if t.args[0].base not in ("varchar", "char"):
            raise QueryError("NOT_SUPPORTED", f"Avro's maps have strings as keys, not {t.args[0]}")
        kind = {"type": "map", "values": _avro_type(t.args[1], records)}
    elif t.base == "row":
        fields = [
            {"name": n or f"field{i}", "type": _avro_type(a, records), "default": None}
            for i, (n, a) in enumerate(zip(t.names, t.args, strict=True))
        ]
        kind = {"type": "record", "name": f"record_{next(records)}", "fields": fields}
    elif t.base in simple:
        kind = simple[t.base]
    else:
        raise QueryError("NOT_SUPPORTED", f"Unsupported Hive type: {t}")
    return ["null", kind]


def _to_avro(value: Any, t: Type) -> Any:
    if value is None:
        return None
    if t.base == "array":
        return [_to_avro(v, t.args[0]) for v in value]
    if t.base == "map":
        return {k: _to_avro(v, t.args[1]) for k, v in value}
    if t.base == "row":
        names = [n or f"field{i}" for i, n in enumerate(t.names)]
        return {n: _to_avro(value[n], a) for n, a in zip(names, t.args, strict=True)}
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC)
    return value


# ------------------------------------------------------------------------------------------ text lines


def opencsv_fields(line: str, separator: str, quotation: str, escape: str) -> list[str]:
    """One line as OpenCSV splits it: both the escape character and a doubled quote stand for one.

    CSVParser.parseLine of opencsv 2.3, which OpenCSVSerde uses.
    """
    fields, field, quoted, i = [], "", False, 0
    while i < len(line):
        ch = line[i]
        following = line[i + 1] if i + 1 < len(line) else ""
        if ch == escape and escape != quotation:
            if following and following in (quotation, escape) and (quoted or field):
                field += following
                i += 1
        elif ch == quotation:
            if quoted and following == quotation:
                field += following
                i += 1
            else:
                if i > 2 and line[i - 1] != separator and following not in ("", separator):
                    field += ch
                quoted = not quoted
        elif ch == separator and not quoted:
            fields.append(field)
            field = ""
        else:
            field += ch
        i += 1
    return [*fields, field]


def escaped_fields(line: str, separator: str, escape: str) -> list[tuple[str, str]]:
    """(raw, unescaped) fields of a line of LazySimpleSerDe with escape.delim."""
    fields: list[tuple[str, str]] = []
    raw, value, i = "", "", 0
    while i < len(line):
        ch = line[i]
        if ch == escape and i + 1 < len(line):
            following = line[i + 1]
            raw += ch + following
            value += {"n": "\n", "r": "\r"}.get(following, following)
            i += 2
            continue
        if ch == separator:
            fields.append((raw, value))
            raw = value = ""
        else:
            raw += ch
            value += ch
        i += 1
    return [*fields, (raw, value)]


@dataclass(frozen=True)
class JsonKeys:
    """How the JSON SerDe finds the key of a field, at every level
    (https://docs.aws.amazon.com/athena/latest/ug/openx-json-serde.html).

    mapping: keys by field (mapping.*). dots: a dot in a key is an underscore (dots.in.keys). exact: upper and lower
    case differ (case.insensitive = FALSE).
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    dots: bool = False
    exact: bool = False

    def normal(self, key: str) -> str:
        key = key.replace(".", "_") if self.dots else key
        return key if self.exact else key.lower()

    def named(self, value: Any, t: Type, url: str) -> Any:
        """A JSON value with the type's names of its fields; the keys of maps stay. Raises for a key that is there
        twice."""
        if t.base == "row" and isinstance(value, dict):
            types = dict(zip(t.names, t.args, strict=True))
            names = {self.normal(self.mapping.get(n or "", n or "")): n for n in types}
            out: dict[str, Any] = {}
            for key, v in value.items():
                name = names.get(self.normal(key))
                if name in out:
                    raise QueryError(
                        "HIVE_CURSOR_ERROR",
                        f'Row is not a valid JSON Object - JSONException: Duplicate key "{name}" in {url}',
                    )
                if name is not None:
                    out[name] = self.named(v, types[name], url)
            return out
        if t.base == "array" and isinstance(value, list):
            return [self.named(v, t.args[0], url) for v in value]
        if t.base == "map" and isinstance(value, dict):
            return {k: self.named(v, t.args[1], url) for k, v in value.items()}
        return value


def json_keys(properties: Mapping[str, str]) -> JsonKeys:
    """What a table's SerDe properties say of its keys."""
    mapping = {k[len("mapping.") :].lower(): v for k, v in properties.items() if k.startswith("mapping.")}
    dots = properties.get("dots.in.keys", "").lower() == "true"
    return JsonKeys(mapping, dots, properties.get("case.insensitive", "").lower() == "false")


def cloudtrail_lines(source: IO[str], t: Type, url: str) -> Iterator[str]:
    """The records of a CloudTrail file, which is one JSON object, as lines
    (https://docs.aws.amazon.com/athena/latest/ug/create-cloudtrail-table.html)."""
    try:
        records = json.load(source).get("Records") or []
    except (ValueError, AttributeError) as e:
        raise QueryError("HIVE_CURSOR_ERROR", f"{url} is no CloudTrail log: {e}") from e
    keys = JsonKeys()
    for record in records:
        yield json.dumps(keys.named(record, t, url), ensure_ascii=False, separators=(",", ":")) + "\n"


def quoted_line(fields: list[str | None], null: str) -> str:
    """A line of CSV that DuckDB reads back exactly: everything quoted, NULL as `null` without quotes."""
    return ",".join(null if f is None else '"' + f.replace('"', '""') + '"' for f in fields) + "\n"
