"""Queries: from Trino's syntax to typed DuckDB SQL.

Every expression is compiled together with its Trino type, because what an operator does depends on
types (7 / 2 is 3), and because Trino refuses what DuckDB would quietly convert. Relations get unique
aliases and columns positional names, so neither case nor duplicate names matter in DuckDB.

Tables are left as placeholders (`Scan.token`): what they read is decided when the whole query is
known, so that only the columns and partitions that it needs are touched.
"""

from __future__ import annotations

import datetime as dt
import itertools
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sqlglot import exp

from local_aws.athena import functions as fn
from local_aws.athena import library as _library  # noqa: F401 (registers functions)
from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import (
    E,
    cast,
    coerce,
    comparable,
    equals,
    literal,
    raise_text,
    struct_field,
    zoned_literal,
)
from local_aws.athena.parser import JsonCall, parse_query, position
from local_aws.athena.types import Type


class TableLike(Protocol):
    """What the compiler needs to know of a table."""

    database: str
    name: str

    @property
    def columns(self) -> list[tuple[str, Type]]: ...
    @property
    def partition_keys(self) -> list[tuple[str, Type]]: ...


@dataclass
class View:
    """A view's query and where its unqualified names are looked up."""

    sql: str
    database: str
    columns: list[tuple[str, Type]]


class CatalogLike(Protocol):
    """Looks up what a FROM clause names. Raises QueryError where there is nothing."""

    def resolve(
        self, catalog: str | None, database: str, name: str, where: tuple[int, int] | None
    ) -> TableLike | View | VirtualTable: ...


@dataclass
class VirtualTable:
    """Rows that the catalog itself gives, such as information_schema's."""

    columns: list[tuple[str, Type]]
    sql: str


@dataclass
class Bound:
    """What the query demands of a partition column: `op` and the constants' DuckDB SQL."""

    op: str
    constants: list[str]


@dataclass
class Scan:
    """One use of a table in a query."""

    id: int
    table: TableLike
    used: set[str] = field(default_factory=set)
    bounds: dict[str, list[Bound]] = field(default_factory=dict)
    # Predicates over partition columns only, as DuckDB SQL over p."column".
    filters: list[str] = field(default_factory=list)
    # What an Iceberg table's scan reads, once it is planned.
    plan: list[Any] = field(default_factory=list)

    @property
    def token(self) -> str:
        return f"\x00scan{self.id}\x00"


Origin = tuple[Scan, str]
# Columns that SELECT * leaves out.
HIDDEN = [("$path", ty.VARCHAR), ("$file_size", ty.BIGINT)]


@dataclass
class Field:
    """A column of a relation. `origins`: the table columns that it is, unchanged."""

    name: str | None
    type: Type
    sql: str
    origins: tuple[Origin, ...] = ()
    hidden: bool = False
    # The scan and column to mark as read when somebody uses the field.
    mark: tuple[Origin, ...] = ()


@dataclass
class Relation:
    alias: str | None
    fields: list[Field]
    database: str | None = None


@dataclass
class Query:
    """A compiled query: columns c0, c1, ... of `sql` are `fields`."""

    sql: str
    fields: list[Field]
    ordered: bool = False


@dataclass
class Scope:
    relations: list[Relation]
    parent: Scope | None = None
    # Output columns by alias, for ORDER BY.
    outputs: dict[str, E] | None = None


@dataclass
class _Cte:
    node: exp.Expression
    columns: list[str]
    context: dict[str, _Cte]
    recursive: bool = False
    # What the name means inside of its own recursion.
    step: Query | None = None


class Compiler:
    """Compiles one statement. `default_database` is the QueryExecutionContext's."""

    def __init__(self, catalog: CatalogLike, default_database: str, sql: str) -> None:
        self.catalog = catalog
        self.database = default_database
        self.source = sql
        self.scans: list[Scan] = []
        self.ctes: dict[str, _Cte] = {}
        self._aliases = itertools.count()
        self._lambdas: list[dict[str, E]] = []
        self._views: list[tuple[str, str]] = []
        # Columns named outside aggregates since the group began; see _grouped.
        self._free: list[tuple[str, exp.Expression]] = []
        self._group_sql: list[set[str] | None] = [None]
        self.in_aggregate = 0
        self._variable = 0
        self._references: list[Field] = []
        self._partition_scan: Scan | None = None
        self._windows: list[exp.Expression] = []
        self._named_windows: dict[str, exp.Expression] = {}
        # Whether NULL and false mean the same to whoever uses the expression (a WHERE clause), so that
        # cheaper SQL may be written: `_truth` for the next expression, `truth` for the one at hand.
        self._truth = False
        self.truth = False
        self.now = dt.datetime.now(dt.UTC)
        # Gives the value of a constant's SQL; time travel needs it while it compiles.
        self.evaluate: Callable[[str], Any] | None = None
        # One statement sees one state of each table.
        self._resolved: dict[tuple[str | None, str, str], TableLike | View | VirtualTable] = {}

    # ------------------------------------------------------------------------------------ entry

    def query(self, node: exp.Expression, parent: Scope | None = None) -> Query:
        """Compiles a SELECT, VALUES, set operation or a parenthesised one."""
        with self._with(node):
            if isinstance(node, exp.Subquery):
                inner = self.query(node.this, parent)
                return self._order_wrapped(inner, node, parent)
            if isinstance(node, exp.Select):
                return self._select(node, parent)
            if isinstance(node, exp.SetOperation):
                return self._set_operation(node, parent)
            if isinstance(node, exp.Values):
                return self._values(node, parent)
            if isinstance(node, exp.Table):
                return self._select(exp.select("*").from_(node), parent)
        raise self.fail("", f"mismatched input '{node.sql('trino')[:40]}'. Expecting: a query", node)

    def fail(self, code: str, message: str, node: exp.Expression | None = None) -> QueryError:
        # Inside a view the position would point into another text.
        return QueryError(code, message, None if self._views else (position(self.source, node) or (1, 1)))

    def parameter(self) -> str:
        """The DuckDB name of the next lambda's parameter; the same whenever the same text is compiled."""
        return f"λ{len(self._lambdas)}"

    def changes(self) -> None:
        """Notes that the expression at hand is no constant."""
        self._variable += 1

    def alias(self) -> str:
        return f"r{next(self._aliases)}"

    @contextmanager
    def _with(self, node: exp.Expression) -> Iterator[None]:
        clause = node.args.get("with_") or node.args.get("with")
        if clause is None:
            yield
            return
        saved = self.ctes
        for cte in clause.expressions:
            columns = [c.name for c in cte.args["alias"].args.get("columns") or []]
            recursive = bool(clause.args.get("recursive")) and _mentions(cte.this, cte.alias)
            self.ctes = {**self.ctes, cte.alias.lower(): _Cte(cte.this, columns, self.ctes, recursive)}
        try:
            yield
        finally:
            self.ctes = saved

    # -------------------------------------------------------------------------------- relations

    def _relation(self, node: exp.Expression, scope: Scope) -> tuple[str, Relation]:
        """FROM item: its SQL and what it brings into scope."""
        sample = node.args.get("sample")
        if sample is not None:
            node.set("sample", None)
            try:
                sql, relation = self._relation(node, scope)
            finally:
                node.set("sample", sample)
            return f"{sql}{self._sample(sample)}", relation
        if isinstance(node, exp.Table):
            return self._table(node, scope)
        if isinstance(node, exp.Unnest):
            return self._unnest(node, scope)
        if isinstance(node, exp.Lateral):
            if isinstance(node.this, exp.Subquery):
                sql, relation = self._subquery(node.this, scope, node.args.get("alias"))
                return f"LATERAL {sql}", relation
            raise not_supported("LATERAL " + type(node.this).__name__, position(self.source, node))
        if isinstance(node, exp.Subquery):
            if isinstance(node.this, exp.Table) or (
                node.this.args.get("joins") and isinstance(node.this, exp.Table)
            ):
                sql, relations = self._from(node.this, node.this.args.get("joins") or [], scope)
                if len(relations) == 1:
                    return sql, relations[0]
                raise not_supported("A join in parentheses", position(self.source, node))
            parent = Scope([], scope.parent)
            return self._subquery(node, parent, node.args.get("alias"))
        if isinstance(node, exp.Values):
            query = self._values(node, scope)
            return self._derived(query, node.args.get("alias"), node)
        raise not_supported(f"FROM {node.sql('trino')[:60]}", position(self.source, node))

    def _sample(self, sample: exp.Expression) -> str:
        """TABLESAMPLE BERNOULLI or SYSTEM: each row is taken with the probability."""
        method, percent = sample.args.get("method"), sample.args.get("percent") or sample.args.get("size")
        while isinstance(percent, exp.Paren):
            percent = percent.this
        name = str(getattr(method, "name", method) or "").upper()
        if name not in ("BERNOULLI", "SYSTEM") or not isinstance(percent, exp.Literal):
            raise not_supported(f"TABLESAMPLE {name}", position(self.source, sample))
        if not 0 <= float(percent.name) <= 100:
            raise self.fail(
                "INVALID_ARGUMENTS",
                "Sample percentage must be greater than or equal to 0 and less than or equal to 100",
                sample,
            )
        return f" TABLESAMPLE BERNOULLI({float(percent.name)}%)"

    def _subquery(
        self, node: exp.Subquery, scope: Scope, alias: exp.Expression | None
    ) -> tuple[str, Relation]:
        query = self.query(node.this, scope)
        return self._derived(query, alias, node)

    def _derived(
        self, query: Query, alias: exp.Expression | None, node: exp.Expression
    ) -> tuple[str, Relation]:
        r = self.alias()
        name = alias.name.lower() if alias is not None and alias.name else None
        fields = [
            Field(f.name, f.type, f'{r}."c{i}"', f.origins, mark=f.mark) for i, f in enumerate(query.fields)
        ]
        relation = Relation(name, fields)
        self._rename(relation, alias, node)
        return f"({query.sql}) AS {r}", relation

    def _rename(self, relation: Relation, alias: exp.Expression | None, node: exp.Expression) -> None:
        columns = [c.name for c in (alias.args.get("columns") or [])] if alias is not None else []
        if not columns:
            return
        visible = [f for f in relation.fields if not f.hidden]
        if len(columns) != len(visible):
            raise self.fail(
                "MISMATCHED_COLUMN_ALIASES",
                f"Column alias list has {len(columns)} entries but '{relation.alias}' has {len(visible)} columns available",
                node,
            )
        for f, name in zip(visible, columns, strict=True):
            f.name = name

    def _table(self, node: exp.Table, scope: Scope) -> tuple[str, Relation]:
        name = node.name
        where = position(self.source, node) if not self._views else None
        alias_node = node.args.get("alias")
        alias = alias_node.name.lower() if alias_node is not None and alias_node.name else name.lower()
        version = node.args.get("version")
        if isinstance(node.this, exp.Anonymous) and node.this.name.lower() == "table":
            return self._table_function(node, scope)
        if not isinstance(node.this, exp.Identifier):
            raise not_supported(f"Table function {node.this.sql('trino')[:60]}", where)
        cte = self.ctes.get(name.lower()) if not node.db else None
        if cte is not None:
            saved, self.ctes = self.ctes, cte.context
            try:
                if cte.step is not None:
                    query = cte.step
                else:
                    query = self._recursive(cte, name, node) if cte.recursive else self.query(cte.node, None)
            finally:
                self.ctes = saved
            query = Query(query.sql, [replace(f) for f in query.fields])
            if cte.columns:
                if len(cte.columns) != len(query.fields):
                    raise self.fail(
                        "MISMATCHED_COLUMN_ALIASES",
                        f"Column alias list has {len(cte.columns)} entries but relation has {len(query.fields)} columns",
                        node,
                    )
                for f, column in zip(query.fields, cte.columns, strict=True):
                    f.name = column
            sql, relation = self._derived(query, None, node)
            relation.alias = alias
            self._rename(relation, alias_node, node)
            return sql, relation
        database = (node.db or self.database).lower()
        key = (node.catalog or None, database, name.lower())
        found = self._resolved.get(key)
        if found is None:
            found = self._resolved[key] = self.catalog.resolve(*key, where)
        if version is not None:
            found = self._as_of(found, version, node)
        if isinstance(found, View):
            sql, relation = self._view(found, database, name.lower(), node)
        elif isinstance(found, VirtualTable):
            r = self.alias()
            relation = Relation(None, [Field(n, t, f"{r}.{ty.quote(n)}") for n, t in found.columns])
            sql = f"({found.sql}) AS {r}"
        else:
            scan = Scan(len(self.scans), found)
            self.scans.append(scan)
            r = self.alias()
            fields = []
            for column, t in [*found.columns, *found.partition_keys]:
                o = ((scan, column.lower()),)
                fields.append(Field(column, t, f"{r}.{ty.quote(column)}", o, mark=o))
            for hidden, t in getattr(found, "hidden", HIDDEN):
                fields.append(
                    Field(hidden, t, f"{r}.{ty.quote(hidden)}", (), hidden=True, mark=((scan, hidden),))
                )
            relation = Relation(None, fields)
            sql = f"{scan.token} AS {r}"
        relation.alias = alias
        relation.database = database if alias == name.lower() else None
        self._rename(relation, alias_node, node)
        return sql, relation

    def _as_of(self, found: Any, version: exp.Expression, node: exp.Table) -> TableLike:
        """Time travel: https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-time-travel-and-version-travel-queries.html"""
        if getattr(found, "format", "") != "iceberg" or self.evaluate is None:
            raise self.fail(
                "NOT_SUPPORTED", f"This connector does not support versioned tables: {node.name}", node
            )
        from local_aws.athena.iceberg.table import as_of

        value = self.expr(version.expression, Scope([]))
        return as_of(found, version.name.upper(), value, self.evaluate)

    def _table_function(self, node: exp.Table, scope: Scope) -> tuple[str, Relation]:
        """TABLE(sequence(start, stop, step)), the only function of tables that needs none
        (https://trino.io/docs/435/functions/table.html)."""
        calls = node.this.expressions
        if len(calls) != 1 or not isinstance(calls[0], exp.Anonymous) or calls[0].name.lower() != "sequence":
            raise not_supported(f"Table function {node.this.sql('trino')[:60]}", position(self.source, node))
        named: dict[str, exp.Expression] = {}
        for key, e in zip(("start", "stop", "step"), calls[0].expressions, strict=False):
            if isinstance(e, exp.Kwarg | exp.PropertyEQ):
                named[e.this.name.lower()] = e.expression
            else:
                named[key] = e
        values = {k: self.expr(e, scope).sql for k, e in named.items()}
        if "stop" not in values:
            raise self.fail("MISSING_ARGUMENT", "Missing argument: STOP", node)
        r = self.alias()
        start, step = values.get("start", "0"), values.get("step", "1")
        sql = f'(SELECT unnest(generate_series(CAST({start} AS BIGINT), CAST({values["stop"]} AS BIGINT), CAST({step} AS BIGINT))) AS "c0") AS {r}'
        relation = Relation(None, [Field("sequential_number", ty.BIGINT, f'{r}."c0"')])
        alias = node.args.get("alias")
        relation.alias = alias.name.lower() if alias is not None and alias.name else None
        self._rename(relation, alias, node)
        return sql, relation

    def _recursive(self, cte: _Cte, name: str, node: exp.Expression) -> Query:
        """WITH RECURSIVE: the rows of the first query, and of the second while it gives any.

        https://trino.io/docs/435/sql/select.html#with-recursive-clause
        """
        union = cte.node
        while isinstance(union, exp.Subquery | exp.Paren):
            union = union.this
        if not isinstance(union, exp.Union) or _mentions(union.this, name):
            raise self.fail(
                "INVALID_RECURSIVE_REFERENCE", "recursive query must be a UNION of a base and a step", node
            )
        if not cte.columns:
            raise self.fail("MISSING_COLUMN_ALIASES", "missing column aliases in recursive WITH query", node)
        base = self.query(union.this, None)
        r = self.alias()
        names = ", ".join(f'"c{i}"' for i in range(len(base.fields)))
        itself = Query(
            f"SELECT * FROM {r}",
            [Field(n, f.type, "") for n, f in zip(cte.columns, base.fields, strict=False)],
        )
        saved = self.ctes
        self.ctes = {**self.ctes, name.lower(): _Cte(union, cte.columns, self.ctes, step=itself)}
        try:
            step = self.query(union.expression, None)
        finally:
            self.ctes = saved
        if len(step.fields) != len(base.fields):
            raise self.fail(
                "TYPE_MISMATCH",
                f"base and step relations of recursion have different number of fields: {len(base.fields)}, {len(step.fields)}",
                node,
            )
        items = []
        for i, (a, b) in enumerate(zip(base.fields, step.fields, strict=True)):
            fits = ty.common(a.type, b.type) == a.type or (
                a.type.base == b.type.base == "varchar" and a.type.p is None
            )
            if not fits:
                raise self.fail(
                    "TYPE_MISMATCH",
                    f"recursion step relation output type ({b.type}) is not coercible to recursion base relation output type ({a.type}) at column {i + 1}",
                    node,
                )
            items.append(f'{cast(E(f"""q."c{i}" """.strip(), b.type), a.type).sql} AS "c{i}"')
        word = "UNION" if union.args.get("distinct") else "UNION ALL"
        fields = [Field(n, f.type, "") for n, f in zip(cte.columns, base.fields, strict=False)]
        typed = ", ".join(
            f'CAST("c{i}" AS {ty.duckdb_type(f.type)}) AS "c{i}"' for i, f in enumerate(base.fields)
        )
        sql = (
            f"WITH RECURSIVE {r}({names}) AS ((SELECT {typed} FROM ({base.sql})) {word} "
            f"(SELECT {', '.join(items)} FROM ({step.sql}) AS q)) SELECT * FROM {r}"
        )
        return Query(sql, fields)

    def _view(self, view: View, database: str, name: str, node: exp.Table) -> tuple[str, Relation]:
        if (database, name) in self._views:
            raise self.fail("INVALID_VIEW", f"View is recursive: '{database}.{name}'", node)
        tree = parse_query(view.sql)
        saved = self.ctes, self.database
        self.ctes, self.database = {}, view.database
        self._views.append((database, name))
        try:
            query = self.query(tree, None)
        finally:
            self._views.pop()
            self.ctes, self.database = saved
        if len(view.columns) != len(query.fields):
            raise self.fail(
                "VIEW_IS_STALE",
                f"View 'awsdatacatalog.{database}.{name}' is stale or in invalid state: it has "
                f"{len(view.columns)} columns, its query {len(query.fields)}; re-create the view",
                node,
            )
        for f, (column, _) in zip(query.fields, view.columns, strict=True):
            f.name = column
        return self._derived(query, None, node)

    def _unnest(self, node: exp.Unnest, scope: Scope) -> tuple[str, Relation]:
        arrays = [self.expr(e, scope) for e in node.expressions]
        inner: list[str] = []
        lists: list[str] = []
        outer: list[tuple[str, Type]] = []
        for a in arrays:
            n = f"u{len(inner)}"
            if a.type.base == "array":
                inner.append(f"unnest({a.sql}) AS {n}")
                lists.append(a.sql)
                element = a.type.args[0]
                if element.base == "row":
                    outer += [(struct_field(n, element, i), t) for i, t in enumerate(element.args)]
                else:
                    outer.append((n, element))
            elif a.type.base == "map":
                k, v = a.type.args
                inner += [
                    f"unnest(map_keys({a.sql})) AS {n}",
                    f"unnest(map_values({a.sql})) AS u{len(inner) + 1}",
                ]
                lists.append(f"map_keys({a.sql})")
                outer += [(n, k), (f"u{len(inner) - 1}", v)]
            else:
                raise self.fail("TYPE_MISMATCH", f"Cannot unnest type: {a.type}", node)
        names: list[str | None] = [None] * len(outer)
        index = 0
        for a in arrays:
            if a.type.base == "array" and a.type.args[0].base == "row":
                for n2 in a.type.args[0].names:
                    names[index] = n2
                    index += 1
            else:
                index += 2 if a.type.base == "map" else 1
        offset = node.args.get("offset")
        alias_node = node.args.get("alias")
        if offset:
            longest = lists[0] if len(lists) == 1 else None
            size = (
                f"len({longest})"
                if longest
                else "greatest(" + ", ".join(f"coalesce(len({x}), 0)" for x in lists) + ")"
            )
            inner.append(f"unnest(range(1, {size} + 1)) AS o")
            outer.append(("o", ty.BIGINT))
            names.append("ordinality")
        r = self.alias()
        items = ", ".join(f"{sql} AS c{i}" for i, (sql, _) in enumerate(outer))
        sql = f"LATERAL (SELECT {items} FROM (SELECT {', '.join(inner)})) AS {r}"
        relation = Relation(
            alias_node.name.lower() if alias_node is not None and alias_node.name else None,
            [Field(n, t, f'{r}."c{i}"') for i, ((_, t), n) in enumerate(zip(outer, names, strict=True))],
        )
        columns = [c.name for c in (alias_node.args.get("columns") or [])] if alias_node is not None else []
        if isinstance(offset, exp.Identifier):
            columns.append(offset.name)
        if columns:
            if len(columns) != len(relation.fields):
                raise self.fail(
                    "MISMATCHED_COLUMN_ALIASES",
                    f"Column alias list has {len(columns)} entries but '{relation.alias}' has {len(relation.fields)} columns available",
                    node,
                )
            for f, column in zip(relation.fields, columns, strict=True):
                f.name = column
        return sql, relation

    def _from(
        self, first: exp.Expression, joins: list[exp.Expression], scope: Scope
    ) -> tuple[str, list[Relation]]:
        nested = first.args.get("joins") or []
        sql, relation = self._relation(first, scope)
        scope.relations.append(relation)
        for join in [*nested, *[j for j in joins if j not in nested]]:
            sql = self._join(sql, join, scope)
        return sql, scope.relations

    def _join(self, left: str, join: exp.Expression, scope: Scope) -> str:
        kind, side, method = (join.args.get(k) or "" for k in ("kind", "side", "method"))
        kind, side, method = str(kind).upper(), str(side).upper(), str(method).upper()
        if kind in ("SEMI", "ANTI") or method == "ASOF":
            raise self.fail("", f"mismatched input '{kind or method}'", join)
        before = list(scope.relations)
        sql, relation = self._relation(join.this, scope)
        using = [c.name.lower() for c in join.args.get("using") or []]
        if method == "NATURAL":
            raise self.fail("NOT_SUPPORTED", "Natural join not supported", join)
        if kind == "CROSS" or (not kind and not side and not join.args.get("on") and not using):
            scope.relations.append(relation)
            return f"{left} CROSS JOIN {sql}"
        word = {"LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL JOIN"}.get(side, "INNER JOIN")
        if using:
            conditions, merged = [], []
            for name in using:
                a = self._find(Scope(before), [name], join)
                b = self._find(Scope([relation]), [name], join)
                ea, eb = E(a.sql, a.type), E(b.sql, b.type)
                x, y, t = self._common(ea, eb, "=", join)
                conditions.append(f"{x.sql} = {y.sql}")
                value = {"RIGHT": y.sql, "FULL": f"coalesce({x.sql}, {y.sql})"}.get(side, x.sql)
                origins = a.origins if side in ("", "INNER", "LEFT") else ()
                merged.append(Field(a.name, t, value, origins, mark=(*a.mark, *b.mark)))
                self._touch(a)
                self._touch(b)
            for rel in [*before, relation]:
                rel.fields = [f for f in rel.fields if f.name is None or f.name.lower() not in using]
            scope.relations.insert(0, Relation(None, merged))
            scope.relations.append(relation)
            return f"{left} {word} {sql} ON {' AND '.join(conditions)}"
        scope.relations.append(relation)
        on = join.args.get("on")
        if on is None:
            raise self.fail("", "mismatched input. Expecting: 'ON', 'USING'", join)
        self._group_sql.append(None)
        condition = self._boolean(on, scope, "JOIN ON")
        self._group_sql.pop()
        if not side:
            self._constrain(on, scope, None)
        elif side == "LEFT":
            self._constrain(on, scope, {id(f) for f in relation.fields})
        elif side == "RIGHT":
            self._constrain(on, scope, {id(f) for rel in before for f in rel.fields})
        return f"{left} {word} {sql} ON {condition.sql}"

    # ----------------------------------------------------------------------------------- SELECT

    def _select(self, node: exp.Select, parent: Scope | None) -> Query:
        for clause in (
            "laterals",
            "connect",
            "match",
            "qualify",
            "pivots",
            "cluster",
            "distribute",
            "sort",
            "hint",
            "into",
            "kind",
        ):
            if node.args.get(clause):
                raise not_supported(clause.upper(), position(self.source, node))
        scope = Scope([], parent)
        from_sql = ""
        source = node.args.get("from_") or node.args.get("from")
        saved_group, self._group_sql = self._group_sql, [None]
        saved_free, self._free = self._free, []
        saved_aggregate, self.in_aggregate = self.in_aggregate, 0
        saved_windows, self._windows = self._windows, []
        saved_named = self._named_windows
        self._named_windows = {w.this.name.lower(): w for w in node.args.get("windows") or []}
        try:
            if source is not None:
                from_sql, _ = self._from(source.this, node.args.get("joins") or [], scope)
            where = ""
            condition = node.args.get("where")
            if condition is not None:
                predicate = self._boolean(condition.this, scope, "WHERE clause")
                self._no_aggregate(condition.this, "WHERE clause")
                self._constrain(condition.this, scope, None)
                where = f" WHERE {predicate.sql}"
            return self._project(node, scope, from_sql, where)
        finally:
            self._group_sql, self._free = saved_group, saved_free
            self.in_aggregate, self._windows = saved_aggregate, saved_windows
            self._named_windows = saved_named

    def _no_aggregate(self, node: exp.Expression, where: str) -> None:
        for call in _own(node, exp.Anonymous):
            if fn.is_aggregate(call.name) and not isinstance(call.parent, exp.Window):
                raise self.fail(
                    "EXPRESSION_NOT_SCALAR",
                    f"{where} cannot contain aggregations, window functions or grouping operations: [{call.sql('trino')}]",
                    call,
                )

    def _project(self, node: exp.Select, scope: Scope, from_sql: str, where: str) -> Query:
        group = node.args.get("group")
        having = node.args.get("having")
        order = node.args.get("order")
        items = self._expand(node.expressions, scope)
        aggregated = (
            group is not None
            or having is not None
            or any(self._has_aggregate(e) for e, _, _ in items if e is not None)
            or (order is not None and any(self._has_aggregate(o) for o in order.expressions))
        )
        group_sql = ""
        keys: list[str] = []
        if group is not None:
            group_sql, keys = self._group(group, items, scope)
        if aggregated:
            self._group_sql.append(set(keys))
        outputs: list[tuple[E, str | None]] = []
        for e, name, ready in items:
            if ready is not None:
                if aggregated and ready.sql not in keys:
                    raise self.fail(
                        "EXPRESSION_NOT_AGGREGATE",
                        f"Column '{name}' not in GROUP BY clause",
                        node,
                    )
                outputs.append((ready, name))
                continue
            assert e is not None
            value = self._checked(e, scope)
            outputs.append((value, name))
        having_sql = ""
        if having is not None:
            having_sql = f" HAVING {self._checked(having.this, scope, boolean='HAVING clause').sql}"
        distinct = node.args.get("distinct")
        if distinct is not None and distinct.args.get("on"):
            raise self.fail("", "mismatched input 'ON'", distinct)
        by_alias: dict[str, int] = {}
        for i, (_, name) in enumerate(outputs):
            if name is not None:
                by_alias.setdefault(name.lower(), i)
        order_sql = self._order(order, scope, outputs, by_alias, bool(distinct)) if order is not None else ""
        ties = self._ties(node)
        limit_sql = "" if ties is not None else self._limit(node)
        select = ", ".join(f'{e.sql} AS "c{i}"' for i, (e, _) in enumerate(outputs))
        sql = f"SELECT {'DISTINCT ' if distinct else ''}{select}"
        if from_sql:
            sql += f" FROM {from_sql}"
        sql += where + group_sql + having_sql + order_sql + limit_sql
        if ties is not None:
            sql = self._with_ties(sql, order_sql, ties, node)
            limit_sql = order_sql
        partitioned = [self._partitioned_by(w, scope) for w in self._windows]
        fields = []
        for output, name in outputs:
            origins = output.origins
            if limit_sql or (
                aggregated and (group is None or output.sql not in keys or "GROUPING SETS" in group_sql)
            ):
                origins = ()
            if any(output.sql not in p for p in partitioned):
                origins = ()
            fields.append(Field(name, output.type, "", origins))
        return Query(sql, fields, ordered=bool(order_sql))

    def _checked(self, node: exp.Expression, scope: Scope, boolean: str | None = None) -> E:
        """Compiles an expression of a (possibly) grouped query and refuses columns that are not grouped."""
        start = len(self._free)
        e = self._boolean(node, scope, boolean) if boolean else self.expr(node, scope)
        if self._group_sql[-1] is not None and len(self._free) > start:
            name, culprit = self._free[start]
            raise self.fail(
                "EXPRESSION_NOT_AGGREGATE",
                f"'{name}' must be an aggregate expression or appear in GROUP BY clause",
                culprit,
            )
        return e

    def _has_aggregate(self, node: exp.Expression) -> bool:
        for call in _own(node, exp.Anonymous):
            if fn.is_aggregate(call.name):
                top = call
                while isinstance(
                    top.parent, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls
                ):
                    top = top.parent
                if not isinstance(top.parent, exp.Window):
                    return True
        return any(True for _ in _own(node, exp.GroupConcat))

    def _expand(
        self, expressions: list[exp.Expression], scope: Scope
    ) -> list[tuple[exp.Expression | None, str | None, E | None]]:
        """SELECT items with * replaced: (expression, name, compiled if it came from *)."""
        items: list[tuple[exp.Expression | None, str | None, E | None]] = []
        for e in expressions:
            star_of: list[Relation] | None = None
            if isinstance(e, exp.Star):
                if e.args.get("except_") or e.args.get("except") or e.args.get("replace"):
                    raise self.fail("", "mismatched input. SELECT * has no EXCEPT or REPLACE", e)
                if not scope.relations:
                    raise self.fail("", "SELECT * not allowed in queries without FROM clause", e)
                star_of = scope.relations
            elif isinstance(e, exp.Column) and isinstance(e.this, exp.Star):
                qualifier = [p.name.lower() for p in e.parts[:-1]]
                star_of = [r for r in scope.relations if r.alias == qualifier[-1]]
                if not star_of:
                    raise self.fail(
                        "TABLE_NOT_FOUND", f"Unable to resolve reference {'.'.join(qualifier)}", e
                    )
            elif isinstance(e, exp.Dot) and isinstance(e.expression, exp.Star):
                value = self.expr(e.this, scope)
                if value.type.base != "row":
                    raise self.fail("TYPE_MISMATCH", f"expected expression of type Row, got {value.type}", e)
                for i, (n, t) in enumerate(zip(value.type.names, value.type.args, strict=True)):
                    items.append((None, n, E(struct_field(value.sql, value.type, i), t)))
                continue
            if star_of is not None:
                for r in star_of:
                    for f in r.fields:
                        if not f.hidden:
                            self._touch(f)
                            items.append((None, f.name, E(f.sql, f.type, f.origins)))
                continue
            if isinstance(e, exp.Alias):
                items.append((e.this, e.alias, None))
            else:
                items.append((e, _derived_name(e), None))
        return items

    def _group(
        self,
        group: exp.Expression,
        items: list[tuple[exp.Expression | None, str | None, E | None]],
        scope: Scope,
    ) -> tuple[str, list[str]]:
        keys: list[str] = []

        def key(e: exp.Expression) -> str:
            while isinstance(e, exp.Paren):
                e = e.this
            if isinstance(e, exp.Literal) and not e.is_string:
                n = int(e.name)
                if not 1 <= n <= len(items):
                    raise self.fail(
                        "INVALID_COLUMN_REFERENCE", f"GROUP BY position {n} is not in select list", e
                    )
                item, _, ready = items[n - 1]
                value = ready if ready is not None else self.expr(_some(item), scope)
                if item is not None and self._has_aggregate(item):
                    raise self.fail("EXPRESSION_NOT_SCALAR", "GROUP BY clause cannot contain aggregations", e)
            else:
                self._no_aggregate(e, "GROUP BY clause")
                value = self.expr(e, scope)
            keys.append(value.sql)
            # A bare number would be a position to DuckDB.
            return f"CAST({value.sql} AS {ty.duckdb_type(value.type)})" if value.sql.isdigit() else value.sql

        def several(e: exp.Expression) -> str:
            if isinstance(e, exp.Tuple):
                return "(" + ", ".join(key(x) for x in e.expressions) + ")"
            return "(" + key(e) + ")"

        def grouping(e: exp.Expression) -> str:
            if isinstance(e, exp.Rollup | exp.Cube):
                return f"{type(e).__name__.upper()}(" + ", ".join(several(x) for x in e.expressions) + ")"
            if isinstance(e, exp.GroupingSets):
                return (
                    "GROUPING SETS ("
                    + ", ".join(
                        grouping(x) if isinstance(x, exp.Rollup | exp.Cube | exp.GroupingSets) else several(x)
                        for x in e.expressions
                    )
                    + ")"
                )
            return key(e)

        parts = [grouping(e) for e in group.expressions]
        complex_sets = False
        for kind in ("grouping_sets", "rollup", "cube"):
            for e in group.args.get(kind) or []:
                parts.append(grouping(e))
                complex_sets = True
        if not parts:
            raise not_supported("GROUP BY " + group.sql("trino")[:60], position(self.source, group))
        return " GROUP BY " + ", ".join(parts) + (" /* GROUPING SETS */" if complex_sets else ""), keys

    def _order(
        self,
        order: exp.Expression,
        scope: Scope,
        outputs: list[tuple[E, str | None]],
        by_alias: dict[str, int],
        distinct: bool,
    ) -> str:
        keys = []
        for ordered in order.expressions:
            e = ordered.this
            index: int | None = None
            if isinstance(e, exp.Literal) and not e.is_string:
                index = int(e.name) - 1
                if not 0 <= index < len(outputs):
                    raise self.fail(
                        "INVALID_COLUMN_REFERENCE", f"ORDER BY position {e.name} is not in select list", e
                    )
            elif isinstance(e, exp.Column) and not e.table and e.name.lower() in by_alias:
                index = by_alias[e.name.lower()]
            if index is None:
                inner = Scope(scope.relations, scope.parent, {n: outputs[i][0] for n, i in by_alias.items()})
                value = self._checked(e, inner)
                index = next((i for i, (o, _) in enumerate(outputs) if o.sql == value.sql), None)
                if index is None and distinct:
                    raise self.fail(
                        "EXPRESSION_NOT_IN_DISTINCT",
                        "For SELECT DISTINCT, ORDER BY expressions must appear in select list",
                        e,
                    )
                sql = value.sql
                if index is None and value.const:
                    # Orders nothing, and a number would be taken for a position.
                    continue
            t = outputs[index][0].type if index is not None else value.type
            if t.base in ("map", "json"):
                raise self.fail(
                    "TYPE_MISMATCH", f"Type {t} is not orderable, and therefore cannot be used in ORDER BY", e
                )
            keys.append((str(index + 1) if index is not None else sql) + _direction(ordered))
        return " ORDER BY " + ", ".join(keys) if keys else ""

    def _limit(self, node: exp.Expression) -> str:
        sql = ""
        limit, offset = node.args.get("limit"), node.args.get("offset")
        if limit is not None:
            if isinstance(limit, exp.Fetch):
                options = limit.args.get("limit_options")
                if options is not None and (options.args.get("with_ties") or options.args.get("percent")):
                    raise not_supported("FETCH FIRST ... WITH TIES", position(self.source, limit))
                count = limit.args.get("count")
                sql += f" LIMIT {self._count(count) if count is not None else 1}"
            elif not (isinstance(limit.expression, exp.Column) and limit.expression.name.upper() == "ALL"):
                sql += f" LIMIT {self._count(limit.expression)}"
        if offset is not None:
            sql += f" OFFSET {self._count(offset.expression)}"
        return sql

    def _ties(self, node: exp.Expression) -> int | None:
        """n of FETCH FIRST n ROWS WITH TIES."""
        limit = node.args.get("limit")
        options = limit.args.get("limit_options") if isinstance(limit, exp.Fetch) else None
        if limit is None or options is None or not options.args.get("with_ties"):
            return None
        if node.args.get("order") is None:
            raise self.fail("MISSING_ORDER_BY", "FETCH FIRST WITH TIES clause requires ORDER BY", limit)
        if node.args.get("offset") is not None:
            raise not_supported("OFFSET and FETCH FIRST ... WITH TIES", position(self.source, limit))
        return self._count(limit.args["count"]) if limit.args.get("count") is not None else 1

    def _with_ties(self, sql: str, order: str, ties: int, node: exp.Expression) -> str:
        """The rows whose rank is in reach; DuckDB has no WITH TIES."""
        keys = order.removeprefix(" ORDER BY ").split(", ")
        if not all(re.fullmatch(r"\d+ (ASC|DESC) NULLS (FIRST|LAST)", k) for k in keys):
            raise not_supported(
                "FETCH FIRST ... WITH TIES by what is not selected", position(self.source, node)
            )
        named = ", ".join(f'"c{int(k.split(" ")[0]) - 1}" {k.split(" ", 1)[1]}' for k in keys)
        return f'SELECT * EXCLUDE ("$rank") FROM (SELECT *, rank() OVER (ORDER BY {named}) AS "$rank" FROM ({sql}) AS t) WHERE "$rank" <= {ties} ORDER BY {named}'

    def _count(self, node: exp.Expression) -> int:
        if isinstance(node, exp.Literal) and node.name.isdigit():
            return int(node.name)
        raise self.fail("", f"mismatched input '{node.sql('trino')}'. Expecting: 'ALL', '?', <integer>", node)

    def _order_wrapped(self, inner: Query, node: exp.Expression, parent: Scope | None) -> Query:
        """ORDER BY and LIMIT of a set operation or of a query in parentheses."""
        order = node.args.get("order")
        limit = self._limit(node)
        if order is None and not limit:
            return inner
        r = self.alias()
        relation = Relation(None, [Field(f.name, f.type, f'{r}."c{i}"') for i, f in enumerate(inner.fields)])
        scope = Scope([relation], parent)
        outputs = [(E(f.sql, f.type), f.name) for f in relation.fields]
        by_alias = {n.lower(): i for i, (_, n) in reversed(list(enumerate(outputs))) if n}
        order_sql = self._order(order, scope, outputs, by_alias, False) if order is not None else ""
        select = ", ".join(f'{f.sql} AS "c{i}"' for i, f in enumerate(relation.fields))
        sql = f"SELECT {select} FROM ({inner.sql}) AS {r}{order_sql}{limit}"
        fields = [Field(f.name, f.type, "", () if limit else f.origins) for f in inner.fields]
        return Query(sql, fields, ordered=bool(order_sql))

    def _set_operation(self, node: exp.SetOperation, parent: Scope | None) -> Query:
        left, right = self.query(node.this, parent), self.query(node.expression, parent)
        word = type(node).__name__.upper()
        if node.args.get("by_name") or node.args.get("side"):
            raise self.fail("", f"mismatched input in {word}", node)
        if len(left.fields) != len(right.fields):
            raise self.fail(
                "TYPE_MISMATCH",
                f"{word} query has different number of fields: {len(left.fields)}, {len(right.fields)}",
                node,
            )
        fields = []
        types = []
        for i, (a, b) in enumerate(zip(left.fields, right.fields, strict=True)):
            t = ty.common(a.type, b.type)
            if t is None:
                raise self.fail(
                    "TYPE_MISMATCH",
                    f"column {i + 1} in {word} query has incompatible types: {a.type}, {b.type}",
                    node,
                )
            origins: tuple[Origin, ...] = ()
            if a.origins and b.origins and a.type == t == b.type:
                origins = (*a.origins, *b.origins)
            elif word != "UNION" and a.type == t:
                origins = a.origins
            types.append(t)
            fields.append(Field(a.name, t, "", origins))

        def side(q: Query) -> str:
            items = ", ".join(
                f'{cast(E(f"""q."c{i}" """.strip(), f.type), t).sql} AS "c{i}"'
                for i, (f, t) in enumerate(zip(q.fields, types, strict=True))
            )
            return f"SELECT {items} FROM ({q.sql}) AS q"

        if not node.args.get("distinct") and node.args.get("distinct") is not None:
            word += " ALL"
        inner = Query(f"({side(left)}) {word} ({side(right)})", fields)
        return self._order_wrapped(inner, node, parent)

    def _values(self, node: exp.Values, parent: Scope | None) -> Query:
        scope = Scope([], parent)
        rows = []
        for e in node.expressions:
            cells = e.expressions if isinstance(e, exp.Tuple) else [e.this if isinstance(e, exp.Paren) else e]
            rows.append([self.expr(c, scope) for c in cells])
        width = len(rows[0])
        types: list[Type] = [ty.UNKNOWN] * width
        for cells in rows:
            if len(cells) != width:
                raise self.fail(
                    "TYPE_MISMATCH", f"Values rows have mismatched sizes: {width} vs {len(cells)}", node
                )
            for i, c in enumerate(cells):
                t = ty.common(types[i], c.type)
                if t is None:
                    raise self.fail(
                        "TYPE_MISMATCH", f"Values rows have mismatched types: {types[i]} vs {c.type}", node
                    )
                types[i] = t
        body = ", ".join(
            "(" + ", ".join(cast(c, t).sql for c, t in zip(cells, types, strict=True)) + ")" for cells in rows
        )
        names = ", ".join(f'"c{i}"' for i in range(width))
        inner = Query(
            f"SELECT {names} FROM (VALUES {body}) AS v({names})",
            [Field(None, t, "") for t in types],
        )
        return self._order_wrapped(inner, node, parent)

    # ----------------------------------------------------------------------- partition pruning

    def _constrain(self, node: exp.Expression, scope: Scope, only: set[int] | None) -> None:
        """Notes what a condition that must hold says about partition columns.

        only: the ids of the fields that may be constrained (the inner side of an outer join).
        """
        while isinstance(node, exp.Paren):
            node = node.this
        if isinstance(node, exp.And):
            self._constrain(node.this, scope, only)
            self._constrain(node.expression, scope, only)
            return
        if any(node.find_all(exp.Select)) or any(node.find_all(exp.Values)):
            return
        saved = self._references, self._free, self._windows
        self._references = []
        try:
            self.expr(node, scope)
            references = self._references
            if not references or any(only is not None and id(f) not in only for f in references):
                return
            scans: dict[int, Scan] = {}
            for f in references:
                for scan, _ in f.origins:
                    scans[scan.id] = scan
            for scan in scans.values():
                partitions = getattr(
                    scan.table, "prunable", {n.lower() for n, _ in scan.table.partition_keys}
                )
                if all(any(s is scan and c in partitions for s, c in f.origins) for f in references):
                    self._partition_scan = scan
                    try:
                        e = self.expr(node, scope)
                        scan.filters.append(e.sql)
                        self._bound(node, scope, scan)
                    finally:
                        self._partition_scan = None
        finally:
            self._references, self._free, self._windows = saved

    def _bound(self, node: exp.Expression, scope: Scope, scan: Scan) -> None:
        """Equalities and ranges, from which injected and projected partitions are enumerated."""

        def column(e: exp.Expression) -> tuple[str, Type] | None:
            while isinstance(e, exp.Paren):
                e = e.this
            if not isinstance(e, exp.Column):
                return None
            found = self._lookup(scope, [p.name for p in e.parts], e)
            if found is None:
                return None
            return next(c for s, c in found[0].origins if s is scan), found[0].type

        def constant(e: exp.Expression, t: Type) -> str | None:
            if any(e.find_all(exp.Column)):
                return None
            value = self.expr(e, scope)
            c = ty.common(value.type, t)
            # '2026-11-01' for a varchar(10) column and 5 for a bigint one keep their value.
            if c is None or (c.base != t.base and not (c.base in ty.NUMERIC and t.base in ty.NUMERIC)):
                return None
            return cast(value, c).sql

        def add(target: tuple[str, Type] | None, op: str, constants: list[str | None]) -> None:
            if target is not None and all(c is not None for c in constants):
                scan.bounds.setdefault(target[0], []).append(Bound(op, [str(c) for c in constants]))

        if isinstance(node, exp.Between):
            target = column(node.this)
            if target:
                add(target, ">=", [constant(node.args["low"], target[1])])
                add(target, "<=", [constant(node.args["high"], target[1])])
        elif isinstance(node, exp.In) and not node.args.get("query"):
            target = column(node.this)
            if target:
                add(target, "in", [constant(e, target[1]) for e in node.expressions])
        elif isinstance(node, exp.Or):
            alternatives = [node.this, node.expression]
            values: list[exp.Expression] = []
            target = None
            while alternatives:
                e = alternatives.pop()
                while isinstance(e, exp.Paren):
                    e = e.this
                if isinstance(e, exp.Or):
                    alternatives += [e.this, e.expression]
                    continue
                if isinstance(e, exp.EQ):
                    this, those = column(e.this), [e.expression]
                    if this is None:
                        this, those = column(e.expression), [e.this]
                elif isinstance(e, exp.In) and not e.args.get("query"):
                    this, those = column(e.this), list(e.expressions)
                else:
                    return
                if this is None or (target is not None and this[0] != target[0]):
                    return
                target = this
                values += those
            if target:
                add(target, "in", [constant(e, target[1]) for e in values])
        else:
            ops: dict[type[exp.Expression], tuple[str, str]] = {
                exp.EQ: ("in", "in"),
                exp.GT: (">", "<"),
                exp.GTE: (">=", "<="),
                exp.LT: ("<", ">"),
                exp.LTE: ("<=", ">="),
            }
            pair = ops.get(type(node))
            if pair:
                target = column(node.this)
                if target:
                    add(target, pair[0], [constant(node.expression, target[1])])
                else:
                    target = column(node.expression)
                    if target:
                        add(target, pair[1], [constant(node.this, target[1])])

    def _partitioned_by(self, window: exp.Expression, scope: Scope) -> set[str]:
        saved = self._windows
        self._windows = []
        try:
            return {self.expr(e, scope).sql for e in window.args.get("partition_by") or []}
        except QueryError:
            return set()
        finally:
            self._windows = saved

    # ------------------------------------------------------------------------------ expressions

    def _touch(self, f: Field) -> None:
        for scan, column in f.mark:
            scan.used.add(column)

    def _find(self, scope: Scope, parts: list[str], node: exp.Expression) -> Field:
        """The field that a dotted name means, innermost query first. Raises COLUMN_NOT_FOUND."""
        found = self._lookup(scope, parts, node)
        if found is None:
            raise self.fail(
                "COLUMN_NOT_FOUND",
                f"Column '{'.'.join(parts)}' cannot be resolved or requester is not authorized to access requested resources",
                node,
            )
        return found[0]

    def _lookup(self, scope: Scope, parts: list[str], node: exp.Expression) -> tuple[Field, Scope] | None:
        names = [p.lower() for p in parts]
        current: Scope | None = scope
        while current is not None:
            for split in range(len(names)):
                qualifier, rest = names[:split], names[split:]
                matches = [
                    f
                    for r in current.relations
                    if self._qualifies(r, qualifier)
                    for f in r.fields
                    if f.name is not None and f.name.lower() == rest[0]
                ]
                if len(matches) > 1:
                    raise self.fail("AMBIGUOUS_NAME", f"Column '{'.'.join(parts)}' is ambiguous", node)
                if matches and len(rest) == 1:
                    return matches[0], current
                if matches and matches[0].type.base == "row":
                    f = matches[0]
                    e = E(f.sql, f.type)
                    try:
                        for name in rest[1:]:
                            e = self._dereference(e, name, node)
                    except QueryError:
                        continue
                    return Field(parts[-1], e.type, e.sql, (), mark=f.mark), current
            current = current.parent
        return None

    def _qualifies(self, r: Relation, qualifier: list[str]) -> bool:
        if not qualifier:
            return True
        if len(qualifier) == 1:
            return r.alias == qualifier[0]
        return r.alias == qualifier[-1] and r.database == qualifier[-2]

    def _dereference(self, e: E, name: str, node: exp.Expression) -> E:
        if e.type.base != "row":
            raise self.fail("TYPE_MISMATCH", f"Expression {node.sql('trino')} is not of type ROW", node)
        for i, n in enumerate(e.type.names):
            if n is not None and n.lower() == name.lower():
                return E(struct_field(e.sql, e.type, i), e.type.args[i])
        raise self.fail("COLUMN_NOT_FOUND", f"Column '{node.sql('trino')}' cannot be resolved", node)

    def expr(self, node: exp.Expression, scope: Scope) -> E:
        """Compiles one expression."""
        start = len(self._free)
        before = self._variable
        handler = _HANDLERS.get(type(node))
        if handler is None:
            raise not_supported(
                f"{type(node).__name__} ({node.sql('trino')[:80]})", position(self.source, node)
            )
        truth = self._truth
        self.truth = truth
        self._truth = truth and isinstance(node, exp.And | exp.Or | exp.Paren)
        try:
            e = handler(self, node, scope)
        finally:
            self._truth = truth
        if self._variable == before:
            e.const = True
        keys = self._group_sql[-1]
        if keys is not None and e.sql in keys:
            del self._free[start:]
        return e

    def _boolean(self, node: exp.Expression, scope: Scope, where: str) -> E:
        saved, self._truth = self._truth, True
        try:
            e = self.expr(node, scope)
        finally:
            self._truth = saved
        if e.type.base == "unknown":
            return E("CAST(NULL AS BOOLEAN)", ty.BOOLEAN)
        if e.type != ty.BOOLEAN:
            raise self.fail(
                "TYPE_MISMATCH", f"{where} must evaluate to a boolean: actual type {e.type}", node
            )
        return e

    def _common(self, a: E, b: E, op: str, node: exp.Expression) -> tuple[E, E, Type]:
        t = ty.common(a.type, b.type)
        if t is None:
            raise self.fail("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {op} {b.type}", node)
        if {a.type.base, b.type.base} == {"varchar", "char"}:
            # Compared as char, that is without the blanks at the end.
            return E(f"rtrim({a.sql}, ' ')", ty.VARCHAR), E(f"rtrim({b.sql}, ' ')", ty.VARCHAR), ty.VARCHAR
        return cast(a, t), cast(b, t), t

    def _column(self, node: exp.Column, scope: Scope) -> E:
        parts = [p.name for p in node.parts]
        bound = self._lambda_value(parts[0])
        if bound is not None:
            e = bound
            for name in parts[1:]:
                e = self._dereference(e, name, node)
            return e
        if len(parts) == 1 and scope.outputs is not None and parts[0].lower() in scope.outputs:
            self._variable += 1
            return scope.outputs[parts[0].lower()]
        found = self._lookup(scope, parts, node)
        if found is None and len(parts) == 1 and parts[0].lower() in ("current_catalog", "current_schema"):
            return E(
                "'awsdatacatalog'" if parts[0].lower() == "current_catalog" else f"'{self.database}'",
                ty.VARCHAR,
            )
        f = found[0] if found is not None else self._find(scope, parts, node)
        self._variable += 1
        self._references.append(f)
        self._touch(f)
        if not self.in_aggregate and found is not None and found[1].relations is scope.relations:
            self._free.append((".".join(parts), node))
        if self._partition_scan is not None:
            column = next((c for s, c in f.origins if s is self._partition_scan), None)
            if column is not None:
                return E(f"p.{ty.quote(column)}", f.type)
        return E(f.sql, f.type, f.origins)

    def _identifier(self, node: exp.Identifier, scope: Scope) -> E:
        bound = self._lambda_value(node.name)
        if bound is not None:
            return bound
        return self._column(exp.column(node.copy()), scope)

    def _lambda_value(self, name: str) -> E | None:
        for frame in reversed(self._lambdas):
            if name.lower() in frame:
                self._variable += 1
                return frame[name.lower()]
        return None

    @contextmanager
    def bind(self, values: dict[str, E]) -> Iterator[None]:
        """Lambda parameters, by name, while the lambda's body is compiled."""
        self._lambdas.append({k.lower(): v for k, v in values.items()})
        try:
            yield
        finally:
            self._lambdas.pop()

    def _dot(self, node: exp.Dot, scope: Scope) -> E:
        return self._dereference(self.expr(node.this, scope), node.expression.name, node)

    def _bracket(self, node: exp.Bracket, scope: Scope) -> E:
        base = self.expr(node.this, scope)
        index = self.expr(node.expressions[0], scope)
        return fn.subscript(self, base, index, node)

    def _parameter(self, node: exp.Expression, scope: Scope) -> E:
        raise self.fail(
            "INVALID_PARAMETER_USAGE",
            "Incorrect number of parameters: the query has more than were given",
            node,
        )

    def _connective(self, node: exp.Expression, scope: Scope) -> E:
        word = "AND" if isinstance(node, exp.And) else "OR"
        a = self._logical(node.this, scope, word)
        b = self._logical(node.expression, scope, word)
        return E(f"({a.sql} {word} {b.sql})", ty.BOOLEAN)

    def _logical(self, node: exp.Expression, scope: Scope, word: str) -> E:
        e = self.expr(node, scope)
        if e.type.base == "unknown":
            return E("CAST(NULL AS BOOLEAN)", ty.BOOLEAN)
        if e.type != ty.BOOLEAN:
            raise self.fail(
                "TYPE_MISMATCH",
                f"Logical expression term must evaluate to a boolean (actual: {e.type})",
                node,
            )
        return e

    def _not(self, node: exp.Not, scope: Scope) -> E:
        e = self._logical(node.this, scope, "NOT")
        return E(f"(NOT {e.sql})", ty.BOOLEAN)

    def _compare(self, node: exp.Expression, scope: Scope) -> E:
        op = _COMPARISONS[type(node)]
        left = self.expr(node.this, scope)
        right_node = node.expression
        quantified = isinstance(right_node, exp.Anonymous) and right_node.name.upper() in (
            "ALL",
            "ANY",
            "SOME",
        )
        if isinstance(right_node, exp.Any | exp.All) or quantified:
            everything = isinstance(right_node, exp.All) or (quantified and right_node.name.upper() == "ALL")
            word = "ALL" if everything else "ANY"
            inner = right_node.expressions[0] if quantified else right_node.this
            while isinstance(inner, exp.Paren):
                inner = inner.this
            query = self.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
            self._variable += 1
            t = self._one_column(query, node)
            return E(f"({cast(left, t).sql} {op} {word} ({query.sql}))", ty.BOOLEAN)
        right = self.expr(right_node, scope)
        a, b, t = self._common(left, right, op, node)
        comparable(self, t, op, node)
        return E(_comparison(op, a, b, t, left.value is not None, right.value is not None), ty.BOOLEAN)

    def _distinct_from(self, node: exp.Expression, scope: Scope) -> E:
        a, b, _ = self._common(
            self.expr(node.this, scope), self.expr(node.expression, scope), "IS DISTINCT FROM", node
        )
        word = "IS DISTINCT FROM" if isinstance(node, exp.NullSafeNEQ) else "IS NOT DISTINCT FROM"
        return E(f"({a.sql} {word} {b.sql})", ty.BOOLEAN)

    def _is(self, node: exp.Is, scope: Scope) -> E:
        e = self.expr(node.this, scope)
        right = node.expression
        if isinstance(right, exp.Null):
            return E(f"({e.sql} IS NULL)", ty.BOOLEAN)
        if isinstance(right, exp.Not) and isinstance(right.this, exp.Null):
            return E(f"({e.sql} IS NOT NULL)", ty.BOOLEAN)
        raise not_supported(f"IS {right.sql('trino')}", position(self.source, node))

    def _between(self, node: exp.Between, scope: Scope) -> E:
        value = self.expr(node.this, scope)
        low, high = self.expr(node.args["low"], scope), self.expr(node.args["high"], scope)
        t = ty.common(value.type, low.type)
        t = ty.common(t, high.type) if t is not None else None
        if t is None:
            raise self.fail(
                "TYPE_MISMATCH", f"Cannot check if {value.type} is BETWEEN {low.type} and {high.type}", node
            )
        return E(f"({cast(value, t).sql} BETWEEN {cast(low, t).sql} AND {cast(high, t).sql})", ty.BOOLEAN)

    def _in(self, node: exp.In, scope: Scope) -> E:
        value = self.expr(node.this, scope)
        inner = node.args.get("query")
        if inner is None and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Values):
            inner = node.expressions[0]
        if inner is not None:
            query = self.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
            self._variable += 1
            if value.type.base == "row" and len(query.fields) == len(value.type.args) > 1:
                # The subquery's columns as one row.
                r = self.alias()
                whole = fn.make_row([E(f'{r}."c{i}"', f.type) for i, f in enumerate(query.fields)])
                query = Query(
                    f'SELECT {whole.sql} AS "c0" FROM ({query.sql}) AS {r}', [Field(None, whole.type, "")]
                )
            t = self._one_column(query, node)
            c = ty.common(value.type, t)
            if c is None:
                raise self.fail(
                    "TYPE_MISMATCH",
                    f"value and result of subquery must be of the same type for IN expression: {value.type} vs {t}",
                    node,
                )
            r = self.alias()
            column = cast(E(f'{r}."c0"', t), c).sql
            if c.args:
                equal = equals(cast(value, c).sql, column, c)
                return E(
                    f"(SELECT CASE WHEN coalesce(bool_or({equal}), false) THEN true WHEN count(*) > count({equal}) THEN NULL ELSE false END FROM ({query.sql}) AS {r})",
                    ty.BOOLEAN,
                )
            return E(f"({cast(value, c).sql} IN (SELECT {column} FROM ({query.sql}) AS {r}))", ty.BOOLEAN)
        if node.args.get("unnest"):
            raise not_supported("IN UNNEST", position(self.source, node))
        items = [self.expr(e, scope) for e in node.expressions]
        t = value.type
        for item in items:
            c = ty.common(t, item.type)
            if c is None:
                raise self.fail("TYPE_MISMATCH", f"IN value and list items must be the same type: {t}", node)
            t = c
        if t.args or (t.base in ("real", "double") and any(i.value is None for i in items)):
            equal = " OR ".join(
                equals(cast(value, t).sql, cast(i, t).sql, t, i.value is not None) for i in items
            )
            return E(f"({equal})", ty.BOOLEAN)
        if t.base == "varchar" and any(e.type.base == "char" for e in (value, *items)):
            value, *items = (E(f"rtrim({e.sql}, ' ')", t) for e in (value, *items))
        return E(f"({cast(value, t).sql} IN ({', '.join(cast(i, t).sql for i in items)}))", ty.BOOLEAN)

    def _one_column(self, query: Query, node: exp.Expression) -> Type:
        if len(query.fields) != 1:
            raise self.fail(
                "NOT_SUPPORTED",
                f"Multiple columns returned by subquery are not yet supported. Found {len(query.fields)}",
                node,
            )
        return query.fields[0].type

    def _like(self, node: exp.Expression, scope: Scope) -> E:
        escape = ""
        if isinstance(node, exp.Escape):
            escape = f" ESCAPE {self.expr(node.expression, scope).sql}"
            node = node.this
        if not isinstance(node, exp.Like):
            raise not_supported(node.sql("trino")[:60], position(self.source, node))
        a, b = self.expr(node.this, scope), self.expr(node.expression, scope)
        for e in (a, b):
            if e.type.base not in ("varchar", "char", "unknown"):
                raise self.fail(
                    "TYPE_MISMATCH",
                    f"Left side of LIKE expression must evaluate to a varchar (actual: {e.type})",
                    node,
                )
        if node.args.get("negate"):
            return E(f"({a.sql} NOT LIKE {b.sql}{escape})", ty.BOOLEAN)
        return E(f"({a.sql} LIKE {b.sql}{escape})", ty.BOOLEAN)

    def _arithmetic(self, node: exp.Expression, scope: Scope) -> E:
        op = _ARITHMETIC[type(node)]
        return fn.arithmetic(self, op, self.expr(node.this, scope), self.expr(node.expression, scope), node)

    def _negative(self, node: exp.Neg, scope: Scope) -> E:
        if isinstance(node.this, exp.Literal) and not node.this.is_string:
            return literal("-" + node.this.name)
        e = self.expr(node.this, scope)
        if e.type.base not in ty.NUMERIC and not e.type.base.startswith("interval"):
            raise self.fail("TYPE_MISMATCH", f"Cannot negate {e.type}", node)
        return E(f"(- {e.sql})", e.type)

    def _concat(self, node: exp.DPipe, scope: Scope) -> E:
        return fn.concat(self, [self.expr(node.this, scope), self.expr(node.expression, scope)], node)

    def _cast(self, node: exp.Expression, scope: Scope) -> E:
        to = node.args["to"]
        text = node.this.name if isinstance(node.this, exp.Literal) and node.this.is_string else ""
        is_literal = isinstance(node.this, exp.Literal) and node.this.is_string
        if is_literal and not to.expressions and not node.meta.get("written_out"):
            found = self._typed_literal(to, text, node)
            if found is not None:
                return found
        e = self.expr(node.this, scope)
        target = ty.trino_type(to)
        result = coerce(self, e, target, node)
        if isinstance(node, exp.TryCast):
            return E(f"TRY({result.sql})", target)
        return result

    def _typed_literal(self, to: exp.DataType, text: str, node: exp.Expression) -> E | None:
        """DECIMAL '1.50', TIMESTAMP '2020-01-01 00:00:00.123' and the like, whose types depend on their texts."""
        name = to.this.name if isinstance(to.this, exp.DataType.Type) else ""
        if name == "DECIMAL" and re.fullmatch(r"[+-]?\d+\.?|[+-]?\d*\.\d+", text):
            return literal(text if "." in text else text + ".")
        if name in ("CHAR", "NCHAR"):
            return E("'" + text.replace("'", "''") + "'", Type("char", p=max(1, len(text))))
        if name in ("TIMESTAMPTZ", "TIMESTAMPLTZ"):
            return zoned_literal(text, 0, self, node)
        if name == "DATE":
            try:
                dt.date.fromisoformat(text)
            except ValueError:
                if re.fullmatch(r"\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}\s*", text) and not re.fullmatch(
                    r"\d{4}-\d{2}-\d{2}", text
                ):
                    return None
                raise self.fail("INVALID_LITERAL", f"'{text}' is not a valid DATE literal", node) from None
            if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
                return E(f"DATE '{text}'", ty.DATE)
        if name in ("TIMESTAMP", "TIME"):
            digits = len(text.partition(".")[2])
            if digits > 6:
                raise not_supported(f"{name} '{text}', finer than microseconds,")
            day, clock = r"\d{4,}-\d{1,2}-\d{1,2}", r"\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?"
            pattern = rf"{day}(?: {clock})?" if name == "TIMESTAMP" else clock
            valid = re.fullmatch(rf"\s*[+-]?{pattern}\s*", text) is not None
            try:
                if valid and re.match(r"\d{4}-", text):
                    dt.datetime(*(int(n) for n in re.findall(r"\d+", text)[:6]))  # type: ignore[arg-type] # noqa: DTZ001
            except ValueError:
                valid = False
            if not valid:
                raise self.fail("INVALID_LITERAL", f"'{text}' is not a valid {name} literal", node)
            t = Type(name.lower(), p=digits)
            return coerce(self, E("'" + text.strip() + "'", ty.VARCHAR), t, node)
        return None

    def _case(self, node: exp.Case, scope: Scope) -> E:
        operand = self.expr(node.this, scope) if node.this is not None else None
        branches: list[tuple[str, E]] = []
        for i in node.args["ifs"]:
            if operand is not None:
                a, b, _ = self._common(operand, self.expr(i.this, scope), "=", node)
                condition = f"{a.sql} = {b.sql}"
            else:
                condition = self._boolean(i.this, scope, "CASE WHEN clause").sql
            branches.append((condition, self.expr(i.args["true"], scope)))
        default = self.expr(node.args["default"], scope) if node.args.get("default") is not None else None
        return self._choose(branches, default, node)

    def _if(self, node: exp.If, scope: Scope) -> E:
        condition = self._boolean(node.this, scope, "IF condition").sql
        yes = self.expr(node.args["true"], scope)
        no = self.expr(node.args["false"], scope) if node.args.get("false") is not None else None
        return self._choose([(condition, yes)], no, node)

    def _choose(self, branches: list[tuple[str, E]], default: E | None, node: exp.Expression) -> E:
        t = default.type if default is not None else ty.UNKNOWN
        for _, e in branches:
            c = ty.common(t, e.type)
            if c is None:
                raise self.fail(
                    "TYPE_MISMATCH",
                    f"All CASE results must be the same type or coercible to a common type. Cannot find common type between {t} and {e.type}",
                    node,
                )
            t = c
        sql = "CASE " + " ".join(f"WHEN {c} THEN {cast(e, t).sql}" for c, e in branches)
        if default is not None:
            sql += f" ELSE {cast(default, t).sql}"
        return E(f"{sql} END", t)

    def _literal(self, node: exp.Literal, scope: Scope) -> E:
        if node.is_string:
            return E("'" + node.name.replace("'", "''") + "'", ty.varchar(len(node.name)), value=node.name)
        # The text as written: sqlglot reads .5 as 0.5, which is decimal(1,1) in both.
        return literal(node.name)

    def _unicode(self, node: exp.UnicodeString, scope: Scope) -> E:
        escape = node.args.get("escape")
        mark = re.escape(escape.name if isinstance(escape, exp.Expression) else "\\")
        text = re.sub(
            rf"{mark}(?:\+([0-9A-Fa-f]{{6}})|([0-9A-Fa-f]{{4}})|({mark}))",
            lambda m: m.group(3) or chr(int(m.group(1) or m.group(2), 16)),
            node.name,
        )
        return E("'" + text.replace("'", "''") + "'", ty.varchar(len(text)), value=text)

    def _interval(self, node: exp.Interval, scope: Scope) -> E:
        return fn.interval(self, node)

    def _array(self, node: exp.Array, scope: Scope) -> E:
        items = [self.expr(e, scope) for e in node.expressions]
        t = ty.UNKNOWN
        for i in items:
            c = ty.common(t, i.type)
            if c is None:
                raise self.fail(
                    "TYPE_MISMATCH", f"All ARRAY elements must be the same type: {t}, {i.type}", node
                )
            t = c
        if not items:
            return E(f"CAST([] AS {ty.duckdb_type(t)}[])", ty.array(t))
        return E(f"[{', '.join(cast(i, t).sql for i in items)}]", ty.array(t))

    def _row(self, node: exp.Tuple, scope: Scope) -> E:
        return fn.make_row([self.expr(e, scope) for e in node.expressions])

    def _exists(self, node: exp.Exists, scope: Scope) -> E:
        inner = node.this
        query = self.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
        self._variable += 1
        return E(f"EXISTS ({query.sql})", ty.BOOLEAN)

    def _scalar_subquery(self, node: Any, scope: Scope) -> E:
        query = self.query(node, scope)
        self._variable += 1
        if len(query.fields) > 1:
            r = self.alias()
            whole = fn.make_row([E(f'{r}."c{i}"', f.type) for i, f in enumerate(query.fields)])
            return E(f"(SELECT {whole.sql} FROM ({query.sql}) AS {r})", whole.type)
        return E(f"({query.sql})", query.fields[0].type)

    def _paren(self, node: exp.Paren, scope: Scope) -> E:
        if isinstance(node.this, exp.Query):
            return self._scalar_subquery(node.this, scope)
        return self.expr(node.this, scope)

    def _call(self, node: exp.Anonymous, scope: Scope) -> E:
        return fn.compile_call(self, node, scope)

    def _filter(self, node: exp.Filter, scope: Scope) -> E:
        return fn.compile_call(self, node.this, scope, filter_node=node.expression.this)

    def _within_group(self, node: exp.WithinGroup, scope: Scope) -> E:
        return fn.compile_call(self, node.this, scope, order_node=node.expression)

    def _window(self, node: exp.Window, scope: Scope) -> E:
        window: exp.Expression = node
        alias = node.args.get("alias")
        if alias is not None:
            found = self._named_windows.get(alias.name.lower())
            if found is None:
                raise self.fail("INVALID_WINDOW_REFERENCE", f"Cannot resolve WINDOW name {alias.name}", node)
            window = found
        self._windows.append(window)
        parts = []
        partition = window.args.get("partition_by") or []
        if partition:
            parts.append("PARTITION BY " + ", ".join(self.expr(e, scope).sql for e in partition))
        order = window.args.get("order")
        if order is not None:
            keys = [self.expr(o.this, scope).sql + _direction(o) for o in order.expressions]
            parts.append("ORDER BY " + ", ".join(keys))
        spec = window.args.get("spec")
        if spec is not None:
            parts.append(self._frame(spec, scope))
        over = f" OVER ({' '.join(parts)})"
        return fn.compile_call(self, node.this, scope, over=over, ordered=order is not None)

    def _frame(self, spec: exp.WindowSpec, scope: Scope) -> str:
        def bound(value: Any, side: Any) -> str:
            text = self.expr(value, scope).sql if isinstance(value, exp.Expression) else str(value).upper()
            return f"{text} {str(side).upper()}" if side else text

        start = bound(spec.args.get("start"), spec.args.get("start_side"))
        end = spec.args.get("end")
        tail = f" AND {bound(end, spec.args.get('end_side'))}" if end is not None else " AND CURRENT ROW"
        if spec.args.get("exclude"):
            raise self.fail("", "mismatched input 'EXCLUDE'", spec)
        return f"{str(spec.args['kind']).upper()} BETWEEN {start}{tail}"


def _comparison(op: str, a: E, b: E, t: Type, a_constant: bool, b_constant: bool) -> str:
    """a op b with Trino's answers for NaN, which DuckDB takes for the greatest number, and for NULLs inside."""
    if op == "=":
        return equals(a.sql, b.sql, t, a_constant or b_constant)
    if t.args and op == "<>":
        return f"(NOT {equals(a.sql, b.sql, t)})"
    plain = f"({a.sql} {op} {b.sql})"
    if t.base in ("array", "row") and op != "<>":
        return _ordered(a.sql, b.sql, plain, t)
    if t.base not in ("double", "real"):
        return plain
    if op == "<>":
        return plain if a_constant or b_constant else f"({plain} OR (isnan({a.sql}) AND {b.sql} IS NOT NULL))"
    greater, less, constant = (b, a, b_constant) if op in ("<", "<=") else (a, b, a_constant)
    return plain if constant else f"({plain} AND (NOT isnan({greater.sql}) OR {less.sql} IS NULL))"


def _ordered(a: str, b: str, plain: str, t: Type) -> str:
    """The order of two arrays or rows, which Trino refuses to tell where it meets a NULL inside of them."""
    kind = t.base.upper()
    among = "arrays with null elements" if t.base == "array" else "fields with null elements"
    refused = raise_text("NOT_SUPPORTED", f"{kind} comparison not supported for {among}", "BOOLEAN")
    either = "{0} IS NULL OR {1} IS NULL"
    if t.base == "row":
        fields = [(struct_field(a, t, i), struct_field(b, t, i)) for i in range(len(t.args))]
        met = " ".join(
            f"WHEN {either.format(x, y)} THEN {refused} WHEN {x} <> {y} THEN {plain}" for x, y in fields
        )
        return f"CASE WHEN {either.format(a, b)} THEN NULL {met} ELSE {plain} END"
    # The first elements that decide.
    first = f"list_filter(list_zip({a}, {b}, true), lambda λv: {either.format('λv[1]', 'λv[2]')} OR λv[1] <> λv[2])[1]"
    met = f"{first} IS NOT NULL AND ({either.format(f'{first}[1]', f'{first}[2]')})"
    return f"CASE WHEN {either.format(a, b)} THEN NULL WHEN {met} THEN {refused} ELSE {plain} END"


def _direction(ordered: exp.Expression) -> str:
    """ASC or DESC with Trino's default for NULLs: last, in both directions.

    https://trino.io/docs/435/sql/select.html#order-by-clause
    """
    descending = bool(ordered.args.get("desc"))
    first = ordered.args.get("nulls_first")
    return f" {'DESC' if descending else 'ASC'} NULLS {'FIRST' if first else 'LAST'}"


def _derived_name(node: exp.Expression) -> str | None:
    """The name of an unaliased SELECT item: a column's or a field's own, else _colN (given by the caller)."""
    if isinstance(node, exp.Column):
        return node.name
    if isinstance(node, exp.Dot):
        return node.expression.name
    if isinstance(node, exp.Paren):
        return _derived_name(node.this)
    return None


def _own(node: exp.Expression, kind: Any) -> Iterator[Any]:
    """Nodes of `kind` in an expression, not those of subqueries in it."""
    if isinstance(node, kind):
        yield node
    if isinstance(node, exp.Query):
        return
    for child in node.iter_expressions():
        yield from _own(child, kind)


def _mentions(node: exp.Expression, name: str) -> bool:
    return any(t.name.lower() == name.lower() and not t.db for t in node.find_all(exp.Table))


def _some(node: exp.Expression | None) -> exp.Expression:
    assert node is not None
    return node


_COMPARISONS: dict[type[exp.Expression], str] = {
    exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<=",
}  # fmt: skip
_ARITHMETIC: dict[type[exp.Expression], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.Div: "/",
    exp.Mod: "%",
}

Handler = Callable[[Compiler, Any, Scope], E]
_HANDLERS: dict[type[exp.Expression], Handler] = {
    exp.Column: Compiler._column,
    exp.Identifier: Compiler._identifier,
    exp.Dot: Compiler._dot,
    exp.Bracket: Compiler._bracket,
    exp.And: Compiler._connective,
    exp.Or: Compiler._connective,
    exp.Not: Compiler._not,
    exp.EQ: Compiler._compare,
    exp.NEQ: Compiler._compare,
    exp.GT: Compiler._compare,
    exp.GTE: Compiler._compare,
    exp.LT: Compiler._compare,
    exp.LTE: Compiler._compare,
    exp.NullSafeEQ: Compiler._distinct_from,
    exp.NullSafeNEQ: Compiler._distinct_from,
    exp.Is: Compiler._is,
    exp.Between: Compiler._between,
    exp.In: Compiler._in,
    exp.Like: Compiler._like,
    exp.Escape: Compiler._like,
    exp.Add: Compiler._arithmetic,
    exp.Sub: Compiler._arithmetic,
    exp.Mul: Compiler._arithmetic,
    exp.Div: Compiler._arithmetic,
    exp.Mod: Compiler._arithmetic,
    exp.Neg: Compiler._negative,
    exp.DPipe: Compiler._concat,
    exp.Cast: Compiler._cast,
    exp.TryCast: Compiler._cast,
    exp.Case: Compiler._case,
    exp.If: Compiler._if,
    exp.Literal: Compiler._literal,
    exp.Null: lambda c, n, s: E("NULL", ty.UNKNOWN),
    exp.Boolean: lambda c, n, s: E("true" if n.this else "false", ty.BOOLEAN, value=bool(n.this)),
    exp.Interval: Compiler._interval,
    exp.Array: Compiler._array,
    exp.Tuple: Compiler._row,
    exp.Exists: Compiler._exists,
    exp.Subquery: Compiler._scalar_subquery,
    exp.Select: Compiler._scalar_subquery,
    exp.Paren: Compiler._paren,
    exp.Anonymous: Compiler._call,
    exp.ParseJSON: lambda c, n, s: fn.call(c, "json_parse", [c.expr(n.this, s)], n),
    exp.Filter: Compiler._filter,
    exp.WithinGroup: Compiler._within_group,
    exp.Window: Compiler._window,
    exp.Placeholder: Compiler._parameter,
    exp.Parameter: Compiler._parameter,
    exp.CurrentDate: lambda c, n, s: fn.now(c, "date", n),
    exp.CurrentTimestamp: lambda c, n, s: fn.now(c, "timestamptz", n),
    exp.Localtimestamp: lambda c, n, s: fn.now(c, "timestamp", n),
    exp.CurrentTime: lambda c, n, s: fn.now(c, "time", n),
    exp.Localtime: lambda c, n, s: fn.now(c, "time", n),
    exp.Extract: lambda c, n, s: fn.extract(c, n, s),
    exp.Trim: lambda c, n, s: fn.trim(c, n, s),
    exp.Substring: lambda c, n, s: fn.substring(c, n, s),
    exp.StrPosition: lambda c, n, s: fn.strpos(c, n, s),
    exp.AtTimeZone: lambda c, n, s: fn.at_time_zone(c, n, s),
    exp.IgnoreNulls: lambda c, n, s: fn.compile_call(c, n.this, s, ignore_nulls=True),
    exp.RespectNulls: lambda c, n, s: fn.compile_call(c, n.this, s),
    exp.GroupConcat: lambda c, n, s: fn.listagg(c, n, s),
    JsonCall: lambda c, n, s: fn.json_call(c, n, s),
    exp.UnicodeString: Compiler._unicode,
    exp.HexString: lambda c, n, s: E(f"unhex('{n.name}')", ty.VARBINARY),
}
