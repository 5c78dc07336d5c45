"""Dates by patterns: those of MySQL and those of Joda.

https://trino.io/docs/435/functions/datetime.html#mysql-date-functions and #java-date-functions
"""

from __future__ import annotations

import re

from local_aws.athena import types as ty
from local_aws.athena import zones
from local_aws.athena.errors import not_supported
from local_aws.athena.expressions import E, fitted, raise_sql
from local_aws.athena.functions.dates import in_zone, temporal
from local_aws.athena.functions.registry import Call, Special, Table, on_clock, quoted
from local_aws.athena.types import TIMESTAMP, TIMESTAMP_TZ, VARCHAR, Type, duckdb_type

_INVALID = "INVALID_FUNCTION_ARGUMENT"
_MYSQL = {
    "a": "%a", "b": "%b", "c": "%-m", "d": "%d", "e": "%-d", "f": "%f", "H": "%H", "h": "%I", "I": "%I",
    "i": "%M", "j": "%j", "k": "%-H", "l": "%-I", "M": "%B", "m": "%m", "p": "%p", "r": "%I:%M:%S %p",
    "S": "%S", "s": "%S", "T": "%H:%M:%S", "v": "%V", "W": "%A", "x": "%G", "Y": "%Y", "y": "%y", "%": "%%",
}  # fmt: skip


def _of_mysql(c: Call, e: E) -> str:
    """A format of MySQL's as strftime's, without quotes around it."""
    if not isinstance(e.value, str):
        raise not_supported("A date format that is no literal")

    def one(m: re.Match[str]) -> str:
        letter = m.group(1)
        if letter in _MYSQL:
            return _MYSQL[letter]
        if letter in "DUuVwX":
            raise c.fail(_INVALID, f"%{letter} not supported in date format string")
        return letter

    return re.sub(r"%(.)", one, e.value)


def _date_format(c: Call, moment: E, form: E) -> E:
    e = temporal(c, moment)
    return E(f"strftime({_milliseconds(on_clock(e))}, {quoted(_of_mysql(c, form))})", VARCHAR)


def _milliseconds(e: E) -> str:
    """A date or timestamp rounded to milliseconds, which is all that formats know."""
    return fitted(e.sql, TIMESTAMP) if e.type.base == "timestamp" and (e.type.p or 0) > 3 else e.sql


def _date_parse(c: Call, text: E, form: E) -> E:
    return _parsed(text, _of_mysql(c, form), TIMESTAMP)


def _parsed(e: E, form: str, t: Type) -> E:
    """A text read by a format of strptime's."""
    d = duckdb_type(t)
    bad = raise_sql(_INVALID, f"'Invalid format: \"' || {e.sql} || '\"'", d)
    source = e.sql
    if not re.search(r"%[YyG]", form.replace("%%", "")):
        # Without a year it is 1970, where DuckDB takes 1900.
        source, form = f"('1970 ' || {e.sql})", "%Y " + form
    parsed = f"try_strptime({source}, {quoted(form)})"
    if t.base == "timestamp with time zone" and "%z" in form:
        # The instant; the zone is known if the text is.
        parsed = f"try_strptime(regexp_replace({source}, 'Z$', '+0000'), {quoted(form)})"
        text = e.value if isinstance(e.value, str) else ""
        m = re.search(r"([+-]\d{2}:?\d{2}|[+-]\d{2}|Z|UTC)\s*$", text)
        t = in_zone(t, (zones.canonical(m.group(1)) if m is not None else ty.MIXED) or zones.UTC)
    elif t.base == "timestamp with time zone":
        parsed = f"({parsed} AT TIME ZONE 'UTC')"
    return E(f"CASE WHEN {e.sql} IS NULL THEN NULL WHEN {parsed} IS NULL THEN {bad} ELSE {parsed} END", t)


def _joda(e: E) -> list[tuple[str, int]]:
    """A pattern of Joda's as letters with their counts; what stands for itself has a count of 0.

    https://www.joda.org/joda-time/apidocs/org/joda/time/format/DateTimeFormat.html
    """
    if not isinstance(e.value, str):
        raise not_supported("A date format that is no literal")
    out: list[tuple[str, int]] = []
    for m in re.finditer(r"'((?:[^']|'')*)'|([A-Za-z])\2*|([^A-Za-z'])", e.value):
        if m.group(2):
            out.append((m.group(2), len(m.group())))
        else:
            out.append((m.group(3) if m.group(3) is not None else m.group(1).replace("''", "'") or "'", 0))
    return out


# What a letter stands for: SQL of a number over the timestamp {}.
_JODA_NUMBERS = {
    "y": "year({})", "Y": "year({})", "x": "isoyear({})", "w": "week({})", "e": "isodow({})", "D": "dayofyear({})",
    "M": "month({})", "d": "day({})", "K": "hour({}) % 12", "h": "(hour({}) + 11) % 12 + 1", "H": "hour({})",
    "k": "(hour({}) + 23) % 24 + 1", "m": "minute({})", "s": "second({})", "C": "year({}) // 100",
}  # fmt: skip


def _format_datetime(c: Call, moment: E, form: E) -> E:
    e = temporal(c, moment)
    clock = _milliseconds(on_clock(e)) if e.type.base != "date" else f"CAST({e.sql} AS TIMESTAMP)"
    parts = [
        _joda_text(c, e, clock, letter, count) if count else quoted(letter) for letter, count in _joda(form)
    ]
    return E(f"({' || '.join(parts) or chr(39) * 2})", VARCHAR)


def _joda_text(c: Call, e: E, clock: str, letter: str, count: int) -> str:
    """The text that a letter of a pattern stands for. clock: the TIMESTAMP of e."""
    if letter == "M" and count >= 3:
        return f"strftime({clock}, '{'%b' if count == 3 else '%B'}')"
    if letter == "E":
        return f"strftime({clock}, '{'%a' if count < 4 else '%A'}')"
    if letter == "a":
        return f"strftime({clock}, '%p')"
    if letter == "G":
        return f"CASE WHEN year({clock}) > 0 THEN 'AD' ELSE 'BC' END"
    if letter == "S":
        return f"left(strftime({clock}, '%f') || '000', {count})"
    if letter in "yYx" and count == 2:
        return f"lpad(CAST({_JODA_NUMBERS[letter].format(clock)} % 100 AS VARCHAR), 2, '0')"
    if letter in _JODA_NUMBERS:
        return f"format('{{:0{count}d}}', CAST({_JODA_NUMBERS[letter].format(clock)} AS BIGINT))"
    if letter in "Zz" and e.type.base != "timestamp with time zone":
        raise c.fail(
            _INVALID,
            "format_datetime for TIMESTAMP type, cannot use 'Z' nor 'z' in format, as this type does not contain TZ "
            "information",
        )
    if letter == "Z" and count >= 3:
        return f"'{zones.zone(e.type)}'"
    if letter == "Z":
        return zones.offset_text(e.sql, e.type, ":" if count == 2 else "")
    raise not_supported(f"The date pattern '{letter * count}'")


_JODA_PARSED = {
    "y": "%Y", "Y": "%Y", "x": "%G", "w": "%V", "e": "%u", "D": "%j", "d": "%d", "h": "%I", "H": "%H", "m": "%M",
    "s": "%S", "a": "%p", "Z": "%z",
}  # fmt: skip


def _parse_datetime(c: Call, text: E, form: E) -> E:
    read = ""
    for letter, count in _joda(form):
        if not count:
            read += letter.replace("%", "%%")
        elif letter == "M":
            read += "%m" if count < 3 else "%b" if count == 3 else "%B"
        elif letter == "E":
            read += "%a" if count < 4 else "%A"
        elif letter in "yY" and count == 2:
            read += "%y"
        elif letter == "S" and count in (3, 6):
            read += "%g" if count == 3 else "%f"
        elif letter in _JODA_PARSED and not (letter == "Z" and count > 2):
            read += _JODA_PARSED[letter]
        else:
            raise not_supported(f"The date pattern '{letter * count}' in parse_datetime")
    return _parsed(text, read, TIMESTAMP_TZ)


FUNCTIONS: Table = {
    "date_format": Special(_date_format),
    "date_parse": Special(_date_parse),
    "format_datetime": Special(_format_datetime, strict=True),
    "parse_datetime": Special(_parse_datetime),
}
