"""Check that the pipelines publish: one alert when nothing was published for too long.

Looks by the clock (`MEDLAUNCH_FRESHNESS_CRON`) when uploads were last published. If that is longer ago than
`MEDLAUNCH_STALE_AFTER_SECONDS` one alert goes to the alerts topic; the next one comes only after something was
published and has become too old again. Rolling back does not count as publishing.

**Params**

None. `MEDLAUNCH_STALE_AFTER_SECONDS=0` switches it off.

**Outputs**: an alert, one small document per pipeline in `freshness/`, and the run's note.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/check_freshness_failed.md`; the next check is independent of this one. When it alerts:
`docs/runbooks/<pipeline>_stale.md`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from medlaunch import permissions
from medlaunch.operate import alerts, tools
from medlaunch.settings import settings


@dag(
    "check_freshness",
    dag_display_name="Check freshness",
    description="One alert when a pipeline has published nothing for too long",
    schedule=settings().freshness_cron if settings().stale_after_seconds else None,
    **tools.dag_settings(
        max_consecutive_failed_dag_runs=24,
        dagrun_timeout=timedelta(minutes=30),
    ),
    doc_md=permissions.documented(__doc__, permissions.of("check_freshness")),
)
def check_freshness() -> None:
    tools.check_freshness() >> alerts.alert()


check_freshness()
