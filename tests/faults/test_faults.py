"""The matrix itself is `make test-faults`; one cell here keeps it alive."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import report
from tests.faults.__main__ import play
from tests.faults.cells import STEPS
from tests.faults.harness import Harness
from tests.faults.matrix import matrix
from tests.faults.stage import References, Stage


@pytest.fixture(scope="module")
def stage() -> Iterator[Stage]:
    with Harness() as harness:
        yield Stage(harness, References())


# Half a minute; on a machine that is busy with others, many.
@pytest.mark.timeout(1200)
def test_a_publication_that_is_killed_in_its_middle_is_taken_up_where_it_was(stage: Stage) -> None:
    name = "publish_results / SIGKILL in the middle of its effects / retry"
    (cell,) = [one for one in matrix() if one.name == name]
    result = play(cell, stage)
    assert result.passed, result.error


def test_every_step_of_the_dag_is_in_the_matrix() -> None:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(Path(__file__).parents[2] / "dags").dags["facility_accreditation"]
    assert set(STEPS) <= set(dag.task_ids)
    # What is left only waits, or tells.
    names = [cell.name for cell in matrix()]
    assert len(names) == len(set(names))
    assert {cell.step for cell in matrix()} >= set(STEPS) | {"wait_for_uploads", "alert"}


def test_the_table_has_the_last_result_of_each_cell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = tmp_path / "reliability.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    monkeypatch.setattr(report, "PAGE", page)
    monkeypatch.setattr(report, "RESULTS", tmp_path / "build" / "faults.json")
    cell = {"group": "killed", "step": "claim", "fault": "SIGKILL", "recovery": "retry", "passed": False,
            "seconds": 61.0, "on": "2026-11-01", "error": "x"}  # fmt: skip
    report.keep(cell)
    report.keep(cell | {"passed": True, "seconds": 59.0})
    assert [one["passed"] for one in json.loads(report.RESULTS.read_text(encoding="utf-8")).values()] == [
        True
    ]
    report.write(["claim / SIGKILL / retry", "never / played / yet"])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "2 cells, 1 carried out, 1 passed, 0 failed; 1 minutes" in text
    assert "| `claim` | SIGKILL | retry | ok | 59 | 2026-11-01 |" in text
    assert "never" not in text
