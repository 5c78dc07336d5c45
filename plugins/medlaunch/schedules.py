"""When runs start: by themselves, one after the other, or woken by a queue of upload events."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import Asset, AssetOrTimeSchedule, AssetWatcher, CronTriggerTimetable

from medlaunch import steps
from medlaunch.alerts import remember_error
from medlaunch.retries import RetryWhatCanPass
from medlaunch.settings import settings


def on_uploads(dataset: str) -> Any:
    """The schedule of a pipeline that waits for uploads of a dataset.

    Without a queue: ``@continuous``, the next run waits in its sensor as soon as one has ended. With a
    queue (``MEDLAUNCH_UPLOADS_QUEUE_URL``): an event starts a run within seconds, and a sweep by the clock
    catches what an event was lost for. An event only wakes the run; the listing of landing decides.
    """
    config = settings()
    if config.uploads_queue_url is None:
        return "@continuous"

    from airflow.providers.amazon.aws.triggers.sqs import SqsSensorTrigger

    trigger = SqsSensorTrigger(
        sqs_queue=config.uploads_queue_url, aws_conn_id=config.aws_conn_id, waiter_delay=5, max_messages=10
    )
    uploads = Asset(
        name=f"{dataset}_uploads",
        uri=f"s3://{config.bucket}/landing/{dataset}/",
        group="medlaunch",
        watchers=[AssetWatcher(name=f"{dataset}_uploads_queue", trigger=trigger)],
    )
    return AssetOrTimeSchedule(
        timetable=CronTriggerTimetable(config.sweep_cron, timezone="UTC"), assets=[uploads]
    )


def task_defaults() -> dict[str, Any]:
    """What every task of every DAG has: an owner, the retry policy, a memory for its error, a line in the log."""
    config = settings()
    return {
        "owner": "data-platform",
        "retries": config.task_retries,
        "retry_policy": RetryWhatCanPass(),
        # Of a try whose process is gone nobody asks the policy; these hold for it too.
        "retry_delay": timedelta(seconds=config.retry_delay_seconds),
        "retry_exponential_backoff": 2.0,
        "max_retry_delay": timedelta(minutes=10),
        "on_failure_callback": [remember_error, steps.failed],
        "on_retry_callback": steps.failed,
        "pre_execute": steps.begin,
        "post_execute": steps.end,
    }
