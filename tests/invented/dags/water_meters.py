"""Water meters: readings of each month.

**Params**: `unit`. **Outputs**: `meter_readings`, `month_totals`. **When it fails**: it is invented.

{permissions}
"""

from __future__ import annotations

from airflow.sdk import Param, chain, dag, task_group

from medlaunch import permissions, tasks
from medlaunch.operate import alerts, schedules
from medlaunch.permissions.pipeline import statements
from tests.invented.meters import WATER_METERS as PIPELINE


@task_group
def extract() -> None:
    """From bronze to the results."""
    tasks.extract(PIPELINE, "meter_readings", "The latest reading of each meter.")
    tasks.extract(PIPELINE, "month_totals", "Litres of each month.")


@dag(
    **schedules.dag_settings(PIPELINE),
    schedule=None,
    description="Readings of water meters",
    params={"unit": Param("litres", type="string", description="Unit of the readings.")},
    doc_md=permissions.documented(__doc__, statements(PIPELINE)),
)
def water_meters() -> None:
    waited, claimed = tasks.wait_for_uploads(PIPELINE), tasks.claim_uploads(PIPELINE)
    prepared, loaded = tasks.prepare_tables(PIPELINE), tasks.load_bronze(PIPELINE, claimed)
    extracted, checked = extract(), tasks.check_results(PIPELINE)
    reported, archived = tasks.write_report(PIPELINE), tasks.archive_uploads(PIPELINE)
    waited >> [claimed, prepared]
    prepared >> extracted
    chain(
        loaded,
        tasks.plan_slices(PIPELINE),
        extracted,
        checked,
        tasks.publish_results(PIPELINE),
        [reported, archived],
    )
    [loaded, prepared, extracted, checked, reported, archived] >> alerts.alert()


water_meters()
