"""One line per try of a task: numbers and keys, bounded, and nothing of a record."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import medlaunch
from medlaunch.operate import task_metrics

ROOT = Path(__file__).parents[3]


class Task:
    """What the hooks use of a task instance."""

    task_id, dag_id, map_index, try_number = "load_bronze", "dag", 3, 2

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
def context() -> Any:
    return {"ti": Task(), "run_id": "manual__1"}


def line(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    (record,) = caplog.records
    word, _, text = record.getMessage().partition(" ")
    assert word == "task"
    return json.loads(text)


def test_counts_add_up_and_keys_are_bounded(context: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "medlaunch.operate.task_metrics")
    task_metrics.record(lines=99, keys=["of the task before"])
    task_metrics.begin(context)
    task_metrics.record(lines=2, keys=[f"k{number}" for number in range(15)])
    task_metrics.record(lines=3, bytes=7, keys=[f"l{number}" for number in range(15)])
    task_metrics.end(context, None)
    said = line(caplog)
    assert (said["lines"], said["bytes"], len(said["keys"]), said["more_keys"]) == (5, 7, 20, 10)
    assert (said["task"], said["map_index"], said["try"], said["outcome"]) == ("load_bronze", 3, 2, "success")
    assert context["ti"].pushed == {task_metrics.SECONDS: said["seconds"]}


def test_of_an_error_only_its_type_is_said(context: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "medlaunch.operate.task_metrics")
    task_metrics.begin(context)
    task_metrics.failed({**context, "exception": ValueError("Jane Doe, born 1970-01-01")})
    assert (line(caplog)["outcome"], line(caplog)["error"]) == ("failed", "ValueError")
    assert "Jane" not in caplog.text
    assert context["ti"].pushed == {}
    caplog.clear()
    task_metrics.failed(context)  # in the dag processor nothing is known
    assert caplog.records == []


def test_the_seconds_of_the_tasks_before() -> None:
    pushed: dict[str, Any] = {
        "claim": 1.5,
        "load": [2.0, None, 3.0],
        "skipped": None,
        "after": 9.0,
    }
    tasks = [SimpleNamespace(task_id=name) for name in pushed]
    task = SimpleNamespace(
        dag=SimpleNamespace(topological_sort=lambda: tasks),
        get_flat_relative_ids=lambda upstream: {"claim", "load", "skipped"} if upstream else set(),
    )
    ti = SimpleNamespace(
        xcom_pull=lambda task_ids, key: pushed[task_ids] if key == task_metrics.SECONDS else None
    )
    context: Any = {"task": task, "ti": ti}
    assert task_metrics.times(context) == [
        task_metrics.TaskTime(task="claim", instances=1, seconds=1.5, longest_seconds=1.5),
        task_metrics.TaskTime(task="load", instances=2, seconds=5.0, longest_seconds=3.0),
    ]


def test_the_version_is_the_projects() -> None:
    (version,) = re.findall(r'^version = "(.+)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert medlaunch.__version__ == version
