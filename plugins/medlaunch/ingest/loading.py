"""Load claimed uploads into bronze, each in one streaming pass."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import msgspec

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import ObjectChanged, ObjectWriter, open_object
from medlaunch.declaration import Dataset, Loader, Pipeline
from medlaunch.formats.content import UnreadableUpload
from medlaunch.ingest.keys import pseudonym_key
from medlaunch.ingest.parts import Part
from medlaunch.ingest.uploads import (
    LoadedGroup,
    LoadedPart,
    LoadedUpload,
    Share,
    SkippedObject,
    Upload,
    whole_parts,
)
from medlaunch.operate import task_metrics

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: Metadata of an upload that was restored from the archive: when it first came (ISO 8601), and by which run.
UPLOADED_AT = "medlaunch-uploaded-at"
REPLAYED_BY = "medlaunch-replayed-by"
#: ``true`` if the replay was asked for what rollbacks have excluded.
READMITTED = "medlaunch-readmitted"

_BRONZE_PART_BYTES = 512 * 1024**2
_CHUNK = 1024**2
# Bronze objects of one upload that are written at the same time; each holds a part of 8 MB in memory.
_OPEN_SLICES = 4


def find_loader(dataset: Dataset) -> Loader:
    """The function that loads a dataset's uploads.

    Raises:
        KeyMissing: if it makes pseudonyms, and there is no key.
    """
    return dataset.import_loader(pseudonym_key() if dataset.pseudonyms else None)


def load_group(run: Run, pipeline: Pipeline, shares: Sequence[Share], reference: Path) -> LoadedGroup:
    """Load each upload, or part of one, of a group into bronze, one after the other, in constant memory.

    An upload that changed since it was claimed is left for the next run; one that cannot be read at all
    is skipped. Loading a version again writes the same objects again. ``reference`` is the folder of reference data.
    """
    loaders = {
        one.name: find_loader(one)
        for one in pipeline.datasets
        if any(share.upload.dataset == one.name for share in shares)
    }
    loaded: list[LoadedUpload] = []
    parts: list[LoadedPart] = []
    skipped: list[SkippedObject] = []
    changed: list[str] = []
    for share in shares:
        upload, part = share.upload, share.part
        try:
            result = _load(run, pipeline, share, loaders[upload.dataset], reference)
        except ObjectChanged:
            log.warning(
                "s3://%s/%s changed after it was claimed; the next run takes it", run.bucket, upload.key
            )
            changed.append(upload.key)
        except UnreadableUpload as error:
            log.warning("s3://%s/%s is skipped: %s", run.bucket, upload.key, error)
            skipped.append(
                SkippedObject(
                    key=upload.key,
                    dataset=upload.dataset,
                    size=upload.size,
                    etag=upload.etag,
                    reason=error.reason,
                    meant_as_data=True,
                )
            )
        else:
            if part is None:
                loaded.append(result)
            else:
                parts.append(LoadedPart(part=part, loaded=result))
            log.info(
                "Loaded s3://%s/%s%s: %d lines, %d rejected",
                run.bucket,
                upload.key,
                f", part {part.number + 1} of {part.of}" if part else "",
                result.counts.lines,
                result.counts.rejected,
            )
            task_metrics.record(
                files=1 if part is None or part.number == 0 else 0,
                bytes=share.size,
                lines=result.counts.lines,
                rejected=result.counts.rejected,
                keys=[upload.key],
            )
    task_metrics.record(skipped=len(skipped), left_for_next_run=len(changed))
    return LoadedGroup(loaded=loaded, parts=parts, skipped=skipped, left_for_next_run=changed)


def join_rejects(run: Run, groups: Sequence[LoadedGroup]) -> None:
    """Write the rejects of uploads that were loaded in parts to where one task would have written them."""
    for parts in whole_parts(groups):
        upload = parts[0].loaded.upload
        keys = [one.loaded.rejects_key for one in parts if one.loaded.rejects_key]
        with _LazyWriter(run.s3, run.bucket, lake.rejects_key(upload.dataset, upload.rest)) as rejects:
            for key in keys:
                with open_object(run.s3, run.bucket, key) as source:
                    while chunk := source.read(_CHUNK):
                        rejects.write(chunk)


def _load(run: Run, pipeline: Pipeline, share: Share, loader: Loader, reference: Path) -> LoadedUpload:
    client, bucket = run.s3, run.bucket
    upload, part = share.upload, share.part
    if part is None:
        rejects_key = lake.rejects_key(upload.dataset, upload.rest)
        source = open_object(client, bucket, upload.key, upload.etag)
        stream = cast(BinaryIO, source)
    else:
        rejects_key = run.path(f"part_rejects/{_name(share)}.jsonl")
        header = _read_header(run, upload, part)
        source = open_object(client, bucket, upload.key, upload.etag, part.start, part.end)
        stream = cast(BinaryIO, io.BufferedReader(_Joined(header, source), _CHUNK))
        loader = cast(Loader, partial(cast(Any, loader), first_line=part.first_line))
    with source:
        rejects = _LazyWriter(client, bucket, rejects_key)
        with _Bronze(run, pipeline, share) as bronze, rejects:
            counts = loader(stream, upload, bronze, rejects, reference=reference)
        version_id = source.version_id
        upload = msgspec.structs.replace(
            upload,
            uploaded_at=first_upload(source.metadata, upload),
            readmitted=source.metadata.get(READMITTED) == "true",
        )
    return LoadedUpload(
        upload=upload, version_id=version_id, counts=counts, rejects_key=rejects_key if rejects.used else None
    )


def _name(share: Share) -> str:
    """Names what one task loads of an upload."""
    id_ = share.upload.upload_id
    return id_ if share.part is None else f"{id_}.{share.part.number:05d}"


def _read_header(run: Run, upload: Upload, part: Part) -> bytes:
    if not part.header:
        return b""
    with open_object(run.s3, run.bucket, upload.key, upload.etag, 0, part.header) as source:
        return source.read()


class _Joined(io.RawIOBase):
    """Some bytes, and what a stream has after them."""

    def __init__(self, head: bytes, stream: io.BufferedReader):
        self._head, self._stream = memoryview(head), stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._head:
            return self._stream.readinto(buffer)
        chunk = self._head[: len(buffer)]
        buffer[: len(chunk)] = chunk
        self._head = self._head[len(chunk) :]
        return len(chunk)


def first_upload(metadata: Mapping[str, str], upload: Upload) -> datetime | None:
    """When an upload first came, if it was restored from the archive; never later than it came now."""
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

    def write(self, lines: bytes, /) -> int:
        if self._writer is None:
            self._writer = self._make()
        return self._writer.write(lines)

    def __enter__(self) -> _LazyWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._writer is not None:
            self._writer.__exit__(kind, error, trace)


class _Bronze:
    """The bronze objects of one upload, or of a part: whole lines by slice, each object of bounded size, so that Athena can read a
    large upload in parallel.
    """

    def __init__(self, run: Run, pipeline: Pipeline, share: Share):
        # What a pipeline merges no later run reads again, so it lies below the run: what a failed run loaded is not counted
        # with what the next one loads.
        reader = None if pipeline.recompute else run.key

        def key(slice_: str, part: int) -> str:
            slice_ = lake.check_slice(slice_)
            return lake.bronze_key(
                share.upload.dataset, pipeline.slice_column, slice_, _name(share), part, reader
            )

        self._new = lambda slice_, part: ObjectWriter(run.s3, run.bucket, key(slice_, part))
        self._parts: dict[str, int] = {}
        self._writers: dict[str, ObjectWriter] = {}  # the one that was written to last is the last one

    def write(self, slice_: str, lines: bytes) -> None:
        """Write whole lines; only between two calls a new object begins."""
        writer = self._writers.pop(slice_, None)
        if writer is not None and writer.size + len(lines) > _BRONZE_PART_BYTES:
            writer.commit()
            writer = None
        if writer is None:
            if len(self._writers) == _OPEN_SLICES:
                oldest = next(iter(self._writers))
                self._writers.pop(oldest).commit()
            part = self._parts.get(slice_, 0)
            writer = self._new(slice_, part)
            self._parts[slice_] = part + 1
        self._writers[slice_] = writer
        writer.write(lines)

    def __enter__(self) -> _Bronze:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # All appear, or after the first failure none of those that are left.
        stack = ExitStack()
        for writer in self._writers.values():
            stack.push(writer.__exit__)
        stack.__exit__(kind, error, trace)
