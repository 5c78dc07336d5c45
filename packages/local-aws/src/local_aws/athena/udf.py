"""Functions that DuckDB has not, in Python. The generated SQL calls them by their names here; a session
registers those that a query names when it runs it (see engine.Session).

A function gets the values of one row and gives one; it is not called for a row with a NULL among them.
"""

from __future__ import annotations

import base64
import binascii
import functools
import hashlib
import hmac
import math
import re
import statistics
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa

# Around the code and the text of a Trino error in an exception's message (see expressions.raise_sql).
MARK = "\x01"
_ARROW = {
    "VARCHAR": pa.string(), "BIGINT": pa.int64(), "INTEGER": pa.int32(), "BOOLEAN": pa.bool_(), "BLOB": pa.binary(),
    "DOUBLE": pa.float64(), "FLOAT": pa.float32(), "VARCHAR[]": pa.list_(pa.string()), "HUGEINT": pa.decimal128(38, 0),
}  # fmt: skip


@dataclass(frozen=True)
class Udf:
    function: Callable[..., Any]
    parameters: list[Any]
    result: str

    def vectorised(self) -> Callable[..., pa.Array]:
        """The function over Arrow arrays, with as many parameters as DuckDB wants to see."""

        def run(*columns: Any) -> pa.Array:
            rows = zip(*[c.to_pylist() for c in columns], strict=True)
            out = [None if any(v is None for v in row) else self.function(*row) for row in rows]
            return pa.array(out, _ARROW[self.result])

        arities: dict[int, Callable[..., pa.Array]] = {
            1: lambda a: run(a),
            2: lambda a, b: run(a, b),
            3: lambda a, b, c: run(a, b, c),
            4: lambda a, b, c, d: run(a, b, c, d),
        }
        return arities[len(self.parameters)]


UDFS: dict[str, Udf] = {}
NAMES = re.compile(r"\bpy_\w+(?=\()")


def udf(parameters: str, result: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    def register(f: Callable[..., Any]) -> Callable[..., Any]:
        UDFS["py_" + f.__name__.strip("_")] = Udf(f, parameters.split(), result)
        return f

    return register


def fail(code: str, message: str) -> Exception:
    return ValueError(f"{MARK}{code}{MARK}{message}{MARK}")


# -------------------------------------------------------------------------------- regular expressions


_ASCII_CLASSES = {
    "d": "[0-9]", "D": "[^0-9]", "w": "[A-Za-z0-9_]", "W": "[^A-Za-z0-9_]", "s": r"[ \t\n\x0B\f\r]",
    "S": r"[^ \t\n\x0B\f\r]",
}  # fmt: skip


@functools.lru_cache(maxsize=1000)
def java_regex(pattern: str) -> Any:
    """A pattern of Trino's, compiled: Java's syntax as Joni reads it, with properties, POSIX classes, \\b and cases of
    all of Unicode, but \\d, \\w and \\s of ASCII. The regex package knows nearly all of it; the rest is rewritten."""
    # Late: only patterns that DuckDB's RE2 does not know come here.
    import regex

    text = re.sub(r"\\z", r"\\Z", re.sub(r"\\Z", r"(?=\\n?\\z)", pattern))
    text = re.sub(r"\(\?<([A-Za-z]\w*)>", r"(?P<\1>", text)
    text = re.sub(r"\\(.)", lambda m: _ASCII_CLASSES.get(m.group(1), m.group()), text, flags=re.S)
    try:
        return regex.compile(text, regex.V1)
    except (regex.error, RecursionError) as e:
        raise fail("INVALID_FUNCTION_ARGUMENT", f"Invalid regular expression '{pattern}': {e}") from e


def _group(compiled: Any, group: int) -> int:
    if not 0 <= group <= compiled.groups:
        raise fail(
            "INVALID_FUNCTION_ARGUMENT", f"Pattern has {compiled.groups} groups. Cannot access group {group}"
        )
    return group


@udf("VARCHAR VARCHAR", "BOOLEAN")
def regexp_like(text: str, pattern: str) -> bool:
    return java_regex(pattern).search(text) is not None


@udf("VARCHAR VARCHAR BIGINT", "VARCHAR")
def regexp_extract(text: str, pattern: str, group: int) -> str | None:
    compiled = java_regex(pattern)
    m = compiled.search(text)
    return m.group(_group(compiled, group)) if m else None


@udf("VARCHAR VARCHAR BIGINT", "VARCHAR[]")
def regexp_extract_all(text: str, pattern: str, group: int) -> list[str | None]:
    compiled = java_regex(pattern)
    return [m.group(_group(compiled, group)) for m in compiled.finditer(text)]


@udf("VARCHAR VARCHAR", "BIGINT")
def regexp_count(text: str, pattern: str) -> int:
    return sum(1 for _ in java_regex(pattern).finditer(text))


@udf("VARCHAR VARCHAR BIGINT BIGINT", "INTEGER")
def regexp_position(text: str, pattern: str, start: int, occurrence: int) -> int:
    if start < 1:
        raise fail("INVALID_FUNCTION_ARGUMENT", "start position cannot be smaller than 1")
    if occurrence < 1:
        raise fail("INVALID_FUNCTION_ARGUMENT", "occurrence cannot be smaller than 1")
    if start > len(text):
        return -1
    for i, m in enumerate(java_regex(pattern).finditer(text, start - 1)):
        if i == occurrence - 1:
            return int(m.start()) + 1
    return -1


@udf("VARCHAR VARCHAR", "VARCHAR[]")
def regexp_split(text: str, pattern: str) -> list[str]:
    parts, start = [], 0
    for m in java_regex(pattern).finditer(text):
        parts.append(text[start : m.start()])
        start = m.end()
    return [*parts, text[start:]]


@udf("VARCHAR VARCHAR VARCHAR", "VARCHAR")
def regexp_replace(text: str, pattern: str, replacement: str) -> str:
    """Java's Matcher.replaceAll: $1, ${name} and escapes in the replacement."""
    compiled = java_regex(pattern)
    pieces: list[str | int] = []
    i = 0
    while i < len(replacement):
        ch = replacement[i]
        if ch == "\\" and i + 1 < len(replacement):
            pieces.append(replacement[i + 1])
            i += 2
        elif ch == "$":
            m = re.match(r"\$(?:(\d+)|\{([A-Za-z]\w*)\})", replacement[i:])
            if m is None:
                raise fail("INVALID_FUNCTION_ARGUMENT", f"Illegal replacement sequence: {replacement}")
            if m.group(2):
                if m.group(2) not in compiled.groupindex:
                    raise fail(
                        "INVALID_FUNCTION_ARGUMENT",
                        f"Illegal replacement sequence: unknown group {{ {m.group(2)} }}",
                    )
                pieces.append(int(compiled.groupindex[m.group(2)]))
                i += m.end()
                continue
            # As many digits as name a group.
            digits = m.group(1)
            while len(digits) > 1 and int(digits) > compiled.groups:
                digits = digits[:-1]
            if int(digits) > compiled.groups:
                raise fail(
                    "INVALID_FUNCTION_ARGUMENT", f"Illegal replacement sequence: unknown group {digits}"
                )
            pieces.append(int(digits))
            i += 1 + len(digits)
        else:
            pieces.append(ch)
            i += 1
    return str(
        compiled.sub(lambda m: "".join(p if isinstance(p, str) else m.group(p) or "" for p in pieces), text)
    )


# --------------------------------------------------------------------------------------------- strings


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


@udf("VARCHAR VARCHAR", "VARCHAR")
def url_extract_parameter(url: str, name: str) -> str | None:
    try:
        query = urlsplit(url).query
    except ValueError:
        return None
    return next((v for k, v in parse_qsl(query, keep_blank_values=True) if k == name), None)


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


# ---------------------------------------------------------------------------------------------- binary


@udf("BLOB VARCHAR", "BLOB")
def digest(data: bytes, algorithm: str) -> bytes:
    return hashlib.new(algorithm, data, usedforsecurity=False).digest()


@udf("BLOB BLOB VARCHAR", "BLOB")
def hmac_(data: bytes, key: bytes, algorithm: str) -> bytes:
    return hmac.new(key, data, algorithm).digest()


@udf("BLOB", "BIGINT")
def crc32(data: bytes) -> int:
    return binascii.crc32(data)


@udf("BIGINT VARCHAR", "BLOB")
def pack_integer(value: int, form: str) -> bytes:
    return struct.pack(form, value)


@udf("DOUBLE VARCHAR", "BLOB")
def pack_float(value: float, form: str) -> bytes:
    return struct.pack(form, value)


@udf("BLOB VARCHAR", "BIGINT")
def unpack_integer(data: bytes, form: str) -> int:
    size = struct.calcsize(form)
    if len(data) != size:
        raise fail("INVALID_FUNCTION_ARGUMENT", f"expected {size}-byte input, but got instead: {len(data)}")
    return int(struct.unpack(form, data)[0])


@udf("BLOB VARCHAR", "DOUBLE")
def unpack_float(data: bytes, form: str) -> float:
    size = struct.calcsize(form)
    if len(data) != size:
        raise fail(
            "INVALID_FUNCTION_ARGUMENT",
            f"Input floating-point value must be exactly {size} bytes long",
        )
    return float(struct.unpack(form, data)[0])


@udf("BLOB", "VARCHAR")
def to_base32(data: bytes) -> str:
    return base64.b32encode(data).decode()


@udf("VARCHAR", "BLOB")
def from_base32(text: str) -> bytes:
    try:
        return base64.b32decode(text.rstrip("=") + "=" * (-len(text.rstrip("=")) % 8))
    except binascii.Error as e:
        raise fail("INVALID_FUNCTION_ARGUMENT", f"Illegal base32 text: {text}") from e


@udf("BLOB VARCHAR", "VARCHAR")
def from_utf8(data: bytes, replacement: str) -> str:
    text = data.decode("utf-8", "replace")
    return text if replacement == "\ufffd" else text.replace("\ufffd", replacement)


# -------------------------------------------------------------------------------------------- numbers


@udf("DOUBLE DOUBLE DOUBLE", "DOUBLE")
def normal_cdf(mean: float, sd: float, value: float) -> float:
    if sd <= 0:
        raise fail("INVALID_FUNCTION_ARGUMENT", "standardDeviation must be > 0")
    return statistics.NormalDist(mean, sd).cdf(value)


@udf("DOUBLE DOUBLE DOUBLE", "DOUBLE")
def inverse_normal_cdf(mean: float, sd: float, p: float) -> float:
    if not 0 < p < 1:
        raise fail("INVALID_FUNCTION_ARGUMENT", "p must be 0 > p > 1")
    if sd <= 0:
        raise fail("INVALID_FUNCTION_ARGUMENT", "sd must be > 0")
    return statistics.NormalDist(mean, sd).inv_cdf(p)
