"""Runs that fail in every way there is, and some that do not, wired for alerts as the pipelines are."""

from __future__ import annotations

import os
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, get_current_context, task
from airflow.sdk.exceptions import AirflowSkipException

from medlaunch.aws.documents import current_run
from medlaunch.ingest.uploads import BATCH, Batch, Upload
from medlaunch.operate import alerts, schedules

KEYS = [
    'landing/facilities/2026-11-01/Clínicas "Río Grande" ☂.json',
    "landing/facilities/2026-11-01/it's 100% a+b & c=1.jsonl",
    *(f"landing/facilities/2026-11-01/part {number:02d}.jsonl" for number in range(23)),
]


def case(name: str, **options: Any) -> DAG:
    """A DAG as the pipelines have them, but without retries unless a case is about them."""
    return DAG(
        f"alert_{name}",
        schedule=None,
        default_args=schedules.task_defaults() | {"retries": 0},
        on_failure_callback=alerts.alert_fallback,
        catchup=False,
        **options,
    )


@task
def claim() -> None:
    """Writes the batch that a pipeline's claim task writes."""
    run, now = current_run(), datetime.now(UTC)
    uploads = [
        Upload(
            key=key, dataset="facilities", slice="2026-11-01", size=1, etag="0" * 32, last_modified=now,
            upload_id=f"{number:024x}",
        )
        for number, key in enumerate(KEYS)
    ]  # fmt: skip
    batch = Batch(
        pipeline=run.name, run_id=run.run_id, run=run.key, params={"as_of": "2026-11-20"}, claimed_at=now, uploads=uploads, skipped=[], left_for_next_run=0, groups=1,
    )  # fmt: skip
    run.put(BATCH, batch)


@task
def fine() -> None:
    """Succeeds."""


@task
def raises() -> None:
    int("Jane Doe, born 1970-01-01")  # a value of a record, which no alert may carry


def wait_for_a_signal() -> None:
    """Does nothing until the process is killed."""
    while True:
        signal.pause()


with case("raises"):
    claim() >> raises() >> fine() >> alerts.alert()


with case("all_retries"):

    @task(retries=2)
    def fails_always() -> None:
        attempt = get_current_context()["ti"].try_number
        raise RuntimeError(f"attempt {attempt} failed")

    fails_always() >> alerts.alert()


with case("parallel"):

    @task
    def part(number: int) -> None:
        if number != 1:
            raise ConnectionError(f"part {number} is lost")

    parts, other = part.expand(number=[0, 1, 2]), raises()
    [parts, other] >> fine()
    # Not of what comes after them alone: that is done, not to be run, as soon as the first one has failed.
    [parts, other] >> alerts.alert()


with case("killed"):

    @task(retries=1)
    def kills_itself() -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    claim() >> kills_itself() >> alerts.alert()


with case("killed_from_outside"):

    @task
    def waits() -> None:
        get_current_context()["ti"].xcom_push("pid", os.getpid())
        wait_for_a_signal()

    waits() >> alerts.alert()


with case("worker_lost"):

    @task
    def loses_its_worker() -> None:
        # As when a machine dies: neither the task nor what watches over it can say a word any more.
        os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    loses_its_worker() >> alerts.alert()


with case("timeout", dagrun_timeout=timedelta(seconds=15)):

    @task
    def never_ends(number: int) -> None:
        wait_for_a_signal()

    claim() >> never_ends.expand(number=[7]) >> alerts.alert()


with case("task_timeout"):

    @task(execution_timeout=timedelta(seconds=1))
    def takes_too_long() -> None:
        wait_for_a_signal()

    takes_too_long() >> alerts.alert()


with case("sns_refuses"):
    claim() >> raises() >> alerts.alert()


with case("alert_task_fails"):
    last = alerts.alert()
    last.operator.retries = 0
    raises() >> last


with case("retry_succeeds"):

    @task(retries=1)
    def succeeds_at_last() -> None:
        if get_current_context()["ti"].try_number == 1:
            raise RuntimeError("not yet")

    succeeds_at_last() >> alerts.alert()


with case("succeeds"):

    @task
    def skips() -> None:
        raise AirflowSkipException("nothing to do")

    [claim() >> fine(), skips()] >> alerts.alert()
