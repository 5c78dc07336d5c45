"""What a statement names more than once (queries of WITH, views) is computed once, as DuckDB would do with its own WITH.

Each use is compiled by itself, because a use's conditions choose partitions and files. Only uses that came out the same
are shared, and none whose rows may differ from use to use: Athena evaluates a query of WITH anew wherever it is named
(https://trino.io/docs/435/sql/select.html#with-clause).
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Sequence

_USE = re.compile(r"\x00use(\d+)\x00")
# Aliases of relations, which are numbered as they come; texts and quoted names are left as they are.
_ALIAS = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\br\d+\b""")
_VARIES = re.compile(r"\b(?:random|uuid)\(|\bTABLESAMPLE\b")


def use(number: int) -> str:
    """What stands for a use until it is known what the others are."""
    return f"\x00use{number}\x00"


def reachable(uses: Sequence[str], query: str) -> set[int]:
    """The uses that a query needs, and those that they need."""
    found: set[int] = set()
    ahead = [query]
    while ahead:
        new = {int(one) for one in _USE.findall(ahead.pop())} - found
        found |= new
        ahead += [uses[one] for one in new]
    return found


def share(uses: Sequence[str], query: str) -> str:
    """A query of DuckDB's with its uses put in: those that are there twice by name, with WITH before the query."""
    kinds: dict[str, int] = {}
    texts: list[str] = []
    varies: list[bool] = []
    counts: Counter[int] = Counter()
    known: dict[int, int] = {}

    def kinds_in(text: str) -> str:
        return _USE.sub(lambda m: use(kind_of(int(m[1]))), text)

    def count(text: str) -> None:
        counts.update(int(one) for one in _USE.findall(text))

    def kind_of(number: int) -> int:
        if number not in known:
            text = kinds_in(uses[number])
            kind = kinds.setdefault(_comparable(text), len(texts))
            if kind == len(texts):
                texts.append(text)
                inner = (int(one) for one in _USE.findall(text))
                varies.append(bool(_VARIES.search(text)) or any(varies[one] for one in inner))
                count(text)
            known[number] = kind
        return known[number]

    query = kinds_in(query)
    count(query)

    def shared(kind: int) -> bool:
        return counts[kind] > 1 and not varies[kind]

    def put_in(text: str) -> str:
        return _USE.sub(
            lambda m: f"SELECT * FROM w{m[1]}" if shared(int(m[1])) else put_in(texts[int(m[1])]), text
        )

    named = [f"w{kind} AS ({put_in(text)})" for kind, text in enumerate(texts) if shared(kind)]
    return f"WITH {', '.join(named)} {put_in(query)}" if named else put_in(query)


def _comparable(text: str) -> str:
    """The text with its aliases numbered from one."""
    numbers = itertools.count()
    names: dict[str, str] = {}

    def renamed(m: re.Match[str]) -> str:
        if m[0][0] in "'\"":
            return m[0]
        if m[0] not in names:
            names[m[0]] = f"r{next(numbers)}"
        return names[m[0]]

    return _ALIAS.sub(renamed, text)
