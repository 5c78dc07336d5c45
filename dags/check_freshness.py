"""Check that the pipelines publish: one alert when nothing was published for too long.

Looks by the clock (`MEDLAUNCH_FRESHNESS_CRON`) when uploads were last published. If that is longer ago than
`MEDLAUNCH_STALE_AFTER_SECONDS` one alert goes to the alerts topic; the next one comes only after something was
published and has become too old again. Rolling back does not count as publishing.

**Params**

None. `MEDLAUNCH_STALE_AFTER_SECONDS=0` switches it off.

**Outputs**: an alert, one small document for each pipeline in `reports/freshness/`, and the run's note.

**Permissions** of the workers' role, one statement a need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/check_freshness_failed.md`; the next check is independent of this one. When it alerts:
`docs/runbooks/facility_accreditation_stale.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import dag, task
from airflow.sdk.exceptions import AirflowSkipException

from medlaunch import alerts, freshness, operations, permissions, schedules
from medlaunch.pipelines import PIPELINES
from medlaunch.runs import current_run
from medlaunch.settings import settings


@task
def check_freshness() -> str:
    """Alert once for each pipeline that has not published for too long; returns the run's note."""
    stale_after = timedelta(seconds=settings().stale_after_seconds)
    if not stale_after:
        raise AirflowSkipException("MEDLAUNCH_STALE_AFTER_SECONDS is 0: freshness is not checked")
    run = current_run()
    return "\n\n".join(
        freshness.check(run, pipeline, stale_after, alerts.send_stale).summary()
        for pipeline in PIPELINES.values()
    )


@dag(
    "check_freshness",
    dag_display_name="Check freshness",
    description="One alert when a pipeline has published nothing for too long",
    schedule=settings().freshness_cron if settings().stale_after_seconds else None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    max_consecutive_failed_dag_runs=24,
    dagrun_timeout=timedelta(minutes=30),
    on_failure_callback=alerts.alert_if_nobody_did,
    default_args=schedules.task_defaults(),
    tags=[operations.TAG, "medlaunch"],
    doc_md=permissions.documented(__doc__, "check_freshness"),
)
def check_freshness_dag() -> None:
    check_freshness() >> alerts.alert()


check_freshness_dag()
