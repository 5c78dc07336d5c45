"""Replay: archived uploads are put back into landing, to be processed once more.

A copy on the server side, in bounded batches. Each copy carries the time at which the upload first came
(``medlaunch-uploaded-at``), which is the order in which later uploads win: in whatever order the copies are
made or processed, and whatever else arrives meanwhile, nothing old wins over something newer.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from medlaunch import lake, steps
from medlaunch.landing import REPLAYED_BY, UPLOADED_AT, Upload
from medlaunch.objects import (
    Copy,
    ObjectChanged,
    StoredObject,
    copy_object,
    head_object,
    in_parallel,
    list_objects,
)
from medlaunch.operations import many
from medlaunch.pipelines import Pipeline
from medlaunch.publish import read_manifest
from medlaunch.runs import Run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

# Documents of a replay's run, by their names in its staging prefix.
PLAN = "plan.json"
#: Airflow maps a task over at most so many items ([core] max_map_length).
MAX_BATCHES = 1_000
_LISTED_FILES = 100


def batch_name(number: int) -> str:
    return f"batches/{number:04d}.json"


def outcome_name(number: int) -> str:
    return f"outcomes/{number:04d}.json"


class ReplayRefused(Exception):
    """A replay that cannot be planned; the message says why and the way out."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An archived upload that goes back to landing. ``size`` in bytes, ``uploaded_at`` when it first came."""

    key: str
    size: int
    etag: str
    uploaded_at: datetime


class SnapshotFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What is put back of a snapshot; ``keys`` only where there are few in all."""

    snapshot: date
    files: int
    bytes: int
    first_uploaded_at: datetime
    last_uploaded_at: datetime
    keys: list[str]


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    reason: str


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay does: the snapshots, the number of batches, and what it leaves out and why."""

    dataset: str
    snapshot_from: date
    snapshot_to: date
    reason: str
    files: int
    bytes: int
    batches: int
    snapshots: list[SnapshotFiles]
    left_out: list[LeftOut]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: files put back, now or by an earlier try, and those left alone and why."""

    put_back: int
    left_alone: list[LeftOut]


# --- plan ------------------------------------------------------------------------------------------


def plan(
    run: Run,
    pipeline: Pipeline,
    first: date,
    last: date,
    *,
    reason: str,
    include_withdrawn: bool,
    batch_files: int,
) -> ReplayPlan:
    """Find the archived uploads of the snapshots from ``first`` to ``last``, both included, oldest first.

    Writes the batches, of at most ``batch_files`` files each. Uploads that a rollback has taken out are
    left out unless they are asked for.

    Raises:
        ReplayRefused: if the range is empty, or holds more files than fit into the batches.
    """
    if first > last:
        raise ReplayRefused(f"snapshot_from {first} is after snapshot_to {last}")
    by_snapshot: dict[date, list[StoredObject]] = {}
    left_out: list[LeftOut] = []
    for stored in _archived(run.s3, run.bucket, pipeline.dataset, first, last):
        parsed = lake.parse_landing_key(lake.landing_key_of(stored.key), stored.size)
        if isinstance(parsed, lake.LandingKey):
            by_snapshot.setdefault(parsed.snapshot, []).append(stored)
        else:
            left_out.append(LeftOut(key=stored.key, reason=parsed.value))

    def known(snapshot: date) -> tuple[dict[str, Upload], dict[str, Upload]]:
        return _known(run, pipeline, snapshot)

    items: list[Item] = []
    snapshots: list[tuple[date, list[Item]]] = []
    manifests = in_parallel(known, sorted(by_snapshot))
    for snapshot, (published, withdrawn) in zip(sorted(by_snapshot), manifests, strict=True):
        chosen: list[Item] = []
        for stored in by_snapshot[snapshot]:
            key = lake.landing_key_of(stored.key)
            taken_out = withdrawn.get(key)
            if taken_out is not None and not include_withdrawn:
                left_out.append(LeftOut(key=stored.key, reason="a rollback has taken it out"))
                continue
            # The archive has the last version of a name that was processed.
            latest = taken_out or published.get(key)
            uploaded_at = latest.order[0] if latest else stored.last_modified.astimezone(UTC)
            chosen.append(Item(key=key, size=stored.size, etag=stored.etag, uploaded_at=uploaded_at))
        if chosen:
            chosen.sort(key=lambda one: (one.uploaded_at, one.key))
            snapshots.append((snapshot, chosen))
            items += chosen
    if len(items) > batch_files * MAX_BATCHES:
        raise ReplayRefused(
            f"{len(items):,} files are too many for {MAX_BATCHES:,} batches of {batch_files:,}; "
            "replay a shorter range, or raise MEDLAUNCH_REPLAY_BATCH_FILES"
        )
    batches = [items[start : start + batch_files] for start in range(0, len(items), batch_files)]
    for number, batch in enumerate(batches):
        run.put(batch_name(number), batch)
    plan = ReplayPlan(
        dataset=pipeline.dataset,
        snapshot_from=first,
        snapshot_to=last,
        reason=reason,
        files=len(items),
        bytes=sum(one.size for one in items),
        batches=len(batches),
        snapshots=[
            SnapshotFiles(
                snapshot=snapshot,
                files=len(chosen),
                bytes=sum(one.size for one in chosen),
                first_uploaded_at=chosen[0].uploaded_at,
                last_uploaded_at=chosen[-1].uploaded_at,
                keys=[one.key for one in chosen] if len(items) <= _LISTED_FILES else [],
            )
            for snapshot, chosen in snapshots
        ],
        left_out=left_out,
    )
    run.put(PLAN, plan)
    steps.note(
        files=plan.files,
        bytes=plan.bytes,
        snapshots=len(plan.snapshots),
        left_out=len(left_out),
        keys=[run.path(PLAN)],
    )
    return plan


def _archived(client: S3Client, bucket: str, dataset: str, first: date, last: date) -> list[StoredObject]:
    """The archive's objects of a range of snapshots; the listing begins and ends with the range."""
    prefix = lake.archive_key(lake.landing_prefix(dataset))
    found = []
    for stored in list_objects(client, bucket, prefix, start_after=f"{prefix}{first}"):
        if stored.key.removeprefix(prefix)[:10] > f"{last}":
            break
        found.append(stored)
    return found


def _known(run: Run, pipeline: Pipeline, snapshot: date) -> tuple[dict[str, Upload], dict[str, Upload]]:
    """The uploads that a snapshot was made of, and those that a rollback took out of it, by key."""
    manifest = read_manifest(run.s3, run.bucket, pipeline.dag_id, snapshot)
    if manifest is None:
        return {}, {}
    published = {one.upload.key: one.upload for one in manifest.inputs}
    withdrawn = {
        one.key: one
        for one in sorted(manifest.withdrawn, key=lambda one: one.order)
        if one.key not in published or one.order > published[one.key].order
    }
    return published, withdrawn


# --- carry out -------------------------------------------------------------------------------------


def put_back(run: Run, number: int) -> Outcome:
    """Copy the files of a batch back to landing; doing it again copies only what is missing.

    What waits in landing under the same name is newer and is left alone, and so is a name under which
    something else was processed since the replay was planned.
    """
    items = run.get(batch_name(number), list[Item])
    told = in_parallel(lambda item: _put_back(run, item), items)
    left_alone = [
        LeftOut(key=item.key, reason=reason) for item, reason in zip(items, told, strict=True) if reason
    ]
    outcome = Outcome(put_back=len(items) - len(left_alone), left_alone=left_alone)
    run.put(outcome_name(number), outcome)
    steps.note(
        files=outcome.put_back,
        left_alone=len(left_alone),
        bytes=sum(item.size for item in items),
        keys=[run.path(outcome_name(number))],
    )
    return outcome


def _put_back(run: Run, item: Item) -> str | None:
    """Why an upload is left alone, or None if it is in landing or has been processed from there."""
    waiting = head_object(run.s3, run.bucket, item.key)
    if waiting is not None:
        mine = waiting["Metadata"].get(REPLAYED_BY) == run.key
        return None if mine else "another upload of that name waits in landing"
    source = lake.archive_key(item.key)
    archived = head_object(run.s3, run.bucket, source)
    if archived is None:
        return "it is gone from the archive"
    if archived["Metadata"].get(REPLAYED_BY) == run.key:
        return None  # processed meanwhile, and archived again
    if archived["ETag"].strip('"') != item.etag:
        return "another upload of that name was processed meanwhile"
    copy = Copy(source, item.key, item.size, item.etag, archived.get("VersionId"))
    metadata = archived["Metadata"] | {UPLOADED_AT: item.uploaded_at.isoformat(), REPLAYED_BY: run.key}
    try:
        copy_object(run.s3, run.bucket, copy, metadata=metadata, headers=archived, only_if_absent=True)
    except ObjectChanged:
        return "another upload of that name came in the same moment"
    return None


# --- tell ------------------------------------------------------------------------------------------


def summary(plan: ReplayPlan, outcomes: Sequence[Outcome] | None) -> str:
    """One line; without outcomes it was a dry run."""
    what = f"{many(plan.files, 'upload')} of {many(len(plan.snapshots), 'snapshot')} ({plan.bytes / 1e6:,.1f} MB)"
    if outcomes is None:
        return f"Dry run: would put {what} back into landing, in {many(plan.batches, 'batch', 'batches')}"
    done = sum(one.put_back for one in outcomes)
    return f"Put {done:,} of {what} back into landing"


def lines(plan: ReplayPlan, outcomes: Sequence[Outcome] | None) -> list[str]:
    """What a replay does or would do, for people, a line each."""
    told = [
        f"{one.snapshot}: {many(one.files, 'upload')}, {one.bytes / 1e6:,.1f} MB, first uploaded "
        f"{_time(one.first_uploaded_at)}" + (f" to {_time(one.last_uploaded_at)}" if one.files > 1 else "")
        + (f": {', '.join(key.rsplit('/', 1)[-1] for key in one.keys)}" if one.keys else "")
        for one in plan.snapshots
    ]  # fmt: skip
    told += [f"Left out: {one.key}: {one.reason}" for one in plan.left_out]
    told += [
        f"Left alone: {one.key}: {one.reason}" for outcome in outcomes or () for one in outcome.left_alone
    ]
    return told or [f"There is nothing in the archive from {plan.snapshot_from} to {plan.snapshot_to}"]


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def details(plan: ReplayPlan, outcomes: Sequence[Outcome] | None) -> Any:
    """What the report keeps beside the lines."""
    return {"plan": plan, "put_back": None if outcomes is None else sum(one.put_back for one in outcomes)}
