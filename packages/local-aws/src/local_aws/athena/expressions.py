"""Compiled expressions and conversions between types, with Trino's rules in DuckDB's SQL."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Protocol

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena import zones
from local_aws.athena.errors import QueryError, not_supported
from local_aws.athena.types import Type, duckdb_type

# Around the code and the text of a Trino error in the message of a failed cast.
MARK = "\x01"


class Fails(Protocol):
    """Whoever says where in a statement something is wrong."""

    def fail(self, code: str, message: str, node: exp.Expression | None = None) -> QueryError: ...


@dataclass
class E:
    """A compiled expression: DuckDB SQL and Trino type.

    origins: the table columns of which it is an unchanged copy. const: it names no column. value: a
    literal's value.
    """

    sql: str
    type: Type
    origins: tuple[Any, ...] = ()
    const: bool = False
    value: Any = None


# In SQL some parts of which may only be computed where others say so, which DuckDB's elimination of common
# subexpressions does not heed: it computes what comes twice first (see engine.Session).
LAZY = "/*lazy*/"


def lazy(*sqls: str) -> str:
    """The mark, if several failures are in expressions that are not always computed."""
    return LAZY if sum(s.count(MARK) for s in sqls) > 3 else ""


# The parameter of lambdas that conversions write. A λ is in no column's name: DuckDB takes v.key for a
# field of the column v, if there is one. The names of a query's own lambda parameters differ
# (see Compiler.parameter), and the bodies of these lambdas name no other variable, so they may nest.
V = "λv"


def raise_sql(code: str, message_sql: str, d: str) -> str:
    """SQL that fails the query with a Trino error, in the place of a value of the DuckDB type `d`.

    message_sql is a DuckDB string expression. The failure is a cast, because TRY cannot catch error().
    """
    return f"CAST(CAST(CAST('{MARK}{code}{MARK}' || {message_sql} || '{MARK}' AS INTEGER) AS VARCHAR) AS {d})"


def raise_text(code: str, message: str, d: str) -> str:
    return raise_sql(code, "'" + message.replace("'", "''") + "'", d)


def literal(text: str) -> E:
    """A number as Athena reads it: integer or bigint, and with a point or an exponent double, unlike Trino."""
    if "e" in text.lower() or "." in text:
        return E(f"CAST({text} AS DOUBLE)", ty.DOUBLE, value=float(text))
    n = int(text)
    if -(2**31) < n < 2**31:
        return E(text, ty.INTEGER, value=n)
    if n == -(2**31):
        return E(f"CAST({text} AS INTEGER)", ty.INTEGER, value=n)
    if -(2**63) <= n < 2**63:
        return E(f"CAST({text} AS BIGINT)", ty.BIGINT, value=n)
    raise QueryError("", f"Invalid numeric literal: {text}")


def decimal_literal(text: str) -> E:
    """DECIMAL '1.50', with as many digits as it is written with."""
    sign, digits = ("-", text[1:]) if text.startswith("-") else ("", text.removeprefix("+"))
    whole, _, fraction = digits.partition(".")
    p, s = max(len(whole.lstrip("0")) + len(fraction), 1), len(fraction)
    if p > 38:
        raise QueryError("NUMERIC_VALUE_OUT_OF_RANGE", f"Decimal overflow: {text}")
    value = f"{sign}{whole or '0'}.{fraction}"
    return E(f"CAST({value} AS DECIMAL({p},{s}))", ty.decimal(p, s), value=Decimal(value))


def struct_field(sql: str, t: Type, index: int) -> str:
    """Field `index` of a row."""
    return f"struct_extract({sql}, '{ty.field_name(t.names, index).replace(chr(39), chr(39) * 2)}')"


def cast(e: E, t: Type) -> E:
    """Converts where Trino does so by itself (see types.common): widening and NULLs."""
    if e.type == t:
        return e
    return E(
        convert(e.sql, e.type, t, implicit=True), t, e.origins if e.type.base == t.base == "varchar" else ()
    )


def coerce(c: Fails, e: E, t: Type, node: exp.Expression) -> E:
    """CAST(e AS t). Raises TYPE_MISMATCH where Trino has no such cast."""
    if t.base == "timestamp with time zone" and isinstance(e.value, str) and _ZONED.fullmatch(e.value):
        return zoned_literal(e.value, t.p or 0, c, node, cast=True)
    if t.base == "time with time zone" and e.type.base in ("varchar", "char"):
        return zoned_time(e, t.p or 0, c, node, "INVALID_CAST_ARGUMENT")
    if t.base.endswith("with time zone") and e.type.base.endswith("with time zone"):
        t = replace(t, zone=e.type.zone)
    if not castable(e.type, t):
        raise c.fail("TYPE_MISMATCH", f"Cannot cast {e.type} to {t}", node)
    keeps = e.type.base == t.base == "varchar" and t.p is None
    return E(convert(e.sql, e.type, t), t, e.origins if keeps else ())


def zoned_time(e: E, p: int, c: Fails, node: exp.Expression, code: str) -> E:
    """A time of day with its distance from UTC that the query spells out."""
    if not isinstance(e.value, str):
        raise not_supported("A column of times with time zones as texts")
    m = re.fullmatch(r"\s*(\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.(\d+))?)?)\s*([+-]\d{1,2}(?::?\d{2})?)\s*", e.value)
    zone = zones.canonical(m.group(3)) if m is not None else None
    if m is None or zone is None:
        wrong = (
            f"'{e.value}' is not a valid TIME literal"
            if code == "INVALID_LITERAL"
            else f"Value cannot be cast to time with time zone: {e.value}"
        )
        raise c.fail(code, wrong, node)
    digits = len(m.group(2) or "") if code == "INVALID_LITERAL" else p
    if max(digits, len(m.group(2) or "")) > 6:
        raise not_supported(f"TIME '{e.value}', finer than microseconds,")
    t = Type("time with time zone", p=digits, zone=None if zone == zones.UTC else zone)
    return E(zones.shifted(fitted(f"CAST('{m.group(1)}' AS TIME)", Type("time", p=t.p)), -zones.fixed(t)), t)


_ZONED = re.compile(
    r"\s*([+-]?\d{4,6}-\d{1,2}-\d{1,2})(?:[ T](\d{1,2}:\d{1,2}(?::\d{1,2}(?:\.\d+)?)?))?\s*([+-]\d{1,2}(?::?\d{2})?|[A-Za-z][\w/+\-:]*)?\s*"
)


def zoned_literal(text: str, p: int, c: Fails, node: exp.Expression, *, cast: bool = False) -> E:
    """A timestamp with time zone that the query spells out; without a zone it is in UTC, the session's.

    A time that the zone's clocks skip is no literal; a cast takes it for the time after the gap.
    """
    m = _ZONED.fullmatch(text)
    zone = zones.canonical(m.group(3)) if m is not None and m.group(3) else zones.UTC
    if m is None or zone is None:
        raise c.fail("INVALID_LITERAL", f"'{text}' is not a valid TIMESTAMP literal", node)
    day, clock = m.group(1), m.group(2) or "00:00"
    if not cast and not zones.exists(f"{day} {clock}", zone):
        raise c.fail("INVALID_LITERAL", f"'{text}' is not a valid TIMESTAMP literal", node)
    digits = len(clock.partition(".")[2])
    if max(p, digits) > 6:
        raise not_supported(f"TIMESTAMP '{text}', finer than microseconds,")
    t = Type("timestamp with time zone", p=max(p, digits), zone=None if zone == zones.UTC else zone)
    return E(zones.instant(f"CAST('{day} {clock}' AS TIMESTAMP)", zone), t)


# Types that are kept as bytes or as bits, and to and from which they can be cast.
_BINARY_FORM = {
    "ipaddress": ("varchar", "varbinary", "ipprefix"),
    "ipprefix": ("varchar", "ipaddress"),
    "Geometry": (),
    "SphericalGeography": (),
    "BingTile": (),
    "HyperLogLog": (),
    "tdigest": (),
    "qdigest": (),
}
_IP_CASTS = {
    ("varchar", "ipaddress"): "py_ip_parse({})",
    ("varbinary", "ipaddress"): "py_ip_of_bytes({})",
    ("ipprefix", "ipaddress"): "py_ip_subnet_min({})",
    ("ipaddress", "varbinary"): "{}",
    ("ipaddress", "ipprefix"): "py_ip_whole_prefix({})",
    ("varchar", "ipprefix"): "py_ip_parse_prefix({})",
}
# The texts of types whose values DuckDB does not know.
_TEXTS = {
    "ipaddress": "py_ip_text({})",
    "ipprefix": "py_ip_prefix_text({})",
    "Geometry": "py_geo_as_text({})",
    "SphericalGeography": "py_geo_as_text({})",
    "BingTile": "py_tile_text({})",
}


def castable(a: Type, b: Type) -> bool:
    if a == b or a.base == "unknown":
        return True
    if a.base in ("array", "map", "row") and b.base == a.base:
        return len(a.args) == len(b.args) and all(map(castable, a.args, b.args))
    if b.base == "json":
        return not a.base.startswith("interval") and a.base not in (
            "varbinary", "uuid", "time", "time with time zone", "timestamp with time zone",
        )  # fmt: skip
    if a.base == "json":
        return b.base in ("varchar", "boolean", *ty.NUMERIC) or (
            b.base in ("array", "map", "row") and all(castable(a, x) for x in b.args)
        )
    if _BINARY_FORM.keys() & {a.base, b.base}:
        return b.base in _BINARY_FORM.get(a.base, ()) or a.base in _BINARY_FORM.get(b.base, ())
    text = ("varchar", "char")
    if {a.base, b.base} == {"uuid", "varbinary"}:
        return True
    if a.base in ("array", "map", "row") or b.base in ("array", "map", "row"):
        return False
    if b.base == "char":
        return a.base in text
    if b.base in text:
        return a.base != "varbinary"
    if a.base in text:
        return not b.base.startswith("interval")
    numeric = (*ty.NUMERIC, "boolean")
    if a.base in numeric and b.base in numeric:
        return True
    temporal = ("date", "timestamp", "timestamp with time zone")
    if a.base in temporal and b.base in temporal:
        return True
    if b.base in ("time", "time with time zone"):
        return a.base.startswith("time")
    return a.base == b.base


def _fails(test: str, value: str, then: str, code: str, message: str, d: str) -> str:
    return f"CASE WHEN {value} IS NULL OR {test} THEN {then} ELSE {raise_sql(code, message, d)} END"


_RANGES = {
    "tinyint": "TINYINT",
    "smallint": "SMALLINT",
    "integer": "INTEGER",
    "bigint": "BIGINT",
}
_TRINO_CAST_NAMES = {"integer": "INT", "real": "REAL"}


def convert(sql: str, a: Type, b: Type, implicit: bool = False) -> str:
    d = duckdb_type(b)
    if a == b:
        return sql
    if a.base == "unknown":
        return f"CAST({sql} AS {d})"
    if a.base in ("array", "map", "row") and a.base == b.base:
        return _convert_nested(sql, a, b, implicit)
    if (a.base, b.base) in _IP_CASTS:
        return _IP_CASTS[a.base, b.base].format(sql)
    if b.base == "json":
        return to_json(sql, a)
    if a.base == "json":
        return from_json(sql, b)
    if b.base in ("varchar", "char"):
        text = cast_text(sql, a)
        if b.base == "char":
            return f"rpad(left({text}, {b.p}), {b.p}, ' ')"
        if b.p is not None and (a.base not in ("varchar", "char") or a.p is None or a.p > b.p):
            if a.base in ("varchar", "char"):
                return f"left({text}, {b.p})"
            message = f"'Value ' || {text} || ' cannot be represented as {b}'"
            return _fails(f"length({text}) <= {b.p}", text, text, "INVALID_CAST_ARGUMENT", message, d)
        return text
    if a.base in ("varchar", "char"):
        return f"encode({sql})" if b.base == "varbinary" else _parse(sql, b, d)
    if a.base == "boolean":
        return f"CAST({sql} AS {d})"
    if b.base == "boolean":
        return f"({sql} <> 0)"
    if a.base in ("real", "double") and b.base in ty.INTEGERS:
        # Trino rounds half away from zero, DuckDB's cast half to even.
        return f"CAST(round({sql}) AS {d})"
    if a.base == "uuid" and b.base == "varbinary":
        return f"unhex(replace(CAST({sql} AS VARCHAR), '-', ''))"
    if a.base == "varbinary" and b.base == "uuid":
        return f"CAST(hex({sql}) AS UUID)"
    if (a.base, b.base) == ("real", "decimal"):
        # The digits that its text has.
        return f"CAST(CAST({sql} AS VARCHAR) AS {d})"
    if (a.base, b.base) == ("double", "real"):
        return f"trino_real({sql})"
    if b.base == "time with time zone":
        if a.base == "timestamp with time zone":
            zones.fixed(a)
            sql = f"({sql} AT TIME ZONE 'UTC')"
        sql = f"CAST({sql} AS TIME)"
        return sql if (a.p or 0) <= (b.p or 0) else fitted(sql, Type("time", p=b.p))
    if a.base == "time with time zone":
        sql = zones.shifted(sql, zones.fixed(a))
        return sql if (a.p or 0) <= (b.p or 0) else fitted(sql, b)
    if a.base == "timestamp with time zone" and b.base in ("date", "timestamp", "time"):
        sql = zones.local(sql, a)
        return sql if b.base == "timestamp" and (a.p or 0) <= (b.p or 0) else fitted(f"CAST({sql} AS {d})", b)
    if a.base in ("date", "timestamp") and b.base == "timestamp with time zone":
        return f"(CAST({sql} AS TIMESTAMP) AT TIME ZONE 'UTC')"
    if a.base == b.base and a.base in ("timestamp", "time", "timestamp with time zone"):
        return sql if (a.p or 0) <= (b.p or 0) else fitted(sql, b)
    return f"CAST({sql} AS {d})"


def fitted(sql: str, t: Type) -> str:
    """A time of day or timestamp rounded to the type's precision, as Trino does."""
    if (t.p or 0) >= 6 or t.base == "date":
        return sql
    step = 10 ** (6 - (t.p or 0))
    if t.base == "time":
        return f"CAST(make_timestamp(trino_rounded(epoch_us({sql}), {step})) AS TIME)"
    rounded = f"make_timestamp(trino_rounded(epoch_us({sql}), {step}))"
    return rounded if t.base == "timestamp" else f"({rounded} AT TIME ZONE 'UTC')"


def _convert_nested(sql: str, a: Type, b: Type, implicit: bool) -> str:
    if duckdb_type(a) == duckdb_type(b) and _same_values(a, b):
        return sql
    v = V
    if a.base == "array":
        return f"list_transform({sql}, lambda {v}: {convert(v, a.args[0], b.args[0], implicit)})"
    if a.base == "map":
        k = convert(f"{v}.key", a.args[0], b.args[0], implicit)
        x = convert(f"{v}.value", a.args[1], b.args[1], implicit)
        return (
            f"map_from_entries(list_transform(map_entries({sql}), lambda {v}: {{'key': {k}, 'value': {x}}}))"
        )
    fields = ", ".join(
        f"'{ty.field_name(b.names, i)}': {convert(struct_field(sql, a, i), a.args[i], b.args[i], implicit)}"
        for i in range(len(b.args))
    )
    return f"CASE WHEN {sql} IS NULL THEN NULL ELSE {{{fields}}} END"


def _same_values(a: Type, b: Type) -> bool:
    if a.args:
        return a.base == b.base and all(map(_same_values, a.args, b.args))
    return a.base == b.base and (a.base != "varchar" or b.p is None or (a.p is not None and a.p <= b.p))


def _parse(sql: str, b: Type, d: str) -> str:
    """CAST(varchar AS b), which Trino does strictly and DuckDB leniently."""
    name = _TRINO_CAST_NAMES.get(b.base, str(b).upper() if b.base == "decimal" else b.base.upper())
    message = f"'Cannot cast ''' || {sql} || ''' to {name}'"
    code = "INVALID_CAST_ARGUMENT"
    if b.base in ty.INTEGERS:
        return whole_number(sql, d, raise_sql(code, message, d))
    if b.base in ("double", "real"):
        test = f"regexp_full_match({sql}, '\\s*([+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(NaN|Infinity))\\s*')"
        return _fails(test, sql, f"CAST({sql} AS {d})", code, message, d)
    if b.base == "decimal":
        test = f"regexp_full_match({sql}, '[+-]?([0-9]+\\.?[0-9]*|\\.[0-9]+)([eE][+-]?[0-9]+)?')"
        return _fails(test, sql, f"CAST({sql} AS {d})", code, message, d)
    if b.base == "boolean":
        return (
            f"CASE WHEN {sql} IS NULL THEN NULL WHEN lower({sql}) IN ('t', 'true', '1') THEN true "
            f"WHEN lower({sql}) IN ('f', 'false', '0') THEN false ELSE {raise_sql(code, message, d)} END"
        )
    if b.base == "date":
        # https://trino.io/docs/435/language/types.html#date
        message = f"'Value cannot be cast to date: ' || {sql}"
        test = f"regexp_full_match({sql}, '\\s*[+-]?[0-9]+-[0-9]{{1,2}}-[0-9]{{1,2}}\\s*')"
        # The usual form first: the regular expression costs more than the cast. DuckDB's own reads on after a day
        # of one digit, so what it has read must be what is written.
        read = f"TRY_CAST({sql} AS DATE)"
        unsigned = f"regexp_replace({sql}, '^\\s*[+]', '')"
        slowly = _fails(test, sql, f"CAST({unsigned} AS DATE)", code, message, d)
        return f"CASE WHEN CAST({read} AS VARCHAR) = {sql} AND {sql} < ':' THEN {read} ELSE {slowly} END"
    if b.base == "timestamp":
        sql = f"trim({sql}, ' ' || chr(9) || chr(10) || chr(13))"
        message = f"'Value cannot be cast to timestamp: ' || {sql}"
        clock = "[0-9]{1,2}:[0-9]{1,2}(:[0-9]{1,2}(\\.[0-9]+)?)?"
        moment = f"[0-9]{{4,}}-[0-9]{{1,2}}-[0-9]{{1,2}}( {clock})?"
        # A time zone at the end has to be one, and is passed over.
        zone = f"trim(regexp_replace({sql}, '^{moment}', ''))"
        known = f"TRY_CAST('2000-01-01 00:00:00 ' || {zone} AS TIMESTAMPTZ) IS NOT NULL"
        zoned = (
            f"regexp_full_match({sql}, '{moment}\\s*([+-][0-9]{{1,2}}(:?[0-9]{{2}})?|Z)') "
            f"OR (regexp_full_match({sql}, '{moment}\\s*[A-Za-z][A-Za-z0-9_/+-]*') AND {known})"
        )
        read = fitted(f"CAST(regexp_extract({sql}, '^{moment}') AS TIMESTAMP)", b)
        return (
            f"CASE WHEN {sql} IS NULL OR regexp_full_match({sql}, '{moment}') THEN {fitted(f'CAST({sql} AS TIMESTAMP)', b)} "
            f"WHEN {zoned} THEN {read} ELSE {raise_sql(code, message, d)} END"
        )
    if b.base == "time":
        message = f"'Value cannot be cast to time: ' || {sql}"
        test = f"regexp_full_match({sql}, '[0-9]{{1,2}}:[0-9]{{1,2}}(:[0-9]{{1,2}}(\\.[0-9]+)?)?')"
        return _fails(test, sql, fitted(f"CAST({sql} AS TIME)", b), code, message, d)
    if b.base == "timestamp with time zone":
        message = f"'Value cannot be cast to timestamp with time zone: ' || {sql}"
        test = f"regexp_full_match({sql}, '[0-9]{{4,}}-[0-9]{{1,2}}-[0-9]{{1,2}}( [0-9]{{1,2}}:[0-9]{{1,2}}(:[0-9]{{1,2}}(\\.[0-9]+)?)?)?( ?(UTC|Z|[+-]00:00))?')"
        return _fails(
            test,
            sql,
            f"(CAST(regexp_replace({sql}, ' ?(UTC|Z|[+-]00:00)$', '') AS TIMESTAMP) AT TIME ZONE 'UTC')",
            code,
            message,
            d,
        )
    return f"CAST({sql} AS {d})"


def whole_number(sql: str, d: str, bad: str) -> str:
    """A text as an integer of the DuckDB type `d`; `bad` where it is none. DuckDB's cast would take 1.5 for 2."""
    # The usual form first: the regular expression costs more than the cast and its way back.
    read = f"TRY_CAST({sql} AS {d})"
    return (
        f"CASE WHEN CAST({read} AS VARCHAR) = {sql} THEN {read} "
        f"WHEN {sql} IS NULL OR regexp_full_match({sql}, '[+-]?[0-9]+') THEN CAST({sql} AS {d}) ELSE {bad} END"
    )


def cast_text(sql: str, t: Type) -> str:
    """CAST(x AS varchar): that of floating point numbers is always in scientific notation."""
    if t.base in ("double", "real"):
        return f"trino_double_cast(CAST({sql} AS VARCHAR))"
    return to_varchar(sql, t)


def to_varchar(sql: str, t: Type) -> str:
    """A value's text as result files and JSON have it."""
    base = t.base
    if base in ("varchar", "char", "json"):
        return sql
    if base in ("double", "real"):
        return f"trino_double_text(CAST({sql} AS VARCHAR))"
    if base == "timestamp":
        return _clock(sql, t, "%Y-%m-%d %H:%M:%S")
    if base == "timestamp with time zone":
        return f"({_clock(zones.local(sql, t), t, '%Y-%m-%d %H:%M:%S')} || ' {zones.zone(t)}')"
    if base == "time":
        return _clock(f"(DATE '2000-01-01' + {sql})", t, "%H:%M:%S")
    if base == "time with time zone":
        local = f"(DATE '2000-01-01' + {zones.shifted(sql, zones.fixed(t))})"
        offset = "+00:00" if zones.zone(t) == zones.UTC else zones.zone(t)
        return f"({_clock(local, t, '%H:%M:%S')} || '{offset}')"
    if base == "date":
        return f"trino_date_text({sql})"
    if base == "decimal" and t.p == t.s:
        # DuckDB writes no zero before the point.
        return f"regexp_replace(CAST({sql} AS VARCHAR), '^(-?)\\.', '\\10.')"
    if base == "interval day to second":
        return f"trino_day_interval_text(epoch_ms({sql}))"
    if base == "interval year to month":
        return f"trino_month_interval_text(datepart('year', {sql}) * 12 + datepart('month', {sql}))"
    if base in _TEXTS:
        return _TEXTS[base].format(sql)
    if base in ("HyperLogLog", "tdigest", "qdigest"):
        raise not_supported(f"A result of the type {t}, whose bytes are others here,")
    return f"CAST({sql} AS VARCHAR)"


def _clock(sql: str, t: Type, form: str) -> str:
    """A TIMESTAMP with as many digits after the seconds as its type has."""
    p = t.p or 0
    if p == 0:
        return f"strftime({sql}, '{form}')"
    if p == 3:
        return f"strftime({sql}, '{form}.%g')"
    text = f"strftime({sql}, '{form}.%f')"
    return text if p == 6 else f"left({text}, -{6 - p})"


def to_json(sql: str, t: Type) -> str:
    """CAST(x AS JSON) (https://trino.io/docs/435/functions/json.html#cast-to-json)."""
    if t.base == "json":
        return sql
    made = f"CAST({_json(sql, t)} AS VARCHAR)"
    return f"trino_json_text({made})" if _has_text(t) else made


def _json(sql: str, t: Type) -> str:
    """A DuckDB JSON value of `sql`; NULL for NULL."""
    v = V
    if t.base == "json":
        return f"CAST({sql} AS JSON)"
    if t.base == "array":
        # to_json of a list would write 1.50 as 1.5.
        items = f"list_transform({sql}, lambda {v}: coalesce(CAST({_json(v, t.args[0])} AS VARCHAR), 'null'))"
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE CAST('[' || coalesce(array_to_string({items}, ','), '') || ']' AS JSON) END"
    if t.base == "map":
        key = to_varchar(f"{v}.key", t.args[0])
        value = _json(f"{v}.value", t.args[1])
        return (
            f"CASE WHEN {sql} IS NULL THEN NULL ELSE CAST('{{' || coalesce(array_to_string(list_transform("
            f"list_sort(map_entries({sql})), lambda {v}: CAST(to_json({key}) AS VARCHAR) || ':' || "
            f"coalesce(CAST({value} AS VARCHAR), 'null')), ','), '') || '}}' AS JSON) END"
        )
    if t.base == "row":
        parts = []
        for i, n in enumerate(t.names):
            item = _json(struct_field(sql, t, i), t.args[i])
            key = "to_json('" + (n or "").replace("'", "''") + "')"
            parts.append(f"CAST({key} AS VARCHAR) || ':' || coalesce(CAST({item} AS VARCHAR), 'null')")
        body = " || ',' || ".join(parts)
        return f"CASE WHEN {sql} IS NULL THEN NULL ELSE CAST('{{' || {body} || '}}' AS JSON) END"
    if t.base in ("double", "real"):
        text = f"trino_double_text(CAST({sql} AS VARCHAR))"
        return f"CASE WHEN isfinite({sql}) THEN CAST({text} AS JSON) ELSE to_json({text}) END"
    if t.base == "decimal":
        # With all of its digits.
        return f"CAST({to_varchar(sql, t)} AS JSON)"
    if t.base in ("timestamp", "timestamp with time zone", "date", "time", "uuid"):
        return f"to_json({to_varchar(sql, t)})"
    return f"to_json({sql})"


def from_json(sql: str, t: Type) -> str:
    """CAST(json AS t) (https://trino.io/docs/435/functions/json.html#cast-from-json)."""
    if t.base == "json":
        return f"CAST({sql} AS VARCHAR)"
    j = f"CAST({sql} AS JSON)"
    if t.base in ("varchar", "char"):
        message = f"'Cannot cast ' || chr(39) || CAST({sql} AS VARCHAR) || chr(39) || ' to varchar'"
        bad = raise_sql("INVALID_CAST_ARGUMENT", message, "VARCHAR")
        return (
            f"CASE json_type({j}) WHEN 'DOUBLE' THEN trino_double_cast(CAST(CAST({j} AS DOUBLE) AS VARCHAR)) "
            f"WHEN 'OBJECT' THEN {bad} WHEN 'ARRAY' THEN {bad} ELSE {j}->>'$' END"
        )
    v = V
    if t.base == "array" and _has_text(t):
        return f"list_transform(CAST({j} AS JSON[]), lambda {v}: {from_json(v, t.args[0])})"
    if t.base == "map" and _has_text(t.args[1]):
        entries = f"map_entries(CAST({j} AS MAP({duckdb_type(t.args[0])}, JSON)))"
        value = from_json(f"{v}.value", t.args[1])
        return (
            f"map_from_entries(list_transform({entries}, lambda {v}: {{'key': {v}.key, 'value': {value}}}))"
        )
    if t.base == "row":
        by_index, by_name = [], []
        for i, (n, a) in enumerate(zip(t.names, t.args, strict=True)):
            name = ty.field_name(t.names, i).replace("'", "''")
            path = (n or "").replace("'", "''")
            by_index.append(f"'{name}': {from_json(f'json_extract({j}, {i})', a)}")
            # The name as it is written, or else in any case.
            key = f"list_filter(json_keys({j}), lambda {v}: lower({v}) = '{path.lower()}')[1]"
            exact = f"json_extract({j}, '$.\"{path}\"')" if path else "CAST(NULL AS JSON)"
            by_name.append(
                f"'{name}': " + from_json(f"coalesce({exact}, json_extract({j}, '$.\"' || {key} || '\"'))", a)
            )
        return (
            f"CASE WHEN {sql} IS NULL OR json_type({j}) = 'NULL' THEN NULL "
            f"WHEN json_type({j}) = 'ARRAY' AND json_array_length({j}) = {len(t.args)} THEN {{{', '.join(by_index)}}} "
            f"WHEN json_type({j}) = 'OBJECT' THEN {{{', '.join(by_name)}}} ELSE {_no_row(sql, t)} END"
        )
    return f"CAST({j} AS {duckdb_type(t)})"


def _no_row(sql: str, t: Type) -> str:
    message = f"'Cannot cast to {t}. Expected a json array of {len(t.args)} or object, but got ' || {sql}"
    return raise_sql("INVALID_CAST_ARGUMENT", message, duckdb_type(t))


def _has_text(t: Type) -> bool:
    return t.base in ("varchar", "char", "json", "row") or any(map(_has_text, t.args))


def equals(a: str, b: str, t: Type, constant: bool = False) -> str:
    """a = b of the type t: NULLs inside of arrays, maps and rows make the answer NULL unless it is false without
    them, and NaN equals nothing. constant: one side is a literal, and so no NaN."""
    if t.base == "row":
        pairs = [equals(struct_field(a, t, i), struct_field(b, t, i), x) for i, x in enumerate(t.args)]
        return "(" + " AND ".join(pairs) + ")"
    nothing = f"{a} IS NULL OR {b} IS NULL"
    if t.base == "array":
        each = f"list_transform(list_zip({a}, {b}), lambda {V}: {equals(f'{V}[1]', f'{V}[2]', t.args[0])})"
        return (
            f"CASE WHEN {nothing} THEN NULL WHEN len({a}) <> len({b}) THEN false ELSE trino_all({each}) END"
        )
    if t.base == "map":
        value = equals(f"{a}[{V}]", f"{b}[{V}]", t.args[1])
        each = f"list_transform(map_keys({a}), lambda {V}: CASE WHEN map_contains({b}, {V}) THEN {value} ELSE false END)"
        return f"CASE WHEN {nothing} THEN NULL WHEN cardinality({a}) <> cardinality({b}) THEN false ELSE trino_all({each}) END"
    if t.base in ("double", "real") and not constant:
        return f"({a} = {b} AND (NOT isnan({a}) OR {b} IS NULL))"
    return f"({a} = {b})"


def comparable(c: Fails, t: Type, op: str, node: exp.Expression) -> None:
    if t.base in ("Geometry", "SphericalGeography", "HyperLogLog", "tdigest", "qdigest"):
        raise c.fail("TYPE_MISMATCH", f"Cannot apply operator: {t} {op} {t}", node)
    if op in ("=", "<>"):
        return
    if t.base in ("map", "json") or (t.base == "row" and any(x.base in ("map", "json") for x in t.args)):
        raise c.fail("TYPE_MISMATCH", f"Cannot apply operator: {t} {op} {t}", node)
