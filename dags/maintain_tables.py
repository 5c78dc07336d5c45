"""Keep the Iceberg tables of all pipelines fast and small: compact their files, remove old snapshots.

Each run of a pipeline adds small files, and snapshots that keep what was there before. Once a week
(`MEDLAUNCH_MAINTENANCE_CRON`) Athena rewrites small files into large ones (`OPTIMIZE`) and removes snapshots that are older
than the table keeps them, 30 days, with the files that only they needed (`VACUUM`). Readers and pipelines go on meanwhile.

**Params**

None. An empty `MEDLAUNCH_MAINTENANCE_CRON` leaves it to whoever triggers it.

**Outputs**: the same rows in fewer files. The run's note and its report in `reports/maintain_tables/` say what each table
was before and is now. What was published more than 30 days ago cannot be rolled back to afterwards; replaying its uploads
still works.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/maintain_tables_failed.md`. One table that fails does not stop the others, and no reader
notices: tables only get slower.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import dag

from medlaunch import permissions
from medlaunch.operate import alerts, tools
from medlaunch.settings import settings


@dag(
    "maintain_tables",
    dag_display_name="Maintain tables",
    description="Compacts the files of Iceberg tables and removes their old snapshots",
    schedule=settings().maintenance_cron or None,
    **tools.dag_settings(dagrun_timeout=timedelta(hours=12)),
    doc_md=permissions.documented(__doc__, permissions.of("maintain_tables")),
)
def maintain_tables() -> None:
    maintained, reported = tools.maintain_tables(), tools.report_maintenance()
    maintained >> reported
    [maintained, reported] >> alerts.alert()


maintain_tables()
