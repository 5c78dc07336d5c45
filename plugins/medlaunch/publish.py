"""Publication: staging to prod by server-side copies, then the switch of each snapshot.

Every version of a snapshot has prefixes of its own under ``prod/``, so nothing that a reader may be
reading is ever changed. Readers see a version when the partitions of the Glue tables point at it; moving
that pointer is one atomic call a table and snapshot. All files are in place before the first pointer
moves, and the snapshot's manifest is written last: where it names a version, that version is whole.

A publication is the moment at which a version became what readers see, by the run that made it or by a
rollback. It has a name of its own, so that whoever planned on another one is refused, and a record under
``reports/publications/``, which the table ``publications`` reads.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import msgspec

from medlaunch import lake, steps
from medlaunch.checks import (
    Account,
    Input,
    Lines,
    SnapshotAccount,
    SnapshotPlan,
    plan_snapshot,
    worth_publishing,
)
from medlaunch.landing import Batch, LoadedGroup, LoadedUpload, Upload
from medlaunch.objects import (
    Copy,
    ObjectChanged,
    ObjectWriter,
    copy_objects,
    exists,
    get_bytes,
    in_parallel,
    list_objects,
    open_object,
    put_json,
    replace_json,
)
from medlaunch.runs import Run

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import TaggingTypeDef, TagTypeDef

log = logging.getLogger(__name__)

#: The lifecycle rule of the bucket removes objects of prod/ that carry this tag.
SUPERSEDED_TAG: TagTypeDef = {"Key": "medlaunch-state", "Value": "superseded"}


# Documents of a run, by their names in its staging prefix.
PLANS = "plans.json"
UPLOADS = "uploads/uploads.jsonl"
ACCOUNT = "account.json"
MANIFESTS = "manifests.json"
WITHDRAWN = "withdrawn.json"


class PublishedMeanwhile(Exception):
    """Another publication of a snapshot came since this one was planned."""


class NotATable(Exception):
    """A result cannot be shown, because something else has the name of its table."""


class Action(StrEnum):
    """How a version became what readers see."""

    PUBLISH = "publish"
    ROLLBACK = "rollback"


class Result(msgspec.Struct, frozen=True):
    """One result of a pipeline: its folder in staging and prod, and its Glue table if it has one.

    ``rows_of`` names the count in the account that says how many rows it has.
    """

    name: str
    rows_of: str
    table: str | None = None


class PublishedFile(msgspec.Struct, frozen=True, kw_only=True):
    """``size`` in bytes; ``sha256`` in base64 as S3 computed it, None above 5 GB."""

    key: str
    size: int
    sha256: str | None


class PublishedResult(msgspec.Struct, frozen=True, kw_only=True):
    prefix: str
    rows: int
    files: list[PublishedFile]


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What is published of a snapshot, where it lies, and what it was made of.

    ``run_id`` and ``run`` made the version, ``published_by`` made it what readers see at ``published_at``:
    the same run, or a rollback to it. ``previous_version`` is the one that this version was made after,
    ``replaced_version`` the one that readers saw before this publication. ``withdrawn`` are uploads that a
    rollback took out: as long as they are listed here, the same version of them is not published again.
    """

    pipeline: str
    environment: str
    snapshot_date: date
    version: str
    previous_version: str | None
    run_id: str
    run: str
    as_of: date
    expiry_window: str
    published_at: datetime
    lines: Lines
    results: dict[str, PublishedResult]
    inputs: list[Input]
    publication: str = ""
    action: Action = Action.PUBLISH
    published_by: str = ""
    replaced_version: str | None = None
    reason: str | None = None
    withdrawn: list[Upload] = []


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table ``publications``; times as Athena's JSON SerDe reads them, in UTC."""

    publication: str
    action: Action
    pipeline: str
    environment: str
    snapshot_date: date
    version: str
    replaced_version: str | None
    previous_version: str | None
    published_at: str
    published_by: str
    run_id: str
    reason: str | None
    as_of: date
    expiry_window: str
    lines_read: int
    lines_accepted: int
    lines_superseded: int
    lines_rejected: int
    result_rows: dict[str, int]
    files: int
    bytes: int
    uploads: int
    withdrawn_uploads: list[str]

    @classmethod
    def of(cls, manifest: Manifest) -> Publication:
        """The record of the publication that a manifest tells of."""
        files = [file for result in manifest.results.values() for file in result.files]
        return cls(
            publication=manifest.publication,
            action=manifest.action,
            pipeline=manifest.pipeline,
            environment=manifest.environment,
            snapshot_date=manifest.snapshot_date,
            version=manifest.version,
            replaced_version=manifest.replaced_version,
            previous_version=manifest.previous_version,
            published_at=f"{manifest.published_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
            published_by=manifest.published_by,
            run_id=manifest.run_id,
            reason=manifest.reason,
            as_of=manifest.as_of,
            expiry_window=manifest.expiry_window,
            lines_read=manifest.lines.read,
            lines_accepted=manifest.lines.accepted,
            lines_superseded=manifest.lines.superseded,
            lines_rejected=manifest.lines.rejected,
            result_rows={name: result.rows for name, result in manifest.results.items()},
            files=len(files),
            bytes=sum(file.size for file in files),
            uploads=len(manifest.inputs),
            withdrawn_uploads=sorted({one.key for one in manifest.withdrawn}),
        )


def read_manifest(client: S3Client, bucket: str, dag_id: str, snapshot: date) -> Manifest | None:
    """What is published of a snapshot now; None if nothing ever was."""
    return _decoded(get_bytes(client, bucket, lake.manifest_key(dag_id, snapshot)))


def read_version(client: S3Client, bucket: str, dag_id: str, snapshot: date, version: str) -> Manifest | None:
    """The manifest with which a version was first published; None if it never was."""
    return _decoded(get_bytes(client, bucket, lake.version_manifest_key(dag_id, snapshot, version)))


def _decoded(content: bytes | None) -> Manifest | None:
    return None if content is None else msgspec.json.decode(content, type=Manifest)


def plan(run: Run, batch: Batch, groups: Sequence[LoadedGroup]) -> list[SnapshotPlan]:
    """Which snapshots the run computes, and from which uploads; writes the plan and the table of uploads.

    A snapshot is made of what is published of it and of what the run loaded, without the uploads that a
    rollback took out. Snapshots without any row that were never published are left out, and so are those
    for which nothing else came than what a rollback had taken out.
    """
    loaded: dict[date, list[LoadedUpload]] = {}
    for group in groups:
        for one in group.loaded:
            loaded.setdefault(one.upload.snapshot, []).append(one)
    plans = []
    left_out: list[str] = []
    for snapshot in sorted(loaded):
        published = read_manifest(run.s3, run.bucket, batch.pipeline, snapshot)
        withdrawn = {one.upload_id for one in published.withdrawn} if published else set()
        fresh = [one for one in loaded[snapshot] if one.upload.upload_id not in withdrawn]
        left_out += [one.upload.upload_id for one in loaded[snapshot] if one.upload.upload_id in withdrawn]
        if not fresh:
            continue
        plan = plan_snapshot(snapshot, published.inputs if published else [], fresh)
        if published:
            newest = {one.upload.key: one.upload.order for one in plan.inputs}
            plan = msgspec.structs.replace(
                plan,
                previous_version=published.version,
                previous_publication=published.publication,
                previous_accepted=published.lines.accepted,
                # What a later upload under the same name has replaced needs no remembering.
                withdrawn=[one for one in published.withdrawn if one.order >= newest.get(one.key, one.order)],
            )
        if worth_publishing(plan):
            plans.append(plan)
        else:
            drop_stale_rejects(run, batch.dataset, snapshot, plan.inputs)
    run.put(PLANS, plans)
    run.put(WITHDRAWN, left_out)
    steps.note(
        snapshots=len(plans),
        uploads=sum(len(plan.inputs) for plan in plans),
        withdrawn=len(left_out),
        keys=[run.path(PLANS)],
    )
    with ObjectWriter(run.s3, run.bucket, run.path(UPLOADS)) as table:
        for plan in plans:
            for order, source in enumerate(plan.inputs):
                row = {
                    "snapshot_date": f"{plan.snapshot}",
                    "upload_id": source.upload.upload_id,
                    "upload_order": order,
                }
                table.write(msgspec.json.encode(row) + b"\n")
    return plans


def drop_stale_rejects(run: Run, dataset: str, snapshot: date, inputs: Sequence[Input]) -> None:
    """Remove rejects that are no longer true: of uploads that were replaced, or that are gone since a run failed.

    Rejects of any other upload that lies in landing stay, as another run may have written them.
    """
    current = {one.rejects_key for one in inputs}
    known = {lake.rejects_key(dataset, snapshot, one.upload.file) for one in inputs}
    prefix = lake.rejects_prefix(dataset, snapshot)
    for stored in list_objects(run.s3, run.bucket, prefix):
        file = stored.key.removeprefix(prefix).removesuffix(lake.REJECTS_SUFFIX)
        upload = lake.landing_key(dataset, snapshot, file)
        if stored.key not in current and (stored.key in known or not exists(run.s3, run.bucket, upload)):
            run.s3.delete_object(Bucket=run.bucket, Key=stored.key)


def publish(
    run: Run,
    glue: GlueClient,
    *,
    database: str,
    batch: Batch,
    plans: Sequence[SnapshotPlan],
    account: Account,
    results: Sequence[Result],
) -> list[Manifest]:
    """Publish the staged results of a run; publishing the same run again changes nothing.

    Returns the manifest of each snapshot, in the order of ``plans``.

    Raises:
        PublishedMeanwhile: if another run published one of the snapshots after this one was planned.
    """
    s3, bucket = run.s3, run.bucket
    accounts = {one.snapshot: one for one in account.snapshots}
    copies: list[Copy] = []
    prepared = []
    for plan in plans:
        staged = {result.name: _staged(run, result.name, plan.snapshot) for result in results}
        version = _version(run.key, staged)
        before = current(s3, bucket, batch.pipeline, plan.snapshot)
        _refuse_if_published_meanwhile(run, plan, version, before.manifest)
        targets = {name: _targets(name, plan.snapshot, version, sources) for name, sources in staged.items()}
        copies += [copy for group in targets.values() for copy in group]
        prepared.append((plan, version, targets, before))

    checksums = dict(zip((copy.target for copy in copies), copy_objects(s3, bucket, copies), strict=True))
    log.info("Copied %d objects to s3://%s/%s/", len(copies), bucket, lake.PROD)

    now = datetime.now(UTC).replace(microsecond=0)
    manifests = []
    for plan, version, targets, before in prepared:
        manifest = _manifest(
            run, batch, plan, accounts[plan.snapshot], version, targets, checksums, results, now, before
        )
        if before.manifest is not None and before.manifest.version == version:
            # A retry: what the first try, or a rollback to it, wrote stays the truth.
            manifest = before.manifest
        else:
            put_json(s3, bucket, lake.version_manifest_key(batch.pipeline, plan.snapshot, version), manifest)
        manifests.append(manifest)
    for number, (manifest, (*_, before)) in enumerate(zip(manifests, prepared, strict=True)):
        try:
            switch(
                s3, glue, bucket=bucket, database=database, manifest=manifest, results=results, before=before
            )
        except PublishedMeanwhile:
            # Nor are the other snapshots published, whose files are there already.
            for other in manifests[number + 1 :]:
                _mark_superseded(s3, bucket, other, _keys(other))
            raise
        # Not before: until then another run may publish, and its rejects are not this run's to judge.
        drop_stale_rejects(run, batch.dataset, manifest.snapshot_date, manifest.inputs)
    run.put(MANIFESTS, manifests)
    steps.note(
        snapshots=len(manifests),
        files=len(copies),
        bytes=sum(copy.size for copy in copies),
        keys=[lake.manifest_key(one.pipeline, one.snapshot_date) for one in manifests],
    )
    return manifests


class Current(msgspec.Struct, frozen=True):
    """What is published of a snapshot now, if anything, and the ETag of the manifest that says so."""

    manifest: Manifest | None
    etag: str | None


def current(client: S3Client, bucket: str, dag_id: str, snapshot: date) -> Current:
    """What is published of a snapshot now, to be handed to :func:`switch`."""
    try:
        with open_object(client, bucket, lake.manifest_key(dag_id, snapshot)) as source:
            return Current(_decoded(source.read()), f'"{source.etag}"')
    except ObjectChanged:
        return Current(None, None)


def switch(
    s3: S3Client,
    glue: GlueClient,
    *,
    bucket: str,
    database: str,
    manifest: Manifest,
    results: Sequence[Result],
    before: Current,
) -> None:
    """Make a version the one that readers see: the tables' partitions first, the manifest last.

    Doing it again changes nothing. Of several at once exactly one gets through, the one whose manifest
    takes the place of ``before``; the others put the pointers to what it published.

    Raises:
        PublishedMeanwhile: if something else was published since ``before`` was read.
    """
    keys = _keys(manifest)
    if manifest.action is Action.ROLLBACK:
        _spare(s3, bucket, keys)
    # What lies there now and is not this version is superseded by it, or was never published and never will
    # be: whoever copied it has read what was published before it did, and is refused from now on.
    others = sorted(_stored(s3, bucket, manifest, results) - set(keys))
    _point_partitions(glue, bucket, database, manifest, results)
    if before.manifest is None or before.manifest.publication != manifest.publication:
        place = lake.manifest_key(manifest.pipeline, manifest.snapshot_date)
        try:
            replace_json(s3, bucket, place, manifest, before.etag)
        except ObjectChanged as error:
            winner = read_manifest(s3, bucket, manifest.pipeline, manifest.snapshot_date)
            if winner is None or winner.publication != manifest.publication:
                if winner is not None:
                    _point_partitions(glue, bucket, database, winner, results)
                    # Whoever published may have looked what lies there before this version did.
                    _mark_superseded(s3, bucket, manifest, keys)
                raise PublishedMeanwhile(
                    f"{manifest.pipeline} {manifest.snapshot_date}: while version {manifest.version} was on its way, "
                    f"version {winner.version if winner else 'none'} was published by somebody else, and that is "
                    "what readers see. A run: clear plan_snapshots and everything downstream, or let the next "
                    "run take the uploads. A rollback: look what was published, and start it again"
                ) from error
            # Our own write, whose answer was lost and which was sent again.
        log.info(
            "%s of %s: readers see version %s now (%s)",
            manifest.pipeline,
            manifest.snapshot_date,
            manifest.version,
            manifest.action,
        )
    # The one before too, if it is missing: whoever made it may have died before it came to that.
    for one in (before.manifest, manifest):
        if one is not None and one.publication:
            record = lake.publication_key(one.pipeline, one.snapshot_date, one.publication)
            with contextlib.suppress(ObjectChanged):
                replace_json(s3, bucket, record, Publication.of(one), None)
    if manifest.action is Action.ROLLBACK:
        # Once more: a run that published just before this rollback may have marked them since.
        _spare(s3, bucket, keys)
    _mark_superseded(s3, bucket, manifest, others)


def _mark_superseded(s3: S3Client, bucket: str, manifest: Manifest, keys: Sequence[str]) -> None:
    """Have the lifecycle rule remove files of a snapshot, but none of what readers see by now."""
    seen = read_manifest(s3, bucket, manifest.pipeline, manifest.snapshot_date)
    spared = set(_keys(seen)) if seen else set()
    mark: TaggingTypeDef = {"TagSet": [SUPERSEDED_TAG]}
    in_parallel(
        lambda key: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=mark),
        [key for key in keys if key not in spared],
    )


def _spare(s3: S3Client, bucket: str, keys: Sequence[str]) -> None:
    """Have the lifecycle rule spare files that a rollback brings back."""
    in_parallel(lambda key: s3.delete_object_tagging(Bucket=bucket, Key=key), keys)


def _stored(s3: S3Client, bucket: str, manifest: Manifest, results: Sequence[Result]) -> set[str]:
    """Everything of a snapshot that lies below ``prod/``, of whatever version."""
    prefixes = [lake.versions_prefix(result.name, manifest.snapshot_date) for result in results]
    listings = in_parallel(lambda prefix: [one.key for one in list_objects(s3, bucket, prefix)], prefixes)
    return {key for keys in listings for key in keys}


def _keys(manifest: Manifest) -> list[str]:
    return [file.key for result in manifest.results.values() for file in result.files]


def _refuse_if_published_meanwhile(
    run: Run, plan: SnapshotPlan, version: str, current: Manifest | None
) -> None:
    """A plan that is older than what is published would take newer uploads out of the results again.

    And it would bring back what a rollback has taken out.
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
    raise PublishedMeanwhile(
        f"{run.dag_id} {plan.snapshot}: {happened} after this run had planned to follow "
        f"{plan.previous_version or 'nothing'}. Nothing is published. Clear plan_snapshots and everything "
        "downstream of it, if this run's uploads are still in landing; otherwise they are published already "
        "and nothing is to be done"
    )


def _staged(run: Run, result: str, snapshot: date) -> list[Copy]:
    prefix = run.path(f"{result}/snapshot_date={snapshot}/")
    return [
        Copy(stored.key, "", stored.size, stored.etag)
        for stored in list_objects(run.s3, run.bucket, prefix)
        if not stored.key.rsplit("/", 1)[-1].startswith((".", "_"))
    ]


def _version(run: str, staged: Mapping[str, Sequence[Copy]]) -> str:
    """The run's name and a digest of the content, so that other content never takes over a prefix."""
    content = sorted((name, one.size, one.etag) for name, group in staged.items() for one in group)
    return f"{run}.{hashlib.sha256(msgspec.json.encode(content)).hexdigest()[:8]}"


def _targets(result: str, snapshot: date, version: str, staged: Sequence[Copy]) -> list[Copy]:
    prefix = lake.version_prefix(result, snapshot, version)
    return [
        Copy(one.source, prefix + _published_name(one.source, number), one.size, one.etag)
        for number, one in enumerate(staged)
    ]


def _published_name(source: str, number: int) -> str:
    """Athena names its files at random; the exports that people open keep the name they were given."""
    name = source.rsplit("/", 1)[-1]
    return name if name.endswith((".csv", ".ndjson")) else f"part-{number:05d}.parquet"


def _manifest(
    run: Run,
    batch: Batch,
    plan: SnapshotPlan,
    account: SnapshotAccount,
    version: str,
    targets: Mapping[str, Sequence[Copy]],
    checksums: Mapping[str, str | None],
    results: Sequence[Result],
    now: datetime,
    before: Current,
) -> Manifest:
    return Manifest(
        pipeline=batch.pipeline,
        environment=run.environment,
        snapshot_date=plan.snapshot,
        version=version,
        previous_version=plan.previous_version,
        run_id=batch.run_id,
        run=batch.run,
        as_of=batch.as_of,
        expiry_window=batch.expiry_window,
        published_at=now,
        lines=account.lines,
        results={
            result.name: PublishedResult(
                prefix=lake.version_prefix(result.name, plan.snapshot, version),
                rows=account.rows[result.rows_of],
                files=[
                    PublishedFile(key=copy.target, size=copy.size, sha256=checksums[copy.target])
                    for copy in targets[result.name]
                ],
            )
            for result in results
        },
        inputs=plan.inputs,
        publication=version,
        action=Action.PUBLISH,
        published_by=run.key,
        replaced_version=before.manifest.version if before.manifest else None,
        withdrawn=plan.withdrawn,
    )


def _point_partitions(
    glue: GlueClient, bucket: str, database: str, manifest: Manifest, results: Sequence[Result]
) -> None:
    for result in results:
        if result.table:
            location = lake.s3_uri(bucket, manifest.results[result.name].prefix)
            _point_partition(glue, database, result.table, manifest.snapshot_date, location)


def _point_partition(glue: GlueClient, database: str, table: str, snapshot: date, location: str) -> None:
    """One atomic call: readers see the old location or the new one, never anything between."""
    values = [f"{snapshot}"]
    found: Any = glue.get_table(DatabaseName=database, Name=table)["Table"]
    if found.get("TableType") == "VIRTUAL_VIEW":
        # CREATE TABLE IF NOT EXISTS lets it be, and its readers would go on seeing what they saw.
        raise NotATable(
            f"{database}.{table} is a view, and the table of that name is to be published. DROP VIEW {table}, "
            "and clear prepare_tables and everything downstream of it"
        )
    partition: Any = {
        "Values": values,
        "StorageDescriptor": {**found["StorageDescriptor"], "Location": location},
    }
    try:
        glue.update_partition(
            DatabaseName=database, TableName=table, PartitionValueList=values, PartitionInput=partition
        )
    except glue.exceptions.EntityNotFoundException:
        glue.create_partition(DatabaseName=database, TableName=table, PartitionInput=partition)
