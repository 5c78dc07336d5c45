"""Regular expressions in Java's syntax."""

from __future__ import annotations

import functools
import re
from typing import Any

from local_aws.athena.udf import fail, udf

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


@udf("VARCHAR VARCHAR", "STRUCT(t VARCHAR, g VARCHAR[])[]")
def regexp_pieces(text: str, pattern: str) -> list[dict[str, Any]]:
    """A text cut into its matches, of which there are the groups, and what lies between them."""
    pieces: list[dict[str, Any]] = []
    start = 0
    for m in java_regex(pattern).finditer(text):
        pieces += [{"t": text[start : m.start()], "g": None}, {"t": None, "g": list(m.groups())}]
        start = m.end()
    return [*pieces, {"t": text[start:], "g": None}]
