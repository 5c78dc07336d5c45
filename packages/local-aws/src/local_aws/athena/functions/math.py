"""Numbers (https://trino.io/docs/435/functions/math.html)."""

from __future__ import annotations

from collections.abc import Callable

from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, cast, raise_text
from local_aws.athena.functions.arithmetic import arithmetic, power_of_ten
from local_aws.athena.functions.registry import NUMBER, SAME, Call, Overload, Special, Table, overloaded
from local_aws.athena.types import BIGINT, BOOLEAN, DOUBLE, VARCHAR, duckdb_type

_NAN, _INFINITY, _MINUS_INFINITY = (f"CAST('{x}' AS DOUBLE)" for x in ("NaN", "Infinity", "-Infinity"))
_INVALID = "INVALID_FUNCTION_ARGUMENT"


def _of_double(*names: str) -> Table:
    """Functions of a double that are DuckDB's own."""
    return {name: [Overload((DOUBLE,), DOUBLE, name)] for name in names}


def _logarithm(made: str) -> list[Overload]:
    def sql(x: str) -> str:
        return f"CASE WHEN {x} < 0 THEN {_NAN} WHEN {x} = 0 THEN {_MINUS_INFINITY} ELSE {made.format(x)} END"

    return [Overload((DOUBLE,), DOUBLE, sql)]


def _angle(name: str) -> list[Overload]:
    return [Overload((DOUBLE,), DOUBLE, lambda x: f"CASE WHEN isinf({x}) THEN {_NAN} ELSE {name}({x}) END")]


def _arc(name: str) -> list[Overload]:
    return [Overload((DOUBLE,), DOUBLE, lambda x: f"CASE WHEN abs({x}) > 1 THEN {_NAN} ELSE {name}({x}) END")]


def _normal(name: str) -> list[Overload]:
    return [
        Overload((DOUBLE, DOUBLE, DOUBLE), DOUBLE, lambda m, sd, x: f"CAST({name}({m}, {sd}, {x}) AS DOUBLE)")
    ]


_POWER = [Overload((DOUBLE, DOUBLE), DOUBLE, "pow")]


def _mod(c: Call, a: E, b: E) -> E:
    return arithmetic(c.compiler, "%", a, b, c.node)


def _ceiling(c: Call, e: E) -> E:
    """floor(), too."""
    name = "floor" if c.name == "floor" else "ceil"
    if e.type.base in ty.INTEGERS:
        return e
    if e.type.base == "decimal":
        p, s = e.type.digits
        t = ty.decimal(p - s + min(s, 1), 0)
        return E(f"CAST({name}({e.sql}) AS {duckdb_type(t)})", t)
    if e.type.base == "unknown":
        e = cast(e, DOUBLE)
    return E(f"{name}({e.sql})", c.number_type(e))


def _round(c: Call, e: E, places: E | None = None) -> E:
    e = cast(e, DOUBLE) if e.type.base == "unknown" else e
    t = c.number_type(e)
    if t.base == "decimal":
        p, s = t.digits
        if places is None:
            t = ty.decimal(p - s + min(s, 1), 0)
        else:
            t = ty.decimal(p + 1, s)
            if places.value is None:
                raise not_supported("round(decimal, n) with an n that is no literal")
    if t.base in ty.INTEGERS and places is None:
        return e
    if t.base in ty.INTEGERS and places is not None and isinstance(places.value, int):
        n = -places.value
        if n <= 0 or n > 19:
            return (
                e if n <= 0 else E(f"CASE WHEN {e.sql} IS NOT NULL THEN CAST(0 AS {duckdb_type(t)}) END", t)
            )
        unit = power_of_ten(n)
        whole = f"((abs(CAST({e.sql} AS HUGEINT)) + {unit} // 2) // {unit} * {unit} * sign({e.sql}))"
        return E(f"CAST({whole} AS {duckdb_type(t)})", t)
    rounded = f"CAST(round({e.sql}, {places.sql if places is not None else '0'}) AS {duckdb_type(t)})"
    if t.base in ("real", "double") and places is not None:
        # DuckDB makes 0 of NaN and of what is infinite.
        return E(f"CASE WHEN isfinite({e.sql}) THEN {rounded} ELSE {e.sql} END", t)
    return E(rounded, t)


def _truncate(c: Call, e: E, places: E | None = None) -> E:
    e = cast(e, DOUBLE) if e.type.base == "unknown" and places is None else e
    t = c.number_type(e)
    if t.base in ty.INTEGERS and places is not None:
        # There is none of two integers: a decimal it is.
        e = cast(e, ty.as_decimal(t))
        t = e.type
    p, s = t.digits
    if places is not None:
        if t.base != "decimal":
            raise c.unexpected(
                "truncate(decimal(p,s)), truncate(decimal(p,s), bigint), truncate(double), truncate(real)"
            )
        n = places.value
        if not isinstance(n, int):
            raise not_supported("truncate(decimal, n) with an n that is no literal")
        if n >= s:
            return e
        if n <= s - p:
            return E(f"CAST(CASE WHEN {e.sql} IS NOT NULL THEN 0 END AS {duckdb_type(t)})", t)
        step = f"CAST('{'0.' + '0' * (n - 1) + '1' if n > 0 else '1' + '0' * -n}' AS {duckdb_type(t)})"
        return E(f"({e.sql} - {e.sql} % {step})", t)
    if t.base == "decimal":
        t = ty.decimal(p - s if p > s else 1, 0)
    return E(f"CAST(trunc({e.sql}) AS {duckdb_type(t)})", t)


def _sign(c: Call, e: E) -> E:
    e = cast(e, DOUBLE) if e.type.base == "unknown" else e
    t = c.number_type(e)
    if t.base == "decimal":
        t = ty.decimal(1, 0)
    sign = f"CAST(sign({e.sql}) AS {duckdb_type(t)})"
    return E(
        f"CASE WHEN isnan({e.sql}) THEN {e.sql} ELSE {sign} END" if t.base in ("real", "double") else sign, t
    )


def _bucket_between(x: str, low: str, high: str, count: str) -> str:
    refused = [
        (f"{count} <= 0", "bucketCount must be greater than 0"),
        (f"isnan({x})", "operand must not be NaN"),
        (f"NOT isfinite({low})", "first bound must be finite"),
        (f"NOT isfinite({high})", "second bound must be finite"),
        (f"{low} = {high}", "bounds cannot equal each other"),
    ]
    cases = " ".join(f"WHEN {test} THEN {raise_text(_INVALID, why, 'BIGINT')}" for test, why in refused)
    return f"CASE {cases} ELSE trino_width_bucket({x}, {low}, {high}, {count}) END"


_BETWEEN = [Overload((DOUBLE, DOUBLE, DOUBLE, BIGINT), BIGINT, _bucket_between)]


def _width_bucket(c: Call, x: E, *bounds: E) -> E:
    if len(bounds) == 3:
        return overloaded(c, _BETWEEN)
    if len(bounds) != 1:
        raise c.unexpected()
    t = c.element_type(bounds[0])
    if t.base not in ty.NUMERIC or x.type.base not in ty.NUMERIC:
        raise c.unexpected()
    bins, value = cast(bounds[0], ty.array(DOUBLE)).sql, cast(x, DOUBLE).sql
    refused = [
        (f"len({bins}) = 0", "Bins cannot be an empty array"),
        (f"isnan({value})", "Operand cannot be NaN"),
        (f"len(list_filter({bins}, lambda λb: NOT isfinite(λb))) > 0", "Bin value must be finite"),
        (f"{bins} <> list_sort({bins})", "Bin values are not sorted in ascending order"),
    ]
    return E(_unless(refused, f"len(list_filter({bins}, lambda λb: λb <= {value}))", "BIGINT"), BIGINT)


def _unless(refused: list[tuple[str, str]], sql: str, kind: str) -> str:
    """A value, unless one of the tests is true, whose reason is then the error."""
    cases = " ".join(f"WHEN {test} THEN {raise_text(_INVALID, why, kind)}" for test, why in refused)
    return f"CASE {cases} ELSE {sql} END"


def _wilson(side: int) -> Callable[[str, str, str], str]:
    def sql(x: str, n: str, z: str) -> str:
        refused = [
            (f"{x} < 0", "number of successes must not be negative"),
            (f"{n} <= 0", "number of trials must be positive"),
            (f"{x} > {n}", "number of successes must not be larger than number of trials"),
            (f"{z} < 0", "z-score must not be negative"),
        ]
        return _unless(refused, f"trino_wilson({x}, {n}, {z}, {side})", "DOUBLE")

    return sql


def _to_base(c: Call, value: E, radix: E) -> E:
    n, r = f"CAST({value.sql} AS BIGINT)", f"CAST({radix.sql} AS INTEGER)"
    # The absolute value of the least is no bigint: all digits but the last, and that one.
    least = "CAST(-9223372036854775808 AS BIGINT)"
    parts = f"to_base(-({least} // {r}), {r}) || to_base(-({least} % {r}), {r})"
    digits = f"CASE WHEN {n} = {least} THEN {parts} ELSE to_base(abs({n}), {r}) END"
    return E(f"(CASE WHEN {n} < 0 THEN '-' ELSE '' END || lower({digits}))", ty.varchar(64))


def _random(c: Call, *bounds: E) -> E:
    if len(bounds) > 2 or any(b.type.base not in ty.INTEGERS for b in bounds):
        raise c.unexpected()
    c.compiler.changes()
    if not bounds:
        return E("random()", DOUBLE)
    t = bounds[0].type if len(bounds) == 1 else ty.common(bounds[0].type, bounds[1].type)
    assert t is not None
    low, high = ("0", bounds[0].sql) if len(bounds) == 1 else (cast(b, t).sql for b in bounds)
    wrong = "bound must be positive" if len(bounds) == 1 else "start value must be less than stop value"
    d = duckdb_type(t)
    drawn = f"CAST({low} + floor(random() * ({high} - {low})) AS {d})"
    return E(f"CASE WHEN {high} <= {low} THEN {raise_text(_INVALID, wrong, d)} ELSE {drawn} END", t)


FUNCTIONS: Table = {
    **_of_double(
        "atan",
        "cosh",
        "degrees",
        "exp",
        "radians",
        "sinh",
        "tanh",
    ),
    "acos": _arc("acos"),
    "asin": _arc("asin"),
    "abs": [Overload((NUMBER,), SAME, "abs")],
    "atan2": [Overload((DOUBLE, DOUBLE), DOUBLE, "atan2")],
    "cbrt": [Overload((DOUBLE,), DOUBLE, "trino_cbrt")],
    "ceil": Special(_ceiling),
    "ceiling": Special(_ceiling),
    "cos": _angle("cos"),
    "e": [Overload((), DOUBLE, lambda: "exp(CAST(1 AS DOUBLE))")],
    "floor": Special(_ceiling),
    "from_base": [Overload((VARCHAR, BIGINT), BIGINT, "py_from_base")],
    "infinity": [Overload((), DOUBLE, lambda: _INFINITY)],
    "inverse_normal_cdf": _normal("py_inverse_normal_cdf"),
    "is_finite": [Overload((DOUBLE,), BOOLEAN, "isfinite")],
    "is_infinite": [Overload((DOUBLE,), BOOLEAN, "isinf")],
    "is_nan": [Overload((DOUBLE,), BOOLEAN, "isnan")],
    "ln": _logarithm("ln({})"),
    "log": [Overload((DOUBLE, DOUBLE), DOUBLE, lambda base, x: f"trino_ln({x}) / trino_ln({base})")],
    "log10": _logarithm("log10({})"),
    "log2": _logarithm("ln({}) / ln(CAST(2 AS DOUBLE))"),
    "mod": Special(_mod),
    "nan": [Overload((), DOUBLE, lambda: _NAN)],
    "normal_cdf": _normal("py_normal_cdf"),
    "pi": [Overload((), DOUBLE, "pi")],
    "pow": _POWER,
    "power": _POWER,
    "rand": Special(_random),
    "random": Special(_random),
    "round": Special(_round),
    "sign": Special(_sign),
    "sin": _angle("sin"),
    "sqrt": [Overload((DOUBLE,), DOUBLE, lambda x: f"CASE WHEN {x} < 0 THEN {_NAN} ELSE sqrt({x}) END")],
    "tan": _angle("tan"),
    "to_base": Special(_to_base),
    "truncate": Special(_truncate),
    "width_bucket": Special(_width_bucket, strict=True),
    "wilson_interval_lower": [Overload((BIGINT, BIGINT, DOUBLE), DOUBLE, _wilson(-1))],
    "wilson_interval_upper": [Overload((BIGINT, BIGINT, DOUBLE), DOUBLE, _wilson(1))],
}
