"""Publication: whole or not at all, the same when done again, and the earlier version kept."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from medlaunch import lake, publish
from medlaunch.checks import Account, Input, Lines, SnapshotAccount, SnapshotPlan
from medlaunch.declaration import LineCounts
from medlaunch.landing import Batch, LoadedGroup, LoadedUpload, Upload
from medlaunch.objects import list_objects
from medlaunch.publish import Result, read_manifest
from medlaunch.runs import Run

DAY, OTHER_DAY = date(2026, 11, 1), date(2026, 10, 1)
DAG = "facility_accreditation"
RESULTS = [
    Result("facility_metrics", rows_of="facility_metrics", table="facility_metrics"),
    Result("expiring_accreditations", rows_of="expiring_accreditations", table="expiring_accreditations"),
    Result("expiring_soon", rows_of="expiring_accreditations"),
    Result("counts_csv", rows_of="facility_metrics"),
]
ROWS = {"facility_metrics": 3, "expiring_accreditations": 2}


@pytest.fixture
def glue(aws: Any) -> Any:
    return aws("glue")


@pytest.fixture
def database(glue: Any, bucket: str) -> str:
    name = f"db_{uuid.uuid4().hex[:8]}"
    glue.create_database(DatabaseInput={"Name": name})
    for result in RESULTS:
        if result.table:
            glue.create_table(
                DatabaseName=name,
                TableInput={
                    "Name": result.table,
                    "PartitionKeys": [{"Name": "snapshot_date", "Type": "date"}],
                    "StorageDescriptor": {
                        "Columns": [{"Name": "a", "Type": "string"}],
                        "Location": f"s3://{bucket}/prod/{result.name}/",
                        "SerdeInfo": {"SerializationLibrary": "x"},
                    },
                },
            )
    return name


class World:
    """A lake with one batch that is ready to be published."""

    def __init__(self, s3: Any, glue: Any, bucket: str, database: str):
        self.s3, self.glue, self.bucket, self.database = s3, glue, bucket, database

    def run(self, run_id: str) -> Run:
        return Run(s3=self.s3, bucket=self.bucket, dag_id=DAG, run_id=run_id, environment="test")

    def stage(self, run: Run, files: dict[str, bytes], days: tuple[date, ...] = (DAY,)) -> None:
        for day in days:
            for name, body in files.items():
                result, file = name.split("/")
                key = run.path(f"{result}/snapshot_date={day}/{file}")
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def publish(self, run: Run, days: tuple[date, ...] = (DAY,)) -> list[publish.Manifest]:
        batch = Batch(
            pipeline=DAG,
            run_id=run.run_id,
            run=run.key,
            dataset="facilities",
            as_of=date(2026, 11, 20),
            expiry_window="P6M",
            claimed_at=datetime.now(UTC),
            uploads=[],
            set_aside=[],
            left_for_next_run=0,
            groups=0,
        )
        plans = []
        for day in days:
            published = read_manifest(self.s3, self.bucket, DAG, day)
            plans.append(
                SnapshotPlan(
                    snapshot=day,
                    inputs=[],
                    batch_uploads=[],
                    previous_version=published.version if published else None,
                    previous_publication=published.publication if published else None,
                )
            )
        account = Account(
            batch=Lines(),
            snapshots=[
                SnapshotAccount(snapshot=day, lines=Lines(read=3, accepted=3), rows=ROWS) for day in days
            ],
        )
        return publish.publish(
            run, self.glue, database=self.database, batch=batch, plans=plans, account=account, results=RESULTS
        )

    def location(self, table: str, day: date = DAY) -> str:
        partition = self.glue.get_partition(
            DatabaseName=self.database, TableName=table, PartitionValues=[f"{day}"]
        )
        return partition["Partition"]["StorageDescriptor"]["Location"]

    def keys(self, prefix: str) -> list[str]:
        return [one.key for one in list_objects(self.s3, self.bucket, prefix)]

    def superseded(self, prefix: str = "prod/") -> set[str]:
        """The files that the lifecycle rule removes."""
        return {
            key
            for key in self.keys(prefix)
            if publish.SUPERSEDED_TAG in self.s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        }


FILES = {
    "facility_metrics/20261120_abc": b"parquet 1",
    "facility_metrics/20261120_def": b"parquet 2",
    "facility_metrics/_SUCCESS": b"",
    "expiring_soon/expiring_soon.csv": b"a,b\r\n",
    "counts_csv/accredited_facilities_by_state.csv": b"c\r\n",
}


@pytest.fixture
def world(s3: Any, glue: Any, bucket: str, database: str) -> World:
    return World(s3, glue, bucket, database)


def test_results_are_copied_switched_and_described_by_a_manifest(world: World) -> None:
    run = world.run("manual__1")
    world.stage(run, FILES, (DAY, OTHER_DAY))
    manifests = world.publish(run, (OTHER_DAY, DAY))
    manifest = manifests[1]
    assert read_manifest(world.s3, world.bucket, DAG, DAY) == manifest
    metrics = manifest.results["facility_metrics"]
    assert [file.key.rsplit("/", 1)[-1] for file in metrics.files] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    assert world.location("facility_metrics") == f"s3://{world.bucket}/{metrics.prefix}"
    assert f"snapshot_date={DAY}/version=manual__1." in metrics.prefix
    assert metrics.rows == 3
    for result in manifest.results.values():
        assert world.keys(result.prefix) == [file.key for file in result.files]
        for file in result.files:
            head = world.s3.head_object(Bucket=world.bucket, Key=file.key, ChecksumMode="ENABLED")
            assert (head["ContentLength"], head["ChecksumSHA256"]) == (file.size, file.sha256)
    assert world.keys("prod/publications/") == sorted(
        f"prod/publications/{DAG}/{one.snapshot_date}.{one.version}.json" for one in manifests
    )


def test_a_view_in_the_place_of_a_table_is_refused(world: World) -> None:
    name = {"DatabaseName": world.database, "Name": "expiring_accreditations"}
    world.glue.delete_table(**name)
    world.glue.create_table(
        DatabaseName=world.database,
        TableInput={"Name": "expiring_accreditations", "TableType": "VIRTUAL_VIEW", "StorageDescriptor": {}},
    )
    run = world.run("manual__1")
    world.stage(run, FILES)
    with pytest.raises(publish.NotATable, match="DROP VIEW expiring_accreditations"):
        world.publish(run)
    assert read_manifest(world.s3, world.bucket, DAG, DAY) is None


def test_publishing_again_changes_nothing(world: World) -> None:
    run = world.run("manual__1")
    world.stage(run, FILES)
    (first,) = world.publish(run)
    before = [(one.key, one.etag) for one in list_objects(world.s3, world.bucket, "prod/facility_metrics/")]
    (second,) = world.publish(run)
    assert second.version == first.version
    assert [
        (one.key, one.etag) for one in list_objects(world.s3, world.bucket, "prod/facility_metrics/")
    ] == before
    assert world.location("facility_metrics").endswith(f"version={first.version}/")


def test_the_earlier_version_stays_and_is_marked(world: World) -> None:
    first_run, second_run = world.run("manual__1"), world.run("manual__2")
    world.stage(first_run, FILES)
    (first,) = world.publish(first_run)
    world.stage(second_run, {"expiring_soon/expiring_soon.csv": b"new\r\n"})
    (second,) = world.publish(second_run)

    assert second.previous_version == first.version
    # An empty result replaces the earlier one: the partition points to a place without files.
    assert second.results["facility_metrics"].files == []
    assert (
        world.location("facility_metrics")
        == f"s3://{world.bucket}/{second.results['facility_metrics'].prefix}"
    )
    old_key = first.results["facility_metrics"].files[0].key
    assert world.keys(first.results["facility_metrics"].prefix)
    assert world.s3.get_object_tagging(Bucket=world.bucket, Key=old_key)["TagSet"] == [publish.SUPERSEDED_TAG]
    new_key = second.results["expiring_soon"].files[0].key
    assert world.s3.get_object_tagging(Bucket=world.bucket, Key=new_key)["TagSet"] == []


def test_going_back_to_an_earlier_version_is_the_same_switch(world: World) -> None:
    for run_id, body in (("manual__1", b"one"), ("manual__2", b"two")):
        run = world.run(run_id)
        world.stage(run, {"facility_metrics/x": body})
        (manifest,) = world.publish(run)
        if run_id == "manual__1":
            first = manifest
    again = msgspec.structs.replace(first, publication="rollback.manual__3", action=publish.Action.ROLLBACK)
    publish.switch(
        world.s3,
        world.glue,
        bucket=world.bucket,
        database=world.database,
        manifest=again,
        results=RESULTS,
        before=publish.current(world.s3, world.bucket, DAG, DAY),
    )
    assert read_manifest(world.s3, world.bucket, DAG, DAY) == again
    assert world.location("facility_metrics").endswith(f"version={first.version}/")
    key = first.results["facility_metrics"].files[0].key
    assert world.s3.get_object_tagging(Bucket=world.bucket, Key=key)["TagSet"] == []


def test_other_content_never_takes_over_a_version(world: World) -> None:
    run = world.run("manual__1")
    world.stage(run, {"facility_metrics/x": b"one"})
    (first,) = world.publish(run)
    world.stage(run, {"facility_metrics/x": b"two"})  # the extraction was cleared and ran again
    (second,) = world.publish(run)
    assert first.version != second.version
    assert (
        world.s3.get_object(Bucket=world.bucket, Key=first.results["facility_metrics"].files[0].key)[
            "Body"
        ].read()
        == b"one"
    )


def test_a_plan_that_is_older_than_what_is_published_is_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_run, second_run = world.run("manual__1"), world.run("manual__2")
    world.stage(first_run, FILES)
    world.stage(second_run, {name: body + b"!" for name, body in FILES.items()})
    (second,) = world.publish(second_run)
    monkeypatch.setitem(globals(), "read_manifest", lambda *_: None)  # planned before that
    with pytest.raises(publish.PublishedMeanwhile, match="Clear plan_snapshots"):
        world.publish(first_run)
    monkeypatch.undo()
    assert read_manifest(world.s3, world.bucket, DAG, DAY) == second
    assert world.location("facility_metrics").endswith(f"version={second.version}/")


def test_what_a_refused_run_has_copied_does_not_stay_for_ever(world: World) -> None:
    """Another run publishes the first of two snapshots while this one is at it."""
    slow, quick = world.run("manual__1"), world.run("manual__2")
    later = date(2026, 11, 2)
    world.stage(slow, FILES, (DAY, later))
    world.stage(quick, FILES)

    def somebody_is_faster(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == lake.manifest_key(DAG, DAY):
            world.s3.meta.events.unregister("before-parameter-build.s3.PutObject", somebody_is_faster)
            world.publish(quick)

    world.s3.meta.events.register("before-parameter-build.s3.PutObject", somebody_is_faster)
    with pytest.raises(publish.PublishedMeanwhile, match="published by somebody else"):
        world.publish(slow, (DAY, later))
    copied = {key for result in RESULTS for key in world.keys(f"prod/{result.name}/") if "=manual__1." in key}
    assert {key.split("/")[2] for key in copied} == {f"snapshot_date={DAY}", f"snapshot_date={later}"}
    assert world.superseded() == copied
    # Whoever publishes the same after all brings it back.
    world.publish(slow, (DAY, later))
    assert not any("=manual__1." in key for key in world.superseded())


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", range(0, 20, 2))
def test_stopped_anywhere_readers_see_the_old_version_or_a_whole_new_one(world: World, after: int) -> None:
    first_run, second_run = world.run("manual__1"), world.run("manual__2")
    world.stage(first_run, FILES)
    (first,) = world.publish(first_run)
    world.stage(second_run, {name: body + b"!" for name, body in FILES.items()})

    calls = 0

    def stop(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Killed

    for client in (world.s3, world.glue):
        client.meta.events.register("before-send", stop)
    try:
        with pytest.raises(Killed):
            world.publish(second_run)
    finally:
        for client in (world.s3, world.glue):
            client.meta.events.unregister("before-send", stop)

    for result in RESULTS:
        if result.table:
            prefix = world.location(result.table).removeprefix(f"s3://{world.bucket}/")
            expected = len(
                [name for name in FILES if name.startswith(result.name) and not name.endswith("_SUCCESS")]
            )
            assert len(world.keys(prefix)) == expected
    manifest = read_manifest(world.s3, world.bucket, DAG, DAY)
    assert manifest is not None
    assert all(
        world.keys(one.prefix) == [file.key for file in one.files] for one in manifest.results.values()
    )
    assert manifest == first or all(
        world.location(r.table).endswith(f"{manifest.version}/") for r in RESULTS if r.table
    )
    # The retry finishes the work.
    (again,) = world.publish(second_run)
    assert world.location("expiring_accreditations").endswith(f"version={again.version}/")


def test_a_snapshot_is_planned_from_what_is_published_and_what_is_new(world: World) -> None:
    def upload(name: str, second: int) -> Upload:
        return Upload(
            key=f"landing/facilities/{DAY}/{name}",
            size=1,
            etag="e",
            last_modified=datetime(2026, 11, 2, 0, 0, second, tzinfo=UTC),
            upload_id=f"{name}{second}",
            snapshot=DAY,
            file=name,
        )

    run = world.run("manual__1")
    world.stage(run, FILES)
    (manifest,) = world.publish(run)
    old = [
        Input(upload=upload("a", 1), counts=LineCounts(lines=1, slices={"2026-11-01": {"valid": 1}})),
        Input(upload=upload("b", 2), counts=LineCounts(lines=1, slices={"2026-11-01": {"valid": 1}})),
    ]
    from medlaunch.objects import put_json

    put_json(
        world.s3, world.bucket, lake.manifest_key(DAG, DAY), msgspec.structs.replace(manifest, inputs=old)
    )
    next_run = world.run("manual__2")
    loaded = [
        LoadedUpload(
            upload=upload("a", 5),
            version_id=None,
            counts=LineCounts(lines=2, slices={"2026-11-01": {"valid": 2}}),
            rejects_key=None,
        )
    ]
    batch = Batch(
        pipeline=DAG,
        run_id="manual__2",
        run="manual__2",
        dataset="facilities",
        as_of=DAY,
        expiry_window="P6M",
        claimed_at=datetime.now(UTC),
        uploads=[],
        set_aside=[],
        left_for_next_run=0,
        groups=1,
    )
    (plan,) = publish.plan(next_run, batch, [LoadedGroup(loaded=loaded, set_aside=[], left_for_next_run=[])])
    assert [one.upload.upload_id for one in plan.inputs] == ["b2", "a5"]
    assert plan.previous_version == manifest.version
    rows = world.s3.get_object(Bucket=world.bucket, Key=next_run.path(publish.UPLOADS))["Body"].read()
    assert [msgspec.json.decode(row)["upload_id"] for row in rows.splitlines()] == ["b2", "a5"]
