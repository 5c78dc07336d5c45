"""Facility accreditation: from uploads to published results.

Reads facility records from `landing/facilities/<YYYY-MM-DD>/`, and publishes for each snapshot the metrics
of each facility, the rejected lines, the accredited facilities of each state, and the accreditations that
expire soon. A snapshot is published as a whole or not at all; a late or corrected upload publishes its
snapshot anew.

**Params**

| param | meaning | default |
|---|---|---|
| `as_of` | day on which accreditations are looked at, `YYYY-MM-DD` | today in UTC |
| `expiry_window` | ISO-8601 duration from `as_of` on, both ends included: `P6M` months, `P180D` days | `P6M` |
| `expect_shrink` | a snapshot may lose more facilities than `MEDLAUNCH_MAX_SHRINK_SHARE` allows | off |

Example conf: `{"as_of": "2026-11-20", "expiry_window": "P180D"}`

**Outputs** (below `s3://<bucket>/prod/`, tables and views of the Glue database)

| table or view | what |
|---|---|
| `facility_metrics` | one row per accepted facility and snapshot |
| `facility_rejects` | one row per rejected line, with its reasons |
| `accredited_facilities_by_state` | counts, also as a CSV export |
| `expiring_accreditations`, `expiring_facilities` | what expires within the window, also as CSV and NDJSON |
| `current_*` | the same for the newest snapshot |

Rejected lines are in `quarantine/`, the report of every line in `reports/facility_accreditation/`.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: one alert names the failed tasks and the runbook `docs/runbooks/facility_accreditation_failed.md`.
Nothing that is published changes in a failed run and the uploads stay in landing, so clearing the failed
task, or the next run, continues the work. A run that skipped an unreadable upload succeeds and sends a warning:
`docs/runbooks/skipped_data.md`.
"""

from __future__ import annotations

from airflow.sdk import Param, chain, dag, task_group

from medlaunch import permissions, tasks
from medlaunch.operate import alerts, schedules
from medlaunch.pipelines import FACILITY_ACCREDITATION as PIPELINE
from medlaunch.pipelines import facility_accreditation_tasks as own


@task_group
def extract() -> None:
    """Athena computes the results from bronze, into the run's own staging prefix."""
    facilities = tasks.extract(
        PIPELINE,
        "facilities",
        "One record per facility and snapshot: of all accepted lines, the latest wins.",
    )
    tasks.extract(PIPELINE, "facility_rejects", "Rejected lines, each with its reasons.")
    facilities >> [
        tasks.extract(PIPELINE, "facility_metrics", "Metrics of each accepted facility."),
        tasks.extract(
            PIPELINE,
            "accredited_facilities_by_state",
            "Facilities and accredited facilities of each state.",
            values={"states": own.states()},
        ),
        tasks.extract(
            PIPELINE,
            "expiring_accreditations",
            "Accreditations that expire within the window, as a table; `check_results` compares it with the filter.",
        ),
        own.filter_expiring(),
    ]


@dag(
    **schedules.dag_settings(PIPELINE),
    schedule=schedules.on_uploads(PIPELINE),
    description="From uploads of facility records to published metrics, counts by state and what expires soon",
    params={
        "as_of": Param(
            None,
            type=["null", "string"],
            format="date",
            title="As of",
            description="Day on which accreditations are looked at. Empty: today in UTC.",
        ),
        "expiry_window": Param(
            "P6M",
            type="string",
            pattern=r"^P(\d+W|(?=\d)(\d+Y)?(\d+M)?(\d+D)?)$",
            title="Expiry window",
            description="ISO-8601 duration from as_of on, both ends included: P6M, P180D.",
        ),
        "expect_shrink": Param(
            False,
            type="boolean",
            title="Expect fewer facilities",
            description="On: a snapshot may lose more of its facilities than MEDLAUNCH_MAX_SHRINK_SHARE allows.",
        ),
    },
    doc_md=permissions.documented(__doc__, permissions.of(PIPELINE.dag_id)),
)
def facility_accreditation() -> None:
    waited = tasks.wait_for_uploads(PIPELINE)
    claimed = tasks.claim_uploads(PIPELINE)
    prepared = tasks.prepare_tables(PIPELINE)
    loaded = tasks.load_bronze(PIPELINE, claimed)
    extracted = extract()
    checked = tasks.check_results(PIPELINE, exports=own.export_state_counts)
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


facility_accreditation()
