"""Time zones. A timestamp with time zone is an instant in DuckDB; its zone is part of its type here.

Trino keeps a zone in each value (https://trino.io/docs/435/language/types.html#timestamp-with-time-zone).
The zones of a query's values are nearly always named in the query, so they are known when it is compiled;
a column whose values have different zones can be compared, and fails by name when its zone matters.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
import zoneinfo

from local_aws.athena.errors import not_supported
from local_aws.athena.types import MIXED, Type

UTC = "UTC"


@functools.lru_cache(maxsize=1000)
def canonical(name: str) -> str | None:
    """A zone as Trino writes it, None if there is none of that name."""
    text = name.strip()
    if text.upper() in ("UTC", "Z", "GMT", "UT", "GMT0") or re.fullmatch(
        r"(?:UTC|GMT|UT)?[+-]0?0:?(?:00)?", text, re.I
    ):
        return UTC
    m = re.fullmatch(r"(?:UTC|GMT|UT)?([+-])(\d{1,2}):?(\d{2})?", text, re.I)
    if m is not None:
        hours, minutes = int(m.group(2)), int(m.group(3) or 0)
        return (
            f"{m.group(1)}{hours:02d}:{minutes:02d}" if hours * 60 + minutes <= 840 and minutes < 60 else None
        )
    try:
        zoneinfo.ZoneInfo(text)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return None
    return text


def zone(t: Type) -> str:
    """The zone of the values of a type. Raises if they have several."""
    if t.zone == MIXED:
        raise not_supported(
            "A column of timestamps in different time zones (bring them to one with AT TIME ZONE)"
        )
    return t.zone or UTC


def _minutes(offset: str) -> int:
    return (int(offset[1:3]) * 60 + int(offset[4:6])) * (-1 if offset[0] == "-" else 1)


def local(sql: str, t: Type) -> str:
    """The wall clock's TIMESTAMP of an instant of the type `t`."""
    name = zone(t)
    if name[0] in "+-":
        return f"(({sql} AT TIME ZONE 'UTC') + to_minutes({_minutes(name)}))"
    return f"({sql} AT TIME ZONE '{name}')"


def fixed(t: Type) -> int:
    """Minutes from UTC of a zone that has always the same, which a time of day without a date needs. Raises for others."""
    name = zone(t)
    if name != UTC and name[0] not in "+-":
        raise not_supported(f"A time of day in {name}, whose distance from UTC depends on the date,")
    return 0 if name == UTC else _minutes(name)


def shifted(sql: str, minutes: int) -> str:
    """A TIME moved, over midnight to the other end of the day."""
    return f"({sql} + to_minutes({minutes}))" if minutes else sql


def instant(sql: str, name: str) -> str:
    """The TIMESTAMPTZ at which the wall clock shows the TIMESTAMP `sql`."""
    if name[0] in "+-":
        return f"(({sql} - to_minutes({_minutes(name)})) AT TIME ZONE 'UTC')"
    if name == UTC:
        return f"({sql} AT TIME ZONE 'UTC')"
    # What the clock shows twice, when summer time ends, is the first time; DuckDB takes the second.
    later = f"({sql} AT TIME ZONE '{name}')"
    earlier = f"({later} - to_minutes({30 if name == 'Australia/Lord_Howe' else 60}))"
    return f"(CASE WHEN ({earlier} AT TIME ZONE '{name}') = {sql} THEN {earlier} ELSE {later} END)"


def exists(day_and_time: str, name: str) -> bool:
    """Whether the clock of a zone ever shows a time, and does not skip it when summer time begins."""
    if name == UTC or name[0] in "+-":
        return True
    try:
        clock = dt.datetime.fromisoformat(day_and_time)
    except ValueError:
        # Whoever reads it will say what is wrong.
        return True
    there = clock.replace(tzinfo=zoneinfo.ZoneInfo(name))
    return there.astimezone(dt.UTC).astimezone(there.tzinfo).replace(tzinfo=None) == clock


def offset_minutes(sql: str, t: Type) -> str:
    """Minutes between the wall clock and UTC."""
    name = zone(t)
    if name == UTC or name[0] in "+-":
        return str(_minutes(name) if name != UTC else 0)
    return f"CAST((epoch_ms({local(sql, t)}) - epoch_ms({sql} AT TIME ZONE 'UTC')) // 60000 AS BIGINT)"


def offset_text(sql: str, t: Type, colon: str = ":") -> str:
    """DuckDB SQL of +01:00 and the like."""
    m = offset_minutes(sql, t)
    return (
        f"(CASE WHEN {m} < 0 THEN '-' ELSE '+' END || lpad(CAST(abs({m}) // 60 AS VARCHAR), 2, '0') || '{colon}' "
        f"|| lpad(CAST(abs({m}) % 60 AS VARCHAR), 2, '0'))"
    )
