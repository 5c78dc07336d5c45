"""Statements and what they give, in cases.jsonl: for the tests, and for a real Trino to confirm.

Each line is an object: `source`, the page with the rule; `expr` and its `value`, or `sql` and its `rows` (texts as in
Athena's result files, None for NULL), or `sql` and how its failure begins (`fails`). Where Trino 435 gives something
else, `trino` has that and `because` the reason.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PATH = Path(__file__).with_name("cases.jsonl")
Case = dict[str, Any]


def load() -> list[Case]:
    return [json.loads(line) for line in PATH.read_text(encoding="utf-8").splitlines()]


def save(cases: list[Case]) -> None:
    PATH.write_text("".join(json.dumps(c, ensure_ascii=False) + "\n" for c in cases), encoding="utf-8")


def statement(case: Case) -> str:
    return f"SELECT {case['expr']} AS value" if "expr" in case else str(case["sql"])


def expected(case: Case) -> list[list[str | None]]:
    return [[case["value"]]] if "expr" in case else case["rows"]
