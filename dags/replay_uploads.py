"""Replay uploads: put archived uploads back into landing, to be processed once more.

After a rule, a statement or the reference data has changed, or for another `as_of`: the pipeline takes what is
put back like any upload, in runs of bounded size, and publishes the snapshots anew. The files keep the order in which
they first came: a replay never wins over an upload that came later.

**Params**

| param | meaning | default |
|---|---|---|
| `dataset` | whose uploads | `facilities` |
| `snapshot_from`, `snapshot_to` | the snapshots, both ends included; give both | empty |
| `include_withdrawn` | also what a rollback has taken out | off |
| `reason` | why; kept in the report | empty |
| `dry_run` | only say what would be done | on |

Example conf: `{"snapshot_from": "2026-01-01", "snapshot_to": "2026-12-31", "reason": "new state list", "dry_run": false}`

**Outputs**: objects in `landing/`, a report in `reports/replay_uploads/` and the run's note.

**Permissions** of the workers' role, one statement a need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/replay_uploads_failed.md`. Clear the failed task: it puts back only what is missing.
How to use it: `docs/runbooks/replay_uploads.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import Param, TriggerRule, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from medlaunch import alerts, lake, operations, permissions, replay, schedules
from medlaunch.pipelines import FACILITY_ACCREDITATION, PIPELINES
from medlaunch.runs import current_run
from medlaunch.settings import settings

DATASETS = {one.dataset: one for one in PIPELINES.values()}


@task
def plan_replay() -> list[int]:
    """List the archive and decide what is put back, in which batches; returns their numbers.

    A dry run has none.
    """
    params = get_current_context()["params"]
    try:
        reason = operations.reason_of(params)
        if not (params["snapshot_from"] and params["snapshot_to"]):
            raise ValueError("give snapshot_from and snapshot_to; for one snapshot the same date twice")
        plan = replay.plan(
            current_run(),
            DATASETS[params["dataset"]],
            lake.parse_date(params["snapshot_from"]),
            lake.parse_date(params["snapshot_to"]),
            reason=reason,
            include_withdrawn=params["include_withdrawn"],
            batch_files=settings().replay_batch_files,
        )
    except (ValueError, replay.ReplayRefused) as error:
        raise AirflowFailException(f"Nothing is replayed: {error}") from error
    return [] if params["dry_run"] else list(range(plan.batches))


@task(
    map_index_template="{{ batch_label }}",
    # Landing fills no faster than the copies of two batches.
    max_active_tis_per_dagrun=2,
    # A mapped task does not take its function's docstring.
    doc_md="Copies the uploads of one batch back into landing, on the server side; a retry copies what is missing.",
)
def put_back(batch: int) -> None:
    outcome = replay.put_back(current_run(), batch)
    label: dict[str, Any] = {
        "batch_label": f"batch {batch}: {outcome.put_back} put back, {len(outcome.left_alone)} left alone"
    }
    get_current_context().update(label)  # type: ignore[typeddict-item]


@task(trigger_rule=TriggerRule.NONE_FAILED)
def write_report() -> str:
    """Write what was done, or would be, to the log, to reports/ and to the run's note."""
    run, dry_run = current_run(), get_current_context()["params"]["dry_run"]
    plan = run.get(replay.PLAN, replay.ReplayPlan)
    outcomes = (
        None
        if dry_run
        else [run.get(replay.outcome_name(number), replay.Outcome) for number in range(plan.batches)]
    )
    return operations.write_report(
        run,
        dry_run=dry_run,
        reason=plan.reason,
        summary=replay.summary(plan, outcomes),
        lines=replay.lines(plan, outcomes),
        details=replay.details(plan, outcomes),
    )


@dag(
    dag_display_name="Replay uploads",
    description="Puts archived uploads back into landing, to be processed once more",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    max_consecutive_failed_dag_runs=5,
    dagrun_timeout=timedelta(hours=12),
    on_failure_callback=alerts.alert_if_nobody_did,
    default_args=schedules.task_defaults(),
    params={
        "dataset": Param(
            FACILITY_ACCREDITATION.dataset,
            type="string",
            enum=sorted(DATASETS),
            title="Dataset",
            description="Whose uploads are put back.",
        ),
        "snapshot_from": Param(
            None,
            type=["null", "string"],
            format="date",
            title="From",
            description="The first snapshot.",
        ),
        "snapshot_to": Param(
            None,
            type=["null", "string"],
            format="date",
            title="To",
            description="The last snapshot, included.",
        ),
        "include_withdrawn": Param(
            False,
            type="boolean",
            title="Include what was rolled back",
            description="On: also put back uploads that a rollback has taken out.",
        ),
        "reason": operations.reason_param(),
        "dry_run": operations.dry_run_param(),
    },
    tags=[operations.TAG, "medlaunch"],
    doc_md=permissions.documented(__doc__, "replay_uploads"),
)
def replay_uploads() -> None:
    copied, report = put_back.expand(batch=plan_replay()), write_report()
    copied >> report
    [copied, report] >> alerts.alert()


replay_uploads()
