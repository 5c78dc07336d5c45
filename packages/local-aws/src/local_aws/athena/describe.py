"""SHOW and DESCRIBE of databases, and of tables whose rows are in files below their partitions' locations."""

from __future__ import annotations

import json
import re
from typing import Any

from local_aws.athena import statements as st
from local_aws.athena import tables as tb
from local_aws.athena.catalog import Catalog
from local_aws.athena.errors import QueryError
from local_aws.athena.show_create import create_statement
from local_aws.athena.tables import Table
from local_aws.athena.types import hive_type, parse_hive_type
from local_aws.athena.view_format import formatted
from local_aws.objects import ObjectStore

# One tab-separated line a row, as in Athena's .txt results.
Rows = list[list[str]]

_FAILED = "FAILED: SemanticException "


class Named:
    """The databases and tables that a statement names. `database` is the QueryExecutionContext's."""

    def __init__(self, catalog: Catalog, store: ObjectStore, database: str) -> None:
        self.catalog = catalog
        self.store = store
        self.database = database

    def database_named(self, name: str | None) -> str:
        database = (name or self.database).lower()
        if not self.catalog.has_database(database):
            raise QueryError("", f"{_FAILED}[Error 10072]: Database does not exist: {database}")
        return database

    def table(self, name: st.Name) -> Table:
        database = self.database_named(name.database)
        table = self.catalog.find(database, name.name)
        if table is None:
            raise QueryError("", f"{_FAILED}[Error 10001]: Table not found {database}.{name.name}")
        return table


def partition_values(table: Table, spec: st.PartitionSpec) -> tuple[str, ...]:
    """A partition's values in the order of the table's columns."""
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


def show(named: Named, s: st.Show) -> tuple[Rows, list[str]]:
    if s.what == "databases":
        names = [str(d["Name"]) for d in named.catalog.databases()]
        return [[n] for n in names if _matches(n, s.pattern)], ["database_name"]
    if s.what in ("tables", "views"):
        database = named.database_named(s.database)
        names = sorted(t.name for t in named.catalog.tables(database) if s.what == "tables" or t.is_view)
        return [[n] for n in names if _matches(n, s.pattern)], ["tab_name" if s.what == "tables" else "views"]
    assert s.name is not None
    table = named.table(s.name)
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
            for p in named.catalog.partitions(table)
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
    if s.what == "create view" and not table.is_view:
        raise QueryError("", f"{_FAILED}{table.database}.{table.name} is a table, not a view")
    if table.is_view:
        query = formatted(tb.parse_view(table).sql)
        text = f"CREATE VIEW {table.database}.{table.name} AS\n{query}"
        return [[line] for line in text.split("\n")], ["Create View"]
    return [[line] for line in create_statement(table).split("\n")], ["createtab_stmt"]


def describe(named: Named, s: st.Describe) -> tuple[Rows, list[str]]:
    """https://docs.aws.amazon.com/athena/latest/ug/describe-table.html"""
    table = named.table(s.name)
    described = table.storage.get("Columns") or []
    keys = table.description.get("PartitionKeys") or []
    names = ["col_name", "data_type", "comment"]

    def line(c: dict[str, Any]) -> list[str]:
        return [f"{c['Name']:<20}", f"{c.get('Type', ''):<20}", f"{c.get('Comment') or '':<20}"]

    location, parameters = table.location, table.parameters
    if s.partition is not None:
        values = partition_values(table, s.partition)
        partition = next((p for p in named.catalog.partitions(table) if p.values == values), None)
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
        title = "Detailed Partition Information" if s.partition is not None else "Detailed Table Information"
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


def _matches(name: str, pattern: str | None) -> bool:
    """SHOW's pattern: * for anything, | for alternatives."""
    if pattern is None:
        return True
    return any(re.fullmatch(p.replace("*", ".*"), name, re.I) for p in pattern.split("|"))
