"""Strings, and texts of numbers."""

from __future__ import annotations

import math
import re
from typing import Any

from local_aws.athena.udf import fail, udf


@udf("VARCHAR", "VARCHAR")
def soundex(text: str) -> str:
    codes = {
        c: d
        for d, letters in {"1": "BFPV", "2": "CGJKQSXZ", "3": "DT", "4": "L", "5": "MN", "6": "R"}.items()
        for c in letters
    }
    letters = [c for c in text.upper() if c.isalpha()]
    for c in letters:
        if not "A" <= c <= "Z":
            message = f"The character is not mapped: {c} (index={ord(c) - ord('A')})"
            raise fail("INVALID_FUNCTION_ARGUMENT", message)
    if not letters:
        return ""
    out, last = letters[0], codes.get(letters[0], "")
    for c in letters[1:]:
        code = codes.get(c, "")
        if code and code != last:
            out += code
        if c not in "HW":
            last = code
    return (out + "000")[:4]


@udf("VARCHAR VARCHAR", "BIGINT")
def levenshtein(a: str, b: str) -> int:
    """By code points, where DuckDB's counts bytes."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        above, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (x != y))
    return row[-1]


@udf("VARCHAR VARCHAR", "BIGINT")
def hamming(a: str, b: str) -> int:
    return sum(x != y for x, y in zip(a, b, strict=True))


@udf("VARCHAR", "BOOLEAN")
def luhn_check(text: str) -> bool:
    if not text:
        return False
    if not text.isascii() or not text.isdigit():
        raise fail("INVALID_FUNCTION_ARGUMENT", f"Cannot convert value to a number: {text}")
    total = 0
    for i, digit in enumerate(map(int, reversed(text))):
        total += sum(divmod(digit * (1 + i % 2), 10))
    return total % 10 == 0


@udf("VARCHAR VARCHAR", "VARCHAR")
def normalize(text: str, form: str) -> str:
    import unicodedata

    return unicodedata.normalize(form, text)  # type: ignore[arg-type]


@udf("VARCHAR BIGINT", "BIGINT")
def from_base(text: str, radix: int) -> int:
    if not 2 <= radix <= 36:
        raise fail("INVALID_FUNCTION_ARGUMENT", "Radix must be between 2 and 36")
    try:
        value = int(text, radix)
    except ValueError:
        value = 1 << 63
    if not -(1 << 63) <= value < 1 << 63 or "_" in text or text != text.strip():
        raise fail("INVALID_FUNCTION_ARGUMENT", f"Not a valid base-{radix} number: {text}")
    return value


@udf("DOUBLE", "VARCHAR")
def human_readable_seconds(seconds: float) -> str:
    if not math.isfinite(seconds):
        raise fail("INVALID_FUNCTION_ARGUMENT", f"Invalid argument found: {seconds}")
    # Math.round: halves up, and no more than a long holds.
    rest = min(math.floor(abs(seconds) + 0.5), 2**63 - 1)
    words = []
    for unit, size in (("week", 604800), ("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1)):
        count, rest = divmod(rest, size)
        if count:
            words.append(f"{count} {unit}{'s' if count != 1 else ''}")
    return ", ".join(words) or "0 seconds"


@udf("VARCHAR", "HUGEINT")
def parse_data_size(text: str) -> Any:
    from decimal import Decimal

    units = ["B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"]
    m = re.fullmatch(r"(\d+(?:\.\d+)?)([A-Za-z]+)", text)
    if m is None or m.group(2) not in units:
        raise fail("INVALID_FUNCTION_ARGUMENT", f"Invalid data size: '{text}'")
    return Decimal(int(Decimal(m.group(1)) * 1024 ** units.index(m.group(2))))


@udf("VARCHAR", "BIGINT")
def parse_duration(text: str) -> int:
    """Milliseconds of Trino's parse_duration, which gives an interval."""
    units = {"ns": 1e-6, "us": 1e-3, "ms": 1, "s": 1e3, "m": 6e4, "h": 3.6e6, "d": 8.64e7}
    m = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]+)\s*", text)
    if m is None or m.group(2) not in units:
        raise fail("INVALID_FUNCTION_ARGUMENT", f"duration is not a valid data duration string: {text}")
    return round(float(m.group(1)) * units[m.group(2)])


@udf("DOUBLE", "VARCHAR")
def format_number(value: float) -> str:
    """Trino's format_number: of the whole number three digits and a unit, if it is positive; halves to even."""
    from decimal import ROUND_HALF_EVEN, Decimal

    count = 0 if math.isnan(value) else max(-(2**63), min(2**63 - 1, int(max(-1e19, min(1e19, value)))))
    units = ["", "K", "M", "B", "T", "Q"]
    fraction, index = float(count), 0
    while abs(fraction) >= 1000 and index < len(units) - 1:
        fraction /= 1000
        index += 1
    digits = 2 if fraction < 10 else 1 if fraction < 100 else 0
    text = f"{Decimal(fraction).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_EVEN):f}"
    return (text.rstrip("0").rstrip(".") if "." in text else text) + units[index]


@udf("VARCHAR VARCHAR[] VARCHAR", "VARCHAR")
def format_(form: str, values: list[str | None], kinds: str) -> str:
    """String.format of Java for values given as texts; `kinds` has a letter for each: integer, decimal, float,
    boolean, string, or timestamp."""
    position = 0

    def one(m: re.Match[str]) -> str:
        nonlocal position
        index, flags, width, precision, conversion = m.groups()
        if conversion == "%":
            return "%"
        if conversion == "n":
            return "\n"
        at = int(index[:-1]) - 1 if index else position
        position += 0 if index else 1
        if at >= len(values):
            raise fail("INVALID_FUNCTION_ARGUMENT", f"Invalid format string: {form} (not enough arguments)")
        value, kind = values[at], kinds[at]
        text = _formatted(form, value, kind, flags, int(precision[1:]) if precision else None, conversion)
        size = int(width or 0)
        numeric = value not in (None, "NaN", "Infinity", "-Infinity")
        if "0" in flags and conversion in "dfxoe" and numeric and len(text) < size:
            sign = text[:1] if text[:1] in "+- (" else ""
            return sign + text[len(sign) :].rjust(size - len(sign), "0")
        return text.ljust(size) if "-" in flags else text.rjust(size)

    return re.sub(r"%(\d+\$)?([-#+ 0,(]*)(\d+)?(\.\d+)?([tT][a-zA-Z]|[a-zA-Z%])", one, form)


def _formatted(
    form: str, value: str | None, kind: str, flags: str, precision: int | None, conversion: str
) -> str:
    from decimal import ROUND_HALF_UP, Context, Decimal

    wrong = fail("INVALID_FUNCTION_ARGUMENT", f"Invalid format string: {form} (%{conversion} of this type)")
    if conversion in "bB":
        text = (
            ("false" if value is None or value == "false" else "true")
            if kind == "b" or value is None
            else "true"
        )
    elif value is None:
        text = "null"[: precision if conversion != "d" else None]
    elif conversion in "sS":
        text = value[:precision]
    elif conversion == "d" and kind == "i":
        text = f"{int(value):,}" if "," in flags else value
        text = ("+" if "+" in flags and int(value) >= 0 else "") + text
    elif conversion in "xXo" and kind == "i":
        number = int(value) & (2**64 - 1) if int(value) < 0 else int(value)
        text = f"{number:{conversion}}"
    elif conversion in "feE" and kind in "fn":
        if value in ("NaN", "Infinity", "-Infinity"):
            return value
        digits = 6 if precision is None else precision
        if conversion == "f":
            # As many digits as a double can have.
            places, context = Decimal(1).scaleb(-digits), Context(prec=400 + digits)
            rounded = Decimal(value).quantize(places, ROUND_HALF_UP, context)
            text = f"{rounded:,f}" if "," in flags else f"{rounded:f}"
        else:
            exact = Decimal(value)
            text = f"{exact or float(exact):.{digits}{conversion}}"
            mantissa, _, exponent = text.partition("e")
            text = f"{mantissa}e{exponent[0]}{exponent[1:].zfill(2)}" if exponent else text
        text = ("+" if "+" in flags and not text.startswith("-") else "") + text
    elif conversion == "c" and kind == "i":
        text = chr(int(value))
    elif conversion[0] in "tT" and kind == "t":
        import datetime as dt

        moment = dt.datetime.fromisoformat(value)
        letters = {
            "A": "%A", "a": "%a", "B": "%B", "b": "%b", "h": "%b", "Y": "%Y", "y": "%y", "m": "%m", "d": "%d",
            "H": "%H", "M": "%M", "S": "%S", "j": "%j", "p": "%p", "I": "%I", "T": "%H:%M:%S", "R": "%H:%M",
            "F": "%Y-%m-%d", "D": "%m/%d/%y",
        }  # fmt: skip
        if conversion[1] == "e":
            text = str(moment.day)
        elif conversion[1] == "L":
            text = f"{moment.microsecond // 1000:03d}"
        elif conversion[1] in letters:
            text = moment.strftime(letters[conversion[1]])
        else:
            raise wrong
    else:
        raise wrong
    return text.upper() if conversion[0] in "SXEBT" else text
