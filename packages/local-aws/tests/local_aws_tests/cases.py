"""Statements and what they give: for the tests, and for a real Trino to confirm.

cases.jsonl has Trino's expressions and queries, cases-athena.jsonl the examples and rules of Amazon Athena's user guide.
Each line is an object: `source`, the page with the rule; `expr` and its `value`, or `sql` and its `rows` (texts as in
Athena's result files, None for NULL), how its failure begins (`fails`), or that it `succeeds`. Where Trino 435 gives
something else, `trino` has that and `because` the reason.

What a statement needs is made first, in an empty folder `{lake}` and a new database `{db}`: the definitions that `with`
names (lines with `define`), `files` (name and content), and the statements of `setup`. A case that local_aws does not
answer yet has a `known_failure`: the module to change and what is wrong. `python -m local_aws_tests.known_failures`
removes those that are mended.
"""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

from local_aws_tests.harness import Athena, QueryFailedError

TRINO = Path(__file__).with_name("cases.jsonl")
ATHENA = Path(__file__).with_name("cases-athena.jsonl")
Case = dict[str, Any]


def load(path: Path = TRINO) -> list[Case]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def save(cases: list[Case], path: Path = TRINO) -> None:
    path.write_text("".join(json.dumps(c, ensure_ascii=False) + "\n" for c in cases), encoding="utf-8")


def statement(case: Case) -> str:
    return f"SELECT {case['expr']} AS value" if "expr" in case else str(case["sql"])


def expected(case: Case) -> list[list[str | None]]:
    return [[case["value"]]] if "expr" in case else case["rows"]


def stateless(case: Case) -> bool:
    """Whether a case reads no tables and says what it gives, so that any Trino can run it."""
    needs = case.keys() & {"define", "with", "setup", "files", "succeeds"}
    return not needs and case.get("fails") != "" and "{db}" not in str(case.get("fails"))


# ----------------------------------------------------------------------------------------- comparison


def _unordered(text: str | None) -> str | None:
    """A value's text with the entries of maps and rows sorted, however deep: the order of a map's means nothing."""
    if text is None or "{" not in text:
        return text

    def items(at: int, end: str) -> tuple[list[str], int]:
        found, current = [], ""
        while at < len(text):
            ch = text[at]
            at += 1
            if ch in "{[":
                inner, at = items(at, "}" if ch == "{" else "]")
                current += ch + ", ".join(sorted(inner) if ch == "{" else inner) + ("}" if ch == "{" else "]")
            elif ch == end:
                break
            elif ch == "," and end:
                found.append(current.strip())
                current = ""
            else:
                current += ch
        return [*found, current.strip()], at

    return ", ".join(items(0, "")[0])


def same(a: list[list[str | None]], b: list[list[str | None]], ordered: bool) -> bool:
    left, right = ([[_unordered(v) for v in row] for row in rows] for rows in (a, b))
    return left == right if ordered else sorted(left, key=str) == sorted(right, key=str)


# -------------------------------------------------------------------------------------------- running


class Runner:
    """Runs the cases of the user guide, each in a database and a folder of its own."""

    def __init__(self, athena: Athena, s3: Any, glue: Any, everything: list[Case]) -> None:
        self._athena, self._s3, self._glue = athena, s3, glue
        self._definitions = {c["define"]: c for c in everything if "define" in c}

    def difference(self, case: Case) -> str | None:
        """What the case gives, if that is not what it says. Raises QueryFailedError where its setup fails."""
        name = f"case_{uuid.uuid4().hex[:12]}"
        athena = Athena(self._athena.client, self._athena.bucket, name)
        places = {"{lake}": f"s3://{athena.bucket}/{name}", "{db}": name}
        self._glue.create_database(DatabaseInput={"Name": name})
        self._prepare(case, athena, places, set())
        sql = _filled(statement(case), places)
        if "fails" in case:
            try:
                reason = athena.fails(sql)
            except AssertionError:
                return "it succeeds"
            return None if reason.startswith(_filled(case["fails"], places)) else reason
        try:
            result = athena(sql)
        except (QueryFailedError, athena.client.exceptions.InvalidRequestException) as e:
            return str(e)
        query = re.match(r"\s*(\(|SELECT\b|WITH\b|VALUES\b|EXECUTE\b)", sql, re.I) is not None
        rows = [
            [None if v is None else _filled(v, {text: name for name, text in places.items()}) for v in row]
            for row in (result.data if query else result.rows)
        ]
        ordered = not query or "ORDER BY" in sql
        return None if "succeeds" in case or same(rows, expected(case), ordered) else json.dumps(rows)

    def _prepare(self, case: Case, athena: Athena, places: dict[str, str], done: set[str]) -> None:
        for name in case.get("with", []):
            if name not in done:
                done.add(name)
                self._prepare(self._definitions[name], athena, places, done)
        for key, body in case.get("files", {}).items():
            self._s3.put_object(
                Bucket=athena.bucket, Key=f"{athena.database}/{key}", Body=_filled(body, places).encode()
            )
        for sql in case.get("setup", []):
            athena(_filled(sql, places))


def _filled(text: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        text = text.replace(name, value)
    return text
