"""What happens over many runs: failures in a row, and nothing published for too long."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from medlaunch.aws.documents import current_run
from medlaunch.aws.objects import get_bytes
from medlaunch.operate import alerts, freshness, schedules
from medlaunch.pipelines import FACILITY_ACCREDITATION

OPTIONS: dict[str, Any] = {
    "start_date": datetime(2026, 1, 1, tzinfo=UTC),
    "catchup": False,
    "max_active_runs": 1,
    "is_paused_upon_creation": True,
    "default_args": schedules.task_defaults() | {"retries": 0},
    "on_failure_callback": alerts.alert_fallback,
}
FAILS_WHILE = "operating-cases/broken"

with DAG("operating_pauses", schedule="@continuous", max_consecutive_failed_dag_runs=3, **OPTIONS):

    @task
    def works() -> None:
        run = current_run()
        if get_bytes(run.s3, run.bucket, FAILS_WHILE) is not None:
            raise ConnectionError("the other side is broken")

    works() >> alerts.alert()


with DAG("operating_stale", schedule=timedelta(seconds=4), **OPTIONS):

    @task
    def check_freshness() -> str:
        silent = replace(FACILITY_ACCREDITATION, dag_id="operating_silent", datasets=())
        return freshness.check(current_run(), silent, timedelta(seconds=6), alerts.send_stale).summary()

    check_freshness() >> alerts.alert()
