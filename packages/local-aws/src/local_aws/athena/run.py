"""One statement from its text to its result: what Athena does between QUEUED and SUCCEEDED."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlglot import exp

from local_aws.athena import statements as st
from local_aws.athena import types as ty
from local_aws.athena.catalog import Catalog
from local_aws.athena.ddl import Ddl
from local_aws.athena.engine import Session
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import E, _castable, cast, coerce, raise_text
from local_aws.athena.parser import offset_position, parse_query
from local_aws.athena.plan import Query
from local_aws.athena.prepared import PreparedStatements, parse_deallocate, parse_execute, parse_prepare
from local_aws.athena.results import write_csv
from local_aws.athena.scan import Reader, delimiters, null_format
from local_aws.athena.select import QueryCompiler
from local_aws.athena.tables import CSV_SERDE, STORAGE_FORMATS, Partition, Table, split_location, view_text
from local_aws.athena.types import Type, hive_type
from local_aws.athena.write import (
    Target,
    Writer,
    compression_of,
    hive_folders,
    level_of,
    padded,
    parse_options,
    parse_unload,
    set_delimiter,
    tokens,
    unload_target,
)
from local_aws.objects import ObjectStore


@dataclass
class Outcome:
    """What a statement gave. `path` is the result file's body, `kind` its extension (csv, txt, '')."""

    kind: str
    path: Path
    columns: list[tuple[str, Type]] = field(default_factory=list)
    rows: int = 0
    scanned: int = 0
    update_count: int | None = None
    manifest: list[str] | None = None
    planned_at: dt.datetime | None = None


_LITERAL = re.compile(
    r"'(?:[^']|'')*'|[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|(?i:true|false|null)|(?i:date|timestamp|time|decimal|bigint|double)\s*'[^']*'"
)


def _as_literal(value: str) -> str:
    """An ExecutionParameter: a literal in SQL's spelling, or else the text of a string."""
    return value if _LITERAL.fullmatch(value.strip()) else "'" + value.replace("'", "''") + "'"


def classify(sql: str) -> tuple[str, str]:
    """StatementType and SubstatementType of GetQueryExecution."""
    words = st.first_words(sql, 4) or [""]
    first = words[0]
    second = words[1] if len(words) > 1 else ""
    if first in ("SELECT", "WITH", "VALUES", "TABLE", "("):
        return "DML", "SELECT"
    if first in ("INSERT", "UPDATE", "DELETE", "MERGE", "UNLOAD"):
        return "DML", first
    if first in ("OPTIMIZE", "VACUUM"):
        return "DDL", first
    if first == "EXPLAIN":
        return "UTILITY", "EXPLAIN"
    if first in ("SHOW", "DESCRIBE", "DESC"):
        return "UTILITY", f"{first}_{second}" if first == "SHOW" else "DESCRIBE_TABLE"
    if first in ("PREPARE", "DEALLOCATE"):
        return "DDL", first
    if first == "CREATE":
        rest = [w for w in words[1:] if w not in ("OR", "REPLACE", "EXTERNAL")]
        kind = rest[0] if rest else ""
        if kind == "TABLE" and is_ctas(sql):
            return "DDL", "CREATE_TABLE_AS_SELECT"
        return "DDL", f"CREATE_{kind}"
    if first == "MSCK":
        return "DDL", "MSCK_REPAIR"
    return "DDL", f"{first}_{second}"


def is_ctas(sql: str) -> bool:
    depth = 0
    for kind, word, _, _ in tokens(sql):
        if kind == "op" and word in "()":
            depth += 1 if word == "(" else -1
        elif kind == "word" and not depth and word.upper() == "AS":
            return True
        elif kind == "word" and not depth and word.upper() in ("LOCATION", "STORED", "TBLPROPERTIES", "ROW"):
            return False
    return False


class Runner:
    """Runs one statement."""

    def __init__(
        self,
        catalog: Catalog,
        store: ObjectStore,
        session: Session,
        scratch: Path,
        *,
        query_id: str,
        database: str,
        output_location: str,
        parameters: list[str],
        prepared: PreparedStatements | None = None,
    ) -> None:
        self.catalog = catalog
        self.store = store
        self.session = session
        self.scratch = scratch
        self.query_id = query_id
        self.database = database
        self.output_location = output_location
        self.parameters = [_as_literal(p) for p in parameters]
        self.prepared = prepared or PreparedStatements()
        self.now = dt.datetime.now(dt.UTC)
        self.reader = Reader(catalog, store, session, self.now, scratch)
        self.planned_at: dt.datetime | None = None

    def run(self, sql: str) -> Outcome:
        """Raises QueryError and Cancelled."""
        sql = st.strip(sql)
        if st.first_words(sql, 1) == ["EXECUTE"]:
            name, parameters = parse_execute(sql)
            self.parameters = parameters or self.parameters
            sql = self._with_parameters(self.prepared.get(name))
        elif self.parameters:
            sql = self._with_parameters(sql)
        words = st.first_words(sql, 5)
        if not words:
            raise QueryError("", "mismatched input '<EOF>'", (1, 1))
        first = words[0]
        if first in ("SELECT", "WITH", "VALUES", "TABLE", "("):
            return self._select(sql)
        if first == "UNLOAD":
            return self._unload(sql)
        if first == "INSERT":
            return self._insert(sql)
        if first == "EXPLAIN":
            return self._explain(sql)
        if first == "CREATE" and "VIEW" in words[1:4]:
            return self._create_view(sql)
        if first == "CREATE" and words[1] == "TABLE" and is_ctas(sql):
            return self._ctas(sql)
        if first in ("UPDATE", "DELETE", "MERGE"):
            from local_aws.athena.iceberg import changes

            run = {"UPDATE": changes.update, "DELETE": changes.delete, "MERGE": changes.merge}[first]
            return run(self, sql)
        if first in ("OPTIMIZE", "VACUUM"):
            from local_aws.athena.iceberg import maintenance

            maintain = {"OPTIMIZE": maintenance.optimize, "VACUUM": maintenance.vacuum}[first]
            maintain(self, sql)
            return self._text([], [])
        if first == "PREPARE":
            name, text = parse_prepare(sql)
            self._check_prepared(name, text)
            self.prepared.put(name, text)
            return self._text([], [])
        if first == "DEALLOCATE":
            self.prepared.drop(parse_deallocate(sql))
            return self._text([], [])
        if first in ("CREATE", "DROP", "ALTER", "MSCK", "SHOW", "DESCRIBE", "DESC"):
            return self._ddl(sql)
        raise unknown_statement(sql)

    # ----------------------------------------------------------------------------------- queries

    def compile(self, sql: str, *, node: exp.Expression | None = None) -> tuple[str, Query, QueryCompiler]:
        """A query as DuckDB SQL with its tables resolved to files."""
        compiler = self.compiler(sql)
        query = compiler.query(node if node is not None else parse_query(sql))
        return self.resolve(query, compiler), query, compiler

    def compiler(self, sql: str) -> QueryCompiler:
        compiler = QueryCompiler(self.catalog, self.database, sql)
        compiler.now = self.now
        compiler.evaluate = lambda constant: self.session.rows(f"SELECT {constant}")[0][0]
        return compiler

    def resolve(self, query: Query, compiler: QueryCompiler) -> str:
        body = query.sql
        for scan in compiler.scans:
            if scan.token in body:
                body = body.replace(scan.token, self.reader.relation(scan))
        self.planned_at = dt.datetime.now(dt.UTC)
        return body

    def _with_parameters(self, sql: str) -> str:
        """The statement with its ? replaced by the ExecutionParameters, which are literals in SQL's spelling.

        https://docs.aws.amazon.com/athena/latest/ug/querying-with-prepared-statements.html
        """
        places = [(start, end) for kind, word, start, end in tokens(sql) if kind == "op" and word == "?"]
        if len(places) != len(self.parameters):
            raise QueryError(
                "INVALID_PARAMETER_USAGE",
                f"Incorrect number of parameters: expected {len(places)} but found {len(self.parameters)}",
                (1, 1),
            )
        for (start, end), value in reversed(list(zip(places, self.parameters, strict=True))):
            sql = f"{sql[:start]}{value}{sql[end:]}"
        return sql

    def _check_prepared(self, name: str, sql: str) -> None:
        """https://docs.aws.amazon.com/athena/latest/ug/sql-prepare.html"""
        allowed = (
            "SELECT",
            "WITH",
            "VALUES",
            "TABLE",
            "(",
            "INSERT",
            "UNLOAD",
            "CREATE",
            "DELETE",
            "UPDATE",
            "MERGE",
        )
        first = (st.first_words(sql, 1) or [""])[0]
        if first not in allowed:
            raise QueryError(
                "NOT_SUPPORTED", f"Invalid statement type for prepared statement '{name}': {first}", (1, 1)
            )
        if first in ("SELECT", "WITH", "VALUES", "TABLE", "(", "INSERT"):
            parse_query(sql)

    def _columns(self, query: Query) -> list[tuple[str, Type]]:
        return [(f.name if f.name is not None else f"_col{i}", f.type) for i, f in enumerate(query.fields)]

    def _select(self, sql: str) -> Outcome:
        body, query, _ = self.compile(sql)
        columns = self._columns(query)
        path = self.scratch / f"{self.query_id}.csv"
        rows = write_csv(self.session, body, columns, path)
        return Outcome("csv", path, columns, rows, self.reader.scanned, planned_at=self.planned_at)

    def _explain(self, sql: str) -> Outcome:
        """https://docs.aws.amazon.com/athena/latest/ug/athena-explain-statement.html"""
        m = re.match(
            r"\s*EXPLAIN(\s+ANALYZE)?(\s+VERBOSE)?(\s*\((?=\s*(?:FORMAT|TYPE)\b)[^)]*\))?", sql, re.I
        )
        assert m is not None
        text = padded(sql, m.end(), len(sql))
        explained = (st.first_words(text, 1) or [""])[0]
        if explained in ("INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "UNLOAD"):
            raise not_supported(f"EXPLAIN {explained}")
        options = dict(re.findall(r"(FORMAT|TYPE)\s+(\w+)", (m.group(3) or "").upper()))
        if options.get("TYPE", "LOGICAL") == "VALIDATE":
            self._plan_only(text)
            return self._text([["true"]], [("Valid", ty.BOOLEAN)])
        if options.get("TYPE", "LOGICAL") not in ("LOGICAL", "DISTRIBUTED") or m.group(2):
            raise not_supported("EXPLAIN" + (m.group(2) or "") + (m.group(3) or ""))
        form = {"TEXT": "TEXT", "JSON": "JSON", "GRAPHVIZ": "GRAPHVIZ"}.get(options.get("FORMAT", "TEXT"))
        if form is None or (m.group(1) and form != "TEXT"):
            raise not_supported(f"EXPLAIN{m.group(1) or ''} {m.group(3)}")
        body, _, _ = self.compile(text)
        analyze = "ANALYZE " if m.group(1) else ""
        # DuckDB's plan, as nobody else's would be true.
        plan = self.session.rows(
            f"EXPLAIN {'(' + analyze + 'FORMAT ' + form + ')' if form != 'TEXT' else analyze} {body}"
        )
        lines = "\n".join(str(r[1]) for r in plan).rstrip("\n").split("\n")
        if analyze:
            # Without the SQL that DuckDB repeats, which names files of this machine.
            total = next(i for i, line in enumerate(lines) if "Total Time" in line)
            lines = lines[total - 2 :]
        return self._text([[line] for line in ["Query Plan", *lines]], [("Query Plan", ty.VARCHAR)])

    def _text(self, rows: list[list[str]], columns: list[tuple[str, Type]]) -> Outcome:
        path = self.scratch / f"{self.query_id}.txt"
        path.write_bytes("".join("\t".join(r) + "\n" for r in rows).encode())
        return Outcome("txt", path, columns, len(rows), self.reader.scanned, planned_at=self.planned_at)

    def _ddl(self, sql: str) -> Outcome:
        statement = st.parse_ddl(sql)
        rows, names = Ddl(self.catalog, self.store, self.database, self.reader).run(statement)
        return self._text(rows, [(n, ty.VARCHAR) for n in names])

    # ------------------------------------------------------------------------------------- views

    def _create_view(self, sql: str) -> Outcome:
        m = re.match(
            r"\s*(?:(?:--[^\n]*\n|/\*.*?\*/)\s*)*CREATE\s+(OR\s+REPLACE\s+)?VIEW\s+", sql, re.I | re.S
        )
        if m is None:
            raise QueryError(
                "", "mismatched input. Expecting: CREATE [OR REPLACE] VIEW name AS query", (1, 1)
            )
        ts = tokens(sql, m.end())
        parts = []
        i = 0
        while i < len(ts) and ts[i][0] in ("word", "name"):
            parts.append(ts[i][1].strip('"').lower())
            i += 1
            if i < len(ts) and ts[i][1] == ".":
                i += 1
                continue
            break
        if i < len(ts) and ts[i][1].upper() == "COMMENT":
            i += 2
        if i >= len(ts) or ts[i][1].upper() != "AS" or not parts:
            raise QueryError(
                "", f"mismatched input '{ts[i][1] if i < len(ts) else '<EOF>'}'. Expecting: 'AS'", (1, 1)
            )
        name = parts[-1]
        database = parts[-2] if len(parts) > 1 else self.database
        if not self.catalog.has_database(database):
            raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", (1, 1))
        query_text = sql[ts[i][3] :].strip()
        _, query, _ = self._plan_only(padded(sql, ts[i][3], len(sql)))
        columns = self._columns(query)
        for n, f in zip([c for c, _ in columns], query.fields, strict=True):
            if f.name is None:
                raise QueryError(
                    "MISSING_COLUMN_NAME",
                    f"Column name not specified at position {n[4:]}: give it an alias",
                    (1, 1),
                )
        lower = [n.lower() for n, _ in columns]
        if len(set(lower)) != len(lower):
            twice = next(n for n in lower if lower.count(n) > 1)
            raise QueryError(
                "DUPLICATE_COLUMN_NAME", f"Column name '{twice}' specified more than once", (1, 1)
            )
        existing = self.catalog.find(database, name)
        if existing is not None and not existing.is_view:
            raise QueryError(
                "TABLE_ALREADY_EXISTS",
                f"Table 'awsdatacatalog.{database}.{name}' already exists; it is no view",
                (1, 1),
            )
        if existing is not None and not m.group(1):
            raise QueryError(
                "TABLE_ALREADY_EXISTS", f"View already exists: 'awsdatacatalog.{database}.{name}'", (1, 1)
            )
        entry: dict[str, Any] = {
            "Name": name,
            "TableType": "VIRTUAL_VIEW",
            "ViewOriginalText": view_text(query_text, self.database, columns),
            "ViewExpandedText": "/* Presto View */",
            "Parameters": {"presto_view": "true", "comment": "Presto View"},
            "PartitionKeys": [],
            "StorageDescriptor": {
                "Columns": [{"Name": n.lower(), "Type": _view_type(t)} for n, t in columns],
                "Location": "",
                "SerdeInfo": {},
            },
        }
        if existing is not None:
            self.catalog.update_table(existing, entry)
        else:
            self.catalog.create_table(database, entry)
        return self._text([], [])

    def _plan_only(self, sql: str) -> tuple[str, Query, QueryCompiler]:
        """Analyses a query without looking for files."""
        compiler = self.compiler(sql)
        query = compiler.query(parse_query(sql))
        return query.sql, query, compiler

    # ------------------------------------------------------------------------------------- files

    def _writer(self) -> Writer:
        return Writer(self.session, self.store, self.scratch, self.query_id, self.now)

    def _empty(self) -> Path:
        path = self.scratch / f"{self.query_id}.out"
        path.write_bytes(b"")
        return path

    def _unload(self, sql: str) -> Outcome:
        unload = parse_unload(sql)
        target = unload_target(unload)
        body, query, _ = self.compile(unload.query)
        columns = [(n.lower(), t) for n, t in self._columns(query)]
        writer = self._writer()
        writer.require_empty(target.location)
        written = writer.write(body, columns, target, ordered=query.ordered)
        return Outcome(
            "",
            self._empty(),
            [("rows", ty.BIGINT)],
            0,
            self.reader.scanned,
            written.rows,
            written.files,
            self.planned_at,
        )

    def _ctas(self, sql: str) -> Outcome:
        """https://docs.aws.amazon.com/athena/latest/ug/create-table-as.html"""
        ts = tokens(sql)
        i = 2
        exists = [t[1].upper() for t in ts[i : i + 3]] == ["IF", "NOT", "EXISTS"]
        i += 3 if exists else 0
        parts = []
        while i < len(ts) and ts[i][0] in ("word", "name"):
            parts.append(ts[i][1].strip('"').lower())
            i += 1
            if i < len(ts) and ts[i][1] == ".":
                i += 1
                continue
            break
        options: dict[str, Any] = {}
        if i < len(ts) and ts[i][1].upper() == "WITH":
            options, i = parse_options(sql, ts, i + 1)
        if i >= len(ts) or ts[i][1].upper() != "AS":
            raise QueryError(
                "",
                f"mismatched input '{ts[i][1] if i < len(ts) else '<EOF>'}'. Expecting: 'AS', 'WITH'",
                (1, 1),
            )
        end = len(sql)
        with_data = True
        tail = [t[1].upper() for t in ts[-3:]]
        if tail[-2:] == ["WITH", "DATA"]:
            end = ts[-2][2]
        elif tail == ["WITH", "NO", "DATA"]:
            end, with_data = ts[-3][2], False
        if str(options.get("table_type", "HIVE")).upper() == "ICEBERG":
            from local_aws.athena.iceberg import ddl as iceberg

            names = parts[-2] if len(parts) > 1 else self.database, parts[-1]
            return iceberg.create_as(
                self, names, options, padded(sql, ts[i][3], end), exists=exists, with_data=with_data
            )
        unknown = next((key for key in options if key not in _CTAS_PROPERTIES), None)
        if unknown is not None:
            raise QueryError(
                "INVALID_TABLE_PROPERTY",
                f"Catalog 'awsdatacatalog' table property '{unknown}' does not exist; there are {', '.join(sorted(_CTAS_PROPERTIES))}",
                (1, 1),
            )
        if str(options.get("table_type", "HIVE")).upper() != "HIVE":
            raise not_supported(f"CREATE TABLE AS ... WITH (table_type = '{options['table_type']}')")
        if options.get("is_external", True) is not True:
            raise not_supported(
                "CREATE TABLE AS ... WITH (is_external = false) of tables that are not Iceberg's"
            )
        name = parts[-1]
        database = parts[-2] if len(parts) > 1 else self.database
        if not self.catalog.has_database(database):
            raise QueryError("SCHEMA_NOT_FOUND", f"Schema '{database}' does not exist", (1, 1))
        if self.catalog.find(database, name) is not None:
            if exists:
                return Outcome("", self._empty(), update_count=0, manifest=[])
            raise QueryError(
                "TABLE_ALREADY_EXISTS",
                f"Destination table 'awsdatacatalog.{database}.{name}' already exists",
                (1, 1),
            )
        kind = str(options.get("format", "PARQUET")).upper()
        if kind not in STORAGE_FORMATS:
            raise QueryError(
                "INVALID_TABLE_PROPERTY",
                f"Unable to set catalog 'awsdatacatalog' table property 'format' to ['{kind}']; there are {', '.join(STORAGE_FORMATS)}",
                (1, 1),
            )
        location = str(
            options.get("external_location") or f"{self.output_location.rstrip('/')}/tables/{self.query_id}/"
        )
        target = self._ctas_target(kind, location, options)
        keys = target.partitioned_by
        body, query, _ = self.compile(padded(sql, ts[i][3], end))
        columns = [(n.lower(), t) for n, t in self._columns(query)]
        for n, f in zip([c for c, _ in columns], query.fields, strict=True):
            if f.name is None:
                raise QueryError(
                    "MISSING_COLUMN_NAME", f"Column name not specified at position {n[4:]}", (1, 1)
                )
            hive_type(f.type)
        missing = next((n for n in [*keys, *target.bucketed_by] if n not in dict(columns)), None)
        if missing is not None:
            raise QueryError(
                "INVALID_TABLE_PROPERTY",
                f"Column '{missing}' of partitioned_by or bucketed_by is not in the query",
                (1, 1),
            )
        writer = self._writer()
        writer.require_empty(location)
        written = writer.write(
            body if with_data else f"SELECT * FROM ({body}) WHERE false",
            columns,
            target,
            ordered=query.ordered,
        )
        data, parted = columns[: len(columns) - len(keys)], columns[len(columns) - len(keys) :]
        serde, inp, outp = STORAGE_FORMATS[kind]
        serde_parameters = {"serialization.format": "1"}
        if kind == "TEXTFILE":
            delimiter = target.delimiters[0]
            serde_parameters = {"serialization.format": delimiter, "field.delim": delimiter}
        self.catalog.create_table(
            database,
            {
                "Name": name,
                "Owner": "hadoop",
                "TableType": "EXTERNAL_TABLE",
                "Retention": 0,
                "PartitionKeys": [{"Name": n, "Type": hive_type(t)} for n, t in parted],
                "Parameters": {"EXTERNAL": "TRUE", "has_encrypted_data": "false", "auto.purge": "false"},
                "StorageDescriptor": {
                    "Columns": [{"Name": n, "Type": hive_type(t)} for n, t in data],
                    "Location": location.rstrip("/"),
                    "InputFormat": inp,
                    "OutputFormat": outp,
                    "SerdeInfo": {"SerializationLibrary": serde, "Parameters": serde_parameters},
                    "NumberOfBuckets": target.bucket_count or -1,
                    "BucketColumns": target.bucketed_by,
                },
            },
        )
        table = self.catalog.find(database, name)
        assert table is not None
        if keys:
            self.catalog.add_partitions(
                table, [Partition(v, loc) for v, loc in sorted(written.partitions.items(), key=str)]
            )
        return Outcome(
            "",
            self._empty(),
            [("rows", ty.BIGINT)],
            0,
            self.reader.scanned,
            written.rows,
            written.files,
            self.planned_at,
        )

    def _ctas_target(self, kind: str, location: str, options: dict[str, Any]) -> Target:
        given = {
            k: options[k]
            for k in ("write_compression", f"{kind.lower()}_compression")
            if options.get(k) is not None
        }
        if len(given) > 1:
            raise QueryError(
                "INVALID_TABLE_PROPERTY", f"Only one of {' and '.join(given)} may be set", (1, 1)
            )
        compression = compression_of(kind, next(iter(given.values()), None))
        target = Target(
            location,
            kind,
            compression,
            [str(k).lower() for k in options.get("partitioned_by", [])],
            level_of(kind, compression, options.get("compression_level")),
            [str(k).lower() for k in options.get("bucketed_by", [])],
            int(options.get("bucket_count", 0)),
        )
        if bool(target.bucketed_by) != bool(target.bucket_count):
            raise QueryError(
                "INVALID_TABLE_PROPERTY", "bucketed_by and bucket_count must be set together", (1, 1)
            )
        if options.get("field_delimiter") is not None and kind != "TEXTFILE":
            raise QueryError(
                "INVALID_TABLE_PROPERTY", f"field_delimiter is for format = 'TEXTFILE', not {kind}", (1, 1)
            )
        set_delimiter(target, options.get("field_delimiter"))
        target.ion_encoding = _ion_encoding(options.get("ion_encoding"))
        return target

    def _insert(self, sql: str) -> Outcome:
        """https://docs.aws.amazon.com/athena/latest/ug/insert-into.html"""
        tree = parse_query(sql)
        if not isinstance(tree, exp.Insert) or tree.args.get("overwrite"):
            raise not_supported("This form of INSERT")
        into = tree.this
        columns_given: list[str] | None = None
        if isinstance(into, exp.Schema):
            columns_given = [c.name.lower() for c in into.expressions]
            into = into.this
        database = (into.db or self.database).lower()
        table = self.catalog.resolve(into.catalog or None, database, into.name.lower(), (1, 13))
        if not isinstance(table, Table):
            raise QueryError("NOT_SUPPORTED", "Inserting into views is not supported", (1, 1))
        kind = _INSERTABLE.get(table.format)
        if table.format == "iceberg":
            from local_aws.athena.iceberg import changes

            return changes.insert(self, table, sql, tree, columns_given)
        if kind is None:
            raise not_supported(f"INSERT INTO {table.format} tables")
        if table.storage.get("BucketColumns"):
            # https://docs.aws.amazon.com/athena/latest/ug/insert-into.html#insert-into-limitations
            raise QueryError(
                "NOT_SUPPORTED",
                f"INSERT INTO is not supported on bucketed tables ({table.database}.{table.name})",
                (1, 13),
            )
        body, query, compiler = self.compile(sql, node=tree.expression)
        wanted = [*table.columns, *table.partition_keys]
        names = columns_given if columns_given is not None else [n for n, _ in wanted]
        unknown = [n for n in names if n not in dict(wanted)]
        if unknown:
            raise QueryError(
                "COLUMN_NOT_FOUND", f"Insert column name does not exist in target table: {unknown[0]}", (1, 1)
            )
        twice = [n for n in names if names.count(n) > 1]
        if twice:
            raise QueryError(
                "DUPLICATE_COLUMN_NAME", f"Insert column name is specified more than once: {twice[0]}", (1, 1)
            )
        types = [dict(wanted)[n] for n in names]
        if len(types) != len(query.fields) or any(
            not _assignable(f.type, t) for f, t in zip(query.fields, types, strict=False)
        ):
            have = ", ".join(str(f.type) for f in query.fields)
            raise QueryError(
                "TYPE_MISMATCH",
                f"Insert query has mismatched column types: Table: [{', '.join(map(str, types))}], Query: [{have}]",
                (1, 1),
            )
        items: list[str] = []
        for n, t in wanted:
            if n in names:
                i = names.index(n)
                e = E(f'q."c{i}"', query.fields[i].type)
                value = stored(e, t, compiler, tree)
            else:
                value = f"CAST(NULL AS {ty.duckdb_type(t)})"
            items.append(f'{value} AS "c{len(items)}"')
        keys = [n for n, _ in table.partition_keys]
        target = self._insert_target(table, kind)
        written = self._writer().write(
            f"SELECT {', '.join(items)} FROM ({body}) AS q", wanted, target, ordered=query.ordered
        )
        if keys:
            self.catalog.add_partitions(
                table,
                [Partition(v, loc.rstrip("/")) for v, loc in sorted(written.partitions.items(), key=str)],
            )
        return Outcome(
            "",
            self._empty(),
            [("rows", ty.BIGINT)],
            0,
            self.reader.scanned,
            written.rows,
            written.files,
            self.planned_at,
        )

    def _insert_target(self, table: Table, kind: str) -> Target:
        compression = "snappy" if kind == "PARQUET" else compression_of(kind, None)
        for key in (
            "parquet.compression",
            "parquet.compress",
            "orc.compress",
            "write.compression",
            "write_compression",
        ):
            if table.parameters.get(key):
                compression = compression_of(kind, table.parameters[key])
                break
        target = Target(table.location, kind, compression, [n for n, _ in table.partition_keys])
        target.ion_encoding = _ion_encoding(table.serde_parameters.get("ion.encoding"))
        if table.serde == CSV_SERDE:
            p = table.serde_parameters
            quotation = p.get("quoteChar", '"')
            target.csv = {"separator": p.get("separatorChar", ","), "quote": quotation, "escape": quotation}
            target.compression = "uncompressed"
        elif kind == "TEXTFILE":
            target.delimiters, target.null = delimiters(table), null_format(table)
            target.escape = table.serde_parameters.get("escape.delim", "")
        split_location(table.location)
        existing = {p.values: p.location for p in self.catalog.partitions(table)}
        folders = hive_folders(target)

        def place(values: tuple[str | None, ...]) -> str:
            """An existing partition grows where it lies."""
            if table.projected:
                return self.reader.projected_location(table, values)
            return existing.get(values) or folders(values)

        target.place = place
        return target


_CTAS_PROPERTIES = {
    "format", "external_location", "partitioned_by", "bucketed_by", "bucket_count", "write_compression",
    "parquet_compression", "orc_compression", "compression_level", "field_delimiter", "table_type",
    "is_external", "ion_encoding",
}  # fmt: skip
# What INSERT writes into tables of a format.
_INSERTABLE = {
    "parquet": "PARQUET", "orc": "ORC", "avro": "AVRO", "json": "JSON", "text": "TEXTFILE", "csv": "TEXTFILE",
    "ion": "ION",
}  # fmt: skip


def _ion_encoding(given: Any) -> str:
    """https://docs.aws.amazon.com/athena/latest/ug/ion-serde-using-ctas-and-insert-into-to-create-ion-tables.html"""
    name = str(given or "BINARY").upper()
    if name not in ("BINARY", "TEXT"):
        raise QueryError("INVALID_TABLE_PROPERTY", f"ion_encoding '{given}' is not BINARY or TEXT", (1, 1))
    return name


def check_syntax(sql: str) -> None:
    """Raises QueryError (without a code) for what Athena's parser would refuse. Looks at no table and no file.

    What is not supported passes here, and fails by name when it runs.
    """
    sql = st.strip(sql)
    words = st.first_words(sql, 4)
    try:
        if not words:
            raise QueryError("", "mismatched input '<EOF>'. Expecting: <query>", (1, 1))
        if words[0] in ("SELECT", "WITH", "VALUES", "TABLE", "(", "INSERT"):
            parse_query(sql)
        elif words[0] == "UNLOAD":
            parse_query(parse_unload(sql).query)
        elif words[0] == "CREATE" and ("VIEW" in words[1:4] or is_ctas(sql)):
            ts = tokens(sql)
            start = next((t[3] for t in ts if t[0] == "word" and t[1].upper() == "AS"), None)
            tail = [t[1].upper() for t in ts[-3:]]
            end = len(sql)
            if tail[-2:] == ["WITH", "DATA"]:
                end = ts[-2][2]
            elif tail == ["WITH", "NO", "DATA"]:
                end = ts[-3][2]
            if start is not None:
                parse_query(padded(sql, start, end))
        elif words[0] in ("CREATE", "DROP", "ALTER", "MSCK", "SHOW", "DESCRIBE", "DESC"):
            st.parse_ddl(sql)
        elif words[0] == "PREPARE":
            check_syntax(parse_prepare(sql)[1])
        elif words[0] == "DEALLOCATE":
            parse_deallocate(sql)
        elif words[0] == "EXECUTE":
            parse_execute(sql)
        elif words[0] not in _STATEMENTS:
            raise unknown_statement(sql)
    except QueryError as e:
        if not e.code:
            raise


# Statements that are checked when they run.
_STATEMENTS = (
    "EXPLAIN",
    "UPDATE",
    "DELETE",
    "MERGE",
    "OPTIMIZE",
    "VACUUM",
)


def unknown_statement(sql: str) -> QueryError:
    m = re.search(
        r"\S+", re.sub(r"--[^\n]*|/\*.*?\*/", lambda c: re.sub(r"[^\n]", " ", c.group()), sql, flags=re.S)
    )
    word, at = (m.group(), m.start()) if m is not None else ("<EOF>", 0)
    return QueryError(
        "",
        f"mismatched input '{word}'. Expecting: 'ALTER', 'CREATE', 'DELETE', 'DESCRIBE', 'DROP', 'EXECUTE', 'EXPLAIN', 'INSERT', 'MERGE', 'OPTIMIZE', 'PREPARE', 'SHOW', 'UNLOAD', 'UPDATE', 'VACUUM', <query>",
        offset_position(sql, at),
    )


def _assignable(a: Type, b: Type) -> bool:
    """Trino's insert takes what it would widen by itself, and larger types and texts whose values fit; one that does
    not fit fails while it runs (https://trino.io/docs/435/release/release-319.html)."""
    if a.base in ("varchar", "char") and b.base in ("varchar", "char"):
        return True
    c = ty.common(a, b)
    if c is not None and c.base == b.base:
        return _castable(a, b)
    return a.base in ty.NUMERIC and b.base in ty.NUMERIC and ty.common(a, b) is not None and _widens(a, b)


def _widens(a: Type, b: Type) -> bool:
    return (a.base in ty.INTEGERS and b.base in (*ty.INTEGERS, "decimal", "double", "real")) or (
        a.base in ("decimal", "double") and b.base in ("decimal", "double", "real")
    )


def stored(e: E, t: Type, compiler: QueryCompiler, node: exp.Expression) -> str:
    """SQL of a value as a column of type `t` takes it. Raises for one whose text is too long, as Trino's INSERT does."""
    value = cast(e, t).sql if ty.common(e.type, t) == t else coerce(compiler, e, t, node).sql
    if t.base not in ("varchar", "char") or t.p is None or (e.type.p is not None and e.type.p <= t.p):
        return value
    message = f"Cannot truncate non-space characters when casting from {e.type} to {t} on INSERT"
    too_long = raise_text("INVALID_CAST_ARGUMENT", message, "VARCHAR")
    return f"CASE WHEN length(rtrim({e.sql}, ' ')) > {t.p} THEN {too_long} ELSE {value} END"


def _view_type(t: Type) -> str:
    try:
        return hive_type(t)
    except QueryError:
        return "string"
