"""One structured line in the log for each try of a task, and its seconds for the run's report.

Code that knows a number records it with :func:`record`; the hooks, which every task
has by :func:`medlaunch.operate.schedules.task_defaults`, write the line::

    task {"task":"load_bronze","dag":"...","run":"...","outcome":"success","seconds":1.2,"lines":9155,...}

It holds counts, bytes, seconds and keys of objects: no content of records, and of an error its type only.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from airflow.sdk import Context

log = logging.getLogger(__name__)

#: XCom key of a task's seconds.
SECONDS = "seconds"
_LISTED = 20


class TaskTime(msgspec.Struct, frozen=True, kw_only=True):
    """What a task took: its instances (mapped ones are several), all of them together, and the longest."""

    task: str
    instances: int
    seconds: float
    longest_seconds: float


class _Try:
    """The try that this process is at; a worker's process has one task, ``dag.test()`` one after the other."""

    def __init__(self) -> None:
        self.began = perf_counter()
        self.counts: dict[str, float] = {}
        self.keys: list[str] = []
        self.more_keys = 0


_now = _Try()


def record(*, keys: Iterable[str] = (), **counts: float) -> None:
    """Record what the task did: numbers of the same name add up, the first keys are listed."""
    for name, count in counts.items():
        _now.counts[name] = _now.counts.get(name, 0) + count
    for key in keys:
        if len(_now.keys) < _LISTED:
            _now.keys.append(key)
        else:
            _now.more_keys += 1


def begin(context: Context) -> None:  # noqa: ARG001  # Airflow passes it
    """Hook before each task."""
    global _now
    _now = _Try()


def end(context: Context, result: Any = None) -> None:  # noqa: ARG001  # Airflow passes it
    """Hook after each task that did its work."""
    line = _line(context, "success")
    context["ti"].xcom_push(SECONDS, line["seconds"])


def failed(context: Context) -> None:
    """Callback of a try that failed, the last one or one that is followed by another."""
    error = context.get("exception")
    if error is None:
        return  # in the dag processor, for a task whose process is gone
    _line(context, "failed", error=type(error).__name__)


def _line(context: Context, outcome: str, **more: str) -> dict[str, Any]:
    ti = context["ti"]
    line = {
        "task": ti.task_id,
        "dag": ti.dag_id,
        "run": context["run_id"],
        "map_index": ti.map_index,
        "try": ti.try_number,
        "outcome": outcome,
        **more,
        "seconds": round(perf_counter() - _now.began, 3),
        **_now.counts,
        "keys": _now.keys,
        "more_keys": _now.more_keys,
    }
    log.info("task %s", msgspec.json.encode(line).decode())
    return line


def times(context: Context) -> list[TaskTime]:
    """The tasks before the one that asks, in their order, with the seconds that each took."""
    task = context["task"]
    before = task.get_flat_relative_ids(upstream=True)
    found = []
    for one in task.dag.topological_sort():  # type: ignore[union-attr]  # a running task has its DAG
        if one.task_id in before:
            pushed = context["ti"].xcom_pull(task_ids=one.task_id, key=SECONDS)
            seconds = _parts(pushed)
            if seconds:
                found.append(
                    TaskTime(
                        task=one.task_id,
                        instances=len(seconds),
                        seconds=round(sum(seconds), 3),
                        longest_seconds=max(seconds),
                    )
                )
    return found


def _parts(pushed: Any) -> list[float]:
    """One XCom, or those of a mapped task, or none."""
    if pushed is None:
        return []
    return [pushed] if isinstance(pushed, int | float) else [one for one in pushed if one is not None]
