"""Data files with their metrics and partitions, and the commits that make them part of a table."""

from __future__ import annotations

import itertools
import shutil
import threading
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyiceberg import types as it
from pyiceberg.manifest import DataFile, DataFileContent, FileFormat, ManifestFile
from pyiceberg.partitioning import PartitionField, _to_partition_representation
from pyiceberg.table import TableProperties, Transaction
from pyiceberg.table.locations import load_location_provider
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.table.snapshots import Operation, Summary
from pyiceberg.table.update.snapshot import _FastAppendFiles, _OverwriteFiles
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.typedef import EMPTY_DICT, Record

from local_aws.athena.context import Context
from local_aws.athena.errors import Cancelled, QueryError, not_supported
from local_aws.athena.expressions import raise_text
from local_aws.athena.iceberg.table import (
    COMMIT_FAILURES,
    IcebergTable,
    commit_lock,
    conflict,
    missing_bucket,
    split,
    trino_type,
)
from local_aws.athena.types import duckdb_type, quote
from local_aws.objects import NoSuchBucket

# https://docs.aws.amazon.com/athena/latest/ug/ctas-insert-into-etl.html
MAX_PARTITIONS = 100
PARTITION = "$partition"
_CODECS = {
    "gzip": "gzip",
    "snappy": "snappy",
    "zstd": "zstd",
    "uncompressed": "uncompressed",
    "none": "uncompressed",
}

# Objects that were written and are part of no table yet: VACUUM leaves them alone.
_pending: set[str] = set()
_guard = threading.Lock()


def pending() -> set[str]:
    with _guard:
        return set(_pending)


class Files:
    """The data files of one statement. Those that no commit took are deleted at the end."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self.written: list[str] = []
        self.kept = False

    def add(self, location: str, path: Path) -> None:
        bucket, key = split(location)
        with _guard:
            _pending.add(location)
        self.written.append(location)
        try:
            self.context.store.put_file(bucket, key, path)
        except NoSuchBucket as e:
            raise missing_bucket(bucket) from e

    def close(self) -> None:
        if not self.kept:
            for location in self.written:
                bucket, key = split(location)
                try:
                    self.context.store.delete(bucket, [key])
                except NoSuchBucket:
                    break
        with _guard:
            _pending.difference_update(self.written)


@contextmanager
def writing(context: Context) -> Iterator[Files]:
    files = Files(context)
    try:
        yield files
    finally:
        files.close()


# --------------------------------------------------------------------------------------- data files


def write(files: Files, metadata: TableMetadata, sql: str, *, counted: str | None = None) -> list[DataFile]:
    """Writes the rows of a query as data files; its columns c0, c1, ... are the table's, in their types.

    counted: the query of those rows that Athena would write, if there are others. Raises
    ICEBERG_TOO_MANY_OPEN_PARTITIONS where they are in more than MAX_PARTITIONS.
    """
    context = files.context
    schema, spec = metadata.schema(), metadata.spec()
    if metadata.properties.get(TableProperties.WRITE_FILE_FORMAT, "parquet").lower() != "parquet":
        raise not_supported(
            f"Writing Iceberg data files in {metadata.properties[TableProperties.WRITE_FILE_FORMAT]}"
        )
    folder = context.scratch / f"iceberg-{uuid.uuid4().hex}"
    folder.mkdir(parents=True)
    try:
        items = []
        for i, f in enumerate(schema.fields):
            value = f'q."c{i}"'
            if f.required:
                d = duckdb_type(trino_type(f.field_type))
                bad = raise_text(
                    "CONSTRAINT_VIOLATION", f"NULL value not allowed for NOT NULL column: {f.name}", d
                )
                value = f"CASE WHEN {value} IS NULL THEN {bad} ELSE {value} END"
            items.append(f"{value} AS {quote(f.name)}")
        properties = metadata.properties
        codec = properties.get(TableProperties.PARQUET_COMPRESSION, "zstd").lower()
        if codec not in _CODECS:
            raise not_supported(f"The Parquet compression '{codec}'")
        ids = ", ".join(f"{quote(f.name)}: {_field_ids(f.field_id, f.field_type)}" for f in schema.fields)
        options = [f"FORMAT parquet, COMPRESSION {_CODECS[codec]}, FIELD_IDS {{{ids}}}"]
        if spec.is_unpartitioned():
            size = int(
                properties.get(
                    TableProperties.WRITE_TARGET_FILE_SIZE_BYTES,
                    TableProperties.WRITE_TARGET_FILE_SIZE_BYTES_DEFAULT,
                )
            )
            options.append(f"FILE_SIZE_BYTES {size}, FILENAME_PATTERN '{{i}}'")
        else:
            keys = [f"p{i}: {_grouping(context, metadata, f)}" for i, f in enumerate(spec.fields)]
            # The folder's name is a digest, so that no value can be mistaken for another, or be too long.
            digest = f"md5(CAST(to_json({{{', '.join(keys)}}}) AS VARCHAR))"
            items.append(f"{digest} AS {quote(PARTITION)}")
            options.append(f"PARTITION_BY ({quote(PARTITION)}), FILENAME_PATTERN '{{uuid}}'")
        target = "'" + str(folder / "data").replace("'", "''") + "'"
        copied = context.session.rows(
            f"COPY (SELECT {', '.join(items)} FROM ({sql}) AS q) TO {target} ({', '.join(options)})"
        )
        found = sorted(p for p in folder.rglob("*.parquet"))
        if not copied[0][0]:
            return []
        written = len({p.parent for p in found})
        if written > MAX_PARTITIONS and counted is not None:
            written = context.session.rows(f"SELECT count(DISTINCT {digest}) FROM ({counted}) AS q")[0][0]
        if written > MAX_PARTITIONS:
            raise QueryError(
                "ICEBERG_TOO_MANY_OPEN_PARTITIONS",
                f"Exceeded limit of {MAX_PARTITIONS} open writers for partitions",
            )
        partitions: dict[Path, Record] = {}
        out = []
        for path in found:
            if path.parent not in partitions:
                partitions[path.parent] = _partition(context, metadata, path)
            if (made := _add(files, metadata, path, partitions[path.parent])) is not None:
                out.append(made)
        return out
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _field_ids(identifier: int, t: it.IcebergType) -> str:
    """The ids that Iceberg's readers find columns by, in the form of DuckDB's FIELD_IDS."""
    if isinstance(t, it.ListType):
        return f"{{__duckdb_field_id: {identifier}, element: {_field_ids(t.element_id, t.element_type)}}}"
    if isinstance(t, it.MapType):
        key, value = _field_ids(t.key_id, t.key_type), _field_ids(t.value_id, t.value_type)
        return f"{{__duckdb_field_id: {identifier}, key: {key}, value: {value}}}"
    if isinstance(t, it.StructType):
        fields = ", ".join(
            f"{quote(f.name.lower())}: {_field_ids(f.field_id, f.field_type)}" for f in t.fields
        )
        return f"{{__duckdb_field_id: {identifier}, {fields}}}"
    return str(identifier)


def _add(files: Files, metadata: TableMetadata, path: Path, partition: Record) -> DataFile | None:
    """Makes a local Parquet file an object and describes it."""
    # Imports pandas, which takes a second.
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )

    schema, spec = metadata.schema(), metadata.spec()
    footer = pq.read_metadata(path)
    if not footer.num_rows:
        return None
    mapping = {name.lower(): i for name, i in parquet_path_to_id_mapping(schema).items()}
    statistics = data_file_statistics_from_parquet_metadata(
        parquet_metadata=footer,
        stats_columns=compute_statistics_plan(schema, metadata.properties),
        parquet_column_mapping=_AnyCase(mapping),
    )
    provider = load_location_provider(metadata.location, metadata.properties)
    context = files.context
    name = f"{context.now:%Y%m%d_%H%M%S_%f}_{len(files.written):05d}_{context.query_id[:5]}-{uuid.uuid4()}.parquet"
    if spec.is_unpartitioned():
        location = provider.new_data_location(name)
    else:
        location = f"{provider.data_path}/{spec.partition_to_path(partition, schema)}/{name}"
    size = path.stat().st_size
    files.add(location, path)
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=partition,
        file_size_in_bytes=size,
        sort_order_id=None,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **statistics.to_serialized_dict(),
    )


class _AnyCase(dict[str, int]):
    """Nested fields are written in lower case, as Athena shows them."""

    def __getitem__(self, key: str) -> int:
        return super().__getitem__(key.lower())


def _source(metadata: TableMetadata, field: PartitionField) -> it.NestedField:
    return metadata.schema().find_field(field.source_id)


def _column(metadata: TableMetadata, field: PartitionField) -> str:
    """The partition's source in a written row: a column, or a field of a struct."""
    names = str(metadata.schema().find_column_name(field.source_id)).split(".")
    return ".".join(quote(n) for n in names)


def _grouping(context: Context, metadata: TableMetadata, field: PartitionField) -> str:
    """DuckDB SQL that is equal for two rows exactly if their partition values are."""
    names = str(metadata.schema().find_column_name(field.source_id)).split(".")
    index = next(i for i, f in enumerate(metadata.schema().fields) if f.name == names[0])
    sql = f'q."c{index}"'
    for n in names[1:]:
        sql = f"struct_extract({sql}, '{n.lower()}')"
    t, transform = _source(metadata, field).field_type, field.transform
    if isinstance(transform, IdentityTransform):
        return f"CAST({sql} AS VARCHAR)" if not isinstance(t, it.BinaryType) else f"hex({sql})"
    units = {YearTransform: "year", MonthTransform: "month", DayTransform: "day", HourTransform: "hour"}
    for kind, unit in units.items():
        if isinstance(transform, kind):
            return f"CAST(date_trunc('{unit}', {sql}) AS VARCHAR)"
    if isinstance(transform, TruncateTransform):
        width = transform.width
        if isinstance(t, it.IntegerType | it.LongType):
            return f"({sql} - ((({sql} % {width}) + {width}) % {width}))"
        if isinstance(t, it.StringType):
            return f"left({sql}, {width})"
    integers = isinstance(
        t, it.IntegerType | it.LongType | it.DateType | it.TimestampType | it.TimestamptzType
    )
    if isinstance(transform, BucketTransform) and integers:
        name = f"iceberg_{uuid.uuid4().hex}"
        context.session.function(name, lambda v: _buckets(v, transform.num_buckets), "BIGINT", "BIGINT")
        return f"{name}(CAST({_internal(sql, t)} AS BIGINT))"
    name = f"iceberg_{uuid.uuid4().hex}"
    context.session.function(name, _transformer(field, t), duckdb_type(trino_type(t)), "VARCHAR")
    return f"{name}({sql})"


def _internal(sql: str, t: it.IcebergType) -> str:
    """A value in Iceberg's own representation: days and microseconds since 1970."""
    if isinstance(t, it.DateType):
        return f"datediff('day', DATE '1970-01-01', {sql})"
    if isinstance(t, it.TimestampType | it.TimestamptzType):
        return f"epoch_us({sql})"
    return sql


def _transformer(field: PartitionField, t: it.IcebergType) -> Callable[[pa.ChunkedArray], pa.Array]:
    """PyIceberg's transform of a column, once for each distinct value."""
    transform = field.transform.transform(t)

    def apply(values: pa.ChunkedArray) -> pa.Array:
        encoded = pa.concat_arrays(values.chunks).dictionary_encode()
        done = [str(transform(_to_partition_representation(t, v))) for v in encoded.dictionary.to_pylist()]
        return pa.DictionaryArray.from_arrays(encoded.indices, pa.array(done, pa.string())).cast(pa.string())

    return apply


def _buckets(values: pa.ChunkedArray, count: int) -> pa.ChunkedArray:
    """bucket[count] of integers, of a column at once: PyIceberg's takes two seconds for a million.

    Murmur3, 32 bits, of the eight bytes of a long: https://iceberg.apache.org/spec/#appendix-b-32-bit-hash-requirements
    """

    def number(n: int) -> pa.Scalar:
        return pa.scalar(n, pa.uint64())

    low = number(0xFFFFFFFF)

    def times(v: Any, n: int) -> Any:
        return pc.bit_wise_and(pc.multiply(v, number(n)), low)

    def rotated(v: Any, bits: int) -> Any:
        turned = pc.bit_wise_or(pc.shift_left(v, number(bits)), pc.shift_right(v, number(32 - bits)))
        return pc.bit_wise_and(turned, low)

    whole = pa.chunked_array([c.view(pa.uint64()) for c in values.chunks], pa.uint64())
    hashed: Any = None
    for block in (pc.bit_wise_and(whole, low), pc.shift_right(whole, number(32))):
        mixed = times(rotated(times(block, 0xCC9E2D51), 15), 0x1B873593)
        hashed = mixed if hashed is None else pc.bit_wise_xor(hashed, mixed)
        hashed = pc.bit_wise_and(pc.add(times(rotated(hashed, 13), 5), number(0xE6546B64)), low)
    hashed = pc.bit_wise_xor(hashed, number(8))
    for bits, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
        hashed = times(pc.bit_wise_xor(hashed, pc.shift_right(hashed, number(bits))), factor)
    hashed = pc.bit_wise_xor(hashed, pc.shift_right(hashed, number(16)))
    positive = pc.bit_wise_and(hashed, number(0x7FFFFFFF)).cast(pa.int64())
    return pc.subtract(positive, pc.multiply(pc.divide(positive, count), count))


def _partition(context: Context, metadata: TableMetadata, path: Path) -> Record:
    """The partition of a file's rows, which is that of its first."""
    spec = metadata.spec()
    if spec.is_unpartitioned():
        return Record()
    items = [_internal(_column(metadata, f), _source(metadata, f).field_type) for f in spec.fields]
    text = "'" + str(path).replace("'", "''") + "'"
    row = context.session.rows(
        f"SELECT {', '.join(items)} FROM read_parquet({text}, hive_partitioning=false) LIMIT 1"
    )[0]
    values: list[Any] = []
    for f, value in zip(spec.fields, row, strict=True):
        t = _source(metadata, f).field_type
        values.append(f.transform.transform(t)(_to_partition_representation(t, value)))
    return Record(*values)


# ------------------------------------------------------------------------------------------- commits


class _Overwrite(_OverwriteFiles):
    """Leaves out manifests that list deleted files only, as Iceberg's own writer does and PyIceberg's does not: each
    change of a table would read those of all changes before it."""

    def _existing_manifests(self) -> list[ManifestFile]:
        found = super()._existing_manifests()
        return [one for one in found if one.has_added_files() or one.has_existing_files()]


class _Replace(_Overwrite):
    """OPTIMIZE's snapshots are of operation replace, of which PyIceberg makes no summary."""

    def _summary(self, snapshot_properties: dict[str, str] = EMPTY_DICT) -> Summary:
        made = super()._summary(snapshot_properties)
        return Summary(operation=Operation.REPLACE, **made.additional_properties)


def commit(
    files: Files,
    table: IcebergTable,
    added: Iterable[DataFile],
    removed: Iterable[DataFile] = (),
    *,
    replace: bool = False,
) -> None:
    """Makes files part of the table, and takes others from it, in one snapshot.

    An append joins whatever was committed meanwhile. A change was computed from one state of the table
    and fails if that is no longer the current one. Raises ICEBERG_COMMIT_ERROR.
    """
    added, removed = list(added), list(removed)
    if not added and not removed:
        return
    if files.context.session.cancelled:
        raise Cancelled
    with commit_lock(table):
        base = table
        for attempt in itertools.count():
            try:
                transaction = base.py().transaction()
                _snapshot(files.context, transaction, added, removed, replace)
                transaction.commit_transaction()
                break
            except COMMIT_FAILURES as e:
                current = table.catalog.find(table.database, table.name)
                if (
                    removed
                    or attempt == 20
                    or not isinstance(current, IcebergTable)
                    or current.metadata.table_uuid != table.metadata.table_uuid
                    or current.metadata.current_schema_id != table.metadata.current_schema_id
                    or current.metadata.default_spec_id != table.metadata.default_spec_id
                ):
                    raise conflict(table, e) from e
                base = current
        files.kept = True


def _snapshot(
    context: Context, transaction: Transaction, added: list[DataFile], removed: list[DataFile], replace: bool
) -> None:
    options: dict[str, Any] = {
        "transaction": transaction,
        "io": transaction._table.io,
        "snapshot_properties": {"trino_query_id": context.query_id},
    }
    producer: _FastAppendFiles | _Overwrite
    if not removed:
        producer = _FastAppendFiles(operation=Operation.APPEND, **options)
    elif replace:
        producer = _Replace(operation=Operation.OVERWRITE, **options)
    else:
        operation = Operation.OVERWRITE if added else Operation.DELETE
        producer = _Overwrite(operation=operation, **options)
    for f in added:
        producer.append_data_file(f)
    for f in removed:
        producer.delete_data_file(f)
    producer.commit()


__all__ = ["Files", "commit", "pending", "write", "writing"]
