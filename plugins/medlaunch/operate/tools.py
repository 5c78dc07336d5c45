"""What the operators' tools share: their DAG's settings, their params, and the report of what was done."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import msgspec
from airflow.sdk import Param, TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from medlaunch import lake
from medlaunch.aws.documents import Run, current_run
from medlaunch.aws.objects import put_json
from medlaunch.operate import alerts, schedules, task_metrics
from medlaunch.pipelines import PIPELINES, iceberg_tables, pipeline_of
from medlaunch.pipelines.cms_files import CMS_SOURCES, FETCHED_DATASETS
from medlaunch.settings import settings

if TYPE_CHECKING:
    from medlaunch.declaration import Dataset

log = logging.getLogger(__name__)

_NOTE_LINES = 5


class OperationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The report of one use of a tool.

    It lies beside those of pipelines, which one table reads: a field of the same name would have to be of the same type.
    """

    operation: str
    environment: str
    run_id: str
    run: str
    dry_run: bool
    reason: str
    finished_at: datetime
    summary: str
    messages: Sequence[str]
    details: Any


def dag_settings(**more: Any) -> dict[str, Any]:
    """What the DAG of every tool is made with; ``more`` wins."""
    return {
        "start_date": datetime(2026, 1, 1, tzinfo=UTC),
        "catchup": False,
        "max_active_runs": 1,
        "max_consecutive_failed_dag_runs": 5,
        "on_failure_callback": alerts.alert_fallback,
        "default_args": schedules.task_defaults(),
        "tags": [alerts.TOOL_TAG, "medlaunch"],
        **more,
    }


def reason_param() -> Param:
    """Why this is done: it is kept in the report and in the records."""
    return Param(
        None,
        type=["null", "string"],
        maxLength=500,
        title="Reason",
        description="Why this is done: it is kept in the report. Needed when dry_run is off.",
    )


def slice_param(title: str, description: str) -> Param:
    """One slice of a pipeline."""
    return Param(
        None,
        type=["null", "string"],
        pattern=r"^[A-Za-z0-9_-]{1,64}$",
        title=title,
        description=description,
    )


def dry_run_param(*, default: bool = True) -> Param:
    return Param(
        default,
        type="boolean",
        title="Dry run",
        description="On: only say what would be done. Off: do it.",
    )


def reason_of(params: dict[str, Any]) -> str:
    """The reason that was given.

    Raises:
        ValueError: if there is none and it is not a dry run.
    """
    reason = (params["reason"] or "").strip()
    if not reason and not params["dry_run"]:
        raise ValueError("reason is empty: say why, in a few words, or leave dry_run on")
    return reason


def write_report(
    run: Run, *, dry_run: bool, reason: str, summary: str, messages: Sequence[str], details: Any
) -> str:
    """Report what was done, in the task's log and in ``reports/``; returns the text of the run's note."""
    report = OperationReport(
        operation=run.name,
        environment=run.environment,
        run_id=run.run_id,
        run=run.key,
        dry_run=dry_run,
        reason=reason,
        finished_at=datetime.now(UTC),
        summary=summary,
        messages=messages,
        details=details,
    )
    key = lake.report_key(run.name, run.key)
    put_json(run.s3, run.bucket, key, report)
    for line in [summary, *messages]:
        log.info("%s", line)
    task_metrics.record(messages=len(messages), keys=[key])
    more = len(messages) - _NOTE_LINES
    rest = [f"... and {more} more"] if more > 0 else []
    place = f"Report: s3://{run.bucket}/{key}"
    return "\n\n".join([f"**{summary}**", *messages[:_NOTE_LINES], *rest, place])


# --- check_freshness -------------------------------------------------------------------------------


@task
def check_freshness() -> str:
    """Alert once for each pipeline that has not published for too long; returns the run's note."""
    from medlaunch.operate import freshness

    stale_after = timedelta(seconds=settings().stale_after_seconds)
    if not stale_after:
        raise AirflowSkipException("MEDLAUNCH_STALE_AFTER_SECONDS is 0: freshness is not checked")
    run = current_run()
    return "\n\n".join(
        freshness.check(run, pipeline, stale_after, alerts.send_stale).summary()
        for pipeline in PIPELINES.values()
    )


# --- maintain_tables -------------------------------------------------------------------------------


def maintain_tables() -> Any:
    """The task that maintains one Iceberg table, mapped over their names; one that fails does not stop the others."""

    @task(
        task_id="maintain_table",
        map_index_template="{{ table_label }}",
        # A statement rewrites what it can; several at once would only wait for each other in Athena's queue.
        max_active_tis_per_dagrun=2,
        execution_timeout=timedelta(hours=6),
        doc_md="Compacts the files of one table and removes its old snapshots; a retry goes on where it stopped.",
    )
    def maintain_table(table: str) -> None:
        from medlaunch.athena.queries import Queries
        from medlaunch.aws.clients import glue_client
        from medlaunch.publish import maintenance

        config = settings()
        outcome = maintenance.maintain(
            Queries.of_environment(), glue_client(config.aws_conn_id), config.database, table
        )
        current_run().put(f"tables/{table}.json", outcome)
        _label("table_label", outcome.line())
        if outcome.before is None:
            raise AirflowSkipException(outcome.line())

    return maintain_table.expand(table=iceberg_tables())


@task(task_id="write_report", trigger_rule=TriggerRule.ALL_DONE)
def report_maintenance() -> str:
    """Write what each table was and is to the log, to reports/ and to the run's note; also of a run that fails."""
    from medlaunch.publish import maintenance

    run, outcomes, failed = current_run(), [], []
    for table in iceberg_tables():
        try:
            outcomes.append(run.get(f"tables/{table}.json", maintenance.Outcome))
        except FileNotFoundError:
            failed.append(table)
    return write_report(
        run,
        dry_run=False,
        reason="",
        summary=maintenance.summary(outcomes) + (f"; {len(failed)} failed" if failed else ""),
        messages=[
            *(f"{table}: failed" for table in failed),
            *(one.line() for one in outcomes if one.before),
        ],
        details={"tables": outcomes, "failed": failed},
    )


# --- replay_uploads --------------------------------------------------------------------------------


@task
def plan_replay() -> list[int]:
    """List the archive and decide what is restored, in which batches; returns their numbers.

    A dry run has none.
    """
    from medlaunch.ingest import replay

    params = get_current_context()["params"]
    try:
        reason = reason_of(params)
        if not (params["slice_from"] and params["slice_to"]):
            raise ValueError("give slice_from and slice_to; for one slice the same one twice")
        pipeline, dataset = pipeline_of(params["dataset"])
        first, last = (_slice(dataset, params[name]) for name in ("slice_from", "slice_to"))
        plan = replay.plan(
            current_run(),
            pipeline,
            dataset,
            first,
            last,
            reason=reason,
            include_excluded=params["include_excluded"],
            batch_files=settings().replay_batch_files,
        )
    except (ValueError, replay.ReplayRefused) as error:
        raise AirflowFailException(f"Nothing is replayed: {error}") from error
    return [] if params["dry_run"] else list(range(plan.batches))


def _slice(dataset: Dataset, text: str) -> str:
    """A slice as its folder would name it.

    Raises:
        ValueError: if it can be none.
    """
    return dataset.slice_of_folder(text) if dataset.slice_of_folder else lake.check_slice(text)


def restore_uploads(batches: Any) -> Any:
    """The task that restores archived uploads, mapped over the batches of the plan."""

    @task(
        task_id="restore_uploads",
        map_index_template="{{ batch_label }}",
        # Landing fills no faster than the copies of two batches.
        max_active_tis_per_dagrun=2,
        # A mapped task does not take its function's docstring.
        doc_md="Copies the uploads of one batch to landing, on the server side; a retry copies what is missing.",
    )
    def restore(batch: int) -> None:
        from medlaunch.ingest import replay

        outcome = replay.restore(current_run(), batch)
        _label(
            "batch_label",
            f"batch {batch}: {outcome.restored} restored, {len(outcome.left_alone)} left alone",
        )

    return restore.expand(batch=batches)


@task(task_id="write_report", trigger_rule=TriggerRule.NONE_FAILED)
def report_replay() -> str:
    """Write what was done, or would be, to the log, to reports/ and to the run's note."""
    from medlaunch.ingest import replay

    run, dry_run = current_run(), get_current_context()["params"]["dry_run"]
    plan = run.get(replay.PLAN, replay.ReplayPlan)
    outcomes = (
        None
        if dry_run
        else [run.get(replay.outcome_name(number), replay.Outcome) for number in range(plan.batches)]
    )
    return write_report(
        run,
        dry_run=dry_run,
        reason=plan.reason,
        summary=replay.summary(plan, outcomes),
        messages=replay.lines(plan, outcomes),
        details=replay.details(plan, outcomes),
    )


# --- rollback_publication --------------------------------------------------------------------------


@task
def plan_rollback() -> None:
    """Find out what readers see now and what they would see, and whether its files are all there.

    Fails at once, and changes nothing, if any part of it cannot be done.
    """
    from medlaunch.athena.queries import Queries
    from medlaunch.publish import rollback

    params = get_current_context()["params"]
    run, pipeline, queries = current_run(), PIPELINES[params["pipeline"]], Queries.of_environment()
    slice_, run_id, version = params["slice"], params["run_id"], params["to_version"]
    try:
        reason = reason_of(params)
        if bool(slice_) == bool(run_id) or (version and not slice_):
            raise ValueError("give slice (with to_version, if you like) or run_id, and not both")
        if slice_:
            plan = rollback.plan_slice(run, pipeline, queries, slice_, reason, version or None)
        else:
            plan = rollback.plan_run(run, pipeline, queries, run_id, reason)
    except (ValueError, rollback.RollbackRefused) as error:
        raise AirflowFailException(f"Nothing is rolled back: {error}") from error
    run.put(rollback.PLAN, plan)


@task.short_circuit(ignore_downstream_trigger_rules=False)
def is_meant() -> bool:
    """Ends a dry run here, but for its report."""
    return not get_current_context()["params"]["dry_run"]


@task(outlets=[asset for one in PIPELINES.values() for asset in schedules.assets(one).values()])
def roll_back(outlet_events: Any = None) -> None:
    """Make the tables show the earlier version, and record it; doing it again changes nothing."""
    from medlaunch.publish import rollback
    from medlaunch.publish.manifests import read_manifest
    from medlaunch.publish.publish import ConcurrentPublication, Target

    run, pipeline = current_run(), PIPELINES[get_current_context()["params"]["pipeline"]]
    plan = run.get(rollback.PLAN, rollback.RollbackPlan)
    try:
        rollback.carry_out(run, Target.of_environment(pipeline), plan)
    except (rollback.RollbackRefused, ConcurrentPublication) as error:
        raise AirflowFailException(str(error)) from error
    seen = [read_manifest(run.s3, run.bucket, pipeline.name, step.slice) for step in plan.steps]
    # The tables of other pipelines have an event too, as Airflow sends one for each outlet; theirs says nothing.
    schedules.describe_events(outlet_events, pipeline, [one for one in seen if one], run.key)


@task(task_id="write_report", trigger_rule=TriggerRule.NONE_FAILED)
def report_rollback() -> str:
    """Write what was done, or would be, to the log, to reports/ and to the run's note."""
    from medlaunch.operate.report import many
    from medlaunch.publish import rollback

    run = current_run()
    plan = run.get(rollback.PLAN, rollback.RollbackPlan)
    dry_run, pipeline = get_current_context()["params"]["dry_run"], PIPELINES[plan.pipeline]
    did = "Dry run: would roll back" if dry_run else "Rolled back"
    return write_report(
        run,
        dry_run=dry_run,
        reason=plan.reason,
        summary=f"{did} {many(len(plan.steps), pipeline.slice_name)}",
        messages=rollback.lines(plan, pipeline.record_name[1], dry_run=dry_run),
        details=plan,
    )


# --- fetch_cms_files -------------------------------------------------------------------------------


@task
def choose_sources() -> list[str]:
    """Read the configured sources, and which of them the params want; returns their names."""
    from airflow.sdk import Variable

    from medlaunch.ingest import fetch_run

    params, run = get_current_context()["params"], current_run()
    configured = Variable.get(fetch_run.VARIABLE, default=None)
    try:
        if params["since"]:
            lake.parse_date(params["since"])
        sources = fetch_run.read_sources(configured, FETCHED_DATASETS) if configured else CMS_SOURCES
        chosen = fetch_run.choose(sources, params["sources"], params["dataset"])
    except ValueError as error:
        raise AirflowFailException(f"Nothing is fetched: {error}") from error
    run.put(fetch_run.SOURCES, chosen)
    return [one.name for one in chosen]


def list_files(sources: Any) -> Any:
    """The task that lists a source, mapped over their names; one that is broken does not stop the others."""

    @task(
        task_id="list_files",
        map_index_template="{{ source_label }}",
        execution_timeout=timedelta(hours=1),
        doc_md="Asks one source what it offers, and compares that with what was fetched before.",
    )
    def list_source(source: str) -> None:
        from medlaunch.ingest import fetch_run

        since = get_current_context()["params"]["since"]
        found = fetch_run.list_source(current_run(), source, lake.parse_date(since) if since else None)
        _label("source_label", f"{source}: {len(found.files)} of {found.offered} files to ask for")

    return list_source.expand(source=sources)


# What a broken source offers is missing from the plan; the run fails in the end.
@task(trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS)
def plan_fetch() -> list[int]:
    """Choose the files of this run, oldest first, up to its limit; returns their numbers.

    A dry run has none.
    """
    from medlaunch.ingest import fetch_run

    params = get_current_context()["params"]
    planned = fetch_run.plan(current_run(), params["limit"])
    return [] if params["dry_run"] else list(range(len(planned.files)))


def fetch_files(numbers: Any) -> Any:
    """The task that fetches one file, mapped over the numbers of the plan."""

    @task(
        task_id="fetch_file",
        map_index_template="{{ file_label }}",
        # One request at a time, and in the order of the plan: later uploads win.
        max_active_tis_per_dagrun=1,
        execution_timeout=timedelta(hours=6),
        doc_md="Fetches one file into landing; a retry, or a later run, goes on where it stopped.",
    )
    def fetch_file(number: int) -> None:
        from medlaunch.ingest import fetch_run

        file, outcome = fetch_run.fetch(current_run(), number)
        _label("file_label", f"{file.name}: {'landed' if outcome.landed else 'had not changed'}")

    return fetch_file.expand(number=numbers)


@task(task_id="write_report", trigger_rule=TriggerRule.ALL_DONE)
def report_fetch() -> str:
    """Write what was fetched, or would be, to the log, to reports/ and to the run's note; also of a run that fails."""
    from medlaunch.ingest import fetch_run

    run, dry_run = current_run(), get_current_context()["params"]["dry_run"]
    try:
        planned = run.get(fetch_run.PLAN, fetch_run.FetchPlan)
    except FileNotFoundError as error:
        raise AirflowSkipException("Nothing was planned: no source could be listed") from error
    came = None if dry_run else fetch_run.outcomes(run, planned)
    return write_report(
        run,
        dry_run=dry_run,
        reason="",
        summary=fetch_run.summary(planned, came),
        messages=fetch_run.lines(planned, came),
        details={"plan": planned, "outcomes": came},
    )


def _label(name: str, text: str) -> None:
    """What Airflow's UI calls this instance of a mapped task."""
    label: dict[str, Any] = {name: text}
    get_current_context().update(label)  # type: ignore[typeddict-item]
