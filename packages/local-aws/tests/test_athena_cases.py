"""The examples and rules of Amazon Athena's user guide, in cases-athena.jsonl."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from local_aws_tests import cases
from local_aws_tests.harness import Athena

EVERYTHING = cases.load(cases.ATHENA)
CASES = [c for c in EVERYTHING if "define" not in c]


def _parameter(number: int, case: cases.Case) -> Any:
    page = case["source"].rsplit("/", 1)[-1].removesuffix(".html")
    # A case that passes leaves the list: strict makes a failure of it.
    marks = [pytest.mark.xfail(strict=True, reason=case["known_failure"])] if "known_failure" in case else []
    return pytest.param(case, marks=marks, id=f"{number}-{page}")


@pytest.fixture(scope="module")
def runner(client: Callable[[str], Any]) -> cases.Runner:
    bucket = f"cases-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(Bucket=bucket)
    return cases.Runner(Athena(client("athena"), bucket, "default"), client("s3"), client("glue"), EVERYTHING)


@pytest.mark.parametrize("case", [_parameter(i, c) for i, c in enumerate(CASES)])
def test_case(runner: cases.Runner, case: cases.Case) -> None:
    given = runner.difference(case)
    assert given is None, f"{cases.statement(case)}\nfrom {case['source']}\ngave {given}"


def test_cases_are_complete() -> None:
    kinds = ({"expr", "value"}, {"sql", "rows"}, {"sql", "fails"}, {"sql", "succeeds"})
    names = [c["define"] for c in EVERYTHING if "define" in c]
    assert len(set(names)) == len(names)
    for case in CASES:
        assert case["source"].startswith("https://")
        assert sum(kind <= case.keys() for kind in kinds) == 1, case
        assert ("trino" in case) == bool(case.get("because"))
        assert set(case.get("with", [])) <= set(names)
    unique = {json.dumps({k: v for k, v in c.items() if k != "source"}, sort_keys=True) for c in CASES}
    assert len(unique) == len(CASES)
