"""Archive: uploads leave landing, exactly the versions that were processed."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import cast

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import (
    Copy,
    ObjectChanged,
    StoredVersion,
    copy_object,
    current_version,
    delete_version,
    in_parallel,
    older_versions,
)
from medlaunch.declaration import Pipeline
from medlaunch.ingest.uploads import Batch, LoadedGroup
from medlaunch.operate import task_metrics

log = logging.getLogger(__name__)


def archive(run: Run, pipeline: Pipeline, batch: Batch, groups: Sequence[LoadedGroup]) -> list[str]:
    """Move processed uploads to ``archive/`` and objects that are not data to ``quarantine/``.

    Only the versions that were read are moved: whatever took their place meanwhile stays in landing for
    the next run. Doing it again changes nothing. Returns the keys that could not be moved because
    another version, or none, is there.
    """
    client, bucket = run.s3, run.bucket
    skipped = [*batch.skipped, *(one for group in groups for one in group.skipped)]
    moves = [
        Copy(
            one.upload.key, lake.archive_key(one.upload.key), one.upload.size, one.upload.etag, one.version_id
        )
        for group in groups
        for one in group.loaded
    ]
    moves += [Copy(one.key, lake.skipped_key(one.dataset, one.key), one.size, one.etag) for one in skipped]

    older: dict[tuple[str, str], list[StoredVersion]] = {}
    for dataset in pipeline.datasets:
        older |= older_versions(client, bucket, lake.landing_prefix(dataset.name))

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
    task_metrics.record(
        moved=len(moves) - len(kept), kept=len(kept), bytes=sum(one.size for one in moves), keys=kept
    )
    log.info("Moved %d objects out of s3://%s/%s/", len(moves) - len(kept), bucket, lake.LANDING)
    return kept
