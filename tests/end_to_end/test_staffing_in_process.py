"""Nurse staffing from uploads to views, by the real DAG; what readers see is what tests/staffing_model.py says."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from typing import Any

import pytest

from tests.pipeline import ROOT, Pipeline
from tests.staffing_lake import plain
from tests.staffing_model import TABLES, VIEWS, Model
from tests.staffing_uploads import PBJ_HEADER, PROVIDER_HEADER, as_csv, pbj_row, provider_row

DAG = "nurse_staffing"
ROLLBACK, MAINTENANCE = "rollback_publication", "maintain_tables"
RI_AND_WV = ROOT.parent / "shared/data/pbj/Payroll_Based_Journal_Daily_Nurse_Staffing_2023_Q2.csv"


class Staffing(Pipeline):
    """The pipeline, and the model that sees the same uploads."""

    def __init__(self, aws: Any, url: str):
        super().__init__(aws, url)
        self.model = Model()
        self._waiting: list[tuple[str, str, bytes, int]] = []

    def put(self, dataset: str, name: str, body: bytes) -> str:
        key = f"landing/{dataset}/{name}"
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
        came = self.s3.head_object(Bucket=self.bucket, Key=key)["LastModified"]
        self._waiting.append((dataset, key, body, int(came.timestamp())))
        return key

    def pbj(self, name: str, *rows: list[object]) -> str:
        return self.put("pbj", name, as_csv(PBJ_HEADER, rows))

    def provider(self, name: str, *rows: list[object]) -> str:
        return self.put("provider_info", name, as_csv(PROVIDER_HEADER, rows))

    def reports(self, **conf: Any) -> dict[str, dict[str, Any]]:
        """Run the DAG, which must succeed, and the model; gives the report of each track that had something to do."""
        run = self.run(DAG, **{"expect_change": True, **conf})
        assert run.state == "success", run
        self.model_runs()
        return self.reports_of(run)

    def model_runs(self) -> None:
        self.model.run(self._waiting)
        self._waiting = []

    def reports_of(self, run: Any) -> dict[str, dict[str, Any]]:
        from medlaunch import lake

        found = {}
        for track in ("pbj", "provider_info"):
            key = lake.report_key(f"{DAG}.{track}", lake.run_key(run.run_id))
            if key in self.keys(key):
                found[track] = json.loads(self.read(key))
        return found

    def seen(self, table: str) -> list[dict[str, str]]:
        hidden = ("uploaded_at", "upload_id", "run_id")
        rows = self.select(f"SELECT * FROM {table}")
        seen = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
        return sorted(seen, key=lambda row: list(row.values()))

    def assert_as_the_model_says(self, *views: str) -> None:
        for name, expected in TABLES.items():
            rows = expected(self.model)
            assert plain(self.seen(name), rows) == plain(rows, rows), name
        for name in views or ("v_hprd_state_quarter", "v_bed_utilization_facility_month"):
            rows = self.model.view(name)
            assert plain(self.seen(name), rows) == plain(rows, rows), name

    def manifest_of(self, track: str, quarter: str) -> dict[str, Any]:
        return json.loads(self.read(f"prod/manifests/{DAG}.{track}/{quarter}.json"))

    def put_as_of(self, name: str, body: bytes) -> None:
        """Upload a file of PBJ as a replay does: with the time at which it first came, which the model knows."""
        key = f"landing/pbj/{name}"
        first = self.manifest_of("pbj", "2024Q2")["inputs"]
        (came,) = [one["upload"]["last_modified"] for one in first if one["upload"]["key"] == key]
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body, Metadata={"medlaunch-uploaded-at": came})

    def snapshots(self, table: str) -> list[str]:
        return [row["snapshot_id"] for row in self.select(f'SELECT snapshot_id FROM "{table}$snapshots"')]


@pytest.fixture
def staffing(aws: Any, aws_url: str) -> Staffing:
    return Staffing(aws, aws_url)


def days(ccn: str, month: int, count: int = 3, **hours: Any) -> list[list[object]]:
    return [pbj_row(ccn, f"2024-{month:02}-{day:02}", 10, **hours) for day in range(1, count + 1)]


def assert_adds_up(report: dict[str, Any]) -> None:
    for lines in (report["lines"], *(one["lines"] for one in report["slices"])):
        assert lines["read"] == lines["accepted"] + lines["superseded"] + lines["rejected"]
        assert lines["rejected"] == sum(lines["rejected_by_reason"].values())


def test_first_uploads_of_both_data_sets(staffing: Staffing) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(
            "NH.csv", as_csv(PROVIDER_HEADER, [provider_row("015009", "2024-05-01", total="4.1")])
        )
        archive.writestr("__MACOSX/._NH.csv", b"x")
        archive.writestr("more.csv", b"")
    good = [*days("015009", 4, rn="20", cna="30.5"), *days("51A009", 7, 2, rn_ctr="5")]
    again = days("015009", 4, 1, rn="21")
    staffing.pbj("any/where/a.csv", *good, ["x"], pbj_row("", "2024-04-01"), *again)
    staffing.put("provider_info", "NH_2024.zip", packed.getvalue())
    found = staffing.reports()
    pbj, provider = found["pbj"], found["provider_info"]
    for report in (pbj, provider):
        assert_adds_up(report)
    assert pbj["lines"] == {
        "read": 8,
        "accepted": 5,
        "superseded": 1,
        "rejected": 2,
        "rejected_by_reason": {"ccn_invalid": 1, "wrong_field_count": 1},
    }
    assert [one["slice"] for one in pbj["slices"]] == ["2024Q2", "2024Q3", "unknown"]
    assert pbj["measures"]["superseded_different"] == 1
    assert any("of 8 records" in one for one in pbj["warnings"])
    assert any("2024Q2: 1 of 1 facilities (100.0%) have fewer days" in one for one in pbj["warnings"])
    assert provider["lines"]["accepted"] == 1
    assert [one["reason"] for one in provider["skipped"]] == ["empty_file"]
    staffing.assert_as_the_model_says(*VIEWS)
    assert staffing.keys("landing/") == []
    assert staffing.keys("archive/") == [
        "archive/pbj/any/where/a.csv",
        "archive/provider_info/NH_2024.zip",
    ]
    (warning,) = staffing.alerts()
    assert (warning["what"], warning["skipped"]["count"]) == ("skipped_data", 1)


def test_restated_blank_older_and_repeated_uploads(staffing: Staffing) -> None:
    staffing.pbj("q2.csv", *days("015009", 4, rn="20"), *days("015010", 4, rn="10"))
    staffing.pbj("q3.csv", *days("015009", 7, rn="20"))
    staffing.provider("may.csv", provider_row("015009", "2024-05-01", beds=20))
    staffing.reports()
    staffing.assert_as_the_model_says()
    untouched = staffing.manifest_of("pbj", "2024Q3")
    staffing.next_second()
    # A restatement of one state's facility: hours change, a census and an hour become blank, the third day is not in it.
    restated = [
        pbj_row("015009", "2024-04-01", "", rn="20"),
        pbj_row("015009", "2024-04-02", 12, rn="", lpn="4"),
    ]
    staffing.pbj("restated.csv", *restated)
    found = staffing.reports()
    assert set(found) == {"pbj"}  # nothing came of the other data set
    assert found["pbj"]["lines"]["accepted"] == 2
    staffing.assert_as_the_model_says()
    assert staffing.manifest_of("pbj", "2024Q3") == untouched
    seen = {table: staffing.snapshots(table) for table in ("silver_pbj_daily", "gold_daily_staffing_fact")}
    # A replay of the first file is older than the restatement, and the restatement again is the same.
    staffing.put_as_of("q2.csv", staffing.read("archive/pbj/q2.csv"))
    staffing.reports()
    staffing.assert_as_the_model_says()
    assert {table: staffing.snapshots(table) for table in seen} == seen


def test_a_track_that_fails_does_not_stop_the_other_and_the_next_run_repairs_it(
    staffing: Staffing, monkeypatch: pytest.MonkeyPatch
) -> None:
    staffing.pbj("q2.csv", *days("015009", 4, rn="20"))
    staffing.reports()
    staffing.next_second()
    staffing.pbj("q2 again.csv", *days("015009", 4, 2, rn="24"), *days("015010", 4, rn="9"))
    staffing.provider("may.csv", provider_row("015009", "2024-05-01"))
    from medlaunch.athena.queries import Queries, QueryFailed

    run_query = Queries.run

    def fail_between_silver_and_gold(self: Queries, text: str) -> Any:
        if "MERGE INTO gold_daily_staffing_fact" in text:
            raise QueryFailed("Query 0 ended as FAILED: ICEBERG_COMMIT_ERROR", permanent=True)
        return run_query(self, text)

    monkeypatch.setattr(Queries, "run", fail_between_silver_and_gold)
    run = staffing.run(DAG, expect_change=True)
    monkeypatch.undo()
    assert run.state == "failed"
    states = {one.task_id: one.state for one in run.get_task_instances()}
    assert states["pbj.publish_results"] == "failed"
    assert states["provider_info.archive_uploads"] == "success"
    assert staffing.keys("landing/") == ["landing/pbj/q2 again.csv"]
    (alert,) = staffing.alerts()
    assert [one["task"] for one in alert["failed_tasks"]] == ["pbj.publish_results"]
    assert alert["runbook"].endswith("/nurse_staffing_failed.md")
    # Silver is ahead; readers of gold see the quarter as it was, all of it.
    assert len(staffing.seen("silver_pbj_daily")) == 6
    before = staffing.model.facts()
    assert plain(staffing.seen("gold_daily_staffing_fact"), before) == plain(before, before)
    assert len(staffing.seen("gold_quarterly_provider_fact")) == 1

    staffing.reports()
    staffing.assert_as_the_model_says()
    assert staffing.keys("landing/") == []


def test_hours_far_from_the_quarter_before_are_not_published_unless_expected(staffing: Staffing) -> None:
    staffing.pbj("q1.csv", *days("015009", 1, rn="20"))
    staffing.reports(expect_change=False)
    staffing.next_second()
    key = staffing.pbj("q2.csv", *days("015009", 4, rn="25"))
    run = staffing.run(DAG)
    assert run.state == "failed"
    (alert,) = staffing.alerts()
    (failed,) = alert["failed_tasks"]
    assert failed["task"] == "pbj.check_results"
    assert "RI 2024Q2 2.50000, 2024Q1 2.00000 (+25%)" in failed["error"]["text"]
    assert staffing.keys("landing/") == [key]
    assert {row["quarter"] for row in staffing.seen("silver_pbj_daily")} == {"2024Q1"}
    staffing.reports(expect_change=True)
    staffing.assert_as_the_model_says()


def test_the_tools_work_on_each_track(staffing: Staffing) -> None:
    staffing.pbj("q2.csv", *days("015009", 4, rn="20"))
    staffing.provider("may.csv", provider_row("015009", "2024-05-01"))
    staffing.reports()
    before = {table: staffing.seen(table) for table in TABLES}
    staffing.next_second()
    staffing.pbj("bad.csv", *days("015009", 4, 1, rn="2"), *days("015010", 5, rn="1"))
    staffing.reports()
    staffing.assert_as_the_model_says()

    dry = staffing.report("rollback_publication", pipeline=f"{DAG}.pbj", slice="2024Q2")
    assert "without landing/pbj/bad.csv" in dry["messages"][0]
    staffing.report(
        "rollback_publication", pipeline=f"{DAG}.pbj", slice="2024Q2", dry_run=False, reason="a mistake"
    )
    assert {table: staffing.seen(table) for table in TABLES} == before
    actions = staffing.select("SELECT pipeline, slice, action FROM publications ORDER BY 1, 3, 2")
    assert [tuple(one.values()) for one in actions] == [
        (f"{DAG}.pbj", "2024Q2", "publish"),
        (f"{DAG}.pbj", "2024Q2", "publish"),
        (f"{DAG}.pbj", "2024Q2", "rollback"),
        (f"{DAG}.provider_info", "2024Q2", "publish"),
    ]
    done = staffing.report(
        "replay_uploads", dataset="pbj", slice_from="2024Q2", slice_to="2024Q2", dry_run=False, reason="r"
    )
    assert done["summary"].startswith("Restored 1 of 1 upload of 1 quarter")
    assert staffing.run(DAG).state == "success"
    assert {table: staffing.seen(table) for table in TABLES} == before
    reports = staffing.select("SELECT pipeline, lines_read FROM run_reports ORDER BY started_at, pipeline")
    assert [row["pipeline"] for row in reports].count(f"{DAG}.pbj") == 3
    freshness = staffing.run("check_freshness")
    assert freshness.state == "success"


def test_a_real_quarter_of_two_states(staffing: Staffing) -> None:
    """Rhode Island and West Virginia, second quarter of 2023; the figures are those of the specification."""
    if not RI_AND_WV.exists():
        pytest.skip(f"the real file is not there: {RI_AND_WV}")
    staffing.put("pbj", "PBJ_Daily_Nurse_Staffing_Q2_2023.csv", RI_AND_WV.read_bytes())
    run = staffing.run(DAG)
    assert run.state == "success"
    report = staffing.reports_of(run)["pbj"]
    assert report["lines"] == {
        "read": 17_745, "accepted": 17_745, "superseded": 0, "rejected": 0, "rejected_by_reason": {}
    }  # fmt: skip
    (flags,) = [one for one in report["warnings"] if "unlikely values" in one]
    assert "census_without_hours 183" in flags  # and 14 days without residents have no hours either
    assert "hprd_above_24 10" in flags
    states = {row["state"]: row for row in staffing.seen("v_hprd_state_quarter")}
    assert (states["RI"]["total_hours"], states["RI"]["total_hprd"]) == ("2301390.54", "3.68078")
    assert (states["WV"]["total_hours"], states["WV"]["total_hprd"]) == ("2866453.26", "3.45029")


def files(staffing: Staffing, table: str) -> int:
    (row,) = staffing.select(f'SELECT count(*) AS n FROM "{table}$files"')
    return int(row["n"])


def test_maintenance_leaves_the_same_rows_in_fewer_files(staffing: Staffing) -> None:
    tables = ("silver_pbj_daily", "gold_daily_staffing_fact", "gold_pbj_facility")
    for number in range(2):
        staffing.pbj(f"{number}.csv", *days(f"01500{number}", 4, rn=number))
        staffing.reports()
    for table in tables:
        staffing.select(
            f"ALTER TABLE {table} SET TBLPROPERTIES ('optimize_rewrite_data_file_threshold' = '2')"
        )
    assert {table: files(staffing, table) for table in tables} == dict.fromkeys(tables, 2)

    report = staffing.report(MAINTENANCE)
    assert (
        report["summary"]
        == "Maintained 5 Iceberg tables: 6 files and 6 snapshots before, 3 files and 9 snapshots now"
    )
    # Those of clinical quality, which are not there yet, are in the details only.
    assert len(report["messages"]) == 5
    assert [one["table"] for one in report["details"]["tables"] if not one["before"]] == [
        "silver_condition", "silver_encounter", "silver_patient"
    ]  # fmt: skip
    assert {table: files(staffing, table) for table in tables} == dict.fromkeys(tables, 1)
    staffing.assert_as_the_model_says()

    # What was published before can be rolled back to.
    staffing.report(ROLLBACK, pipeline=f"{DAG}.pbj", slice="2024Q2", reason="a test", dry_run=False)
    assert [row["ccn"] for row in staffing.seen("gold_pbj_facility")] == ["015000"]
