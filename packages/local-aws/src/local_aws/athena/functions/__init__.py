"""Trino's functions and operators in DuckDB's SQL.

The reference is https://trino.io/docs/435/functions.html (Athena engine 3 follows Trino of that time:
https://docs.aws.amazon.com/athena/latest/ug/functions-env3.html). A function that is not here fails with
FUNCTION_NOT_FOUND or NOT_SUPPORTED; none is passed on to DuckDB in the hope that it means the same.

Each family is a module with a table of its functions; `registry` says what the tables are made of.
"""

from __future__ import annotations

from sqlglot import exp

from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.expressions import E
from local_aws.athena.functions import (
    arrays,
    binary,
    bitwise,
    conditional,
    date_formats,
    dates,
    geospatial,
    ip,
    json,
    maps,
    math,
    regexp,
    sketches,
    strings,
    url,
)
from local_aws.athena.functions.aggregates import aggregate, is_aggregate, listagg
from local_aws.athena.functions.arithmetic import arithmetic
from local_aws.athena.functions.composite import concat, make_row, subscript
from local_aws.athena.functions.dates import now
from local_aws.athena.functions.intervals import interval
from local_aws.athena.functions.json import json_call
from local_aws.athena.functions.lambdas import HIGHER_ORDER, higher_order
from local_aws.athena.functions.missing import MISSING
from local_aws.athena.functions.registry import Call, Function, Special, merged, overloaded, special
from local_aws.athena.functions.windows import is_window_function, window_function
from local_aws.athena.plan import Compiler, Scope
from local_aws.athena.types import UNKNOWN

__all__ = [
    "arithmetic",
    "at_time_zone",
    "call",
    "compile_call",
    "concat",
    "extract",
    "interval",
    "is_aggregate",
    "json_call",
    "listagg",
    "make_row",
    "now",
    "strpos",
    "subscript",
    "substring",
    "trim",
]

SCALARS: dict[str, Function] = merged(
    arrays.FUNCTIONS,
    binary.FUNCTIONS,
    bitwise.FUNCTIONS,
    conditional.FUNCTIONS,
    date_formats.FUNCTIONS,
    dates.FUNCTIONS,
    geospatial.FUNCTIONS,
    ip.FUNCTIONS,
    json.FUNCTIONS,
    maps.FUNCTIONS,
    math.FUNCTIONS,
    regexp.FUNCTIONS,
    sketches.FUNCTIONS,
    strings.FUNCTIONS,
    url.FUNCTIONS,
)


# https://docs.aws.amazon.com/athena/latest/ug/troubleshooting-athena.html
_MOST_ARGUMENTS = 127
# https://docs.aws.amazon.com/athena/latest/ug/engine-versions-reference-0003.html: IGNORE NULLS goes with these only.
_VALUE_FUNCTIONS = frozenset({"first_value", "last_value", "nth_value", "lead", "lag"})


def call(c: Compiler, name: str, args: list[E], node: exp.Expression) -> E:
    """A scalar function applied to compiled arguments."""
    function = SCALARS.get(name)
    if function is None:
        if name in MISSING:
            raise c.fail("NOT_SUPPORTED", f"Function '{name}' is not supported by local_aws", node)
        raise c.fail("FUNCTION_NOT_FOUND", f"Function '{name}' not registered", node)
    one = Call(c, name, args, node)
    try:
        return special(one, function) if isinstance(function, Special) else overloaded(one, function)
    except QueryError as e:
        if e.code == "FUNCTION_NOT_FOUND" and any(a.type == UNKNOWN for a in args):
            # A NULL of no type fits anywhere.
            return E("NULL", UNKNOWN)
        raise


def compile_call(
    c: Compiler,
    node: exp.Expression,
    scope: Scope,
    *,
    filter_node: exp.Expression | None = None,
    over: str | None = None,
    order_node: exp.Expression | None = None,
) -> E:
    """A call with all that may follow it: FILTER, WITHIN GROUP, IGNORE NULLS, OVER."""
    truth, ignore_nulls, treats_nulls = c.truth, False, False
    while not isinstance(node, exp.Anonymous):
        if isinstance(node, exp.IgnoreNulls | exp.RespectNulls):
            ignore_nulls, treats_nulls = isinstance(node, exp.IgnoreNulls), True
        elif isinstance(node, exp.Filter):
            filter_node = node.expression.this
        elif isinstance(node, exp.WithinGroup):
            order_node = node.expression
        elif isinstance(node, exp.GroupConcat):
            return listagg(c, node, scope, filter_node=filter_node)
        else:
            raise not_supported(f"{node.sql('trino')[:60]} as a function")
        node = node.this
    name = node.name.lower()
    nodes = node.expressions
    if len(nodes) > _MOST_ARGUMENTS:
        raise c.fail("TOO_MANY_ARGUMENTS", f"Too many arguments for function call {name}()", node)
    if treats_nulls and name not in _VALUE_FUNCTIONS:
        raise c.fail(
            "NULL_TREATMENT_NOT_ALLOWED", f"Cannot specify null treatment clause for {name} function", node
        )
    if over is not None and filter_node is not None:
        raise c.fail("NOT_SUPPORTED", "FILTER is not yet supported for window functions", node)
    if is_aggregate(name):
        return aggregate(c, name, nodes, scope, filter_node, over, order_node, node)
    if is_window_function(name):
        if over is None:
            raise c.fail("MISSING_OVER", f"Window function {name} requires an OVER clause", node)
        return window_function(c, name, nodes, scope, over, ignore_nulls, node)
    if over is not None:
        raise c.fail("FUNCTION_NOT_WINDOW", f"Not a window function: {name}", node)
    if filter_node is not None:
        raise c.fail(
            "FUNCTION_NOT_AGGREGATE", f"Filter is only valid for aggregation functions, not {name}", node
        )
    if name in HIGHER_ORDER and (name not in SCALARS or isinstance(nodes[-1] if nodes else None, exp.Lambda)):
        return higher_order(c, name, nodes, scope, truth, node)
    if name == "if":
        raise c.fail("", "mismatched input 'if'", node)
    if name == "normalize" and len(nodes) == 2 and isinstance(nodes[1], exp.Column):
        # The form is a word, no string.
        nodes = [nodes[0], exp.Literal.string(nodes[1].name.upper())]
    for n in nodes:
        if isinstance(n, exp.Lambda):
            raise not_supported(f"A lambda in {name}")
        if isinstance(n, exp.Distinct | exp.Star):
            raise c.fail("FUNCTION_NOT_FOUND", f"Function '{name}' not registered as an aggregate", node)
    return call(c, name, [c.expr(n, scope) for n in nodes], node)


# ----------------------------------------------------------------------------------- calls with words in them


def extract(c: Compiler, node: exp.Extract, scope: Scope) -> E:
    """EXTRACT(field FROM x)."""
    return call(c, dates.extract_field(c, node.this.name, node), [c.expr(node.expression, scope)], node)


def trim(c: Compiler, node: exp.Trim, scope: Scope) -> E:
    """TRIM(LEADING x FROM y)."""
    name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(str(node.args.get("position") or "").upper(), "trim")
    args = [c.expr(node.this, scope)]
    if node.expression:
        args.append(c.expr(node.expression, scope))
    return call(c, name, args, node)


def substring(c: Compiler, node: exp.Substring, scope: Scope) -> E:
    """SUBSTRING(x FROM y FOR z)."""
    parts = [node.args[key] for key in ("start", "length") if node.args.get(key) is not None]
    return call(c, "substr", [c.expr(e, scope) for e in (node.this, *parts)], node)


def strpos(c: Compiler, node: exp.StrPosition, scope: Scope) -> E:
    """POSITION(x IN y)."""
    return call(c, "strpos", [c.expr(node.this, scope), c.expr(node.args["substr"], scope)], node)


def at_time_zone(c: Compiler, node: exp.AtTimeZone, scope: Scope) -> E:
    """x AT TIME ZONE y."""
    return dates.at_time_zone(c, c.expr(node.this, scope), c.expr(node.args["zone"], scope), node)
