"""What INSERT, UPDATE and MERGE let into a column, and as what."""

from __future__ import annotations

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, Fails, cast, castable, coerce, raise_text
from local_aws.athena.types import Type


def assignable(a: Type, b: Type) -> bool:
    """Whether a column of type `b` takes values of type `a`: if there is a type for both, the value is cast, and one that
    does not fit fails while the statement runs (Trino 435, StatementAnalyzer.typesMatchForInsert)."""
    c = ty.common(a, b)
    return c is not None and (castable(a, b) if not _bounded_inside(b) else c == b)


def _bounded_inside(t: Type) -> bool:
    """Whether a type has texts of limited length inside of it, which would be cut off unnoticed."""
    return any(_bounded(a) for a in t.args)


def _bounded(t: Type) -> bool:
    return (t.base in ("varchar", "char") and t.p is not None) or any(map(_bounded, t.args))


def stored(e: E, t: Type, compiler: Fails, node: exp.Expression) -> str:
    """SQL of a value as a column of type `t` takes it. Raises for one whose text is too long, as Trino's INSERT does."""
    value = cast(e, t).sql if ty.common(e.type, t) == t else coerce(compiler, e, t, node).sql
    if t.base not in ("varchar", "char") or t.p is None or (e.type.p is not None and e.type.p <= t.p):
        return value
    message = f"Cannot truncate non-space characters when casting from {e.type} to {t} on INSERT"
    too_long = raise_text("INVALID_CAST_ARGUMENT", message, "VARCHAR")
    return f"CASE WHEN length(rtrim({e.sql}, ' ')) > {t.p} THEN {too_long} ELSE {value} END"


def assigned(compiler: Fails, e: E, t: Type) -> str:
    """A value in a column's type."""
    if ty.common(e.type, t) == t:
        return cast(e, t).sql
    return coerce(compiler, e, t, exp.Null()).sql
