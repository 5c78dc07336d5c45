"""Regular expressions (https://trino.io/docs/435/functions/regexp.html).

Patterns that DuckDB's engine, RE2, reads as Trino does run there; the others in Python (see udf).
"""

from __future__ import annotations

import re

from local_aws.athena import types as ty
from local_aws.athena.expressions import E, raise_text
from local_aws.athena.functions.registry import Call, Special, Table, quoted
from local_aws.athena.types import BIGINT, BOOLEAN, INTEGER, VARCHAR, duckdb_type

# What RE2 has not, or reads otherwise than Trino: look-around, back references, possessive quantifiers, classes in \p
# and in [[ ]], \b beside letters that are not ASCII, and $ before a final line break.
_JAVA_ONLY = re.compile(r"\(\?(?![:imsU)-]|P<)|\\[1-9kpPhHvVRXGZQbB]|[*+?}]\+|&&|\[[^\]]*\[|(?<!\\)\$(?!\{)")
# Groups that may take no part in a match: Trino gives NULL for them, RE2 an empty string.
_OPTIONAL = re.compile(r"\||\)[?*]|\)\{0?,")


def _in_re2(pattern: E) -> bool:
    return isinstance(pattern.value, str) and not _JAVA_ONLY.search(pattern.value)


def _groups(pattern: str) -> int:
    """How many groups a pattern has; none if it is none, which whoever runs it will say."""
    try:
        return re.compile(re.sub(r"\(\?<(?=[A-Za-z])", "(?P<", pattern)).groups
    except re.error:
        return 0


def _matches_nothing(pattern: E) -> bool:
    """Whether an empty string matches, between whose matches DuckDB splits and counts otherwise."""
    try:
        return re.compile(str(pattern.value)).match("") is not None
    except re.error:
        return True


def _like(c: Call, text: E, pattern: E) -> E:
    t, p = c.texts(text, pattern)
    if isinstance(pattern.value, str):
        # Before a final line break, too; for a test it does not matter that this consumes it.
        plain = re.sub(r"(?<!\\)\$$", r"\\n?\\z", pattern.value)
        if not _JAVA_ONLY.search(plain):
            return E(f"regexp_matches({t}, {quoted(plain)})", BOOLEAN)
    return E(f"py_regexp_like({t}, {p})", BOOLEAN)


def _extract(c: Call, text: E, pattern: E, group: E | None = None) -> E:
    """regexp_extract_all, too."""
    x, p = c.texts(text, pattern)
    everything = c.name == "regexp_extract_all"
    part = ty.varchar_of(text.type)
    t = ty.array(part) if everything else part
    at = group.sql if group is not None else "0"
    exact = _in_re2(pattern) and (group is None or not _OPTIONAL.search(str(pattern.value)))
    if not exact or (group is not None and not isinstance(group.value, int)):
        return E(f"py_{c.name}({x}, {p}, CAST({at} AS BIGINT))", t)
    if group is not None:
        groups = _groups(str(pattern.value))
        if not 0 <= group.value <= groups:
            message = f"Pattern has {groups} groups. Cannot access group {group.value}"
            return E(raise_text("INVALID_FUNCTION_ARGUMENT", message, duckdb_type(t)), t)
    if everything:
        return E(f"regexp_extract_all({x}, {p}, {at})", t)
    return E(f"CASE WHEN regexp_matches({x}, {p}) THEN regexp_extract({x}, {p}, {at}) END", t)


def _count(c: Call, text: E, pattern: E) -> E:
    t, p = c.texts(text, pattern)
    if _in_re2(pattern):
        return E(f"len(regexp_extract_all({t}, {p}))", BIGINT)
    return E(f"py_regexp_count({t}, {p})", BIGINT)


def _position(c: Call, text: E, pattern: E, start: E | None = None, occurrence: E | None = None) -> E:
    t, p = c.texts(text, pattern)
    numbers = [f"CAST({n.sql} AS BIGINT)" if n is not None else "1" for n in (start, occurrence)]
    return E(f"py_regexp_position({t}, {p}, {', '.join(numbers)})", INTEGER)


def _split(c: Call, text: E, pattern: E) -> E:
    t, p = c.texts(text, pattern)
    simple = _in_re2(pattern) and not _matches_nothing(pattern)
    return E(
        f"{'string_split_regex' if simple else 'py_regexp_split'}({t}, {p})",
        ty.array(ty.varchar_of(text.type)),
    )


def _replace(c: Call, text: E, pattern: E, replacement: E | None = None) -> E:
    if replacement is None:
        t, p = c.texts(text, pattern)
        kind = ty.varchar_of(text.type)
        if _in_re2(pattern):
            return E(f"regexp_replace({t}, {p}, '', 'g')", kind)
        return E(f"py_regexp_replace({t}, {p}, '')", kind)
    t, p, r = c.texts(text, pattern, replacement)
    by = replacement.value
    wrong = re.search(r"(?<!\\)(?:\\\\)*(\$(?![\d{]).?|\\$)", by) if isinstance(by, str) else None
    if wrong is not None:
        message = f"Illegal replacement sequence: {wrong.group(1)}"
        return E(raise_text("INVALID_FUNCTION_ARGUMENT", message, "VARCHAR"), VARCHAR)
    if (
        _in_re2(pattern)
        and not _matches_nothing(pattern)
        and isinstance(by, str)
        and not re.search(r"\$\{|\$\d\d", by)
    ):
        groups = _groups(pattern.value)
        if all(int(n) <= groups for n in re.findall(r"\$(\d)", by)):
            return E(f"regexp_replace({t}, {p}, {quoted(_of_re2(by))}, 'g')", VARCHAR)
    return E(f"py_regexp_replace({t}, {p}, {r})", VARCHAR)


def _of_re2(replacement: str) -> str:
    """$1 is \\1 to RE2; a backslash makes the next character plain."""
    return re.sub(
        r"\\(.)|\$(\d)|(\\$)",
        lambda m: "\\" + m.group(2) if m.group(2) else "\\\\" if m.group(1) == "\\" else m.group(1) or "",
        replacement,
        flags=re.S,
    )


FUNCTIONS: Table = {
    "regexp_count": Special(_count),
    "regexp_extract": Special(_extract),
    "regexp_extract_all": Special(_extract),
    "regexp_like": Special(_like),
    "regexp_position": Special(_position),
    "regexp_replace": Special(_replace),
    "regexp_split": Special(_split),
}
