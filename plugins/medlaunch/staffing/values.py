"""Single fields of a CMS file as values. White space around a field means nothing; a blank field is no value."""

from __future__ import annotations

import re
from datetime import date
from decimal import ROUND_HALF_UP, Decimal, localcontext

_COMPACT_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:\.0)?")
_ISO_DATE = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_US_DATE = re.compile(r"([0-9]{2})/([0-9]{2})/([0-9]{4})")
_INTEGER = re.compile(r"([0-9]+)(?:\.0)?")
_DECIMAL = re.compile(r"[0-9]+\.?[0-9]*|\.[0-9]+")


class InvalidField(ValueError):
    """A field that holds no value of its type."""


def clean_text(text: str) -> str | None:
    """Text without the white space around it; None if nothing is left."""
    return text.strip() or None


def parse_date(text: str, *, american: bool = False) -> date:
    """A calendar date: ``YYYYMMDD`` (a trailing ``.0`` is allowed), ``YYYY-MM-DD``, and ``MM/DD/YYYY`` if ``american``.

    Raises:
        InvalidField: for anything else, and for days that the calendar does not have.
    """
    text = text.strip()
    if match := _COMPACT_DATE.fullmatch(text) or _ISO_DATE.fullmatch(text):
        year, month, day = match.groups()
    elif american and (match := _US_DATE.fullmatch(text)):
        month, day, year = match.groups()
    else:
        raise InvalidField(f"{text[:40]!r} is not a date")
    try:
        return date(int(year), int(month), int(day))
    except ValueError as error:
        raise InvalidField(f"{text!r} is not a day of the calendar") from error


def quarter_of(day: date) -> str:
    """The calendar quarter of a day, written ``2024Q2``."""
    return f"{day.year:04d}Q{(day.month + 2) // 3}"


def parse_integer(text: str, *, digits: int) -> int | None:
    """A whole number of at most ``digits`` digits; a ``.0`` behind it is allowed. None if blank.

    Raises:
        InvalidField: for anything else.
    """
    text = text.strip()
    if not text:
        return None
    match = _INTEGER.fullmatch(text)
    if match is None or len(match[1]) > digits:
        raise InvalidField(f"{text[:40]!r} is not a whole number of 1 to {digits} digits")
    return int(match[1])


def parse_decimal(text: str, *, digits: int, scale: int, signed: bool = False) -> Decimal | None:
    """A plain decimal as SQL's ``decimal(digits, scale)``, rounded half up. None if blank.

    Plain: digits with at most one point (``5``, ``5.``, ``.5``, ``5.25``), no exponent, no comma, no sign unless
    ``signed`` allows a minus.

    Raises:
        InvalidField: for anything else, and for what is greater than the greatest number of that type.
    """
    text = text.strip()
    if not text:
        return None
    negative = signed and text.startswith("-")
    if not _DECIMAL.fullmatch(text, negative):
        raise InvalidField(f"{text[:40]!r} is not a plain decimal")
    number = Decimal(text[negative:])
    if number > Decimal(10**digits - 1).scaleb(-scale):
        raise InvalidField(f"{text[:40]!r} does not fit decimal({digits}, {scale})")
    with localcontext() as context:
        context.prec = digits
        number = number.quantize(Decimal(f"1e-{scale}"), rounding=ROUND_HALF_UP)
    return -number if negative and number else number  # SQL's decimals have no minus zero
