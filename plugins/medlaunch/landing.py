"""Uploads: claim them, load them into bronze, acknowledge them.

``landing/`` is a queue. A key that is there is work to do, and it leaves only after its results are
published, in exactly the version that was read. What a run claimed stands in one manifest on S3;
tasks hand on keys of such documents, never data.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import msgspec

from medlaunch import lake, steps
from medlaunch.declaration import LineCounts, Loader
from medlaunch.formats.content import UnreadableUpload
from medlaunch.objects import (
    Copy,
    ObjectChanged,
    ObjectWriter,
    StoredObject,
    copy_object,
    current_version,
    delete_version,
    in_parallel,
    list_objects,
    older_versions,
    open_object,
)
from medlaunch.runs import Run

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

_BRONZE_PART_BYTES = 512 * 1024**2


#: Metadata of an upload that was put back from the archive: when it first came (ISO 8601), and by which run.
UPLOADED_AT = "medlaunch-uploaded-at"
REPLAYED_BY = "medlaunch-replayed-by"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one upload. ``size`` in bytes, ``last_modified`` in UTC.

    ``uploaded_at`` is set for an upload that came again from the archive: when it first came.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime
    upload_id: str
    snapshot: date
    file: str
    uploaded_at: datetime | None = None

    @property
    def slice(self) -> str:
        return f"{self.snapshot}"

    @property
    def order(self) -> tuple[datetime, str]:
        """Later uploads win; S3 keeps the time to the second, so the key decides a tie.

        What came again from the archive keeps the place it had: it does not win over what came since.
        """
        return (self.uploaded_at or self.last_modified, self.key)


class SetAsideObject(msgspec.Struct, frozen=True, kw_only=True):
    """An object that is not data, and why."""

    key: str
    size: int
    etag: str
    reason: str
    version_id: str | None = None


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """What one run has claimed."""

    pipeline: str
    run_id: str
    run: str
    dataset: str
    as_of: date
    expiry_window: str
    claimed_at: datetime
    uploads: list[Upload]
    set_aside: list[SetAsideObject]
    left_for_next_run: int
    groups: int


class LoadedUpload(msgspec.Struct, frozen=True, kw_only=True):
    """An upload whose lines are in bronze, with the version that was read."""

    upload: Upload
    version_id: str | None
    counts: LineCounts
    rejects_key: str | None


class LoadedGroup(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one group of claimed uploads."""

    loaded: list[LoadedUpload]
    set_aside: list[SetAsideObject]
    left_for_next_run: list[str]


# Documents of a run, by their names in its staging prefix.
BATCH = "batch.json"


def group_name(number: int) -> str:
    return f"groups/{number:03d}.json"


def loaded_name(number: int) -> str:
    return f"loaded/{number:03d}.json"


# --- claim -----------------------------------------------------------------------------------------


def claim(
    run: Run,
    *,
    dataset: str,
    as_of: date,
    expiry_window: str,
    max_files: int,
    max_snapshots: int,
    max_groups: int,
    group_bytes: int,
) -> Batch:
    """List landing (all pages), tell data from what is not, and decide what this run takes.

    The oldest uploads come first. What exceeds ``max_files`` or ``max_snapshots`` stays for the next run.
    Writes the run's batch manifest, and one document for each group of uploads that is loaded by one task.
    """
    uploads: list[Upload] = []
    set_aside: list[SetAsideObject] = []
    for stored in list_objects(run.s3, run.bucket, lake.landing_prefix(dataset)):
        parsed = lake.parse_landing_key(stored.key, stored.size)
        if isinstance(parsed, lake.LandingKey):
            uploads.append(_upload(stored, parsed))
        elif not _is_the_prefix_itself(stored, dataset):
            set_aside.append(
                SetAsideObject(key=stored.key, size=stored.size, etag=stored.etag, reason=parsed.value)
            )
    uploads.sort(key=lambda upload: upload.order)
    snapshots: dict[date, None] = {}
    taken: list[Upload] = []
    for upload in uploads:
        if len(taken) == max_files:
            break
        if upload.snapshot not in snapshots and len(snapshots) == max_snapshots:
            continue
        snapshots[upload.snapshot] = None
        taken.append(upload)
    groups = group_uploads(taken, max_groups, group_bytes)
    for number, group in enumerate(groups):
        run.put(group_name(number), group)
    batch = Batch(
        pipeline=run.dag_id,
        run_id=run.run_id,
        run=run.key,
        dataset=dataset,
        as_of=as_of,
        expiry_window=expiry_window,
        claimed_at=datetime.now(UTC),
        uploads=taken,
        set_aside=set_aside[:max_files],
        left_for_next_run=len(uploads) - len(taken) + max(0, len(set_aside) - max_files),
        groups=len(groups),
    )
    run.put(BATCH, batch)
    steps.note(
        files=len(taken),
        bytes=sum(upload.size for upload in taken),
        snapshots=len(snapshots),
        groups=len(groups),
        set_aside=len(batch.set_aside),
        left_for_next_run=batch.left_for_next_run,
        keys=[run.path(BATCH)],
    )
    return batch


def _upload(stored: StoredObject, parsed: lake.LandingKey) -> Upload:
    modified = stored.last_modified.astimezone(UTC).replace(microsecond=0)
    return Upload(
        key=stored.key,
        size=stored.size,
        etag=stored.etag,
        last_modified=modified,
        upload_id=lake.upload_id(stored.key, stored.etag, modified),
        snapshot=parsed.snapshot,
        file=parsed.file,
    )


def _is_the_prefix_itself(stored: StoredObject, dataset: str) -> bool:
    # The S3 console makes this marker when a person creates the folder; it is no upload.
    return stored.key == lake.landing_prefix(dataset)


def group_uploads(uploads: Sequence[Upload], max_groups: int, group_bytes: int) -> list[list[Upload]]:
    """Divide uploads into at most ``max_groups`` groups of similar size in bytes.

    As many groups as ``group_bytes`` asks for; the largest upload goes first, to the emptiest group.
    """
    total = sum(upload.size for upload in uploads)
    # A file costs a few round trips however small it is, which is worth about 64 KB of reading.
    weight = {upload.upload_id: upload.size + 64 * 1024 for upload in uploads}
    wanted = min(max_groups, len(uploads), max(1, -(-(total + 64 * 1024 * len(uploads)) // group_bytes)))
    groups: list[list[Upload]] = [[] for _ in range(wanted)]
    filled = [0] * wanted
    for upload in sorted(uploads, key=lambda u: (-u.size, u.key)):
        emptiest = filled.index(min(filled))
        groups[emptiest].append(upload)
        filled[emptiest] += weight[upload.upload_id]
    return groups


def read_loaded(run: Run, batch: Batch) -> list[LoadedGroup]:
    """The accounts of all groups of a batch."""
    return [run.get(loaded_name(number), LoadedGroup) for number in range(batch.groups)]


# --- load ------------------------------------------------------------------------------------------


def load_group(
    run: Run, dataset: str, uploads: Sequence[Upload], loader: Loader, reference: Path
) -> LoadedGroup:
    """Load each upload of a group into bronze, one after the other, in constant memory.

    An upload that changed since it was claimed is left for the next run; one that cannot be read at all
    is set aside. Loading a version again writes the same objects again.
    """
    loaded: list[LoadedUpload] = []
    set_aside: list[SetAsideObject] = []
    changed: list[str] = []
    for upload in uploads:
        try:
            result = _load(run.s3, run.bucket, dataset, upload, loader, reference)
        except ObjectChanged:
            log.warning(
                "s3://%s/%s changed after it was claimed; the next run takes it", run.bucket, upload.key
            )
            changed.append(upload.key)
        except UnreadableUpload as error:
            log.warning("s3://%s/%s is set aside: %s", run.bucket, upload.key, error)
            set_aside.append(
                SetAsideObject(key=upload.key, size=upload.size, etag=upload.etag, reason=error.reason)
            )
        else:
            loaded.append(result)
            log.info(
                "Loaded s3://%s/%s: %d lines, %d rejected",
                run.bucket,
                upload.key,
                result.counts.lines,
                result.counts.rejected,
            )
            steps.note(
                files=1,
                bytes=upload.size,
                lines=result.counts.lines,
                rejected=result.counts.rejected,
                keys=[upload.key],
            )
    steps.note(set_aside=len(set_aside), left_for_next_run=len(changed))
    return LoadedGroup(loaded=loaded, set_aside=set_aside, left_for_next_run=changed)


def _load(
    client: S3Client, bucket: str, dataset: str, upload: Upload, loader: Loader, reference: Path
) -> LoadedUpload:
    rejects_key = lake.rejects_key(dataset, upload.snapshot, upload.file)
    with open_object(client, bucket, upload.key, upload.etag) as source:
        rejects = _LazyWriter(client, bucket, rejects_key)
        with (
            _RotatingWriter(
                client,
                bucket,
                lambda slice_, part: lake.bronze_key(
                    dataset, lake.parse_date(slice_), upload.upload_id, part
                ),
            ) as bronze,
            rejects,
        ):
            counts = loader(cast(BinaryIO, source), upload, bronze, rejects, reference=reference)
        version_id = source.version_id
        upload = msgspec.structs.replace(upload, uploaded_at=first_upload(source.metadata, upload))
    return LoadedUpload(
        upload=upload, version_id=version_id, counts=counts, rejects_key=rejects_key if rejects.used else None
    )


def first_upload(metadata: Mapping[str, str], upload: Upload) -> datetime | None:
    """When an upload first came, if it was put back from the archive; never later than it came now."""
    text = metadata.get(UPLOADED_AT)
    if text is None:
        return None
    try:
        first = datetime.fromisoformat(text)
    except ValueError:
        log.warning("%s has metadata %s that is no time; it counts as uploaded now", upload.key, UPLOADED_AT)
        return None
    first = first.replace(tzinfo=UTC) if first.tzinfo is None else first.astimezone(UTC)
    return min(first.replace(microsecond=0), upload.last_modified)


class _LazyWriter:
    """An object that appears only if something is written to it."""

    def __init__(self, client: S3Client, bucket: str, key: str):
        self._make: Callable[[], ObjectWriter] = lambda: ObjectWriter(client, bucket, key)
        self._writer: ObjectWriter | None = None

    @property
    def used(self) -> bool:
        return self._writer is not None

    def write(self, data: bytes) -> int:
        if self._writer is None:
            self._writer = self._make()
        return self._writer.write(data)

    def __enter__(self) -> _LazyWriter:
        return self

    def __exit__(self, *exit_details: object) -> None:
        if self._writer is not None:
            self._writer.__exit__(*exit_details)


class _RotatingWriter:
    """Whole lines in objects of bounded size, so that Athena can read a large upload side by side."""

    def __init__(self, client: S3Client, bucket: str, key_of_part: Callable[[str, int], str]):
        self._open = lambda slice_, part: ObjectWriter(client, bucket, key_of_part(slice_, part))
        self._part = 0
        self._slice: str | None = None
        self._writer: ObjectWriter | None = None

    def write(self, slice_: str, lines: bytes) -> None:
        """Write whole lines; only between two calls a new object begins."""
        if self._writer is None:
            self._writer = self._open(slice_, self._part)
        elif slice_ != self._slice or self._writer.size + len(lines) > _BRONZE_PART_BYTES:
            self._writer.commit()
            self._part += 1
            self._writer = self._open(slice_, self._part)
        self._slice = slice_
        self._writer.write(lines)

    def __enter__(self) -> _RotatingWriter:
        return self

    def __exit__(self, *exit_details: object) -> None:
        if self._writer is not None:
            self._writer.__exit__(*exit_details)


# --- acknowledge -----------------------------------------------------------------------------------


def acknowledge(run: Run, batch: Batch, groups: Sequence[LoadedGroup]) -> list[str]:
    """Move processed uploads to ``archive/`` and objects that are not data to ``quarantine/``.

    Only the versions that were read are moved: whatever took their place meanwhile stays in landing for
    the next run. Doing it again changes nothing. Returns the keys that could not be moved because
    another version, or none, stands there.
    """
    client, bucket = run.s3, run.bucket
    set_aside = [*batch.set_aside, *(one for group in groups for one in group.set_aside)]
    moves = [
        Copy(
            one.upload.key, lake.archive_key(one.upload.key), one.upload.size, one.upload.etag, one.version_id
        )
        for group in groups
        for one in group.loaded
    ]
    moves += [
        Copy(one.key, lake.set_aside_key(one.key), one.size, one.etag, one.version_id) for one in set_aside
    ]

    older = older_versions(client, bucket, lake.landing_prefix(batch.dataset))

    def move(copy: Copy) -> str | None:
        etag = cast(str, copy.etag)
        try:
            version = copy.version_id or current_version(client, bucket, copy.source, etag)
            # What was overwritten before any run had read it is kept under what replaced it, and must not come
            # back into landing when that is removed.
            under = older.get((copy.source, version or ""), [])
            for one in under:
                with contextlib.suppress(ObjectChanged):
                    copy_object(
                        client, bucket, Copy(copy.source, copy.target, one.size, None, one.version_id)
                    )
            copy_object(client, bucket, replace(copy, version_id=version))
        except ObjectChanged:
            return copy.source
        for one in under:
            client.delete_object(Bucket=bucket, Key=copy.source, VersionId=one.version_id)
        return None if delete_version(client, bucket, copy.source, etag, version) else copy.source

    kept = [key for key in in_parallel(move, moves) if key is not None]
    steps.note(moved=len(moves) - len(kept), kept=len(kept), bytes=sum(one.size for one in moves), keys=kept)
    log.info("Moved %d objects out of s3://%s/%s/", len(moves) - len(kept), bucket, lake.LANDING)
    return kept
