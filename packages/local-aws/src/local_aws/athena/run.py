"""One statement from its text to its result: what Athena does between QUEUED and SUCCEEDED."""

from __future__ import annotations

import re
from pathlib import Path

from local_aws.athena import create_as, insert
from local_aws.athena import statements as st
from local_aws.athena import types as ty
from local_aws.athena.catalog import Catalog
from local_aws.athena.context import Context, Outcome
from local_aws.athena.ddl import Ddl
from local_aws.athena.engine import Session
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.hive_parser import first_words, parse_ddl, strip
from local_aws.athena.parser import parse_query, tokens
from local_aws.athena.prepared import PreparedStatements
from local_aws.athena.results import STRING, write_csv
from local_aws.athena.syntax import (
    check_syntax,
    classify,
    explained,
    is_ctas,
    parse_create_table_as,
    parse_deallocate,
    parse_execute,
    parse_prepare,
    unknown_statement,
)
from local_aws.athena.views import create_view
from local_aws.objects import ObjectStore

_SIMPLE = r"'(?:[^']|'')*'|[+-]?\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|(?i:true|false|null)|(?i:date|timestamp|time|decimal|bigint|double)\s*'[^']*'"
_LITERAL = re.compile(
    rf"{_SIMPLE}|(?i:cast)\s*\(\s*(?:{_SIMPLE})\s+(?i:as)\s+[\w ]+(?:\(\d+(?:\s*,\s*\d+)?\))?\s*\)"
)


def _as_literal(value: str) -> str:
    """An ExecutionParameter: a literal in SQL's spelling, or else the text of a string."""
    return value if _LITERAL.fullmatch(value.strip()) else "'" + value.replace("'", "''") + "'"


class Runner(Context):
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
        super().__init__(
            catalog,
            store,
            session,
            scratch,
            query_id=query_id,
            database=database,
            output_location=output_location,
        )
        self.parameters = [_as_literal(p) for p in parameters]
        self.prepared = prepared or PreparedStatements()

    def run(self, sql: str) -> Outcome:
        """Raises QueryError and Cancelled."""
        sql = strip(sql)
        if first_words(sql, 1) == ["EXECUTE"]:
            name, parameters = parse_execute(sql)
            self.parameters = parameters or self.parameters
            sql = self._with_parameters(self.prepared.get(name))
        elif self.parameters:
            sql = self._with_parameters(sql)
        words = first_words(sql, 5)
        if not words:
            raise QueryError("", "mismatched input '<EOF>'", (1, 1))
        first = words[0]
        if first in ("SELECT", "WITH", "VALUES", "TABLE", "("):
            return self._select(sql)
        if first == "UNLOAD":
            return create_as.unload(self, sql)
        if first == "INSERT":
            return self._insert(sql)
        if first == "EXPLAIN":
            return self._explain(sql)
        if first == "CREATE" and "VIEW" in words[1:4]:
            return create_view(self, sql)
        if first == "CREATE" and words[1] == "TABLE" and is_ctas(sql):
            return self._create_as(sql)
        if first in ("UPDATE", "DELETE", "MERGE"):
            from local_aws.athena.iceberg import changes

            run = {"UPDATE": changes.update, "DELETE": changes.delete, "MERGE": changes.merge}[first]
            return run(self, sql)
        if first in ("OPTIMIZE", "VACUUM"):
            from local_aws.athena.iceberg import maintenance

            maintain = {"OPTIMIZE": maintenance.optimize, "VACUUM": maintenance.vacuum}[first]
            maintain(self, sql)
            return self.text([], [])
        if first == "PREPARE":
            name, text = parse_prepare(sql)
            self._check_prepared(name, text)
            self.prepared.put(name, text)
            return self.text([], [])
        if first == "DEALLOCATE":
            self.prepared.drop(parse_deallocate(sql))
            return self.text([], [])
        if first in ("CREATE", "DROP", "ALTER", "MSCK", "SHOW", "DESCRIBE", "DESC"):
            return self._ddl(sql)
        raise unknown_statement(sql)

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
        first = (first_words(sql, 1) or [""])[0]
        if first not in allowed:
            raise QueryError(
                "NOT_SUPPORTED", f"Invalid statement type for prepared statement '{name}': {first}", (1, 1)
            )
        if first in ("SELECT", "WITH", "VALUES", "TABLE", "(", "INSERT"):
            parse_query(sql)

    def _select(self, sql: str) -> Outcome:
        body, query, _ = self.compile(sql)
        columns = self.columns(query)
        path = self.scratch / f"{self.query_id}.csv"
        rows = write_csv(self.session, body, columns, path)
        return Outcome("csv", path, columns, rows, self.reader.scanned, planned_at=self.planned_at)

    def _explain(self, sql: str) -> Outcome:
        """https://docs.aws.amazon.com/athena/latest/ug/athena-explain-statement.html"""
        m, text = explained(sql)
        kind = (first_words(text, 1) or [""])[0]
        if kind in ("INSERT", "UPDATE", "DELETE", "MERGE", "CREATE", "UNLOAD"):
            raise not_supported(f"EXPLAIN {kind}")
        options = dict(re.findall(r"(FORMAT|TYPE)\s+(\w+)", (m.group(3) or "").upper()))
        if options.get("TYPE", "LOGICAL") == "VALIDATE":
            self.plan_only(text)
            return self.text([["true"]], [("Valid", ty.BOOLEAN)])
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
        return self.text([[line] for line in ["Query Plan", *lines]], [("Query Plan", ty.VARCHAR)])

    def _insert(self, sql: str) -> Outcome:
        tree, table, columns = insert.parts(self, sql)
        if table.format == "iceberg":
            from local_aws.athena.iceberg import changes

            return changes.insert(self, table, sql, tree, columns)
        return insert.insert(self, table, sql, tree, columns)

    def _create_as(self, sql: str) -> Outcome:
        statement = parse_create_table_as(sql)
        if str(statement.options.get("table_type", "HIVE")).upper() == "ICEBERG":
            from local_aws.athena.iceberg import ddl

            return ddl.create_as(self, statement)
        return create_as.create_as(self, statement)

    def _ddl(self, sql: str) -> Outcome:
        statement = parse_ddl(sql)
        if self._is_of_iceberg(statement):
            from local_aws.athena.iceberg.ddl import IcebergDdl

            rows, names = IcebergDdl(self.catalog, self.store, self.database).run(statement)
        else:
            rows, names = Ddl(self.catalog, self.store, self.database, self.session).run(statement)
        return self.text(rows, [(n, STRING) for n in names])

    def _is_of_iceberg(self, statement: st.Statement) -> bool:
        name = getattr(statement, "name", None)
        if not isinstance(name, st.Name):
            return False
        if isinstance(statement, st.CreateTable):
            kind = statement.properties.get("table_type", "").upper()
            return bool(statement.transforms) or kind == "ICEBERG"
        table = self.catalog.find((name.database or self.database).lower(), name.name)
        return table is not None and table.format == "iceberg"


__all__ = ["Outcome", "Runner", "check_syntax", "classify"]
