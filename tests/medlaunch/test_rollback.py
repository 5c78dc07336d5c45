"""Rollback: nothing by halves, never undone by a retry, refused with a way out."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import msgspec
import pytest

from medlaunch import lake, publish, rollback
from medlaunch.checks import Account, Input, Lines, SnapshotAccount
from medlaunch.declaration import LineCounts
from medlaunch.landing import Batch, LoadedGroup, LoadedUpload, Upload
from medlaunch.objects import get_json, put_json
from medlaunch.pipelines import Pipeline
from tests.medlaunch.test_publish import DAG, DAY, FILES, OTHER_DAY, RESULTS, ROWS, World, database, glue

__all__ = ["database", "glue"]  # fixtures

PIPELINE = Pipeline(DAG, "facilities", RESULTS)


def upload(name: str, second: int, day: date = DAY) -> Upload:
    return Upload(
        key=f"landing/facilities/{day}/{name}",
        size=1,
        etag="e",
        last_modified=datetime(2026, 11, 2, 0, 0, second, tzinfo=UTC),
        upload_id=f"{name}-{second}",
        snapshot=day,
        file=name,
    )


class Lake(World):
    """A lake in which runs publish uploads."""

    def batch(self, run_id: str) -> Batch:
        return Batch(
            pipeline=DAG, run_id=run_id, run=lake.run_key(run_id), dataset="facilities", as_of=DAY, expiry_window="P6M",
            claimed_at=datetime.now(UTC), uploads=[], set_aside=[], left_for_next_run=0, groups=1,
        )  # fmt: skip

    def plan(self, run_id: str, *uploads: Upload) -> list[Any]:
        loaded = [
            LoadedUpload(
                upload=one,
                version_id=None,
                counts=LineCounts(lines=1, slices={"2026-11-01": {"valid": 1}}),
                rejects_key=None,
            )
            for one in uploads
        ]
        group = LoadedGroup(loaded=loaded, set_aside=[], left_for_next_run=[])
        return publish.plan(self.run(run_id), self.batch(run_id), [group])

    def publish_plans(self, run_id: str, plans: list[Any]) -> list[publish.Manifest]:
        run = self.run(run_id)
        for plan in plans:
            said = "+".join(one.upload.upload_id for one in plan.inputs).encode()
            self.stage(run, dict.fromkeys(FILES, said), (plan.snapshot,))
        accounts = [
            SnapshotAccount(
                snapshot=one.snapshot,
                lines=Lines(read=len(one.inputs), accepted=len(one.inputs)),
                rows=ROWS,
            )
            for one in plans
        ]
        return publish.publish(
            run,
            self.glue,
            database=self.database,
            batch=self.batch(run_id),
            plans=plans,
            account=Account(batch=Lines(), snapshots=accounts),
            results=RESULTS,
        )

    def process(self, run_id: str, *uploads: Upload) -> list[publish.Manifest]:
        return self.publish_plans(run_id, self.plan(run_id, *uploads))

    def roll_back(self, run_id: str, plan: rollback.RollbackPlan) -> list[publish.Manifest]:
        return rollback.carry_out(
            self.run(run_id), self.glue, database=self.database, pipeline=PIPELINE, plan=plan
        )

    def current(self, day: date = DAY) -> publish.Manifest:
        manifest = publish.read_manifest(self.s3, self.bucket, DAG, day)
        assert manifest is not None
        return manifest

    def records(self) -> list[publish.Publication]:
        return sorted(
            (
                get_json(self.s3, self.bucket, key, publish.Publication)
                for key in self.keys("reports/publications/")
            ),
            key=lambda one: (one.action, one.version),
        )


@pytest.fixture
def world(s3: Any, glue: Any, bucket: str, database: str) -> Lake:
    return Lake(s3, glue, bucket, database)


def test_readers_see_the_version_before_and_its_files_are_spared_again(world: Lake) -> None:
    (first,) = world.process("r1", upload("a", 1))
    (second,) = world.process("r2", upload("bad", 2))
    plan = rollback.plan_snapshot(world.run("roll"), PIPELINE, DAY, "was bad")
    (step,) = plan.steps
    assert (step.from_version, step.to_version) == (second.version, first.version)
    assert (step.facilities_now, step.facilities_then) == (2, 1)
    assert step.uploads_taken_out == [upload("bad", 2).key]
    assert world.current() == second
    (now,) = world.roll_back("roll", plan)
    assert world.current() == now
    assert (now.version, now.replaced_version, now.previous_version) == (first.version, second.version, None)
    assert (now.action, now.published_by, now.reason) == ("rollback", "roll", "was bad")
    for result in RESULTS:
        if result.table:
            assert world.location(result.table) == f"s3://{world.bucket}/{first.results[result.name].prefix}"

    def tags(manifest: publish.Manifest) -> list[Any]:
        key = manifest.results["facility_metrics"].files[0].key
        return world.s3.get_object_tagging(Bucket=world.bucket, Key=key)["TagSet"]

    assert (tags(first), tags(second)) == ([], [publish.SUPERSEDED_TAG])
    assert [(one.action, one.version, one.replaced_version) for one in world.records()] == [
        ("publish", first.version, None),
        ("publish", second.version, first.version),
        ("rollback", first.version, second.version),
    ]
    # A retry of the task changes nothing.
    assert world.roll_back("roll", plan) == [now]
    assert world.current() == now


def test_a_retry_of_the_run_that_was_rolled_back_is_refused(world: Lake) -> None:
    world.process("r1", upload("a", 1))
    plans = world.plan("r2", upload("bad", 2))
    world.publish_plans("r2", plans)
    plan = rollback.plan_snapshot(world.run("roll"), PIPELINE, DAY, "was bad")
    (now,) = world.roll_back("roll", plan)
    with pytest.raises(publish.PublishedMeanwhile, match="the rollback roll to version"):
        world.publish_plans("r2", plans)
    assert world.current() == now


def test_what_was_taken_out_does_not_come_back_by_itself(world: Lake) -> None:
    world.process("r1", upload("a", 1))
    bad = upload("bad", 2)
    world.process("r2", bad)
    world.roll_back("roll", rollback.plan_snapshot(world.run("roll"), PIPELINE, DAY, "was bad"))
    # The upload is still in landing: the run is cleared as a whole, or the next one takes it.
    assert world.plan("r3", bad) == []
    assert world.run("r3").get(publish.WITHDRAWN, list[str]) == [bad.upload_id]
    (plan,) = world.plan("r3", bad, upload("c", 3))
    assert [one.upload.file for one in plan.inputs] == ["a", "c"]
    (third,) = world.publish_plans("r3", [plan])
    assert [one.upload_id for one in third.withdrawn] == [bad.upload_id]
    # The next rollback goes past it.
    (step,) = rollback.plan_snapshot(world.run("roll2"), PIPELINE, DAY, "again").steps
    assert step.to_version.startswith("r1.")
    # Uploaded again it is another upload, and counts.
    (fourth,) = world.process("r4", upload("bad", 9))
    assert [one.upload.file for one in fourth.inputs] == ["a", "c", "bad"]
    assert fourth.withdrawn == []


def test_a_named_version_may_be_a_newer_one(world: Lake) -> None:
    (first,) = world.process("r1", upload("a", 1))
    (second,) = world.process("r2", upload("b", 2))
    world.roll_back("roll", rollback.plan_snapshot(world.run("roll"), PIPELINE, DAY, "was bad"))
    plan = rollback.plan_snapshot(world.run("on"), PIPELINE, DAY, "was good after all", second.version)
    (now,) = world.roll_back("on", plan)
    assert (now.version, now.withdrawn, now.previous_version) == (second.version, [], first.version)


def test_a_run_that_died_while_it_published_is_settled(world: Lake) -> None:
    world.process("r1", upload("a", 1))
    first = world.current()
    plans = world.plan("r2", upload("b", 2))

    def dies(params: dict[str, Any], **_: Any) -> None:
        if "expiring_accreditations" in str(params):
            raise ConnectionAbortedError

    # At the second table: the first one shows the new version already.
    world.glue.meta.events.register("before-call.glue.UpdatePartition", dies)
    with pytest.raises(ConnectionAbortedError):
        world.publish_plans("r2", plans)
    world.glue.meta.events.unregister("before-call.glue.UpdatePartition", dies)
    assert world.current() == first
    assert "version=r2." in world.location("facility_metrics")

    plan = rollback.plan_run(world.run("roll"), PIPELINE, "r2", "never mind")
    (now,) = world.roll_back("roll", plan)
    assert "version=r1." in world.location("facility_metrics")
    assert [one.file for one in now.withdrawn] == ["b"]
    with pytest.raises(publish.PublishedMeanwhile):
        world.publish_plans("r2", plans)


def test_what_cannot_be_rolled_back_is_refused_with_the_way_out(world: Lake) -> None:
    run = world.run("roll")
    with pytest.raises(rollback.RollbackRefused, match="nothing of it is published"):
        rollback.plan_snapshot(run, PIPELINE, DAY, "")
    (first,) = world.process("r1", upload("a", 1))
    with pytest.raises(rollback.RollbackRefused, match="the first that was ever published"):
        rollback.plan_snapshot(run, PIPELINE, DAY, "")
    with pytest.raises(rollback.RollbackRefused, match="there never was a version 'v9'"):
        rollback.plan_snapshot(run, PIPELINE, DAY, "", "v9")
    with pytest.raises(rollback.RollbackRefused, match=r"readers see version .* already"):
        rollback.plan_snapshot(run, PIPELINE, DAY, "", first.version)
    with pytest.raises(rollback.RollbackRefused, match="published by a run 'nobody'"):
        rollback.plan_run(run, PIPELINE, "nobody", "")
    world.process("r2", upload("b", 2))
    plan = rollback.plan_snapshot(run, PIPELINE, DAY, "")
    gone = first.results["facility_metrics"].files[1].key
    world.s3.delete_object(Bucket=world.bucket, Key=gone)
    with pytest.raises(rollback.RollbackRefused, match=f"1 files are gone, the first is s3://.*{gone[-18:]}"):
        rollback.plan_snapshot(run, PIPELINE, DAY, "")
    with pytest.raises(rollback.RollbackRefused, match="is gone since the rollback was planned"):
        world.roll_back("roll", plan)
    assert world.current().run == "r2"


def test_what_was_published_after_the_plan_is_not_rolled_back(world: Lake) -> None:
    world.process("r1", upload("a", 1))
    world.process("r2", upload("b", 2))
    plan = rollback.plan_snapshot(world.run("roll"), PIPELINE, DAY, "")
    (third,) = world.process("r3", upload("c", 3))
    with pytest.raises(rollback.RollbackRefused, match="now they see r3"):
        world.roll_back("roll", plan)
    assert world.current() == third


def test_all_snapshots_of_a_run_or_none(world: Lake) -> None:
    world.process("r1", upload("a", 1), upload("a", 1, OTHER_DAY))
    world.process("r2", upload("b", 2), upload("b", 2, OTHER_DAY))
    world.process("r3", upload("c", 3, OTHER_DAY))
    run = world.run("roll")
    with pytest.raises(rollback.RollbackRefused, match=f"{OTHER_DAY}: version r3.* came since"):
        rollback.plan_run(run, PIPELINE, "r2", "")
    world.roll_back("x", rollback.plan_run(world.run("x"), PIPELINE, "r3", ""))
    plan = rollback.plan_run(run, PIPELINE, "r2", "")
    assert [(one.snapshot, one.to_version[:3]) for one in plan.steps] == [(OTHER_DAY, "r1."), (DAY, "r1.")]
    world.roll_back("roll", plan)
    assert {world.current(day).run for day in (DAY, OTHER_DAY)} == {"r1"}
    nothing = rollback.plan_run(world.run("y"), PIPELINE, "r2", "")
    assert (nothing.steps, len(nothing.untouched)) == ([], 2)
    # A run whose name begins like another's is another one.
    with pytest.raises(rollback.RollbackRefused, match="No version"):
        rollback.plan_run(run, PIPELINE, "r", "")


def test_of_two_that_publish_at_once_one_gets_through_and_the_tables_show_it(world: Lake) -> None:
    world.process("r1", upload("a", 1))
    (second,) = world.process("r2", upload("b", 2))
    plan = rollback.plan_snapshot(world.run("roll"), PIPELINE, DAY, "")
    place = lake.manifest_key(DAG, DAY)

    def somebody_is_faster(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == place and "IfMatch" in params:
            world.s3.meta.events.unregister("before-parameter-build.s3.PutObject", somebody_is_faster)
            put_json(world.s3, world.bucket, place, msgspec.structs.replace(second, publication="somebody's"))

    world.s3.meta.events.register("before-parameter-build.s3.PutObject", somebody_is_faster)
    with pytest.raises(publish.PublishedMeanwhile, match="published by somebody else"):
        world.roll_back("roll", plan)
    assert world.current().publication == "somebody's"
    assert "version=r2." in world.location("facility_metrics")


def test_the_plan_of_a_published_snapshot_keeps_what_it_was_made_of(world: Lake) -> None:
    (first,) = world.process("r1", upload("a", 1))
    (plan,) = world.plan("r2", upload("b", 2))
    assert (plan.previous_version, plan.previous_publication) == (first.version, first.publication)
    assert plan.previous_accepted == 1
    assert plan.inputs[0] == Input(
        upload=upload("a", 1), counts=LineCounts(lines=1, slices={"2026-11-01": {"valid": 1}})
    )
