"""Mutants of SQL statements: one operator, order, join or function is another one."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: What is replaced, and by what. Words as sqlfluff has them written.
REPLACED = (
    (r"(?<= )AND(?= )(?![^(]*\bBETWEEN\b)", "OR"),
    (r"(?<= )OR(?= )", "AND"),
    (r"(?<= )=(?= )", "<>"),
    (r"(?<= )<>(?= )", "="),
    (r"(?<= )<(?= )", "<="),
    (r"(?<= )<=(?= )", "<"),
    (r"(?<= )>(?= )", ">="),
    (r"(?<= )>=(?= )", ">"),
    (r"(?<= )\+(?= )", "-"),
    (r"(?<= )-(?= )", "+"),
    (r"(?<= )\*(?= )", "/"),
    (r"\bDESC\b", "ASC"),
    (r"\bASC\b", "DESC"),
    (r"\bINNER JOIN\b", "LEFT JOIN"),
    (r"\bLEFT JOIN\b", "INNER JOIN"),
    (r"\bIS NOT NULL\b", "IS NULL"),
    (r"\bIS NULL\b", "IS NOT NULL"),
    (r"\bIS DISTINCT FROM\b", "IS NOT DISTINCT FROM"),
    (r"\bUNION ALL\b", "UNION"),
    (r"\bsum\(", "max("),
    (r"\bmax\(", "min("),
    (r"\bmin\(", "max("),
    (r"\bcount\(", "max("),
    (r"\bgreatest\(", "least("),
    (r"\bleast\(", "greatest("),
    (r"\bTRUE\b", "FALSE"),
    (r"\bFALSE\b", "TRUE"),
    (r"(?<![\w.'])1(?![\w.'])", "2"),
    (r"(?<![\w.'])0(?![\w.'])", "1"),
)
_COMMENT = re.compile(r"--.*|\{[{%#].*?[}%#]\}|'[^'\n]*'")


def mutants(text: str) -> Iterator[tuple[int, str, str]]:
    """Each mutant of a statement: its line from 1, what is changed, and the whole text.

    Comments, texts and what the template engine reads stay.
    """
    kept = [match.span() for match in _COMMENT.finditer(text)]
    for pattern, other in REPLACED:
        for match in re.finditer(pattern, text):
            begin, end = match.span()
            if not any(first <= begin < last for first, last in kept):
                line = text.count("\n", 0, begin) + 1
                yield line, f"{match[0]} -> {other}", text[:begin] + other + text[end:]
