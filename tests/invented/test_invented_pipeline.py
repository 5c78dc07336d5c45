"""A pipeline that generic code has never heard of: several datasets, slices in the lines, an Iceberg table.

It adds a declaration, its rules, its SQL and its DAG file, and runs; the tools work on it too.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from medlaunch import permissions
from medlaunch.permissions.pipeline import statements
from medlaunch.publish import publish as publishing
from tests.factories import once
from tests.invented.meters import WATER_METERS
from tests.pipeline import Pipeline

DAG = WATER_METERS.dag_id
ROLLBACK, REPLAY, FRESHNESS = "rollback_publication", "replay_uploads", "check_freshness"


def put(meters: Pipeline, name: str, *lines: str, dataset: str = "readings") -> str:
    key = f"landing/meters/{dataset}/{name}"
    meters.s3.put_object(Bucket=meters.bucket, Key=key, Body="".join(f"{line}\n" for line in lines).encode())
    return key


def readings(meters: Pipeline) -> dict[tuple[str, str], int]:
    rows = meters.select("SELECT month, meter, litres FROM meter_readings")
    assert len({(row["month"], row["meter"]) for row in rows}) == len(rows)
    return {(row["month"], row["meter"]): int(row["litres"]) for row in rows}


def totals(meters: Pipeline) -> dict[str, int]:
    return {
        row["month"]: int(row["litres"]) for row in meters.select("SELECT month, litres FROM month_totals")
    }


def snapshots(meters: Pipeline) -> list[str]:
    return [
        row["snapshot_id"]
        for row in meters.select('SELECT snapshot_id FROM "meter_readings$snapshots" ORDER BY committed_at')
    ]


def manifest(meters: Pipeline, month: str) -> dict[str, Any]:
    return json.loads(meters.read(f"prod/manifests/{DAG}/{month}.json"))


def test_uploads_of_any_dataset_become_readings_and_totals(meters: Pipeline) -> None:
    put(meters, "any/where/a.txt", "M1 2026-01 10", "M2 2026-01 20", "M1 2026-02 11", "broken")
    meters.next_second()
    put(meters, "b.txt", "M2 2026-01 25", dataset="by-hand")
    put(meters, "c.txt", "corrupt", dataset="by-hand")
    report = meters.report(DAG)
    assert readings(meters) == {("2026-01", "M1"): 10, ("2026-01", "M2"): 25, ("2026-02", "M1"): 11}
    assert totals(meters) == {"2026-01": 35, "2026-02": 11}
    lines = report["lines"]
    assert (lines["read"], lines["accepted"], lines["superseded"], lines["rejected"]) == (5, 3, 1, 1)
    assert report["params"] == {"unit": "litres"}
    assert [one["slice"] for one in report["slices"]] == ["2026-01", "2026-02", "unknown"]
    assert meters.keys("landing/") == []
    assert meters.keys("archive/") == [
        "archive/meters/by-hand/b.txt",
        "archive/meters/readings/any/where/a.txt",
    ]
    (warning,) = meters.alerts()
    assert warning["skipped"]["objects"] == [
        {"key": "landing/meters/by-hand/c.txt", "reason": "corrupt_archive"}
    ]
    assert (
        manifest(meters, "2026-01")["results"]["meter_readings"]["iceberg_snapshot"] == snapshots(meters)[-1]
    )


def test_a_corrected_upload_changes_its_slices_and_nothing_else(meters: Pipeline) -> None:
    put(meters, "a.txt", "M1 2026-01 10", "M2 2026-01 20", "M1 2026-02 11")
    meters.report(DAG)
    february = manifest(meters, "2026-02")
    meters.next_second()
    # A meter is gone, another reading has changed.
    put(meters, "a.txt", "M1 2026-01 12")
    meters.report(DAG)
    assert readings(meters) == {("2026-01", "M1"): 12, ("2026-02", "M1"): 11}
    assert manifest(meters, "2026-02") == february
    before = snapshots(meters)
    meters.next_second()
    put(meters, "a.txt", "M1 2026-01 12")
    meters.report(DAG)
    assert snapshots(meters) == before  # the same rows again commit nothing


def test_params_that_cannot_be_used_and_counts_that_do_not_match_publish_nothing(
    meters: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = put(meters, "a.txt", "M1 2026-01 10")
    assert meters.run(DAG, unit="pints").state == "failed"
    from medlaunch.publish import reconcile

    compare = reconcile.reconcile

    def lose_one(plans: Any, lines: Any, rows: Any) -> Any:
        return compare(plans, [row for row in lines if row["outcome"] != "accepted"], rows)

    monkeypatch.setattr(reconcile, "reconcile", lose_one)
    assert meters.run(DAG).state == "failed"
    assert readings(meters) == {}
    assert meters.keys("landing/") == [key]
    assert len(meters.alerts()) == 2


def test_a_rollback_takes_the_rows_of_a_slice_back(meters: Pipeline) -> None:
    put(meters, "a.txt", "M1 2026-01 10", "M2 2026-01 20", "M1 2026-02 11")
    meters.report(DAG)
    before = readings(meters)
    meters.next_second()
    bad = put(meters, "bad.txt", "M1 2026-01 99", "M3 2026-01 7")
    meters.report(DAG)
    assert readings(meters)["2026-01", "M1"] == 99
    meters.next_second()
    put(meters, "later.txt", "M1 2026-02 12")  # another slice of the same table goes on
    meters.report(DAG)

    dry = meters.report(ROLLBACK, pipeline=DAG, slice="2026-01")
    assert dry["messages"][0].endswith(f"(2 readings), without {bad}")
    meters.report(ROLLBACK, pipeline=DAG, slice="2026-01", dry_run=False, reason="a mistake")
    assert readings(meters) == before | {("2026-02", "M1"): 12}
    assert totals(meters) == {"2026-01": 30, "2026-02": 12}
    # The next upload builds on it.
    put(meters, "c.txt", "M2 2026-01 21")
    meters.report(DAG)
    assert readings(meters) == {("2026-01", "M1"): 10, ("2026-01", "M2"): 21, ("2026-02", "M1"): 12}
    rows = meters.select(
        f"SELECT action, slice FROM publications WHERE pipeline = '{DAG}' ORDER BY published_at"
    )
    assert [row["slice"] for row in rows if row["action"] == "rollback"] == ["2026-01"]


def test_a_rollback_to_a_snapshot_that_is_gone_is_refused(
    meters: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(meters, "a.txt", "M1 2026-01 10")
    meters.report(DAG)
    meters.next_second()
    put(meters, "b.txt", "M1 2026-01 11")
    meters.report(DAG)
    from medlaunch.publish import iceberg

    monkeypatch.setattr(iceberg, "snapshots", lambda *_: [])  # as after VACUUM
    run = meters.run(ROLLBACK, pipeline=DAG, slice="2026-01", dry_run=False, reason="r")
    assert run.state == "failed"
    (alert,) = meters.alerts()
    assert "VACUUM" in alert["failed_tasks"][0]["error"]["text"]
    assert readings(meters) == {("2026-01", "M1"): 11}


def test_the_manifests_say_what_a_replay_restores(meters: Pipeline) -> None:
    put(meters, "a.txt", "M1 2026-01 10", "M1 2026-02 11")
    put(meters, "b.txt", "M1 2026-03 12")
    meters.report(DAG)
    before = readings(meters)
    done = meters.report(
        REPLAY, dataset="meters/readings", slice_from="2026-01", slice_to="2026-02", dry_run=False, reason="r"
    )
    assert done["summary"].startswith("Restored 1 of 1 upload of 1 month")
    assert meters.keys("landing/") == ["landing/meters/readings/a.txt"]
    meters.report(DAG)
    assert readings(meters) == before


def test_what_a_rollback_excluded_from_one_slice_a_replay_of_another_does_not_bring_back(
    meters: Pipeline,
) -> None:
    put(meters, "a.txt", "M1 2026-01 10", "M1 2026-02 20")
    meters.report(DAG)
    meters.next_second()
    both = put(meters, "both.txt", "M1 2026-01 11", "M1 2026-02 21")
    meters.report(DAG)
    meters.report(ROLLBACK, pipeline=DAG, slice="2026-01", dry_run=False, reason="a mistake")
    rolled_back = {("2026-01", "M1"): 10, ("2026-02", "M1"): 21}
    assert readings(meters) == rolled_back

    def replay(first: str, **options: Any) -> None:
        meters.report(
            REPLAY,
            dataset="meters/readings",
            slice_from=first,
            slice_to="2026-02",
            dry_run=False,
            reason="r",
            **options,
        )
        assert both in meters.keys("landing/")
        meters.report(DAG)

    replay("2026-02")
    assert readings(meters) == rolled_back
    replay("2026-01")
    assert readings(meters) == rolled_back
    replay("2026-01", include_excluded=True)
    assert readings(meters) == {("2026-01", "M1"): 11, ("2026-02", "M1"): 21}


def test_of_two_publications_at_once_the_table_shows_the_one_that_got_through(meters: Pipeline) -> None:
    put(meters, "a.txt", "M1 2026-01 10")
    meters.report(DAG)
    meters.next_second()
    put(meters, "b.txt", "M1 2026-01 11", "M2 2026-01 5")
    states = []

    def another_run() -> None:
        # It has read the same uploads, and one more.
        put(meters, "c.txt", "M1 2026-01 12")
        states.append(meters.run(DAG).state)

    with meters.environment():
        from medlaunch.aws.clients import glue_client

        once(
            "before-parameter-build.glue.UpdatePartition",
            glue_client("aws_default"),
            lambda _: True,
            another_run,
        )
    publish = publishing.publish

    def publish_slowly(*args: Any, **options: Any) -> Any:
        publishing.publish = publish
        target = args[1]
        once("before-parameter-build.glue.UpdatePartition", target.glue, lambda _: True, another_run)
        return publish(*args, **options)

    publishing.publish = publish_slowly
    try:
        run = meters.run(DAG)
    finally:
        publishing.publish = publish
    assert states == ["success"]
    assert run.state == "failed"
    seen = manifest(meters, "2026-01")
    assert {one["upload"]["key"].rsplit("/", 1)[-1] for one in seen["inputs"]} == {"a.txt", "b.txt", "c.txt"}
    assert readings(meters) == {("2026-01", "M1"): 12, ("2026-01", "M2"): 5}
    assert totals(meters) == {"2026-01": 17}


def test_a_merge_that_comes_after_another_publication_leaves_no_trace(meters: Pipeline) -> None:
    """Of a run that waits just before its MERGE while another one publishes the same uploads, and one more."""
    put(meters, "a.txt", "M1 2026-01 10")
    meters.report(DAG)
    meters.next_second()
    put(meters, "b.txt", "M1 2026-01 11", "M2 2026-01 5")
    states = []

    def another_run() -> None:
        put(meters, "c.txt", "M1 2026-01 12")
        states.append(meters.run(DAG).state)

    publish = publishing.publish

    def publish_slowly(*args: Any, **options: Any) -> Any:
        publishing.publish = publish
        from medlaunch.aws.clients import athena_client

        once(
            "before-parameter-build.athena.StartQueryExecution",
            athena_client("aws_default"),
            lambda params: "MERGE INTO meter_readings" in params["QueryString"],
            another_run,
        )
        return publish(*args, **options)

    publishing.publish = publish_slowly
    try:
        run = meters.run(DAG)
    finally:
        publishing.publish = publish
    assert states == ["success"]
    assert run.state == "failed"
    assert {one["upload"]["key"].rsplit("/", 1)[-1] for one in manifest(meters, "2026-01")["inputs"]} == {
        "a.txt", "b.txt", "c.txt"
    }  # fmt: skip
    assert readings(meters) == {("2026-01", "M1"): 12, ("2026-01", "M2"): 5}
    assert totals(meters) == {"2026-01": 17}


def test_permissions_are_derived_and_cover_the_merge() -> None:
    found = {one.sid: one for one in statements(WATER_METERS)}
    assert found["ReadUploads"].resources == (
        "{bucket}/landing/meters/readings/*",
        "{bucket}/landing/meters/by-hand/*",
    )
    assert "{bucket}/prod/meter_readings/*" in found["WriteIcebergTables"].resources
    assert "publish_results" in found["RunQueries"].steps
    assert "{uploads_queues}water_meters" in found["ConsumeUploadEvents"].resources
    assert "facilit" not in permissions.table(tuple(found.values()))
