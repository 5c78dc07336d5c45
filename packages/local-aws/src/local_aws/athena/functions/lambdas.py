"""Functions that take lambdas.

https://trino.io/docs/435/functions/lambda.html, .../array.html, .../map.html, .../aggregate.html#reduce_agg
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, cast, raise_text
from local_aws.athena.functions.registry import Call, strictly
from local_aws.athena.plan import Compiler, Scope
from local_aws.athena.types import BOOLEAN, Type, duckdb_type


@dataclass(frozen=True)
class LambdaCall(Call):
    """A call of which the arguments that are no lambdas are compiled: `args`, the first ones."""

    lambdas: list[exp.Expression]
    scope: Scope
    truth: bool

    def body(self, index: int, *parameters: E, truth: bool = False) -> E:
        """The body of the lambda whose parameters are the given expressions."""
        node = self.lambdas[index]
        if not isinstance(node, exp.Lambda):
            raise self.compiler.fail(
                "TYPE_MISMATCH",
                f"Expected a lambda with {len(parameters)} parameters, found {node.sql('trino')}",
                node,
            )
        if len(node.expressions) != len(parameters):
            raise self.compiler.fail(
                "INVALID_PARAMETER_USAGE",
                f"Expected a lambda that takes {len(parameters)} argument(s) but got {len(node.expressions)}",
                node,
            )
        names = [p.name for p in node.expressions]
        with self.compiler.bind(dict(zip(names, parameters, strict=True))):
            if truth:
                return self.compiler.boolean(node.this, self.scope, "Lambda")
            return self.compiler.expr(node.this, self.scope)


# Of each function, with u as the name of the parameter in DuckDB: what it is of its arguments.
Compiled = Callable[[LambdaCall, str], E]


def _transform(c: LambdaCall, u: str) -> E:
    (a,) = c.args
    body = c.body(0, E(u, c.element_type(a)))
    if body.sql == u:
        return a
    return E(f"list_transform({a.sql}, lambda {u}: {body.sql})", ty.array(body.type))


def _filter(c: LambdaCall, u: str) -> E:
    (a,) = c.args
    body = c.body(0, E(u, c.element_type(a)), truth=True)
    return E(f"list_filter({a.sql}, lambda {u}: {body.sql})", a.type)


def _match(c: LambdaCall, u: str) -> E:
    """any_match, all_match, none_match."""
    (a,) = c.args
    element = E(u, c.element_type(a))
    if c.truth and c.name == "any_match":
        return E(
            f"(len(list_filter({a.sql}, lambda {u}: {c.body(0, element, truth=True).sql})) > 0)", BOOLEAN
        )
    body = c.body(0, element)
    if body.type not in (BOOLEAN, ty.UNKNOWN):
        raise c.fail("TYPE_MISMATCH", f"Lambda of {c.name} must return boolean, not {body.type}")
    # One decisive element decides; without it, an unknown one leaves the answer unknown.
    negated = "NOT " if c.name == "all_match" else ""
    decisive = f"len(list_filter({a.sql}, lambda {u}: {negated}{body.sql})) > 0"
    unknown = f"len(list_filter({a.sql}, lambda {u}: ({body.sql}) IS NULL)) > 0"
    yes, no = ("true", "false") if c.name == "any_match" else ("false", "true")
    return E(
        f"CASE WHEN {a.sql} IS NULL THEN NULL WHEN {decisive} THEN {yes} WHEN {unknown} THEN NULL ELSE {no} END",
        BOOLEAN,
    )


def _folded(values: str, u: str, start: E, element: Type, body: E) -> str:
    """A state after all values. body: over the state {u}a.s and the value {u}b.x."""
    ds, dx = duckdb_type(start.type), duckdb_type(element)
    first = f"{{'s': CAST({start.sql} AS {ds}), 'x': CAST(NULL AS {dx})}}"
    rest = f"list_transform({values}, lambda {u}: {{'s': CAST(NULL AS {ds}), 'x': {u}}})"
    step = f"{{'s': CAST({cast(body, start.type).sql} AS {ds}), 'x': CAST(NULL AS {dx})}}"
    return f"list_reduce(list_prepend({first}, {rest}), lambda {u}a, {u}b: {step}).s"


def _reduce(c: LambdaCall, u: str) -> E:
    a, start = c.args
    element = c.element_type(a)
    state = start.type
    for _ in range(3):
        body = c.body(0, E(f"{u}a.s", state), E(f"{u}b.x", element))
        widened = ty.common(state, body.type)
        if widened is None:
            raise c.fail("TYPE_MISMATCH", f"reduce's function returns {body.type}, its state is {state}")
        if widened == state:
            break
        state = widened
    folded = _folded(a.sql, u, cast(start, state), element, body)
    result = c.body(1, E(f"({folded})", state))
    return E(f"CASE WHEN {a.sql} IS NULL THEN NULL ELSE {result.sql} END", result.type)


def _sort(c: LambdaCall, u: str) -> E:
    """array_sort with a comparator: insertion into a sorted list, which is stable and lets any comparator decide."""
    (a,) = c.args
    t = c.element_type(a)
    p, q = f"{u}a", f"{u}b"
    body = c.body(0, E(f"{u}c", t), E(f"{q}[1]", t))
    if body.type.base not in ty.INTEGERS:
        raise c.fail("TYPE_MISMATCH", f"Lambda of array_sort must return integer, not {body.type}")
    null = raise_text(
        "INVALID_FUNCTION_ARGUMENT", "Lambda comparator must return either -1, 0, or 1", "BOOLEAN"
    )
    before = (
        f"CASE WHEN coalesce(({body.sql}) NOT IN (-1, 0, 1), true) THEN {null} ELSE ({body.sql}) <= 0 END"
    )
    after = f"({body.sql}) > 0"
    singles = f"list_transform({a.sql}, lambda {u}: [{u}])"
    step = (
        f"list_concat(list_concat(list_filter({p}, lambda {u}c: {before}), {q}), "
        f"list_filter({p}, lambda {u}c: {after}))"
    )
    return E(
        f"CASE WHEN len({a.sql}) = 0 THEN {a.sql} ELSE list_reduce({singles}, lambda {p}, {q}: {step}) END",
        a.type,
    )


def _zip_with(c: LambdaCall, u: str) -> E:
    a, b = c.args
    body = c.body(0, E(f"{u}[1]", c.element_type(a)), E(f"{u}[2]", c.element_type(b)))
    zipped = f"list_transform(list_zip({a.sql}, {b.sql}), lambda {u}: {body.sql})"
    return strictly([a, b], E(zipped, ty.array(body.type)))


def _map_zip_with(c: LambdaCall, u: str) -> E:
    a, b = c.args
    (k, v), (other, w) = c.entry_types(a), c.entry_types(b)
    if ty.common(k, other) != k and ty.common(k, other) == other:
        a, k = cast(a, ty.map_of(other, v)), other
    if ty.common(k, other) != k:
        raise c.unexpected()
    body = c.body(0, E(u, k), E(f"{a.sql}[{u}]", v), E(f"{b.sql}[{u}]", w))
    others = f"list_filter(map_keys({b.sql}), lambda {u}: NOT map_contains({a.sql}, {u}))"
    keys = f"list_concat(map_keys({a.sql}), {others})"
    made = f"map_from_entries(list_transform({keys}, lambda {u}: {{'key': {u}, 'value': {body.sql}}}))"
    return strictly([a, b], E(made, ty.map_of(k, body.type)))


def _map_filter(c: LambdaCall, u: str) -> E:
    (m,) = c.args
    k, v = c.entry_types(m)
    body = c.body(0, E(f"{u}.key", k), E(f"{u}.value", v), truth=True)
    return E(f"map_from_entries(list_filter(map_entries({m.sql}), lambda {u}: {body.sql}))", m.type)


def _transform_entries(c: LambdaCall, u: str) -> E:
    """transform_keys and transform_values."""
    (m,) = c.args
    k, v = c.entry_types(m)
    body = c.body(0, E(f"{u}.key", k), E(f"{u}.value", v))
    of_values = c.name == "transform_values"
    key, value = (f"{u}.key", body.sql) if of_values else (body.sql, f"{u}.value")
    entries = f"list_transform(map_entries({m.sql}), lambda {u}: {{'key': {key}, 'value': {value}}})"
    t = ty.map_of(k, body.type) if of_values else ty.map_of(body.type, v)
    return E(f"map_from_entries({entries})", t)


def _regexp_replace(c: LambdaCall, u: str) -> E:
    """Each match replaced by what the lambda makes of its groups; NULL if it makes NULL of one."""
    text, pattern = c.texts(*c.args)
    body = c.body(0, E(f"{u}.g", ty.array(ty.VARCHAR)))
    if body.type.base not in ("varchar", "unknown"):
        raise c.unexpected()
    pieces = f"py_regexp_pieces({text}, {pattern})"
    parts = f"list_transform({pieces}, lambda {u}: CASE WHEN {u}.g IS NULL THEN {u}.t ELSE {body.sql} END)"
    joined = f"CASE WHEN list_count({parts}) = len({parts}) THEN array_to_string({parts}, '') END"
    return strictly(c.args, E(joined, ty.VARCHAR))


# name: how many arguments come before the lambdas, how many lambdas, and what becomes of them.
HIGHER_ORDER: Mapping[str, tuple[int, int, Compiled]] = {
    "all_match": (1, 1, _match),
    "any_match": (1, 1, _match),
    "array_sort": (1, 1, _sort),
    "filter": (1, 1, _filter),
    "map_filter": (1, 1, _map_filter),
    "map_zip_with": (2, 1, _map_zip_with),
    "none_match": (1, 1, _match),
    "reduce": (2, 2, _reduce),
    "regexp_replace": (2, 1, _regexp_replace),
    "transform": (1, 1, _transform),
    "transform_keys": (1, 1, _transform_entries),
    "transform_values": (1, 1, _transform_entries),
    "zip_with": (2, 1, _zip_with),
}


def higher_order(
    c: Compiler, name: str, nodes: list[exp.Expression], scope: Scope, truth: bool, node: exp.Expression
) -> E:
    values, lambdas, compiled = HIGHER_ORDER[name]
    if len(nodes) != values + lambdas:
        raise c.fail("FUNCTION_NOT_FOUND", f"Unexpected parameters for function {name}", node)
    args = [c.expr(n, scope) for n in nodes[:values]]
    if any(a.type == ty.UNKNOWN for a in args):
        return E("NULL", ty.UNKNOWN)
    return compiled(LambdaCall(c, name, args, node, nodes[values:], scope, truth), c.parameter())


def reduce_agg(
    c: Compiler,
    nodes: list[exp.Expression],
    scope: Scope,
    filter_node: exp.Expression | None,
    node: exp.Expression,
) -> E:
    """reduce_agg(value, start, input function, combine function): reduce over the values that are not NULL."""
    c.in_aggregate += 1
    try:
        x, start = c.expr(nodes[0], scope), c.expr(nodes[1], scope)
        condition = f"{x.sql} IS NOT NULL"
        if filter_node is not None:
            condition += f" AND {c.boolean(filter_node, scope, 'FILTER').sql}"
    finally:
        c.in_aggregate -= 1
    if not start.const:
        raise not_supported("reduce_agg with a start that is no constant")
    u = c.parameter()
    call = LambdaCall(c, "reduce_agg", [x, start], node, nodes[2:], scope, False)
    body = call.body(0, E(f"{u}a.s", start.type), E(f"{u}b.x", x.type))
    if ty.common(start.type, body.type) != start.type:
        raise c.fail(
            "TYPE_MISMATCH", f"reduce_agg's function returns {body.type}, its state is {start.type}", node
        )
    values = f"list({x.sql}) FILTER (WHERE {condition})"
    return E(f"CASE WHEN {values} IS NOT NULL THEN {_folded(values, u, start, x.type, body)} END", start.type)
