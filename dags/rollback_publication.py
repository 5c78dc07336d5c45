"""Roll back a publication: readers see the previous version again.

For one snapshot, or for everything that one run published. Nothing is computed or copied: the tables point
at the files of the earlier version again, all tables of a snapshot together. The uploads that the bad version
brought stay in the archive and are not published again by a retry or by a later run; upload them again, or
replay them with `include_withdrawn`, to put them back.

**Params**

| param | meaning | default |
|---|---|---|
| `pipeline` | whose publication | `facility_accreditation` |
| `snapshot_date` | the snapshot to roll back | empty |
| `run_id` | or: the run of the pipeline whose publications are rolled back, all of them | empty |
| `to_version` | only with `snapshot_date`: another version than the previous one | empty |
| `reason` | why; kept in the report and in the table `publications` | empty |
| `dry_run` | only say what would be done | on |

Example conf: `{"snapshot_date": "2026-11-01", "reason": "half of the file was missing", "dry_run": false}`

**Outputs**: the partitions of the pipeline's tables, the snapshot's manifest, one record in the table
`publications`, a report in `reports/rollback_publication/` and the run's note.

**Permissions** of the workers' role, one statement a need; declared in `medlaunch.permissions`:

{permissions}

**When it fails**: `docs/runbooks/rollback_publication_failed.md`. A refusal has changed nothing and says why;
clearing the failed task continues where it stopped. How to use it: `docs/runbooks/rollback_publication.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.providers.amazon.aws.hooks.glue_catalog import GlueCatalogHook
from airflow.sdk import Param, TriggerRule, chain, dag, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException

from medlaunch import alerts, lake, operations, permissions, publish, rollback, schedules
from medlaunch.athena import client_config
from medlaunch.pipelines import FACILITY_ACCREDITATION, PIPELINES
from medlaunch.runs import current_run
from medlaunch.settings import settings

TABLES = {name: asset for one in PIPELINES.values() for name, asset in one.assets().items()}


@task
def plan_rollback() -> None:
    """Find out what readers see now and what they would see, and whether its files are all there.

    Fails at once, and changes nothing, if any part of it cannot be done.
    """
    params = get_current_context()["params"]
    run, pipeline = current_run(), PIPELINES[params["pipeline"]]
    snapshot, run_id, version = params["snapshot_date"], params["run_id"], params["to_version"]
    try:
        reason = operations.reason_of(params)
        if bool(snapshot) == bool(run_id) or (version and not snapshot):
            raise ValueError("give snapshot_date (with to_version, if you like) or run_id, and not both")
        if snapshot:
            plan = rollback.plan_snapshot(run, pipeline, lake.parse_date(snapshot), reason, version or None)
        else:
            plan = rollback.plan_run(run, pipeline, run_id, reason)
    except (ValueError, rollback.RollbackRefused) as error:
        raise AirflowFailException(f"Nothing is rolled back: {error}") from error
    run.put(rollback.PLAN, plan)


@task.short_circuit(ignore_downstream_trigger_rules=False)
def is_meant() -> bool:
    """Ends a dry run here, but for its report."""
    return not get_current_context()["params"]["dry_run"]


@task(outlets=list(TABLES.values()))
def roll_back() -> None:
    """Point the tables at the earlier version, and record it; doing it again changes nothing."""
    run, config = current_run(), settings()
    try:
        rollback.carry_out(
            run,
            GlueCatalogHook(aws_conn_id=config.aws_conn_id, config=client_config()).get_conn(),
            database=config.database,
            pipeline=PIPELINES[get_current_context()["params"]["pipeline"]],
            plan=run.get(rollback.PLAN, rollback.RollbackPlan),
        )
    except (rollback.RollbackRefused, publish.PublishedMeanwhile) as error:
        raise AirflowFailException(str(error)) from error


@task(trigger_rule=TriggerRule.NONE_FAILED)
def write_report() -> str:
    """Write what was done, or would be, to the log, to reports/ and to the run's note."""
    run = current_run()
    plan = run.get(rollback.PLAN, rollback.RollbackPlan)
    dry_run = get_current_context()["params"]["dry_run"]
    return operations.write_report(
        run,
        dry_run=dry_run,
        reason=plan.reason,
        summary=f"{'Dry run: would roll back' if dry_run else 'Rolled back'} {operations.many(len(plan.steps), 'snapshot')}",
        lines=rollback.lines(plan, dry_run=dry_run),
        details=plan,
    )


@dag(
    dag_display_name="Roll back a publication",
    description="Shows readers the previous version of a snapshot again",
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    max_active_runs=1,
    max_consecutive_failed_dag_runs=5,
    dagrun_timeout=timedelta(hours=2),
    on_failure_callback=alerts.alert_if_nobody_did,
    default_args=schedules.task_defaults(),
    params={
        "pipeline": Param(
            FACILITY_ACCREDITATION.dag_id,
            type="string",
            enum=sorted(PIPELINES),
            title="Pipeline",
            description="Whose publication is rolled back.",
        ),
        "snapshot_date": Param(
            None,
            type=["null", "string"],
            format="date",
            title="Snapshot",
            description="The snapshot to roll back. Empty: give the run.",
        ),
        "run_id": Param(
            None,
            type=["null", "string"],
            maxLength=250,
            title="Run",
            description="The run whose publications are rolled back, all of them. Empty: give the snapshot.",
        ),
        "to_version": Param(
            None,
            type=["null", "string"],
            maxLength=250,
            title="To version",
            description="Only with a snapshot: another version than the previous one, from the table publications.",
        ),
        "reason": operations.reason_param(),
        "dry_run": operations.dry_run_param(),
    },
    tags=[operations.TAG, "medlaunch"],
    doc_md=permissions.documented(__doc__, "rollback_publication"),
)
def rollback_publication() -> None:
    report = write_report()
    chain(plan_rollback(), is_meant(), roll_back(), report, alerts.alert())


rollback_publication()
