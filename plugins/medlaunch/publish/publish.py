"""Publication: staging to prod, then the switch of each slice.

All files are in place before the first pointer moves, Iceberg tables change by one MERGE each, and the slice's
manifest is written last, by a conditional write: where it names a version, that version is whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from medlaunch import lake
from medlaunch.athena.queries import Queries
from medlaunch.aws.clients import glue_client
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import Copy, ObjectChanged, copy_objects, put_json, replace_json
from medlaunch.declaration import IcebergResult, PartitionedResult, Pipeline
from medlaunch.ingest.uploads import Batch
from medlaunch.operate import task_metrics
from medlaunch.publish import iceberg, partitions
from medlaunch.publish.manifests import (
    Action,
    Current,
    Manifest,
    Publication,
    PublishedFile,
    PublishedResult,
    read_current,
    read_manifest,
    read_version,
)
from medlaunch.publish.plan import SlicePlan, drop_stale_rejects
from medlaunch.publish.reconcile import Reconciliation, SliceReconciliation
from medlaunch.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient

log = logging.getLogger(__name__)

#: Document of a run.
MANIFESTS = "manifests.json"


class ConcurrentPublication(Exception):
    """Another publication of a slice came since this one was planned."""


@dataclass(frozen=True, kw_only=True)
class Target:
    """Where a pipeline publishes: its catalog, and Athena for the Iceberg tables."""

    pipeline: Pipeline
    glue: GlueClient
    queries: Queries
    database: str

    @classmethod
    def of_environment(cls, pipeline: Pipeline) -> Target:
        """With the clients and names of this environment."""
        config = settings()
        return cls(
            pipeline=pipeline,
            glue=glue_client(config.aws_conn_id),
            queries=Queries.of_environment(),
            database=config.database,
        )


@dataclass(kw_only=True)
class _Prepared:
    """A slice on its way: its plan, its new version, and what readers see until then."""

    plan: SlicePlan
    version: str
    before: Current
    copies: dict[str, list[Copy]]


def publish(
    run: Run, target: Target, *, batch: Batch, plans: Sequence[SlicePlan], reconciliation: Reconciliation
) -> list[Manifest]:
    """Publish the staged results of a run; publishing the same run again changes nothing.

    Returns the manifest of each slice, in the order of ``plans``.

    Raises:
        ConcurrentPublication: if another run published one of the slices after this one was planned.
    """
    s3, bucket, pipeline = run.s3, run.bucket, target.pipeline
    prepared = [_prepare(run, pipeline, plan) for plan in plans]
    for one in prepared:
        try:
            _refuse_if_overtaken(run, one.plan, one.version, one.before.manifest)
        except ConcurrentPublication:
            # An earlier try of this run may have changed the tables after the other run did.
            for begun in prepared:
                if read_version(s3, bucket, pipeline.name, begun.plan.slice, begun.version) is not None:
                    _show_published(run, target, begun.plan.slice)
            raise
    copies = [copy for one in prepared for group in one.copies.values() for copy in group]
    checksums = dict(zip((copy.target for copy in copies), copy_objects(s3, bucket, copies), strict=True))
    log.info("Copied %d objects to s3://%s/%s/", len(copies), bucket, lake.PROD)

    counted = {one.slice: one for one in reconciliation.slices}
    now = datetime.now(UTC).replace(microsecond=0)
    manifests = []
    for one in prepared:
        manifest = _manifest(run, pipeline, batch, one, counted[one.plan.slice], checksums, now)
        if _is_published(one):
            # A retry: what the first try, or a rollback to it, wrote stays the truth.
            assert one.before.manifest
            manifest = one.before.manifest
        else:
            _put_version(run, manifest)
        manifests.append(manifest)
    fresh = [one.plan.slice for one in prepared if not _is_published(one)]
    try:
        snapshots = iceberg.merge(run, target.queries, pipeline, fresh)
    except iceberg.ConcurrentMerge:
        # If the other run has published, this MERGE has come too late. If it is about to, this run's retry yields.
        for one in prepared:
            if read_current(s3, bucket, pipeline.name, one.plan.slice).etag != one.before.etag:
                _show_published(run, target, one.plan.slice)
        raise
    for number, manifest in enumerate(manifests):
        if snapshots and manifest.slice in fresh:
            manifests[number] = _with_snapshots(manifest, snapshots)
            _put_version(run, manifests[number])
    for number, (manifest, one) in enumerate(zip(manifests, prepared, strict=True)):
        try:
            switch(run, target, manifest=manifest, before=one.before)
        except ConcurrentPublication:
            # Nor are the other slices published, whose files are there already.
            for other in manifests[number + 1 :]:
                partitions.mark_superseded(s3, bucket, other, other.keys)
                _show_published(run, target, other.slice)
            raise
        # Not before: until then another run may publish, and its rejects are not this run's to judge.
        drop_stale_rejects(run, pipeline, manifest.slice, manifest.inputs)
    run.put(MANIFESTS, manifests)
    task_metrics.record(
        slices=len(manifests),
        files=len(copies),
        bytes=sum(copy.size for copy in copies),
        keys=[lake.manifest_key(one.pipeline, one.slice) for one in manifests],
    )
    return manifests


def _prepare(run: Run, pipeline: Pipeline, plan: SlicePlan) -> _Prepared:
    staged = {
        result.name: partitions.staged(run, pipeline, result.name, plan.slice) for result in pipeline.results
    }
    version = _version(run.key, staged)
    before = read_current(run.s3, run.bucket, pipeline.name, plan.slice)
    copies = {
        result.name: partitions.targets(
            lake.version_prefix(result.name, pipeline.slice_column, plan.slice, version), staged[result.name]
        )
        for result in pipeline.results
        if isinstance(result, PartitionedResult)
    }
    return _Prepared(plan=plan, version=version, before=before, copies=copies)


def _is_published(one: _Prepared) -> bool:
    return one.before.manifest is not None and one.before.manifest.version == one.version


def _put_version(run: Run, manifest: Manifest) -> None:
    key = lake.version_manifest_key(manifest.pipeline, manifest.slice, manifest.version)
    put_json(run.s3, run.bucket, key, manifest)


def _with_snapshots(manifest: Manifest, snapshots: Mapping[str, str]) -> Manifest:
    results = {
        name: msgspec.structs.replace(result, iceberg_snapshot=snapshots.get(name, result.iceberg_snapshot))
        for name, result in manifest.results.items()
    }
    return msgspec.structs.replace(manifest, results=results)


def switch(run: Run, target: Target, *, manifest: Manifest, before: Current) -> None:
    """Make a version the one that readers see: the tables first, the manifest last.

    Doing it again changes nothing. Of several at once exactly one gets through, the one whose manifest
    takes the place of ``before``; the others make the tables show what it published.

    Raises:
        ConcurrentPublication: if something else was published since ``before`` was read.
    """
    s3, bucket, pipeline = run.s3, run.bucket, target.pipeline
    keys = manifest.keys
    if manifest.action is Action.ROLLBACK:
        partitions.spare(s3, bucket, keys)
    # What is there now and is not this version is superseded by it, or was never published and never will
    # be: the run that copied it has read what was published before it did, and is refused from now on.
    others = sorted(partitions.stored_keys(s3, bucket, pipeline, manifest.slice) - set(keys))
    partitions.point(target.glue, bucket, target.database, pipeline, manifest)
    if manifest.action is Action.ROLLBACK:
        iceberg.restore(target.queries, target.glue, target.database, pipeline, manifest)
    if before.manifest is None or before.manifest.publication != manifest.publication:
        place = lake.manifest_key(manifest.pipeline, manifest.slice)
        try:
            replace_json(s3, bucket, place, manifest, before.etag)
        except ObjectChanged as error:
            _yield_to_winner(run, target, manifest, error)
        log.info(
            "%s of %s: readers see version %s now (%s)",
            manifest.pipeline,
            manifest.slice,
            manifest.version,
            manifest.action,
        )
    # The one before too, if it is missing: the run that made it may have died before it came to that.
    for one in (before.manifest, manifest):
        if one is not None and one.publication:
            record = lake.publication_key(one.pipeline, one.slice, one.publication)
            with contextlib.suppress(ObjectChanged):
                replace_json(s3, bucket, record, Publication.of(one), None)
    if manifest.action is Action.ROLLBACK:
        # Once more: a run that published just before this rollback may have marked them since.
        partitions.spare(s3, bucket, keys)
    partitions.mark_superseded(s3, bucket, manifest, others)


def _show_published(run: Run, target: Target, slice_: str) -> None:
    """Make the tables show what is published of a slice, whatever this run has done to them."""
    seen = read_manifest(run.s3, run.bucket, target.pipeline.name, slice_)
    if seen is not None:
        partitions.point(target.glue, run.bucket, target.database, target.pipeline, seen)
        iceberg.restore(target.queries, target.glue, target.database, target.pipeline, seen)


def _yield_to_winner(run: Run, target: Target, manifest: Manifest, error: ObjectChanged) -> None:
    """Make the tables show what another run published in the same moment, unless it was this same publication."""
    winner = read_manifest(run.s3, run.bucket, manifest.pipeline, manifest.slice)
    if winner is not None and winner.publication == manifest.publication:
        return  # our own write, whose answer was lost and which was sent again
    if winner is not None:
        _show_published(run, target, manifest.slice)
        # The other run may have looked what is there before this version was.
        partitions.mark_superseded(run.s3, run.bucket, manifest, manifest.keys)
    raise ConcurrentPublication(
        f"{manifest.pipeline} {manifest.slice}: while version {manifest.version} was on its way, "
        f"version {winner.version if winner else 'none'} was published by another run, and that is "
        "what readers see. A run: clear plan_slices and everything downstream, or let the next "
        "run take the uploads. A rollback: look what was published, and start it again"
    ) from error


def _refuse_if_overtaken(run: Run, plan: SlicePlan, version: str, current: Manifest | None) -> None:
    """A plan that is older than what is published would take newer uploads out of the results again.

    And it would bring back what a rollback has excluded.
    """
    if current is None or current.version == version or current.published_by == run.key:
        return
    if current.version == plan.previous_version and current.publication == plan.previous_publication:
        return
    happened = (
        f"the rollback {current.published_by} to version {current.version} ({current.reason}) came"
        if current.action is Action.ROLLBACK
        else f"version {current.version} of the run {current.run_id} was published"
    )
    raise ConcurrentPublication(
        f"{run.name} {plan.slice}: {happened} after this run had planned to follow "
        f"{plan.previous_version or 'nothing'}. Nothing is published. Clear plan_slices and everything "
        "downstream of it, if this run's uploads are still in landing; otherwise they are published already "
        "and nothing is to be done"
    )


def _version(run: str, staged: Mapping[str, Sequence[Copy]]) -> str:
    """The run's name and a digest of the content, so that other content never takes over a prefix."""
    content = sorted((name, one.size, one.etag) for name, group in staged.items() for one in group)
    return f"{run}.{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:8]}"


def _manifest(
    run: Run,
    pipeline: Pipeline,
    batch: Batch,
    one: _Prepared,
    counted: SliceReconciliation,
    checksums: Mapping[str, str | None],
    now: datetime,
) -> Manifest:
    results = {}
    for result in pipeline.results:
        if isinstance(result, IcebergResult):
            results[result.name] = PublishedResult(rows=counted.rows.get(result.name, 0))
            continue
        results[result.name] = PublishedResult(
            prefix=lake.version_prefix(result.name, pipeline.slice_column, one.plan.slice, one.version),
            rows=counted.rows.get(result.rows_of or result.name, 0),
            files=[
                PublishedFile(key=copy.target, size=copy.size, sha256=checksums[copy.target])
                for copy in one.copies[result.name]
            ],
        )
    return Manifest(
        pipeline=batch.pipeline,
        environment=run.environment,
        slice=one.plan.slice,
        version=one.version,
        previous_version=one.plan.previous_version,
        run_id=batch.run_id,
        run=batch.run,
        params=batch.params,
        published_at=now,
        lines=counted.lines,
        measures=counted.measures,
        results=results,
        inputs=sorted([*one.plan.merged, *one.plan.inputs], key=lambda source: source.upload.order),
        publication=one.version,
        action=Action.PUBLISH if one.plan.batch_uploads else Action.REFRESH,
        published_by=run.key,
        replaced_version=one.before.manifest.version if one.before.manifest else None,
        excluded=one.plan.excluded,
    )
