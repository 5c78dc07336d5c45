"""Roll back a publication: readers see the previous version again.

For one slice (a snapshot, a quarter), or for everything that one run published. Nothing is computed or copied: the
tables show the earlier version again, all tables of a slice together. The uploads that the bad version
brought stay in the archive and are not published again by a retry or by a later run; upload them again, or
replay them with `include_excluded`, to bring them back.

**Params**

| param | meaning | default |
|---|---|---|
| `pipeline` | whose publication | `facility_accreditation` |
| `slice` | the slice to roll back | empty |
| `run_id` | or: the run of the pipeline whose publications are rolled back, all of them | empty |
| `to_version` | only with `slice`: another version than the previous one | empty |
| `reason` | why; kept in the report and in the table `publications` | empty |
| `dry_run` | only say what would be done | on |

Example conf: `{"slice": "2026-11-01", "reason": "half of the file was missing", "dry_run": false}`

**Outputs**: the partitions of the pipeline's tables, the slice's manifest, one record in the table
`publications`, a report in `reports/rollback_publication/` and the run's note.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/rollback_publication_failed.md`. A refusal has changed nothing and says why;
clearing the failed task continues where it stopped. How to use it: `docs/runbooks/rollback_publication.md`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, chain, dag

from medlaunch import permissions
from medlaunch.operate import alerts, tools
from medlaunch.pipelines import FACILITY_ACCREDITATION, PIPELINES


@dag(
    dag_display_name="Roll back a publication",
    description="Shows readers the previous version of a slice again",
    schedule=None,
    **tools.dag_settings(dagrun_timeout=timedelta(hours=2)),
    params={
        "pipeline": Param(
            FACILITY_ACCREDITATION.dag_id,
            type="string",
            enum=sorted(PIPELINES),
            title="Pipeline",
            description="Whose publication is rolled back.",
        ),
        "slice": tools.slice_param(
            "Slice", "The slice to roll back: a snapshot date, a quarter. Empty: give the run."
        ),
        "run_id": Param(
            None,
            type=["null", "string"],
            maxLength=250,
            title="Run",
            description="The run whose publications are rolled back, all of them. Empty: give the slice.",
        ),
        "to_version": Param(
            None,
            type=["null", "string"],
            maxLength=250,
            title="To version",
            description="Only with a slice: another version than the previous one, from the table publications.",
        ),
        "reason": tools.reason_param(),
        "dry_run": tools.dry_run_param(),
    },
    doc_md=permissions.documented(__doc__, permissions.of("rollback_publication")),
)
def rollback_publication() -> None:
    chain(tools.plan_rollback(), tools.is_meant(), tools.roll_back(), tools.report_rollback(), alerts.alert())


rollback_publication()
