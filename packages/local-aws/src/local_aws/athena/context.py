"""What a statement has while it runs: catalog, objects, DuckDB, and how its queries become DuckDB's."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from pathlib import Path

from sqlglot import exp

from local_aws.athena import sharing
from local_aws.athena import types as ty
from local_aws.athena.catalog import Catalog
from local_aws.athena.engine import Session
from local_aws.athena.parser import parse_query
from local_aws.athena.plan import Query
from local_aws.athena.scan import Reader
from local_aws.athena.select import QueryCompiler
from local_aws.athena.types import Type
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


class Context:
    """One statement's run. `database` is the QueryExecutionContext's."""

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
    ) -> None:
        self.catalog = catalog
        self.store = store
        self.session = session
        self.scratch = scratch
        self.query_id = query_id
        self.database = database
        self.output_location = output_location
        self.now = dt.datetime.now(dt.UTC)
        self.reader = Reader(catalog, store, session, self.now, scratch)
        self.planned_at: dt.datetime | None = None

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

    def plan_only(self, sql: str) -> tuple[str, Query, QueryCompiler]:
        """Analyses a query without looking for files."""
        compiler = self.compiler(sql)
        query = compiler.query(parse_query(sql))
        return query.sql, query, compiler

    def resolve(self, query: Query, compiler: QueryCompiler) -> str:
        needed = sharing.reachable(compiler.uses, query.sql)
        texts = [one if n in needed else "" for n, one in enumerate(compiler.uses)] + [query.sql]
        for scan in compiler.scans:
            for n, body in enumerate(texts):
                if scan.token in body:
                    texts[n] = body.replace(scan.token, self.reader.relation(scan))
                    break
        self.planned_at = dt.datetime.now(dt.UTC)
        return sharing.share(texts[:-1], texts[-1])

    def columns(self, query: Query) -> list[tuple[str, Type]]:
        return [(f.name if f.name is not None else f"_col{i}", f.type) for i, f in enumerate(query.fields)]

    def text(self, rows: list[list[str]], columns: list[tuple[str, Type]]) -> Outcome:
        path = self.scratch / f"{self.query_id}.txt"
        path.write_bytes("".join("\t".join(r) + "\n" for r in rows).encode())
        return Outcome("txt", path, columns, len(rows), self.reader.scanned, planned_at=self.planned_at)

    def counted(self, rows: int, files: list[str] | None = None) -> Outcome:
        """What a statement leaves that writes: no result file, the number of rows, and the files that it made."""
        columns = [("rows", ty.BIGINT)]
        return Outcome(
            "", self._empty(), columns, 0, self.reader.scanned, rows, files, planned_at=self.planned_at
        )

    def nothing(self) -> Outcome:
        """What CREATE TABLE IF NOT EXISTS leaves where there is one."""
        return Outcome("", self._empty(), update_count=0, manifest=[])

    def _empty(self) -> Path:
        path = self.scratch / f"{self.query_id}.out"
        path.write_bytes(b"")
        return path
