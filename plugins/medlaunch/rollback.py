"""Rollback: readers see the previous version of a snapshot again, or of all snapshots of a run.

Nothing is computed and nothing is copied: the tables' partitions are pointed at the files of the earlier
version, which must still be there, by the same :func:`medlaunch.publish.switch` that publishes. The
uploads that the version brought are listed in the manifest as withdrawn, so that neither a retry nor a
later run puts the same uploads back; uploading or replaying them does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import msgspec

from medlaunch import lake, steps
from medlaunch.landing import Upload
from medlaunch.objects import get_bytes, in_parallel, list_objects
from medlaunch.pipelines import Pipeline
from medlaunch.publish import Action, Manifest, current, read_manifest, read_version, switch
from medlaunch.runs import Run

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

log = logging.getLogger(__name__)

#: Document of a rollback's run, in its staging prefix.
PLAN = "plan.json"


class RollbackRefused(Exception):
    """A rollback that cannot be carried out as a whole; the message lists every reason. Nothing is changed."""


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """The rollback of one snapshot, from what readers see to what they will see.

    ``abandoned_version`` is the one whose uploads are taken out: the one that readers see, or the one that
    a run was about to publish when it died. ``uploads_taken_out`` are keys; ``facilities_now`` and
    ``facilities_then`` rows of the metrics.
    """

    snapshot: date
    from_version: str
    from_publication: str
    to_version: str
    abandoned_version: str
    files: int
    facilities_now: int
    facilities_then: int
    uploads_taken_out: list[str]


class RollbackPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback does; ``untouched`` says of the other snapshots of the run why they stay as they are."""

    pipeline: str
    reason: str
    steps: list[Step]
    untouched: dict[str, str]


# --- plan ------------------------------------------------------------------------------------------


def plan_snapshot(
    run: Run, pipeline: Pipeline, snapshot: date, reason: str, to_version: str | None = None
) -> RollbackPlan:
    """The rollback of one snapshot to the version before the one that readers see, or to a named one.

    Raises:
        RollbackRefused: saying what is missing and the way out.
    """
    step = _step(run, pipeline, snapshot, to_version)
    if isinstance(step, str):
        raise RollbackRefused(step)
    return RollbackPlan(pipeline=pipeline.dag_id, reason=reason, steps=[step], untouched={})


def plan_run(run: Run, pipeline: Pipeline, run_id: str, reason: str) -> RollbackPlan:
    """The rollback of everything that a run of the pipeline published and that readers still see.

    Snapshots that the run never got to switch, or that were rolled back since, stay as they are.

    Raises:
        RollbackRefused: if the run published nothing, or naming each snapshot that cannot be rolled back.
    """
    versions = sorted(_versions_of(run.s3, run.bucket, pipeline.dag_id, lake.run_key(run_id)))
    if not versions:
        raise RollbackRefused(
            f"No version of {pipeline.dag_id} was published by a run {run_id!r}. The ids of runs stand in the "
            "table publications (run_id) and in Airflow's list of runs"
        )
    planned: list[Step] = []
    untouched: dict[str, str] = {}
    problems: list[str] = []
    for snapshot in sorted({snapshot for snapshot, _ in versions}):
        mine = {version for day, version in versions if day == snapshot}
        seen = read_manifest(run.s3, run.bucket, pipeline.dag_id, snapshot)
        if seen is None:
            untouched[f"{snapshot}"] = "nothing of it was ever published: the run ended before"
        elif seen.version in mine:
            step = _step(run, pipeline, snapshot, None, not_to=mine)
            if isinstance(step, Step):
                planned.append(step)
            else:
                problems.append(step)
        elif mine & {one.version for one in _ancestors(run, seen)}:
            problems.append(
                f"{snapshot}: version {seen.version} of the run {seen.run_id} came since and was made of this run's "
                f"uploads too. Roll back {snapshot} by itself first, with to_version, or upload a correction"
            )
        elif unfinished := _unfinished(run, seen, mine):
            planned.append(_make_step(seen, seen, unfinished))
        else:
            untouched[f"{snapshot}"] = (
                f"readers see version {seen.version} of the run {seen.run_id}, not this run's"
            )
    if problems:
        raise RollbackRefused(
            f"{len(problems)} snapshots of the run {run_id} cannot be rolled back, so nothing is changed: "
            + "; ".join(problems)
        )
    return RollbackPlan(pipeline=pipeline.dag_id, reason=reason, steps=planned, untouched=untouched)


def _versions_of(client: S3Client, bucket: str, dag_id: str, run_key: str) -> Iterator[tuple[date, str]]:
    """The versions that a run published or was about to, from the names of their manifests."""
    for stored in list_objects(client, bucket, prefix := lake.version_manifests_prefix(dag_id)):
        day, _, version = stored.key.removeprefix(prefix).removesuffix(".json").partition(".")
        if version.rpartition(".")[0] == run_key:
            yield lake.parse_date(day), version


def _unfinished(run: Run, seen: Manifest, versions: set[str]) -> Manifest | None:
    """A version that a run was about to publish after what readers see, some of its tables perhaps switched."""
    for version in sorted(versions):
        one = read_version(run.s3, run.bucket, seen.pipeline, seen.snapshot_date, version)
        record = lake.publication_key(seen.pipeline, seen.snapshot_date, version)
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
        found = read_version(run.s3, run.bucket, manifest.pipeline, manifest.snapshot_date, version)
        if found is None:
            return
        yield found
        version = found.previous_version


def _step(
    run: Run, pipeline: Pipeline, snapshot: date, to_version: str | None, not_to: set[str] | None = None
) -> Step | str:
    """The step of a snapshot, or why there is none."""
    seen = read_manifest(run.s3, run.bucket, pipeline.dag_id, snapshot)
    if seen is None:
        return f"{snapshot}: nothing of it is published by {pipeline.dag_id}"
    if to_version is not None:
        target = read_version(run.s3, run.bucket, pipeline.dag_id, snapshot, to_version)
        if target is None:
            return (
                f"{snapshot}: there never was a version {to_version!r}. The table publications lists them "
                f"by snapshot_date"
            )
        if target.version == seen.version:
            return f"{snapshot}: readers see version {to_version} already"
    elif seen.previous_version is None:
        return (
            f"{snapshot}: version {seen.version} is the first that was ever published, there is none to go back to. "
            "Upload a correction under the names of the bad uploads; it replaces them"
        )
    else:
        earlier = (one for one in _ancestors(run, seen) if one.version not in (not_to or ()))
        target = next(earlier, None)
        if target is None:
            return (
                f"{snapshot}: the manifest of the version before {seen.version} "
                f"(s3://{run.bucket}/{lake.version_manifests_prefix(pipeline.dag_id)}) is gone. Name another one "
                "with to_version"
            )
    missing = missing_files(run, target)
    if missing:
        return (
            f"{snapshot}: of version {target.version} {len(missing)} files are gone, the first is "
            f"s3://{run.bucket}/{missing[0]}: the lifecycle rule has removed what was superseded. Restore them from "
            "the bucket's noncurrent versions, or have the snapshot computed again: replay_uploads"
        )
    return _make_step(seen, target, seen)


def _make_step(seen: Manifest, target: Manifest, abandoned: Manifest) -> Step:
    return Step(
        snapshot=seen.snapshot_date,
        from_version=seen.version,
        from_publication=seen.publication,
        to_version=target.version,
        abandoned_version=abandoned.version,
        files=sum(len(result.files) for result in target.results.values()),
        facilities_now=seen.lines.accepted,
        facilities_then=target.lines.accepted,
        uploads_taken_out=sorted({one.key for one in _taken_out(target, abandoned)}),
    )


def _taken_out(target: Manifest, abandoned: Manifest) -> list[Upload]:
    """The uploads that went into the abandoned version and not into the one to go back to."""
    kept = {one.upload.upload_id for one in target.inputs}
    return [one.upload for one in abandoned.inputs if one.upload.upload_id not in kept]


def missing_files(run: Run, manifest: Manifest) -> list[str]:
    """The files of a version that are gone, or are not what was published."""

    def of(prefix: str) -> dict[str, int]:
        return {one.key: one.size for one in list_objects(run.s3, run.bucket, prefix)}

    results = list(manifest.results.values())
    there = in_parallel(lambda result: of(result.prefix), results)
    return sorted(
        file.key
        for result, found in zip(results, there, strict=True)
        for file in result.files
        if found.get(file.key) != file.size
    )


# --- carry out -------------------------------------------------------------------------------------


def carry_out(
    run: Run, glue: GlueClient, *, database: str, pipeline: Pipeline, plan: RollbackPlan
) -> list[Manifest]:
    """Switch each snapshot of a plan; doing it again changes nothing.

    Returns the manifests that readers see now.

    Raises:
        RollbackRefused: if a snapshot is no longer what it was when the rollback was planned, or its files
            are gone. The snapshots before it in the plan are rolled back, it and those after it are not.
        PublishedMeanwhile: if something was published in the same moment.
    """
    manifests = [_carry_out(run, glue, database, pipeline, plan.reason, step) for step in plan.steps]
    steps.note(
        snapshots=len(manifests),
        keys=[lake.manifest_key(one.pipeline, one.snapshot_date) for one in manifests],
    )
    return manifests


def _carry_out(
    run: Run, glue: GlueClient, database: str, pipeline: Pipeline, reason: str, step: Step
) -> Manifest:
    before = current(run.s3, run.bucket, pipeline.dag_id, step.snapshot)
    target, abandoned = (
        read_version(run.s3, run.bucket, pipeline.dag_id, step.snapshot, version)
        for version in (step.to_version, step.abandoned_version)
    )
    seen = before.manifest
    publication = f"rollback.{run.key}"
    if seen is None or target is None or abandoned is None:
        raise RollbackRefused(f"{step.snapshot}: its manifests are gone since the rollback was planned")
    if seen.publication == publication:  # done by an earlier try, but for what comes after the manifest
        manifest = seen
    elif (seen.version, seen.publication) != (step.from_version, step.from_publication):
        raise RollbackRefused(
            f"{step.snapshot}: when the rollback was planned readers saw version {step.from_version}, now they see "
            f"{seen.version} of the run {seen.run_id}. Look what was published, and start the rollback again"
        )
    else:
        manifest = _manifest(seen, target, abandoned, publication, run.key, reason)
    missing = missing_files(run, target)
    if missing:
        raise RollbackRefused(
            f"{step.snapshot}: s3://{run.bucket}/{missing[0]} is gone since the rollback was planned"
        )
    switch(
        run.s3,
        glue,
        bucket=run.bucket,
        database=database,
        manifest=manifest,
        results=pipeline.results,
        before=before,
    )
    return manifest


def _manifest(
    seen: Manifest, target: Manifest, abandoned: Manifest, publication: str, by: str, reason: str
) -> Manifest:
    """The manifest of a version as readers see it again."""
    kept = {one.upload.upload_id for one in target.inputs}
    taken_out = {
        one.upload_id: one
        for one in [*seen.withdrawn, *_taken_out(target, abandoned)]
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
        withdrawn=sorted(taken_out.values(), key=lambda one: one.order),
    )


# --- tell ------------------------------------------------------------------------------------------


def lines(plan: RollbackPlan, *, dry_run: bool) -> list[str]:
    """What a rollback does or would do, for people, a line each."""
    verb = "Would roll back" if dry_run else "Rolled back"
    told = [
        f"{verb} {plan.pipeline} {step.snapshot}: {step.abandoned_version} ({step.facilities_now:,} facilities) -> "
        f"{step.to_version} ({step.facilities_then:,} facilities)"
        + (f", without {', '.join(_few(step.uploads_taken_out))}" if step.uploads_taken_out else "")
        for step in plan.steps
    ]
    told += [f"Left as it is: {snapshot}: {why}" for snapshot, why in plan.untouched.items()]
    return told or ["There is nothing to roll back"]


def _few(names: Sequence[str], limit: int = 3) -> list[str]:
    return [*names[:limit], *([f"{len(names) - limit} more"] if len(names) > limit else [])]
