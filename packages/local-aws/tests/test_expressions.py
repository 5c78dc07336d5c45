"""Expressions and queries against the values of cases.jsonl, which Trino confirms (make test-trino)."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from local_aws_tests import cases
from local_aws_tests.harness import Athena

CASES = cases.load()
VALUES = [c for c in CASES if "fails" not in c]
FAILURES = [c for c in CASES if "fails" in c]


@pytest.fixture(scope="module")
def queries(client: Callable[[str], Any]) -> Athena:
    """One database for all: the statements change nothing."""
    name = f"cases-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(Bucket=name)
    return Athena(client("athena"), name, "default")


def _ids(chosen: list[cases.Case]) -> list[str]:
    return [cases.statement(c).removeprefix("SELECT ")[:60] for c in chosen]


@pytest.mark.supports(
    "Expressions", "A thousand expressions and queries, with values that a real Trino 435 gives, too"
)
@pytest.mark.parametrize("case", VALUES, ids=_ids(VALUES))
def test_value(queries: Athena, case: cases.Case) -> None:
    assert queries(cases.statement(case)).data == cases.expected(case), case["source"]


@pytest.mark.supports("Expressions", "Failures with Trino's codes, texts and positions")
@pytest.mark.parametrize("case", FAILURES, ids=_ids(FAILURES))
def test_failure(queries: Athena, case: cases.Case) -> None:
    assert queries.fails(cases.statement(case)).startswith(case["fails"]), case["source"]


def test_cases_are_complete() -> None:
    statements = [cases.statement(c) for c in CASES]
    assert len(set(statements)) == len(statements) > 1000
    assert all(c["source"].startswith("https://") for c in CASES)
    assert all(("trino" in c) == bool(c.get("because")) for c in CASES)


def test_values_in_different_time_zones(queries: Athena) -> None:
    """A column may hold several zones: it can be compared, and what depends on the zone fails by name."""
    mixed = "(VALUES timestamp '2012-10-31 01:00 America/New_York', timestamp '2012-10-31 05:00 UTC') AS t(x)"
    assert queries(f"SELECT count(DISTINCT x) FROM {mixed}").data == [["1"]]
    assert (
        queries(f"SELECT x AT TIME ZONE 'Asia/Tokyo' FROM {mixed}").data
        == [["2012-10-31 14:00:00.000 Asia/Tokyo"]] * 2
    )
    assert queries.fails(f"SELECT x FROM {mixed}").startswith(
        "NOT_SUPPORTED: A column of timestamps in different time zones"
    )


def test_a_column_named_like_a_parameter_of_generated_sql(queries: Athena) -> None:
    rows = "(VALUES (MAP(ARRAY['a'], ARRAY[1]), CAST(ROW('wrong') AS ROW(key varchar)))) AS t(m, y)"
    assert queries(f"SELECT map_entries(m), y.key FROM {rows}").data == [["[{field0=a, field1=1}]", "wrong"]]
