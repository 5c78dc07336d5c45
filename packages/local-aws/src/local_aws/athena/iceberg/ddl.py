"""DDL of Iceberg tables, and CREATE TABLE AS."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from pyiceberg.exceptions import TableAlreadyExistsError, ValidationError
from pyiceberg.partitioning import PARTITION_FIELD_ID_START, PartitionField, PartitionSpec
from pyiceberg.schema import Schema
from pyiceberg.table import CreateTableTransaction, TableProperties, Transaction
from pyiceberg.table.metadata import TableMetadata
from pyiceberg.transforms import (
    BucketTransform,
    DayTransform,
    HourTransform,
    IdentityTransform,
    MonthTransform,
    Transform,
    TruncateTransform,
    YearTransform,
)
from pyiceberg.types import NestedField

from local_aws.athena import statements as st
from local_aws.athena.assignment import assigned
from local_aws.athena.context import Context, Outcome
from local_aws.athena.describe import Named, Rows
from local_aws.athena.errors import Cancelled, QueryError, not_supported
from local_aws.athena.expressions import E
from local_aws.athena.iceberg import maintenance
from local_aws.athena.iceberg.table import (
    COMMIT_FAILURES,
    IcebergTable,
    LocalCatalog,
    athena_type,
    commit_lock,
    conflict,
    iceberg_type,
    missing_bucket,
)
from local_aws.athena.iceberg.write import _snapshot, write, writing
from local_aws.athena.show_create import quoted
from local_aws.athena.syntax import CreateTableAs
from local_aws.athena.tables import split_location
from local_aws.athena.types import Type, parse_hive_type

# Athena's table properties and Iceberg's own; the others are kept under Athena's names.
# https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html#querying-iceberg-table-properties
_NAMES = {
    "format": TableProperties.WRITE_FILE_FORMAT,
    "write_compression": TableProperties.PARQUET_COMPRESSION,
    "compression_level": TableProperties.PARQUET_COMPRESSION_LEVEL,
    "write_target_data_file_size_bytes": TableProperties.WRITE_TARGET_FILE_SIZE_BYTES,
    "vacuum_min_snapshots_to_keep": TableProperties.MIN_SNAPSHOTS_TO_KEEP,
    "vacuum_max_metadata_files_to_keep": TableProperties.METADATA_PREVIOUS_VERSIONS_MAX,
    "optimize_rewrite_min_data_file_size_bytes": "optimize_rewrite_min_data_file_size_bytes",
    "optimize_rewrite_max_data_file_size_bytes": "optimize_rewrite_max_data_file_size_bytes",
    "optimize_rewrite_data_file_threshold": "optimize_rewrite_data_file_threshold",
    "optimize_rewrite_delete_file_threshold": "optimize_rewrite_delete_file_threshold",
}
_AGE = "vacuum_max_snapshot_age_seconds"
_COMPRESSIONS = ("gzip", "snappy", "zstd")
_TRANSFORMS: dict[str, Callable[[int], Transform[Any, Any]]] = {
    "identity": lambda n: IdentityTransform(),
    "year": lambda n: YearTransform(),
    "month": lambda n: MonthTransform(),
    "day": lambda n: DayTransform(),
    "hour": lambda n: HourTransform(),
    "bucket": BucketTransform,
    "truncate": TruncateTransform,
}


def properties(given: dict[str, Any]) -> dict[str, str]:
    """Iceberg's properties for Athena's. Raises QueryError for what Athena does not know or take."""
    out: dict[str, str] = {}
    for key, value in given.items():
        text = str(value)
        if key == "table_type":
            continue
        if key == _AGE:
            out[TableProperties.MAX_SNAPSHOT_AGE_MS] = str(_number(key, text) * 1000)
            continue
        if key not in _NAMES:
            raise QueryError("", f"Unsupported table property key: {key}")
        if key == "format":
            if text.lower() in ("orc", "avro"):
                raise not_supported(f"Iceberg tables with 'format'='{text}'")
            if text.lower() != "parquet":
                raise QueryError(
                    "", f"Invalid value '{text}' of table property format: parquet, orc and avro are allowed"
                )
            text = "parquet"
        elif key == "write_compression":
            text = text.lower()
            if text not in _COMPRESSIONS:
                raise QueryError(
                    "",
                    f"Invalid value '{text}' of table property write_compression: {', '.join(_COMPRESSIONS)} are allowed",
                )
        else:
            _number(key, text)
        out[_NAMES[key]] = text
    return out


def _failed(message: str) -> QueryError:
    """DDL that makes no sense, in Hive's words."""
    return QueryError("", f"FAILED: SemanticException {message}")


def _number(key: str, text: str) -> int:
    if not text.isdigit():
        raise QueryError("", f"Invalid value '{text}' of table property {key}: a number is wanted")
    return int(text)


def _athena_properties(metadata: TableMetadata) -> dict[str, str]:
    """A table's properties under Athena's names."""
    back = {v: k for k, v in _NAMES.items()}
    out = {"table_type": "iceberg"}
    for key, value in metadata.properties.items():
        if key == TableProperties.MAX_SNAPSHOT_AGE_MS:
            out[_AGE] = str(int(value) // 1000)
        elif key in back:
            out[back[key]] = value
    return out


def _schema(columns: list[tuple[str, Type, str | None]]) -> Schema:
    counter = itertools.count(1)
    fields = []
    for name, t, comment in columns:
        # The column's own id first, so that ids read in the columns' order.
        identifier = next(counter)
        kind = iceberg_type(t, lambda: next(counter))
        fields.append(NestedField(identifier, name, kind, required=False, doc=comment))
    return Schema(*fields)


def _declared(c: st.ColumnDef) -> Type:
    """A column's type in DDL."""
    base = re.split(r"[<(]", c.type)[0].lower()
    if base in ("tinyint", "smallint", "char", "time", "timestamptz", "uuid", "fixed"):
        raise _failed(
            f"Unsupported data type {c.type} of column {c.name} for table type ICEBERG",
        )
    return _micro(parse_hive_type(c.type))


def _micro(t: Type) -> Type:
    """Iceberg's timestamps have microseconds."""
    if t.base == "timestamp":
        return Type("timestamp", p=6)
    return Type(t.base, tuple(_micro(a) for a in t.args), t.names, t.p, t.s) if t.args else t


def _spec(schema: Schema, transforms: list[st.Transform]) -> PartitionSpec:
    fields = []
    for i, t in enumerate(transforms):
        if t.name not in _TRANSFORMS:
            raise _failed(f"Unsupported partition transform {t.name}({t.column})")
        if (t.argument is None) == (t.name in ("bucket", "truncate")):
            raise _failed(
                f"Invalid partition transform {t.name} of {t.column}: bucket and truncate take a number",
            )
        try:
            source = schema.find_field(t.column, case_sensitive=False)
        except ValueError as e:
            raise _failed(f"Partition column {t.column} is no column of the table") from e
        transform = _TRANSFORMS[t.name](t.argument or 0)
        if not source.field_type.is_primitive or not transform.can_transform(source.field_type):
            raise _failed(
                f"Cannot partition by {t.name} of {t.column}, which is of type {athena_type(source.field_type)}",
            )
        suffix = {"identity": "", "truncate": "_trunc"}.get(t.name, f"_{t.name}")
        fields.append(
            PartitionField(source.field_id, PARTITION_FIELD_ID_START + i, transform, t.column + suffix)
        )
    return PartitionSpec(*fields)


def _partition_columns(table: IcebergTable) -> set[int]:
    return {f.source_id for f in table.metadata.spec().fields}


class IcebergDdl(Named):
    """DDL on Iceberg tables."""

    def run(self, statement: Any) -> tuple[Rows, list[str]]:
        """The statement's rows and the names of their columns. Raises QueryError."""
        handlers: dict[type[Any], Callable[[Any], tuple[Rows, list[str]]]] = {
            st.CreateTable: self._create,
            st.DropTable: self._drop,
            st.RenameTable: self._rename,
            st.AddColumns: self._add_columns,
            st.DropColumn: self._drop_column,
            st.ChangeColumn: self._change_column,
            st.SetProperties: self._set_properties,
            st.UnsetProperties: self._unset_properties,
            st.Show: self._show,
            st.Describe: self._describe,
        }
        if type(statement) not in handlers:
            words = re.sub(r"(?<!^)(?=[A-Z])", " ", type(statement).__name__).upper()
            raise QueryError(
                "NOT_SUPPORTED",
                f"{words} is not supported for Iceberg tables (table {statement.name.name}): its partitions and files are Iceberg's",
            )
        return handlers[type(statement)](statement)

    def table(self, name: st.Name) -> IcebergTable:
        found = super().table(name)
        assert isinstance(found, IcebergTable)
        return found

    def _create(self, s: st.CreateTable) -> tuple[Rows, list[str]]:
        """https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-creating-tables.html"""
        database = self.database_named(s.name.database)
        if s.properties.get("table_type", "").upper() != "ICEBERG":
            raise QueryError(
                "",
                "FAILED: ParseException: PARTITIONED BY without types needs TBLPROPERTIES ('table_type'='ICEBERG')",
            )
        if s.external:
            raise QueryError("", "External keyword not supported for table type ICEBERG")
        for clause, used in (
            ("ROW FORMAT", s.serde or s.delimited is not None),
            ("STORED AS", s.stored_as or s.input_format),
            ("PARTITIONED BY with types", s.partitioned_by),
        ):
            if used:
                raise _failed(f"{clause} is not supported for table type ICEBERG")
        if s.location is None:
            raise _failed(f"table {s.name.name}: Iceberg tables need a LOCATION")
        if not s.columns:
            raise _failed(f"table {s.name.name} has no columns")
        names = [c.name for c in s.columns]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise _failed(f"[Error 10036]: Duplicate column name: {twice}")
        bucket, _ = split_location(s.location)
        if not self.store.has_bucket(bucket):
            raise QueryError(
                "",
                f"FAILED: The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Bucket: {bucket})",
            )
        schema = _schema([(c.name, _declared(c), c.comment) for c in s.columns])
        spec = _spec(schema, s.transforms)
        kept = properties(s.properties)
        if self.catalog.find(database, s.name.name) is not None:
            if s.if_not_exists:
                return [], []
            raise QueryError(
                "",
                f"FAILED: Execution Error. AlreadyExistsException(message:Table {s.name.name} already exists.)",
            )
        transaction = new_table(
            self.catalog, self.store, (database, s.name.name), schema, spec, s.location, kept
        )
        _create(transaction, (database, s.name.name))
        if s.comment is not None:
            made = self.table(st.Name(database, s.name.name))
            entry = {**made.description, "Parameters": {**made.parameters, "comment": s.comment}}
            self.catalog.replace_table(made, _input(entry), str(made.description["VersionId"]))
        return [], []

    def _drop(self, s: st.DropTable) -> tuple[Rows, list[str]]:
        """Unlike an external table's, the data goes too.

        https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-drop-table.html
        """
        table = self.table(s.name)
        if s.view:
            raise _failed(
                f"Cannot drop {table.database}.{table.name}: it is a table; use DROP TABLE",
            )
        try:
            files = maintenance.reachable(table, table.metadata.snapshots)
        except QueryError:
            # What is damaged can still be dropped.
            files = set()
        self.catalog.drop_table(table)
        maintenance.delete_files(table, files | maintenance.below(table))
        return [], []

    def _rename(self, s: st.RenameTable) -> tuple[Rows, list[str]]:
        """The name in the catalog; the files stay where they are.

        https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-alter-table-rename.html
        """
        table = self.table(s.name)
        database = self.database_named(s.new.database or table.database)
        if self.catalog.find(database, s.new.name) is not None:
            raise QueryError(
                "TABLE_ALREADY_EXISTS",
                f"Target table 'awsdatacatalog.{database}.{s.new.name}' already exists",
            )
        with commit_lock(table):
            current = self.table(s.name)
            self.catalog.rename_table(current, database, s.new.name, _input(current.description))
        return [], []

    # ------------------------------------------------------------------------------------- ALTER

    def _alter(self, name: st.Name, change: Callable[[Transaction], None]) -> tuple[Rows, list[str]]:
        table = self.table(name)
        with commit_lock(table):
            table = self.table(name)
            transaction = table.py().transaction()
            try:
                change(transaction)
                transaction.commit_transaction()
            except COMMIT_FAILURES as e:
                raise conflict(table, e) from e
            except (ValueError, ValidationError) as e:
                raise _failed(f"{e}") from e
        return [], []

    def _add_columns(self, s: st.AddColumns) -> tuple[Rows, list[str]]:
        if s.partition is not None:
            raise QueryError("NOT_SUPPORTED", "ALTER TABLE PARTITION is not supported for Iceberg tables")
        if s.replace:
            # https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-alter-table-change-column.html
            raise QueryError(
                "NOT_SUPPORTED",
                "ALTER TABLE REPLACE COLUMNS is not supported for Iceberg tables; use CHANGE COLUMN",
            )
        kinds = [(c, _declared(c)) for c in s.columns]
        have = [n for n, _ in self.table(s.name).columns] + [c.name for c in s.columns]
        twice = next((c.name for c in s.columns if have.count(c.name) > 1), None)
        if twice is not None:
            raise _failed(f"Duplicate column name: {twice}")

        def change(transaction: Transaction) -> None:
            counter = itertools.count(1)
            with transaction.update_schema(case_sensitive=False) as update:
                for c, t in kinds:
                    # The ids are given anew by PyIceberg.
                    update.add_column(c.name, iceberg_type(t, lambda: next(counter)), doc=c.comment)

        return self._alter(s.name, change)

    def _column(self, table: IcebergTable, name: str) -> NestedField:
        found = next((c.field for c in table.fields if c.name == name), None)
        if found is None:
            raise _failed(f"Column {name} does not exist in {table.database}.{table.name}")
        return found

    def _drop_column(self, s: st.DropColumn) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        field = self._column(table, s.column)
        if field.field_id in _partition_columns(table):
            raise _failed(f"Cannot drop partition field: {s.column}")
        if len(table.fields) == 1:
            raise _failed(f"Cannot drop the only column {s.column} of the table")

        def change(transaction: Transaction) -> None:
            with transaction.update_schema() as update:
                update.delete_column(field.name)

        return self._alter(s.name, change)

    def _change_column(self, s: st.ChangeColumn) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        field = self._column(table, s.old)
        new = s.new
        wanted = iceberg_type(_declared(new), lambda: 1)
        if not field.field_type.is_primitive and athena_type(field.field_type) != athena_type(wanted):
            raise not_supported(
                f"Changing the type {athena_type(field.field_type)} of column {s.old} to {new.type}"
            )
        if new.name != s.old and any(c.name == new.name for c in table.fields):
            raise _failed(f"Duplicate column name: {new.name}")

        def change(transaction: Transaction) -> None:
            with transaction.update_schema(allow_incompatible_changes=False) as update:
                if field.field_type.is_primitive and field.field_type != wanted:
                    update.update_column(field.name, field_type=wanted)
                if new.comment is not None and new.comment != field.doc:
                    update.update_column(field.name, doc=new.comment)
                if s.after == "":
                    update.move_first(field.name)
                elif s.after is not None:
                    update.move_after(field.name, self._column(table, s.after).name)
                if new.name != s.old:
                    update.rename_column(field.name, new.name)

        return self._alter(s.name, change)

    def _set_properties(self, s: st.SetProperties) -> tuple[Rows, list[str]]:
        kept = properties(s.properties)

        def change(transaction: Transaction) -> None:
            if kept:
                transaction.set_properties(kept)

        return self._alter(s.name, change)

    def _unset_properties(self, s: st.UnsetProperties) -> tuple[Rows, list[str]]:
        keys = []
        for key in s.keys:
            if key != _AGE and key not in _NAMES:
                raise QueryError("", f"Unsupported table property key: {key}")
            keys.append(TableProperties.MAX_SNAPSHOT_AGE_MS if key == _AGE else _NAMES[key])

        def change(transaction: Transaction) -> None:
            transaction.remove_properties(*keys)

        done = self._alter(s.name, change)
        # Glue's entry keeps what it once had: PyIceberg only adds to it.
        table = self.table(s.name)
        parameters = {k: v for k, v in table.parameters.items() if k not in keys}
        entry = _input({**table.description, "Parameters": parameters})
        self.catalog.replace_table(table, entry, str(table.description["VersionId"]))
        return done

    # -------------------------------------------------------------------------------------- SHOW

    def _show(self, s: st.Show) -> tuple[Rows, list[str]]:
        assert s.name is not None
        table = self.table(s.name)
        if s.what == "columns":
            return [[f"{n:<20}"] for n, _ in table.columns], ["field"]
        if s.what == "tblproperties":
            items = _athena_properties(table.metadata)
            if s.key is not None:
                missing = f"Table {table.database}.{table.name} does not have property: {s.key}"
                return [[items.get(s.key, missing)]], ["prpt_name"]
            return [[k, v] for k, v in sorted(items.items())], ["prpt_name", "prpt_value"]
        if s.what == "create table":
            return [[line] for line in create_statement(table).split("\n")], ["createtab_stmt"]
        if s.what == "partitions":
            raise QueryError(
                "NOT_SUPPORTED",
                f'SHOW PARTITIONS is not supported for Iceberg tables; query "{table.name}$partitions"',
            )
        raise _failed(f"{table.database}.{table.name} is a table, not a view")

    def _describe(self, s: st.Describe) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        if s.partition is not None or s.column:
            raise not_supported("DESCRIBE of a partition or a column of an Iceberg table")
        schema = table.metadata.schema()
        rows: Rows = [["# Table schema:", "", ""], ["# col_name", "data_type", "comment"]]
        rows += [[f.name, athena_type(f.field_type), f.doc or ""] for f in schema.fields]
        rows += [
            ["", "", ""],
            ["# Partition spec:", "", ""],
            ["# field_name", "field_transform", "column_name"],
        ]
        rows += [
            [f.name, str(f.transform), str(schema.find_column_name(f.source_id))]
            for f in table.metadata.spec().fields
        ]
        if s.detail:
            rows += [
                ["", "", ""],
                ["# Detailed Table Information", "", ""],
                ["Database:", table.database, ""],
                ["Location:", table.metadata.location, ""],
                ["Table Type:", "ICEBERG", ""],
                *[[k, v, ""] for k, v in sorted(_athena_properties(table.metadata).items())],
            ]
        return rows, ["col_name", "data_type", "comment"]


def _input(description: dict[str, Any]) -> dict[str, Any]:
    from local_aws.athena.catalog import Table
    from local_aws.athena.ddl import _entry

    return _entry(Table(description))


def create_statement(table: IcebergTable) -> str:
    """SHOW CREATE TABLE: the statement that would make the table."""

    schema = table.metadata.schema()
    lines = [f"CREATE TABLE {table.database}.{table.name} ("]
    columns = [
        f"  `{f.name}` {athena_type(f.field_type)}" + (f" COMMENT {quoted(f.doc)}" if f.doc else "")
        for f in schema.fields
    ]
    lines.append(",\n".join(columns) + ")")
    parts = []
    for f in table.metadata.spec().fields:
        column = f"`{schema.find_column_name(f.source_id)}`"
        m = re.fullmatch(r"(\w+)\[(\d+)\]", str(f.transform))
        if m is not None:
            parts.append(f"{m.group(1)}({m.group(2)}, {column})")
        else:
            parts.append(column if isinstance(f.transform, IdentityTransform) else f"{f.transform}({column})")
    if parts:
        lines.append(f"PARTITIONED BY ({', '.join(parts)})")
    lines.append(f"LOCATION {quoted(table.metadata.location)}")
    shown = ",\n".join(f"  {quoted(k)}={quoted(v)}" for k, v in _athena_properties(table.metadata).items())
    lines.append(f"TBLPROPERTIES (\n{shown}\n);")
    return "\n".join(lines)


# --------------------------------------------------------------------------------------- new tables


def new_table(
    catalog: Any,
    store: Any,
    name: tuple[str, str],
    schema: Schema,
    spec: PartitionSpec,
    location: str,
    kept: dict[str, str],
) -> CreateTableTransaction:
    """A table that is there once the transaction is committed."""
    defaults = {TableProperties.WRITE_FILE_FORMAT: "parquet", TableProperties.PARQUET_COMPRESSION: "zstd"}
    return LocalCatalog(catalog, store).create_table_transaction(
        name, schema, location.rstrip("/"), spec, properties={**defaults, **kept}
    )


def _create(transaction: CreateTableTransaction, name: tuple[str, str]) -> None:
    try:
        transaction.commit_transaction()
    except (TableAlreadyExistsError, *COMMIT_FAILURES) as e:
        raise QueryError(
            "TABLE_ALREADY_EXISTS",
            f"Destination table 'awsdatacatalog.{name[0]}.{name[1]}' already exists",
            (1, 1),
        ) from e


def create_as(context: Context, statement: CreateTableAs) -> Outcome:
    """CREATE TABLE ... WITH (table_type = 'ICEBERG', ...) AS.

    https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html#ctas-table-properties
    """
    database, table = name = (statement.name.database or context.database, statement.name.name)
    options = dict(statement.options)
    options.pop("table_type")
    for wrong, right in (
        ("partitioned_by", "partitioning"),
        ("external_location", "location"),
        ("bucketed_by", "partitioning"),
    ):
        if wrong in options:
            raise QueryError(
                "INVALID_TABLE_PROPERTY",
                f"{wrong} is not supported for table type ICEBERG; use {right}",
                (1, 1),
            )
    if options.pop("is_external", True) is not False:
        raise QueryError(
            "INVALID_TABLE_PROPERTY",
            "External keyword not supported for table type ICEBERG: set is_external = false",
            (1, 1),
        )
    location = options.pop("location", None)
    partitioning = options.pop("partitioning", [])
    kept = properties(options)
    if not context.catalog.has_database(database):
        raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", (1, 1))
    if context.catalog.find(database, table) is not None:
        if statement.if_not_exists:
            return context.nothing()
        raise QueryError(
            "TABLE_ALREADY_EXISTS",
            f"Destination table 'awsdatacatalog.{database}.{table}' already exists",
            (1, 1),
        )
    if location is None:
        raise QueryError("INVALID_TABLE_PROPERTY", "Iceberg tables need the property location", (1, 1))
    bucket, prefix = split_location(str(location))
    if not context.store.has_bucket(bucket):
        raise missing_bucket(bucket)
    if context.store.objects(bucket, prefix):
        raise QueryError(
            "ICEBERG_FILESYSTEM_ERROR",
            f"Cannot create a table on a non-empty location: {location}, set 'iceberg.unique-table-location=true' in your Iceberg catalog properties to use unique table locations for every table.",
        )
    body, query, compiler = context.compile(statement.query)
    columns: list[tuple[str, Type, str | None]] = []
    for i, f in enumerate(query.fields):
        if f.name is None:
            raise QueryError("MISSING_COLUMN_NAME", f"Column name not specified at position {i}", (1, 1))
        columns.append((f.name.lower(), f.type, None))
    names = [n for n, _, _ in columns]
    twice = next((n for n in names if names.count(n) > 1), None)
    if twice is not None:
        raise QueryError("DUPLICATE_COLUMN_NAME", f"Column name '{twice}' specified more than once")
    schema = _schema(columns)
    spec = _spec(schema, [_parse_transform(str(p)) for p in partitioning])
    transaction = new_table(context.catalog, context.store, name, schema, spec, str(location), kept)
    metadata = transaction.table_metadata
    items = [assigned(compiler, E(f'q."c{i}"', t), t) + f' AS "c{i}"' for i, (_, t, _) in enumerate(columns)]
    tail = "" if statement.with_data else " WHERE false"
    with writing(context) as files:
        added = write(files, metadata, f"SELECT {', '.join(items)} FROM ({body}) AS q{tail}")
        if context.session.cancelled:
            raise Cancelled
        if added:
            _snapshot(context, transaction, added, [], False)
        _create(transaction, name)
        files.kept = True
    count = sum(f.record_count for f in added)
    return context.counted(count, files.written)


def _parse_transform(text: str) -> st.Transform:
    """Trino's spelling: 'bucket(id, 16)'; Athena takes 'bucket(16, id)' too."""
    m = re.fullmatch(r"\s*(?:(\w+)\s*\(([^)]*)\)|\"?([\w.]+)\"?)\s*", text)
    if m is None:
        raise QueryError("INVALID_TABLE_PROPERTY", f"Invalid partition field declaration: {text}", (1, 1))
    if m.group(3):
        return st.Transform("identity", m.group(3).lower())
    arguments = [a.strip().strip('"').lower() for a in m.group(2).split(",")]
    numbers = [a for a in arguments if a.isdigit()]
    columns = [a for a in arguments if not a.isdigit()]
    if len(columns) != 1 or len(numbers) > 1:
        raise QueryError("INVALID_TABLE_PROPERTY", f"Invalid partition field declaration: {text}", (1, 1))
    return st.Transform(m.group(1).lower(), columns[0], int(numbers[0]) if numbers else None)


__all__ = ["IcebergDdl", "create_as", "properties"]
