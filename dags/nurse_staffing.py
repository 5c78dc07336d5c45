"""Nurse staffing: from files of CMS to hours per resident and day.

Reads two data sets, side by side: the Payroll-Based Journal from `landing/pbj/` (hours by job and residents of each
facility and day) and Provider Information from `landing/provider_info/` (beds, ratings and penalties of each facility
and month), as CSV, gzip or zip, in any folder and under any name. Each merges its records into silver, and publishes the
facts of the quarters that it touched. The two are independent: if one fails, the other goes on and publishes, and the run
fails with one alert.

**Params**

| param | meaning | default |
|---|---|---|
| `expect_change` | hours of a state may differ from the quarter before by more than `MEDLAUNCH_MAX_CHANGE_SHARE` | off |

Example conf: `{"expect_change": true}`

**Outputs** (below `s3://<bucket>/prod/`, Iceberg tables and views of the Glue database)

| table or view | what |
|---|---|
| `silver_pbj_daily`, `silver_provider_info` | the latest record of each facility and day, and of each facility and month |
| `gold_daily_staffing_fact` | residents and hours by group of each facility and day |
| `gold_quarterly_provider_fact` | what CMS published of each facility last in each quarter |
| `gold_facility_dim` | each facility as it was known last |
| `v_hprd_*` | hours per resident and day, of facilities and states, by month and quarter; and beside those of CMS |
| `v_weekend_gap_*`, `v_staffing_mix_*` | weekends beside weekdays; contract staff beside employees |
| `v_bed_utilization_*`, `v_staffing_vs_occupancy_month` | beds in use; staffing beside it |

Rules and measures: `docs/nurse-staffing.md`. Rejected records are in `quarantine/`, the reports of every record in
`reports/nurse_staffing.pbj/` and `reports/nurse_staffing.provider_info/`.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: one alert names the failed tasks and the runbook `docs/runbooks/nurse_staffing_failed.md`. Uploads stay in
landing until they are published, so clearing the failed task, or the next run, continues the work. A run that skipped an
unreadable upload succeeds and sends a warning: `docs/runbooks/skipped_data.md`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from airflow.sdk import Param, TaskGroup, chain, dag, task_group

from medlaunch import permissions, tasks
from medlaunch.declaration import Pipeline
from medlaunch.operate import alerts, schedules
from medlaunch.pipelines import PBJ, PROVIDER_INFO


@task_group(group_id="extract")
def extract_pbj() -> None:
    """Athena computes the quarters of the run as they will be, into the run's own staging prefix."""
    silver = tasks.extract(
        PBJ,
        "silver_pbj_daily",
        "Of the new records and those of silver, the latest of each facility and day.",
    )
    silver >> [
        tasks.extract(
            PBJ, "gold_daily_staffing_fact", "Residents and hours by group of each facility and day."
        ),
        tasks.extract(
            PBJ, "gold_pbj_facility", "Name, city, county and state of each facility on its latest day."
        ),
    ]


@task_group(group_id="extract")
def extract_provider_info() -> None:
    """Athena computes the quarters of the run as they will be, into the run's own staging prefix."""
    silver = tasks.extract(
        PROVIDER_INFO,
        "silver_provider_info",
        "Of the new records and those of silver, the latest of each facility and snapshot.",
    )
    silver >> tasks.extract(
        PROVIDER_INFO, "gold_quarterly_provider_fact", "The latest snapshot of each facility in each quarter."
    )


def publish(pipeline: Pipeline, extract: Callable[[], Any], waited: Any, prepared: Any) -> list[Any]:
    """One track, from claiming uploads to archiving them; gives what can fail side by side."""
    claimed = tasks.claim_uploads(pipeline)
    loaded = tasks.load_bronze(pipeline, claimed)
    extracted = extract()
    checked = tasks.check_results(pipeline)
    reported, archived = tasks.write_report(pipeline), tasks.archive_uploads(pipeline)

    waited >> claimed
    prepared >> extracted
    chain(
        loaded,
        tasks.plan_slices(pipeline),
        extracted,
        checked,
        tasks.publish_results(pipeline),
        [reported, archived],
    )
    return [loaded, checked, reported, archived]


@dag(
    **schedules.dag_settings(PBJ),
    schedule=schedules.on_uploads(PBJ),
    description="From CMS's staffing files to hours per resident and day, by facility, state, month and quarter",
    params={
        "expect_change": Param(
            False,
            type="boolean",
            title="Expect other hours",
            description="On: hours per resident and day of a state may differ from the quarter before by more than "
            "MEDLAUNCH_MAX_CHANGE_SHARE allows.",
        ),
    },
    doc_md=permissions.documented(__doc__, permissions.of(PBJ.dag_id)),
)
def nurse_staffing() -> None:
    waited = tasks.wait_for_uploads(PBJ, PROVIDER_INFO)
    prepared = tasks.prepare_tables(PBJ)
    waited >> prepared
    with TaskGroup(PBJ.track, tooltip="Hours and residents of each facility and day."):
        pbj = publish(PBJ, extract_pbj, waited, prepared)
    with TaskGroup(PROVIDER_INFO.track, tooltip="Beds, ratings and penalties of each facility and month."):
        provider_info = publish(PROVIDER_INFO, extract_provider_info, waited, prepared)
    [prepared, *pbj, *provider_info] >> alerts.alert()


nurse_staffing()
