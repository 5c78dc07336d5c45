"""Clinical quality: from FHIR resources to measures.

Reads Patient, Encounter and Condition resources (NDJSON, arrays, Bundles) from `landing/fhir/<folder>/`, keeps the newest
version of each, and publishes hospital stays, infections, and the measures of each organization and month: mortality,
readmission, hospital-onset infection, length of stay. Rules and definitions: `docs/clinical-quality.md`.

A run starts with new uploads. One that has waited for `MEDLAUNCH_SENSOR_TIMEOUT_SECONDS` (a day) without any computes the
measures anew: with a `data_end` that moves with the days, 30-day windows close.

**Params**

| param | meaning | default |
|---|---|---|
| `data_end` | last day that the data cover, `YYYY-MM-DD`, or `P3D`: three days before today | the last discharge of all stays |
| `stay_classes` | codes of Encounter.class that are hospital stays | `IMP,ACUTE,NONAC` |
| `facility_timezone` | time zone to whose days times with an offset are converted | days as written |
| `refresh` | do not wait for uploads: compute the measures anew | off |

Example conf: `{"data_end": "2026-09-30", "refresh": true}`

**Outputs** (below `s3://<bucket>/prod/`, tables and views of the Glue database)

| table or view | what |
|---|---|
| `silver_patient`, `silver_encounter`, `silver_condition` | current version of each resource, with its real id: not for readers |
| `gold_stays` | one row per encounter: whether it is a stay, and what each measure makes of it |
| `gold_infection_events` | one row per infection, and why it counts or not |
| `gold_clinical_measures` | each measure of each organization and month, with numerator, denominator and exclusions |
| `v_*` | one view per measure, overviews, and `v_public_clinical_measures` with small counts suppressed |

Rejected resources are in `quarantine/fhir/`, the report of every resource in `reports/clinical_quality/`.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

It also reads the Airflow connection `MEDLAUNCH_PSEUDONYM_CONN_ID`, whose password is the key of pseudonyms.

**When it fails**: one alert names the failed tasks and the runbook `docs/runbooks/clinical_quality_failed.md`.
Nothing that is published changes in a failed run and the uploads stay in landing, so clearing the failed
task, or the next run, continues the work. A run that skipped an unreadable upload succeeds and sends a warning:
`docs/runbooks/skipped_data.md`.
"""

from __future__ import annotations

from airflow.sdk import Param, chain, dag, task_group

from medlaunch import permissions, tasks
from medlaunch.operate import alerts, schedules
from medlaunch.pipelines import CLINICAL_QUALITY as PIPELINE


@task_group
def extract() -> None:
    """Athena computes the results into the run's own staging prefix."""
    versions = [
        tasks.extract(
            PIPELINE, "silver_patient", "Patients of the run's uploads that are newer than those in silver."
        ),
        tasks.extract(PIPELINE, "silver_encounter", "Encounters that are newer than those in silver."),
        tasks.extract(PIPELINE, "silver_condition", "Conditions that are newer than those in silver."),
    ]
    chain(
        versions,
        tasks.extract(
            PIPELINE,
            "gold_stays",
            "Stays, episodes of care, and what each measure makes of them; of silver as it will be after the merge.",
        ),
        tasks.extract(
            PIPELINE, "gold_infection_events", "Infections: where each began, and whether it counts."
        ),
        tasks.extract(PIPELINE, "gold_clinical_measures", "Each measure of each organization and month."),
    )


@dag(
    **schedules.dag_settings(PIPELINE),
    schedule=schedules.on_uploads(PIPELINE),
    description="From FHIR resources to published mortality, readmission, infection and length of stay",
    params={
        "data_end": Param(
            None,
            type=["null", "string"],
            pattern=r"^(\d{4}-\d{2}-\d{2}|P\d{1,4}D)$",
            title="Data end",
            description="Last day that the data cover, YYYY-MM-DD, or P3D: three days before today. Empty: the last "
            "discharge of all stays.",
        ),
        "stay_classes": Param(
            "IMP,ACUTE,NONAC",
            type="string",
            pattern=r"^[A-Za-z0-9._-]+( *, *[A-Za-z0-9._-]+)*$",
            title="Stay classes",
            description="Codes of Encounter.class that are hospital stays, with commas between.",
        ),
        "facility_timezone": Param(
            None,
            type=["null", "string"],
            title="Time zone",
            description="Times with an offset are converted to this zone before their day is taken, as in "
            "America/New_York. Empty: days are taken as written.",
        ),
        "refresh": Param(
            False,
            type="boolean",
            title="Refresh",
            description="On: do not wait for uploads, compute the measures anew.",
        ),
    },
    doc_md=permissions.documented(__doc__, permissions.of(PIPELINE.dag_id)),
)
def clinical_quality() -> None:
    waited = tasks.wait_for_uploads(PIPELINE)
    claimed = tasks.claim_uploads(PIPELINE)
    prepared = tasks.prepare_tables(PIPELINE)
    loaded = tasks.load_bronze(PIPELINE, claimed)
    planned, extracted = tasks.plan_slices(PIPELINE), extract()
    checked = tasks.check_results(PIPELINE)
    reported, archived = tasks.write_report(PIPELINE), tasks.archive_uploads(PIPELINE)

    waited >> [claimed, prepared]
    prepared >> extracted
    chain(loaded, planned, extracted, checked, tasks.publish_results(PIPELINE), [reported, archived])
    [loaded, prepared, extracted, checked, reported, archived] >> alerts.alert()


clinical_quality()
