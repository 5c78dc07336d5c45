"""An Iceberg table of the Glue catalog, and PyIceberg over this server's own S3 and Glue."""

from __future__ import annotations

import datetime as dt
import functools
import io
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pyiceberg import types as it
from pyiceberg.catalog.glue import GlueCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.io import FileIO, InputFile, OutputFile
from pyiceberg.schema import Schema
from pyiceberg.serializers import FromInputFile
from pyiceberg.table import Table as PyTable
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.typedef import EMPTY_DICT, Properties

from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import E
from local_aws.athena.tables import ConcurrentModification, Table, TableCatalog
from local_aws.athena.types import Type
from local_aws.objects import NoSuchBucket, ObjectInfo, ObjectStore

# PyIceberg warns of each column without statistics.
logging.getLogger("pyiceberg").setLevel(logging.ERROR)

# Where a row lies: the number of its file in the plan of the scan, and its number in the file.
FILE, POSITION = "$row_file", "$row_position"

TIMESTAMP = Type("timestamp", p=6)
TIMESTAMP_TZ = Type("timestamp with time zone", p=6)


# --------------------------------------------------------------------------------------------- types

_PRIMITIVES: list[tuple[type[it.IcebergType], Type]] = [
    (it.BooleanType, ty.BOOLEAN),
    (it.IntegerType, ty.INTEGER),
    (it.LongType, ty.BIGINT),
    (it.FloatType, ty.REAL),
    (it.DoubleType, ty.DOUBLE),
    (it.StringType, ty.VARCHAR),
    (it.BinaryType, ty.VARBINARY),
    (it.DateType, ty.DATE),
    (it.TimestampType, TIMESTAMP),
    (it.TimestamptzType, TIMESTAMP_TZ),
]


def trino_type(t: it.IcebergType) -> Type:
    """The type in which Athena shows an Iceberg type. Raises QueryError for those that it cannot read.

    https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-supported-data-types.html
    """
    for kind, found in _PRIMITIVES:
        if isinstance(t, kind):
            return found
    if isinstance(t, it.DecimalType):
        return ty.decimal(t.precision, t.scale)
    if isinstance(t, it.ListType):
        return ty.array(trino_type(t.element_type))
    if isinstance(t, it.MapType):
        return ty.map_of(trino_type(t.key_type), trino_type(t.value_type))
    if isinstance(t, it.StructType):
        return ty.row(*[(f.name.lower(), trino_type(f.field_type)) for f in t.fields])
    raise not_supported(f"The Iceberg type {t}")


def iceberg_type(t: Type, fresh: Callable[[], int]) -> it.IcebergType:
    """The Iceberg type of a new column. Raises QueryError with Trino's text for those that Iceberg has not.

    fresh: gives the ids of nested fields.
    """
    if t.base == "decimal":
        return it.DecimalType(*t.digits)
    if t.base == "array":
        return it.ListType(fresh(), iceberg_type(t.args[0], fresh), element_required=False)
    if t.base == "map":
        key, value = iceberg_type(t.args[0], fresh), iceberg_type(t.args[1], fresh)
        return it.MapType(fresh(), key, fresh(), value, value_required=False)
    if t.base == "row":
        fields = []
        for name, a in zip(t.names, t.args, strict=True):
            if name is None:
                raise QueryError(
                    "NOT_SUPPORTED", f"Row type field does not have a name: {t}; CAST it to row(name type)"
                )
            fields.append(it.NestedField(fresh(), name, iceberg_type(a, fresh), required=False))
        return it.StructType(*fields)
    if t.base in ("timestamp", "timestamp with time zone"):
        if t.p != 6:
            name = "Timestamp" if t.base == "timestamp" else "Timestamp with time zone"
            wanted = "timestamp(6)" + t.base.removeprefix("timestamp")
            raise QueryError(
                "NOT_SUPPORTED",
                f'{name} precision ({t.p}) not supported for Iceberg. Use "{wanted}" instead.',
            )
        return it.TimestampType() if t.base == "timestamp" else it.TimestamptzType()
    for kind, found in _PRIMITIVES:
        if t.base == found.base:
            return kind()
    raise QueryError("NOT_SUPPORTED", f"Type not supported for Iceberg: {t}")


def athena_type(t: it.IcebergType) -> str:
    """How Athena's DDL writes an Iceberg type."""
    if isinstance(t, it.ListType):
        return f"array<{athena_type(t.element_type)}>"
    if isinstance(t, it.MapType):
        return f"map<{athena_type(t.key_type)},{athena_type(t.value_type)}>"
    if isinstance(t, it.StructType):
        return "struct<" + ",".join(f"{f.name}:{athena_type(f.field_type)}" for f in t.fields) + ">"
    if isinstance(t, it.DecimalType):
        return f"decimal({t.precision},{t.scale})"
    return {"long": "bigint"}.get(str(t), str(t))


# --------------------------------------------------------------------------------------------- files


class _Input(InputFile):
    def __init__(self, location: str, store: ObjectStore) -> None:
        super().__init__(location)
        self._store = store

    def _info(self) -> ObjectInfo:
        info = find_object(self._store, self.location)
        if info is None:
            raise FileNotFoundError(self.location)
        return info

    def __len__(self) -> int:
        return self._info().size

    def exists(self) -> bool:
        return find_object(self._store, self.location) is not None

    def open(self, seekable: bool = True) -> BinaryIO:
        return Path(self._info().path).open("rb")


class _Stream(io.BytesIO):
    """An object that is written when it is closed, whole or not at all."""

    def __init__(self, save: Callable[[bytes], None]) -> None:
        super().__init__()
        self._save = save

    def close(self) -> None:
        if not self.closed:
            self._save(self.getvalue())
        super().close()


class _Output(OutputFile):
    def __init__(self, location: str, store: ObjectStore) -> None:
        super().__init__(location)
        self._store = store

    def __len__(self) -> int:
        return len(self.to_input_file())

    def exists(self) -> bool:
        return self.to_input_file().exists()

    def to_input_file(self) -> _Input:
        return _Input(self.location, self._store)

    def create(self, overwrite: bool = False) -> _Stream:
        if not overwrite and self.exists():
            raise FileExistsError(self.location)
        return _Stream(self._save)

    def _save(self, data: bytes) -> None:
        bucket, key = split(self.location)
        try:
            self._store.put_bytes(bucket, key, data)
        except NoSuchBucket as e:
            raise missing_bucket(bucket) from e


class StoreIO(FileIO):
    """PyIceberg's files are this server's objects."""

    def __init__(self, store: ObjectStore, properties: Properties = EMPTY_DICT) -> None:
        super().__init__(properties)
        self.store = store

    def new_input(self, location: str) -> _Input:
        return _Input(location, self.store)

    def new_output(self, location: str) -> _Output:
        return _Output(location, self.store)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        bucket, key = split(location if isinstance(location, str) else location.location)
        self.store.delete(bucket, [key])


def missing_bucket(bucket: str) -> QueryError:
    return QueryError(
        "ICEBERG_FILESYSTEM_ERROR",
        f"The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Bucket: {bucket})",
    )


def split(location: str) -> tuple[str, str]:
    """Bucket and key."""
    scheme, separator, rest = location.partition("://")
    if not separator or scheme not in ("s3", "s3a", "s3n"):
        raise QueryError("ICEBERG_FILESYSTEM_ERROR", f"'{location}' is no S3 location (s3://bucket/key)")
    bucket, _, key = rest.partition("/")
    return bucket, key


def find_object(store: ObjectStore, location: str) -> ObjectInfo | None:
    bucket, key = split(location)
    try:
        return store.get(bucket, key)
    except NoSuchBucket:
        return None


# ------------------------------------------------------------------------------------------- catalog


class _NotFound(Exception):
    """Glue's EntityNotFoundException."""


class _Exists(Exception):
    """Glue's AlreadyExistsException."""


class _Exceptions:
    EntityNotFoundException = _NotFound
    AlreadyExistsException = _Exists
    ConcurrentModificationException = ConcurrentModification


class _GlueClient:
    """What PyIceberg asks of a boto3 client of Glue, answered from the catalog in this process."""

    exceptions = _Exceptions

    def __init__(self, catalog: TableCatalog) -> None:
        self._catalog = catalog

    def get_table(self, DatabaseName: str, Name: str) -> dict[str, Any]:  # noqa: N803
        found = self._catalog.find(DatabaseName, Name)
        if found is None:
            raise _NotFound
        # PyIceberg changes the parameters that it is given.
        return {"Table": {**found.description, "Parameters": dict(found.parameters)}}

    def create_table(self, DatabaseName: str, TableInput: dict[str, Any]) -> None:  # noqa: N803
        if self._catalog.find(DatabaseName, TableInput["Name"]) is not None:
            raise _Exists
        self._catalog.create_table(DatabaseName, TableInput)

    def update_table(
        self,
        DatabaseName: str,  # noqa: N803
        TableInput: dict[str, Any],  # noqa: N803
        SkipArchive: bool,  # noqa: N803
        VersionId: str,  # noqa: N803
    ) -> None:
        found = self._catalog.find(DatabaseName, TableInput["Name"])
        if found is None:
            raise _NotFound
        self._catalog.replace_table(found, TableInput, VersionId)


class LocalCatalog(GlueCatalog):
    """PyIceberg's Glue catalog without HTTP in between."""

    def __init__(self, catalog: TableCatalog, store: ObjectStore) -> None:
        super().__init__("local_aws", client=_GlueClient(catalog))  # type: ignore[arg-type]
        self.store = store

    def _load_file_io(self, properties: Properties = EMPTY_DICT, location: str | None = None) -> FileIO:
        return StoreIO(self.store, properties)


# --------------------------------------------------------------------------------------------- table


@functools.lru_cache(maxsize=256)
def _read_metadata(path: str) -> TableMetadata:
    """Bodies never change, so neither does what they say."""
    return FromInputFile.table_metadata(_Local(path))


class _Local(InputFile):
    def __len__(self) -> int:
        return Path(self.location).stat().st_size

    def exists(self) -> bool:
        return Path(self.location).exists()

    def open(self, seekable: bool = True) -> BinaryIO:
        return Path(self.location).open("rb")


@dataclass(frozen=True)
class _Column:
    name: str
    type: Type
    field: it.NestedField


class IcebergTable(Table):
    """A Glue table with table_type=ICEBERG. One object sees one state of the table.

    snapshot_id: the snapshot to read; None for the current one.
    """

    def __init__(
        self,
        description: dict[str, Any],
        catalog: TableCatalog,
        store: ObjectStore,
        snapshot_id: int | None = None,
    ) -> None:
        super().__init__(description)
        self.catalog = catalog
        self.store = store
        self.snapshot_id = snapshot_id
        # Columns that were dropped stay in Glue, marked.
        columns = [
            c
            for c in self.storage.get("Columns") or []
            if (c.get("Parameters") or {}).get("iceberg.field.current") != "false"
        ]
        self.storage = {**self.storage, "Columns": columns}
        self.metadata_location: str = self.parameters.get("metadata_location") or ""

    @functools.cached_property
    def metadata(self) -> TableMetadata:
        name = f"{self.database}.{self.name}"
        if not self.metadata_location:
            raise QueryError(
                "ICEBERG_INVALID_METADATA", f"Table is missing [metadata_location] property: {name}"
            )
        info = find_object(self.store, self.metadata_location)
        if info is None:
            raise QueryError(
                "ICEBERG_MISSING_METADATA",
                f"Metadata not found in metadata location for table {name}: {self.metadata_location}",
            )
        try:
            metadata = _read_metadata(info.path)
        except ValueError as e:
            reason = str(e).splitlines()[0]
            raise QueryError(
                "ICEBERG_INVALID_METADATA", f"Invalid metadata file for table {name}: {reason}"
            ) from e
        if metadata.format_version > 2:
            raise not_supported(f"Iceberg format version {metadata.format_version} (table {name})")
        return metadata

    @functools.cached_property
    def schema(self) -> Schema:
        """The schema of the snapshot to read."""
        if self.snapshot_id is not None:
            snapshot = self.metadata.snapshot_by_id(self.snapshot_id)
            if snapshot is not None and snapshot.schema_id is not None:
                found = self.metadata.schema_by_id(snapshot.schema_id)
                if found is not None:
                    return found
        return self.metadata.schema()

    @functools.cached_property
    def fields(self) -> list[_Column]:
        return [_Column(f.name.lower(), trino_type(f.field_type), f) for f in self.schema.fields]

    @property
    def columns(self) -> list[tuple[str, Type]]:
        return [(c.name, c.type) for c in self.fields]

    @property
    def hidden(self) -> list[tuple[str, Type]]:
        return [("$path", ty.VARCHAR), (FILE, ty.INTEGER), (POSITION, ty.BIGINT)]

    @property
    def prunable(self) -> set[str]:
        return {c.name for c in self.fields if c.field.field_type.is_primitive}

    def py(self) -> PyTable:
        """The table in the state that this object sees, as PyIceberg's."""
        local = LocalCatalog(self.catalog, self.store)
        return PyTable(
            identifier=(self.database, self.name),
            metadata=self.metadata,
            metadata_location=self.metadata_location,
            io=StoreIO(self.store, self.metadata.properties),
            catalog=local,
        )

    def at(self, snapshot_id: int) -> IcebergTable:
        """The same state of the table, read as of a snapshot."""
        other = IcebergTable(self.description, self.catalog, self.store, snapshot_id)
        other.__dict__["metadata"] = self.metadata
        return other


def as_of(table: IcebergTable, kind: str, value: E, evaluate: Callable[[str], Any]) -> IcebergTable:
    """The table as of a time, a snapshot's id, or a tag's or branch's name.

    kind: TIMESTAMP or VERSION. Raises QueryError with Trino's texts where there is no such snapshot.
    """
    metadata, name = table.metadata, f'"{table.database}"."{table.name}"'
    if kind == "VERSION":
        if value.type.base in ("varchar", "char"):
            found = metadata.refs.get(str(evaluate(value.sql)))
            if found is None:
                raise QueryError(
                    "INVALID_ARGUMENTS", f"Cannot find snapshot with reference name: {evaluate(value.sql)}"
                )
            return table.at(found.snapshot_id)
        if value.type.base not in ty.INTEGERS:
            raise QueryError("NOT_SUPPORTED", f"Unsupported type for table version: {value.type}")
        identifier = int(evaluate(value.sql))
        if metadata.snapshot_by_id(identifier) is None:
            raise QueryError("INVALID_ARGUMENTS", f"Iceberg snapshot ID does not exists: {identifier}")
        return table.at(identifier)
    if value.type.base not in ("date", "timestamp", "timestamp with time zone"):
        raise QueryError("NOT_SUPPORTED", f"Unsupported type for temporal table version: {value.type}")
    moment = int(evaluate(f"epoch_ms(CAST({value.sql} AS TIMESTAMPTZ))"))
    past = [e for e in metadata.snapshot_log if e.timestamp_ms <= moment]
    if not past:
        when = dt.datetime.fromtimestamp(moment / 1000, dt.UTC).isoformat().replace("+00:00", "Z")
        raise QueryError("INVALID_ARGUMENTS", f"No version history table {name} at or before {when}")
    latest = max(past, key=lambda e: e.timestamp_ms)
    if metadata.snapshot_by_id(latest.snapshot_id) is None:
        raise QueryError(
            "INVALID_ARGUMENTS",
            f"The snapshot {latest.snapshot_id} of table {name} has been expired (VACUUM)",
        )
    return table.at(latest.snapshot_id)


# ------------------------------------------------------------------------------------------- commits

_locks: dict[tuple[str, str, str], threading.Lock] = {}
_guard = threading.Lock()


def commit_lock(table: IcebergTable) -> threading.Lock:
    """Held for a commit, so that those of this process wait for one another instead of failing."""
    with _guard:
        return _locks.setdefault((table.catalog.region, table.database, table.name), threading.Lock())


def conflict(table: IcebergTable, e: Exception) -> QueryError:
    """Another commit came first."""
    if isinstance(e, NoSuchTableError):
        return QueryError("TABLE_NOT_FOUND", f"Table '{table.database}.{table.name}' was dropped meanwhile")
    return QueryError(
        "ICEBERG_COMMIT_ERROR",
        f"Failed to commit Iceberg update to table: {table.database}.{table.name}. The table was changed meanwhile ({e}); run the statement again",
    )


COMMIT_FAILURES = (CommitFailedException, NoSuchTableError)

__all__ = ["FILE", "POSITION", "IcebergTable", "LocalCatalog", "StoreIO", "iceberg_type", "trino_type"]
