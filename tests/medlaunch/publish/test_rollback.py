"""Rollback: nothing by halves, never undone by a retry, refused with a way out."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from medlaunch import lake as layout
from medlaunch.aws.objects import put_json
from medlaunch.publish import partitions, publish, rollback
from medlaunch.publish.manifests import Manifest
from medlaunch.publish.plan import EXCLUDED
from tests.factories import DAG, DAY, OTHER_DAY, loaded, upload
from tests.medlaunch.publish.lakes import RESULTS, SMALL, Lake


def test_readers_see_the_version_before_and_its_files_are_spared_again(lake: Lake) -> None:
    (first,) = lake.process("r1", upload("a", 1))
    (second,) = lake.process("r2", upload("bad", 2))
    plan = lake.plan_rollback("roll", "was bad")
    (step,) = plan.steps
    assert (step.from_version, step.to_version) == (second.version, first.version)
    assert (step.records_now, step.records_then) == (second.records, first.records)
    assert step.excluded_uploads == [upload("bad", 2).key]
    assert lake.current() == second
    (now,) = lake.roll_back("roll", plan)
    assert lake.current() == now
    assert (now.version, now.replaced_version, now.previous_version) == (first.version, second.version, None)
    assert (now.action, now.published_by, now.reason) == ("rollback", "roll", "was bad")
    for result in RESULTS:
        if result.table:
            assert lake.location(result.table) == f"s3://{lake.bucket}/{first.results[result.name].prefix}"

    def tags(manifest: Manifest) -> list[Any]:
        key = manifest.results["facility_metrics"].files[0].key
        return lake.s3.get_object_tagging(Bucket=lake.bucket, Key=key)["TagSet"]

    assert (tags(first), tags(second)) == ([], [partitions.SUPERSEDED_TAG])
    assert [(one.action, one.version, one.replaced_version) for one in lake.records()] == [
        ("publish", first.version, None),
        ("publish", second.version, first.version),
        ("rollback", first.version, second.version),
    ]
    # A retry of the task changes nothing.
    assert lake.roll_back("roll", plan) == [now]
    assert lake.current() == now


def test_a_retry_of_the_run_that_was_rolled_back_is_refused(lake: Lake) -> None:
    lake.process("r1", upload("a", 1))
    plans = lake.plan("r2", upload("bad", 2))
    lake.stage_and_publish("r2", plans)
    plan = lake.plan_rollback("roll", "was bad")
    (now,) = lake.roll_back("roll", plan)
    with pytest.raises(publish.ConcurrentPublication, match="the rollback roll to version"):
        lake.stage_and_publish("r2", plans)
    assert lake.current() == now


def test_what_was_excluded_does_not_come_back_by_itself(lake: Lake) -> None:
    lake.process("r1", upload("a", 1))
    bad = upload("bad", 2)
    lake.process("r2", bad)
    lake.roll_back("roll", lake.plan_rollback("roll", "was bad"))
    # The upload is still in landing: the run is cleared as a whole, or the next one takes it.
    assert lake.plan("r3", bad) == []
    assert lake.run("r3").get(EXCLUDED, list[str]) == [bad.upload_id]
    (plan,) = lake.plan("r3", bad, upload("c", 3))
    assert [one.upload.upload_id[0] for one in plan.inputs] == ["a", "c"]
    (third,) = lake.stage_and_publish("r3", [plan])
    assert [one.upload_id for one in third.excluded] == [bad.upload_id]
    # The next rollback goes past it.
    (step,) = lake.plan_rollback("roll2", "again").steps
    assert step.to_version.startswith("r1.")
    # Uploaded again it is another upload, and counts.
    (fourth,) = lake.process("r4", upload("bad", 9))
    assert [one.upload.upload_id for one in fourth.inputs] == ["a-1", "c-3", "bad-9"]
    assert fourth.excluded == []


def test_a_named_version_may_be_a_newer_one(lake: Lake) -> None:
    (first,) = lake.process("r1", upload("a", 1))
    (second,) = lake.process("r2", upload("b", 2))
    lake.roll_back("roll", lake.plan_rollback("roll", "was bad"))
    plan = lake.plan_rollback("on", "was good after all", second.version)
    (now,) = lake.roll_back("on", plan)
    assert (now.version, now.excluded, now.previous_version) == (second.version, [], first.version)


def test_a_run_that_died_while_it_published_is_undone(lake: Lake) -> None:
    lake.process("r1", upload("a", 1))
    first = lake.current()
    plans = lake.plan("r2", upload("b", 2))

    def dies(params: dict[str, Any], **_: Any) -> None:
        if "expiring_accreditations" in str(params):
            raise ConnectionAbortedError

    # At the second table: the first one shows the new version already.
    lake.glue.meta.events.register("before-call.glue.UpdatePartition", dies)
    with pytest.raises(ConnectionAbortedError):
        lake.stage_and_publish("r2", plans)
    lake.glue.meta.events.unregister("before-call.glue.UpdatePartition", dies)
    assert lake.current() == first
    assert "version=r2." in lake.location("facility_metrics")

    plan = rollback.plan_run(lake.run("roll"), SMALL, lake.queries, "r2", "never mind")
    (now,) = lake.roll_back("roll", plan)
    assert "version=r1." in lake.location("facility_metrics")
    assert [one.upload_id for one in now.excluded] == ["b-2"]
    with pytest.raises(publish.ConcurrentPublication):
        lake.stage_and_publish("r2", plans)


def test_what_cannot_be_rolled_back_is_refused_with_the_way_out(lake: Lake) -> None:
    run = lake.run("roll")
    with pytest.raises(rollback.RollbackRefused, match="nothing of it is published"):
        lake.plan_rollback("roll", "")
    (first,) = lake.process("r1", upload("a", 1))
    with pytest.raises(rollback.RollbackRefused, match="the first that was ever published"):
        lake.plan_rollback("roll", "")
    with pytest.raises(rollback.RollbackRefused, match="there never was a version 'v9'"):
        lake.plan_rollback("roll", "", "v9")
    with pytest.raises(rollback.RollbackRefused, match=r"readers see version .* already"):
        lake.plan_rollback("roll", "", first.version)
    with pytest.raises(rollback.RollbackRefused, match="published by a run 'nobody'"):
        rollback.plan_run(run, SMALL, lake.queries, "nobody", "")
    lake.process("r2", upload("b", 2))
    plan = lake.plan_rollback("roll", "")
    gone = first.results["facility_metrics"].files[1].key
    lake.s3.delete_object(Bucket=lake.bucket, Key=gone)
    with pytest.raises(rollback.RollbackRefused, match=f"1 files are gone, the first is s3://.*{gone[-18:]}"):
        lake.plan_rollback("roll", "")
    with pytest.raises(rollback.RollbackRefused, match="is gone since the rollback was planned"):
        lake.roll_back("roll", plan)
    assert lake.current().run == "r2"


def test_what_was_published_after_the_plan_is_not_rolled_back(lake: Lake) -> None:
    lake.process("r1", upload("a", 1))
    lake.process("r2", upload("b", 2))
    plan = lake.plan_rollback("roll", "")
    (third,) = lake.process("r3", upload("c", 3))
    with pytest.raises(rollback.RollbackRefused, match="now they see r3"):
        lake.roll_back("roll", plan)
    assert lake.current() == third


def test_all_slices_of_a_run_or_none(lake: Lake) -> None:
    lake.process("r1", upload("a", 1), upload("a", 1, OTHER_DAY))
    lake.process("r2", upload("b", 2), upload("b", 2, OTHER_DAY))
    lake.process("r3", upload("c", 3, OTHER_DAY))
    run = lake.run("roll")
    with pytest.raises(rollback.RollbackRefused, match=f"{OTHER_DAY}: version r3.* came since"):
        rollback.plan_run(run, SMALL, lake.queries, "r2", "")
    lake.roll_back("x", rollback.plan_run(lake.run("x"), SMALL, lake.queries, "r3", ""))
    plan = rollback.plan_run(run, SMALL, lake.queries, "r2", "")
    assert [(one.slice, one.to_version[:3]) for one in plan.steps] == [(OTHER_DAY, "r1."), (DAY, "r1.")]
    lake.roll_back("roll", plan)
    assert {lake.current(day).run for day in (DAY, OTHER_DAY)} == {"r1"}
    nothing = rollback.plan_run(lake.run("y"), SMALL, lake.queries, "r2", "")
    assert (nothing.steps, len(nothing.untouched)) == ([], 2)
    # A run whose name begins like another's is another one.
    with pytest.raises(rollback.RollbackRefused, match="No version"):
        rollback.plan_run(run, SMALL, lake.queries, "r", "")


def test_of_two_that_publish_at_once_one_gets_through_and_the_tables_show_it(lake: Lake) -> None:
    lake.process("r1", upload("a", 1))
    (second,) = lake.process("r2", upload("b", 2))
    plan = lake.plan_rollback("roll", "")
    place = layout.manifest_key(DAG, DAY)

    def another_run_is_faster(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == place and "IfMatch" in params:
            lake.s3.meta.events.unregister("before-parameter-build.s3.PutObject", another_run_is_faster)
            put_json(lake.s3, lake.bucket, place, msgspec.structs.replace(second, publication="another's"))

    lake.s3.meta.events.register("before-parameter-build.s3.PutObject", another_run_is_faster)
    with pytest.raises(publish.ConcurrentPublication, match="published by another run"):
        lake.roll_back("roll", plan)
    assert lake.current().publication == "another's"
    assert "version=r2." in lake.location("facility_metrics")


def test_the_plan_of_a_published_slice_keeps_what_it_was_made_of(lake: Lake) -> None:
    (first,) = lake.process("r1", upload("a", 1))
    (plan,) = lake.plan("r2", upload("b", 2))
    assert (plan.previous_version, plan.previous_publication) == (first.version, first.publication)
    assert plan.previous_accepted == 1
    assert plan.inputs[0] == loaded(upload("a", 1))
