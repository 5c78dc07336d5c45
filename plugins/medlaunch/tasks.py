"""The tasks that every pipeline has, as factories that take the pipeline's declaration.

A DAG file wires them to its own tasks, from top to bottom as the data flows. What a task does not need, it does not
import: each one runs in a process of its own, and importing is most of its time.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from airflow.sdk import TriggerRule, get_current_context, task
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from medlaunch import lake
from medlaunch.aws.documents import Run, current_run
from medlaunch.declaration import CheckContext, Pipeline, Row
from medlaunch.operate import schedules
from medlaunch.settings import settings

if TYPE_CHECKING:
    from airflow.sdk import Context

    from medlaunch.athena.operators import AthenaSqlOperator, AthenaStatementsOperator
    from medlaunch.publish.plan import SlicePlan

#: Writes exports that need counted rows, once every check holds.
Exports = Callable[[Run, "Sequence[SlicePlan]", Mapping[str, Sequence[Row]]], None]

log = logging.getLogger(__name__)

_KEYS_LISTED = 20


def wait_for_uploads(*pipelines: Pipeline) -> Any:
    """A sensor that waits until anything is in one of the landing prefixes of the DAG's pipelines."""
    from medlaunch.aws.clients import client_options
    from medlaunch.aws.sensors import AnyS3KeySensor

    config = settings()
    keys = [f"{lake.landing_prefix(dataset.name)}*" for one in pipelines for dataset in one.datasets]
    return AnyS3KeySensor(
        task_id="wait_for_uploads",
        bucket_name=config.bucket,
        bucket_key=keys[0] if len(keys) == 1 else keys,
        wildcard_match=True,
        deferrable=True,
        poke_interval=config.sensor_poke_seconds,
        timeout=config.sensor_timeout_seconds,
        soft_fail=True,
        aws_conn_id=config.aws_conn_id,
        botocore_config=client_options(),
        doc_md="Waits, without a worker slot, until anything is in landing.",
    )


def _after_waiting(pipeline: Pipeline) -> TriggerRule:
    """A pipeline that refreshes goes on when the wait for uploads has ended without any."""
    return TriggerRule.NONE_FAILED if pipeline.refresh else TriggerRule.ALL_SUCCESS


def prepare_tables(pipeline: Pipeline) -> AthenaStatementsOperator:
    """Create the database, tables and views that do not exist yet."""
    from medlaunch.athena.operators import AthenaStatementsOperator

    return AthenaStatementsOperator(
        task_id="prepare_tables",
        folders=[
            ["common/database"],
            ["common/tables", f"{pipeline.dag_id}/tables"],
            ["common/views", f"{pipeline.dag_id}/views"],
        ],
        creates_database=True,
        values={name: getattr(settings(), name) for name in pipeline.view_settings},
        trigger_rule=_after_waiting(pipeline),
        doc_md="Creates the database, tables and views that do not exist yet.",
    )


def claim_uploads(pipeline: Pipeline) -> Any:
    """The task that claims uploads; gives the numbers of the groups to load."""

    @task(task_id="claim_uploads", trigger_rule=_after_waiting(pipeline))
    def claim(params: dict[str, Any]) -> list[int]:
        """List all that is in landing, tell data from what is not, and write down what the run claims.

        Returns the numbers of the groups of uploads to load. Fails at once on params that cannot be used.
        """
        from medlaunch.ingest import uploads

        config = settings()
        try:
            read = pipeline.read_params(params)
        except ValueError as error:
            raise AirflowFailException(f"The run's params cannot be used: {error}") from error
        batch = uploads.claim(
            current_run(pipeline),
            pipeline,
            read,
            max_files=config.max_files_per_run,
            max_slices=config.max_slices_per_run,
            max_groups=config.max_load_groups,
            group_bytes=config.load_group_bytes,
            part_bytes=config.load_part_bytes,
        )
        return list(range(batch.groups))

    return claim()


def load_bronze(pipeline: Pipeline, groups: Any) -> Any:
    """The task that loads the claimed uploads, mapped over their groups."""

    @task(
        task_id="load_bronze",
        map_index_template="{{ group_label }}",
        # A mapped task does not take its function's docstring.
        doc_md="""Reads the uploads of one group, or parts of large ones, applies the rules line by line, and writes canonical lines to bronze.

Rejected lines go to quarantine with their reason. An upload that changed meanwhile is left for the next run;
one that cannot be read at all is skipped.""",
    )
    def load(group: int) -> None:
        from medlaunch.ingest.keys import KeyMissing
        from medlaunch.ingest.loading import load_group
        from medlaunch.ingest.uploads import Share, group_name, loaded_name

        run = current_run(pipeline)
        shares = run.get(group_name(group), list[Share])
        size = sum(share.size for share in shares)
        noun = "file" if len(shares) == 1 else "files"
        if any(share.part for share in shares):
            noun = "files or parts"
        label: dict[str, Any] = {"group_label": f"{len(shares)} {noun}, {size / 1e6:,.1f} MB"}
        get_current_context().update(label)  # type: ignore[typeddict-item]
        try:
            loaded = load_group(run, pipeline, shares, settings().reference_dir)
        except KeyMissing as error:
            raise AirflowFailException(str(error)) from error
        run.put(loaded_name(group), loaded)

    return load.expand(group=groups)


def plan_slices(pipeline: Pipeline) -> Any:
    """The task that plans; what it returns is what the statements of the run need to know."""

    @task.short_circuit(
        task_id="plan_slices", ignore_downstream_trigger_rules=False, trigger_rule=_after_waiting(pipeline)
    )
    def plan() -> dict[str, Any]:
        """Decide which slices are computed, and from which uploads: this run's and the published ones.

        Returns the params of the run and the slices. Without any row to publish the rest is skipped; only
        the report is written and landing is cleared. Without any upload a pipeline that refreshes computes what is
        published anew.
        """
        from medlaunch.ingest.loading import join_rejects
        from medlaunch.ingest.uploads import BATCH, Batch, join_parts, read_groups
        from medlaunch.publish import plan as planning

        run = current_run(pipeline)
        batch = run.get(BATCH, Batch)
        groups = read_groups(run, batch)
        join_rejects(run, groups)
        plans = planning.plan(run, pipeline, join_parts(groups))
        slices = [one.slice for one in plans]
        return {**batch.params, **planning.values(run, pipeline, slices)} if plans else {}

    return plan()


def extract(
    pipeline: Pipeline, result: str, doc_md: str, *, values: Mapping[str, Any] | None = None
) -> AthenaSqlOperator:
    """A task that runs ``extract/<result>.sql``, which writes the result to the run's staging."""
    from medlaunch.athena.operators import AthenaSqlOperator

    return AthenaSqlOperator(
        task_id=result,
        sql=f"{pipeline.dag_id}/extract/{result}.sql",
        values=values,
        values_from=pipeline.task_id("plan_slices"),
        writes=result,
        pipeline=pipeline.name,
        doc_md=doc_md,
    )


def check_results(pipeline: Pipeline, exports: Exports | None = None) -> AthenaStatementsOperator:
    """The task that counts with Athena what it read and wrote, and compares; then it writes ``exports``."""
    from medlaunch.athena.operators import AthenaStatementsOperator

    return AthenaStatementsOperator(
        task_id="check_results",
        folders=[[pipeline.checks_folder]],
        values_from=pipeline.task_id("plan_slices"),
        check=partial(_check, pipeline, exports),
        doc_md="Counts with Athena the lines it read and the rows it wrote, in the files that are about to be published, "
        "and compares them with the loader's counts and with what is published. Nothing is published unless every "
        "check holds.",
    )


def _check(pipeline: Pipeline, exports: Exports | None, rows: Mapping[str, Sequence[Row]]) -> None:
    from msgspec.structs import replace

    from medlaunch.ingest.uploads import BATCH, Batch
    from medlaunch.operate import task_metrics
    from medlaunch.publish import reconcile
    from medlaunch.publish.plan import PLANS, SlicePlan

    run = current_run(pipeline)
    plans = run.get(PLANS, list[SlicePlan])
    reconciliation, mismatches = reconcile.reconcile(plans, rows["count_lines"], rows["count_results"])
    looked_at = CheckContext(
        params=run.get(BATCH, Batch).params,
        slices=reconciliation.slices,
        uploads={
            one.upload.key: one.counts
            for plan in plans
            for one in plan.inputs
            if one.upload.upload_id in plan.batch_uploads
        },
        rows=rows,
        document=run.get,
    )
    try:
        reconcile.require_none([*mismatches, *pipeline.checks(looked_at)])
    except reconcile.CheckFailed as error:
        raise AirflowFailException(str(error)) from error
    if exports is not None:
        exports(run, plans, rows)
    findings = pipeline.findings(looked_at)
    for warning in findings.warnings:
        log.warning("%s", warning)
    run.put(reconcile.RECONCILIATION, replace(reconciliation, findings=findings))
    lines = reconciliation.batch
    task_metrics.record(
        slices=len(plans),
        warnings=len(findings.warnings),
        lines=lines.read,
        accepted=lines.accepted,
        superseded=lines.superseded,
        rejected=lines.rejected,
    )


def publish_results(pipeline: Pipeline) -> Any:
    """The task that publishes; its outlets are the pipeline's tables."""

    @task(task_id="publish_results", outlets=list(schedules.assets(pipeline).values()))
    def publish(outlet_events: Any) -> None:
        """Copy the results to prod on the server side, then switch each slice to its new files."""
        from medlaunch.athena.queries import QueryFailed
        from medlaunch.ingest.uploads import BATCH, Batch
        from medlaunch.publish import publish as publishing
        from medlaunch.publish.partitions import TableNameConflict
        from medlaunch.publish.plan import PLANS, SlicePlan
        from medlaunch.publish.reconcile import RECONCILIATION, Reconciliation

        run = current_run(pipeline)
        try:
            manifests = publishing.publish(
                run,
                publishing.Target.of_environment(pipeline),
                batch=run.get(BATCH, Batch),
                plans=run.get(PLANS, list[SlicePlan]),
                reconciliation=run.get(RECONCILIATION, Reconciliation),
            )
        except (publishing.ConcurrentPublication, TableNameConflict) as error:
            raise AirflowFailException(str(error)) from error
        except QueryFailed as error:
            if error.permanent:
                raise AirflowFailException(str(error)) from error
            raise
        schedules.describe_events(outlet_events, pipeline, manifests, run.key)

    return publish()


def write_report(pipeline: Pipeline) -> Any:
    """The task that writes the run's report; what it returns becomes the run's note."""

    @task(task_id="write_report", trigger_rule=TriggerRule.NONE_FAILED)
    def write(ti: Any) -> str:
        """Write what became of every file and line to reports/; returns a summary, which becomes the run's note.

        Skipped if there was nothing in landing, unless the pipeline computes anew then.
        """
        from medlaunch.ingest.uploads import BATCH, Batch
        from medlaunch.operate import alerts, report, task_metrics

        run, context = current_run(pipeline), get_current_context()
        batch = run.get(BATCH, Batch)
        if not batch.uploads and not batch.skipped and not pipeline.refresh:
            raise AirflowSkipException(f"Nothing was in landing for {pipeline.name}")
        written = report.write(run, pipeline, _queries(context), task_metrics.times(context))
        ti.xcom_push(
            alerts.REPORT,
            {
                "outcome": written.report.outcome,
                "key": lake.report_key(run.name, run.key),
                "skipped_count": len(written.skipped_data),
                "skipped": [
                    {"key": one.key, "reason": one.reason} for one in written.skipped_data[:_KEYS_LISTED]
                ],
            },
        )
        return written.summary

    return write()


def _queries(context: Context) -> list[dict[str, Any]]:
    """What the queries of all tasks before this one cost, each with its task."""
    from medlaunch.athena.operators import STATISTICS, AthenaSqlOperator

    current: Any = context["task"]
    before = current.get_flat_relative_ids(upstream=True)
    return [
        {"task": one.task_id, **query}
        for one in current.dag.topological_sort()
        if one.task_id in before and isinstance(one, AthenaSqlOperator)
        for query in context["ti"].xcom_pull(task_ids=one.task_id, key=STATISTICS) or ()
    ]


def archive_uploads(pipeline: Pipeline) -> Any:
    """The task that clears landing."""

    @task(task_id="archive_uploads", trigger_rule=TriggerRule.NONE_FAILED)
    def archive() -> None:
        """Move what was processed out of landing, exactly the versions that were read."""
        from medlaunch.ingest.archive import archive as move_out
        from medlaunch.ingest.uploads import BATCH, Batch, read_loaded

        run = current_run(pipeline)
        batch = run.get(BATCH, Batch)
        move_out(run, pipeline, batch, read_loaded(run, batch))

    return archive()
