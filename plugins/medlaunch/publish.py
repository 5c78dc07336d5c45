"""Publication: staging to prod by server-side copies, then the switch of each snapshot.

Every version of a snapshot has prefixes of its own under ``prod/``, so nothing that a reader may be
reading is ever changed. Readers see a version when the partitions of the Glue tables point at it; moving
that pointer is one atomic call a table and snapshot. All files are in place before the first pointer
moves, and the snapshot's manifest is written last: where it names a version, that version is whole.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from medlaunch import lake
from medlaunch.checks import (
    Account,
    Input,
    Lines,
    SnapshotAccount,
    SnapshotPlan,
    plan_snapshot,
    worth_publishing,
)
from medlaunch.landing import Batch, LoadedGroup, LoadedUpload
from medlaunch.objects import Copy, ObjectWriter, copy_objects, get_bytes, in_parallel, list_objects, put_json
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


class PublishedMeanwhile(Exception):
    """Another run has published a snapshot since this one was planned."""


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
    """What is published of a snapshot, where it lies, and what it was made of."""

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


def read_manifest(client: S3Client, bucket: str, dag_id: str, snapshot: date) -> Manifest | None:
    """What is published of a snapshot now; None if nothing ever was."""
    content = get_bytes(client, bucket, lake.manifest_key(dag_id, snapshot))
    return None if content is None else msgspec.json.decode(content, type=Manifest)


def plan(run: Run, batch: Batch, groups: Sequence[LoadedGroup]) -> list[SnapshotPlan]:
    """Which snapshots the run computes, and from which uploads; writes the plan and the table of uploads.

    A snapshot is made of what is published of it and of what the run loaded. Snapshots without any row
    that were never published are left out.
    """
    loaded: dict[date, list[LoadedUpload]] = {}
    for group in groups:
        for one in group.loaded:
            loaded.setdefault(one.upload.snapshot, []).append(one)
    plans = []
    for snapshot in sorted(loaded):
        published = read_manifest(run.s3, run.bucket, batch.pipeline, snapshot)
        earlier, version = (published.inputs, published.version) if published else ([], None)
        plan = plan_snapshot(snapshot, earlier, loaded[snapshot], version)
        _drop_stale_rejects(run, batch.dataset, plan)
        if worth_publishing(plan):
            plans.append(plan)
    run.put(PLANS, plans)
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


def _drop_stale_rejects(run: Run, dataset: str, plan: SnapshotPlan) -> None:
    """Remove rejects of uploads that were replaced, here or in a run that failed: they are no longer true."""
    current = {one.rejects_key for one in plan.inputs}
    for stored in list_objects(run.s3, run.bucket, lake.rejects_prefix(dataset, plan.snapshot)):
        if stored.key not in current:
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
        _refuse_if_published_meanwhile(run, plan, version)
        targets = {name: _targets(name, plan.snapshot, version, sources) for name, sources in staged.items()}
        copies += [copy for group in targets.values() for copy in group]
        prepared.append((plan, version, targets))

    checksums = dict(zip((copy.target for copy in copies), copy_objects(s3, bucket, copies), strict=True))
    log.info("Copied %d objects to s3://%s/%s/", len(copies), bucket, lake.PROD)

    now = datetime.now(UTC).replace(microsecond=0)
    manifests = [
        _manifest(run, batch, plan, accounts[plan.snapshot], version, targets, checksums, results, now)
        for plan, version, targets in prepared
    ]
    for manifest in manifests:
        key = lake.publication_key(batch.pipeline, manifest.snapshot_date, manifest.version)
        put_json(s3, bucket, key, manifest)
    for manifest in manifests:
        switch(s3, glue, bucket=bucket, database=database, manifest=manifest, results=results)
    run.put(MANIFESTS, manifests)
    return manifests


def switch(
    s3: S3Client,
    glue: GlueClient,
    *,
    bucket: str,
    database: str,
    manifest: Manifest,
    results: Sequence[Result],
) -> None:
    """Make a version the one that readers see: the tables' partitions first, the manifest last."""
    before = read_manifest(s3, bucket, manifest.pipeline, manifest.snapshot_date)
    for result in results:
        if result.table:
            location = lake.s3_uri(bucket, manifest.results[result.name].prefix)
            _point_partition(glue, database, result.table, manifest.snapshot_date, location)
    put_json(s3, bucket, lake.manifest_key(manifest.pipeline, manifest.snapshot_date), manifest)
    log.info("Published %s of %s, version %s", manifest.pipeline, manifest.snapshot_date, manifest.version)
    if before is not None and before.version != manifest.version:
        mark: TaggingTypeDef = {"TagSet": [SUPERSEDED_TAG]}
        in_parallel(lambda key: s3.put_object_tagging(Bucket=bucket, Key=key, Tagging=mark), _keys(before))
        if manifest.previous_version != before.version:  # going back: the lifecycle rule must spare it again
            in_parallel(lambda key: s3.delete_object_tagging(Bucket=bucket, Key=key), _keys(manifest))


def _keys(manifest: Manifest) -> list[str]:
    return [file.key for result in manifest.results.values() for file in result.files]


def _refuse_if_published_meanwhile(run: Run, plan: SnapshotPlan, version: str) -> None:
    """A plan that is older than what is published would take newer uploads out of the results again."""
    current = read_manifest(run.s3, run.bucket, run.dag_id, plan.snapshot)
    if (
        current is not None
        and current.version not in (plan.previous_version, version)
        and current.run != run.key
    ):
        raise PublishedMeanwhile(
            f"{run.dag_id} {plan.snapshot}: version {current.version} of the run {current.run_id} was published after "
            f"this run had planned to follow {plan.previous_version or 'nothing'}. Nothing is published. Clear "
            "plan_snapshots and everything downstream of it, if this run's uploads are still in landing; "
            "otherwise they are published already and nothing is to be done"
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
    )


def _point_partition(glue: GlueClient, database: str, table: str, snapshot: date, location: str) -> None:
    """One atomic call: readers see the old location or the new one, never anything between."""
    values = [f"{snapshot}"]
    descriptor: Any = glue.get_table(DatabaseName=database, Name=table)["Table"]["StorageDescriptor"]
    partition: Any = {"Values": values, "StorageDescriptor": {**descriptor, "Location": location}}
    try:
        glue.update_partition(
            DatabaseName=database, TableName=table, PartitionValueList=values, PartitionInput=partition
        )
    except glue.exceptions.EntityNotFoundException:
        glue.create_partition(DatabaseName=database, TableName=table, PartitionInput=partition)
