"""A view's query as Athena's engine formats it, which is how SHOW CREATE VIEW shows it.

Trino's own formatter: https://github.com/trinodb/trino/blob/435/core/trino-parser/src/main/java/io/trino/sql/SqlFormatter.java
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local_aws.athena.errors import QueryError
from local_aws.athena.parser import parse_query


class _UnknownError(Exception):
    """A form that this module does not know."""


def formatted(sql: str) -> str:
    """The query, or as it was written where a form in it is not known here."""
    if re.search(r"\bNULLS\s+LAST\b", sql, re.I):
        # Which the parser takes for nothing said.
        return sql
    try:
        return _query(parse_query(sql), 0).rstrip()
    except (_UnknownError, QueryError, AttributeError):
        return sql


_STEP = 3


def _pad(depth: int) -> str:
    return " " * (_STEP * depth)


# -------------------------------------------------------------------------------------------------- queries


def _query(node: Any, depth: int) -> str:
    """With a line break at its end, as each of its lines has one."""
    known = {
        "this", "with_", "with", "expressions", "distinct", "from_", "from", "joins", "where", "group", "having", "order",
        "limit", "offset", "windows", "expression", "alias", "kind", "hint", "into", "operation_modifiers", "exclude",
    }  # fmt: skip
    if any(v for k, v in node.args.items() if k not in known):
        raise _UnknownError
    out = _with(node, depth)
    if isinstance(node, exp.Select):
        out += _select(node, depth)
    elif isinstance(node, exp.SetOperation):
        word = type(node).__name__.upper() + ("" if node.args.get("distinct") else " ALL")
        out += f"{_side(node.this, depth)}{word} {_side(node.expression, depth)}"
    elif isinstance(node, exp.Subquery):
        out += _side(node, depth)
    elif isinstance(node, exp.Values):
        out += _values(node, depth)
    else:
        raise _UnknownError
    order, offset, limit = (node.args.get(k) for k in ("order", "offset", "limit"))
    if order is not None:
        out += f"{_pad(depth)}{_order(order)}\n"
    if offset is not None:
        out += f"{_pad(depth)}OFFSET {_text(offset.expression)} ROWS\n"
    if limit is not None:
        if isinstance(limit, exp.Fetch):
            raise _UnknownError
        out += f"{_pad(depth)}LIMIT {_text(limit.expression)}\n"
    return out


def _side(node: Any, depth: int) -> str:
    if isinstance(node, exp.Subquery):
        if node.args.get("alias"):
            raise _UnknownError
        return f"(\n{_query(node.this, depth + 1)}{_pad(depth)}) "
    return _query(node, depth)


def _with(node: Any, depth: int) -> str:
    clause = node.args.get("with_") or node.args.get("with")
    if clause is None:
        return ""
    ctes = []
    for cte in clause.expressions:
        alias = cte.args["alias"]
        columns = ", ".join(_name(c) for c in alias.args.get("columns") or [])
        head = f"{_name(alias.this)}{f' ({columns})' if columns else ''}"
        ctes.append(f"{head} AS (\n{_query(cte.this, depth + 1)}{_pad(depth)}) \n")
    recursive = " RECURSIVE" if clause.args.get("recursive") else ""
    return f"{_pad(depth)}WITH{recursive}\n{_pad(depth)}  " + f"{_pad(depth)}, ".join(ctes)


def _select(node: exp.Select, depth: int) -> str:
    pad = _pad(depth)
    distinct = node.args.get("distinct")
    if distinct is not None and distinct.args.get("on"):
        raise _UnknownError
    out = f"{pad}SELECT{' DISTINCT' if distinct else ''}"
    items = [_item(e) for e in node.expressions]
    if len(items) > 1:
        out += "".join(f"\n{pad}{', ' if i else '  '}{item}" for i, item in enumerate(items))
    else:
        out += f" {items[0]}"
    out += "\n"
    source = node.args.get("from_") or node.args.get("from")
    if source is not None:
        out += f"{pad}FROM\n{pad}  {_sources(source.this, node.args.get('joins') or [], depth)}"
    out += "\n"
    if node.args.get("where"):
        out += f"{pad}WHERE {_text(node.args['where'].this)}\n"
    group = node.args.get("group")
    if group is not None:
        if group.args.get("all") is not None:
            raise _UnknownError
        elements = [_group(e) for e in group.expressions]
        for kind in ("grouping_sets", "rollup", "cube"):
            elements += [_group(e) for e in group.args.get(kind) or []]
        out += f"{pad}GROUP BY {', '.join(elements)}\n"
    if node.args.get("having"):
        out += f"{pad}HAVING {_text(node.args['having'].this)}\n"
    if node.args.get("windows"):
        raise _UnknownError
    return out


def _item(node: Any) -> str:
    if isinstance(node, exp.Alias):
        return f"{_text(node.this)} {_name(node.args['alias'])}"
    if isinstance(node, exp.Star):
        return "*"
    if isinstance(node, exp.Column) and isinstance(node.this, exp.Star):
        return ".".join(_name(p) for p in node.parts[:-1]) + ".*"
    return _text(node)


def _group(node: Any) -> str:
    def one(e: Any) -> str:
        return f"({', '.join(map(_text, e.expressions))})" if isinstance(e, exp.Tuple) else f"({_text(e)})"

    if isinstance(node, exp.GroupingSets):
        return f"GROUPING SETS ({', '.join(map(one, node.expressions))})"
    if isinstance(node, exp.Rollup | exp.Cube):
        return f"{type(node).__name__.upper()} ({', '.join(map(one, node.expressions))})"
    return _text(node)


def _order(node: Any) -> str:
    return "ORDER BY " + ", ".join(
        _text(o.this)
        + (" DESC" if o.args.get("desc") else " ASC")
        + (" NULLS FIRST" if o.args.get("nulls_first") else "")
        for o in node.expressions
    )


def _values(node: exp.Values, depth: int) -> str:
    pad = _pad(depth)

    def one(e: Any) -> str:
        values = [_text(x) for x in e.expressions] if isinstance(e, exp.Tuple) else [_text(e)]
        return f"ROW ({', '.join(values)})" if len(values) > 1 else values[0]

    rows = "\n".join(f"{pad}{', ' if i else '  '}{one(e)}" for i, e in enumerate(node.expressions))
    return f" VALUES \n{rows}\n"


# -------------------------------------------------------------------------------------------------- FROM


def _sources(first: Any, joins: list[Any], depth: int) -> str:
    nested = first.args.get("joins") or []
    # What commas separate; each with its joins.
    relations = [_relation(first, depth)]
    for join in [*nested, *(j for j in joins if j not in nested)]:
        kind, side = str(join.args.get("kind") or "").upper(), str(join.args.get("side") or "").upper()
        on, using = join.args.get("on"), join.args.get("using")
        if join.args.get("method"):
            raise _UnknownError
        right = _relation(join.this, depth)
        if kind == "CROSS":
            relations[-1] = f"({relations[-1]}\n{_pad(depth)}CROSS JOIN {right})"
        elif on is None and not using:
            relations.append(right)
        else:
            word = side or "INNER"
            how = f"ON {_text(on)}" if on is not None else f"USING ({', '.join(map(_name, using))})"
            relations[-1] = f"({relations[-1]}\n{_pad(depth)}{word} JOIN {right} {how})"
    return f"\n{_pad(depth)}, ".join(relations)


def _relation(node: Any, depth: int) -> str:
    alias = node.args.get("alias")
    if node.args.get("sample") or node.args.get("version") or isinstance(node, exp.Lateral):
        raise _UnknownError
    if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
        made = ".".join(_name(p) for p in node.parts)
    elif isinstance(node, exp.Unnest):
        made = f"UNNEST({', '.join(map(_text, node.expressions))})"
        if node.args.get("offset"):
            made += " WITH ORDINALITY"
            if isinstance(node.args["offset"], exp.Identifier) and alias is not None:
                alias = alias.copy()
                alias.append("columns", node.args["offset"].copy())
    elif isinstance(node, exp.Subquery) and isinstance(node.this, exp.Query):
        made = f"(\n{_query(node.this, depth + 1)}{_pad(depth)}) "
    elif isinstance(node, exp.Values | exp.Table):
        values = node.this if isinstance(node, exp.Table) else node
        if not isinstance(values, exp.Values):
            raise _UnknownError
        made = f"(\n{_values(values, depth + 1)}{_pad(depth)}) "
    else:
        raise _UnknownError
    if alias is None or not alias.this:
        return made
    columns = ", ".join(_name(c) for c in alias.args.get("columns") or [])
    return f"{made} {_name(alias.this)}{f' ({columns})' if columns else ''}"


# -------------------------------------------------------------------------------------------- expressions


def _name(node: Any) -> str:
    if not isinstance(node, exp.Identifier):
        raise _UnknownError
    return '"' + node.name.replace('"', '""') + '"' if node.quoted else node.name


def _binary(word: str) -> Callable[[Any], str]:
    return lambda n: f"({_text(n.this)} {word} {_text(n.expression)})"


def _logical(n: Any) -> str:
    word, parts, first = type(n).__name__.upper(), [n.expression], n.this
    while type(first) is type(n):
        parts.insert(0, first.expression)
        first = first.this
    return f"({f' {word} '.join(_text(p) for p in (first, *parts))})"


def _not(n: exp.Not) -> str:
    if isinstance(n.this, exp.Is):
        return f"({_text(n.this.this)} IS NOT NULL)"
    return f"(NOT {_text(n.this)})"


def _literal(n: exp.Literal) -> str:
    if n.is_string:
        return "'" + n.name.replace("'", "''") + "'"
    if not re.search("[.eE]", n.name):
        return n.name
    # A double, in Athena's SQL.
    mantissa, _, exponent = f"{float(n.name):.18e}".partition("e")
    digits = repr(float(n.name)).replace("-", "").partition("e")[0].replace(".", "").strip("0")
    return (
        f"{digits[:1] or '0'}.{digits[1:] or '0'}".removesuffix(".0") + f"E{int(exponent)}"
        if mantissa
        else ""
    )


def _in(n: exp.In) -> str:
    query = n.args.get("query")
    if query is not None:
        return f"({_text(n.this)} IN {_subquery(query)})"
    if n.args.get("unnest"):
        raise _UnknownError
    return f"({_text(n.this)} IN ({', '.join(map(_text, n.expressions))}))"


def _subquery(n: Any) -> str:
    inner = n.this if isinstance(n, exp.Subquery) else n
    return f"({_query(inner, 0)})"


def _case(n: exp.Case) -> str:
    operand = f" {_text(n.this)}" if n.this is not None else ""
    whens = "".join(f" WHEN {_text(i.this)} THEN {_text(i.args['true'])}" for i in n.args["ifs"])
    default = f" ELSE {_text(n.args['default'])}" if n.args.get("default") is not None else ""
    return f"(CASE{operand}{whens}{default} END)"


_LITERAL_TYPES = ("DATE", "TIMESTAMP", "TIME", "DECIMAL", "TIMESTAMPTZ")


def _cast(n: Any) -> str:
    to = n.args["to"]
    word = "TRY_CAST" if isinstance(n, exp.TryCast) else "CAST"
    if not n.meta.get("written_out"):
        name = to.this.name if isinstance(to.this, exp.DataType.Type) else ""
        if name not in _LITERAL_TYPES or to.expressions or not isinstance(n.this, exp.Literal):
            raise _UnknownError
        return f"{'TIMESTAMP' if name == 'TIMESTAMPTZ' else name} {_literal(n.this)}"
    return f"{word}({_text(n.this)} AS {_type(to)})"


def _type(n: exp.DataType) -> str:
    name = n.this.name if isinstance(n.this, exp.DataType.Type) else ""
    simple = {
        "INT": "integer", "BIGINT": "bigint", "SMALLINT": "smallint", "TINYINT": "tinyint", "DOUBLE": "double",
        "FLOAT": "real", "BOOLEAN": "boolean", "VARCHAR": "varchar", "CHAR": "char", "DATE": "date", "JSON": "json",
        "VARBINARY": "varbinary", "DECIMAL": "decimal", "TIMESTAMP": "timestamp", "UUID": "uuid", "TIME": "time",
    }  # fmt: skip
    if name in ("ARRAY", "MAP"):
        return f"{name.lower()}({', '.join(_type(e) for e in n.expressions)})"
    if name == "STRUCT":
        fields = [f"{_name(e.this)} {_type(e.kind)}" for e in n.expressions]
        return f"ROW({', '.join(fields)})"
    if name not in simple:
        raise _UnknownError
    sizes = [e.this.name for e in n.expressions if isinstance(e, exp.DataTypeParam)]
    return simple[name] + (f"({', '.join(sizes)})" if sizes else "")


def _call(n: exp.Anonymous) -> str:
    name = n.name
    upper = name.upper()
    if upper in ("COALESCE", "NULLIF", "TRY"):
        name = upper
    if upper == "ROW":
        return f"ROW ({', '.join(map(_text, n.expressions))})"
    order = ""
    items = list(n.expressions)
    if len(items) == 1 and isinstance(items[0], exp.Order):
        order, items = " " + _order(items[0]), [items[0].this]
    distinct = ""
    if len(items) == 1 and isinstance(items[0], exp.Distinct):
        distinct, items = "DISTINCT ", items[0].expressions
    arguments = ", ".join("*" if isinstance(e, exp.Star) else _text(e) for e in items)
    return f"{name}({distinct}{arguments}{order})"


def _window(n: exp.Window) -> str:
    call = _text(n.this)
    alias = n.args.get("alias")
    if alias is not None:
        return f"{call} OVER {_name(alias)}"
    parts = []
    if n.args.get("partition_by"):
        parts.append("PARTITION BY " + ", ".join(map(_text, n.args["partition_by"])))
    if n.args.get("order") is not None:
        parts.append(_order(n.args["order"]))
    spec = n.args.get("spec")
    if spec is not None:
        ends = []
        for end in ("start", "end"):
            value, side = spec.args.get(end), spec.args.get(f"{end}_side")
            if value is None:
                continue
            text = _text(value) if isinstance(value, exp.Expression) else str(value).upper()
            ends.append(f"{text} {str(side).upper()}" if side else text)
        kind = str(spec.args["kind"]).upper()
        parts.append(f"{kind} BETWEEN {' AND '.join(ends)}" if len(ends) > 1 else f"{kind} {ends[0]}")
    return f"{call} OVER ({' '.join(parts)})"


def _interval(n: exp.Interval) -> str:
    unit = n.args.get("unit")
    if not isinstance(n.this, exp.Literal) or not isinstance(unit, exp.Var):
        raise _UnknownError
    return f"INTERVAL '{n.this.name}' {unit.name.upper()}"


def _like(n: Any) -> str:
    escape = ""
    if isinstance(n, exp.Escape):
        escape, n = f" ESCAPE {_text(n.expression)}", n.this
    made = f"({_text(n.this)} LIKE {_text(n.expression)}{escape})"
    return f"(NOT {made})" if n.args.get("negate") else made


def _lambda(n: exp.Lambda) -> str:
    return f"({', '.join(_name(p) for p in n.expressions)}) -> {_text(n.this)}"


def _quantified(n: Any) -> str:
    words = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
    right = n.expression
    if isinstance(right, exp.Any | exp.All):
        inner = right.this
        while isinstance(inner, exp.Paren):
            inner = inner.this
        kind = "ALL" if isinstance(right, exp.All) else "ANY"
        return f"({_text(n.this)} {words[type(n)]} {kind} {_subquery(inner)})"
    return _binary(words[type(n)])(n)


_FORMS: dict[type, Callable[[Any], str]] = {
    exp.Column: lambda n: ".".join(_name(p) for p in n.parts),
    exp.Identifier: _name,
    exp.Dot: lambda n: f"{_text(n.this)}.{_text(n.expression)}",
    exp.Literal: _literal,
    exp.Null: lambda n: "null",
    exp.Boolean: lambda n: "true" if n.this else "false",
    exp.And: _logical,
    exp.Or: _logical,
    exp.Not: _not,
    exp.Is: lambda n: f"({_text(n.this)} IS NULL)",
    exp.EQ: _quantified,
    exp.NEQ: _quantified,
    exp.GT: _quantified,
    exp.GTE: _quantified,
    exp.LT: _quantified,
    exp.LTE: _quantified,
    exp.NullSafeNEQ: _binary("IS DISTINCT FROM"),
    exp.NullSafeEQ: lambda n: f"(NOT ({_text(n.this)} IS DISTINCT FROM {_text(n.expression)}))",
    exp.Add: _binary("+"),
    exp.Sub: _binary("-"),
    exp.Mul: _binary("*"),
    exp.Div: _binary("/"),
    exp.Mod: _binary("%"),
    exp.DPipe: lambda n: f"concat({_text(n.this)}, {_text(n.expression)})",
    exp.Neg: lambda n: "-" + n.this.name if isinstance(n.this, exp.Literal) and not n.this.is_string and n.this.name.isdigit() else f"-({_text(n.this)})",
    exp.Paren: lambda n: _subquery(n.this) if isinstance(n.this, exp.Query) else _text(n.this),
    exp.Between: lambda n: f"({_text(n.this)} BETWEEN {_text(n.args['low'])} AND {_text(n.args['high'])})",
    exp.In: _in,
    exp.Like: _like,
    exp.Escape: _like,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Case: _case,
    exp.If: lambda n: "IF(" + ", ".join(_text(x) for x in (n.this, n.args["true"], n.args.get("false")) if x is not None) + ")",
    exp.Anonymous: _call,
    exp.Array: lambda n: f"ARRAY[{','.join(map(_text, n.expressions))}]",
    exp.Bracket: lambda n: f"{_text(n.this)}[{_text(n.expressions[0])}]",
    exp.Tuple: lambda n: f"ROW ({', '.join(map(_text, n.expressions))})",
    exp.Window: _window,
    exp.Filter: lambda n: f"{_text(n.this)} FILTER (WHERE {_text(n.expression.this)})",
    exp.IgnoreNulls: lambda n: f"{_text(n.this)} IGNORE NULLS",
    exp.Lambda: _lambda,
    exp.Interval: _interval,
    exp.Exists: lambda n: f"(EXISTS {_subquery(n.this)})",
    exp.Subquery: _subquery,
    exp.Select: _subquery,
    exp.CurrentDate: lambda n: "current_date",
    exp.CurrentTimestamp: lambda n: "current_timestamp",
    exp.Extract: lambda n: f"EXTRACT({n.this.name.upper()} FROM {_text(n.expression)})",
    exp.AtTimeZone: lambda n: f"{_text(n.this)} AT TIME ZONE {_text(n.args['zone'])}",
}  # fmt: skip


def _text(node: Any) -> str:
    form = _FORMS.get(type(node))
    if form is None:
        raise _UnknownError
    return form(node)
