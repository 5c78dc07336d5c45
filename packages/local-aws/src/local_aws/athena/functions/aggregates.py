"""Aggregate functions (https://trino.io/docs/435/functions/aggregate.html)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, cast, comparable, convert, raise_text
from local_aws.athena.functions.arithmetic import months, of_units, power_of_ten
from local_aws.athena.functions.lambdas import reduce_agg
from local_aws.athena.functions.registry import Call, Parameter, accept
from local_aws.athena.plan import Compiler, Scope, sort_key
from local_aws.athena.types import (
    BIGINT,
    BOOLEAN,
    DOUBLE,
    GEOMETRY,
    HYPERLOGLOG,
    INTERVAL_DAY,
    INTERVAL_YEAR,
    REAL,
    TDIGEST,
    Type,
    duckdb_type,
)


@dataclass(frozen=True)
class Aggregation:
    """What is collected, and what is made of it.

    items: the SQL of the arguments. made: gets them in parentheses with all that follows, DISTINCT, ORDER BY, FILTER and
    OVER, and gives SQL of the type.
    """

    items: list[str]
    type: Type
    made: Callable[[str], str]


@dataclass(frozen=True)
class AggregateCall(Call):
    """star: count(*)."""

    star: bool


Aggregate = Callable[[AggregateCall], Aggregation]


# ------------------------------------------------------------------------------------ of certain types


def _plain(function: str, parameters: tuple[Parameter, ...], result: Type, made: str = "{}") -> Aggregate:
    """A function of arguments of certain types. made: over its result {}."""

    def compile_(c: AggregateCall) -> Aggregation:
        args = c.args
        if len(args) != len(parameters):
            raise c.unexpected()
        taken = [accept(a, p) for a, p in zip(args, parameters, strict=True)]
        items = [t.sql for t in taken if t is not None]
        if len(items) != len(args):
            raise c.unexpected()
        if len(args) == 2 and all(a.type.base in (*ty.INTEGERS, "decimal", "real") for a in args):
            # There is a function of reals, too, and it is the nearer one.
            return Aggregation(items, REAL, lambda over: f"CAST({made.format(function + over)} AS FLOAT)")
        return Aggregation(items, result, lambda over: made.format(function + over))

    return compile_


def _of_doubles(function: str, count: int = 1, made: str = "{}") -> Aggregate:
    return _plain(function, (DOUBLE,) * count, DOUBLE, made)


_FINITE = "CASE WHEN isfinite({0}) THEN {0} END"


def _spread(function: str) -> Aggregate:
    """Variances and the like: of a NaN or an infinite number they are NaN, where DuckDB fails."""

    def compile_(c: AggregateCall) -> Aggregation:
        x = accept(c.args[0], DOUBLE) if len(c.args) == 1 else None
        if x is None:
            raise c.unexpected()
        item, nan = x.sql, "CAST('NaN' AS DOUBLE)"

        def plain(over: str) -> str:
            if function != "kurtosis":
                return function + over
            # Of equal numbers DuckDB's is NULL.
            return f"CASE WHEN count{over} >= 4 THEN coalesce(kurtosis{over}, {nan}) END"

        if c.args[0].type.base not in ("real", "double"):
            return Aggregation([item], DOUBLE, plain)

        def made(over: str) -> str:
            finite = over.replace(item, f"CASE WHEN isfinite({item}) THEN {item} END", 1)
            least = {"var_pop": 1, "stddev_pop": 1, "kurtosis": 4}.get(function, 2)
            several = f" AND count{over} >= {least}" if least > 1 else ""
            return f"CASE WHEN NOT isfinite(sum{over}){several} THEN {nan} ELSE {plain(finite)} END"

        return Aggregation([item], DOUBLE, made)

    return compile_


def _of_pairs(function: str) -> Aggregate:
    """NULL where a pair has a NaN or an infinite number, where DuckDB fails."""
    plain = _of_doubles(function, 2, _FINITE)

    def compile_(c: AggregateCall) -> Aggregation:
        made = plain(c)
        if not any(a.type.base in ("real", "double") for a in c.args):
            return made
        x, y = made.items
        finite = f"isfinite({x}) AND isfinite({y})"

        def checked(over: str) -> str:
            given = f"{x}, {y}"
            kept = over.replace(given, f"CASE WHEN {finite} THEN {x} END, {y}", 1)
            odd = over.replace(given, f"NOT ({finite})", 1)
            return f"CASE WHEN bool_or{odd} THEN NULL ELSE {made.made(kept)} END"

        return Aggregation(made.items, made.type, checked)

    return compile_


def _geometric_mean(c: AggregateCall) -> Aggregation:
    x = accept(c.args[0], DOUBLE) if len(c.args) == 1 else None
    if x is None:
        raise c.unexpected()
    return Aggregation([f"trino_ln({x.sql})"], DOUBLE, lambda over: f"exp(avg{over})")


# ---------------------------------------------------------------------------------------- sums and counts


def _count(c: AggregateCall) -> Aggregation:
    if len(c.args) > 1:
        raise c.unexpected()
    items = ["*"] if c.star or not c.args else [c.args[0].sql]
    return Aggregation(items, BIGINT, lambda over: f"count{over}")


def _approx_distinct(c: AggregateCall) -> Aggregation:
    """Exactly, as Trino's is for some hundred values; DuckDB's own is wrong from eight on."""
    if len(c.args) not in (1, 2):
        raise c.unexpected()
    return Aggregation([f"DISTINCT {c.args[0].sql}"], BIGINT, lambda over: f"count{over}")


def _summand(c: AggregateCall) -> E:
    if len(c.args) != 1:
        raise c.unexpected()
    e = c.args[0]
    if e.type.base == "unknown":
        return cast(e, DOUBLE)
    if e.type.base not in ty.NUMERIC and e.type not in (INTERVAL_DAY, INTERVAL_YEAR):
        raise c.unexpected()
    return e


def _of_intervals(name: str, e: E) -> Aggregation:
    if e.type == INTERVAL_DAY:
        return Aggregation(
            [f"epoch_ms({e.sql})"], e.type, lambda over: f"to_milliseconds(CAST({name}{over} AS BIGINT))"
        )
    return Aggregation([months(e.sql)], e.type, lambda over: f"to_months(CAST({name}{over} AS INTEGER))")


def _sum(c: AggregateCall) -> Aggregation:
    e = _summand(c)
    t = e.type
    if t.base.startswith("interval"):
        return _of_intervals("sum", e)
    if t.base in ty.INTEGERS:
        return Aggregation([e.sql], BIGINT, lambda over: f"CAST(sum{over} AS BIGINT)")
    if t.base != "decimal":
        return Aggregation(
            [e.sql], t, lambda over: f"trino_real(sum{over})" if t.base == "real" else f"sum{over}"
        )
    p, s = t.digits
    r = ty.decimal(38, s)
    d = duckdb_type(r)
    if p <= 28:
        return Aggregation([e.sql], r, lambda over: f"CAST(sum{over} AS {d})")
    most = f"CAST('{'9' * (38 - s) or '0'}.{'9' * s}' AS {d})"
    # DuckDB keeps what has more digits than its type.
    overflow = raise_text("GENERIC_INTERNAL_ERROR", "Decimal overflow", d)

    def checked(over: str) -> str:
        total = f"CAST(sum{over} AS {d})"
        return f"CASE WHEN abs({total}) > {most} THEN {overflow} ELSE {total} END"

    return Aggregation([e.sql], r, checked)


def _avg(c: AggregateCall) -> Aggregation:
    e = _summand(c)
    t = e.type
    if t.base.startswith("interval"):
        return _of_intervals("avg", e)
    if t.base == "decimal":
        return Aggregation([e.sql], t, lambda over: _average(over, t))
    if t.base == "real":
        return Aggregation([e.sql], t, lambda over: f"CAST(avg{over} AS FLOAT)")
    return Aggregation([e.sql], DOUBLE, lambda over: f"avg{over}")


def _average(over: str, t: Type) -> str:
    """The average of decimals, exactly: their sum divided by their count, halves away from zero."""
    _, s = t.digits
    total = f"CAST(CAST(sum{over} AS DECIMAL(38,{s})) * {power_of_ten(s)} AS HUGEINT)"
    count = f"count{over}"
    units = f"((2 * abs({total}) + {count}) // (2 * {count}) * (CASE WHEN {total} < 0 THEN -1 ELSE 1 END))"
    return f"CASE WHEN {count} > 0 THEN {of_units(units, s, duckdb_type(t))} END"


def _skewness(c: AggregateCall) -> Aggregation:
    """Of the population, where DuckDB's is that of a sample."""
    x = accept(c.args[0], DOUBLE) if len(c.args) == 1 else None
    if x is None:
        raise c.unexpected()

    def made(over: str) -> str:
        a = f"list{over}"
        cubes = f"list_transform({a}, lambda λx: pow(λx - list_avg({a}), 3))"
        squares = f"list_transform({a}, lambda λx: pow(λx - list_avg({a}), 2))"
        formula = f"(sqrt(list_count({a})) * list_sum({cubes}) / pow(list_sum({squares}), 1.5))"
        return f"CASE WHEN list_count({a}) >= 3 THEN {formula} END"

    return Aggregation([x.sql], DOUBLE, made)


# ------------------------------------------------------------------------------------------- the extremes


def _ranked(sql: str) -> str:
    """A floating point number as what has the order of Trino: NaN, the greatest to DuckDB, loses against every number."""
    return f"CASE WHEN {sql} IS NOT NULL THEN {{'n': NOT isnan({sql}), 'x': {sql}}} END"


def _min_max(c: AggregateCall) -> Aggregation:
    if len(c.args) not in (1, 2):
        raise c.unexpected()
    e, t, name = c.args[0], c.args[0].type, c.name
    comparable(c.compiler, t, "<", c.node)
    with_nan = name == "max" and t.base in ("real", "double")
    if len(c.args) == 2:
        n = c.args[1].sql
        if not with_nan:
            return Aggregation([e.sql, n], ty.array(t), lambda over: f"{name}{over}")
        return Aggregation(
            [f"{e.sql} ORDER BY isnan({e.sql}), {e.sql} DESC"],
            ty.array(t),
            lambda over: f"list_slice(list_filter(list{over}, lambda λz: λz IS NOT NULL), 1, {n})",
        )
    if with_nan:
        return Aggregation([_ranked(e.sql)], t, lambda over: f"struct_extract(max{over}, 'x')")
    return Aggregation([e.sql], t, lambda over: f"{name}{over}")


def _min_max_by(c: AggregateCall) -> Aggregation:
    if len(c.args) not in (2, 3):
        raise c.unexpected()
    e, t, by = c.args[0], c.args[0].type, c.args[1].sql
    if c.args[1].type.base in ("real", "double") and c.name == "max_by":
        by = _ranked(by)
    if len(c.args) == 2:
        return Aggregation([e.sql, by], t, lambda over: f"arg_{c.name[:3]}_null{over}")
    # Unlike DuckDB's own, with the NULLs among the values.
    direction = "DESC" if c.name == "max_by" else "ASC"
    count = c.args[2].sql

    def made(over: str) -> str:
        kept = f"list_slice(list_filter(list{over}, lambda λz: λz.y IS NOT NULL), 1, {count})"
        return f"list_transform({kept}, lambda λz: λz.x)"

    pair = f"{{'x': {e.sql}, 'y': {by}}} ORDER BY {by} {direction} NULLS LAST"
    return Aggregation([pair], ty.array(t), made)


# Beyond so many values approx_percentile is exact here, for its digest takes a second for a million.
_DIGESTED = 100_000


def _percentile(c: AggregateCall) -> Aggregation:
    """approx_percentile(x, share), (x, weight, share) and with an accuracy behind: by Trino's digest."""
    if len(c.args) not in (2, 3, 4):
        raise c.unexpected()
    e, share = c.args[0], c.args[1 if len(c.args) == 2 else 2]
    x = accept(e, DOUBLE)
    w = accept(c.args[1], DOUBLE) if len(c.args) > 2 else None
    several = share.type.base == "array"
    if x is None or (w is None and len(c.args) > 2):
        raise c.unexpected()
    shares = cast(share, ty.array(DOUBLE)).sql if several else f"[{cast(share, DOUBLE).sql}]"
    kind = ty.BIGINT if e.type.base in ty.INTEGERS else e.type if e.type == REAL else DOUBLE
    t = ty.array(kind) if several else kind
    if w is None:
        pair = f"{{'x': {x.sql}}}"
        given = f"CASE WHEN {x.sql} IS NOT NULL THEN {pair} END"
    else:
        pair = f"{{'x': {x.sql}, 'w': {w.sql}}}"
        given = f"CASE WHEN {x.sql} IS NOT NULL AND {w.sql} IS NOT NULL THEN {pair} END"

    def made(over: str) -> str:
        pairs = f"list_filter(list{over}, lambda λz: λz IS NOT NULL)"
        values = f"list_transform({pairs}, lambda λz: λz.x)"
        weights = f"list_transform({pairs}, lambda λz: λz.w)" if w is not None else "CAST([] AS DOUBLE[])"
        found = f"py_approx_percentile({values}, {weights}, {shares})"
        if w is None:
            at = f"list_transform({shares}, lambda λp: list_sort({values})[least(CAST(floor(λp * len({pairs}) + 1e-9) AS BIGINT) + 1, len({pairs}))])"
            found = f"CASE WHEN len({pairs}) > {_DIGESTED} THEN {at} ELSE {found} END"
        back = convert(found, ty.array(DOUBLE), ty.array(kind))
        if kind == ty.BIGINT:
            whole = "CASE WHEN λv >= 9223372036854775807e0 THEN 9223372036854775807 ELSE CAST(round(λv) AS BIGINT) END"
            back = f"list_transform({found}, lambda λv: {whole})"
        return f"CASE WHEN len({pairs}) > 0 THEN {back if several else f'({back})[1]'} END"

    return Aggregation([given], t, made)


# How values are given to checksum: which of Trino's hashes, and their text.
_CHECKSUMS = {
    **dict.fromkeys(ty.INTEGERS, ("number", "{}")),
    "boolean": ("number", "CAST({} AS INTEGER)"),
    "date": ("number", "CAST(epoch({}) AS BIGINT) // 86400"),
    "timestamp": ("number", "epoch_us({})"),
    "timestamp with time zone": ("number", "epoch_ms({})"),
    "time": ("number", "CAST(epoch_us({}) AS HUGEINT) * 1000000"),
    "interval day to second": ("number", "epoch_ms({})"),
    "real": ("real", "{}"),
    "double": ("double", "{}"),
    "varchar": ("text", "{}"),
    "char": ("text", "rtrim({}, ' ')"),
    "varbinary": ("bytes", "hex({})"),
}


def _checksum(c: AggregateCall) -> Aggregation:
    if len(c.args) != 1:
        raise c.unexpected()
    t = c.args[0].type
    kind, form = _CHECKSUMS.get(t.base, ("", ""))
    if t.base == "decimal" and (t.p or 0) <= 18:
        kind, form = "number", f"CAST({{}} * {power_of_ten(t.s or 0)} AS HUGEINT)"
    if not kind or (t.base == "timestamp with time zone" and (t.p or 0) > 3):
        raise not_supported(f"checksum of {t}")
    item = f"CAST({form.format(c.args[0].sql)} AS VARCHAR)"
    return Aggregation([item], ty.VARBINARY, lambda over: f"py_checksum(list{over}, '{kind}')")


def _numeric_histogram(c: AggregateCall) -> Aggregation:
    if len(c.args) not in (2, 3):
        raise c.unexpected()
    buckets, *numbers = c.args
    taken = [accept(a, DOUBLE) for a in numbers]
    x, w = taken[0], taken[1] if len(taken) == 2 else E("CAST(1 AS DOUBLE)", DOUBLE)
    if x is None or w is None or buckets.type.base not in ty.INTEGERS:
        raise c.unexpected()
    t = REAL if numbers[0].type.base == "real" else DOUBLE
    pair = f"CASE WHEN {x.sql} IS NOT NULL AND {w.sql} IS NOT NULL THEN {{'x': {x.sql}, 'w': {w.sql}}} END"

    def made(over: str) -> str:
        pairs = f"list_filter(list{over}, lambda λz: λz IS NOT NULL)"
        values, weights = (f"list_transform({pairs}, lambda λz: λz.{part})" for part in "xw")
        json = f"py_numeric_histogram(CAST({buckets.sql} AS BIGINT), {values}, {weights})"
        entries = f"list_transform(CAST({json} AS DOUBLE[][]), lambda λz: {{'key': λz[1], 'value': λz[2]}})"
        d = duckdb_type(ty.map_of(t, t))
        return f"CASE WHEN len({pairs}) > 0 THEN CAST(map_from_entries({entries}) AS {d}) END"

    return Aggregation([pair], ty.map_of(t, t), made)


def _most_frequent(c: AggregateCall) -> Aggregation:
    """approx_most_frequent(buckets, value, capacity): exactly, as Trino's is while the values fit into its capacity."""
    if len(c.args) != 3 or c.args[1].type.base not in ("bigint", "varchar", "integer", "smallint", "tinyint"):
        raise c.unexpected()
    buckets, e, _ = c.args
    x = e.sql if e.type.base == "varchar" else cast(e, BIGINT).sql
    t = ty.map_of(ty.VARCHAR if e.type.base == "varchar" else BIGINT, BIGINT)

    def made(over: str) -> str:
        counts = f"list_transform(map_entries(histogram{over}), lambda λz: {{'n': -CAST(λz.value AS BIGINT), 'k': λz.key}})"
        first = f"list_slice(list_sort({counts}), 1, {buckets.sql})"
        entries = f"list_transform({first}, lambda λz: {{'key': λz.k, 'value': -λz.n}})"
        message = "approx_most_frequent bucket count must be greater than one"
        few = raise_text("INVALID_FUNCTION_ARGUMENT", message, duckdb_type(t))
        return f"CASE WHEN {buckets.sql} < 2 THEN {few} ELSE map_from_entries({entries}) END"

    return Aggregation([x], t, made)


# ----------------------------------------------------------------------------------------------- sketches


def _approx_set(c: AggregateCall) -> Aggregation:
    """All of the values: what is counted is exact here."""
    if len(c.args) != 1 or c.args[0].type.base not in (*ty.INTEGERS, "real", "double", "varchar", "unknown"):
        raise c.unexpected()
    return Aggregation([f"DISTINCT CAST({c.args[0].sql} AS VARCHAR)"], HYPERLOGLOG, _without_null)


def _without_null(over: str) -> str:
    return f"list_filter(list{over}, lambda λz: λz IS NOT NULL)"


def _digest(c: AggregateCall) -> Aggregation:
    """qdigest_agg and tdigest_agg: all of the values in their order."""
    if len(c.args) > 1:
        raise not_supported(f"{c.name} with weights or an accuracy")
    x = c.args[0] if c.args else None
    if x is not None and c.name == "tdigest_agg":
        x = accept(x, DOUBLE)
    elif x is not None and x.type.base not in ("bigint", "double", "real"):
        x = accept(x, BIGINT) or accept(x, DOUBLE)
    if x is None:
        raise c.unexpected()
    t = TDIGEST if c.name == "tdigest_agg" else Type("qdigest", (x.type,))
    return Aggregation([f"{x.sql} ORDER BY {x.sql}"], t, _without_null)


def _merge(c: AggregateCall) -> Aggregation:
    if len(c.args) != 1 or c.args[0].type.base not in ("HyperLogLog", "qdigest", "tdigest"):
        raise c.unexpected()
    e = c.args[0]
    if e.type == HYPERLOGLOG:
        return Aggregation([e.sql], e.type, lambda over: f"list_distinct(flatten(list{over}))")
    return Aggregation([e.sql], e.type, lambda over: f"list_sort(flatten(list{over}))")


# --------------------------------------------------------------------------------------- arrays and maps


def _any_value(c: AggregateCall) -> Aggregation:
    e = _first(c)
    return Aggregation([e.sql], e.type, lambda over: f"any_value{over}")


def _first(c: AggregateCall) -> E:
    if not c.args:
        raise c.unexpected()
    return c.args[0]


def _array_agg(c: AggregateCall) -> Aggregation:
    e = _first(c)
    return Aggregation([e.sql], ty.array(e.type), lambda over: f"list{over}")


def _set_agg(c: AggregateCall) -> Aggregation:
    e = _first(c)
    return Aggregation([f"DISTINCT {e.sql}"], ty.array(e.type), lambda over: f"list{over}")


def _map_agg(c: AggregateCall) -> Aggregation:
    """multimap_agg(), too."""
    if len(c.args) != 2:
        raise c.unexpected()
    k, v = c.args
    # A key met twice keeps one value, any one: here the first.
    macro, t = (
        ("trino_map_of_entries", v.type)
        if c.name == "map_agg"
        else ("trino_multimap_of_entries", ty.array(v.type))
    )

    def made(over: str) -> str:
        m = f"{macro}(list{over})"
        return f"CASE WHEN cardinality({m}) > 0 THEN {m} END"

    return Aggregation([f"{{'key': {k.sql}, 'value': {v.sql}}}"], ty.map_of(k.type, t), made)


def _map_union(c: AggregateCall) -> Aggregation:
    if len(c.args) != 1 or c.args[0].type.base != "map":
        raise c.unexpected()
    m = c.args[0]
    return Aggregation(
        [f"map_entries({m.sql})"], m.type, lambda over: f"trino_map_of_entries(flatten(list{over}))"
    )


def _histogram(c: AggregateCall) -> Aggregation:
    e = _first(c)
    if e.type.base in ("real", "double"):
        # DuckDB's own takes NaN for equal to whatever it meets.
        def counted(over: str) -> str:
            values = f"list_sort(list_filter(list{over}, lambda λx: λx IS NOT NULL))"
            each = f"list_filter({values}, lambda λx, λi: λi = 1 OR λx <> {values}[λi - 1])"
            count = f"len(list_filter({values}, lambda λx: λx = λk))"
            entries = f"list_transform({each}, lambda λk: {{'key': λk, 'value': {count}}})"
            return f"CASE WHEN len({values}) > 0 THEN map_from_entries({entries}) END"

        return Aggregation([e.sql], ty.map_of(e.type, BIGINT), counted)
    d = f"MAP({duckdb_type(e.type)}, BIGINT)"
    return Aggregation([e.sql], ty.map_of(e.type, BIGINT), lambda over: f"CAST(histogram{over} AS {d})")


def _of_geometries(function: str) -> Aggregate:
    def compile_(c: AggregateCall) -> Aggregation:
        if [a.type for a in c.args] != [GEOMETRY]:
            raise c.unexpected()
        return Aggregation([c.args[0].sql], GEOMETRY, lambda over: f"py_geo_{function}(list{over})")

    return compile_


AGGREGATES: Mapping[str, Aggregate] = {
    "any_value": _any_value,
    "approx_distinct": _approx_distinct,
    "approx_most_frequent": _most_frequent,
    "approx_percentile": _percentile,
    "approx_set": _approx_set,
    "arbitrary": _any_value,
    "array_agg": _array_agg,
    "avg": _avg,
    "bitwise_and_agg": _plain("bit_and", (BIGINT,), BIGINT),
    "bitwise_or_agg": _plain("bit_or", (BIGINT,), BIGINT),
    "bitwise_xor_agg": _plain("bit_xor", (BIGINT,), BIGINT),
    "bool_and": _plain("bool_and", (BOOLEAN,), BOOLEAN),
    "bool_or": _plain("bool_or", (BOOLEAN,), BOOLEAN),
    "checksum": _checksum,
    "convex_hull_agg": _of_geometries("convex_hull_all"),
    "corr": _of_pairs("corr"),
    "count": _count,
    "count_if": _plain("count_if", (BOOLEAN,), BIGINT, "coalesce(CAST({} AS BIGINT), 0)"),
    "covar_pop": _of_doubles("covar_pop", 2),
    "covar_samp": _of_doubles("covar_samp", 2),
    "every": _plain("bool_and", (BOOLEAN,), BOOLEAN),
    "geometric_mean": _geometric_mean,
    "geometry_union_agg": _of_geometries("union_all"),
    "histogram": _histogram,
    "kurtosis": _spread("kurtosis"),
    "map_agg": _map_agg,
    "map_union": _map_union,
    "max": _min_max,
    "max_by": _min_max_by,
    "merge": _merge,
    "min": _min_max,
    "min_by": _min_max_by,
    "multimap_agg": _map_agg,
    "numeric_histogram": _numeric_histogram,
    "qdigest_agg": _digest,
    "regr_intercept": _of_pairs("regr_intercept"),
    "regr_slope": _of_pairs("regr_slope"),
    "set_agg": _set_agg,
    "skewness": _skewness,
    "stddev": _spread("stddev_samp"),
    "stddev_pop": _spread("stddev_pop"),
    "stddev_samp": _spread("stddev_samp"),
    "sum": _sum,
    "tdigest_agg": _digest,
    "var_pop": _spread("var_pop"),
    "var_samp": _spread("var_samp"),
    "variance": _spread("var_samp"),
}
# Those with a syntax of their own.
_OTHERS = {"grouping", "listagg", "reduce_agg"}


def is_aggregate(name: str) -> bool:
    return name.lower() in AGGREGATES or name.lower() in _OTHERS


# ------------------------------------------------------------------------------------------------- calls


def aggregate(
    c: Compiler,
    name: str,
    nodes: list[exp.Expression],
    scope: Scope,
    filter_node: exp.Expression | None,
    over: str | None,
    order_node: exp.Expression | None,
    node: exp.Expression,
) -> E:
    """A call of an aggregate function, also as a window function: `over`."""
    if c.in_aggregate and over is None:
        raise c.fail("NESTED_AGGREGATION", f"Cannot nest aggregations inside aggregation '{name}'", node)
    if name == "grouping":
        lifted, c.lifted = c.lifted, None
        args = [c.expr(n, scope) for n in nodes]
        c.lifted = lifted
        return c.lift(E(f"grouping({', '.join(a.sql for a in args)})", BIGINT))
    if name == "reduce_agg" and over is None and len(nodes) == 4:
        return c.lift(reduce_agg(c, nodes, scope, filter_node, node))
    if name not in AGGREGATES:
        raise not_supported(f"Aggregate function '{name}' of this form")
    c.in_aggregate += over is None
    try:
        distinct, order, star = False, "", False
        items: list[exp.Expression] = []
        for n in nodes:
            inner = n
            if isinstance(n, exp.Order):
                order = _order_by(c, n, scope)
                inner = n.this
            if isinstance(inner, exp.Distinct):
                distinct = True
                items += inner.expressions
            elif isinstance(inner, exp.Star):
                star = True
            elif inner is not None:
                items.append(inner)
        if order_node is not None:
            order = _order_by(c, order_node, scope)
        saved, c.wants_truth = c.wants_truth, name == "count_if"
        try:
            args = [c.expr(n, scope) for n in items]
        finally:
            c.wants_truth = saved
        condition = _filter(c, filter_node, scope)
    finally:
        c.in_aggregate -= over is None
    if distinct and over is not None:
        raise c.fail("NOT_SUPPORTED", "DISTINCT in window function parameters not yet supported", node)
    made = AGGREGATES[name](AggregateCall(c, name, args, node, star))
    inside = ("DISTINCT " if distinct else "") + ", ".join(made.items) + order
    e = E(made.made(f"({inside}){condition}{over or ''}"), made.type)
    return e if over is not None else c.lift(e)


def _filter(c: Compiler, node: exp.Expression | None, scope: Scope) -> str:
    return f" FILTER (WHERE {c.boolean(node, scope, 'FILTER').sql})" if node is not None else ""


def _order_by(c: Compiler, node: exp.Expression, scope: Scope) -> str:
    compiled = [(c.expr(o.this, scope), o) for o in node.expressions]
    return " ORDER BY " + ", ".join(sort_key(e.sql, e.type, o) for e, o in compiled)


def listagg(c: Compiler, node: exp.GroupConcat, scope: Scope, filter_node: exp.Expression | None = None) -> E:
    """LISTAGG(x, sep) WITHIN GROUP (ORDER BY ...)."""
    inner = node.this
    order = ""
    distinct = ""
    c.in_aggregate += 1
    try:
        if isinstance(inner, exp.Order):
            order = _order_by(c, inner, scope)
            inner = inner.this
        if isinstance(inner, exp.Distinct):
            distinct, inner = "DISTINCT ", inner.expressions[0]
        e = c.expr(inner, scope)
        separator = node.args.get("separator")
        between = c.expr(separator, scope).sql if separator is not None else "''"
        condition = _filter(c, filter_node, scope)
    finally:
        c.in_aggregate -= 1
    return c.lift(E(f"string_agg({distinct}{e.sql}, {between}{order}){condition}", ty.VARCHAR))
