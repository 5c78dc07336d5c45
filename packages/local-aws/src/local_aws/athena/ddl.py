"""DDL carried out on the Glue catalog. Each function returns the lines of the result's .txt file."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import Any

from local_aws.athena import statements as st
from local_aws.athena import tables as tb
from local_aws.athena.catalog import Catalog
from local_aws.athena.describe import Named, Rows, describe, partition_values, show
from local_aws.athena.engine import Session
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.tables import (
    DEFAULT_PARTITION,
    Partition,
    Table,
    escape_path,
    split_location,
    unescape_path,
)
from local_aws.athena.types import DATE, duckdb_type, parse_hive_type, quote, text
from local_aws.objects import NoSuchBucket, ObjectStore

_FAILED = "FAILED: SemanticException "


class Ddl(Named):
    """DDL of one query."""

    def __init__(self, catalog: Catalog, store: ObjectStore, database: str, session: Session) -> None:
        super().__init__(catalog, store, database)
        self.session = session

    def run(self, statement: st.Statement) -> tuple[Rows, list[str]]:
        """Carries the statement out: its rows and the names of their columns."""
        handlers: dict[type[Any], Callable[[Any], tuple[Rows, list[str]]]] = {
            st.CreateDatabase: self._create_database,
            st.DropDatabase: self._drop_database,
            st.AlterDatabase: self._alter_database,
            st.CreateTable: self._create_table,
            st.DropTable: self._drop_table,
            st.AddPartitions: self._add_partitions,
            st.DropPartitions: self._drop_partitions,
            st.RenamePartition: self._rename_partition,
            st.SetLocation: self._set_location,
            st.AddColumns: self._add_columns,
            st.ChangeColumn: self._change_column,
            st.SetProperties: self._set_properties,
            st.Repair: self._repair,
            st.Show: lambda s: show(self, s),
            st.Describe: lambda s: describe(self, s),
        }
        words = {
            st.DropColumn: "DROP COLUMN",
            st.UnsetProperties: "UNSET TBLPROPERTIES",
            st.RenameTable: "RENAME",
        }
        what = words.get(type(statement))
        if isinstance(statement, st.DropColumn | st.UnsetProperties | st.RenameTable):
            table = self.table(statement.name)
            raise QueryError(
                "NOT_SUPPORTED",
                f"ALTER TABLE {what} is only supported for Iceberg tables, which {table.name} is not",
            )
        return handlers[type(statement)](statement)

    # -------------------------------------------------------------------------------- databases

    def _create_database(self, s: st.CreateDatabase) -> tuple[Rows, list[str]]:
        if not re.fullmatch(r"[A-Za-z0-9_\-]+", s.name):
            raise QueryError("", f"{_FAILED}Invalid database name {s.name}: letters, digits and _ only")
        if self.catalog.has_database(s.name):
            if s.if_not_exists:
                return [], []
            raise QueryError(
                "",
                f"FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. Database {s.name} already exists",
            )
        self.catalog.create_database(s.name, s.comment, s.location, s.properties)
        return [], []

    def _drop_database(self, s: st.DropDatabase) -> tuple[Rows, list[str]]:
        if not self.catalog.has_database(s.name):
            if s.if_exists:
                return [], []
            raise QueryError("", f"{_FAILED}[Error 10072]: Database does not exist: {s.name}")
        if self.catalog.tables(s.name) and not s.cascade:
            raise QueryError(
                "",
                f"FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. InvalidOperationException(message:Database {s.name} is not empty. One or more tables exist.)",
            )
        self.catalog.drop_database(s.name)
        return [], []

    def _alter_database(self, s: st.AlterDatabase) -> tuple[Rows, list[str]]:
        self.catalog.set_database_properties(self.database_named(s.name), s.properties)
        return [], []

    # ----------------------------------------------------------------------------------- tables

    def _create_table(self, s: st.CreateTable) -> tuple[Rows, list[str]]:
        database = self.database_named(s.name.database)
        if not s.external:
            raise QueryError(
                "",
                "FAILED: ParseException: missing EXTERNAL. Athena only supports External Tables for Create Table; use CREATE EXTERNAL TABLE",
            )
        if s.location is None:
            raise QueryError(
                "",
                f"{_FAILED}table {s.name.name}: no LOCATION was given; an external table needs LOCATION 's3://bucket/folder/'",
            )
        if not s.columns:
            raise QueryError(
                "",
                f"{_FAILED}[Error 10043]: Either list of columns or a custom serializer should be specified",
            )
        bucket, _ = split_location(s.location)
        if not self.store.has_bucket(bucket):
            raise QueryError(
                "",
                f"FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. MetaException(message:Got exception: java.io.IOException The specified bucket does not exist (Service: Amazon S3; Status Code: 404; Error Code: NoSuchBucket; Bucket: {bucket}))",
            )
        names = [c.name for c in s.columns]
        twice = next((n for n in names if names.count(n) > 1), None)
        if twice is not None:
            raise QueryError("", f"{_FAILED}[Error 10036]: Duplicate column name: {twice}")
        missing = [n for n in [*s.clustered_by, *[n for n, _ in s.sorted_by]] if n not in names]
        if missing:
            raise QueryError(
                "", f"{_FAILED}[Error 10002]: Invalid column reference {missing[0]} in CLUSTERED BY"
            )
        if any(c.name in names for c in s.partitioned_by):
            raise QueryError("", f"{_FAILED}[Error 10035]: Column repeated in partitioning columns")
        for c in [*s.columns, *s.partitioned_by]:
            parse_hive_type(c.type)
        if self.catalog.find(database, s.name.name) is not None:
            if s.if_not_exists:
                return [], []
            raise QueryError(
                "",
                f"FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. AlreadyExistsException(message:Table {s.name.name} already exists.)",
            )
        self.catalog.create_table(database, table_input(s))
        return [], []

    def _drop_table(self, s: st.DropTable) -> tuple[Rows, list[str]]:
        database = (s.name.database or self.database).lower()
        table = self.catalog.find(database, s.name.name)
        if table is None:
            if s.if_exists:
                return [], []
            if s.view:
                raise QueryError(
                    "TABLE_NOT_FOUND",
                    f"line 1:1: View 'awsdatacatalog.{database}.{s.name.name}' does not exist",
                )
            raise QueryError("", f"{_FAILED}[Error 10001]: Table not found {database}.{s.name.name}")
        if s.view != table.is_view:
            wrong = "a table" if s.view else "a view"
            raise QueryError(
                "",
                f"{_FAILED}Cannot drop {database}.{s.name.name}: it is {wrong}; use DROP {'TABLE' if s.view else 'VIEW'}",
            )
        self.catalog.drop_table(table)
        return [], []

    def _add_columns(self, s: st.AddColumns) -> tuple[Rows, list[str]]:
        """https://docs.aws.amazon.com/athena/latest/ug/alter-table-add-columns.html"""
        table = self.table(s.name)
        entry = _changed(table)
        new = [_glue_column(c) for c in s.columns]
        for c in s.columns:
            if parse_hive_type(c.type) == DATE:
                # Of columns that are replaced, too: .../alter-table-replace-columns.html
                words = "REPLACE COLUMNS" if s.replace else "ADD COLUMNS"
                raise QueryError(
                    "",
                    f"{_FAILED}ALTER TABLE {words} does not work for columns with the date datatype: '{c.name}'. "
                    "Use the timestamp datatype instead",
                )
        partition = self._partition(table, s.partition) if s.partition is not None else None
        if partition is not None:
            old = self.catalog.partition_columns(table, partition)
        else:
            old = [] if s.replace else entry["StorageDescriptor"].get("Columns") or []
        keys = [c["Name"] for c in entry.get("PartitionKeys") or []]
        names = [c["Name"] for c in [*old, *new]] + keys
        if len(set(names)) != len(names):
            raise QueryError(
                "",
                f"{_FAILED}Duplicate column name in {table.database}.{table.name}: {', '.join(sorted({n for n in names if names.count(n) > 1}))}",
            )
        if partition is not None:
            self.catalog.set_partition_columns(table, partition, [*old, *new])
            return [], []
        entry["StorageDescriptor"] = {**entry["StorageDescriptor"], "Columns": [*old, *new]}
        self.catalog.update_table(table, entry)
        return [], []

    def _change_column(self, s: st.ChangeColumn) -> tuple[Rows, list[str]]:
        """https://docs.aws.amazon.com/athena/latest/ug/alter-table-change-column.html"""
        table = self.table(s.name)
        entry = _changed(table)
        parse_hive_type(s.new.type)
        columns = list(entry["StorageDescriptor"].get("Columns") or [])
        names = [c["Name"].lower() for c in columns]
        for wanted in [s.old, *([s.after] if s.after else [])]:
            if wanted not in names:
                raise QueryError(
                    "",
                    f"{_FAILED}[Error 10002]: Invalid column reference {wanted} of {table.database}.{table.name}",
                )
        taken = [n for n in names if n != s.old] + [n for n, _ in table.partition_keys]
        if s.new.name in taken:
            raise QueryError("", f"{_FAILED}[Error 10036]: Duplicate column name: {s.new.name}")
        at = names.index(s.old)
        new = _glue_column(s.new)
        if "Comment" not in new and columns[at].get("Comment"):
            new["Comment"] = columns[at]["Comment"]
        columns[at] = new
        if s.after is not None and s.after != s.old:
            columns.pop(at)
            names.pop(at)
            columns.insert(names.index(s.after) + 1 if s.after else 0, new)
        entry["StorageDescriptor"] = {**entry["StorageDescriptor"], "Columns": columns}
        self.catalog.update_table(table, entry)
        return [], []

    def _set_properties(self, s: st.SetProperties) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        entry = _changed(table)
        entry["Parameters"] = {**(entry.get("Parameters") or {}), **s.properties}
        self.catalog.update_table(table, entry)
        return [], []

    # ------------------------------------------------------------------------------- partitions

    def _add_partitions(self, s: st.AddPartitions) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        new = []
        for spec in s.partitions:
            values = partition_values(table, spec)
            location = spec.location or _default_location(table, values)
            split_location(location)
            new.append(Partition(values, location))
        if not s.if_not_exists:
            have = {p.values for p in self.catalog.partitions(table)}
            for p in new:
                if p.values in have:
                    raise QueryError(
                        "",
                        "FAILED: Execution Error, return code 1 from org.apache.hadoop.hive.ql.exec.DDLTask. AlreadyExistsException(message:Partition already exists.)",
                    )
        self.catalog.add_partitions(table, new)
        return [], []

    def _drop_partitions(self, s: st.DropPartitions) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        have = self.catalog.partitions(table)
        keys = dict(table.partition_keys)
        for spec in s.partitions:
            unknown = next((k for k in spec.values if k not in keys), None)
            if unknown is not None:
                raise QueryError(
                    "",
                    f"{_FAILED}[Error 10098]: {unknown} is no partition column ({', '.join(keys)}) of {table.database}.{table.name}",
                )
            matching = self._matching(table, have, spec.values)
            if not matching and not s.if_exists:
                raise QueryError(
                    "",
                    f"{_FAILED}[Error 10006]: Partition not found ({', '.join(f'{k} = {v}' for k, v in spec.values.items())})",
                )
            for p in matching:
                self.catalog.drop_partition(table, p)
        return [], []

    def _matching(self, table: Table, have: list[Partition], wanted: dict[str, str]) -> list[Partition]:
        """The partitions with these values, compared as values of their columns' types."""
        if not have:
            return []
        columns = []
        for i, (n, t) in enumerate(table.partition_keys):
            values = ", ".join("NULL" if p.values[i] is None else text(str(p.values[i])) for p in have)
            columns.append(
                f"TRY_CAST(unnest(CAST([{values}] AS VARCHAR[])) AS {duckdb_type(t)}) AS {quote(n)}"
            )
        types = dict(table.partition_keys)
        tests = [
            f"{quote(k)} IS NULL"
            if v == DEFAULT_PARTITION
            else f"{quote(k)} = CAST({text(v)} AS {duckdb_type(types[k])})"
            for k, v in wanted.items()
        ]
        sql = f"SELECT i FROM (SELECT unnest(range({len(have)})) AS i, {', '.join(columns)}) WHERE {' AND '.join(tests)}"
        return [have[i] for (i,) in self.session.rows(sql)]

    def _partition(self, table: Table, spec: st.PartitionSpec) -> Partition:
        values = partition_values(table, spec)
        for partition in self.catalog.partitions(table):
            if partition.values == values:
                return partition
        raise QueryError("", f"{_FAILED}[Error 10006]: Partition not found {spec.values}")

    def _rename_partition(self, s: st.RenamePartition) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        found, new = self._partition(table, s.old), partition_values(table, s.new)
        self.catalog.drop_partition(table, found)
        self.catalog.add_partitions(table, [Partition(new, found.location)])
        return [], []

    def _set_location(self, s: st.SetLocation) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        split_location(s.location)
        if s.partition is None:
            entry = _changed(table)
            entry["StorageDescriptor"] = {**entry["StorageDescriptor"], "Location": s.location}
            self.catalog.update_table(table, entry)
            return [], []
        found = self._partition(table, s.partition)
        self.catalog.add_partitions(table, [Partition(found.values, s.location)], replace=True)
        return [], []

    def _repair(self, s: st.Repair) -> tuple[Rows, list[str]]:
        """Adds partitions for Hive-style folders (key=value) that have none yet."""
        table = self.table(s.name)
        keys = [n for n, _ in table.partition_keys]
        if not keys:
            raise QueryError("", f"{_FAILED}table {table.database}.{table.name} is not partitioned")
        bucket, prefix = split_location(table.location)
        try:
            objects = self.store.objects(bucket, prefix)
        except NoSuchBucket as e:
            raise QueryError("HIVE_METASTORE_ERROR", f"The specified bucket does not exist: {bucket}") from e
        have = {p.values for p in self.catalog.partitions(table)}
        found: dict[tuple[str, ...], str] = {}
        for o in objects:
            parts = o.key[len(prefix) :].split("/")[:-1]
            if len(parts) < len(keys):
                continue
            values = []
            for k, part in zip(keys, parts, strict=False):
                name, eq, value = part.partition("=")
                # Folders in camel case are passed over
                # (https://docs.aws.amazon.com/athena/latest/ug/msck-repair-table.html).
                if not eq or name != k:
                    break
                values.append(unescape_path(value))
            if len(values) == len(keys):
                found.setdefault(tuple(values), f"s3://{bucket}/{prefix}{'/'.join(parts[: len(keys)])}")
        new = {v: loc for v, loc in found.items() if v not in have}
        self.catalog.add_partitions(table, [Partition(v, loc) for v, loc in sorted(new.items())])
        rows: Rows = []
        if new:
            shown = ["/".join(f"{k}={x}" for k, x in zip(keys, v, strict=True)) for v in sorted(new)]
            rows.append(["Partitions not in metastore:\t" + "\t".join(f"{table.name}:{s}" for s in shown)])
            rows += [[f"Repair: Added partition to metastore {table.name}:{s}"] for s in shown]
        return rows, ["result"]


def _changed(table: Table) -> dict[str, Any]:
    """The TableInput of a table that an ALTER changes now."""
    entry = _entry(table)
    entry["Parameters"] = {**(entry.get("Parameters") or {}), "transient_lastDdlTime": _now()}
    return entry


def _entry(table: Table) -> dict[str, Any]:
    """The TableInput that would make the table as it is."""
    kept = (
        "Name",
        "Description",
        "Owner",
        "Retention",
        "StorageDescriptor",
        "PartitionKeys",
        "ViewOriginalText",
        "ViewExpandedText",
        "TableType",
        "Parameters",
    )
    return {k: v for k, v in table.description.items() if k in kept}


def _glue_column(c: st.ColumnDef) -> dict[str, str]:
    out = {"Name": c.name, "Type": c.type}
    if c.comment is not None:
        out["Comment"] = c.comment
    return out


def _default_location(table: Table, values: tuple[str, ...]) -> str:
    folders = "".join(
        f"{n}={escape_path(v)}/" for (n, _), v in zip(table.partition_keys, values, strict=True)
    )
    return table.location.rstrip("/") + "/" + folders


_SERDES = (
    *tb.JSON_SERDES, tb.CSV_SERDE, tb.LAZY_SERDE, tb.PARQUET_SERDE, tb.ORC_SERDE, tb.AVRO_SERDE,
    *tb.REGEX_SERDES, tb.GROK_SERDE, tb.ION_SERDE,
)  # fmt: skip


def table_input(s: st.CreateTable) -> dict[str, Any]:
    """The Glue TableInput of CREATE EXTERNAL TABLE, as Athena writes it."""
    stored = s.stored_as or "TEXTFILE"
    if stored not in tb.STORAGE_FORMATS:
        raise not_supported(f"STORED AS {stored}")
    serde, input_format, output_format = tb.STORAGE_FORMATS[stored]
    if s.serde is not None:
        if s.serde not in _SERDES:
            raise not_supported(f"ROW FORMAT SERDE '{s.serde}'")
        serde = s.serde
        if s.stored_as is None:
            # The formats that go with the SerDe.
            formats = (f[1:] for f in tb.STORAGE_FORMATS.values() if f[0] == serde)
            input_format, output_format = next(formats, (input_format, output_format))
    if s.stored_as is None and output_format == tb.TEXT_OUTPUT:
        output_format = tb.DEFAULT_TEXT_OUTPUT
    known = tb.INPUT_FORMATS | tb.UNSUPPORTED_INPUT_FORMATS.keys()
    if s.input_format is not None and s.input_format not in known:
        raise QueryError("", f"{_FAILED}Cannot find class '{s.input_format}'")
    properties = dict(s.serde_properties)
    if s.delimited is not None:
        properties.update(s.delimited)
        if properties.get("line.delim", "\n") != "\n":
            raise QueryError("", f"{_FAILED}LINES TERMINATED BY only supports newline '\\n' right now")
        if "field.delim" in properties:
            properties.setdefault("serialization.format", properties["field.delim"])
    properties.setdefault("serialization.format", "1")
    parameters = {"EXTERNAL": "TRUE", "transient_lastDdlTime": _now(), **s.properties}
    if s.comment is not None:
        parameters["comment"] = s.comment
    entry: dict[str, Any] = {
        "Name": s.name.name,
        "Owner": "hadoop",
        "Retention": 0,
        "TableType": "EXTERNAL_TABLE",
        "PartitionKeys": [_glue_column(c) for c in s.partitioned_by],
        "Parameters": parameters,
        "StorageDescriptor": {
            "Columns": [_glue_column(c) for c in s.columns],
            "Location": _kept_location(s.location or ""),
            "InputFormat": s.input_format or input_format,
            "OutputFormat": s.output_format or output_format,
            "Compressed": False,
            "NumberOfBuckets": s.buckets or -1,
            "SerdeInfo": {"SerializationLibrary": serde, "Parameters": properties},
            "BucketColumns": s.clustered_by,
            "SortColumns": [{"Column": n, "SortOrder": 0 if down else 1} for n, down in s.sorted_by],
            "Parameters": {},
            "StoredAsSubDirectories": False,
        },
    }
    return entry


def _now() -> str:
    """transient_lastDdlTime: seconds since 1970."""
    return str(int(time.time()))


def _kept_location(location: str) -> str:
    """A location as Hive keeps it: without the slash at its end, apart from that of a bucket."""
    stripped = location.rstrip("/")
    return stripped if stripped.count("/") > 2 else location
