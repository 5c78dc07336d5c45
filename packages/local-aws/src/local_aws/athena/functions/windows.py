"""Window functions (https://trino.io/docs/435/functions/window.html). Aggregates may be called as such, too."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, cast
from local_aws.athena.functions.registry import Call
from local_aws.athena.plan import Compiler, Scope
from local_aws.athena.types import BIGINT, DOUBLE, Type

# name: type and number of arguments.
_RANKING: Mapping[str, tuple[Type, int]] = {
    "cume_dist": (DOUBLE, 0),
    "dense_rank": (BIGINT, 0),
    "ntile": (BIGINT, 1),
    "percent_rank": (DOUBLE, 0),
    "rank": (BIGINT, 0),
    "row_number": (BIGINT, 0),
}
_VALUES = {"first_value", "lag", "last_value", "lead", "nth_value"}


def is_window_function(name: str) -> bool:
    """Whether the function can only be called with OVER."""
    return name in _RANKING or name in _VALUES


def window_function(
    c: Compiler,
    name: str,
    nodes: list[exp.Expression],
    scope: Scope,
    over: str,
    ignore_nulls: bool,
    node: exp.Expression,
) -> E:
    args = [c.expr(n, scope) for n in nodes]
    call = Call(c, name, args, node)
    if name in _RANKING:
        t, count = _RANKING[name]
        if len(args) != count:
            raise call.unexpected()
        return E(f"{name}({', '.join(a.sql for a in args)}){over}", t)
    if not args:
        raise call.unexpected()
    t = args[0].type
    nulls = " IGNORE NULLS" if ignore_nulls else ""
    sqls = [a.sql for a in args]
    if len(args) == 3:
        both = ty.common(t, args[2].type)
        if both is None:
            raise call.unexpected()
        t = both
        sqls[0], sqls[2] = cast(args[0], t).sql, cast(args[2], t).sql
    return E(f"{name}({', '.join(sqls)}{nulls}){over}", t)
