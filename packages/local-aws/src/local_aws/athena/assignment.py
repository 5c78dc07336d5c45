"""What INSERT, UPDATE and MERGE let into a column, and as what."""

from __future__ import annotations

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, Fails, cast, castable, coerce, raise_text
from local_aws.athena.types import Type


def assignable(a: Type, b: Type) -> bool:
    """Trino's insert takes what it would widen by itself, and larger types and texts whose values fit; one that does
    not fit fails while it runs (https://trino.io/docs/435/release/release-319.html)."""
    if a.base in ("varchar", "char") and b.base in ("varchar", "char"):
        return True
    c = ty.common(a, b)
    if c is not None and c.base == b.base:
        return castable(a, b)
    return a.base in ty.NUMERIC and b.base in ty.NUMERIC and ty.common(a, b) is not None and _widens(a, b)


def _widens(a: Type, b: Type) -> bool:
    return (a.base in ty.INTEGERS and b.base in (*ty.INTEGERS, "decimal", "double", "real")) or (
        a.base in ("decimal", "double") and b.base in ("decimal", "double", "real")
    )


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
