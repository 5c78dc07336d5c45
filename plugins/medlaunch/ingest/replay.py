"""Replay: archived uploads are restored to landing, to be processed once more.

A copy on the server side, in bounded batches. Each copy carries the time at which the upload first came
(``medlaunch-uploaded-at``), which is the order in which later uploads win: in whatever order the copies are
made or processed, and whatever else arrives meanwhile, nothing old wins over something newer.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import (
    Copy,
    ObjectChanged,
    StoredObject,
    copy_object,
    head_object,
    in_parallel,
    list_objects,
)
from medlaunch.declaration import Dataset, Pipeline
from medlaunch.ingest.loading import READMITTED, REPLAYED_BY, UPLOADED_AT
from medlaunch.ingest.uploads import Upload
from medlaunch.operate import task_metrics
from medlaunch.operate.report import many
from medlaunch.publish.manifests import read_manifest

log = logging.getLogger(__name__)

# Documents of a replay's run, by their names in its staging prefix.
PLAN = "plan.json"
#: Airflow maps a task over this many items at most ([core] max_map_length).
MAX_BATCHES = 1_000
_LISTED_FILES = 100


def batch_name(number: int) -> str:
    return f"batches/{number:04d}.json"


def outcome_name(number: int) -> str:
    return f"outcomes/{number:04d}.json"


class ReplayRefused(Exception):
    """A replay that cannot be planned; the message says why and the way out."""


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """An archived upload that goes back to landing. ``size`` in bytes, ``uploaded_at`` when it first came.

    ``readmitted``: also to slices from which a rollback has excluded it.
    """

    key: str
    size: int
    etag: str
    uploaded_at: datetime
    readmitted: bool = False


class SliceFiles(msgspec.Struct, frozen=True, kw_only=True):
    """What is restored of a slice; ``keys`` only where there are few in all."""

    slice: str
    files: int
    bytes: int
    first_uploaded_at: datetime
    last_uploaded_at: datetime
    keys: list[str]


class LeftOut(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    reason: str


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a replay does: the slices, the number of batches, and what it leaves out and why.

    An upload that has a part in several slices is restored once, and counts for the first of them.
    """

    dataset: str
    slice_name: str
    slice_from: str
    slice_to: str
    reason: str
    files: int
    bytes: int
    batches: int
    slices: list[SliceFiles]
    left_out: list[LeftOut]


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a batch: files restored, now or by an earlier try, and those left alone and why."""

    restored: int
    left_alone: list[LeftOut]


# --- plan ------------------------------------------------------------------------------------------


def plan(
    run: Run,
    pipeline: Pipeline,
    dataset: Dataset,
    first: str,
    last: str,
    *,
    reason: str,
    include_excluded: bool,
    batch_files: int,
) -> ReplayPlan:
    """Find the archived uploads of the slices from ``first`` to ``last``, both included, oldest first.

    Writes the batches, of at most ``batch_files`` files each. Uploads that a rollback has excluded are
    left out unless they are asked for.

    Raises:
        ReplayRefused: if the range is empty, or holds more files than fit into the batches.
    """
    if first > last:
        raise ReplayRefused(f"slice_from {first} is after slice_to {last}")
    left_out: list[LeftOut] = []
    items: list[Item] = []
    slices: list[tuple[str, list[Item]]] = []
    taken: set[str] = set()
    shut_outs: dict[str, str] = {}
    for slice_, archived, published, excluded in _archived(run, pipeline, dataset, first, last, left_out):
        chosen: list[Item] = []
        for stored in archived:
            key = lake.landing_key_of(stored.key)
            if key in taken:
                continue
            shut_out = excluded.get(key)
            if shut_out is not None and not include_excluded:
                shut_outs[key] = stored.key
                continue
            taken.add(key)
            # The archive has the last version of a name that was processed.
            latest = shut_out or published.get(key)
            uploaded_at = latest.order[0] if latest else stored.last_modified.astimezone(UTC)
            item = Item(
                key=key,
                size=stored.size,
                etag=stored.etag,
                uploaded_at=uploaded_at,
                readmitted=include_excluded,
            )
            chosen.append(item)
        if chosen:
            chosen.sort(key=lambda one: (one.uploaded_at, one.key))
            slices.append((slice_, chosen))
            items += chosen
    # Another slice of the range may have it; it stays excluded from this one.
    left_out += [
        LeftOut(key=stored, reason="a rollback has excluded it")
        for key, stored in shut_outs.items()
        if key not in taken
    ]
    if len(items) > batch_files * MAX_BATCHES:
        raise ReplayRefused(
            f"{len(items):,} files are too many for {MAX_BATCHES:,} batches of {batch_files:,}; "
            "replay a shorter range, or raise MEDLAUNCH_REPLAY_BATCH_FILES"
        )
    batches = [items[start : start + batch_files] for start in range(0, len(items), batch_files)]
    for number, batch in enumerate(batches):
        run.put(batch_name(number), batch)
    planned = ReplayPlan(
        dataset=dataset.name,
        slice_name=pipeline.slice_name,
        slice_from=first,
        slice_to=last,
        reason=reason,
        files=len(items),
        bytes=sum(one.size for one in items),
        batches=len(batches),
        slices=[
            SliceFiles(
                slice=slice_,
                files=len(chosen),
                bytes=sum(one.size for one in chosen),
                first_uploaded_at=chosen[0].uploaded_at,
                last_uploaded_at=chosen[-1].uploaded_at,
                keys=[one.key for one in chosen] if len(items) <= _LISTED_FILES else [],
            )
            for slice_, chosen in slices
        ],
        left_out=left_out,
    )
    run.put(PLAN, planned)
    task_metrics.record(
        files=planned.files,
        bytes=planned.bytes,
        slices=len(planned.slices),
        left_out=len(left_out),
        keys=[run.path(PLAN)],
    )
    return planned


_Archived = tuple[str, list[StoredObject], dict[str, Upload], dict[str, Upload]]


def _archived(
    run: Run, pipeline: Pipeline, dataset: Dataset, first: str, last: str, left_out: list[LeftOut]
) -> Iterator[_Archived]:
    """The archived uploads of each slice of a range, with what is known of them: published, excluded."""
    if dataset.slice_of_folder is not None:
        by_slice = _by_folder(run, dataset, first, last, left_out)
        known = in_parallel(lambda slice_: _known(run, pipeline, slice_), sorted(by_slice))
        for slice_, (published, excluded) in zip(sorted(by_slice), known, strict=True):
            yield slice_, by_slice[slice_], published, excluded
        return
    # Only the lines know their slice: the manifests say which uploads each slice was made of.
    prefix = lake.manifests_prefix(pipeline.name)
    archive = {one.key: one for one in list_objects(run.s3, run.bucket, lake.archive_prefix(dataset.name))}
    slices = [
        one.key.removeprefix(prefix).removesuffix(".json") for one in list_objects(run.s3, run.bucket, prefix)
    ]
    all_known = dict(
        zip(slices, in_parallel(lambda slice_: _known(run, pipeline, slice_), slices), strict=True)
    )
    # The archive has the latest upload of a name. If a slice has an earlier one, the latest has no part in it.
    latest: dict[str, Upload] = {}
    for one in (
        upload for published, excluded in all_known.values() for upload in (published | excluded).values()
    ):
        if one.key not in latest or latest[one.key].order < one.order:
            latest[one.key] = one
    for slice_, (published, excluded) in all_known.items():
        if first <= slice_ <= last:
            keys = [
                lake.archive_key(key)
                for key, one in sorted((published | excluded).items())
                if one.order == latest[key].order
            ]
            yield slice_, [archive[key] for key in keys if key in archive], published, excluded


def _by_folder(
    run: Run, dataset: Dataset, first: str, last: str, left_out: list[LeftOut]
) -> dict[str, list[StoredObject]]:
    """The archive's objects of a range of slices; the listing begins and ends with the range."""
    prefix = lake.archive_prefix(dataset.name)
    found: dict[str, list[StoredObject]] = {}
    for stored in list_objects(run.s3, run.bucket, prefix, start_after=f"{prefix}{first}"):
        if stored.key.removeprefix(prefix).partition("/")[0] > last:
            break
        parsed = lake.parse_landing_key(dataset, lake.landing_key_of(stored.key), stored.size)
        if isinstance(parsed, lake.LandingKey):
            assert parsed.slice is not None
            found.setdefault(parsed.slice, []).append(stored)
        else:
            left_out.append(LeftOut(key=stored.key, reason=parsed.value))
    return found


def _known(run: Run, pipeline: Pipeline, slice_: str) -> tuple[dict[str, Upload], dict[str, Upload]]:
    """The uploads that a slice was made of, and those that a rollback excluded from it, by key."""
    manifest = read_manifest(run.s3, run.bucket, pipeline.name, slice_)
    if manifest is None:
        return {}, {}
    published = {one.upload.key: one.upload for one in manifest.inputs}
    excluded = {
        one.key: one
        for one in sorted(manifest.excluded, key=lambda one: one.order)
        if one.key not in published or one.order > published[one.key].order
    }
    return published, excluded


# --- carry out -------------------------------------------------------------------------------------


def restore(run: Run, number: int) -> Outcome:
    """Copy the files of a batch to landing; doing it again copies only what is missing.

    What waits in landing under the same name is newer and is left alone, and so is a name under which
    something else was processed since the replay was planned.
    """
    items = run.get(batch_name(number), list[Item])
    reasons = in_parallel(lambda item: _restore(run, item), items)
    left_alone = [
        LeftOut(key=item.key, reason=reason) for item, reason in zip(items, reasons, strict=True) if reason
    ]
    outcome = Outcome(restored=len(items) - len(left_alone), left_alone=left_alone)
    run.put(outcome_name(number), outcome)
    task_metrics.record(
        files=outcome.restored,
        left_alone=len(left_alone),
        bytes=sum(item.size for item in items),
        keys=[run.path(outcome_name(number))],
    )
    return outcome


def _restore(run: Run, item: Item) -> str | None:
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
    metadata = {name: value for name, value in archived["Metadata"].items() if name != READMITTED}
    metadata |= {UPLOADED_AT: item.uploaded_at.isoformat(), REPLAYED_BY: run.key}
    if item.readmitted:
        metadata[READMITTED] = "true"
    try:
        copy_object(run.s3, run.bucket, copy, metadata=metadata, headers=archived, only_if_absent=True)
    except ObjectChanged:
        return "another upload of that name came in the same moment"
    return None


# --- report ------------------------------------------------------------------------------------------


def summary(plan: ReplayPlan, outcomes: Sequence[Outcome] | None) -> str:
    """One line; without outcomes it was a dry run."""
    what = f"{many(plan.files, 'upload')} of {many(len(plan.slices), plan.slice_name)} ({plan.bytes / 1e6:,.1f} MB)"
    if outcomes is None:
        return f"Dry run: would restore {what} to landing, in {many(plan.batches, 'batch', 'batches')}"
    done = sum(one.restored for one in outcomes)
    return f"Restored {done:,} of {what} to landing"


def lines(plan: ReplayPlan, outcomes: Sequence[Outcome] | None) -> list[str]:
    """What a replay does or would do, for people, one line each."""
    said = [
        f"{one.slice}: {many(one.files, 'upload')}, {one.bytes / 1e6:,.1f} MB, first uploaded "
        f"{_time(one.first_uploaded_at)}" + (f" to {_time(one.last_uploaded_at)}" if one.files > 1 else "")
        + (f": {', '.join(key.rsplit('/', 1)[-1] for key in one.keys)}" if one.keys else "")
        for one in plan.slices
    ]  # fmt: skip
    said += [f"Left out: {one.key}: {one.reason}" for one in plan.left_out]
    said += [
        f"Left alone: {one.key}: {one.reason}" for outcome in outcomes or () for one in outcome.left_alone
    ]
    return said or [f"There is nothing in the archive from {plan.slice_from} to {plan.slice_to}"]


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def details(plan: ReplayPlan, outcomes: Sequence[Outcome] | None) -> Any:
    """What the report keeps beside the lines."""
    return {"plan": plan, "restored": None if outcomes is None else sum(one.restored for one in outcomes)}
