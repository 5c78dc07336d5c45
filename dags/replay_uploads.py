"""Replay uploads: restore archived uploads to landing, to be processed once more.

After a rule, a statement or the reference data has changed, or for other params: the pipeline takes what is
restored like any upload, in runs of bounded size, and publishes the slices anew. The files keep the order in which
they first came: a replay never wins over an upload that came later.

**Params**

| param | meaning | default |
|---|---|---|
| `dataset` | whose uploads | `facilities` |
| `slice_from`, `slice_to` | the slices (snapshot dates, quarters), both ends included; give both | empty |
| `include_excluded` | also what a rollback has excluded | off |
| `reason` | why; kept in the report | empty |
| `dry_run` | only say what would be done | on |

Example conf: `{"slice_from": "2026-01-01", "slice_to": "2026-12-31", "reason": "new state list", "dry_run": false}`

**Outputs**: objects in `landing/`, a report in `reports/replay_uploads/` and the run's note.

**Permissions** of the workers' role, one statement per need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/replay_uploads_failed.md`. Clear the failed task: it restores only what is missing.
How to use it: `docs/runbooks/replay_uploads.md`.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import Param, dag

from medlaunch import permissions
from medlaunch.operate import alerts, tools
from medlaunch.pipelines import FACILITY_ACCREDITATION, PIPELINES


@dag(
    dag_display_name="Replay uploads",
    description="Restores archived uploads to landing, to be processed once more",
    schedule=None,
    **tools.dag_settings(dagrun_timeout=timedelta(hours=12)),
    params={
        "dataset": Param(
            FACILITY_ACCREDITATION.datasets[0].name,
            type="string",
            enum=sorted(dataset.name for one in PIPELINES.values() for dataset in one.datasets),
            title="Dataset",
            description="Whose uploads are restored.",
        ),
        "slice_from": tools.slice_param("From", "The first slice: a snapshot date, a quarter."),
        "slice_to": tools.slice_param("To", "The last slice, included."),
        "include_excluded": Param(
            False,
            type="boolean",
            title="Include what was rolled back",
            description="On: also restore uploads that a rollback has excluded.",
        ),
        "reason": tools.reason_param(),
        "dry_run": tools.dry_run_param(),
    },
    doc_md=permissions.documented(__doc__, permissions.of("replay_uploads")),
)
def replay_uploads() -> None:
    restored, reported = tools.restore_uploads(tools.plan_replay()), tools.report_replay()
    restored >> reported
    [restored, reported] >> alerts.alert()


replay_uploads()
