"""Operators, literals, CASE, CAST, subqueries and windows: one function for each kind of expression."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from typing import Any

from sqlglot import exp

from local_aws.athena import functions as fn
from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import (
    LAZY,
    MARK,
    E,
    cast,
    coerce,
    comparable,
    decimal_literal,
    equals,
    literal,
    raise_text,
    struct_field,
    zoned_literal,
    zoned_time,
)
from local_aws.athena.parser import JsonCall, position
from local_aws.athena.plan import Compiler, Field, Query, Scope, direction, sort_key
from local_aws.athena.types import Type

# https://docs.aws.amazon.com/athena/latest/ug/other-notable-limitations.html
MAX_ELEMENTS = 254


def _column(compiler: Compiler, node: exp.Column, scope: Scope) -> E:
    parts = [p.name for p in node.parts]
    bound = compiler.lambda_value(parts[0])
    if bound is not None:
        e = bound
        for name in parts[1:]:
            e = compiler.dereference(e, name, node)
        return e
    if len(parts) == 1 and scope.outputs is not None and parts[0].lower() in scope.outputs:
        compiler.variables += 1
        return scope.outputs[parts[0].lower()]
    found = compiler.lookup(scope, parts, node)
    if found is None and len(parts) == 1 and parts[0].lower() in ("current_catalog", "current_schema"):
        return E(
            "'awsdatacatalog'" if parts[0].lower() == "current_catalog" else f"'{compiler.database}'",
            ty.VARCHAR,
        )
    f = found[0] if found is not None else compiler.find(scope, parts, node)
    compiler.variables += 1
    compiler.references.append(f)
    if found is not None and found[1].relations is not scope.relations:
        compiler.outer.append(f)
    compiler.touch(f)
    if not compiler.in_aggregate and found is not None and found[1].relations is scope.relations:
        compiler.free.append((".".join(parts), node))
    if compiler.partition_scan is not None:
        column = next((c for s, c in f.origins if s is compiler.partition_scan), None)
        if column is not None:
            return E(f"p.{ty.quote(column)}", f.type)
    e = E(f.sql, f.type, f.origins)
    own = found is not None and found[1].relations is scope.relations
    return compiler.lift(e) if compiler.group_sql[-1] is None and own else e


def _identifier(compiler: Compiler, node: exp.Identifier, scope: Scope) -> E:
    bound = compiler.lambda_value(node.name)
    if bound is not None:
        return bound
    return _column(compiler, exp.column(node.copy()), scope)


def _dot(compiler: Compiler, node: exp.Dot, scope: Scope) -> E:
    return compiler.dereference(compiler.expr(node.this, scope), node.expression.name, node)


def _bracket(compiler: Compiler, node: exp.Bracket, scope: Scope) -> E:
    base = compiler.expr(node.this, scope)
    index = compiler.expr(node.expressions[0], scope)
    return fn.subscript(compiler, base, index, node)


def _parameter(compiler: Compiler, node: exp.Expression, scope: Scope) -> E:
    raise compiler.fail(
        "INVALID_PARAMETER_USAGE",
        "Incorrect number of parameters: the query has more than were given",
        node,
    )


def _connective(compiler: Compiler, node: exp.Expression, scope: Scope) -> E:
    word = "AND" if isinstance(node, exp.And) else "OR"
    nodes = [node.expression]
    first = node.this
    while type(first) is type(node):
        nodes.insert(0, first.expression)
        first = first.this
    parts = [_logical(compiler, n, scope, word).sql for n in (first, *nodes)]
    whole = f"({f' {word} '.join(parts)})"
    if compiler.filtering or not any(MARK in p for p in parts[1:]):
        return E(whole, ty.BOOLEAN)
    # What decides keeps the rest from being computed, as DuckDB does it for conditions on rows only.
    test, decided = ("", "true") if word == "OR" else ("NOT ", "false")
    cases = " ".join(f"WHEN {test}{p} THEN {decided}" for p in parts[:-1])
    return E(f"CASE {cases} ELSE {whole} END", ty.BOOLEAN)


def _logical(compiler: Compiler, node: exp.Expression, scope: Scope, word: str) -> E:
    e = compiler.expr(node, scope)
    if e.type.base == "unknown":
        return E("CAST(NULL AS BOOLEAN)", ty.BOOLEAN)
    if e.type != ty.BOOLEAN:
        raise compiler.fail(
            "TYPE_MISMATCH",
            f"Logical expression term must evaluate to a boolean (actual: {e.type})",
            node,
        )
    return e


def _not(compiler: Compiler, node: exp.Not, scope: Scope) -> E:
    e = _logical(compiler, node.this, scope, "NOT")
    return E(f"(NOT {e.sql})", ty.BOOLEAN)


def _compare(compiler: Compiler, node: exp.Expression, scope: Scope) -> E:
    op = _COMPARISONS[type(node)]
    left = compiler.expr(node.this, scope)
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
        query = compiler.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
        compiler.variables += 1
        t = _one_column(compiler, query, node)
        r = compiler.alias()
        a, b, both = compiler.common(left, E(f'{r}."c0"', t), op, node)
        comparable(compiler, both, op, node)
        numbers = _without_nan(b.sql, both) if op == ("<>" if everything else "=") else ""
        return E(f"({a.sql} {op} {word} (SELECT {b.sql} FROM ({query.sql}) AS {r}{numbers}))", ty.BOOLEAN)
    return E(_compared(compiler, op, left, compiler.expr(right_node, scope), node), ty.BOOLEAN)


def _compared(compiler: Compiler, op: str, left: E, right: E, node: exp.Expression) -> str:
    a, b, t = compiler.common(left, right, op, node)
    comparable(compiler, t, op, node)
    return _comparison(op, a, b, t, left.value is not None, right.value is not None)


def _distinct_from(compiler: Compiler, node: exp.Expression, scope: Scope) -> E:
    a, b, _ = compiler.common(
        compiler.expr(node.this, scope), compiler.expr(node.expression, scope), "IS DISTINCT FROM", node
    )
    word = "IS DISTINCT FROM" if isinstance(node, exp.NullSafeNEQ) else "IS NOT DISTINCT FROM"
    return E(f"({a.sql} {word} {b.sql})", ty.BOOLEAN)


def _is(compiler: Compiler, node: exp.Is, scope: Scope) -> E:
    e = compiler.expr(node.this, scope)
    right = node.expression
    if isinstance(right, exp.Null):
        return E(f"({e.sql} IS NULL)", ty.BOOLEAN)
    if isinstance(right, exp.Not) and isinstance(right.this, exp.Null):
        return E(f"({e.sql} IS NOT NULL)", ty.BOOLEAN)
    raise not_supported(f"IS {right.sql('trino')}", position(compiler.source, node))


def _between(compiler: Compiler, node: exp.Between, scope: Scope) -> E:
    value = compiler.expr(node.this, scope)
    low, high = compiler.expr(node.args["low"], scope), compiler.expr(node.args["high"], scope)
    t = ty.common(value.type, low.type)
    t = ty.common(t, high.type) if t is not None else None
    if t is None:
        raise compiler.fail(
            "TYPE_MISMATCH", f"Cannot check if {value.type} is BETWEEN {low.type} and {high.type}", node
        )
    if t.args or t.base in ("double", "real") or "char" in (value.type.base, low.type.base, high.type.base):
        above = _compared(compiler, ">=", value, low, node)
        return E(f"({above} AND {_compared(compiler, '<=', value, high, node)})", ty.BOOLEAN)
    return E(f"({cast(value, t).sql} BETWEEN {cast(low, t).sql} AND {cast(high, t).sql})", ty.BOOLEAN)


def _in(compiler: Compiler, node: exp.In, scope: Scope) -> E:
    value = compiler.expr(node.this, scope)
    inner = node.args.get("query")
    if inner is None and len(node.expressions) == 1 and isinstance(node.expressions[0], exp.Values):
        inner = node.expressions[0]
    if inner is not None:
        query = compiler.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
        compiler.variables += 1
        if value.type.base == "row" and len(query.fields) == len(value.type.args) > 1:
            # The subquery's columns as one row.
            r = compiler.alias()
            whole = fn.make_row([E(f'{r}."c{i}"', f.type) for i, f in enumerate(query.fields)])
            query = Query(
                f'SELECT {whole.sql} AS "c0" FROM ({query.sql}) AS {r}', [Field(None, whole.type, "")]
            )
        t = _one_column(compiler, query, node)
        c = ty.common(value.type, t)
        if c is None:
            raise compiler.fail(
                "TYPE_MISMATCH",
                f"value and result of subquery must be of the same type for IN expression: {value.type} vs {t}",
                node,
            )
        r = compiler.alias()
        column = cast(E(f'{r}."c0"', t), c).sql
        if c.base == "varchar" and "char" in (value.type.base, t.base):
            # Compared as char, that is without the blanks at the end.
            value, column = E(f"rtrim({value.sql}, ' ')", c), f"rtrim({column}, ' ')"
        if c.args:
            equal = equals(cast(value, c).sql, column, c)
            return E(
                f"(SELECT CASE WHEN coalesce(bool_or({equal}), false) THEN true WHEN count(*) > count({equal}) THEN NULL ELSE false END FROM ({query.sql}) AS {r})",
                ty.BOOLEAN,
            )
        numbers = _without_nan(column, c)
        return E(
            f"({cast(value, c).sql} IN (SELECT {column} FROM ({query.sql}) AS {r}{numbers}))", ty.BOOLEAN
        )
    if node.args.get("unnest"):
        raise not_supported("IN UNNEST", position(compiler.source, node))
    items = [compiler.expr(e, scope) for e in node.expressions]
    t = value.type
    for item in items:
        c = ty.common(t, item.type)
        if c is None:
            raise compiler.fail("TYPE_MISMATCH", f"IN value and list items must be the same type: {t}", node)
        t = c
    if t.args or (t.base in ("real", "double") and any(i.value is None for i in items)):
        equal = " OR ".join(equals(cast(value, t).sql, cast(i, t).sql, t, i.value is not None) for i in items)
        return E(f"({equal})", ty.BOOLEAN)
    if t.base == "varchar" and any(e.type.base == "char" for e in (value, *items)):
        value, *items = (E(f"rtrim({e.sql}, ' ')", t) for e in (value, *items))
    return E(f"({cast(value, t).sql} IN ({', '.join(cast(i, t).sql for i in items)}))", ty.BOOLEAN)


def _without_nan(column: str, t: Type) -> str:
    """A clause that leaves NaN out, which equals nothing."""
    return f" WHERE isnan({column}) IS DISTINCT FROM true" if t.base in ("real", "double") else ""


def _one_column(compiler: Compiler, query: Query, node: exp.Expression) -> Type:
    if len(query.fields) != 1:
        raise compiler.fail(
            "NOT_SUPPORTED",
            f"Multiple columns returned by subquery are not yet supported. Found {len(query.fields)}",
            node,
        )
    return query.fields[0].type


def _like(compiler: Compiler, node: exp.Expression, scope: Scope) -> E:
    escape, mark = "", None
    if isinstance(node, exp.Escape):
        mark = compiler.expr(node.expression, scope)
        escape = f" ESCAPE {mark.sql}"
        node = node.this
    if not isinstance(node, exp.Like):
        raise not_supported(node.sql("trino")[:60], position(compiler.source, node))
    a, b = compiler.expr(node.this, scope), compiler.expr(node.expression, scope)
    for e in (a, b):
        if e.type.base not in ("varchar", "char", "unknown"):
            raise compiler.fail(
                "TYPE_MISMATCH",
                f"Left side of LIKE expression must evaluate to a varchar (actual: {e.type})",
                node,
            )
    if mark is not None and isinstance(mark.value, str) and isinstance(b.value, str):
        _check_escapes(compiler, b.value, mark.value, node)
    if node.args.get("negate"):
        return E(f"({a.sql} NOT LIKE {b.sql}{escape})", ty.BOOLEAN)
    return E(f"({a.sql} LIKE {b.sql}{escape})", ty.BOOLEAN)


def _check_escapes(compiler: Compiler, pattern: str, escape: str, node: exp.Expression) -> None:
    code = "INVALID_FUNCTION_ARGUMENT"
    if len(escape) != 1:
        raise compiler.fail(code, "Escape string must be a single character", node)
    if re.sub(rf"{re.escape(escape)}[%_{re.escape(escape)}]", "", pattern, flags=re.S).count(escape):
        raise compiler.fail(
            code, "Escape character must be followed by '%', '_' or the escape character itself", node
        )


def _arithmetic(compiler: Compiler, node: exp.Expression, scope: Scope) -> E:
    op = _ARITHMETIC[type(node)]
    return fn.arithmetic(
        compiler, op, compiler.expr(node.this, scope), compiler.expr(node.expression, scope), node
    )


def _negative(compiler: Compiler, node: exp.Neg, scope: Scope) -> E:
    if isinstance(node.this, exp.Literal) and not node.this.is_string:
        return literal("-" + node.this.name)
    e = compiler.expr(node.this, scope)
    if e.type.base not in ty.NUMERIC and not e.type.base.startswith("interval"):
        raise compiler.fail("TYPE_MISMATCH", f"Cannot negate {e.type}", node)
    return E(f"(- {e.sql})", e.type)


def _concat(compiler: Compiler, node: exp.DPipe, scope: Scope) -> E:
    return fn.concat(compiler, [compiler.expr(node.this, scope), compiler.expr(node.expression, scope)], node)


def _cast(compiler: Compiler, node: exp.Expression, scope: Scope) -> E:
    to = node.args["to"]
    text = node.this.name if isinstance(node.this, exp.Literal) and node.this.is_string else ""
    is_literal = isinstance(node.this, exp.Literal) and node.this.is_string
    if is_literal and not to.expressions and not node.meta.get("written_out"):
        found = _typed_literal(compiler, to, text, node)
        if found is not None:
            return found
    e = compiler.expr(node.this, scope)
    target = ty.trino_type(to)
    result = coerce(compiler, e, target, node)
    if isinstance(node, exp.TryCast):
        return E(f"TRY({LAZY}{result.sql})", target)
    return result


def _typed_literal(compiler: Compiler, to: exp.DataType, text: str, node: exp.Expression) -> E | None:
    """DECIMAL '1.50', TIMESTAMP '2020-01-01 00:00:00.123' and the like, whose types depend on their texts."""
    name = to.this.name if isinstance(to.this, exp.DataType.Type) else ""
    if name == "DECIMAL" and re.fullmatch(r"[+-]?\d+\.?|[+-]?\d*\.\d+", text):
        return decimal_literal(text)
    if name in ("CHAR", "NCHAR"):
        return E("'" + text.replace("'", "''") + "'", Type("char", p=max(1, len(text))))
    if name in ("TIMESTAMPTZ", "TIMESTAMPLTZ"):
        return zoned_literal(text, 0, compiler, node)
    if name == "DATE":
        try:
            dt.date.fromisoformat(text)
        except ValueError:
            if re.fullmatch(r"\s*[+-]?\d{4,}-\d{1,2}-\d{1,2}\s*", text) and not re.fullmatch(
                r"\d{4}-\d{2}-\d{2}", text
            ):
                return None
            raise compiler.fail("INVALID_LITERAL", f"'{text}' is not a valid DATE literal", node) from None
        if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text):
            return E(f"DATE '{text}'", ty.DATE)
    if name == "TIME" and re.search(r"\d\s*[+-]\d", text):
        return zoned_time(E("", ty.VARCHAR, value=text), 0, compiler, node, "INVALID_LITERAL")
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
        if (
            not valid
            and name == "TIMESTAMP"
            and re.fullmatch(rf"\s*{day}\s*([+-]\d\d:\d\d|[A-Za-z][\w/+-]*)", text)
        ):
            return zoned_literal(text, 0, compiler, node)
        if not valid:
            raise compiler.fail("INVALID_LITERAL", f"'{text}' is not a valid {name} literal", node)
        t = Type(name.lower(), p=digits)
        return coerce(compiler, E("'" + text.strip() + "'", ty.VARCHAR), t, node)
    return None


def _case(compiler: Compiler, node: exp.Case, scope: Scope) -> E:
    operand = compiler.expr(node.this, scope) if node.this is not None else None
    branches: list[tuple[str, E]] = []
    for i in node.args["ifs"]:
        if operand is not None:
            value = compiler.expr(i.this, scope)
            a, b, t = compiler.common(operand, value, "=", node)
            condition = equals(a.sql, b.sql, t, value.value is not None)
        else:
            condition = compiler.boolean(i.this, scope, "CASE WHEN clause").sql
        branches.append((condition, compiler.expr(i.args["true"], scope)))
    default = compiler.expr(node.args["default"], scope) if node.args.get("default") is not None else None
    return _choose(compiler, branches, default, node)


def _if(compiler: Compiler, node: exp.If, scope: Scope) -> E:
    condition = compiler.boolean(node.this, scope, "IF condition").sql
    yes = compiler.expr(node.args["true"], scope)
    no = compiler.expr(node.args["false"], scope) if node.args.get("false") is not None else None
    return _choose(compiler, [(condition, yes)], no, node)


def _choose(compiler: Compiler, branches: list[tuple[str, E]], default: E | None, node: exp.Expression) -> E:
    t = default.type if default is not None else ty.UNKNOWN
    for _, e in branches:
        c = ty.common(t, e.type)
        if c is None:
            raise compiler.fail(
                "TYPE_MISMATCH",
                f"All CASE results must be the same type or coercible to a common type. Cannot find common type between {t} and {e.type}",
                node,
            )
        t = c
    sql = "CASE " + " ".join(f"WHEN {c} THEN {cast(e, t).sql}" for c, e in branches)
    if default is not None:
        sql += f" ELSE {cast(default, t).sql}"
    return E(f"{sql} END", t)


def _literal(compiler: Compiler, node: exp.Literal, scope: Scope) -> E:
    if node.is_string:
        return E("'" + node.name.replace("'", "''") + "'", ty.varchar(len(node.name)), value=node.name)
    return literal(node.name)


def _unicode(compiler: Compiler, node: exp.UnicodeString, scope: Scope) -> E:
    escape = node.args.get("escape")
    mark = re.escape(escape.name if isinstance(escape, exp.Expression) else "\\")
    text = re.sub(
        rf"{mark}(?:\+([0-9A-Fa-f]{{6}})|([0-9A-Fa-f]{{4}})|({mark}))",
        lambda m: m.group(3) or chr(int(m.group(1) or m.group(2), 16)),
        node.name,
    )
    return E("'" + text.replace("'", "''") + "'", ty.varchar(len(text)), value=text)


def _interval(compiler: Compiler, node: exp.Interval, scope: Scope) -> E:
    return fn.interval(compiler, node)


def _array(compiler: Compiler, node: exp.Array, scope: Scope) -> E:
    if len(node.expressions) > MAX_ELEMENTS:
        raise QueryError("NOT_SUPPORTED", "Too many arguments for array constructor")
    items = [compiler.expr(e, scope) for e in node.expressions]
    t = ty.UNKNOWN
    for i in items:
        c = ty.common(t, i.type)
        if c is None:
            raise compiler.fail(
                "TYPE_MISMATCH", f"All ARRAY elements must be the same type: {t}, {i.type}", node
            )
        t = c
    if not items:
        return E(f"CAST([] AS {ty.duckdb_type(t)}[])", ty.array(t))
    return E(f"[{', '.join(cast(i, t).sql for i in items)}]", ty.array(t))


def _row(compiler: Compiler, node: exp.Tuple, scope: Scope) -> E:
    return fn.make_row([compiler.expr(e, scope) for e in node.expressions])


def _exists(compiler: Compiler, node: exp.Exists, scope: Scope) -> E:
    inner = node.this
    query = compiler.query(inner.this if isinstance(inner, exp.Subquery) else inner, scope)
    compiler.variables += 1
    return E(f"EXISTS ({query.sql})", ty.BOOLEAN)


def _scalar_subquery(compiler: Compiler, node: Any, scope: Scope) -> E:
    query = compiler.query(node, scope)
    compiler.variables += 1
    if len(query.fields) > 1:
        r = compiler.alias()
        whole = fn.make_row([E(f'{r}."c{i}"', f.type) for i, f in enumerate(query.fields)])
        return E(f"(SELECT {whole.sql} FROM ({query.sql}) AS {r})", whole.type)
    return E(f"({query.sql})", query.fields[0].type)


def _paren(compiler: Compiler, node: exp.Paren, scope: Scope) -> E:
    if isinstance(node.this, exp.Query):
        return _scalar_subquery(compiler, node.this, scope)
    return compiler.expr(node.this, scope)


def _call(compiler: Compiler, node: exp.Anonymous, scope: Scope) -> E:
    return fn.compile_call(compiler, node, scope)


def _filter(compiler: Compiler, node: exp.Filter, scope: Scope) -> E:
    return fn.compile_call(compiler, node.this, scope, filter_node=node.expression.this)


def _within_group(compiler: Compiler, node: exp.WithinGroup, scope: Scope) -> E:
    return fn.compile_call(compiler, node.this, scope, order_node=node.expression)


def _window(compiler: Compiler, node: exp.Window, scope: Scope) -> E:
    window: exp.Expression = node
    alias = node.args.get("alias")
    if alias is not None:
        found = compiler.named_windows.get(alias.name.lower())
        if found is None:
            raise compiler.fail("INVALID_WINDOW_REFERENCE", f"Cannot resolve WINDOW name {alias.name}", node)
        window = found
    compiler.windows.append(window)
    parts = []
    partition = window.args.get("partition_by") or []
    if partition:
        parts.append("PARTITION BY " + ", ".join(compiler.expr(e, scope).sql for e in partition))
    order = window.args.get("order")
    if order is not None:
        compiled = [(compiler.expr(o.this, scope), o) for o in order.expressions]
        keys = [sort_key(e.sql, e.type, o) for e, o in compiled]
        if len(keys) == 1 and window.args.get("spec") is not None:
            # RANGE has one key.
            keys = [e.sql + direction(o) for e, o in compiled]
        parts.append("ORDER BY " + ", ".join(keys))
    spec = window.args.get("spec")
    if spec is not None:
        parts.append(_frame(compiler, spec, scope))
    over = f" OVER ({' '.join(parts)})"
    return fn.compile_call(compiler, node.this, scope, over=over)


def _frame(compiler: Compiler, spec: exp.WindowSpec, scope: Scope) -> str:
    def bound(value: Any, side: Any) -> str:
        text = compiler.expr(value, scope).sql if isinstance(value, exp.Expression) else str(value).upper()
        return f"{text} {str(side).upper()}" if side else text

    start = bound(spec.args.get("start"), spec.args.get("start_side"))
    end = spec.args.get("end")
    tail = f" AND {bound(end, spec.args.get('end_side'))}" if end is not None else " AND CURRENT ROW"
    if spec.args.get("exclude"):
        raise compiler.fail("", "mismatched input 'EXCLUDE'", spec)
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
HANDLERS: dict[type[exp.Expression], Handler] = {
    exp.Column: _column,
    exp.Identifier: _identifier,
    exp.Dot: _dot,
    exp.Bracket: _bracket,
    exp.And: _connective,
    exp.Or: _connective,
    exp.Not: _not,
    exp.EQ: _compare,
    exp.NEQ: _compare,
    exp.GT: _compare,
    exp.GTE: _compare,
    exp.LT: _compare,
    exp.LTE: _compare,
    exp.NullSafeEQ: _distinct_from,
    exp.NullSafeNEQ: _distinct_from,
    exp.Is: _is,
    exp.Between: _between,
    exp.In: _in,
    exp.Like: _like,
    exp.Escape: _like,
    exp.Add: _arithmetic,
    exp.Sub: _arithmetic,
    exp.Mul: _arithmetic,
    exp.Div: _arithmetic,
    exp.Mod: _arithmetic,
    exp.Neg: _negative,
    exp.DPipe: _concat,
    exp.Cast: _cast,
    exp.TryCast: _cast,
    exp.Case: _case,
    exp.If: _if,
    exp.Literal: _literal,
    exp.Null: lambda c, n, s: E("NULL", ty.UNKNOWN),
    exp.Boolean: lambda c, n, s: E("true" if n.this else "false", ty.BOOLEAN, value=bool(n.this)),
    exp.Interval: _interval,
    exp.Array: _array,
    exp.Tuple: _row,
    exp.Exists: _exists,
    exp.Subquery: _scalar_subquery,
    exp.Select: _scalar_subquery,
    exp.Paren: _paren,
    exp.Anonymous: _call,
    exp.ParseJSON: lambda c, n, s: fn.call(c, "json_parse", [c.expr(n.this, s)], n),
    exp.Filter: _filter,
    exp.WithinGroup: _within_group,
    exp.Window: _window,
    exp.Placeholder: _parameter,
    exp.Parameter: _parameter,
    exp.CurrentCatalog: lambda c, n, s: E("'awsdatacatalog'", ty.VARCHAR),
    exp.CurrentDate: lambda c, n, s: fn.now(c, "date"),
    exp.CurrentTimestamp: lambda c, n, s: fn.now(c, "timestamptz"),
    exp.Localtimestamp: lambda c, n, s: fn.now(c, "timestamp"),
    exp.CurrentTime: lambda c, n, s: fn.now(c, "timetz"),
    exp.Localtime: lambda c, n, s: fn.now(c, "time"),
    exp.Extract: lambda c, n, s: fn.extract(c, n, s),
    exp.Trim: lambda c, n, s: fn.trim(c, n, s),
    exp.Substring: lambda c, n, s: fn.substring(c, n, s),
    exp.StrPosition: lambda c, n, s: fn.strpos(c, n, s),
    exp.AtTimeZone: lambda c, n, s: fn.at_time_zone(c, n, s),
    exp.GroupConcat: lambda c, n, s: fn.listagg(c, n, s),
    JsonCall: lambda c, n, s: fn.json_call(c, n, s),
    exp.UnicodeString: _unicode,
    exp.HexString: lambda c, n, s: E(f"unhex('{n.name}')", ty.VARBINARY),
}
