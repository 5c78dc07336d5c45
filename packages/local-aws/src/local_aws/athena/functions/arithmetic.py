"""Arithmetic: + - * / % over numbers, dates, times and intervals.

https://trino.io/docs/435/functions/math.html, .../decimal.html, .../datetime.html
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena import zones
from local_aws.athena.expressions import E, cast, raise_text
from local_aws.athena.functions.registry import on_clock
from local_aws.athena.plan import Compiler
from local_aws.athena.types import Type, duckdb_type

_TEMPORAL = ("date", "timestamp", "timestamp with time zone", "time", "time with time zone")
_DAY, _YEAR = "interval day to second", "interval year to month"


def arithmetic(c: Compiler, op: str, a: E, b: E, node: exp.Expression) -> E:
    """a op b. Raises TYPE_MISMATCH where Trino has no such operator."""
    x, y = a.type.base, b.type.base
    if x == "unknown" and y == "unknown":
        return E("NULL", ty.UNKNOWN)
    if (x in ty.NUMERIC and y == "unknown") or (x == "unknown" and y in ty.NUMERIC):
        t = b.type if x == "unknown" else a.type
        return E(f"CAST(NULL AS {duckdb_type(t)})", t)
    if x in ty.NUMERIC and y in ty.NUMERIC:
        return _numeric(op, a, b)
    if (op == "+" and y in _TEMPORAL and x in (_DAY, _YEAR)) or (op == "*" and y in (_DAY, _YEAR)):
        a, b, x, y = b, a, y, x
    made = None
    if x in (*_TEMPORAL, _DAY, _YEAR) and y == "unknown" and op in "+-":
        return E(f"CAST(NULL AS {duckdb_type(a.type)})", a.type)
    if x == "unknown" and y in _TEMPORAL and op == "-":
        return E("CAST(NULL AS INTERVAL)", ty.INTERVAL_DAY)
    if x in _TEMPORAL:
        made = _moved(c, op, a, b, node) if y in (_DAY, _YEAR) else _between(a, b) if op == "-" else None
    elif x in (_DAY, _YEAR):
        made = _interval(op, a, b)
    if made is None:
        raise c.fail("TYPE_MISMATCH", f"Cannot apply operator: {a.type} {op} {b.type}", node)
    return made


def _moved(c: Compiler, op: str, a: E, b: E, node: exp.Expression) -> E | None:
    """A date or time and an interval."""
    x, y = a.type.base, b.type.base
    if op not in "+-" or (x.startswith("time") and "stamp" not in x and y == _YEAR):
        return None
    if x == "date":
        if y == _DAY and b.value is not None and b.value % 86400000:
            raise c.fail("INVALID_FUNCTION_ARGUMENT", "Cannot add hour, minutes or seconds to a date", node)
        if y == _DAY and b.value is None:
            no_days = raise_text(
                "INVALID_FUNCTION_ARGUMENT", "Cannot add hour, minutes or seconds to a date", "DATE"
            )
            moved = f"CAST(({a.sql} {op} {b.sql}) AS DATE)"
            return E(
                f"CASE WHEN epoch_ms({b.sql}) % 86400000 <> 0 AND {a.sql} IS NOT NULL THEN {no_days} ELSE {moved} END",
                ty.DATE,
            )
        return E(f"CAST(({a.sql} {op} {b.sql}) AS DATE)", ty.DATE)
    if y == _YEAR:
        return move_clock(a, lambda clock: f"({clock} {op} {b.sql})")
    # Intervals have milliseconds, and so has the sum.
    return E(f"({a.sql} {op} {b.sql})", replace(a.type, p=max(3, a.type.p or 0)))


def _between(a: E, b: E) -> E | None:
    """What lies between two dates or times."""
    both = ty.common(a.type, b.type) if b.type.base in _TEMPORAL else None
    if both is None:
        return None
    p, q = cast(a, both), cast(b, both)
    if both == ty.DATE:
        return E(f"to_days(CAST({p.sql} - {q.sql} AS INTEGER))", ty.INTERVAL_DAY)
    if both.base in ("time", "time with time zone"):
        return E(f"to_milliseconds(epoch_ms({p.sql}) - epoch_ms({q.sql}))", ty.INTERVAL_DAY)
    if (both.p or 0) > 3:
        # Intervals have milliseconds.
        between = f"trino_rounded(epoch_us({p.sql}) - epoch_us({q.sql}), 1000)"
        return E(f"to_milliseconds({between} // 1000)", ty.INTERVAL_DAY)
    return E(f"({p.sql} - {q.sql})", ty.INTERVAL_DAY)


def _interval(op: str, a: E, b: E) -> E | None:
    """An interval and another one, or a number."""
    if a.type.base == b.type.base:
        return E(f"({a.sql} {op} {b.sql})", a.type) if op in "+-" else None
    if b.type.base in ty.INTEGERS and op == "*":
        return E(f"({a.sql} * {b.sql})", a.type)
    if op not in "*/" or b.type.base not in ty.NUMERIC:
        return None
    # By a number with a fraction; what is less than the unit is cut off.
    factor = cast(b, ty.DOUBLE).sql
    if a.type.base == _DAY:
        return E(f"to_milliseconds(CAST(trunc(epoch_ms({a.sql}) {op} {factor}) AS BIGINT))", a.type)
    return E(f"to_months(CAST(trunc({months(a.sql)} {op} {factor}) AS INTEGER))", a.type)


def months(interval: str) -> str:
    """The months of an interval year to month."""
    return f"(datepart('year', {interval}) * 12 + datepart('month', {interval}))"


def move_clock(e: E, change: Callable[[str], str]) -> E:
    """A timestamp moved on its wall clock, as months and days are counted."""
    clock = on_clock(e)
    if clock is e:
        return E(change(e.sql), e.type)
    return E(zones.instant(change(clock.sql), zones.zone(e.type)), e.type)


def _numeric(op: str, a: E, b: E) -> E:
    t = ty.common(a.type, b.type)
    assert t is not None
    if t.base == "decimal":
        return _decimal(op, a, b)
    d = duckdb_type(t)
    x, y = _typed(cast(a, t), t), _typed(cast(b, t), t)
    if t.base in ty.INTEGERS and op in "/%":
        made = f"({x} {'//' if op == '/' else '%'} {y})"
        return E(made if isinstance(b.value, int) and b.value != 0 else _divided(x, y, made, d), t)
    return E(f"({x} {op} {y})", t)


def _divided(x: str, by: str, made: str, d: str) -> str:
    by_zero = raise_text("DIVISION_BY_ZERO", "Division by zero", d)
    return f"CASE WHEN {by} = 0 AND {x} IS NOT NULL THEN {by_zero} ELSE {made} END"


def _typed(e: E, t: Type) -> str:
    """An integer literal takes the type of the other side in DuckDB; Trino's is an integer."""
    if e.value is not None and t.base in ty.INTEGERS and not e.sql.startswith("CAST"):
        return f"CAST({e.sql} AS {duckdb_type(t)})"
    return e.sql


def _decimal(op: str, a: E, b: E) -> E:
    """https://trino.io/docs/435/functions/decimal.html#binary-arithmetic-decimal-operators"""
    da, db = ty.as_decimal(a.type), ty.as_decimal(b.type)
    (pa, sa), (pb, sb) = da.digits, db.digits
    x, y = cast(a, da).sql, cast(b, db).sql
    s = max(sa, sb)
    if op in "+-":
        t = ty.decimal(max(pa - sa, pb - sb) + s + 1, s)
        d = duckdb_type(t)
        return E(f"CAST((CAST({x} AS {d}) {op} CAST({y} AS {d})) AS {d})", t)
    if op == "*":
        t = ty.decimal(pa + pb, sa + sb)
        d = duckdb_type(t)
        if 18 < pa + pb <= 38:
            # One side as wide as the product: DuckDB's own type of it may be too narrow.
            x = f"(CAST({x} AS DECIMAL({pa + pb},{sa})) * {y})"
            return E(f"CAST({x} AS {d})", t)
        return E(f"CAST(({x} * {y}) AS {d})", t)
    if op == "%":
        t = ty.decimal(min(pb - sb, pa - sa) + s, s)
        d = duckdb_type(t)
        if max(pa - sa, pb - sb) + s > 38:
            # There is no type of both, and DuckDB would take doubles: in units of the last place instead.
            m, n = (
                f"(CAST(CAST({v} AS DECIMAL(38,{k})) * {power_of_ten(k)} AS HUGEINT) * {power_of_ten(s - k)})"
                for v, k in ((x, sa), (y, sb))
            )
            return E(_divided(x, y, of_units(f"({m} % {n})", s, d), d), t)
        return E(_divided(x, y, f"CAST(({x} % {y}) AS {d})", d), t)
    t = ty.decimal(pa + sb + max(sb - sa, 0), s)
    d = duckdb_type(t)
    # Exact: whole numbers divided, rounded half away from zero, scaled back.
    num = (
        f"(CAST(CAST({x} AS DECIMAL(38,{sa})) * {power_of_ten(sa)} AS HUGEINT) * {power_of_ten(s + sb - sa)})"
    )
    den = f"CAST(CAST({y} AS DECIMAL(38,{sb})) * {power_of_ten(sb)} AS HUGEINT)"
    sign = f"(CASE WHEN ({x} < 0) <> ({y} < 0) THEN -1 ELSE 1 END)"
    quotient = f"((2 * abs({num}) + abs({den})) // (2 * abs({den})) * {sign})"
    return E(_divided(x, y, of_units(quotient, s, d), d), t)


def of_units(sql: str, s: int, d: str) -> str:
    """A HUGEINT of units of the last of `s` places as the DuckDB type d."""
    unit = f"CAST('{'0.' + '0' * (s - 1) + '1' if s else '1'}' AS DECIMAL({s + 1},{s}))"
    return f"CAST(CAST({sql} AS DECIMAL({38 - s},0)) * {unit} AS {d})"


def power_of_ten(n: int) -> str:
    return f"CAST('1{'0' * n}' AS HUGEINT)"
