"""The Glue catalog as Athena uses it: databases, tables, partitions and views."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from moto.core.exceptions import JsonRESTError
from moto.glue.models import FakeTable, GlueBackend, glue_backends

from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError
from local_aws.athena.tables import (
    CATALOG,
    DEFAULT_PARTITION,
    ConcurrentModification,
    Partition,
    Table,
    View,
    VirtualTable,
    parse_view,
)
from local_aws.objects import ObjectStore


def forget_versions(entry: FakeTable) -> None:
    """Keeps a table's current version only, as UpdateTable's SkipArchive asks: each Iceberg commit is one."""
    current = str(entry.as_dict()["VersionId"])
    for version in [v for v in entry.versions if v != current]:
        entry.delete_version(version)


# Athena makes it where an account has none.
_DEFAULT = {"Name": "default", "Description": "Default Hive database", "Parameters": None}


class Catalog:
    """The Glue catalog of one account and region.

    changed: called after each change with the names of the database and the table (None: the database
    itself), so that the state can be saved before the query succeeds. store: where Iceberg tables keep
    their metadata. updating: held while a table is replaced, by API calls too.
    """

    def __init__(
        self,
        account: str,
        region: str,
        changed: Callable[[str, str | None], None] = lambda database, table: None,
        store: ObjectStore | None = None,
        updating: threading.RLock | None = None,
    ) -> None:
        self.account = account
        self.region = region
        self._changed = changed
        self._store = store
        self._updating = updating or threading.RLock()

    @property
    def glue(self) -> GlueBackend:
        return glue_backends[self.account][self.region]

    def open(self) -> None:
        """Called once before each statement."""

    # -------------------------------------------------------------------------------- databases

    def databases(self) -> list[dict[str, Any]]:
        found = [d.as_dict() for d in self.glue.get_databases()]
        if "default" not in self.glue.databases:
            found.append(_DEFAULT)
        return sorted(found, key=lambda d: str(d["Name"]))

    def has_database(self, name: str) -> bool:
        return name.lower() == "default" or name.lower() in self.glue.databases

    def database(self, name: str) -> dict[str, Any]:
        found = self.glue.databases.get(name.lower())
        if found is not None:
            description: dict[str, Any] = found.as_dict()
            return description
        if name.lower() == "default":
            return _DEFAULT
        raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{name}' does not exist")

    def create_database(
        self, name: str, description: str | None, location: str | None, parameters: dict[str, str]
    ) -> None:
        entry: dict[str, Any] = {"Name": name, "Parameters": parameters}
        if description:
            entry["Description"] = description
        if location:
            entry["LocationUri"] = location
        self.glue.create_database(name, entry)
        self._changed(name, None)

    def drop_database(self, name: str) -> None:
        self.glue.delete_database(name)
        self._changed(name, None)

    def set_database_properties(self, name: str, parameters: dict[str, str]) -> None:
        entry = dict(self.glue.get_database(name).input)
        entry["Parameters"] = {**(entry.get("Parameters") or {}), **parameters}
        self.glue.update_database(name, entry)
        self._changed(name, None)

    # ----------------------------------------------------------------------------------- tables

    def tables(self, database: str) -> list[Table]:
        if database not in self.glue.databases:
            return []
        return [self._table(t.as_dict()) for t in self.glue.get_tables(database, None)]

    def find(self, database: str, name: str) -> Table | None:
        entry = self._entry(database, name)
        return self._table(entry.as_dict()) if entry is not None else None

    def _table(self, description: dict[str, Any]) -> Table:
        table = Table(description)
        if table.format != "iceberg" or self._store is None:
            return table
        from local_aws.athena.iceberg.table import IcebergTable

        return IcebergTable(description, self, self._store)

    def _entry(self, database: str, name: str) -> FakeTable | None:
        d = self.glue.databases.get(database.lower())
        if d is None:
            return None
        # Glue lower-cases names; moto keeps them as they came.
        t = d.tables.get(name.lower())
        if t is None:
            t = next((t for n, t in d.tables.items() if n.lower() == name.lower()), None)
        return t

    def create_table(self, database: str, entry: dict[str, Any]) -> None:
        if database == "default" and "default" not in self.glue.databases:
            self.create_database("default", "Default Hive database", None, {})
        try:
            self.glue.create_table(database, entry["Name"], entry)
        except JsonRESTError as e:
            raise QueryError("HIVE_METASTORE_ERROR", str(e.description)) from e
        self._changed(database, entry["Name"])

    def update_table(self, table: Table, entry: dict[str, Any]) -> None:
        self.glue.update_table(table.database, table.name, entry)
        self._changed(table.database, table.name)

    def replace_table(self, table: Table, entry: dict[str, Any], version: str) -> None:
        """Replaces a table that is still in a version, and forgets the versions before.

        Raises ConcurrentModification for a table that changed meanwhile.
        """
        with self._updating:
            found = self._entry(table.database, table.name)
            if found is None or str(found.as_dict()["VersionId"]) != version:
                raise ConcurrentModification(f"{table.database}.{table.name} is no longer version {version}")
            found.update(entry)
            forget_versions(found)
        self._changed(table.database, table.name)

    def rename_table(self, table: Table, database: str, name: str, entry: dict[str, Any]) -> None:
        """Gives a table another name. Raises QueryError where there is one of that name."""
        with self._updating:
            self.create_table(database, {**entry, "Name": name})
            self.drop_table(table)

    def drop_table(self, table: Table) -> None:
        self.glue.delete_table(table.database, table.name)
        self._changed(table.database, table.name)

    # ------------------------------------------------------------------------------- partitions

    def partitions(self, table: Table) -> list[Partition]:
        entry = self._entry(table.database, table.name)
        if entry is None:
            return []
        return [
            Partition(
                tuple(None if v == DEFAULT_PARTITION else v for v in p.values),
                (p.partition_input.get("StorageDescriptor") or {}).get("Location") or "",
            )
            for p in list(entry.partitions.values())
        ]

    def add_partitions(
        self, table: Table, partitions: Iterable[Partition], *, replace: bool = False
    ) -> list[Partition]:
        """Registers partitions; those that exist are returned and left alone, unless `replace`."""
        entry = self._entry(table.database, table.name)
        assert entry is not None
        existing = []
        for p in partitions:
            values = [v if v is not None else DEFAULT_PARTITION for v in p.values]
            known = entry.partitions.get(str(values))
            own = (known.partition_input.get("StorageDescriptor") if known else None) or table.storage
            storage = {**own, "Location": p.location}
            description = {"Values": values, "StorageDescriptor": storage, "Parameters": {}}
            if known is not None:
                if replace:
                    entry.update_partition(values, description)  # type: ignore[arg-type]
                else:
                    existing.append(p)
                continue
            entry.create_partition(description)
        self._changed(table.database, table.name)
        return existing

    def partition_columns(self, table: Table, partition: Partition) -> list[dict[str, Any]]:
        """The columns of one partition, which may have more than the table; queries read those of the table."""
        storage = self._partition_input(table, partition).get("StorageDescriptor") or table.storage
        return list(storage.get("Columns") or [])

    def set_partition_columns(
        self, table: Table, partition: Partition, columns: list[dict[str, Any]]
    ) -> None:
        entry = self._entry(table.database, table.name)
        assert entry is not None
        known = self._partition_input(table, partition)
        storage = {**(known.get("StorageDescriptor") or table.storage), "Columns": columns}
        entry.update_partition(known["Values"], {**known, "StorageDescriptor": storage})
        self._changed(table.database, table.name)

    def _partition_input(self, table: Table, partition: Partition) -> Any:
        entry = self._entry(table.database, table.name)
        assert entry is not None
        values = [v if v is not None else DEFAULT_PARTITION for v in partition.values]
        return entry.partitions[str(values)].partition_input

    def drop_partition(self, table: Table, partition: Partition) -> None:
        values = [v if v is not None else DEFAULT_PARTITION for v in partition.values]
        self.glue.delete_partition(table.database, table.name, values)  # type: ignore[arg-type]
        self._changed(table.database, table.name)

    # --------------------------------------------------------------------------------- resolving

    def resolve(
        self, catalog: str | None, database: str, name: str, where: tuple[int, int] | None
    ) -> Table | View | VirtualTable:
        """What a FROM clause names. Raises QueryError with Trino's texts."""
        if catalog is not None and catalog.lower() != CATALOG:
            raise QueryError("CATALOG_NOT_FOUND", f"Catalog '{catalog}' not found", where)
        if database == "information_schema":
            return self._information_schema(name, where)
        if not self.has_database(database):
            raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", where)
        table = self.find(database, name)
        if table is None and "$" in name:
            base, _, what = name.rpartition("$")
            table = self.find(database, base)
            if table is not None and table.format == "iceberg":
                from local_aws.athena.iceberg.inspect import metadata_table

                return metadata_table(table, what, where)
            if table is not None and what == "partitions" and table.partition_keys:
                return self._partitions_table(table)
            table = None
        if table is None:
            raise QueryError("TABLE_NOT_FOUND", f"Table '{CATALOG}.{database}.{name}' does not exist", where)
        return parse_view(table) if table.is_view else table

    def _partitions_table(self, table: Table) -> VirtualTable:
        """ "table$partitions": the values of each partition that is registered
        (https://docs.aws.amazon.com/athena/latest/ug/show-partitions.html)."""
        keys = table.partition_keys
        items = []
        for i, (name, t) in enumerate(keys):
            values = ", ".join(
                "NULL" if (v := p.values[i]) is None else ty.text(v) for p in self.partitions(table)
            )
            items.append(
                f"CAST(unnest(CAST([{values}] AS VARCHAR[])) AS {ty.duckdb_type(t)}) AS {ty.quote(name)}"
            )
        return VirtualTable(keys, f"SELECT {', '.join(items)}")

    def _information_schema(self, name: str, where: tuple[int, int] | None) -> VirtualTable:
        def text(v: Any) -> str:
            return "NULL" if v is None else "'" + str(v).replace("'", "''") + "'"

        rows: list[list[Any]]
        if name == "schemata":
            columns = ["catalog_name", "schema_name"]
            rows = [
                [CATALOG, n]
                for n in sorted([*[str(d["Name"]) for d in self.databases()], "information_schema"])
            ]
        elif name == "tables":
            columns = ["table_catalog", "table_schema", "table_name", "table_type"]
            rows = [
                [CATALOG, d["Name"], t.name, "VIEW" if t.is_view else "BASE TABLE"]
                for d in self.databases()
                for t in self.tables(d["Name"])
            ]
        elif name == "views":
            columns = ["table_catalog", "table_schema", "table_name", "view_definition"]
            rows = [
                [CATALOG, d["Name"], t.name, parse_view(t).sql]
                for d in self.databases()
                for t in self.tables(d["Name"])
                if t.is_view
            ]
        elif name == "columns":
            columns = [
                "table_catalog",
                "table_schema",
                "table_name",
                "column_name",
                "ordinal_position",
                "column_default",
                "is_nullable",
                "data_type",
                "comment",
                "extra_info",
            ]
            rows = []
            for d in self.databases():
                for t in self.tables(d["Name"]):
                    described = [
                        *(t.storage.get("Columns") or []),
                        *(t.description.get("PartitionKeys") or []),
                    ]
                    try:
                        keys = {n for n, _ in t.partition_keys}
                        typed = [*t.columns, *t.partition_keys]
                    except QueryError:
                        continue  # as Trino lists: one table that cannot be read hides no other
                    for i, (c, (column, kind)) in enumerate(zip(described, typed, strict=True)):
                        rows.append(
                            [
                                CATALOG,
                                d["Name"],
                                t.name,
                                column,
                                i + 1,
                                None,
                                "YES",
                                str(kind),
                                c.get("Comment"),
                                "partition key" if column in keys else None,
                            ]
                        )
        else:
            raise QueryError(
                "TABLE_NOT_FOUND", f"Table '{CATALOG}.information_schema.{name}' does not exist", where
            )
        typed = [(c, ty.BIGINT if c == "ordinal_position" else ty.VARCHAR) for c in columns]
        names = ", ".join(ty.quote(c) for c in columns)
        casts = ", ".join(f"CAST({ty.quote(c)} AS {ty.duckdb_type(t)}) AS {ty.quote(c)}" for c, t in typed)
        body = ", ".join("(" + ", ".join(text(v) for v in r) + ")" for r in rows)
        source = (
            f"(VALUES {body}) AS v({names})"
            if rows
            else "(SELECT " + ", ".join(f"NULL AS {ty.quote(c)}" for c in columns) + " WHERE false) AS v"
        )
        return VirtualTable(typed, f"SELECT {casts} FROM {source}")
