"""Freshness: an alert when nothing has been published for too long, one for each time it happens.

A failed run alerts by itself; this is for what fails in silence: uploads have stopped, the pipeline is
paused, its scheduler or its events are gone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import get_bytes, get_json, list_objects, put_json
from medlaunch.declaration import Pipeline
from medlaunch.ingest.uploads import Upload, list_landing
from medlaunch.operate import task_metrics
from medlaunch.publish.manifests import Action, Publication

log = logging.getLogger(__name__)


class Watch(msgspec.Struct, frozen=True, kw_only=True):
    """What is remembered from check to check.

    ``watching_since`` counts where nothing was ever published; ``alerted_for`` is the publication (its
    time) that had become too old when the last alert was sent.
    """

    watching_since: datetime
    alerted_for: datetime | None = None


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found; ``alerted`` if it sent the alert of this time."""

    pipeline: str
    last_published_at: datetime | None
    stale: bool
    alerted: bool
    waiting_uploads: int

    def summary(self) -> str:
        """One line for the run's note."""
        last = f"{self.last_published_at:%Y-%m-%d %H:%M} UTC" if self.last_published_at else "never"
        state = (
            "stale, alerted now" if self.alerted else "still stale, alerted before" if self.stale else "fresh"
        )
        return f"{self.pipeline}: {state}; last published: {last}; waiting in landing: {self.waiting_uploads}"


def last_published(run: Run, pipeline: Pipeline) -> datetime | None:
    """When uploads were last published (going back to an older version is no news); None if never."""
    records = sorted(
        list_objects(run.s3, run.bucket, lake.publication_prefix(pipeline.name)),
        key=lambda one: (one.last_modified, one.key),
        reverse=True,
    )
    for stored in records:
        record = get_json(run.s3, run.bucket, stored.key, Publication)
        if record.action is Action.PUBLISH:
            return datetime.fromisoformat(record.published_at).replace(tzinfo=UTC)
    return None


def check(
    run: Run,
    pipeline: Pipeline,
    stale_after: timedelta,
    alert: Callable[[dict[str, Any]], str],
    now: datetime | None = None,
) -> Finding:
    """Look when uploads were last published, and alert once if that is longer ago than ``stale_after``.

    Args:
        stale_after: the pipeline's own, if that is longer, counts instead.
        alert: sends the body of an alert. It is called before the fact is remembered: if the task dies
            between the two the alert comes twice, the other way round it could be lost.
    """
    now = now or datetime.now(UTC)
    stale_after = max(stale_after, pipeline.stale_after)
    place = lake.freshness_key(pipeline.name)
    known = get_bytes(run.s3, run.bucket, place)
    watch = msgspec.json.decode(known, type=Watch) if known else Watch(watching_since=now)
    published = last_published(run, pipeline)
    since = published or watch.watching_since
    stale = now - since > stale_after
    due = stale and watch.alerted_for != since
    waiting = [
        one.key
        for dataset in pipeline.datasets
        for one in list_landing(run, dataset)
        if isinstance(one, Upload)
    ]
    finding = Finding(
        pipeline=pipeline.name,
        last_published_at=published,
        stale=stale,
        alerted=due,
        waiting_uploads=len(waiting),
    )
    if due:
        message_id = alert(_message(run, pipeline.dag_id, finding, since, stale_after, waiting, now))
        log.warning("%s; alert %s", finding.summary(), message_id)
        watch = msgspec.structs.replace(watch, alerted_for=since)
    if due or not known:
        put_json(run.s3, run.bucket, place, watch)
    task_metrics.record(stale=int(stale), alerted=int(due), waiting_uploads=len(waiting), keys=[place])
    return finding


def _message(
    run: Run,
    dag_id: str,
    finding: Finding,
    since: datetime,
    stale_after: timedelta,
    waiting: list[str],
    now: datetime,
) -> dict[str, Any]:
    hours = (now - since) / timedelta(hours=1)
    reason = (
        "Uploads wait in landing/, so the pipeline does not take them: is it paused, is a run stuck?"
        if waiting
        else "Nothing waits in landing/, so nothing was uploaded: ask the senders."
    )
    return {
        "summary": f"{finding.pipeline} is stale: nothing published for {hours:,.1f} h",
        "pipeline": finding.pipeline,
        "dag": dag_id,
        "environment": run.environment,
        "severity": "warning",
        "what": "stale",
        "last_published_at": finding.last_published_at and finding.last_published_at.isoformat(),
        "stale_since": (since + stale_after).isoformat(timespec="seconds"),
        "checked_at": now.isoformat(timespec="seconds"),
        "uploads": {"bucket": run.bucket, "count": len(waiting), "keys": waiting[:20]},
        "what_to_do": f"{reason} There is no other alert until something was published and has become too old again.",
        "sent_by": run.name,
    }
