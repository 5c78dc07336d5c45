"""Uploads: what is in landing, and what a run claims of it.

``landing/`` is a queue. A key that is there is work to do, and it leaves only after its results are
published, in exactly the version that was read. What a run claimed is in one document on S3;
tasks hand on keys of such documents, never data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain

import msgspec

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import StoredObject, list_objects
from medlaunch.declaration import Dataset, LineCounts, Pipeline
from medlaunch.ingest.parts import Part, cut
from medlaunch.operate import task_metrics

#: Format of the documents that a run writes.
FORMAT = 1


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one upload. ``size`` in bytes, ``last_modified`` in UTC.

    ``slice`` is what its folder says, None if only its lines know. ``uploaded_at`` is set for an upload that came
    again from the archive: when it first came. ``readmitted``: it counts although a rollback has excluded it.
    """

    key: str
    dataset: str
    slice: str | None
    size: int
    etag: str
    last_modified: datetime
    upload_id: str
    uploaded_at: datetime | None = None
    readmitted: bool = False

    @property
    def order(self) -> tuple[datetime, str]:
        """Later uploads win; S3 keeps the time to the second, so the key decides a tie.

        What came again from the archive keeps the place it had: it does not win over what came since.
        """
        return (self.uploaded_at or self.last_modified, self.key)

    @property
    def rest(self) -> str:
        """Its key below ``landing/<dataset>/``."""
        return self.key.removeprefix(lake.landing_prefix(self.dataset))


class Share(msgspec.Struct, frozen=True, kw_only=True):
    """What one task loads of an upload: all of it, or a part."""

    upload: Upload
    part: Part | None = None

    @property
    def size(self) -> int:
        return self.part.end - self.part.start if self.part else self.upload.size


class SkippedObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object that was not loaded, and why; ``meant_as_data`` if it is worth a warning."""

    key: str
    dataset: str
    size: int
    etag: str
    reason: str
    meant_as_data: bool


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one run has claimed. ``params`` are those of the run, validated, as text."""

    format: int = FORMAT
    pipeline: str
    run_id: str
    run: str
    params: dict[str, str]
    claimed_at: datetime
    uploads: list[Upload]
    skipped: list[SkippedObject]
    left_for_next_run: int
    groups: int


class LoadedUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload whose lines are in bronze, with the version that was read."""

    upload: Upload
    version_id: str | None
    counts: LineCounts
    rejects_key: str | None

    @property
    def slices(self) -> set[str]:
        """The slices that it has a part in; also that of its folder, if it has no line."""
        return {*self.counts.slices, *([self.upload.slice] if self.upload.slice else [])}


class LoadedPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an upload whose lines are in bronze; its rejects are in the run's staging."""

    part: Part
    loaded: LoadedUpload


class LoadedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one group of claimed uploads; ``left_for_next_run`` are keys."""

    loaded: list[LoadedUpload]
    parts: list[LoadedPart] = []
    skipped: list[SkippedObject]
    left_for_next_run: list[str]


# Documents of a run, by their names in its staging prefix.
BATCH = "batch.json"


def group_name(number: int) -> str:
    return f"groups/{number:03d}.json"


def loaded_name(number: int) -> str:
    return f"loaded/{number:03d}.json"


def read_groups(run: Run, batch: Batch) -> list[LoadedGroup]:
    """What became of all groups of a batch, as their tasks have written it down."""
    return [run.get(loaded_name(number), LoadedGroup) for number in range(batch.groups)]


def read_loaded(run: Run, batch: Batch) -> list[LoadedGroup]:
    """What became of all groups of a batch; uploads that were loaded in parts as one task would have loaded them."""
    return join_parts(read_groups(run, batch))


def whole_parts(groups: Sequence[LoadedGroup]) -> list[list[LoadedPart]]:
    """The parts of each upload that was loaded in parts, in their order, if each of them was loaded."""
    found: dict[str, list[LoadedPart]] = {}
    for group in groups:
        for one in group.parts:
            found.setdefault(one.loaded.upload.upload_id, []).append(one)
    return [
        sorted(parts, key=lambda one: one.part.number)
        for parts in found.values()
        if len(parts) == parts[0].part.of
    ]


def join_parts(groups: Sequence[LoadedGroup]) -> list[LoadedGroup]:
    """The groups without parts, and one more with the uploads that were loaded in parts.

    An upload of which any part was skipped, or had changed, is skipped or left as a whole.
    """
    if not any(group.parts for group in groups):
        return list(groups)
    seen: set[str] = set()

    def first(key: str) -> bool:
        return not (key in seen or seen.add(key))  # type: ignore[func-returns-value]

    plain = [
        LoadedGroup(
            loaded=group.loaded,
            skipped=[one for one in group.skipped if first(one.key)],
            left_for_next_run=[key for key in group.left_for_next_run if first(key)],
        )
        for group in groups
    ]
    joined = LoadedGroup(loaded=[_join(one) for one in whole_parts(groups)], skipped=[], left_for_next_run=[])
    return [*plain, joined]


def _join(parts: Sequence[LoadedPart]) -> LoadedUpload:
    first = parts[0].loaded
    slices: dict[str, Counter[str]] = {}
    measures: Counter[str] = Counter()
    for one in parts:
        measures.update(one.loaded.counts.measures)
        for slice_, outcomes in one.loaded.counts.slices.items():
            slices.setdefault(slice_, Counter()).update(outcomes)
    counts = LineCounts(
        lines=sum(one.loaded.counts.lines for one in parts),
        slices={slice_: dict(outcomes) for slice_, outcomes in sorted(slices.items())},
        measures=dict(measures),
        bytes_read=first.upload.size,
    )
    rejects = any(one.loaded.rejects_key for one in parts)
    return msgspec.structs.replace(
        first,
        counts=counts,
        rejects_key=lake.rejects_key(first.upload.dataset, first.upload.rest) if rejects else None,
    )


def list_landing(run: Run, dataset: Dataset) -> Iterator[Upload | SkippedObject]:
    """All that is in landing of a dataset, in the order of keys; without the folder that a person created."""
    for stored in list_objects(run.s3, run.bucket, lake.landing_prefix(dataset.name)):
        # The S3 console makes this marker when a person creates the folder; it is no upload.
        if stored.key != lake.landing_prefix(dataset.name):
            yield _classify(dataset, stored)


def _classify(dataset: Dataset, stored: StoredObject) -> Upload | SkippedObject:
    parsed = lake.parse_landing_key(dataset, stored.key, stored.size)
    if isinstance(parsed, lake.SkipReason):
        looks_like_data = stored.size > 0 and stored.key.lower().removesuffix(".gz").endswith(
            dataset.extensions
        )
        return SkippedObject(
            key=stored.key,
            dataset=dataset.name,
            size=stored.size,
            etag=stored.etag,
            reason=parsed.value,
            meant_as_data=looks_like_data and parsed is not lake.SkipReason.HIDDEN_FILE,
        )
    modified = stored.last_modified.astimezone(UTC).replace(microsecond=0)
    return Upload(
        key=stored.key,
        dataset=dataset.name,
        slice=parsed.slice,
        size=stored.size,
        etag=stored.etag,
        last_modified=modified,
        upload_id=lake.upload_id(stored.key, stored.etag, modified),
    )


def claim(
    run: Run,
    pipeline: Pipeline,
    params: Mapping[str, str],
    *,
    max_files: int,
    max_slices: int,
    max_groups: int,
    group_bytes: int,
    part_bytes: int,
) -> Batch:
    """List landing (all pages), tell data from what is not, and decide what this run takes.

    The oldest uploads come first. What exceeds ``max_files`` or ``max_slices`` stays for the next run.
    Plain uploads of more than ``part_bytes`` are loaded in parts, where their dataset says how they are cut. Writes the
    run's batch, and one document for each group of uploads and parts that is loaded by one task.
    """
    uploads: list[Upload] = []
    skipped: list[SkippedObject] = []
    for one in chain.from_iterable(list_landing(run, dataset) for dataset in pipeline.datasets):
        if isinstance(one, Upload):
            uploads.append(one)
        else:
            skipped.append(one)
    taken = _take(uploads, max_files, max_slices)
    groups = group_shares(_share(run, pipeline, taken, part_bytes), max_groups, group_bytes)
    for number, group in enumerate(groups):
        run.put(group_name(number), group)
    batch = Batch(
        pipeline=run.name,
        run_id=run.run_id,
        run=run.key,
        params=dict(params),
        claimed_at=datetime.now(UTC),
        uploads=taken,
        skipped=skipped[:max_files],
        left_for_next_run=len(uploads) - len(taken) + max(0, len(skipped) - max_files),
        groups=len(groups),
    )
    run.put(BATCH, batch)
    task_metrics.record(
        files=len(taken),
        bytes=sum(upload.size for upload in taken),
        slices=len({one.slice for one in taken if one.slice}),
        groups=len(groups),
        skipped=len(batch.skipped),
        left_for_next_run=batch.left_for_next_run,
        keys=[run.path(BATCH)],
    )
    return batch


def _take(uploads: Sequence[Upload], max_files: int, max_slices: int) -> list[Upload]:
    """The oldest uploads, as many as a run may take; those without a slice of their own count as files only."""
    slices: set[str] = set()
    taken: list[Upload] = []
    for upload in sorted(uploads, key=lambda one: one.order):
        if len(taken) == max_files:
            break
        if upload.slice is not None and upload.slice not in slices:
            if len(slices) == max_slices:
                continue
            slices.add(upload.slice)
        taken.append(upload)
    return taken


def _share(run: Run, pipeline: Pipeline, uploads: Sequence[Upload], part_bytes: int) -> list[Share]:
    """The uploads, large ones in parts. How one is cut follows from itself, whatever else is in landing: a later run that
    loads it again writes the same objects.
    """
    shares = []
    for upload in uploads:
        how = pipeline.dataset(upload.dataset).cut
        parts = (
            cut(run, how, upload.key, upload.etag, upload.size, part_bytes)
            if how is not None and upload.size > part_bytes and not upload.key.lower().endswith(".gz")
            else []
        )
        shares += [Share(upload=upload, part=part) for part in parts] or [Share(upload=upload)]
    return shares


def group_shares(shares: Sequence[Share], max_groups: int, group_bytes: int) -> list[list[Share]]:
    """Divide uploads and parts into at most ``max_groups`` groups of similar size in bytes.

    As many groups as ``group_bytes`` asks for; the largest goes first, to the emptiest group.
    """
    total = sum(share.size for share in shares)
    # A file costs a few round trips however small it is, which is worth about 64 KB of reading.
    wanted = min(max_groups, len(shares), max(1, -(-(total + 64 * 1024 * len(shares)) // group_bytes)))
    groups: list[list[Share]] = [[] for _ in range(wanted)]
    filled = [0] * wanted
    for share in sorted(shares, key=lambda one: (-one.size, one.upload.key)):
        emptiest = filled.index(min(filled))
        groups[emptiest].append(share)
        filled[emptiest] += share.size + 64 * 1024
    return groups
