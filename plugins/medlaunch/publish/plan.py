"""The plan of a run: which slices it computes, and from which uploads."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import msgspec

from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import ObjectWriter, exists, list_objects
from medlaunch.declaration import Pipeline
from medlaunch.ingest.uploads import LoadedGroup, LoadedUpload, Upload
from medlaunch.operate import task_metrics
from medlaunch.publish.manifests import Manifest, read_manifest

# Documents of a run, by their names in its staging prefix.
PLANS = "plans.json"
EXCLUDED = "excluded.json"
#: What the table run_uploads reads.
UPLOADS = "uploads/uploads.jsonl"

_BEFORE = "slices_and_before"


class SlicePlan(msgspec.Struct, frozen=True, kw_only=True):
    """All uploads that make up a slice, oldest first, and what is published of it now.

    The run reads ``inputs``; ``merged`` are those that the published version holds already, where a run merges only its
    own. ``batch_uploads`` are ids of the inputs that this run has claimed; ``previous_accepted`` the accepted lines of the
    published version; ``excluded`` the uploads that a rollback excluded.
    """

    slice: str
    inputs: list[LoadedUpload]
    batch_uploads: list[str]
    merged: list[LoadedUpload] = []
    previous_version: str | None = None
    previous_publication: str | None = None
    previous_accepted: int = 0
    excluded: list[Upload] = []

    @property
    def is_worth_publishing(self) -> bool:
        """False if there is no row, valid or rejected, and nothing published that could be outdated."""
        return self.previous_version is not None or any(
            sum(one.counts.slices.get(self.slice, {}).values()) for one in self.inputs
        )


class _UploadRow(msgspec.Struct, kw_only=True):
    """A row of the table run_uploads; times as Athena's JSON SerDe reads them, in UTC."""

    slice: str
    dataset: str
    upload_id: str
    upload_order: int
    uploaded_at: str
    source_key: str


def plan(run: Run, pipeline: Pipeline, groups: Sequence[LoadedGroup]) -> list[SlicePlan]:
    """Which slices the run computes, and from which uploads; writes the plan and the table of uploads.

    A slice is made of what is published of it and of what the run loaded, without the uploads that a
    rollback excluded. Slices without any row that were never published are left out, and so are those
    for which nothing came but what a rollback had excluded. If nothing was loaded at all, a pipeline that refreshes
    computes what is published.
    """
    loaded: dict[str, list[LoadedUpload]] = {}
    for group in groups:
        for one in group.loaded:
            for slice_ in one.slices:
                loaded.setdefault(slice_, []).append(one)
    plans = []
    left_out: set[str] = set()
    if not loaded and pipeline.refresh:
        loaded = {slice_: [] for slice_ in published_slices(run, pipeline)}
    for slice_ in sorted(loaded):
        published = read_manifest(run.s3, run.bucket, pipeline.name, slice_)
        excluded = _excluded(loaded[slice_], published)
        left_out |= excluded
        fresh = [one for one in loaded[slice_] if one.upload.upload_id not in excluded]
        if loaded[slice_] and not fresh:
            continue
        one_plan = plan_slice(slice_, published, fresh, recompute=pipeline.recompute)
        if one_plan.is_worth_publishing:
            plans.append(one_plan)
        else:
            drop_stale_rejects(run, pipeline, slice_, one_plan.inputs)
    run.put(PLANS, plans)
    run.put(EXCLUDED, sorted(left_out))
    task_metrics.record(
        slices=len(plans),
        uploads=sum(len(one.inputs) for one in plans),
        excluded=len(left_out),
        keys=[run.path(PLANS)],
    )
    with ObjectWriter(run.s3, run.bucket, run.path(UPLOADS)) as table:
        for one_plan in plans:
            for order, source in enumerate(one_plan.inputs):
                row = _UploadRow(
                    slice=one_plan.slice,
                    dataset=source.upload.dataset,
                    upload_id=source.upload.upload_id,
                    upload_order=order,
                    uploaded_at=f"{source.upload.order[0]:%Y-%m-%d %H:%M:%S}",
                    source_key=source.upload.key,
                )
                table.write(msgspec.json.encode(row) + b"\n")
    return plans


def _excluded(loaded: Sequence[LoadedUpload], published: Manifest | None) -> set[str]:
    """The ids of those uploads that a rollback of the slice has excluded.

    A replay, which may be one of another slice that the upload has a part in, brings it back under another id but in its
    place in the order.
    """
    if published is None:
        return set()
    ids = {one.upload_id for one in published.excluded}
    orders = {one.order for one in published.excluded} - {one.upload.order for one in published.inputs}
    return {
        one.upload_id
        for one in (each.upload for each in loaded)
        if one.upload_id in ids
        or (one.uploaded_at is not None and not one.readmitted and one.order in orders)
    }


def published_slices(run: Run, pipeline: Pipeline) -> list[str]:
    """The slices of which something is published."""
    prefix = lake.manifests_prefix(pipeline.name)
    return [
        one.key.removeprefix(prefix).removesuffix(".json") for one in list_objects(run.s3, run.bucket, prefix)
    ]


def values(run: Run, pipeline: Pipeline, slices: Sequence[str]) -> dict[str, list[str]]:
    """What the statements of a run know of slices: ``slices``, its own.

    Where a check compares a slice with the one before it, also ``slices_and_before``: these, and of each the greatest
    published one before it. It takes a listing of all that is published, which others do not pay for.
    """
    known = {"slices": list(slices)}
    if not any(_BEFORE in statements.values_of(one) for one in statements.statements(pipeline.checks_folder)):
        return known
    published = published_slices(run, pipeline)
    before = {max((other for other in published if other < one), default=one) for one in slices}
    return known | {_BEFORE: sorted({*slices, *before})}


def plan_slice(
    slice_: str, published: Manifest | None, loaded: Sequence[LoadedUpload], *, recompute: bool = True
) -> SlicePlan:
    """Which uploads make up a slice: the published ones, each replaced by what came under its name.

    With ``recompute`` off the run reads only those that it has loaded. Oldest first: later ones win.
    """
    earlier = published.inputs if published else []
    by_key = {one.upload.key: one for one in (earlier if recompute else ())}
    for one in loaded:
        known = by_key.get(one.upload.key)
        if known is None or known.upload.order <= one.upload.order:
            by_key[one.upload.key] = one
    one_plan = SlicePlan(
        slice=slice_,
        inputs=sorted(by_key.values(), key=lambda one: one.upload.order),
        merged=[] if recompute else [one for one in earlier if one.upload.key not in by_key],
        batch_uploads=sorted(one.upload.upload_id for one in loaded),
    )
    if published is None:
        return one_plan
    newest = {one.upload.key: one.upload.order for one in one_plan.inputs}
    return msgspec.structs.replace(
        one_plan,
        previous_version=published.version,
        previous_publication=published.publication,
        previous_accepted=published.lines.accepted,
        # What a later upload under the same name has replaced needs no remembering.
        excluded=[one for one in published.excluded if one.order >= newest.get(one.key, one.order)],
    )


def drop_stale_rejects(run: Run, pipeline: Pipeline, slice_: str, inputs: Sequence[LoadedUpload]) -> None:
    """Remove rejects that are no longer true: of uploads that were replaced, or that are gone since a run failed.

    Rejects of any other upload that is in landing stay, as another run may have written them.
    """
    current = {one.rejects_key for one in inputs}
    known = {lake.rejects_key(one.upload.dataset, one.upload.rest) for one in inputs}
    for dataset in pipeline.datasets:
        root = lake.quarantine_prefix(dataset.name)
        if dataset.slice_of_folder is None:
            prefixes = sorted(key for key in known - current if key.startswith(root))
        else:
            prefixes = [f"{root}{slice_}/"]
        for stored in chain.from_iterable(list_objects(run.s3, run.bucket, one) for one in prefixes):
            if stored.key in current:
                continue
            rest = stored.key.removeprefix(root).removesuffix(lake.REJECTS_SUFFIX)
            if stored.key in known or not exists(run.s3, run.bucket, lake.landing_key(dataset.name, rest)):
                run.s3.delete_object(Bucket=run.bucket, Key=stored.key)
