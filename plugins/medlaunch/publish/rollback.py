"""Rollback: readers see the previous version of a slice again, or of all slices of a run.

Nothing is computed and nothing is copied: partitions are pointed at the files of the earlier version, which must
still be there, and Iceberg tables take the slice back from the snapshot of that version, by the same
:func:`medlaunch.publish.publish.publish.switch` that publishes. The uploads that the version brought are listed in the manifest
as excluded, so that neither a retry nor a later run publishes the same uploads again; uploading or replaying them does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import get_bytes, in_parallel, list_objects
from medlaunch.declaration import Pipeline
from medlaunch.ingest.uploads import Upload
from medlaunch.operate import task_metrics
from medlaunch.publish import iceberg
from medlaunch.publish.manifests import Action, Manifest, read_current, read_manifest, read_version
from medlaunch.publish.publish import Target, switch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from medlaunch.athena.queries import Queries

log = logging.getLogger(__name__)

#: Document of a rollback's run, in its staging prefix.
PLAN = "plan.json"


class RollbackRefused(Exception):
    """A rollback that cannot be carried out as a whole; the message lists every reason. Nothing is changed."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The rollback of one slice, from what readers see to what they will see.

    ``abandoned_version`` is the one whose uploads are excluded: the one that readers see, or the one that
    a run was about to publish when it died. ``excluded_uploads`` are keys; ``records_now`` and ``records_then``
    rows of the first result.
    """

    slice: str
    from_version: str
    from_publication: str
    to_version: str
    abandoned_version: str
    files: int
    records_now: int
    records_then: int
    excluded_uploads: list[str]


class RollbackPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback does; ``untouched`` says of the other slices of the run why they stay as they are."""

    pipeline: str
    reason: str
    steps: list[Step]
    untouched: dict[str, str]


# --- plan ------------------------------------------------------------------------------------------


def plan_slice(
    run: Run, pipeline: Pipeline, queries: Queries, slice_: str, reason: str, to_version: str | None = None
) -> RollbackPlan:
    """The rollback of one slice to the version before the one that readers see, or to a named one.

    Raises:
        RollbackRefused: saying what is missing and the way out.
    """
    step = _step(run, pipeline, queries, slice_, to_version)
    if isinstance(step, str):
        raise RollbackRefused(step)
    return RollbackPlan(pipeline=pipeline.name, reason=reason, steps=[step], untouched={})


def plan_run(run: Run, pipeline: Pipeline, queries: Queries, run_id: str, reason: str) -> RollbackPlan:
    """The rollback of everything that a run of the pipeline published and that readers still see.

    Slices that the run never got to switch, or that were rolled back since, stay as they are.

    Raises:
        RollbackRefused: if the run published nothing, or naming each slice that cannot be rolled back.
    """
    versions = sorted(_versions_of(run.s3, run.bucket, pipeline.name, lake.run_key(run_id)))
    if not versions:
        raise RollbackRefused(
            f"No version of {pipeline.name} was published by a run {run_id!r}. The ids of runs are in the "
            "table publications (run_id) and in Airflow's list of runs"
        )
    planned: list[Step] = []
    untouched: dict[str, str] = {}
    problems: list[str] = []
    for slice_ in sorted({slice_ for slice_, _ in versions}):
        mine = {version for one, version in versions if one == slice_}
        seen = read_manifest(run.s3, run.bucket, pipeline.name, slice_)
        if seen is None:
            untouched[slice_] = "nothing of it was ever published: the run ended before"
        elif seen.version in mine:
            step = _step(run, pipeline, queries, slice_, None, not_to=mine)
            if isinstance(step, Step):
                planned.append(step)
            else:
                problems.append(step)
        elif mine & {one.version for one in _ancestors(run, seen)}:
            problems.append(
                f"{slice_}: version {seen.version} of the run {seen.run_id} came since and was made of this run's "
                f"uploads too. Roll back {slice_} by itself first, with to_version, or upload a correction"
            )
        elif unfinished := _unfinished(run, seen, mine):
            planned.append(_make_step(seen, seen, unfinished))
        else:
            untouched[slice_] = f"readers see version {seen.version} of the run {seen.run_id}, not this run's"
    if problems:
        raise RollbackRefused(
            f"{len(problems)} slices of the run {run_id} cannot be rolled back, so nothing is changed: "
            + "; ".join(problems)
        )
    return RollbackPlan(pipeline=pipeline.name, reason=reason, steps=planned, untouched=untouched)


def _versions_of(client: S3Client, bucket: str, dag_id: str, run_key: str) -> Iterator[tuple[str, str]]:
    """The versions that a run published or was about to, from the names of their manifests."""
    for stored in list_objects(client, bucket, prefix := lake.version_manifests_prefix(dag_id)):
        slice_, _, version = stored.key.removeprefix(prefix).removesuffix(".json").partition(".")
        if version.rpartition(".")[0] == run_key:
            yield slice_, version


def _unfinished(run: Run, seen: Manifest, versions: set[str]) -> Manifest | None:
    """A version that a run was about to publish after what readers see, some of its tables perhaps switched."""
    for version in sorted(versions):
        one = read_version(run.s3, run.bucket, seen.pipeline, seen.slice, version)
        record = lake.publication_key(seen.pipeline, seen.slice, version)
        if (
            one is not None
            and one.previous_version == seen.version
            and get_bytes(run.s3, run.bucket, record) is None
        ):
            return one
    return None


def _ancestors(run: Run, manifest: Manifest) -> Iterator[Manifest]:
    """The versions that a version was made after, newest first."""
    known = {manifest.version}
    version = manifest.previous_version
    while version is not None and version not in known:
        known.add(version)
        found = read_version(run.s3, run.bucket, manifest.pipeline, manifest.slice, version)
        if found is None:
            return
        yield found
        version = found.previous_version


def _step(
    run: Run,
    pipeline: Pipeline,
    queries: Queries,
    slice_: str,
    to_version: str | None,
    not_to: set[str] | None = None,
) -> Step | str:
    """The step of a slice, or why there is none."""
    seen = read_manifest(run.s3, run.bucket, pipeline.name, slice_)
    if seen is None:
        return f"{slice_}: nothing of it is published by {pipeline.name}"
    if to_version is not None:
        target = read_version(run.s3, run.bucket, pipeline.name, slice_, to_version)
        if target is None:
            return (
                f"{slice_}: there never was a version {to_version!r}. The table publications lists them "
                f"by slice"
            )
        if target.version == seen.version:
            return f"{slice_}: readers see version {to_version} already"
    elif seen.previous_version is None:
        return (
            f"{slice_}: version {seen.version} is the first that was ever published, there is none to go back to. "
            "Upload a correction under the names of the bad uploads; it replaces them"
        )
    else:
        earlier = (one for one in _ancestors(run, seen) if one.version not in (not_to or ()))
        target = next(earlier, None)
        if target is None:
            return (
                f"{slice_}: the manifest of the version before {seen.version} "
                f"(s3://{run.bucket}/{lake.version_manifests_prefix(pipeline.name)}) is gone. Name another one "
                "with to_version"
            )
    if gone := iceberg.missing_snapshots(queries, pipeline, target):
        return (
            f"{slice_}: of version {target.version} the Iceberg snapshot {gone[0]} is gone: VACUUM removed it. Have the "
            f"{pipeline.slice_name} computed again: replay_uploads"
        )
    missing = missing_files(run, target)
    if missing:
        return (
            f"{slice_}: of version {target.version} {len(missing)} files are gone, the first is "
            f"s3://{run.bucket}/{missing[0]}: the lifecycle rule has removed what was superseded. Restore them from "
            "the bucket's noncurrent versions, or have it computed again: replay_uploads"
        )
    return _make_step(seen, target, seen)


def _make_step(seen: Manifest, target: Manifest, abandoned: Manifest) -> Step:
    return Step(
        slice=seen.slice,
        from_version=seen.version,
        from_publication=seen.publication,
        to_version=target.version,
        abandoned_version=abandoned.version,
        files=sum(len(result.files) for result in target.results.values()),
        records_now=seen.records,
        records_then=target.records,
        excluded_uploads=sorted({one.key for one in _excluded(target, abandoned)}),
    )


def _excluded(target: Manifest, abandoned: Manifest) -> list[Upload]:
    """The uploads that went into the abandoned version and not into the one to go back to."""
    kept = {one.upload.upload_id for one in target.inputs}
    return [one.upload for one in abandoned.inputs if one.upload.upload_id not in kept]


def missing_files(run: Run, manifest: Manifest) -> list[str]:
    """The files of a version that are gone, or are not what was published."""

    def of(prefix: str) -> dict[str, int]:
        return {one.key: one.size for one in list_objects(run.s3, run.bucket, prefix)}

    prefixes = [result.prefix for result in manifest.results.values() if result.prefix]
    found = {key: size for listed in in_parallel(of, prefixes) for key, size in listed.items()}
    return sorted(
        file.key
        for result in manifest.results.values()
        for file in result.files
        if found.get(file.key) != file.size
    )


# --- carry out -------------------------------------------------------------------------------------


def carry_out(run: Run, target: Target, plan: RollbackPlan) -> list[Manifest]:
    """Switch each slice of a plan; doing it again changes nothing.

    Returns the manifests that readers see now.

    Raises:
        RollbackRefused: if a slice is no longer what it was when the rollback was planned, or its files
            are gone. The slices before it in the plan are rolled back, it and those after it are not.
        ConcurrentPublication: if something was published in the same moment.
    """
    manifests = [_carry_out(run, target, plan.reason, step) for step in plan.steps]
    task_metrics.record(
        slices=len(manifests),
        keys=[lake.manifest_key(one.pipeline, one.slice) for one in manifests],
    )
    return manifests


def _carry_out(run: Run, target: Target, reason: str, step: Step) -> Manifest:
    pipeline = target.pipeline
    before = read_current(run.s3, run.bucket, pipeline.name, step.slice)
    earlier, abandoned = (
        read_version(run.s3, run.bucket, pipeline.name, step.slice, version)
        for version in (step.to_version, step.abandoned_version)
    )
    seen = before.manifest
    publication = f"rollback.{run.key}"
    if seen is None or earlier is None or abandoned is None:
        raise RollbackRefused(f"{step.slice}: its manifests are gone since the rollback was planned")
    if seen.publication == publication:  # done by an earlier try, but for what comes after the manifest
        manifest = seen
    elif (seen.version, seen.publication) != (step.from_version, step.from_publication):
        raise RollbackRefused(
            f"{step.slice}: when the rollback was planned readers saw version {step.from_version}, now they see "
            f"{seen.version} of the run {seen.run_id}. Look what was published, and start the rollback again"
        )
    else:
        manifest = _manifest(seen, earlier, abandoned, publication, run.key, reason)
    missing = missing_files(run, earlier)
    if missing:
        raise RollbackRefused(
            f"{step.slice}: s3://{run.bucket}/{missing[0]} is gone since the rollback was planned"
        )
    switch(run, target, manifest=manifest, before=before)
    return manifest


def _manifest(
    seen: Manifest, target: Manifest, abandoned: Manifest, publication: str, by: str, reason: str
) -> Manifest:
    """The manifest of a version as readers see it again."""
    kept = {one.upload.upload_id for one in target.inputs}
    excluded = {
        one.upload_id: one
        for one in [*seen.excluded, *_excluded(target, abandoned)]
        if one.upload_id not in kept
    }
    return msgspec.structs.replace(
        target,
        publication=publication,
        action=Action.ROLLBACK,
        published_by=by,
        published_at=datetime.now(UTC).replace(microsecond=0),
        replaced_version=seen.version,
        reason=reason,
        excluded=sorted(excluded.values(), key=lambda one: one.order),
    )


# --- report ------------------------------------------------------------------------------------------


def lines(plan: RollbackPlan, records: str, *, dry_run: bool) -> list[str]:
    """What a rollback does or would do, for people, one line each; ``records`` is the name of rows of the first result."""
    verb = "Would roll back" if dry_run else "Rolled back"
    said = [
        f"{verb} {plan.pipeline} {step.slice}: {step.abandoned_version} ({step.records_now:,} {records}) -> "
        f"{step.to_version} ({step.records_then:,} {records})"
        + (f", without {', '.join(_few(step.excluded_uploads))}" if step.excluded_uploads else "")
        for step in plan.steps
    ]
    said += [f"Left as it is: {slice_}: {why}" for slice_, why in plan.untouched.items()]
    return said or ["There is nothing to roll back"]


def _few(names: Sequence[str], limit: int = 3) -> list[str]:
    return [*names[:limit], *([f"{len(names) - limit} more"] if len(names) > limit else [])]
