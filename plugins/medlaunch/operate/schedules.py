"""When runs start, and what all tasks have in common."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from medlaunch import lake
from medlaunch.declaration import Pipeline
from medlaunch.operate import alerts, task_metrics
from medlaunch.operate.retries import RetryTransientErrors
from medlaunch.settings import settings

if TYPE_CHECKING:
    from medlaunch.publish.manifests import Manifest


def on_uploads(pipeline: Pipeline) -> Any:
    """The schedule of a pipeline: it waits for uploads.

    Without a queue: ``@continuous``, the next run waits in its sensor as soon as one has ended. With a
    queue (``MEDLAUNCH_UPLOADS_QUEUE_URL``): an event starts a run within seconds, and a sweep by the clock
    catches what an event was lost for. An event only wakes the run; the listing of landing decides. Each pipeline has
    a queue of its own: one that several shared would wake only the DAG that polled first.
    """
    config = settings()
    queue = config.uploads_queue(pipeline.dag_id)
    if queue is None:
        return "@continuous"

    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger

    trigger = SqsSensorTrigger(
        sqs_queue=queue, aws_conn_id=config.aws_conn_id, waiter_delay=5, max_messages=10
    )
    uploads = Asset(
        name=f"{pipeline.dag_id}_uploads",
        uri=f"s3://{config.bucket}/{lake.LANDING}/?pipeline={pipeline.dag_id}",
        group="medlaunch",
        watchers=[AssetWatcher(name=f"{pipeline.dag_id}_uploads_queue", trigger=trigger)],
    )
    return AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(config.sweep_cron, timezone="UTC"), assets=[uploads]
    )


def dag_settings(pipeline: Pipeline) -> dict[str, Any]:
    """What the DAG of every pipeline is made with."""
    config = settings()
    return {
        "dag_id": pipeline.dag_id,
        "dag_display_name": pipeline.title,
        "start_date": datetime(2026, 1, 1, tzinfo=UTC),
        "catchup": False,
        "max_active_runs": 1,
        "max_consecutive_failed_dag_runs": 5,
        "dagrun_timeout": timedelta(seconds=config.dagrun_timeout_seconds),
        "on_failure_callback": alerts.alert_fallback,
        "on_success_callback": alerts.on_success(),
        "default_args": task_defaults(),
        "tags": [*pipeline.tags, "medlaunch"],
    }


def assets(pipeline: Pipeline) -> dict[str, Asset]:
    """The tables that change when a slice is published or rolled back, by their names."""
    return {
        result.table: Asset(
            name=result.table,
            uri=lake.s3_uri(settings().bucket, f"{lake.PROD}/{result.table}/"),
            group="medlaunch",
        )
        for result in pipeline.results
        if result.table
    }


def describe_events(outlet_events: Any, pipeline: Pipeline, manifests: Sequence[Manifest], run: str) -> None:
    """Say in the event of each table which slices changed, how many rows they have, and by which run."""
    tables = assets(pipeline)
    for result in pipeline.results:
        if result.table:
            outlet_events[tables[result.table]].extra = {
                "rows": sum(one.results[result.name].rows for one in manifests),
                "slices": [one.slice for one in manifests],
                "run": run,
            }


def task_defaults() -> dict[str, Any]:
    """What every task of every DAG has: an owner, the retry policy, its error stored, a line in the log."""
    config = settings()
    return {
        "owner": "data-platform",
        "retries": config.task_retries,
        "retry_policy": RetryTransientErrors(),
        # The policy is not asked about a try whose process is gone; these hold for it too.
        "retry_delay": timedelta(seconds=config.retry_delay_seconds),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "on_failure_callback": [alerts.store_error, task_metrics.failed],
        "on_retry_callback": task_metrics.failed,
        "pre_execute": task_metrics.begin,
        "post_execute": task_metrics.end,
    }
