"""Rolling back, replaying and watching over what is published: the operators' DAGs on real uploads."""

from __future__ import annotations

import json
import logging
import platform
from importlib.metadata import version
from typing import Any
from unittest.mock import patch

import pytest

from tests.factories import DAY, facility, lines
from tests.pipeline import Pipeline

ROLLBACK = "rollback_publication"
REPLAY = "replay_uploads"


@pytest.fixture
def pipeline(aws: Any, aws_url: str) -> Pipeline:
    return Pipeline(aws, aws_url)


def facilities(pipeline: Pipeline, day: str = DAY) -> dict[str, str]:
    """Facility -> name, as readers see them in the table."""
    rows = pipeline.select(
        f"SELECT facility_id, facility_name FROM facility_metrics WHERE snapshot_date = DATE '{day}'"
    )
    return {row["facility_id"]: row["facility_name"] for row in rows}


def publications(pipeline: Pipeline) -> list[tuple[str, ...]]:
    rows = pipeline.select(
        "SELECT action, slice, version, replaced_version, reason, "
        "array_join(excluded_uploads, ' ') AS excluded, result_rows['facility_metrics'] AS facilities "
        "FROM publications ORDER BY published_at, slice, action"
    )
    return [tuple(row.values()) for row in rows]


def test_a_rollback_is_recorded_lasts_and_composes_with_the_next_upload(pipeline: Pipeline) -> None:
    days = ("2026-10-01", DAY)
    for day in days:
        pipeline.upload(day, "a.jsonl", lines(facility(1), facility(2)))
    pipeline.report()
    first = {day: pipeline.manifest(day) for day in days}
    before = {day: pipeline.state(day) for day in days}
    pipeline.next_second()
    bad = lines(facility(1, facility_name="bad"), facility(66))
    bad_keys = [pipeline.upload(day, "bad.jsonl", bad) for day in days]
    bad_run = pipeline.run()
    second = {day: pipeline.manifest(day) for day in days}
    assert facilities(pipeline) == {"FAC00001": "bad", "FAC00002": "Facility 2", "FAC00066": "Facility 66"}

    pipeline.next_second()
    told = pipeline.report(ROLLBACK, slice=DAY)
    assert told["dry_run"] is True
    assert told["summary"] == "Dry run: would roll back 1 snapshot"
    assert told["messages"] == [
        f"Would roll back facility_accreditation {DAY}: {second[DAY]['version']} (3 facilities) -> "
        f"{first[DAY]['version']} (2 facilities), without {bad_keys[1]}"
    ]
    assert pipeline.manifest(DAY) == second[DAY]

    done = pipeline.report(ROLLBACK, run_id=bad_run.run_id, dry_run=False, reason="names were wrong")
    assert done["summary"] == "Rolled back 2 snapshots"
    assert {day: pipeline.state(day) for day in days} == before
    manifest = pipeline.manifest(DAY)
    moment = (
        "publication",
        "action",
        "published_by",
        "published_at",
        "replaced_version",
        "reason",
        "excluded",
    )
    assert {**manifest, **{name: first[DAY][name] for name in moment}} == first[DAY]
    assert (manifest["action"], manifest["published_by"], manifest["reason"]) == (
        "rollback",
        done["run"],
        "names were wrong",
    )
    assert [one for one in publications(pipeline) if one[1] == DAY] == [
        ("publish", DAY, first[DAY]["version"], "", "", "", "2"),
        ("publish", DAY, second[DAY]["version"], first[DAY]["version"], "", "", "3"),
        (
            "rollback",
            DAY,
            first[DAY]["version"],
            second[DAY]["version"],
            "names were wrong",
            bad_keys[1],
            "2",
        ),
    ]

    # The next upload builds on what was gone back to.
    pipeline.upload(DAY, "late.jsonl", lines(facility(3)))
    pipeline.report()
    assert set(facilities(pipeline)) == {"FAC00001", "FAC00002", "FAC00003"}
    third = pipeline.manifest(DAY)
    assert third["previous_version"] == first[DAY]["version"]
    assert [one["key"] for one in third["excluded"]] == [bad_keys[1]]


def test_a_replay_keeps_the_order_whatever_comes_and_goes_meanwhile(pipeline: Pipeline) -> None:
    old = pipeline.upload(DAY, "z old.jsonl", lines(facility(1, facility_name="old"), facility(2)))
    pipeline.next_second()
    new = pipeline.upload(DAY, "a new.jsonl", lines(facility(1, facility_name="new"), facility(3)))
    pipeline.report()
    before = pipeline.state(DAY)
    assert facilities(pipeline)["FAC00001"] == "new"

    pipeline.next_second()
    told = pipeline.report(REPLAY, slice_from=DAY, slice_to=DAY)
    assert told["summary"].startswith("Dry run: would restore 2 uploads of 1 snapshot (0.0 MB)")
    assert told["messages"][0].endswith(": z old.jsonl, a new.jsonl")
    assert pipeline.keys("landing/") == []

    done = pipeline.report(REPLAY, slice_from="2026-01-01", slice_to="2026-12-31", dry_run=False, reason="r")
    assert done["summary"].startswith("Restored 2 of 2 uploads")
    assert pipeline.keys("landing/") == [new, old]
    # The run sees one of them only, and with it a correction that came since.
    kept = pipeline.s3.get_object(Bucket=pipeline.bucket, Key=new)
    pipeline.s3.delete_object(Bucket=pipeline.bucket, Key=new)
    pipeline.report()
    assert pipeline.state(DAY) == before
    pipeline.upload(DAY, "b correction.jsonl", lines(facility(3, facility_name="corrected")))
    pipeline.next_second()
    pipeline.s3.put_object(
        Bucket=pipeline.bucket, Key=new, Body=kept["Body"].read(), Metadata=kept["Metadata"]
    )
    pipeline.report()
    assert facilities(pipeline) == {"FAC00001": "new", "FAC00002": "Facility 2", "FAC00003": "corrected"}
    assert pipeline.keys("landing/") == []
    orders = [
        (one["upload"]["key"].rsplit("/", 1)[-1], one["upload"]["uploaded_at"] is not None)
        for one in pipeline.manifest(DAY)["inputs"]
    ]
    assert orders == [("z old.jsonl", True), ("a new.jsonl", True), ("b correction.jsonl", False)]

    refused = pipeline.run(REPLAY, slice_from=DAY, slice_to=DAY, dry_run=False)
    assert refused.state == "failed"


def test_a_run_is_accounted_for_in_sql_and_in_one_line_per_task(pipeline: Pipeline) -> None:
    name = "Jane Doe's Clinic"
    pipeline.upload(
        DAY, "a.jsonl", lines(facility(1, facility_name=name), facility(2, employee_count=-1), b"broken\n")
    )
    pipeline.upload(DAY, "notes.txt", b"hello")
    said: list[str] = []
    with patch.object(
        logging.getLogger("medlaunch.operate.task_metrics"), "info", lambda text, one: said.append(text % one)
    ):
        report = pipeline.report()

    (row,) = pipeline.select(
        "SELECT *, rejected_by_reason['malformed_json'] AS malformed, cardinality(queries) AS query_count, "
        "slices[1].slice AS first_slice, skipped[1].reason AS skip_reason FROM run_reports"
    )
    assert (row["run_id"], row["outcome"], row["first_slice"]) == (report["run_id"], "published", DAY)
    assert (row["files_loaded"], row["files_skipped"], row["skip_reason"]) == (
        "1",
        "1",
        "unknown_extension",
    )
    assert (row["lines_read"], row["lines_accepted"], row["lines_rejected"], row["malformed"]) == (
        "3",
        "1",
        "2",
        "1",
    )
    assert int(row["bytes_scanned"]) == report["bytes_scanned"] > 0
    assert int(row["query_count"]) == len(report["queries"])
    assert (row["medlaunch_version"], row["airflow_version"]) == ("0.1.0", version("apache-airflow"))
    assert row["python_version"] == platform.python_version()
    assert row["started_at"] < row["finished_at"]
    steps = pipeline.select(
        "SELECT task, seconds FROM run_reports CROSS JOIN UNNEST("
        "transform(tasks, x -> x.task), transform(tasks, x -> x.seconds)) AS t (task, seconds)"
    )
    took = {step["task"]: float(step["seconds"]) for step in steps}
    assert list(took)[:2] == ["wait_for_uploads", "claim_uploads"]
    assert {"extract.facility_metrics", "check_results", "publish_results"} <= took.keys()
    assert all(seconds >= 0 for seconds in took.values())

    told = {(line := json.loads(text.removeprefix("task ")))["task"]: line for text in said}
    assert took.keys() <= told.keys()
    assert {line["outcome"] for line in told.values()} == {"success"}
    loaded = told["load_bronze"]
    assert (loaded["files"], loaded["lines"], loaded["rejected"], loaded["map_index"]) == (1, 3, 2, 0)
    assert loaded["keys"] == [f"landing/facilities/{DAY}/a.jsonl"]
    assert told["extract.facility_metrics"]["bytes_scanned"] > 0
    assert told["publish_results"]["keys"] == [f"prod/manifests/facility_accreditation/{DAY}.json"]
    assert told["archive_uploads"]["moved"] == 2
    assert not [line for line in told.values() if "Jane" in json.dumps(line)]
