"""Dates, times and time zones (https://trino.io/docs/435/functions/datetime.html)."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

from sqlglot import exp

from local_aws.athena import types as ty
from local_aws.athena import zones
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, cast, coerce, fitted, raise_sql, to_varchar
from local_aws.athena.functions.arithmetic import months, move_clock
from local_aws.athena.functions.registry import (
    CLOCK,
    TEMPORAL,
    Call,
    Overload,
    Special,
    Table,
    accept,
    on_clock,
    overloaded,
)
from local_aws.athena.plan import Compiler
from local_aws.athena.types import (
    BIGINT,
    DATE,
    DOUBLE,
    INTERVAL_DAY,
    INTERVAL_YEAR,
    TIMESTAMP,
    TIMESTAMP_TZ,
    VARCHAR,
    Type,
)

_INVALID = "INVALID_FUNCTION_ARGUMENT"

# ---------------------------------------------------------------------------------------------- the clock


def now(c: Compiler, kind: str, p: int = 3) -> E:
    """The start of the query, the same throughout it, in UTC: date, time, timestamp, timetz or timestamptz."""
    if kind == "date":
        return E(f"DATE '{c.now:%Y-%m-%d}'", DATE)
    text = f"{c.now:%Y-%m-%d %H:%M:%S}" + (f".{c.now:%f}"[: p + 1] if p else "")
    if kind.startswith("timestamp"):
        if kind == "timestamp":
            return E(f"TIMESTAMP '{text}'", replace(TIMESTAMP, p=p))
        return E(f"TIMESTAMPTZ '{text}+00'", replace(TIMESTAMP_TZ, p=p))
    return E(f"TIME '{text[11:]}'", replace(ty.TIME if kind == "time" else ty.TIME_TZ, p=p))


def _now(c: Call) -> E:
    return now(c.compiler, "timestamptz")


def _now_to(kind: str) -> Special:
    """With a precision, the number of digits after the seconds."""

    def compile_(c: Call, digits: E) -> E:
        if not isinstance(digits.value, int) or not 0 <= digits.value <= 12:
            raise c.unexpected()
        if digits.value > 6:
            raise not_supported(f"{c.name}({digits.value}), finer than microseconds,")
        return now(c.compiler, kind, digits.value)

    return Special(compile_)


# ---------------------------------------------------------------------------------------------- time zones


def in_zone(t: Type, name: str) -> Type:
    base = "time with time zone" if t.base in ("time", "time with time zone") else "timestamp with time zone"
    return Type(base, p=t.p, zone=None if name == zones.UTC else name)


def zone_name(c: Compiler, e: E, node: exp.Expression) -> str:
    """A zone given as text or as an interval."""
    if e.type == INTERVAL_DAY and isinstance(e.value, int):
        minutes = e.value // 60000
        text = f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
    elif isinstance(e.value, str):
        text = e.value
    else:
        raise not_supported("A time zone that is no literal")
    name = zones.canonical(text)
    if name is None:
        raise c.fail(_INVALID, f"'{text}' is not a valid time zone", node)
    return name


def at_time_zone(c: Compiler, e: E, zone: E, node: exp.Expression) -> E:
    """https://trino.io/docs/435/functions/datetime.html#time-zone-conversion"""
    name = zone_name(c, zone, node)
    if e.type.base == "timestamp":
        # Of the session's zone, UTC.
        return E(f"({e.sql} AT TIME ZONE 'UTC')", in_zone(e.type, name))
    if e.type.base in ("time", "time with time zone"):
        t = in_zone(e.type, name)
        zones.fixed(t)
        return E(e.sql, t)
    if e.type.base == "timestamp with time zone":
        return E(e.sql, in_zone(e.type, name))
    raise c.fail(
        "TYPE_MISMATCH",
        f"Type of value must be a time or timestamp with or without time zone (actual {e.type})",
        node,
    )


def _with_timezone(c: Call, e: E, zone: E) -> E:
    if e.type.base == "date":
        e = cast(e, TIMESTAMP)
    if e.type.base != "timestamp":
        raise c.unexpected()
    name = zone_name(c.compiler, zone, c.node)
    return E(zones.instant(e.sql, name), in_zone(e.type, name))


def _at_timezone(c: Call, e: E, zone: E) -> E:
    if e.type.base != "timestamp with time zone":
        raise c.unexpected()
    return E(e.sql, in_zone(e.type, zone_name(c.compiler, zone, c.node)))


def _timezone_part(operator: str) -> Special:
    def compile_(c: Call, e: E) -> E:
        if e.type.base == "time with time zone":
            # Towards zero.
            minutes = zones.fixed(e.type)
            whole = abs(minutes) // 60 if operator == "//" else abs(minutes) % 60
            return E(f"CAST({whole if minutes >= 0 else -whole} AS BIGINT)", BIGINT)
        taken = accept(e, TIMESTAMP_TZ)
        if taken is None:
            raise c.unexpected()
        return E(f"(({zones.offset_minutes(taken.sql, taken.type)}) {operator} 60)", BIGINT)

    return Special(compile_, strict=True)


# ------------------------------------------------------------------------------------ units and parts

_UNITS = {
    "millisecond": ("to_milliseconds", "BIGINT", 1),
    "second": ("to_seconds", "DOUBLE", 1),
    "minute": ("to_minutes", "BIGINT", 1),
    "hour": ("to_hours", "BIGINT", 1),
    "day": ("to_days", "INTEGER", 1),
    "week": ("to_days", "INTEGER", 7),
    "month": ("to_months", "INTEGER", 1),
    "quarter": ("to_months", "INTEGER", 3),
    "year": ("to_years", "INTEGER", 1),
}
_TIMES = ("time", "time with time zone")
_CLOCK_UNITS = ("millisecond", "second", "minute", "hour")


def _unit(c: Call, e: E, t: Type) -> str:
    if not isinstance(e.value, str):
        raise not_supported("A date unit that is no literal")
    unit = e.value.lower()
    fine = unit in _CLOCK_UNITS
    if unit not in _UNITS or (t.base == "date" and fine) or (t.base in _TIMES and not fine):
        raise c.fail(_INVALID, f"'{e.value}' is not a valid {t.base.upper()} field")
    return unit


def temporal(c: Call, e: E, *also: str) -> E:
    if e.type.base == "unknown":
        return cast(e, DATE)
    if e.type.base not in ("date", "timestamp", "timestamp with time zone", *also):
        raise c.unexpected(f"{c.name}(varchar(x), ..., date), {c.name}(varchar(x), ..., timestamp(p))")
    return e


def _date_add(c: Call, unit: E, count: E, moment: E) -> E:
    e = temporal(c, moment, *_TIMES)
    name = _unit(c, unit, e.type)
    if count.type.base not in ty.INTEGERS:
        raise c.unexpected()
    function, kind, factor = _UNITS[name]
    n = f"{count.sql} * {factor}" if factor != 1 else count.sql
    if e.type.base == "date" and function == "to_days":
        return E(f"({e.sql} + CAST({n} AS INTEGER))", DATE)
    step = f"{function}(CAST({n} AS {kind}))"
    if e.type.base == "date":
        return E(f"CAST(({e.sql} + {step}) AS DATE)", e.type)
    if name not in _CLOCK_UNITS:
        return move_clock(e, lambda clock: f"({clock} + {step})")
    if name == "millisecond" and (e.type.p or 0) < 3:
        return E(fitted(f"({e.sql} + {step})", e.type), e.type)
    return E(f"({e.sql} + {step})", e.type)


def _date_diff(c: Call, unit: E, start: E, end: E) -> E:
    if start.type.base == "unknown":
        start = cast(start, end.type)
    elif end.type.base == "unknown":
        end = cast(end, start.type)
    a, b = temporal(c, start, *_TIMES), temporal(c, end, *_TIMES)
    t = ty.common(a.type, b.type)
    if t is None:
        raise c.unexpected()
    name = _unit(c, unit, t)
    # datesub counts whole units, as Trino does; datediff would count boundaries.
    x, y = cast(a, t), cast(b, t)
    if name not in _CLOCK_UNITS and t.base == "timestamp with time zone":
        # On the clock of the first, as Joda's chronology does.
        zoned = replace(t, zone=a.type.zone)
        x, y = on_clock(E(x.sql, zoned)), on_clock(E(y.sql, zoned))
    return E(f"datesub('{name}', {x.sql}, {y.sql})", BIGINT)


def _date_trunc(c: Call, unit: E, moment: E) -> E:
    e = temporal(c, moment, *_TIMES)
    name = _unit(c, unit, e.type)
    if e.type.base in _TIMES:
        clock = f"(DATE '2000-01-01' + {on_clock(e).sql})"
        cut = f"CAST(date_trunc('{name}', {clock}) AS TIME)"
        return E(zones.shifted(cut, -zones.fixed(e.type)) if e.type.base != "time" else cut, e.type)
    if e.type.base == "date":
        return E(f"CAST(date_trunc('{name}', {e.sql}) AS DATE)", e.type)
    if name in ("second", "minute", "hour"):
        # Of an hour that comes twice each keeps its own beginning.
        clock = on_clock(e).sql
        return E(f"({e.sql} - ({clock} - date_trunc('{name}', {clock})))", e.type)
    return move_clock(e, lambda clock: f"date_trunc('{name}', {clock})")


def _part(function: str) -> Overload:
    return Overload((TEMPORAL,), BIGINT, function)


def _day_part(divisor: int, modulus: int | None = None) -> Overload:
    """A part of an interval day to second, in milliseconds."""
    wrapped = f" % {modulus}" if modulus else ""
    divided = f" // {divisor}" if divisor > 1 else ""
    return Overload((INTERVAL_DAY,), BIGINT, lambda e: f"CAST(epoch_ms({e}){divided}{wrapped} AS BIGINT)")


def _clock_part(function: str) -> Overload:
    return Overload((CLOCK,), BIGINT, function)


_DAY_OF_WEEK, _DAY_OF_YEAR, _WEEK, _YEAR_OF_WEEK = (
    [_part(f)] for f in ("isodow", "dayofyear", "week", "isoyear")
)
_FIELDS = (
    "year", "quarter", "month", "week", "day", "day_of_week", "day_of_year", "year_of_week", "hour", "minute", "second",
    "timezone_hour", "timezone_minute",
)  # fmt: skip
_FIELD_NAMES = {"day_of_month": "day", "dow": "day_of_week", "doy": "day_of_year", "yow": "year_of_week"}


def extract_field(c: Compiler, name: str, node: exp.Expression) -> str:
    """The function that EXTRACT(name FROM ...) is."""
    field = name.lower()
    field = _FIELD_NAMES.get(field, field)
    if field not in _FIELDS:
        raise c.fail("", f"Invalid EXTRACT field: {field.upper()}", node)
    return field


# -------------------------------------------------------------------------------------------- conversions


def _date(c: Call, e: E) -> E:
    return coerce(c.compiler, e, DATE, c.node)


def _from_unixtime_nanos(c: Call, *args: E) -> E:
    raise not_supported("from_unixtime_nanos, whose timestamps are finer than microseconds,")


def _from_unixtime(c: Call, seconds: E, zone_or_hours: E | None = None, minutes: E | None = None) -> E:
    e = accept(seconds, DOUBLE)
    if e is None:
        raise c.unexpected()
    name = zones.UTC
    if zone_or_hours is not None and minutes is not None:
        h, m = zone_or_hours.value, minutes.value
        if not isinstance(h, int) or not isinstance(m, int):
            raise not_supported("A time zone that is no literal")
        name = zones.canonical(f"{'-' if h < 0 else '+'}{abs(h):02d}:{m:02d}") or zones.UTC
    elif zone_or_hours is not None:
        name = zone_name(c.compiler, zone_or_hours, c.node)
    return E(f"to_timestamp(round({e.sql} * 1000) / 1000)", in_zone(TIMESTAMP_TZ, name))


def _to_iso8601(c: Call, moment: E) -> E:
    e = temporal(c, moment)
    if e.type.base == "date":
        return E(f"CAST({e.sql} AS VARCHAR)", VARCHAR)
    clock = f"replace({to_varchar(on_clock(e).sql, Type('timestamp', p=e.type.p))}, ' ', 'T')"
    if e.type.base == "timestamp":
        return E(clock, VARCHAR)
    offset = "'Z'" if zones.zone(e.type) == zones.UTC else zones.offset_text(e.sql, e.type)
    return E(f"({clock} || {offset})", VARCHAR)


_ISO_TIMESTAMP = re.compile(
    r"(\d{4}(?:-\d{2}(?:-\d{2})?|-\d{3}|-W\d{2}(?:-[1-7])?)?)(?:T(\d{2}(?::\d{2}(?::\d{2}(?:[.,]\d{1,9})?)?)?))?(Z|[+-]\d{2}(?::?\d{2})?)?"
)


def _iso_timestamp_in_utc(text: str) -> str:
    """A column's texts, whose zone has to be known before they are read."""
    zone = "(Z|[+-]00:?00)"
    form = (
        f"[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}(T[0-9]{{2}}:[0-9]{{2}}(:[0-9]{{2}}([.,][0-9]{{1,9}})?)?{zone}?)?"
    )
    message = f"'from_iso8601_timestamp of \"' || {text} || '\": in local_aws a column of such texts has to be in UTC'"
    clock = f"CAST(regexp_replace(replace({text}, ',', '.'), '{zone}$', '') AS TIMESTAMP)"
    return (
        f"CASE WHEN {text} IS NULL OR regexp_full_match({text}, '{form}') THEN ({clock} AT TIME ZONE 'UTC') "
        f"ELSE {raise_sql('NOT_SUPPORTED', message, 'TIMESTAMPTZ')} END"
    )


_ISO_COLUMN = [Overload((VARCHAR,), TIMESTAMP_TZ, _iso_timestamp_in_utc)]


def _iso_day(text: str) -> str:
    """2020-05-11 of 2020-05, 2020, 2020-132, 2020-W20 or 2020-W20-1."""
    year, _, rest = text.partition("-")
    if rest.startswith("W"):
        week, _, day = rest[1:].partition("-")
        return dt.date.fromisocalendar(int(year), int(week), int(day or 1)).isoformat()
    if len(rest) == 3:
        return (dt.date(int(year), 1, 1) + dt.timedelta(days=int(rest) - 1)).isoformat()
    return (text + "-01-01")[:10]


def _from_iso8601_timestamp(c: Call, e: E) -> E:
    if not isinstance(e.value, str):
        return overloaded(c, _ISO_COLUMN)
    m = _ISO_TIMESTAMP.fullmatch(e.value)
    name = zones.canonical(m.group(3)) if m is not None and m.group(3) else zones.UTC
    if m is None or name is None:
        raise c.fail(_INVALID, f'Invalid format: "{e.value}"')
    day, clock = _iso_day(m.group(1)), (m.group(2) or "00").replace(",", ".")
    clock = clock if ":" in clock else clock + ":00"
    clock = clock if clock.count(":") == 2 else clock + ":00"
    head, _, fraction = clock.partition(".")
    moment = f"CAST('{day} {head}.{fraction[:3] or '0'}' AS TIMESTAMP)"
    return E(zones.instant(moment, name), in_zone(TIMESTAMP_TZ, name))


def _from_iso8601_date(text: str) -> str:
    """The forms of ISO 8601: 2020-05-11, 2020-05, 2020, 2020-132, 2020-W20, 2020-W20-1."""
    y, nn = "[0-9]{4}", "[0-9]{2}"

    def form(pattern: str) -> str:
        return f"regexp_full_match({text}, '{pattern}')"

    whole_week = f"CASE WHEN length({text}) = 8 THEN {text} || '-1' ELSE {text} END"
    bad = raise_sql(_INVALID, f"'Invalid format: \"' || {text} || '\"'", "DATE")
    return (
        f"CASE WHEN {text} IS NULL OR {form(f'{y}-{nn}-{nn}')} THEN CAST({text} AS DATE) "
        f"WHEN {form(f'{y}-{nn}')} THEN CAST({text} || '-01' AS DATE) "
        f"WHEN {form(y)} THEN CAST({text} || '-01-01' AS DATE) "
        f"WHEN {form(f'{y}-[0-9]{{3}}')} THEN CAST(strptime({text}, '%Y-%j') AS DATE) "
        f"WHEN {form(f'{y}-W{nn}(-[1-7])?')} THEN CAST(strptime({whole_week}, '%G-W%V-%u') AS DATE) "
        f"ELSE {bad} END"
    )


FUNCTIONS: Table = {
    "at_timezone": Special(_at_timezone),
    "current_time": _now_to("timetz"),
    "current_timestamp": _now_to("timestamptz"),
    "current_timezone": [Overload((), VARCHAR, lambda: "'UTC'")],
    "date": Special(_date),
    "date_add": Special(_date_add),
    "date_diff": Special(_date_diff),
    "date_trunc": Special(_date_trunc),
    "day": [_part("day"), _day_part(86400000)],
    "day_of_month": [_part("day")],
    "day_of_week": _DAY_OF_WEEK,
    "day_of_year": _DAY_OF_YEAR,
    "dow": _DAY_OF_WEEK,
    "doy": _DAY_OF_YEAR,
    "from_iso8601_date": [Overload((VARCHAR,), DATE, _from_iso8601_date)],
    "from_iso8601_timestamp": Special(_from_iso8601_timestamp),
    "from_unixtime": Special(_from_unixtime),
    "from_unixtime_nanos": Special(_from_unixtime_nanos),
    "hour": [_day_part(3600000, 24), _clock_part("hour")],
    "last_day_of_month": [Overload((TEMPORAL,), DATE, "last_day")],
    "localtime": _now_to("time"),
    "localtimestamp": _now_to("timestamp"),
    "millisecond": [
        _day_part(1, 1000),
        Overload((CLOCK,), BIGINT, lambda e: f"CAST(millisecond({e}) % 1000 AS BIGINT)"),
    ],
    "minute": [_day_part(60000, 60), _clock_part("minute")],
    "month": [
        _part("month"),
        Overload((INTERVAL_YEAR,), BIGINT, lambda e: f"CAST({months(e)} % 12 AS BIGINT)"),
    ],
    "now": Special(_now),
    "parse_duration": [
        Overload((VARCHAR,), INTERVAL_DAY, lambda text: f"to_milliseconds(py_parse_duration({text}))")
    ],
    "quarter": [_part("quarter")],
    "second": [_day_part(1000, 60), _clock_part("second")],
    "timezone_hour": _timezone_part("//"),
    "timezone_minute": _timezone_part("%"),
    "to_iso8601": Special(_to_iso8601),
    "to_milliseconds": [Overload((INTERVAL_DAY,), BIGINT, "epoch_ms")],
    "to_unixtime": [Overload((TIMESTAMP,), DOUBLE, "epoch"), Overload((TIMESTAMP_TZ,), DOUBLE, "epoch")],
    "week": _WEEK,
    "week_of_year": _WEEK,
    "with_timezone": Special(_with_timezone),
    "year": [
        _part("year"),
        Overload((INTERVAL_YEAR,), BIGINT, lambda e: f"CAST({months(e)} // 12 AS BIGINT)"),
    ],
    "year_of_week": _YEAR_OF_WEEK,
    "yow": _YEAR_OF_WEEK,
}
