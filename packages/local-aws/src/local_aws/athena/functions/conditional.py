"""Functions over values of any type, and about types.

https://trino.io/docs/435/functions/conditional.html, .../comparison.html, .../conversion.html, .../system.html
"""

from __future__ import annotations

from local_aws.athena import types as ty
from local_aws.athena.errors import QueryError
from local_aws.athena.expressions import LAZY, E, cast, equals, lazy
from local_aws.athena.functions.composite import concat, make_row
from local_aws.athena.functions.registry import Call, Overload, Special, Table
from local_aws.athena.functions.sets import greatest_number
from local_aws.athena.types import VARCHAR, duckdb_type


def _coalesce(c: Call, *args: E) -> E:
    t = c.common_type(*args)
    items = [cast(a, t).sql for a in args]
    return E(f"coalesce({lazy(*items[1:])}{', '.join(items)})", t)


def _nullif(c: Call, a: E, b: E) -> E:
    if ty.common(a.type, b.type) is None:
        raise c.fail("TYPE_MISMATCH", f"Types are not comparable with NULLIF: {a.type} vs {b.type}")
    x, y, t = c.compiler.common(a, b, "=", c.node)
    return E(f"CASE WHEN {equals(x.sql, y.sql, t)} THEN NULL ELSE {a.sql} END", a.type)


def _try(c: Call, e: E) -> E:
    return E(f"TRY({LAZY}{e.sql})", e.type)


def _concat(c: Call, *args: E) -> E:
    if len(args) < 2:
        raise QueryError("INVALID_FUNCTION_ARGUMENT", "There must be two or more concatenation arguments")
    return concat(c.compiler, list(args), c.node)


def _extreme(c: Call, *args: E) -> E:
    t = c.common_type(*args)
    items = [cast(a, t).sql for a in args]
    nulls = " OR ".join(f"{i} IS NULL" for i in items)
    value = f"{c.name}({', '.join(items)})"
    if t.base == "interval day to second":
        # DuckDB's own takes 36 hours for less than a day.
        value = f"list_{'max' if c.name == 'greatest' else 'min'}([{', '.join(items)}])"
    if c.name == "greatest" and t.base in ("real", "double"):
        value = greatest_number(f"[{', '.join(items)}]", value)
    return E(f"CASE WHEN {nulls} THEN NULL ELSE {value} END", t)


def _row(c: Call, *args: E) -> E:
    return make_row(list(args))


def _typeof(c: Call, e: E) -> E:
    name = f"'{e.type}'"
    # An aggregate stays one.
    return E(name if e.const else f"CASE WHEN {e.sql} IS NULL THEN {name} ELSE {name} END", VARCHAR)


def _uuid(c: Call) -> E:
    c.compiler.changes()
    return E("uuid()", ty.UUID)


def _parse_data_size(c: Call, text: E) -> E:
    t = ty.decimal(38, 0)
    return E(f"CAST(py_parse_data_size({c.texts(text)[0]}) AS {duckdb_type(t)})", t)


FUNCTIONS: Table = {
    "coalesce": Special(_coalesce),
    "concat": Special(_concat),
    "greatest": Special(_extreme),
    "least": Special(_extreme),
    "nullif": Special(_nullif),
    "parse_data_size": Special(_parse_data_size),
    # Its name before Trino had its own.
    "parse_presto_data_size": Special(_parse_data_size),
    "row": Special(_row),
    "try": Special(_try),
    "typeof": Special(_typeof),
    "uuid": Special(_uuid),
    "version": [Overload((), VARCHAR, lambda: "'local_aws'")],
}
