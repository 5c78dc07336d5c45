"""From an upload to its publication on the laptop's stack, and what of it is the pipeline's own.

The same stack runs a DAG of empty tasks, one after the other: what Airflow takes for a task that does nothing. A run
of the pipeline, from the moment at which its sensor has seen the upload to its end, is compared with as many empty tasks
as follow one another in it.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from benchmarks.harness import ROOT
from laptop import aws, lifecycle
from laptop.airflow_stack import Airflow
from laptop.stack import Stack
from medlaunch import lake
from tests.factories import facility, lines

DAG = "facility_accreditation"
UPLOADS = 5
EMPTY_TASKS = 6
_SECONDS = 600
_EMPTY = f"""
from airflow.sdk import DAG, task, chain

with DAG("bench_empty", schedule=None):
    @task
    def nothing() -> None:
        pass

    chain(*(nothing.override(task_id=f"nothing_{{n}}")() for n in range({EMPTY_TASKS})))
"""


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


def _seconds_of_an_empty_task(airflow: Airflow) -> float:
    """From the end of an empty task to the end of the next one, the median of two runs."""
    airflow.pause("bench_empty", paused=False)
    gaps = []
    for _ in range(2):
        run_id = airflow.trigger("bench_empty")
        if airflow.wait_for_run("bench_empty", run_id, _SECONDS) != "success":
            raise RuntimeError("the run of empty tasks failed")
        ends = sorted(_moment(one["end_date"]) for one in airflow.tasks("bench_empty", run_id))
        gaps += [(b - a).total_seconds() for a, b in pairwise(ends)]
    return statistics.median(gaps)


def _published(stack: Stack, s3: Any, before: int) -> bool:
    prefix = lake.publication_prefix(DAG)
    found = s3.list_objects_v2(Bucket=stack.settings.bucket, Prefix=prefix).get("KeyCount", 0)
    return bool(found > before)


def tasks_on_the_path(dependencies: Mapping[str, list[str]], last: str) -> int:
    """How many tasks follow one another until ``last`` has ended, itself included."""
    upstream: dict[str, set[str]] = {name: set() for name in dependencies}
    for name, downstream in dependencies.items():
        for one in downstream:
            upstream[one].add(name)

    def depth(name: str) -> int:
        return 1 + max((depth(one) for one in upstream[name]), default=0)

    return depth(last)


def _seconds_after_the_sensor(airflow: Airflow, run_id: str) -> float:
    airflow.wait_for_run(DAG, run_id, _SECONDS)
    ends = {one["task_id"]: _moment(one["end_date"]) for one in airflow.tasks(DAG, run_id)}
    return (ends["alert"] - ends["wait_for_uploads"]).total_seconds()


def run() -> list[dict[str, Any]]:
    """Rows: seconds to publication, tasks on the path, and a run against as many empty tasks."""
    with tempfile.TemporaryDirectory(prefix="bench-stack-") as home:
        dags = Path(home, "dags")
        shutil.copytree(ROOT / "dags", dags, ignore=shutil.ignore_patterns("__pycache__"))
        (dags / "bench_empty.py").write_text(_EMPTY)
        stack = Stack(
            home=Path(home),
            aws_port=lifecycle.free_port(),
            airflow_port=lifecycle.free_port(),
            dags_folder=dags,
            overrides={"MEDLAUNCH_SENSOR_POKE_SECONDS": "1"},
        )
        with lifecycle.stack_running(stack) as airflow:
            empty = _seconds_of_an_empty_task(airflow)
            airflow.pause(DAG, paused=False)
            listed = airflow.get(f"/dags/{DAG}/tasks")["tasks"]
            dependencies = {one["task_id"]: one["downstream_task_ids"] for one in listed}
            path = tasks_on_the_path(dependencies, "publish_results")
            whole = tasks_on_the_path(dependencies, "alert") - 1  # the sensor has ended by then
            s3 = aws.client(stack, "s3")
            seconds, runs = [], []
            for number in range(UPLOADS + 1):
                # The next run waits in its sensor, deferred.
                airflow.wait_for(lambda: _waits(airflow), "a waiting run", _SECONDS)
                run_id = airflow.runs(DAG)[0]["dag_run_id"]
                count = s3.list_objects_v2(Bucket=stack.settings.bucket, Prefix=lake.publication_prefix(DAG))
                began = time.monotonic()
                s3.put_object(
                    Bucket=stack.settings.bucket,
                    Key=f"landing/facilities/2026-11-0{number + 1}/a.jsonl",
                    Body=lines(*(facility(n) for n in range(100))),
                )
                deadline = began + _SECONDS
                while not _published(stack, s3, count.get("KeyCount", 0)):
                    if time.monotonic() > deadline:
                        raise TimeoutError("nothing was published")
                    time.sleep(0.1)
                took = time.monotonic() - began
                if number:
                    seconds.append(took)
                    runs.append(_seconds_after_the_sensor(airflow, run_id))
    spread = f"{min(seconds):.1f} to {max(seconds):.1f}"
    return [
        {
            "what": f"from upload to published, median of {UPLOADS} ({spread})",
            "plain": "32 s before",
            "ours": f"{statistics.median(seconds):.1f} s",
            "ratio": 32 / statistics.median(seconds),
            "goal": "15 s on a quiet laptop",
        },
        {
            "what": "tasks one after the other until results are published",
            "plain": "11 before",
            "ours": f"{path}",
            "ratio": path / 11,
            "goal": "<= 9 tasks",
        },
        {
            "what": f"a run from its sensor on, {whole} tasks one after the other",
            "plain": f"{whole} empty tasks, {empty:.2f} s each",
            "ours": f"{statistics.median(runs):.1f} s",
            "ratio": statistics.median(runs) / (whole * empty),
            "goal": "<= 1.3",
        },
    ]


def _waits(airflow: Airflow) -> bool:
    newest = airflow.runs(DAG)[:1]
    return (
        bool(newest)
        and airflow.task_states(DAG, newest[0]["dag_run_id"]).get("wait_for_uploads") == "deferred"
    )


if __name__ == "__main__":
    for row in run():
        print(row)
