"""Random statements, compared with Trino: ``python -m local_aws_tests.trino --fuzz SECONDS --seed N``.

Each difference is made as small as it can be before it is printed. What local_aws refuses by name is counted only.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from local_aws_tests import cases
from local_aws_tests.harness import Athena, QueryFailedError, make_client
from local_aws_tests.trino.grammar import Generator, Statement

Answer = list[list[str | None]] | str
# How many smaller statements are tried for one difference.
TRIES = 150


@contextmanager
def local() -> Iterator[Athena]:
    import local_aws

    with local_aws.serve() as server:
        make_client(server.url, "s3").create_bucket(Bucket="fuzz")
        yield Athena(make_client(server.url, "athena"), "fuzz", "default")


def here(athena: Athena, sql: str) -> Answer:
    try:
        return athena(sql).data
    except QueryFailedError as e:
        return str(e)
    except athena.client.exceptions.InvalidRequestException as e:
        return f"SYNTAX_ERROR: {e}"


_NUMBER = re.compile(r"-?(?:\d+\.\d+(?:E-?\d+)?|NaN|Infinity)")


def _alike(a: str | None, b: str | None) -> bool:
    """Whether two values are the same but for the last digits of doubles."""
    if a is None or b is None:
        return a is b
    a, b = _SAME.sub("", a), _SAME.sub("", b)
    if a == b:
        return True
    if _NUMBER.sub("#", a) != _NUMBER.sub("#", b):
        return False
    pairs = zip(_NUMBER.findall(a), _NUMBER.findall(b), strict=True)
    return all(x == y or abs(float(x) - float(y)) <= 1e-6 * max(abs(float(x)), 1e-9) for x, y in pairs)


# What the texts and types of values are that only differ in what nobody sees.
_SAME = re.compile(r"(?<=:\d\d)\.0+\b|(?<=varchar)\(\d+\)")


def agree(a: Answer, b: Answer, ordered: bool) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        # Which of several mistakes comes first is nobody's business.
        return isinstance(a, str) and isinstance(b, str)
    if cases.same(a, b, ordered):
        return True
    if not ordered:
        a, b = sorted(a, key=str), sorted(b, key=str)
    return len(a) == len(b) and all(
        _alike(x, y) for r, s in zip(a, b, strict=True) for x, y in zip(r, s, strict=True)
    )


# Trino refuses these, DuckDB has answers.
TAKEN = (
    "AMBIGUOUS_FUNCTION_CALL",
    "FUNCTION_NOT_FOUND",
    "Unexpected subquery expression",
    "Unknown type: char(",
    "value must be finite",
    "Given correlated subquery is not supported",
    "comparison not supported for",
    "has a NULL",
    "contains a null",
)


def refused(answer: Answer) -> bool:
    return isinstance(answer, str) and "not supported by local_aws" in answer


class Fuzzer:
    def __init__(self, athena: Athena, trino: Callable[[str], Answer]) -> None:
        self._athena, self._trino = athena, trino
        self.counts: Counter[str] = Counter()
        self.gaps: Counter[str] = Counter()

    def answers(self, sql: str) -> tuple[Answer, Answer]:
        return here(self._athena, sql), self._trino(sql)

    def difference(self, statement: Statement) -> tuple[Answer, Answer] | None:
        sql = statement.sql()
        ours, theirs = self.answers(sql)
        if refused(ours):
            if not isinstance(theirs, str):
                self.gaps[str(ours).split(" is not supported by")[0][:90]] += 1
            return None
        if isinstance(theirs, str) and any(t in theirs for t in TAKEN):
            return None
        return None if agree(ours, theirs, "ORDER BY x" in sql) else (ours, theirs)

    @staticmethod
    def _sort(pair: tuple[Answer, Answer]) -> tuple[bool, str, bool]:
        """What sort of difference it is: a smaller statement has to show the same."""
        ours, theirs = pair
        return (
            isinstance(ours, str),
            str(ours).split(":")[0] if isinstance(ours, str) else "",
            isinstance(theirs, str),
        )

    def shrink(self, statement: Statement, found: tuple[Answer, Answer]) -> tuple[Answer, Answer]:
        sort, tries, again = self._sort(found), 0, True
        while again and tries < TRIES:
            again = False
            for _ in statement.smaller():
                tries += 1
                less = self.difference(statement)
                if less is not None and self._sort(less) == sort:
                    found, again = less, True
                    break
                if tries >= TRIES:
                    break
        return found

    def run(self, seconds: float, seed: int) -> int:
        """The number of differences."""
        end, number = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            statement = Generator(seed + number).statement()
            number += 1
            found = self.difference(statement)
            self.counts["statements"] += 1
            if found is None:
                continue
            self.counts["differences"] += 1
            found = self.shrink(statement, found)
            print(
                f"-- seed {seed + number - 1}\n{statement.sql()}\n  here:  {_short(found[0])}\n  Trino: {_short(found[1])}",
                flush=True,
            )
        print(f"{number} statements compared with Trino: {self.counts['differences']} differences.")
        for what, n in self.gaps.most_common():
            print(f"  {n} x {what}")
        return self.counts["differences"]


def _short(answer: Answer) -> str:
    text = answer if isinstance(answer, str) else str(answer)
    return text[:400]
