"""Publication: whole or not at all, repeatable, and of several at once exactly one."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from medlaunch import lake as layout
from medlaunch.aws.objects import list_objects, put_json
from medlaunch.publish import partitions, publish
from medlaunch.publish import plan as planning
from medlaunch.publish.manifests import Action, read_current, read_manifest
from tests.factories import DAG, DAY, OTHER_DAY, group, loaded, once, upload
from tests.medlaunch.publish.lakes import FILES, RESULTS, SMALL, Lake


def test_results_are_copied_switched_and_described_by_a_manifest(lake: Lake) -> None:
    run = lake.run("manual__1")
    lake.stage(run, FILES, (DAY, OTHER_DAY))
    manifests = lake.publish(run, (OTHER_DAY, DAY))
    manifest = manifests[1]
    assert read_manifest(lake.s3, lake.bucket, DAG, DAY) == manifest
    metrics = manifest.results["facility_metrics"]
    assert [file.key.rsplit("/", 1)[-1] for file in metrics.files] == [
        "part-00000.parquet",
        "part-00001.parquet",
    ]
    # What people open keeps its name.
    assert [file.key for file in manifest.results["expiring_soon"].files] == [
        f"{manifest.results['expiring_soon'].prefix}expiring_soon.csv"
    ]
    assert metrics.prefix is not None
    assert lake.location("facility_metrics") == f"s3://{lake.bucket}/{metrics.prefix}"
    assert f"snapshot_date={DAY}/version=manual__1." in metrics.prefix
    assert metrics.rows == 3
    for result in manifest.results.values():
        assert lake.keys(result.prefix or "?") == [file.key for file in result.files]
        for file in result.files:
            head = lake.s3.head_object(Bucket=lake.bucket, Key=file.key, ChecksumMode="ENABLED")
            assert (head["ContentLength"], head["ChecksumSHA256"]) == (file.size, file.sha256)
    assert lake.keys("prod/publications/") == sorted(
        f"prod/publications/{DAG}/{one.slice}.{one.version}.json" for one in manifests
    )


def test_a_view_in_the_place_of_a_table_is_refused(lake: Lake) -> None:
    name = {"DatabaseName": lake.database, "Name": "expiring_accreditations"}
    lake.glue.delete_table(**name)
    lake.glue.create_table(
        DatabaseName=lake.database,
        TableInput={"Name": "expiring_accreditations", "TableType": "VIRTUAL_VIEW", "StorageDescriptor": {}},
    )
    run = lake.run("manual__1")
    lake.stage(run, FILES)
    with pytest.raises(partitions.TableNameConflict, match="DROP VIEW expiring_accreditations"):
        lake.publish(run)
    assert read_manifest(lake.s3, lake.bucket, DAG, DAY) is None


def test_publishing_again_changes_nothing(lake: Lake) -> None:
    run = lake.run("manual__1")
    lake.stage(run, FILES)
    (first,) = lake.publish(run)
    before = [(one.key, one.etag) for one in list_objects(lake.s3, lake.bucket, "prod/facility_metrics/")]
    (second,) = lake.publish(run)
    assert second.version == first.version
    assert [
        (one.key, one.etag) for one in list_objects(lake.s3, lake.bucket, "prod/facility_metrics/")
    ] == before
    assert lake.location("facility_metrics").endswith(f"version={first.version}/")


def test_the_earlier_version_stays_and_is_marked(lake: Lake) -> None:
    first_run, second_run = lake.run("manual__1"), lake.run("manual__2")
    lake.stage(first_run, FILES)
    (first,) = lake.publish(first_run)
    lake.stage(second_run, {"expiring_soon/expiring_soon.csv": b"new\r\n"})
    (second,) = lake.publish(second_run)

    assert second.previous_version == first.version
    # An empty result replaces the earlier one: the partition points to a place without files.
    assert second.results["facility_metrics"].files == []
    assert (
        lake.location("facility_metrics") == f"s3://{lake.bucket}/{second.results['facility_metrics'].prefix}"
    )
    old_key = first.results["facility_metrics"].files[0].key
    assert lake.keys(first.results["facility_metrics"].prefix or "?")
    assert lake.s3.get_object_tagging(Bucket=lake.bucket, Key=old_key)["TagSet"] == [
        partitions.SUPERSEDED_TAG
    ]
    new_key = second.results["expiring_soon"].files[0].key
    assert lake.s3.get_object_tagging(Bucket=lake.bucket, Key=new_key)["TagSet"] == []


def test_going_back_to_an_earlier_version_is_the_same_switch(lake: Lake) -> None:
    for run_id, body in (("manual__1", b"one"), ("manual__2", b"two")):
        run = lake.run(run_id)
        lake.stage(run, {"facility_metrics/x": body})
        (manifest,) = lake.publish(run)
        if run_id == "manual__1":
            first = manifest
    again = msgspec.structs.replace(first, publication="rollback.manual__3", action=Action.ROLLBACK)
    publish.switch(
        lake.run("manual__3"),
        lake.target,
        manifest=again,
        before=read_current(lake.s3, lake.bucket, DAG, DAY),
    )
    assert read_manifest(lake.s3, lake.bucket, DAG, DAY) == again
    assert lake.location("facility_metrics").endswith(f"version={first.version}/")
    key = first.results["facility_metrics"].files[0].key
    assert lake.s3.get_object_tagging(Bucket=lake.bucket, Key=key)["TagSet"] == []


def test_other_content_never_takes_over_a_version(lake: Lake) -> None:
    run = lake.run("manual__1")
    lake.stage(run, {"facility_metrics/x": b"one"})
    (first,) = lake.publish(run)
    lake.stage(run, {"facility_metrics/x": b"two"})  # the extraction was cleared and ran again
    (second,) = lake.publish(run)
    assert first.version != second.version
    assert (
        lake.s3.get_object(Bucket=lake.bucket, Key=first.results["facility_metrics"].files[0].key)[
            "Body"
        ].read()
        == b"one"
    )


def test_a_plan_that_is_older_than_what_is_published_is_refused(lake: Lake) -> None:
    first_run, second_run = lake.run("manual__1"), lake.run("manual__2")
    lake.stage(first_run, FILES)
    lake.stage(second_run, {name: body + b"!" for name, body in FILES.items()})
    (second,) = lake.publish(second_run)
    planned = planning.SlicePlan(slice=DAY, inputs=[], batch_uploads=[])  # before that
    with pytest.raises(publish.ConcurrentPublication, match="Clear plan_slices"):
        lake.publish_plans("manual__1", [planned])
    assert read_manifest(lake.s3, lake.bucket, DAG, DAY) == second
    assert lake.location("facility_metrics").endswith(f"version={second.version}/")


def test_what_a_refused_run_has_copied_does_not_stay_for_ever(lake: Lake) -> None:
    """Another run publishes the first of two snapshots while this one is at it."""
    slow, quick = lake.run("manual__1"), lake.run("manual__2")
    later = "2026-11-02"
    lake.stage(slow, FILES, (DAY, later))
    lake.stage(quick, FILES)

    def another_run_is_faster(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == layout.manifest_key(DAG, DAY):
            lake.s3.meta.events.unregister("before-parameter-build.s3.PutObject", another_run_is_faster)
            lake.publish(quick)

    lake.s3.meta.events.register("before-parameter-build.s3.PutObject", another_run_is_faster)
    with pytest.raises(publish.ConcurrentPublication, match="published by another run"):
        lake.publish(slow, (DAY, later))
    copied = {key for result in RESULTS for key in lake.keys(f"prod/{result.name}/") if "=manual__1." in key}
    assert {key.split("/")[2] for key in copied} == {f"snapshot_date={DAY}", f"snapshot_date={later}"}
    assert lake.superseded() == copied
    # Publishing the same after all brings it back.
    lake.publish(slow, (DAY, later))
    assert not any("=manual__1." in key for key in lake.superseded())


class Killed(Exception):
    pass


@pytest.mark.parametrize("after", range(0, 20, 2))
def test_stopped_anywhere_readers_see_the_old_version_or_a_whole_new_one(lake: Lake, after: int) -> None:
    first_run, second_run = lake.run("manual__1"), lake.run("manual__2")
    lake.stage(first_run, FILES)
    (first,) = lake.publish(first_run)
    lake.stage(second_run, {name: body + b"!" for name, body in FILES.items()})

    calls = 0

    def stop(**_: Any) -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise Killed

    for client in (lake.s3, lake.glue):
        client.meta.events.register("before-send", stop)
    try:
        with pytest.raises(Killed):
            lake.publish(second_run)
    finally:
        for client in (lake.s3, lake.glue):
            client.meta.events.unregister("before-send", stop)

    for result in RESULTS:
        if result.table:
            prefix = lake.location(result.table).removeprefix(f"s3://{lake.bucket}/")
            expected = len(
                [name for name in FILES if name.startswith(result.name) and not name.endswith("_SUCCESS")]
            )
            assert len(lake.keys(prefix)) == expected
    manifest = read_manifest(lake.s3, lake.bucket, DAG, DAY)
    assert manifest is not None
    assert all(
        lake.keys(one.prefix or "?") == [file.key for file in one.files] for one in manifest.results.values()
    )
    assert manifest == first or all(
        lake.location(r.table).endswith(f"{manifest.version}/") for r in RESULTS if r.table
    )
    # The retry finishes the work.
    (again,) = lake.publish(second_run)
    assert lake.location("expiring_accreditations").endswith(f"version={again.version}/")


def test_a_slice_is_planned_from_what_is_published_and_what_is_new(lake: Lake) -> None:
    run = lake.run("manual__1")
    lake.stage(run, FILES)
    (manifest,) = lake.publish(run)
    old = [loaded(upload("a", 1)), loaded(upload("b", 2))]
    put_json(
        lake.s3, lake.bucket, layout.manifest_key(DAG, DAY), msgspec.structs.replace(manifest, inputs=old)
    )
    next_run = lake.run("manual__2")
    (plan,) = planning.plan(next_run, SMALL, [group(loaded(upload("a", 5)))])
    assert [one.upload.upload_id for one in plan.inputs] == ["b-2", "a-5"]
    assert plan.previous_version == manifest.version
    rows = lake.s3.get_object(Bucket=lake.bucket, Key=next_run.path(planning.UPLOADS))["Body"].read()
    assert [msgspec.json.decode(row) for row in rows.splitlines()] == [
        {
            "slice": DAY,
            "dataset": "facilities",
            "upload_id": name,
            "upload_order": order,
            "uploaded_at": f"2026-11-02 00:00:0{second}",
            "source_key": f"landing/facilities/{DAY}/{name[0]}",
        }
        for order, (name, second) in enumerate([("b-2", 2), ("a-5", 5)])
    ]


def test_a_file_that_readers_see_again_meanwhile_is_not_marked_for_removal(lake: Lake) -> None:
    """A rollback comes between the switch of a run and its marking of what it superseded."""
    (first,) = lake.process("r1", upload("a", 1))

    once(
        "before-parameter-build.s3.PutObject",
        lake.s3,
        lambda params: params["Key"].startswith(f"publications/{DAG}/{DAY}.r2."),
        lambda: lake.roll_back("roll", lake.plan_rollback("roll")),
    )
    lake.process("r2", upload("b", 2))
    assert lake.current().version == first.version
    assert not lake.superseded() & set(first.keys)


def test_files_are_spared_before_a_rollback_shows_them(lake: Lake) -> None:
    """The lifecycle rule may run at any moment: what readers see is never marked."""
    (first,) = lake.process("r1", upload("a", 1))
    lake.process("r2", upload("b", 2))
    assert set(first.keys) <= lake.superseded()
    marked: list[set[str]] = []

    once(
        "before-parameter-build.glue.UpdatePartition",
        lake.glue,
        lambda _: True,
        lambda: marked.append(lake.superseded() & set(first.keys)),
    )
    lake.roll_back("roll", lake.plan_rollback("roll"))
    assert marked == [set()]


def test_files_that_a_run_marks_while_a_rollback_shows_them_are_spared_too(lake: Lake) -> None:
    """The run that published last marks what it superseded only after its switch, and a rollback may come between."""
    (first,) = lake.process("r1", upload("a", 1))
    (second,) = lake.process("r2", upload("b", 2))

    once(
        "before-parameter-build.glue.UpdatePartition",
        lake.glue,
        lambda _: True,
        lambda: partitions.mark_superseded(lake.s3, lake.bucket, second, first.keys),
    )
    lake.roll_back("roll", lake.plan_rollback("roll"))
    assert not lake.superseded() & set(first.keys)


def test_a_refused_retry_puts_the_tables_back_that_its_first_try_has_moved(lake: Lake) -> None:
    """Another run publishes while the first try is between its plan and its first pointer; then that try dies."""
    lake.process("r1", upload("a", 1))
    plans = lake.plan("r2", upload("b", 2))

    once(
        "before-parameter-build.glue.UpdatePartition",
        lake.glue,
        lambda _: True,
        lambda: lake.process("r3", upload("c", 3)),
    )

    def dies(params: dict[str, Any], **_: Any) -> None:
        if "version=r2." in str(params) and "expiring_accreditations" in str(params):
            raise Killed

    lake.glue.meta.events.register("before-call.glue.UpdatePartition", dies)
    with pytest.raises(Killed):
        lake.stage_and_publish("r2", plans)
    lake.glue.meta.events.unregister("before-call.glue.UpdatePartition", dies)
    assert "version=r2." in lake.location("facility_metrics")
    assert lake.current().run == "r3"

    with pytest.raises(publish.ConcurrentPublication):
        lake.stage_and_publish("r2", plans)
    assert "version=r3." in lake.location("facility_metrics")


def test_what_is_copied_after_the_winner_has_looked_is_marked_by_the_loser(
    lake: Lake, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, quick = lake.run("slow"), lake.run("quick")
    lake.stage(slow, FILES)
    lake.stage(quick, FILES)
    copy_objects = publish.copy_objects

    def after_another_run(*arguments: Any) -> Any:
        monkeypatch.undo()
        lake.publish(quick)
        return copy_objects(*arguments)

    monkeypatch.setattr(publish, "copy_objects", after_another_run)
    with pytest.raises(publish.ConcurrentPublication):
        lake.publish(slow)
    copied = {key for result in RESULTS for key in lake.keys(f"prod/{result.name}/") if "=slow." in key}
    assert copied
    assert lake.superseded() == copied


def test_a_write_that_took_effect_and_is_sent_again_is_no_conflict(lake: Lake) -> None:
    """The answer to the manifest's write is lost, and the client sends the write once more."""
    lake.process("r1", upload("a", 1))
    place = layout.manifest_key(DAG, DAY)

    def takes_effect_first(params: dict[str, Any], **_: Any) -> None:
        if params["Key"] == place:
            lake.s3.meta.events.unregister("before-parameter-build.s3.PutObject", takes_effect_first)
            lake.s3.put_object(Bucket=lake.bucket, Key=place, Body=params["Body"])

    lake.s3.meta.events.register("before-parameter-build.s3.PutObject", takes_effect_first)
    (second,) = lake.process("r2", upload("b", 2))
    assert lake.current() == second
    assert [one.version for one in lake.records()][-1] == second.version


def test_the_record_that_a_run_died_before_writing_is_written_by_the_next(lake: Lake) -> None:
    (first,) = lake.process("r1", upload("a", 1))
    lake.s3.delete_object(Bucket=lake.bucket, Key=layout.publication_key(DAG, DAY, first.publication))
    (second,) = lake.process("r2", upload("b", 2))
    assert [one.version for one in lake.records()] == [first.version, second.version]


def test_rejects_that_are_no_longer_true_go_with_the_publication(lake: Lake) -> None:
    stale = f"quarantine/facilities/{DAY}/gone.jsonl_rejects.jsonl"
    lake.s3.put_object(Bucket=lake.bucket, Key=stale, Body=b"{}\n")
    lake.process("r1", upload("a", 1))
    assert lake.keys("quarantine/") == []
