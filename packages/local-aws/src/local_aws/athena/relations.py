"""FROM: tables, views, subqueries, UNNEST and joins as DuckDB SQL, and the columns that they bring into scope.

Tables are left as placeholders (`Scan.token`): what they read is decided when the whole query is known, so that only
the columns and partitions that it needs are touched.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sqlglot import exp

from local_aws.athena import sharing
from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, cast
from local_aws.athena.parser import parse_query, position
from local_aws.athena.plan import HIDDEN, Compiler, Cte, Field, Query, Relation, Scan, Scope
from local_aws.athena.pruning import constrain
from local_aws.athena.tables import Table, View, VirtualTable
from local_aws.athena.types import Type


def from_item(compiler: Compiler, node: exp.Expression, scope: Scope) -> tuple[str, list[Relation]]:
    """FROM item: its SQL and what it brings into scope, which is more than one relation for a join in parentheses."""
    sample = node.args.get("sample")
    if sample is not None:
        node.set("sample", None)
        try:
            sql, relations = from_item(compiler, node, scope)
        finally:
            node.set("sample", sample)
        if isinstance(node, exp.Subquery) and _is_relation(node.this):
            sql = _as_one(compiler, sql, relations)
        return f"{sql}{_sample(compiler, sample)}", relations
    if isinstance(node, exp.Subquery) and _is_relation(node.this):
        return _in_parentheses(compiler, node, scope)
    sql, relation = _one(compiler, node, scope)
    return sql, [relation]


def _one(compiler: Compiler, node: exp.Expression, scope: Scope) -> tuple[str, Relation]:
    if isinstance(node, exp.Table) and not isinstance(node.this, exp.Values):
        return from_table(compiler, node, scope)
    if isinstance(node, exp.Unnest):
        return _unnest(compiler, node, scope)
    if isinstance(node, exp.Lateral):
        if isinstance(node.this, exp.Subquery):
            sql, relation = _subquery(compiler, node.this, scope, node.args.get("alias"))
            return f"LATERAL {sql}", relation
        raise not_supported("LATERAL " + type(node.this).__name__, position(compiler.source, node))
    if isinstance(node, exp.Subquery):
        return _subquery(compiler, node, Scope([], scope.parent), node.args.get("alias"))
    if isinstance(node, exp.Values | exp.Table):
        values = node.this if isinstance(node, exp.Table) else node
        return _derived(compiler, compiler.query(values, scope), node.args.get("alias"), node)
    raise not_supported(f"FROM {node.sql('trino')[:60]}", position(compiler.source, node))


def _is_relation(node: exp.Expression) -> bool:
    """Whether what stands in parentheses is a table or a join, and no query."""
    if isinstance(node, exp.Subquery):
        return bool(node.args.get("joins") or node.args.get("alias")) or _is_relation(node.this)
    return isinstance(node, exp.Table | exp.Unnest)


def _as_one(compiler: Compiler, sql: str, relations: list[Relation]) -> str:
    """A table or join in parentheses as a subquery, for DuckDB samples no joins; the fields are its columns then."""
    r = compiler.alias()
    columns: list[str] = []
    for relation in relations:
        fields = []
        for f in relation.fields:
            compiler.touch(f)
            fields.append(replace(f, sql=f'{r}."c{len(columns)}"'))
            columns.append(f'{f.sql} AS "c{len(columns)}"')
        relation.fields = fields
    return f"(SELECT {', '.join(columns)} FROM {sql}) AS {r}"


def _in_parentheses(compiler: Compiler, node: exp.Subquery, scope: Scope) -> tuple[str, list[Relation]]:
    """A table or a join in parentheses; with an alias, its columns are one relation's."""
    sql, relations = from_clause(compiler, node.this, [], Scope([], scope.parent))
    alias = node.args.get("alias")
    if alias is not None:
        whole = Relation(alias.name.lower(), [f for r in relations for f in r.fields])
        _rename(compiler, whole, alias, node)
        relations = [whole]
    return (sql if len(relations) == 1 and " JOIN " not in sql else f"({sql})"), relations


def _sample(compiler: Compiler, sample: exp.Expression) -> str:
    """TABLESAMPLE BERNOULLI or SYSTEM: each row is taken with the probability."""
    method, percent = sample.args.get("method"), sample.args.get("percent") or sample.args.get("size")
    while isinstance(percent, exp.Paren):
        percent = percent.this
    name = str(getattr(method, "name", method) or "").upper()
    if name not in ("BERNOULLI", "SYSTEM") or not isinstance(percent, exp.Literal):
        raise not_supported(f"TABLESAMPLE {name}", position(compiler.source, sample))
    if not 0 <= float(percent.name) <= 100:
        raise compiler.fail(
            "INVALID_ARGUMENTS",
            "Sample percentage must be greater than or equal to 0 and less than or equal to 100",
            sample,
        )
    return f" TABLESAMPLE BERNOULLI({float(percent.name)}%)"


def _subquery(
    compiler: Compiler, node: exp.Subquery, scope: Scope, alias: exp.Expression | None
) -> tuple[str, Relation]:
    query = compiler.query(node.this, scope)
    return _derived(compiler, query, alias, node)


def _named(compiler: Compiler, query: Query) -> Query:
    """A query that the statement names, and may name more than once."""
    if compiler.in_recursion:
        return query
    compiler.uses.append(query.sql)
    return replace(query, sql=sharing.use(len(compiler.uses) - 1))


def _derived(
    compiler: Compiler, query: Query, alias: exp.Expression | None, node: exp.Expression
) -> tuple[str, Relation]:
    r = compiler.alias()
    name = alias.name.lower() if alias is not None and alias.name else None
    fields = [
        Field(f.name, f.type, f'{r}."c{i}"', f.origins, mark=f.mark) for i, f in enumerate(query.fields)
    ]
    relation = Relation(name, fields)
    _rename(compiler, relation, alias, node)
    return f"({query.sql}) AS {r}", relation


def _rename(
    compiler: Compiler, relation: Relation, alias: exp.Expression | None, node: exp.Expression
) -> None:
    columns = [c.name for c in (alias.args.get("columns") or [])] if alias is not None else []
    if not columns:
        return
    visible = [f for f in relation.fields if not f.hidden]
    if len(columns) != len(visible):
        raise compiler.fail(
            "MISMATCHED_COLUMN_ALIASES",
            f"Column alias list has {len(columns)} entries but '{relation.alias}' has {len(visible)} columns available",
            node,
        )
    for f, name in zip(visible, columns, strict=True):
        f.name = name


def from_table(compiler: Compiler, node: exp.Table, scope: Scope) -> tuple[str, Relation]:
    name = node.name
    where = position(compiler.source, node) if not compiler.views else None
    alias_node = node.args.get("alias")
    alias = alias_node.name.lower() if alias_node is not None and alias_node.name else name.lower()
    version = node.args.get("version")
    if isinstance(node.this, exp.Anonymous) and node.this.name.lower() == "table":
        return _table_function(compiler, node, scope)
    if not isinstance(node.this, exp.Identifier):
        raise not_supported(f"Table function {node.this.sql('trino')[:60]}", where)
    cte = compiler.ctes.get(name.lower()) if not node.db else None
    if cte is not None:
        saved, compiler.ctes = compiler.ctes, cte.context
        try:
            if cte.step is not None:
                query = cte.step
            else:
                query = (
                    _recursive(compiler, cte, name, node) if cte.recursive else compiler.query(cte.node, None)
                )
        finally:
            compiler.ctes = saved
        query = Query(query.sql, [replace(f) for f in query.fields])
        if cte.columns:
            if len(cte.columns) != len(query.fields):
                raise compiler.fail(
                    "MISMATCHED_COLUMN_ALIASES",
                    f"Column alias list has {len(cte.columns)} entries but relation has {len(query.fields)} columns",
                    node,
                )
            for f, column in zip(query.fields, cte.columns, strict=True):
                f.name = column
        sql, relation = _derived(compiler, _named(compiler, query), None, node)
        relation.alias = alias
        _rename(compiler, relation, alias_node, node)
        return sql, relation
    database = (node.db or compiler.database).lower()
    key = (node.catalog or None, database, name.lower())
    found = compiler.resolved.get(key)
    if found is None:
        found = compiler.resolved[key] = compiler.catalog.resolve(*key, where)
    if version is not None:
        found = _as_of(compiler, found, version, node)
    if isinstance(found, View):
        sql, relation = _view(compiler, found, database, name.lower(), node)
    elif isinstance(found, VirtualTable):
        r = compiler.alias()
        relation = Relation(None, [Field(n, t, f"{r}.{ty.quote(n)}") for n, t in found.columns])
        sql = f"({found.sql}) AS {r}"
    else:
        scan = Scan(len(compiler.scans), found)
        compiler.scans.append(scan)
        r = compiler.alias()
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
    _rename(compiler, relation, alias_node, node)
    return sql, relation


def _as_of(compiler: Compiler, found: Any, version: exp.Expression, node: exp.Table) -> Table:
    """Time travel: https://docs.aws.amazon.com/athena/latest/ug/querying-iceberg-time-travel-and-version-travel-queries.html"""
    if getattr(found, "format", "") != "iceberg" or compiler.evaluate is None:
        raise compiler.fail(
            "NOT_SUPPORTED", f"This connector does not support versioned tables: {node.name}", node
        )
    from local_aws.athena.iceberg.table import as_of

    value = compiler.expr(version.expression, Scope([]))
    return as_of(found, version.name.upper(), value, compiler.evaluate)


def _table_function(compiler: Compiler, node: exp.Table, scope: Scope) -> tuple[str, Relation]:
    """TABLE(sequence(start, stop, step)), the only function of tables that needs none
    (https://trino.io/docs/435/functions/table.html)."""
    calls = node.this.expressions
    if len(calls) != 1 or not isinstance(calls[0], exp.Anonymous) or calls[0].name.lower() != "sequence":
        raise not_supported(f"Table function {node.this.sql('trino')[:60]}", position(compiler.source, node))
    named: dict[str, exp.Expression] = {}
    for key, e in zip(("start", "stop", "step"), calls[0].expressions, strict=False):
        if isinstance(e, exp.Kwarg | exp.PropertyEQ):
            named[e.this.name.lower()] = e.expression
        else:
            named[key] = e
    values = {k: compiler.expr(e, scope).sql for k, e in named.items()}
    if "stop" not in values:
        raise compiler.fail("MISSING_ARGUMENT", "Missing argument: STOP", node)
    r = compiler.alias()
    start, step = values.get("start", "0"), values.get("step", "1")
    sql = f'(SELECT unnest(generate_series(CAST({start} AS BIGINT), CAST({values["stop"]} AS BIGINT), CAST({step} AS BIGINT))) AS "c0") AS {r}'
    relation = Relation(None, [Field("sequential_number", ty.BIGINT, f'{r}."c0"')])
    alias = node.args.get("alias")
    relation.alias = alias.name.lower() if alias is not None and alias.name else None
    _rename(compiler, relation, alias, node)
    return sql, relation


def _recursive(compiler: Compiler, cte: Cte, name: str, node: exp.Expression) -> Query:
    """WITH RECURSIVE: the rows of the first query, and of the second while it gives any.

    https://trino.io/docs/435/sql/select.html#with-recursive-clause
    """
    union = cte.node
    while isinstance(union, exp.Subquery | exp.Paren):
        union = union.this
    if not isinstance(union, exp.Union) or mentions(union.this, name):
        raise compiler.fail(
            "INVALID_RECURSIVE_REFERENCE", "recursive query must be a UNION of a base and a step", node
        )
    if not cte.columns:
        raise compiler.fail("MISSING_COLUMN_ALIASES", "missing column aliases in recursive WITH query", node)
    base = compiler.query(union.this, None)
    r = compiler.alias()
    names = ", ".join(f'"c{i}"' for i in range(len(base.fields)))
    itself = Query(
        f"SELECT * FROM {r}",
        [Field(n, f.type, "") for n, f in zip(cte.columns, base.fields, strict=False)],
    )
    saved = compiler.ctes
    compiler.ctes = {**compiler.ctes, name.lower(): Cte(union, cte.columns, compiler.ctes, step=itself)}
    compiler.in_recursion += 1
    try:
        step = compiler.query(union.expression, None)
    finally:
        compiler.ctes = saved
        compiler.in_recursion -= 1
    if len(step.fields) != len(base.fields):
        raise compiler.fail(
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
            raise compiler.fail(
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


def _view(compiler: Compiler, view: View, database: str, name: str, node: exp.Table) -> tuple[str, Relation]:
    if (database, name) in compiler.views:
        raise compiler.fail("INVALID_VIEW", f"View is recursive: '{database}.{name}'", node)
    tree = parse_query(view.sql)
    saved = compiler.ctes, compiler.database
    compiler.ctes, compiler.database = {}, view.database
    compiler.views.append((database, name))
    try:
        query = compiler.query(tree, None)
    finally:
        compiler.views.pop()
        compiler.ctes, compiler.database = saved
    if len(view.columns) != len(query.fields):
        raise compiler.fail(
            "VIEW_IS_STALE",
            f"View 'awsdatacatalog.{database}.{name}' is stale or in invalid state: it has "
            f"{len(view.columns)} columns, its query {len(query.fields)}; re-create the view",
            node,
        )
    for f, (column, _) in zip(query.fields, view.columns, strict=True):
        f.name = column
    return _derived(compiler, _named(compiler, query), None, node)


def _unnest(compiler: Compiler, node: exp.Unnest, scope: Scope) -> tuple[str, Relation]:
    """UNNEST: a column for each array and two for each map, one after another where there are several.

    Unlike Trino's, an array of rows gives one column of type row
    (https://docs.aws.amazon.com/athena/latest/ug/filtering-nested-with-unnest.html).
    """
    columns: list[tuple[str, Type]] = []
    lists: list[str] = []
    known = len(compiler.references)
    for e in node.expressions:
        value = compiler.expr(e, scope)
        if value.type.base == "array":
            columns.append((value.sql, value.type.args[0]))
            lists.append(value.sql)
        elif value.type.base == "map":
            keys, values = f"map_keys({value.sql})", f"map_values({value.sql})"
            columns += zip((keys, values), value.type.args, strict=True)
            lists.append(keys)
        else:
            raise compiler.fail("TYPE_MISMATCH", f"Cannot unnest type: {value.type}", node)
    names: list[str | None] = [None] * len(columns)
    offset = node.args.get("offset")
    if offset:
        sizes = [f"coalesce(len({x}), 0)" for x in lists]
        size = sizes[0] if len(sizes) == 1 else f"greatest({', '.join(sizes)})"
        columns.append((f"range(1, {size} + 1)", ty.BIGINT))
        names.append("ordinality")
    r = compiler.alias()
    items = ", ".join(f'unnest({sql}) AS "c{i}"' for i, (sql, _) in enumerate(columns))
    alias = node.args.get("alias")
    if isinstance(offset, exp.Identifier) and alias is not None:
        # sqlglot takes the last name for that of the ordinality.
        alias = alias.copy()
        alias.append("columns", offset.copy())
    relation = Relation(
        alias.name.lower() if alias is not None and alias.name else None,
        [Field(n, t, f'{r}."c{i}"') for i, ((_, t), n) in enumerate(zip(columns, names, strict=True))],
    )
    _rename(compiler, relation, alias, node)
    used = compiler.references[known:]
    if captures(items, used):
        items = _within(compiler, items, used)
    return f"LATERAL (SELECT {items}) AS {r}", relation


def _within(compiler: Compiler, items: str, used: list[Field]) -> str:
    """The items of a lateral SELECT with the columns from outside as those of a table of its own: DuckDB does not find
    a column that only the body of a lambda names."""
    table, (items,) = as_own(compiler, used, items)
    return f"{items} FROM {table}" if table else items


# A lambda's beginning, what opens and closes parentheses, and texts, in which there may be some.
_PIECES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\blambda\b[^:]*:|[()]""")


def captures(sql: str, outer: list[Field]) -> bool:
    """Whether the body of a lambda names one of the columns, which DuckDB may not find there."""
    if "lambda" not in sql or not outer:
        return False
    # Where bodies begin, with the depth at which they do.
    open_bodies: list[tuple[int, int]] = []
    depth = 0
    for m in _PIECES.finditer(sql):
        if m[0].startswith("lambda"):
            open_bodies.append((depth, m.end()))
        elif m[0] == "(":
            depth += 1
        elif m[0] == ")":
            depth -= 1
            while open_bodies and open_bodies[-1][0] > depth:
                body = sql[open_bodies.pop()[1] : m.start()]
                if any(f.sql in body for f in outer):
                    return True
    return False


def as_own(compiler: Compiler, outer: list[Field], *sqls: str) -> tuple[str, list[str]]:
    """A table of the columns from outside that the SQL names, and the SQL with its columns in their places."""
    r = compiler.alias()
    inner: dict[str, str] = {}
    changed = list(sqls)
    for f in outer:
        if f.sql not in inner and any(f.sql in s for s in sqls):
            inner[f.sql] = f'{r}."c{len(inner)}"'
            changed = [s.replace(f.sql, inner[f.sql]) for s in changed]
    brought = ", ".join(f'{sql} AS "c{i}"' for i, sql in enumerate(inner))
    return (f"(SELECT {brought}) AS {r}" if inner else ""), changed


def from_clause(
    compiler: Compiler, first: exp.Expression, joins: list[exp.Expression], scope: Scope
) -> tuple[str, list[Relation]]:
    nested = first.args.get("joins") or []
    sql, relations = from_item(compiler, first, scope)
    scope.relations += relations
    for join in [*nested, *[j for j in joins if j not in nested]]:
        sql = _join(compiler, sql, join, scope)
    return sql, scope.relations


def _join(compiler: Compiler, left: str, join: exp.Expression, scope: Scope) -> str:
    kind, side, method = (join.args.get(k) or "" for k in ("kind", "side", "method"))
    kind, side, method = str(kind).upper(), str(side).upper(), str(method).upper()
    if kind in ("SEMI", "ANTI") or method == "ASOF":
        raise compiler.fail("", f"mismatched input '{kind or method}'", join)
    before = list(scope.relations)
    sql, relations = from_item(compiler, join.this, scope)
    using = [c.name.lower() for c in join.args.get("using") or []]
    if method == "NATURAL":
        raise compiler.fail("NOT_SUPPORTED", "Natural join not supported", join)
    if kind == "CROSS" or (not kind and not side and not join.args.get("on") and not using):
        scope.relations += relations
        return f"{left} CROSS JOIN {sql}"
    word = {"LEFT": "LEFT JOIN", "RIGHT": "RIGHT JOIN", "FULL": "FULL JOIN"}.get(side, "INNER JOIN")
    if using:
        conditions, merged = [], []
        for name in using:
            a = compiler.find(Scope(before), [name], join)
            b = compiler.find(Scope(relations), [name], join)
            ea, eb = E(a.sql, a.type), E(b.sql, b.type)
            x, y, t = compiler.common(ea, eb, "=", join)
            conditions.append(f"{x.sql} = {y.sql}")
            value = {"RIGHT": y.sql, "FULL": f"coalesce({x.sql}, {y.sql})"}.get(side, x.sql)
            origins = a.origins if side in ("", "INNER", "LEFT") else ()
            merged.append(Field(a.name, t, value, origins, mark=(*a.mark, *b.mark)))
            compiler.touch(a)
            compiler.touch(b)
        for rel in [*before, *relations]:
            rel.fields = [f for f in rel.fields if f.name is None or f.name.lower() not in using]
        scope.relations.insert(0, Relation(None, merged))
        scope.relations += relations
        return f"{left} {word} {sql} ON {' AND '.join(conditions)}"
    scope.relations += relations
    on = join.args.get("on")
    if isinstance(join.this, exp.Unnest) and on is not None and not (isinstance(on, exp.Boolean) and on.this):
        raise compiler.fail(
            "NOT_SUPPORTED",
            f"{side or 'INNER'} JOIN involving UNNEST is only supported with condition ON TRUE",
            on,
        )
    if on is None:
        raise compiler.fail("", "mismatched input. Expecting: 'ON', 'USING'", join)
    compiler.group_sql.append(None)
    condition = compiler.boolean(on, scope, "JOIN ON")
    compiler.group_sql.pop()
    if not side:
        constrain(compiler, on, scope, None)
    elif side == "LEFT":
        constrain(compiler, on, scope, {id(f) for r in relations for f in r.fields})
    elif side == "RIGHT":
        constrain(compiler, on, scope, {id(f) for rel in before for f in rel.fields})
    return f"{left} {word} {sql} ON {condition.sql}"


def mentions(node: exp.Expression, name: str) -> bool:
    return any(t.name.lower() == name.lower() and not t.db for t in node.find_all(exp.Table))
