"""Arrays (https://trino.io/docs/435/functions/array.html). Those that take lambdas are in `lambdas`."""

from __future__ import annotations

from local_aws.athena import types as ty
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, cast, cast_text, convert, raise_sql, raise_text
from local_aws.athena.functions.composite import concat
from local_aws.athena.functions.ip import CONTAINS
from local_aws.athena.functions.registry import Call, Special, Table, overloaded
from local_aws.athena.functions.sets import first_of_each, greatest_number
from local_aws.athena.types import (
    BIGINT,
    BOOLEAN,
    HYPERLOGLOG,
    INTERVAL_YEAR,
    IP_ADDRESS,
    VARCHAR,
    Type,
    duckdb_type,
)

_INVALID = "INVALID_FUNCTION_ARGUMENT"
# Elements of a sequence.
_LONGEST = 10_000


def _cardinality(c: Call, e: E) -> E:
    """Of maps and of approximate sets, too."""
    if e.type == HYPERLOGLOG:
        return E(f"CAST(len({e.sql}) AS BIGINT)", BIGINT)
    if e.type.base == "map":
        return E(f"CAST(cardinality({e.sql}) AS BIGINT)", BIGINT)
    c.element_type(e)
    return E(f"len({e.sql})", BIGINT)


def _of_one_type(c: Call, a: E, x: E) -> tuple[str, str, Type]:
    """Array and element brought to one type."""
    t = ty.common(c.element_type(a), x.type)
    if t is None:
        raise c.unexpected()
    return cast(a, ty.array(t)).sql, cast(x, t).sql, t


def _number(x: str, t: Type) -> str:
    """What is looked for: NaN, which is nowhere, becomes NULL."""
    return f"CASE WHEN NOT isnan({x}) THEN {x} END" if t.base in ("real", "double") else x


def _contains(c: Call, array: E, element: E) -> E:
    if element.type == IP_ADDRESS and array.type.base in ("varchar", "char"):
        return overloaded(c, [CONTAINS])
    a, x, t = _of_one_type(c, array, element)
    return E(
        f"CASE WHEN {a} IS NULL OR {x} IS NULL THEN NULL WHEN list_contains({a}, {_number(x, t)}) THEN true "
        f"WHEN list_count({a}) < len({a}) THEN NULL ELSE false END",
        BOOLEAN,
    )


def _element_at(c: Call, a: E, i: E) -> E:
    """Of maps, too."""
    if a.type.base == "map":
        k, v = a.type.args
        both = ty.common(i.type, k)
        if both is None:
            raise c.unexpected()
        if both != k and k.base != "varchar":
            a = cast(a, ty.map_of(both, v))
        return E(f"{a.sql}[{cast(i, both).sql}]", v)
    t = c.element_type(a)
    if i.type.base not in (*ty.INTEGERS, "unknown"):
        raise c.unexpected()
    sql = f"list_extract({a.sql}, {i.sql})"
    if isinstance(i.value, int) and i.value != 0:
        return E(sql, t)
    zero = raise_text(_INVALID, "SQL array indices start at 1", duckdb_type(t))
    return E(f"CASE WHEN {i.sql} = 0 THEN {zero} ELSE {sql} END", t)


def _extreme(c: Call, a: E) -> E:
    t = c.element_type(a)
    # NULL if any element is NULL (https://trino.io/docs/435/functions/array.html#array_max).
    value = f"list_{c.name[-3:]}({a.sql})"
    if c.name == "array_max" and t.base in ("real", "double"):
        value = greatest_number(a.sql, value)
    return E(f"CASE WHEN list_count({a.sql}) < len({a.sql}) THEN NULL ELSE {value} END", t)


def _distinct(c: Call, a: E) -> E:
    c.element_type(a)
    return E(first_of_each(a.sql), a.type)


def _union(c: Call, *arrays: E) -> E:
    t = c.common_type(*arrays)
    return E(first_of_each(concat(c.compiler, list(arrays), c.node).sql), t)


def _intersect(c: Call, first: E, second: E) -> E:
    """array_except(), too."""
    t = c.common_type(first, second)
    a, b = cast(first, t).sql, cast(second, t).sql
    word = "IS NOT NULL" if c.name == "array_intersect" else "IS NULL"
    kept = f"list_filter({first_of_each(a)}, lambda λy: list_position({b}, λy) {word})"
    if c.name == "array_intersect":
        # In the order of the longer one.
        other = f"list_filter({first_of_each(b)}, lambda λy: list_position({a}, λy) {word})"
        kept = f"CASE WHEN len({a}) < len({b}) THEN {other} ELSE {kept} END"
    if c.name == "array_except":
        # What is taken from nothing keeps its duplicates, as in Trino.
        kept = f"CASE WHEN len({b}) = 0 THEN {a} ELSE {kept} END"
    return E(f"CASE WHEN {b} IS NULL THEN NULL ELSE {kept} END", t)


def _overlap(c: Call, first: E, second: E) -> E:
    t = c.common_type(first, second)
    a, b = cast(first, t).sql, cast(second, t).sql
    return E(
        # Without a lambda over the second, which DuckDB does not find in a subquery.
        f"CASE WHEN list_has_any(list_filter({a}, lambda λy: λy IS NOT NULL), {b}) THEN true "
        f"WHEN len({a}) = 0 OR len({b}) = 0 THEN false "
        f"WHEN list_count({a}) < len({a}) OR list_count({b}) < len({b}) THEN NULL "
        f"WHEN {a} IS NULL OR {b} IS NULL THEN NULL ELSE false END",
        BOOLEAN,
    )


def _join(c: Call, a: E, separator: E, null: E | None = None) -> E:
    t = c.element_type(a)
    if t.base in ("array", "map", "row"):
        raise c.fail("OPERATOR_NOT_FOUND", f"Cannot cast {t} to varchar")
    text = convert("λy", t, VARCHAR) if t.base == "json" else cast_text("λy", t)
    if null is not None:
        text = f"coalesce({text}, {null.sql})"
    items = f"list_transform({a.sql}, lambda λy: {text})"
    if t.base == "varchar" and null is None:
        items = a.sql
    if separator.value is not None:
        joined = f"array_to_string({items}, {separator.sql})"
    else:
        # array_to_string wants a constant.
        texts = f"list_filter({items}, lambda λt: λt IS NOT NULL)"
        reduced = f"list_reduce({texts}, lambda λa, λb: λa || {separator.sql} || λb)"
        joined = f"CASE WHEN len({texts}) > 0 THEN {reduced} END"
    # Of no text at all DuckDB makes NULL.
    return E(
        f"CASE WHEN {a.sql} IS NOT NULL AND {separator.sql} IS NOT NULL THEN coalesce({joined}, '') END",
        VARCHAR,
    )


def _sort(c: Call, a: E) -> E:
    c.element_type(a)
    return E(f"list_sort({a.sql}, 'ASC', 'NULLS LAST')", a.type)


def _position(c: Call, array: E, element: E) -> E:
    a, x, t = _of_one_type(c, array, element)
    found = f"CAST(coalesce(list_position({a}, {x}), 0) AS BIGINT)"
    if t.base in ("real", "double"):
        found = f"CASE WHEN isnan({x}) THEN 0 ELSE {found} END"
    return E(f"CASE WHEN {a} IS NULL OR {x} IS NULL THEN NULL ELSE {found} END", BIGINT)


def _remove(c: Call, array: E, element: E) -> E:
    a, x, t = _of_one_type(c, array, element)
    kept = f"list_filter({a}, lambda λy: λy IS DISTINCT FROM {_number(x, t)} OR λy IS NULL)"
    return E(f"CASE WHEN {x} IS NULL THEN NULL ELSE {kept} END", ty.array(t))


def _slice(c: Call, array: E, start: E, length: E) -> E:
    c.element_type(array)
    a, s, n = array.sql, start.sql, length.sql
    d = duckdb_type(array.type)
    zero = raise_text(_INVALID, "SQL array indices start at 1", d)
    negative = raise_text(_INVALID, "length must be greater than or equal to 0", d)
    first = f"CASE WHEN {s} < 0 THEN len({a}) + {s} + 1 ELSE {s} END"
    return E(
        f"CASE WHEN {s} = 0 THEN {zero} WHEN {n} < 0 THEN {negative} "
        f"WHEN {n} = 0 OR abs({s}) > len({a}) THEN CAST([] AS {d}) "
        f"ELSE list_slice({a}, {first}, ({first}) + {n} - 1) END",
        array.type,
    )


def _flatten(c: Call, a: E) -> E:
    t = c.element_type(a)
    if t.base != "array":
        raise c.unexpected()
    return E(f"flatten({a.sql})", t)


def _sequence(c: Call, start: E, stop: E, step: E | None = None) -> E:
    t = ty.common(start.type, stop.type)
    if t is None:
        raise c.unexpected()
    a, b = cast(start, t).sql, cast(stop, t).sql
    one = f"CASE WHEN {a} <= {b} THEN 1 ELSE -1 END"
    if t.base in ty.INTEGERS:
        by = step.sql if step is not None else one
        series = f"generate_series(CAST({a} AS BIGINT), CAST({b} AS BIGINT), CAST({by} AS BIGINT))"
        sizes = f"abs((CAST({b} AS HUGEINT) - {a}) // nullif({by}, 0)) + 1"
        return E(
            _checked_sequence(series, a, b, by if step is not None else "", "0", sizes, BIGINT),
            ty.array(BIGINT),
        )
    if t.base not in ("date", "timestamp") or (step is None and t.base == "timestamp"):
        raise c.unexpected()
    if step is not None and step.type == INTERVAL_YEAR:
        # Each from the start: adding month by month would forget the day after a short one.
        if not step.value:
            raise not_supported("sequence with a step in months that is no literal")
        m = step.value
        count = f"datesub('month', {a}, {b}) // {m} + 1"
        series = (
            f"list_transform(range(0, {count}), "
            f"lambda λy: CAST({a} + to_months(CAST(λy * {m} AS INTEGER)) AS {duckdb_type(t)}))"
        )
        return E(_checked_sequence(series, a, b, str(m), "0", count, t), ty.array(t))
    by = step.sql if step is not None else f"to_days({one})"
    if step is not None and t.base == "date" and isinstance(step.value, int) and step.value % 86400000:
        raise c.fail(_INVALID, "sequence step must be a day interval if start and end values are dates")
    series = (
        f"CAST(generate_series(CAST({a} AS TIMESTAMP), CAST({b} AS TIMESTAMP), {by}) AS {duckdb_type(t)}[])"
    )
    size = f"(epoch_ms({b}) - epoch_ms({a})) // nullif(epoch_ms({by}), 0) + 1"
    return E(
        _checked_sequence(series, a, b, by if step is not None else "", "to_days(0)", size, t), ty.array(t)
    )


def _checked_sequence(series: str, a: str, b: str, by: str, zero: str, size: str, t: Type) -> str:
    """The series, if its step leads from a to b and it is not too long."""
    d = duckdb_type(ty.array(t))
    cases = ""
    if by:
        nothing = raise_text(_INVALID, "step must not be zero", d)
        wrong = raise_text(
            _INVALID,
            "sequence stop value should be greater than or equal to start value if step is greater than zero "
            "otherwise stop should be less than or equal to start",
            d,
        )
        cases = (
            f"WHEN {by} = {zero} THEN {nothing} "
            f"WHEN ({by} > {zero} AND {a} > {b}) OR ({by} < {zero} AND {a} < {b}) THEN {wrong} "
        )
    long = raise_text(_INVALID, f"result of sequence function must not have more than {_LONGEST} entries", d)
    return f"CASE {cases}WHEN {size} > {_LONGEST} THEN {long} ELSE {series} END"


def _repeat(c: Call, element: E, count: E) -> E:
    message = "count argument of repeat function must be greater than or equal to 0"
    negative = raise_text(_INVALID, message, "BIGINT")
    many = f"count argument of repeat function must be less than or equal to {_LONGEST}"
    n = (
        f"CASE WHEN {count.sql} < 0 THEN {negative} WHEN {count.sql} > {_LONGEST} "
        f"THEN {raise_text(_INVALID, many, 'BIGINT')} ELSE CAST({count.sql} AS BIGINT) END"
    )
    return E(f"list_transform(range({n}), lambda λy: {element.sql})", ty.array(element.type))


def _zip(c: Call, *arrays: E) -> E:
    t = ty.row(*[(None, c.element_type(a)) for a in arrays])
    fields = ", ".join(f"'_{i}': λy[{i + 1}]" for i in range(len(arrays)))
    zipped = f"list_zip({', '.join(a.sql for a in arrays)})"
    return E(f"list_transform({zipped}, lambda λy: {{{fields}}})", ty.array(t))


def _trim(c: Call, array: E, count: E) -> E:
    c.element_type(array)
    a, n, d = array.sql, count.sql, duckdb_type(array.type)
    message = f"'size must not exceed array cardinality ' || CAST(len({a}) AS VARCHAR) || ': ' || CAST({n} AS VARCHAR)"
    return E(
        f"CASE WHEN {n} < 0 THEN {raise_text(_INVALID, 'size must not be negative: -1', d)} "
        f"WHEN {n} > len({a}) THEN {raise_sql(_INVALID, message, d)} ELSE list_slice({a}, 1, len({a}) - {n}) END",
        array.type,
    )


def _ngrams(c: Call, array: E, size: E) -> E:
    c.element_type(array)
    a, few = array.sql, raise_text(_INVALID, "N must be positive", "BIGINT")
    n = (
        size.sql
        if isinstance(size.value, int) and size.value > 0
        else f"CASE WHEN {size.sql} < 1 THEN {few} ELSE {size.sql} END"
    )
    return E(
        f"list_transform(range(CAST(1 AS BIGINT), CAST(greatest(len({a}) - {n} + 1, 1) + 1 AS BIGINT)), "
        f"lambda λi: list_slice({a}, λi, λi + {n} - 1))",
        ty.array(array.type),
    )


def _combinations(c: Call, array: E, size: E) -> E:
    """All subsets of n elements, in the order of their positions from the last on."""
    c.element_type(array)
    n = size.value
    if not isinstance(n, int):
        raise not_supported("combinations with a number that is no literal")
    if not 0 <= n <= 5:
        wrong = "negative" if n < 0 else "greater than 5"
        raise c.fail(_INVALID, f"combination size must not be {wrong}: {n}")
    a = array.sql
    positions = "[[0]]" if n else "CAST([[]] AS BIGINT[][])"
    for i in range(n):
        # Each list of positions grows by a later one; the 0 before the first is cut off.
        later = f"range(CAST(λp{i}[-1] + 1 AS BIGINT), CAST(len({a}) + 1 AS BIGINT))"
        grown = f"list_transform({later}, lambda λq{i}: list_append(λp{i}, λq{i}))"
        positions = f"flatten(list_transform({positions}, lambda λp{i}: {grown}))"
    if n:
        positions = f"list_transform({positions}, lambda λr: list_slice(λr, 2, len(λr)))"
        positions = f"list_sort(list_transform({positions}, lambda λr: list_reverse(λr)))"
        positions = f"list_transform({positions}, lambda λr: list_reverse(λr))"
    chosen = f"list_transform({positions}, lambda λr: list_transform(λr, lambda λj: list_extract({a}, λj)))"
    return E(
        f"CASE WHEN {a} IS NULL THEN NULL ELSE CAST({chosen} AS {duckdb_type(array.type)}[]) END",
        ty.array(array.type),
    )


def _histogram(c: Call, array: E) -> E:
    t = c.element_type(array)
    a = f"list_filter({array.sql}, lambda λx: λx IS NOT NULL)"
    count = f"len(list_filter({a}, lambda λx: λx = λk))"
    entries = f"list_transform({first_of_each(a)}, lambda λk: {{'key': λk, 'value': {count}}})"
    return E(f"map_from_entries({entries})", ty.map_of(t, BIGINT))


def _shuffle(c: Call, array: E) -> E:
    c.element_type(array)
    c.compiler.changes()
    keyed = f"list_transform({array.sql}, lambda λx: {{'k': random(), 'x': λx}})"
    return E(f"list_transform(list_sort({keyed}), lambda λx: λx.x)", array.type)


def _contains_sequence(c: Call, array: E, sequence: E) -> E:
    t = ty.common(array.type, sequence.type)
    if t is None or t.base != "array":
        raise c.unexpected()
    a, b = cast(array, t).sql, cast(sequence, t).sql
    starts = f"range(CAST(1 AS BIGINT), CAST(len({a}) - len({b}) + 2 AS BIGINT))"
    found = f"list_filter({starts}, lambda λi: list_slice({a}, λi, λi + len({b}) - 1) = {b})"
    return E(f"CASE WHEN {a} IS NULL OR {b} IS NULL THEN NULL ELSE len({found}) > 0 END", BOOLEAN)


FUNCTIONS: Table = {
    "array_distinct": Special(_distinct),
    "array_except": Special(_intersect),
    "array_histogram": Special(_histogram),
    "array_intersect": Special(_intersect),
    "array_join": Special(_join),
    "array_max": Special(_extreme),
    "array_min": Special(_extreme),
    "array_position": Special(_position),
    "array_remove": Special(_remove),
    "array_sort": Special(_sort),
    "array_union": Special(_union),
    "arrays_overlap": Special(_overlap),
    "cardinality": Special(_cardinality),
    "combinations": Special(_combinations, strict=True),
    "contains": Special(_contains),
    "contains_sequence": Special(_contains_sequence),
    "element_at": Special(_element_at),
    "flatten": Special(_flatten),
    "ngrams": Special(_ngrams, strict=True),
    "repeat": Special(_repeat),
    "sequence": Special(_sequence),
    "shuffle": Special(_shuffle),
    "slice": Special(_slice, strict=True),
    "trim_array": Special(_trim, strict=True),
    "zip": Special(_zip, strict=True),
}
