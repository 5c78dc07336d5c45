"""Grok: named regular expressions, as AWS Glue's GrokSerDe reads lines with them.

https://docs.aws.amazon.com/athena/latest/ug/grok-serde.html
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from importlib.resources import files

import regex

from local_aws.athena.errors import QueryError

_REFERENCE = regex.compile(r"%\{(\w+)(?::([\w.\[\]-]+)(?:[:;]\w+)?)?\}")
# A pattern's parts that are no fields.
UNWANTED = "UNWANTED"


@functools.cache
def built_in() -> dict[str, str]:
    """Expressions by name."""
    return patterns(files("local_aws.athena").joinpath("grok.patterns").read_text(encoding="utf-8"))


def patterns(text: str) -> dict[str, str]:
    """Definitions, a line each: a name, a space, a regular expression. # begins a comment."""
    found = {}
    for line in text.splitlines():
        name, _, pattern = line.strip().partition(" ")
        if name and not name.startswith("#"):
            found[name] = pattern.strip()
    return found


def splitter(pattern: str, custom: str, columns: list[str]) -> Callable[[str], list[str | None]]:
    """A function that gives a line's value of each column, all None where the line does not match.

    A field has the name that its pattern is given there, or else the pattern's; case does not matter.
    Raises HIVE_CURSOR_ERROR for a pattern that does not exist or is no regular expression.
    """
    known = built_in() | patterns(custom)
    wanted = set(columns)
    groups: dict[str, str] = {}

    def expand(text: str, depth: int) -> str:
        def one(m: regex.Match[str]) -> str:
            name, field = m.group(1), (m.group(2) or m.group(1)).lower()
            if name not in known:
                raise QueryError("HIVE_CURSOR_ERROR", f"No definition for key '{name}' found, aborting")
            if depth > 50:
                raise QueryError("HIVE_CURSOR_ERROR", f"Grok pattern '{name}' is made of itself")
            inner = expand(known[name], depth + 1)
            if field not in wanted or field in groups.values():
                return f"(?:{inner})"
            groups[f"g{len(groups)}"] = field
            return f"(?<g{len(groups) - 1}>{inner})"

        return str(_REFERENCE.sub(one, text))

    try:
        compiled = regex.compile(expand(pattern, 0))
    except regex.error as e:
        raise QueryError(
            "HIVE_CURSOR_ERROR", f"Grok pattern '{pattern}' is no regular expression: {e}"
        ) from e

    def split(line: str) -> list[str | None]:
        m = compiled.search(line)
        if m is None:
            return [None] * len(columns)
        values = {field: m.group(group) for group, field in groups.items()}
        return [values.get(c) for c in columns]

    return split
