"""Manifests: what is published of a slice, and the record of each publication.

A publication is the moment at which a version became what readers see, by the run that made it or by a
rollback. It has a name of its own, so that a run that planned on another one is refused, and a record under
``publications/``, which the table ``publications`` reads.
"""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from medlaunch import lake
from medlaunch.aws.objects import ObjectChanged, get_bytes, open_object
from medlaunch.declaration import Lines
from medlaunch.ingest.uploads import FORMAT, LoadedUpload, Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client


class Action(StrEnum):
    """How a version became what readers see."""

    PUBLISH = "publish"
    #: Computed anew, without new uploads.
    REFRESH = "refresh"
    ROLLBACK = "rollback"


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """``size`` in bytes; ``sha256`` in base64 as S3 computed it, None above 5 GB."""

    key: str
    size: int
    sha256: str | None


class PublishedResult(msgspec.Struct, frozen=True, kw_only=True):
    """A result of a version: its files below ``prefix``, or the snapshot of its Iceberg table."""

    rows: int
    prefix: str | None = None
    files: list[PublishedFile] = []
    iceberg_snapshot: str | None = None


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is published of a slice, where it is, and what it was made of.

    ``run_id`` and ``run`` made the version, ``published_by`` made it what readers see at ``published_at``:
    the same run, or a rollback to it. ``previous_version`` is the one that this version was made after,
    ``replaced_version`` the one that readers saw before this publication. ``excluded`` are uploads that a
    rollback excluded: as long as they are listed here, the same version of them is not published again.
    ``measures`` are sums over the inputs, of whole uploads.
    """

    format: int = FORMAT
    pipeline: str
    environment: str
    slice: str
    version: str
    previous_version: str | None
    run_id: str
    run: str
    params: dict[str, str]
    published_at: datetime
    lines: Lines
    measures: dict[str, int]
    results: dict[str, PublishedResult]
    inputs: list[LoadedUpload]
    publication: str
    action: Action
    published_by: str
    replaced_version: str | None = None
    reason: str | None = None
    excluded: list[Upload] = []

    @property
    def records(self) -> int:
        """The rows of its first result."""
        return next(iter(self.results.values())).rows

    @property
    def keys(self) -> list[str]:
        """The keys of all its files."""
        return [file.key for result in self.results.values() for file in result.files]


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table ``publications``; times as Athena's JSON SerDe reads them, in UTC."""

    publication: str
    action: Action
    pipeline: str
    environment: str
    slice: str
    version: str
    replaced_version: str | None
    previous_version: str | None
    published_at: str
    published_by: str
    run_id: str
    reason: str | None
    params: dict[str, str]
    lines_read: int
    lines_accepted: int
    lines_superseded: int
    lines_rejected: int
    measures: dict[str, int]
    result_rows: dict[str, int]
    files: int
    bytes: int
    uploads: int
    excluded_uploads: list[str]

    @classmethod
    def of(cls, manifest: Manifest) -> Publication:
        """The record of the publication that a manifest describes."""
        files = [file for result in manifest.results.values() for file in result.files]
        return cls(
            publication=manifest.publication,
            action=manifest.action,
            pipeline=manifest.pipeline,
            environment=manifest.environment,
            slice=manifest.slice,
            version=manifest.version,
            replaced_version=manifest.replaced_version,
            previous_version=manifest.previous_version,
            published_at=f"{manifest.published_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            published_by=manifest.published_by,
            run_id=manifest.run_id,
            reason=manifest.reason,
            params=manifest.params,
            lines_read=manifest.lines.read,
            lines_accepted=manifest.lines.accepted,
            lines_superseded=manifest.lines.superseded,
            lines_rejected=manifest.lines.rejected,
            measures=manifest.measures,
            result_rows={name: result.rows for name, result in manifest.results.items()},
            files=len(files),
            bytes=sum(file.size for file in files),
            uploads=len(manifest.inputs),
            excluded_uploads=sorted({one.key for one in manifest.excluded}),
        )


class Current(msgspec.Struct, frozen=True):
    """What is published of a slice now, if anything, and the ETag of the manifest that says so."""

    manifest: Manifest | None
    etag: str | None


def read_current(client: S3Client, bucket: str, name: str, slice_: str) -> Current:
    """What is published of a slice now, with what a conditional write of its manifest needs."""
    try:
        with open_object(client, bucket, lake.manifest_key(name, slice_)) as source:
            return Current(_decoded(source.read()), f'"{source.etag}"')
    except ObjectChanged:
        return Current(None, None)


def read_manifest(client: S3Client, bucket: str, name: str, slice_: str) -> Manifest | None:
    """What is published of a slice now; None if nothing ever was."""
    return _decoded(get_bytes(client, bucket, lake.manifest_key(name, slice_)))


def read_version(client: S3Client, bucket: str, name: str, slice_: str, version: str) -> Manifest | None:
    """The manifest with which a version was first published; None if it never was."""
    return _decoded(get_bytes(client, bucket, lake.version_manifest_key(name, slice_, version)))


def _decoded(content: bytes | None) -> Manifest | None:
    return None if content is None else msgspec.json.decode(content, type=Manifest)
