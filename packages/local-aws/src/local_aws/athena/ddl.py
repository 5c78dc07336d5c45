"""DDL carried out on the Glue catalog. Each function returns the lines of the result's .txt file."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from local_aws.athena import statements as st
from local_aws.athena import tables as tb
from local_aws.athena.catalog import Catalog
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.scan import Reader
from local_aws.athena.tables import DEFAULT_PARTITION, Partition, Table, split_location
from local_aws.athena.types import duckdb_type, hive_type, parse_hive_type, quote, text
from local_aws.objects import NoSuchBucket, ObjectStore

# One tab-separated line a row, as in Athena's .txt results.
Rows = list[list[str]]

_FAILED = "FAILED: SemanticException "


class Ddl:
    """DDL of one query. `database` is the QueryExecutionContext's."""

    def __init__(self, catalog: Catalog, store: ObjectStore, database: str, reader: Reader) -> None:
        self.catalog = catalog
        self.store = store
        self.database = database
        self.reader = reader

    def run(self, statement: st.Statement) -> tuple[Rows, list[str]]:
        """Carries the statement out: its rows and the names of their columns."""
        iceberg = self._iceberg(statement)
        if iceberg is not None:
            return iceberg
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
            st.Show: self._show,
            st.Describe: self._describe,
            st.DescribeDatabase: self._describe_database,
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

    def _iceberg(self, statement: st.Statement) -> tuple[Rows, list[str]] | None:
        """The answer of a statement on an Iceberg table, None for others."""
        name = getattr(statement, "name", None)
        if not isinstance(name, st.Name):
            return None
        new = isinstance(statement, st.CreateTable) and (
            bool(statement.transforms) or statement.properties.get("table_type", "").upper() == "ICEBERG"
        )
        if not new:
            table = self.catalog.find((name.database or self.database).lower(), name.name)
            if table is None or table.format != "iceberg" or isinstance(statement, st.CreateTable):
                return None
        from local_aws.athena.iceberg.ddl import IcebergDdl

        return IcebergDdl(self).run(statement)

    def _database(self, name: str | None) -> str:
        database = (name or self.database).lower()
        if not self.catalog.has_database(database):
            raise QueryError("", f"{_FAILED}[Error 10072]: Database does not exist: {database}")
        return database

    def table(self, name: st.Name) -> Table:
        database = self._database(name.database)
        table = self.catalog.find(database, name.name)
        if table is None:
            raise QueryError("", f"{_FAILED}[Error 10001]: Table not found {database}.{name.name}")
        return table

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
        if s.name not in [d["Name"] for d in self.catalog.databases()]:
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
        self.catalog.set_database_properties(self._database(s.name), s.properties)
        return [], []

    # ----------------------------------------------------------------------------------- tables

    def _create_table(self, s: st.CreateTable) -> tuple[Rows, list[str]]:
        database = self._database(s.name.database)
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
        table = self.table(s.name)
        entry = _entry(table)
        new = [_glue_column(c) for c in s.columns]
        for c in s.columns:
            parse_hive_type(c.type)
        old = [] if s.replace else entry["StorageDescriptor"].get("Columns") or []
        keys = [c["Name"] for c in entry.get("PartitionKeys") or []]
        names = [c["Name"] for c in [*old, *new]] + keys
        if len(set(names)) != len(names):
            raise QueryError(
                "",
                f"{_FAILED}Duplicate column name in {table.database}.{table.name}: {', '.join(sorted({n for n in names if names.count(n) > 1}))}",
            )
        entry["StorageDescriptor"] = {**entry["StorageDescriptor"], "Columns": [*old, *new]}
        self.catalog.update_table(table, entry)
        return [], []

    def _change_column(self, s: st.ChangeColumn) -> tuple[Rows, list[str]]:
        """https://docs.aws.amazon.com/athena/latest/ug/alter-table-change-column.html"""
        table = self.table(s.name)
        entry = _entry(table)
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
        entry = _entry(table)
        entry["Parameters"] = {**(entry.get("Parameters") or {}), **s.properties}
        self.catalog.update_table(table, entry)
        return [], []

    # ------------------------------------------------------------------------------- partitions

    def _values(self, table: Table, spec: st.PartitionSpec) -> tuple[str, ...]:
        keys = [n for n, _ in table.partition_keys]
        if not keys:
            raise QueryError("", f"{_FAILED}table {table.database}.{table.name} is not partitioned")
        unknown = [k for k in spec.values if k not in keys]
        missing = [k for k in keys if k not in spec.values]
        if unknown or missing:
            raise QueryError(
                "",
                f"{_FAILED}[Error 10098]: partition ({', '.join(spec.values)}) does not match the partition columns ({', '.join(keys)}) of {table.database}.{table.name}",
            )
        return tuple(spec.values[k] for k in keys)

    def _add_partitions(self, s: st.AddPartitions) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        new = []
        for spec in s.partitions:
            values = self._values(table, spec)
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
            conditions = [*[(k, "=", v) for k, v in spec.values.items()], *spec.conditions]
            unknown = next((k for k, _, _ in conditions if k not in keys), None)
            if unknown is not None:
                raise QueryError(
                    "",
                    f"{_FAILED}[Error 10098]: {unknown} is no partition column ({', '.join(keys)}) of {table.database}.{table.name}",
                )
            matching = self._matching(table, have, conditions)
            if not matching and not s.if_exists:
                raise QueryError(
                    "",
                    f"{_FAILED}[Error 10006]: Partition not found ({', '.join(f'{k} {op} {v}' for k, op, v in conditions)})",
                )
            for p in matching:
                self.catalog.drop_partition(table, p)
        return [], []

    def _matching(
        self, table: Table, have: list[Partition], conditions: list[tuple[str, str, str]]
    ) -> list[Partition]:
        """The partitions for which all conditions hold, compared as values of their columns' types."""
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
            if op == "=" and v == DEFAULT_PARTITION
            else f"{quote(k)} {op} CAST({text(v)} AS {duckdb_type(types[k])})"
            for k, op, v in conditions
        ]
        sql = f"SELECT i FROM (SELECT unnest(range({len(have)})) AS i, {', '.join(columns)}) WHERE {' AND '.join(tests)}"
        return [have[i] for (i,) in self.reader.session.rows(sql)]

    def _rename_partition(self, s: st.RenamePartition) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        old, new = self._values(table, s.old), self._values(table, s.new)
        found = next((p for p in self.catalog.partitions(table) if p.values == old), None)
        if found is None:
            raise QueryError("", f"{_FAILED}[Error 10006]: Partition not found {s.old.values}")
        self.catalog.drop_partition(table, found)
        self.catalog.add_partitions(table, [Partition(new, found.location)])
        return [], []

    def _set_location(self, s: st.SetLocation) -> tuple[Rows, list[str]]:
        table = self.table(s.name)
        split_location(s.location)
        if s.partition is None:
            entry = _entry(table)
            entry["StorageDescriptor"] = {**entry["StorageDescriptor"], "Location": s.location}
            self.catalog.update_table(table, entry)
            return [], []
        values = self._values(table, s.partition)
        if all(p.values != values for p in self.catalog.partitions(table)):
            raise QueryError("", f"{_FAILED}[Error 10006]: Partition not found {s.partition.values}")
        self.catalog.add_partitions(table, [Partition(values, s.location)], replace=True)
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
                if not eq or name.lower() != k:
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

    # ------------------------------------------------------------------------------------- SHOW

    def _show(self, s: st.Show) -> tuple[Rows, list[str]]:
        if s.what == "databases":
            names = [str(d["Name"]) for d in self.catalog.databases()]
            return [[n] for n in names if _matches(n, s.pattern)], ["database_name"]
        if s.what in ("tables", "views"):
            database = self._database(s.database)
            names = sorted(t.name for t in self.catalog.tables(database) if s.what == "tables" or t.is_view)
            return [[n] for n in names if _matches(n, s.pattern)], [
                "tab_name" if s.what == "tables" else "views"
            ]
        assert s.name is not None
        table = self.table(s.name)
        if s.what == "columns":
            return [[f"{n:<20}"] for n, _ in [*table.columns, *table.partition_keys]], ["field"]
        if s.what == "partitions":
            keys = [n for n, _ in table.partition_keys]
            if not keys:
                raise QueryError(
                    "",
                    f"{_FAILED}[Error 10241]: Table {table.database}.{table.name} is not a partitioned table",
                )
            # What is projected only is not listed
            # (https://docs.aws.amazon.com/athena/latest/ug/partition-projection.html#partition-projection-considerations-and-limitations).
            lines = [
                "/".join(
                    f"{k}={v if v is not None else '__HIVE_DEFAULT_PARTITION__'}"
                    for k, v in zip(keys, p.values, strict=True)
                )
                for p in self.catalog.partitions(table)
            ]
            return [[line] for line in sorted(lines)], ["partition"]
        if s.what == "tblproperties":
            items = sorted(table.parameters.items())
            if s.key is not None:
                value = table.parameters.get(s.key)
                return [
                    [
                        value
                        if value is not None
                        else f"Table {table.database}.{table.name} does not have property: {s.key}"
                    ]
                ], ["prpt_name"]
            return [[k, v] for k, v in items], ["prpt_name", "prpt_value"]
        if s.what == "create view":
            if not table.is_view:
                raise QueryError("", f"{_FAILED}{table.database}.{table.name} is a table, not a view")
            view = tb.parse_view(table)
            return [
                [line] for line in f"CREATE VIEW {table.database}.{table.name} AS\n{view.sql}".split("\n")
            ], ["Create View"]
        if table.is_view:
            view = tb.parse_view(table)
            return [
                [line] for line in f"CREATE VIEW {table.database}.{table.name} AS\n{view.sql}".split("\n")
            ], ["Create View"]
        return [[line] for line in create_statement(table).split("\n")], ["createtab_stmt"]

    def _describe_database(self, s: st.DescribeDatabase) -> tuple[Rows, list[str]]:
        d = self.catalog.database(self._database(s.name))
        parameters = d.get("Parameters") or {}
        shown = "{" + ", ".join(f"{k}={v}" for k, v in sorted(parameters.items())) + "}" if parameters else ""
        row = [d["Name"], d.get("Description") or "", d.get("LocationUri") or "", "hadoop", "USER"]
        names = ["db_name", "comment", "location", "owner_name", "owner_type", "parameters"]
        return [[*row, shown if s.extended else ""]], names

    def _describe(self, s: st.Describe) -> tuple[Rows, list[str]]:
        """https://docs.aws.amazon.com/athena/latest/ug/describe-table.html"""
        table = self.table(s.name)
        described = table.storage.get("Columns") or []
        keys = table.description.get("PartitionKeys") or []
        names = ["col_name", "data_type", "comment"]

        def line(c: dict[str, Any]) -> list[str]:
            return [f"{c['Name']:<20}", f"{c.get('Type', ''):<20}", f"{c.get('Comment') or '':<20}"]

        location, parameters = table.location, table.parameters
        if s.partition is not None:
            values = self._values(table, s.partition)
            partition = next((p for p in self.catalog.partitions(table) if p.values == values), None)
            if partition is None:
                raise QueryError("", f"{_FAILED}[Error 10006]: Partition not found {s.partition.values}")
            location, parameters = partition.location, {}
        if s.column:
            return [line(c) for c in _inside(table, s.column, [*described, *keys])], names
        header = ["# col_name            ", "data_type           ", "comment             "]
        if s.detail == "FORMATTED":
            rows = [header, ["", "", ""], *[line(c) for c in described]]
        else:
            rows = [line(c) for c in [*described, *keys]]
        if keys:
            rows += [
                ["\t \t "],
                ["# Partition Information", "", ""],
                header,
                ["\t \t "],
                *[line(c) for c in keys],
            ]
        if s.detail == "EXTENDED":
            detail = {
                "tableName": table.name,
                "dbName": table.database,
                "sd": {"cols": described, "location": location, "serdeInfo": table.storage.get("SerdeInfo")},
                "partitionKeys": keys,
                "parameters": parameters,
                "tableType": table.description.get("TableType"),
            }
            title = (
                "Detailed Partition Information" if s.partition is not None else "Detailed Table Information"
            )
            rows += [["", "", ""], [title, json.dumps(detail), ""]]
        if s.detail == "FORMATTED":
            rows += [["", "", ""]]
            if s.partition is not None:
                rows += [
                    ["# Detailed Partition Information", "", ""],
                    ["Partition Value:    ", f"[{', '.join(values)}]", ""],
                ]
            else:
                rows += [["# Detailed Table Information", "", ""]]
            rows += [
                ["Database:           ", table.database, ""],
                ["Location:           ", location, ""],
                ["Table Type:         ", str(table.description.get("TableType") or ""), ""],
                ["Table Parameters:", "", ""],
                *[["", k, v] for k, v in sorted(parameters.items())],
                ["", "", ""],
                ["# Storage Information", "", ""],
                ["SerDe Library:      ", table.serde, ""],
                ["InputFormat:        ", str(table.storage.get("InputFormat") or ""), ""],
                ["OutputFormat:       ", str(table.storage.get("OutputFormat") or ""), ""],
                ["Num Buckets:        ", str(table.storage.get("NumberOfBuckets") or -1), ""],
                ["Bucket Columns:     ", f"[{', '.join(table.storage.get('BucketColumns') or [])}]", ""],
            ]
        return rows, names


def _inside(table: Table, path: list[str], columns: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What DESCRIBE table column.field.'$elem$' shows: the column itself, or what its type is made of."""
    found = next((c for c in columns if c["Name"].lower() == path[0]), None)
    if found is None:
        raise QueryError(
            "", f"{_FAILED}[Error 10002]: Invalid column reference {path[0]} of {table.database}.{table.name}"
        )
    if len(path) == 1:
        return [found]
    t = parse_hive_type(found["Type"])
    for step in path[1:]:
        parts = {
            "array": {"$elem$": 0},
            "map": {"$key$": 0, "$value$": 1},
            "row": {(n or ""): i for i, n in enumerate(t.names)},
        }.get(t.base, {})
        if step not in parts:
            raise QueryError(
                "", f"{_FAILED}Error in getting fields from serde. Unknown field {step} of {hive_type(t)}"
            )
        t = t.args[parts[step]]
    if t.base == "row":
        return [{"Name": n, "Type": hive_type(a)} for n, a in zip(t.names, t.args, strict=True)]
    return [{"Name": path[-1], "Type": hive_type(t), "Comment": "from deserializer"}]


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


# FileUtils of Hive: these characters are escaped in partition folders.
_ESCAPED = set("\"#%'*/:=?\\\x7f{[]^") | {chr(i) for i in range(1, 32)}


def escape_path(value: str) -> str:
    return "".join(f"%{ord(ch):02X}" if ch in _ESCAPED else ch for ch in value)


def unescape_path(value: str) -> str:
    return re.sub(r"%([0-9A-Fa-f]{2})", lambda m: chr(int(m.group(1), 16)), value)


def _matches(name: str, pattern: str | None) -> bool:
    """SHOW's pattern: * for anything, | for alternatives."""
    if pattern is None:
        return True
    return any(re.fullmatch(p.replace("*", ".*"), name, re.I) for p in pattern.split("|"))


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
    parameters = {"EXTERNAL": "TRUE", "transient_lastDdlTime": "0", **s.properties}
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
            "Location": s.location,
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


def create_statement(table: Table) -> str:
    """SHOW CREATE TABLE."""

    def quoted(v: str) -> str:
        return "'" + v.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n") + "'"

    def column(c: dict[str, str]) -> str:
        comment = f" COMMENT {quoted(c['Comment'])}" if c.get("Comment") else ""
        return f"  `{c['Name']}` {c['Type']}{comment}"

    lines = [f"CREATE EXTERNAL TABLE `{table.name}`("]
    lines.append(", \n".join(column(c) for c in table.storage.get("Columns") or []) + ")")
    if table.parameters.get("comment"):
        lines.append(f"COMMENT {quoted(table.parameters['comment'])}")
    if table.description.get("PartitionKeys"):
        lines.append("PARTITIONED BY ( ")
        lines.append(", \n".join(column(c) for c in table.description["PartitionKeys"]) + ")")
    if table.storage.get("BucketColumns"):
        lines.append("CLUSTERED BY ( ")
        lines.append(", \n".join(f"  {c}" for c in table.storage["BucketColumns"]) + ") ")
        if table.storage.get("SortColumns"):
            lines.append("SORTED BY ( ")
            order = [
                f"  {c['Column']} {'ASC' if c['SortOrder'] else 'DESC'}" for c in table.storage["SortColumns"]
            ]
            lines.append(", \n".join(order) + ") ")
        lines.append(f"INTO {table.storage.get('NumberOfBuckets')} BUCKETS")
    lines.append("ROW FORMAT SERDE ")
    lines.append(f"  {quoted(table.serde)} ")
    if table.serde_parameters:
        lines.append("WITH SERDEPROPERTIES ( ")
        lines.append(
            ", \n".join(f"  {quoted(k)}={quoted(v)}" for k, v in sorted(table.serde_parameters.items()))
            + ") "
        )
    lines.append("STORED AS INPUTFORMAT ")
    lines.append(f"  {quoted(str(table.storage.get('InputFormat')))} ")
    lines.append("OUTPUTFORMAT ")
    lines.append(f"  {quoted(str(table.storage.get('OutputFormat')))}")
    lines.append("LOCATION")
    lines.append(f"  {quoted(table.location)}")
    shown = {k: v for k, v in table.parameters.items() if k not in ("EXTERNAL", "comment")}
    lines.append("TBLPROPERTIES (")
    lines.append(", \n".join(f"  {quoted(k)}={quoted(v)}" for k, v in sorted(shown.items())) + ")")
    return "\n".join(lines)
