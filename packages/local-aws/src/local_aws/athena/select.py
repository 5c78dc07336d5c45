"""Queries: SELECT, set operations and VALUES, from Trino's syntax to typed DuckDB SQL."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlglot import exp

from local_aws.athena import functions as fn
from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import E, cast, struct_field
from local_aws.athena.operators import HANDLERS
from local_aws.athena.parser import position
from local_aws.athena.plan import (
    Compiler,
    Cte,
    Field,
    Origin,
    Query,
    Relation,
    Scope,
    direction,
    qualifies,
    sort_key,
)
from local_aws.athena.pruning import constrain
from local_aws.athena.relations import as_own, from_clause, mentions
from local_aws.athena.types import Type

# Rows of an ordered result that is limited
# (https://docs.aws.amazon.com/athena/latest/ug/other-notable-limitations.html).
MAX_ORDERED = 2_147_483_647


class QueryCompiler(Compiler):
    """Compiles the queries of one statement."""

    def query(self, node: exp.Expression, parent: Scope | None = None) -> Query:
        """Compiles a SELECT, VALUES, set operation or a parenthesised one."""
        with self._with(node):
            if isinstance(node, exp.Subquery):
                if node.args.get("joins") or node.args.get("alias"):
                    raise self.fail("", f"mismatched input '{node.alias or 'JOIN'}'. Expecting: ')'", node)
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

    @contextmanager
    def _with(self, node: exp.Expression) -> Iterator[None]:
        clause = node.args.get("with_") or node.args.get("with")
        if clause is None:
            yield
            return
        saved = self.ctes
        for cte in clause.expressions:
            columns = [c.name for c in cte.args["alias"].args.get("columns") or []]
            recursive = bool(clause.args.get("recursive")) and mentions(cte.this, cte.alias)
            self.ctes = {**self.ctes, cte.alias.lower(): Cte(cte.this, columns, self.ctes, recursive)}
        try:
            yield
        finally:
            self.ctes = saved

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
                name = {"match": "MATCH_RECOGNIZE"}.get(clause, clause.upper())
                raise not_supported(name, position(self.source, node))
        scope = Scope([], parent)
        from_sql = ""
        source = node.args.get("from_") or node.args.get("from")
        saved_group, self.group_sql = self.group_sql, [None]
        saved_free, self.free = self.free, []
        saved_aggregate, self.in_aggregate = self.in_aggregate, 0
        saved_windows, self.windows = self.windows, []
        saved_lifted, self.lifted = self.lifted, None
        saved_outer, self.outer = self.outer, []
        saved_named = self.named_windows
        self.named_windows = {w.this.name.lower(): w for w in node.args.get("windows") or []}
        try:
            if source is not None:
                from_sql, _ = from_clause(self, source.this, node.args.get("joins") or [], scope)
            where = ""
            condition = node.args.get("where")
            if condition is not None:
                predicate = self.boolean(condition.this, scope, "WHERE clause")
                no_aggregate(self, condition.this, "WHERE clause")
                constrain(self, condition.this, scope, None)
                where = f" WHERE {predicate.sql}"
            return self._project(node, scope, from_sql, where)
        finally:
            self.group_sql, self.free = saved_group, saved_free
            self.in_aggregate, self.windows = saved_aggregate, saved_windows
            self.lifted = saved_lifted
            own = {id(f) for r in (parent.relations if parent is not None else []) for f in r.fields}
            self.outer = [*saved_outer, *(f for f in self.outer if id(f) not in own)]
            self.named_windows = saved_named

    def _project(self, node: exp.Select, scope: Scope, from_sql: str, where: str) -> Query:
        group = node.args.get("group")
        having = node.args.get("having")
        order = node.args.get("order")
        items = self._expand(node.expressions, scope)
        aggregated = (
            group is not None
            or having is not None
            or any(_has_aggregate(e) for e, _, _ in items if e is not None)
            or (order is not None and any(_has_aggregate(o) for o in order.expressions))
        )
        group_sql = ""
        keys: list[str] = []
        if group is not None:
            group_sql, keys = self._group(group, items, scope)
        if aggregated:
            self.group_sql.append(set(keys))
        clauses = [e for e, _, _ in items if e is not None]
        clauses += [c for c in (having, order) if c is not None]
        if any(_within_try(e, aggregated) for e in clauses):
            # DuckDB's TRY takes no aggregates and windows: they are computed in a query inside of this one.
            self.lifted = {}
        outputs: list[tuple[E, str | None]] = []
        for e, name, ready in items:
            if ready is not None:
                if aggregated and not any(
                    ready.sql == k or ready.sql.startswith(f"struct_extract({k}, ") for k in keys
                ):
                    raise self.fail(
                        "EXPRESSION_NOT_AGGREGATE",
                        f"Column '{name}' not in GROUP BY clause",
                        node,
                    )
                outputs.append((self.lift(ready), name))
                continue
            assert e is not None
            value = self._checked(e, scope)
            outputs.append((value, name))
        having_sql = ""
        if having is not None:
            word = "WHERE" if self.lifted is not None else "HAVING"
            having_sql = f" {word} {self._checked(having.this, scope, boolean='HAVING clause').sql}"
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
        if self.outer and "lambda" in where + ("" if aggregated else select + order_sql):
            # DuckDB does not find a column from outside that only the body of a lambda names.
            if aggregated:
                table, (where,) = as_own(self, self.outer, where)
            else:
                table, (select, where, order_sql) = as_own(self, self.outer, select, where, order_sql)
            from_sql = f"{from_sql}, {table}" if from_sql and table else from_sql or table
            sql = f"SELECT {'DISTINCT ' if distinct else ''}{select}"
        inner = (f" FROM {from_sql}" if from_sql else "") + where + group_sql
        if self.lifted:
            lifted = ", ".join(f"{s} AS {name.partition('.')[2]}" for s, name in self.lifted.items())
            inner = f" FROM (SELECT {lifted}{inner}) AS λg"
        sql += inner + having_sql + order_sql + limit_sql
        if ties is not None:
            sql = self._with_ties(sql, order_sql, ties, node)
            limit_sql = order_sql
        partitioned = [self._partitioned_by(w, scope) for w in self.windows]
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
        start = len(self.free)
        e = self.boolean(node, scope, boolean) if boolean else self.expr(node, scope)
        if self.group_sql[-1] is not None and len(self.free) > start:
            name, culprit = self.free[start]
            raise self.fail(
                "EXPRESSION_NOT_AGGREGATE",
                f"'{name}' must be an aggregate expression or appear in GROUP BY clause",
                culprit,
            )
        return e

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
                qualifier = [p.name for p in e.parts[:-1]]
                names = [n.lower() for n in qualifier]
                around: Scope | None = scope
                star_of = []
                while around is not None and not star_of:
                    star_of = [r for r in around.relations if qualifies(r, names)]
                    around = around.parent
                if not star_of and self.lookup(scope, qualifier, e) is None:
                    raise self.fail(
                        "TABLE_NOT_FOUND", f"Unable to resolve reference {'.'.join(qualifier)}", e
                    )
                if not star_of:
                    items += self._fields(exp.column(*reversed(qualifier)), scope)
                    continue
            elif isinstance(e, exp.Dot) and isinstance(e.expression, exp.Star):
                items += self._fields(e.this, scope)
                continue
            if star_of is not None:
                for r in star_of:
                    for f in r.fields:
                        if not f.hidden:
                            self.touch(f)
                            items.append((None, f.name, E(f.sql, f.type, f.origins)))
                continue
            if isinstance(e, exp.Alias):
                items.append((e.this, e.alias, None))
            else:
                items.append((e, _derived_name(e), None))
        return items

    def _fields(
        self, node: exp.Expression, scope: Scope
    ) -> list[tuple[exp.Expression | None, str | None, E | None]]:
        """SELECT items for all fields of a row."""
        value = self.expr(node, scope)
        if value.type.base != "row":
            raise self.fail("TYPE_MISMATCH", f"expected expression of type Row, got {value.type}", node)
        return [
            (None, n, E(struct_field(value.sql, value.type, i), t))
            for i, (n, t) in enumerate(zip(value.type.names, value.type.args, strict=True))
        ]

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
                if item is not None and _has_aggregate(item):
                    raise self.fail("EXPRESSION_NOT_SCALAR", "GROUP BY clause cannot contain aggregations", e)
            else:
                no_aggregate(self, e, "GROUP BY clause")
                value = self.expr(e, scope)
            keys.append(value.sql)
            # A bare number would be a position to DuckDB.
            return f"CAST({value.sql} AS {ty.duckdb_type(value.type)})" if value.sql.isdigit() else value.sql

        def several(e: exp.Expression) -> tuple[str, ...]:
            return tuple(key(x) for x in e.expressions) if isinstance(e, exp.Tuple) else (key(e),)

        def sets(e: exp.Expression) -> list[tuple[str, ...]]:
            """The grouping sets that an element of GROUP BY is."""
            if isinstance(e, exp.Rollup | exp.Cube):
                columns = [several(x) for x in e.expressions]
                if isinstance(e, exp.Rollup):
                    chosen = [columns[:n] for n in reversed(range(len(columns) + 1))]
                else:
                    flags = itertools.product((True, False), repeat=len(columns))
                    chosen = [[c for c, kept in zip(columns, f, strict=True) if kept] for f in flags]
                return [tuple(itertools.chain(*c)) for c in chosen]
            if isinstance(e, exp.GroupingSets):
                return [
                    s
                    for x in e.expressions
                    for s in (
                        sets(x) if isinstance(x, exp.Rollup | exp.Cube | exp.GroupingSets) else [several(x)]
                    )
                ]
            return [several(e)]

        elements = list(group.expressions)
        for kind in ("grouping_sets", "rollup", "cube"):
            elements += group.args.get(kind) or []
        if not elements:
            raise not_supported("GROUP BY " + group.sql("trino")[:60], position(self.source, group))
        if not any(isinstance(e, exp.Rollup | exp.Cube | exp.GroupingSets) for e in elements):
            simple = [k for e in elements for k in several(e)]
            return " GROUP BY " + (", ".join(simple) or "GROUPING SETS (())"), keys
        whole = [tuple(itertools.chain(*p)) for p in itertools.product(*(sets(e) for e in elements))]
        if group.args.get("all") is False:
            # GROUP BY DISTINCT.
            whole = list({frozenset(s): s for s in reversed(whole)}.values())[::-1]
        return f" GROUP BY GROUPING SETS ({', '.join('(' + ', '.join(s) + ')' for s in whole)})", keys

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
            if index is not None:
                # With DISTINCT a key may be nothing else than a column of the result.
                number = str(index + 1)
                keys.append(
                    number + direction(ordered)
                    if distinct
                    else sort_key(number, t, ordered, outputs[index][0].sql)
                )
            else:
                keys.append(sort_key(sql, t, ordered))
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
        count = re.fullmatch(r" LIMIT (\d+)", sql)
        if count is not None and int(count[1]) > MAX_ORDERED and node.args.get("order") is not None:
            raise QueryError("NOT_SUPPORTED", f"ORDER BY LIMIT > {MAX_ORDERED} is not supported")
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
            cells = [self.expr(c, scope) for c in (e.expressions if isinstance(e, exp.Tuple) else [e])]
            if len(cells) == 1 and cells[0].type.base == "row":
                # ROW (1, 2) is (1, 2).
                row = cells[0]
                cells = [E(struct_field(row.sql, row.type, i), t) for i, t in enumerate(row.type.args)]
            rows.append(cells)
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

    def _partitioned_by(self, window: exp.Expression, scope: Scope) -> set[str]:
        saved = self.windows
        self.windows = []
        try:
            return {self.expr(e, scope).sql for e in window.args.get("partition_by") or []}
        except QueryError:
            return set()
        finally:
            self.windows = saved

    def expr(self, node: exp.Expression, scope: Scope) -> E:
        """Compiles one expression."""
        start = len(self.free)
        before = self.variables
        handler = HANDLERS.get(type(node))
        if handler is None:
            raise not_supported(
                f"{type(node).__name__} ({node.sql('trino')[:80]})", position(self.source, node)
            )
        truth = self.wants_truth
        self.truth = truth
        self.wants_truth = truth and isinstance(node, exp.And | exp.Or | exp.Paren)
        lifted = self.lifted
        whole = lifted is not None and _is_whole(node, self.group_sql[-1] is not None)
        if whole:
            self.lifted = None
        try:
            e = handler(self, node, scope)
        finally:
            self.wants_truth, self.lifted = truth, lifted
        if whole:
            e = self.lift(e)
        if self.variables == before:
            e.const = True
        keys = self.group_sql[-1]
        if keys is not None and e.sql in keys:
            del self.free[start:]
            return self.lift(e)
        return e


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


def _some(node: exp.Expression | None) -> exp.Expression:
    assert node is not None
    return node


def no_aggregate(compiler: Compiler, node: exp.Expression, where: str) -> None:
    """Raises EXPRESSION_NOT_SCALAR for a clause that has an aggregate in it."""
    for call in _own(node, exp.Anonymous):
        if fn.is_aggregate(call.name) and not isinstance(call.parent, exp.Window):
            raise compiler.fail(
                "EXPRESSION_NOT_SCALAR",
                f"{where} cannot contain aggregations, window functions or grouping operations: [{call.sql('trino')}]",
                call,
            )


def _within_try(node: exp.Expression, aggregated: bool) -> bool:
    """Whether an aggregate, or else a window or subquery, is inside of TRY or TRY_CAST."""
    tries = [n for n in _own(node, exp.Anonymous) if n.name.lower() == "try"] + list(_own(node, exp.TryCast))
    inner = [child for n in tries for child in n.iter_expressions()]
    if aggregated:
        return any(_has_aggregate(child) for child in inner)
    return any(True for child in inner for _ in _own(child, exp.Window | exp.Query | exp.Subquery))


def _is_whole(node: exp.Expression, grouped: bool) -> bool:
    """What is lifted with all that is in it."""
    if isinstance(node, exp.Window):
        return not grouped
    if isinstance(node, exp.Paren):
        return isinstance(node.this, exp.Query)
    quantified = isinstance(node, exp.Binary) and isinstance(node.expression, exp.Any | exp.All)
    subquery = isinstance(node, exp.Subquery | exp.Select | exp.Exists)
    return subquery or quantified or (isinstance(node, exp.In) and not node.expressions)


def _has_aggregate(node: exp.Expression) -> bool:
    for call in _own(node, exp.Anonymous):
        if fn.is_aggregate(call.name):
            top = call
            while isinstance(top.parent, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
                top = top.parent
            if not isinstance(top.parent, exp.Window):
                return True
    return any(True for _ in _own(node, exp.GroupConcat))
