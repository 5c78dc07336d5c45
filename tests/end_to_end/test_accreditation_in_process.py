"""The whole pipeline on real uploads: every case of the specification's last section, and what readers see.

Expected results come from tests/oracle.py, which shares no code with the product.
"""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from medlaunch.declaration import LineCounts
from tests import oracle
from tests.factories import DAY, NASTY, facility, lines
from tests.pipeline import Pipeline

AS_OF = date(2026, 11, 20)
UNTIL = date(2027, 5, 20)  # P6M, both ends included


@pytest.fixture
def pipeline(aws: Any, aws_url: str) -> Pipeline:
    return Pipeline(aws, aws_url)


def expected(pipeline: Pipeline, *uploads: tuple[str, str, bytes]) -> dict[date, oracle.Result]:
    """The oracle's word on uploads in the order in which they came."""
    start = datetime(2026, 11, 2, tzinfo=UTC)
    return oracle.expect(
        [
            oracle.Upload(date.fromisoformat(day), file, body, start + timedelta(seconds=number))
            for number, (day, file, body) in enumerate(uploads)
        ]
    )


def assert_published(
    pipeline: Pipeline, day: str, result: oracle.Result, as_of: date = AS_OF, until: date = UNTIL
) -> None:
    """All that is published of a snapshot is what the oracle says."""
    state = pipeline.state(day)
    assert [row[0] for row in state["facility_metrics"]] == sorted(result.facilities)
    for identity, name, employees, services, first, listed, where in state["facility_metrics"]:
        one = result.facilities[identity]
        assert (name, employees, services) == (one.name, str(one.employees), str(one.services))
        assert first == (str(min(one.dates)) if one.dates else "")
        first_listed = one.accreditations[0][2] if one.accreditations else None
        assert listed == (str(first_listed) if first_listed else "")
        assert where == one.location["state"]
    counted: dict[str, int] = {}
    for row in state["facility_rejects"]:
        counted[row[3]] = counted.get(row[3], 0) + 1
        assert row[4].split("+")[0] == row[3]
    assert counted == dict(result.rejected)
    states = [
        (code, name, str(good), str(total), str(as_of)) for code, name, good, total in result.by_state(as_of)
    ]
    assert state["accredited_facilities_by_state"] == states
    exported = [tuple(row.values()) for row in pipeline.csv(day, "accredited_facilities_by_state_csv")]
    assert exported == [(*row[:4], day, row[4]) for row in states]
    soon = result.expiring(as_of, until)
    assert [(row["valid_until"], row["facility_id"]) for row in pipeline.csv(day, "expiring_soon")] == [
        (str(valid), identity) for valid, identity, _ in soon
    ]
    for row in pipeline.csv(day, "expiring_soon"):
        assert int(row["days_until_expiry"]) == (date.fromisoformat(row["valid_until"]) - as_of).days
        assert (row["run_date"], row["snapshot_date"]) == (str(as_of), day)
    whole = [json.loads(line) for line in pipeline.published(day, "expiring_facilities").splitlines()]
    assert [one["facility_id"] for one in whole] == sorted({identity for _, identity, _ in soon})
    # The tables say the same as the files.
    table = pipeline.select(f"SELECT * FROM expiring_accreditations WHERE snapshot_date = DATE '{day}'")
    assert sorted(table, key=str) == sorted(pipeline.csv(day, "expiring_soon"), key=str)
    (count,) = pipeline.select(
        f"SELECT count(*) AS n FROM expiring_facilities WHERE snapshot_date = DATE '{day}'"
    )
    assert int(count["n"]) == len(whole)


def assert_adds_up(report: dict[str, Any]) -> None:
    for account in (report["lines"], *(one["lines"] for one in report["slices"])):
        assert account["read"] == account["accepted"] + account["superseded"] + account["rejected"]
        assert account["rejected"] == sum(account["rejected_by_reason"].values())


def test_every_nasty_case_at_once(pipeline: Pipeline) -> None:
    uploads = [
        (DAY, "nasty.jsonl", NASTY[0]),
        (
            DAY,
            "crlf with bom +%'é\".ndjson",
            b"\xef\xbb\xbf" + lines(facility(40), facility(41)).replace(b"\n", b"\r\n"),
        ),
        (DAY, "array.json", json.dumps([facility(50), None, facility(51, "2027-02-01"), 5]).encode()),
        (DAY, "pretty.json", json.dumps([facility(52), facility(53)], indent=2).encode()),
        (
            DAY,
            "zipped.jsonl.gz",
            gzip.compress(lines(facility(54), facility(1, facility_name="from the zip")), mtime=0),
        ),
        ("0042-01-31", "far past.json", lines(facility(60, "2026-12-01"))),
        ("9999-12-31", "far future.json", lines(facility(61, "9999-12-31"))),
    ]
    for day, file, body in uploads:
        pipeline.upload(day, file, body)
        pipeline.next_second()
    concatenated = (
        json.dumps(facility(55), indent=1)
        + json.dumps(facility(56))
        + "\n"
        + json.dumps(facility(57), indent=4)
    )
    pipeline.upload(DAY, "z concatenated.json", concatenated.encode())
    junk = {
        ".keep": b"",
        "empty.jsonl": b"",
        "notes.txt": b"hello",
        "corrupt.jsonl.gz": gzip.compress(lines(facility(90)))[:-9],
        "not gzip.json.gz": lines(facility(91)),
    }
    for file, body in junk.items():
        pipeline.upload(DAY, file, body)
    pipeline.s3.put_object(Bucket=pipeline.bucket, Key="landing/facilities/soon/a.json", Body=b"{}")
    pipeline.upload(DAY, "no records.jsonl.gz", gzip.compress(b""))

    report = pipeline.report()

    results = expected(
        pipeline, *uploads, (DAY, "z as array.json", json.dumps([facility(n) for n in (55, 56, 57)]).encode())
    )
    for day in ("0042-01-31", DAY, "9999-12-31"):
        assert_published(pipeline, day, results[date.fromisoformat(day)])
    assert_adds_up(report)
    total = results[date.fromisoformat(DAY)]
    (account,) = [one["lines"] for one in report["slices"] if one["slice"] == DAY]
    assert account["read"] == total.read
    assert account["superseded"] == total.superseded
    assert account["rejected_by_reason"] == dict(total.rejected)
    (measures,) = [one["measures"] for one in report["slices"] if one["slice"] == DAY]
    assert measures["snapshot_date_differs"] == 1
    assert report["files"]["loaded"] == 9
    reasons = {one["key"].rsplit("/", 1)[-1]: one["reason"] for one in report["skipped"]}
    assert reasons == {
        ".keep": "hidden_file",
        "empty.jsonl": "empty_object",
        "notes.txt": "unknown_extension",
        "corrupt.jsonl.gz": "corrupt_archive",
        "not gzip.json.gz": "corrupt_archive",
        "a.json": "folder_is_no_slice",
    }
    # Every rejected line is kept as it came, with its place.
    rejects = pipeline.rejects()
    whole = [one for one in rejects if one["reject_reason"] != "invalid_or_missing_valid_until"]
    assert len(whole) == sum(sum(one.rejected.values()) for one in results.values())
    assert len(rejects) - len(whole) == sum(one.quarantined_accreditations for one in results.values())
    assert all(
        one["line_number"] >= 1 and one["source_key"].startswith("landing/facilities/") for one in rejects
    )
    # Landing is empty, and everything that was there is kept.
    assert pipeline.keys("landing/") == []
    assert len(pipeline.keys("archive/")) == 9
    assert len(pipeline.keys("quarantine/facilities/skipped/")) == 6
    # What was meant as data and could not be loaded is worth one warning; the run is a success.
    (warning,) = pipeline.alerts()
    assert (warning["status"], warning["what"]) == ("warning", "skipped_data")
    assert {one["key"].rsplit("/", 1)[-1]: one["reason"] for one in warning["skipped"]["objects"]} == {
        "corrupt.jsonl.gz": "corrupt_archive",
        "not gzip.json.gz": "corrupt_archive",
        "a.json": "folder_is_no_slice",
    }
    assert warning["runbook"].endswith("/skipped_data.md")
    assert {row["zip"] for row in pipeline.csv(DAY, "expiring_soon") if row["facility_id"] == "FAC00028"} == {
        "00901"
    }


def test_exports_are_rfc_4180(pipeline: Pipeline) -> None:
    name = 'A, "quoted" \\\r\nname\\'
    pipeline.upload(DAY, "a.jsonl", lines(facility(1, facility_name=name)))
    pipeline.report()
    text = pipeline.published(DAY, "expiring_soon").decode()
    assert text.startswith(
        "facility_id,facility_name,address,city,state,zip,employee_count,accreditation_body,accreditation_id,"
        "valid_until,days_until_expiry,run_date,snapshot_date\r\n"
    )
    assert text.endswith("\r\n")
    assert '"A, ""quoted"" \\\r\nname\\"' in text
    assert pipeline.csv(DAY, "expiring_soon")[0]["facility_name"] == name
    for table in ("expiring_accreditations", "expiring_facilities", "facility_metrics"):
        (row,) = pipeline.select(f"SELECT facility_name FROM {table}")
        assert row["facility_name"] == name
    states = pipeline.published(DAY, "accredited_facilities_by_state_csv").decode()
    assert states == (
        "state_code,state_name,accredited_facilities,facilities,snapshot_date,as_of\r\n"
        "MI,Michigan,1,1,2026-11-01,2026-11-20\r\n"
    )


def test_late_and_corrected_uploads_publish_their_snapshot_anew(pipeline: Pipeline) -> None:
    first = (DAY, "a.jsonl", lines(facility(1, "2026-12-01"), facility(2), facility(3, "2026-12-01")))
    other = ("2026-10-01", "a.jsonl", lines(facility(7, "2026-12-01")))
    pipeline.upload(*first)
    pipeline.upload(*other)
    pipeline.report()
    untouched = pipeline.manifest("2026-10-01")
    pipeline.next_second()

    late = (DAY, "late.jsonl", lines(facility(2, facility_name="renamed"), facility(4)))
    pipeline.upload(*late)
    report = pipeline.report()
    assert_published(pipeline, DAY, expected(pipeline, first, late)[date.fromisoformat(DAY)])
    assert (report["lines"]["read"], report["slices"][0]["lines"]["read"]) == (2, 5)
    assert report["slices"][0]["lines"]["superseded"] == 1
    assert pipeline.manifest("2026-10-01") == untouched
    pipeline.next_second()

    # The first file again under its own name: a facility was renewed, another is gone.
    changed = (DAY, "a.jsonl", lines(facility(1, "2029-12-01"), facility(2, "2026-12-02")))
    pipeline.upload(*changed)
    report = pipeline.report()
    assert_published(pipeline, DAY, expected(pipeline, first, late, changed)[date.fromisoformat(DAY)])
    assert_adds_up(report)
    assert [row["facility_id"] for row in pipeline.csv(DAY, "expiring_soon")] == ["FAC00002", "FAC00004"]


def test_an_empty_result_replaces_the_old_one(pipeline: Pipeline) -> None:
    pipeline.upload(DAY, "a.jsonl", lines(facility(1, "2026-12-01"), b"broken\n"))
    pipeline.report()
    assert len(pipeline.state(DAY)["facility_rejects"]) == 1
    pipeline.next_second()
    pipeline.upload(DAY, "a.jsonl", lines(facility(1, "2031-12-01")))
    pipeline.report()
    state = pipeline.state(DAY)
    assert state["facility_rejects"] == []
    assert state["expiring_facilities"] == b""
    assert state["expiring_soon"].count(b"\r\n") == 1
    assert pipeline.rejects() == []
    pipeline.next_second()
    pipeline.upload(DAY, "a.jsonl", gzip.compress(b""))  # plain name, so this is a line that is no JSON
    assert pipeline.run().state == "failed"
    assert pipeline.state(DAY) == state  # losing its only facility is more than it may, unless that is meant
    pipeline.report(expect_shrink=True)
    assert pipeline.state(DAY)["facility_metrics"] == []
    assert pipeline.published(DAY, "accredited_facilities_by_state_csv").count(b"\r\n") == 1


def test_with_nothing_to_publish_the_run_succeeds_and_landing_is_cleared(pipeline: Pipeline) -> None:
    pipeline.upload(DAY, ".keep", b"")
    pipeline.upload(DAY, "blank.jsonl", b"\n\n  \n")
    report = pipeline.report()
    assert report["outcome"] == "nothing_to_publish"
    assert report["lines"]["read"] == 0
    assert pipeline.keys("prod/") == []
    assert pipeline.keys("landing/") == []
    # Only what is not data: no group is loaded at all.
    pipeline.upload(DAY, ".keep", b"")
    assert pipeline.report()["outcome"] == "nothing_to_publish"
    assert pipeline.keys("landing/") == []


def test_running_twice_and_uploading_again_change_nothing_that_readers_see(pipeline: Pipeline) -> None:
    upload = (DAY, "a.jsonl", NASTY[0])
    pipeline.upload(*upload)
    pipeline.report()
    before = pipeline.state(DAY)
    pipeline.next_second()
    pipeline.upload(*upload)
    report = pipeline.report()
    assert pipeline.state(DAY) == before
    assert_adds_up(report)
    assert report["slices"][0]["lines"]["read"] == report["lines"]["read"]


def test_the_order_of_files_of_one_second_does_not_matter(aws: Any, aws_url: str) -> None:
    uploads = [
        (DAY, f"{name}.jsonl", lines(facility(1, facility_name=name), facility(n)))
        for n, name in enumerate("abc", 2)
    ]
    seen = []
    for order in (uploads, uploads[::-1]):
        pipeline = Pipeline(aws, aws_url)
        pipeline.next_second()
        for upload in order:
            pipeline.upload(*upload)
        pipeline.report()
        seen.append(pipeline.state(DAY))
    assert seen[0] == seen[1]
    names = {row[0]: row[1] for row in seen[0]["facility_metrics"]}
    assert names["FAC00001"] == "c"


@pytest.mark.parametrize(
    ("as_of", "window", "until"), [("2026-11-20", "P180D", "2027-05-19"), ("2026-08-31", "P6M", "2027-02-28")]
)
def test_as_of_and_window(pipeline: Pipeline, as_of: str, window: str, until: str) -> None:
    last = date.fromisoformat(until)
    upload = (
        DAY,
        "a.jsonl",
        lines(
            facility(1, as_of),
            facility(2, until),
            facility(3, str(last + timedelta(1))),
            facility(4, "2026-01-01"),
        ),
    )
    pipeline.upload(*upload)
    pipeline.report(as_of=as_of, expiry_window=window)
    assert_published(
        pipeline, DAY, expected(pipeline, upload)[date.fromisoformat(DAY)], date.fromisoformat(as_of), last
    )
    assert [row["facility_id"] for row in pipeline.csv(DAY, "expiring_soon")] == ["FAC00001", "FAC00002"]


def test_an_upload_that_arrives_during_the_run_stays_for_the_next(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.upload(DAY, "a.jsonl", lines(facility(1)))
    from medlaunch.publish import reconcile

    compare = reconcile.reconcile

    def upload_and_compare(*args: Any) -> Any:
        pipeline.upload(DAY, "a.jsonl", lines(facility(2)))
        pipeline.upload(DAY, "b.jsonl", lines(facility(3)))
        return compare(*args)

    monkeypatch.setattr(reconcile, "reconcile", upload_and_compare)
    pipeline.report()
    monkeypatch.undo()
    assert [row[0] for row in pipeline.state(DAY)["facility_metrics"]] == ["FAC00001"]
    assert len(pipeline.keys("landing/")) == 2
    pipeline.report()
    assert [row[0] for row in pipeline.state(DAY)["facility_metrics"]] == ["FAC00002", "FAC00003"]
    assert pipeline.keys("landing/") == []


def test_a_large_upload_in_parts_gives_what_it_gives_as_a_whole(aws: Any, aws_url: str) -> None:
    good = [facility(number, services=["x" * 500]) for number in range(600)]
    bad = [b'{"broken": \n', facility(7, employee_count=-1), facility(8, facility_name="said later")]
    body = lines(*good[:300], *bad, *good[300:], *bad)
    found = []
    for part_bytes in (65_536, 2**30):
        pipeline = Pipeline(aws, aws_url, settings={"MEDLAUNCH_LOAD_PART_BYTES": str(part_bytes)})
        pipeline.upload(DAY, "large.jsonl", body)
        report = pipeline.report()
        assert_adds_up(report)
        state = pipeline.state(DAY)
        quarantine = pipeline.s3.get_object(
            Bucket=pipeline.bucket, Key=f"quarantine/facilities/{DAY}/large.jsonl_rejects.jsonl"
        )
        names = pipeline.keys("bronze/")
        assert any(".00002-" in name for name in names) == (part_bytes == 65_536)
        found.append((report["lines"], report["files"], report["measures"], state, quarantine["Body"].read()))
    assert found[0] == found[1]
    assert found[0][0]["read"] == 606


def test_a_run_whose_counts_do_not_match_publishes_nothing_and_alerts(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline.upload(DAY, "a.jsonl", lines(facility(1), facility(2)))
    from medlaunch.ingest import loading

    load = loading.load_group

    def lose_a_line(*args: Any) -> Any:
        group = load(*args)
        counts = LineCounts(lines=3, slices={DAY: {"valid": 3}})
        return msgspec.structs.replace(
            group, loaded=[msgspec.structs.replace(group.loaded[0], counts=counts)]
        )

    monkeypatch.setattr(loading, "load_group", lose_a_line)
    run = pipeline.run()
    assert run.state == "failed"
    assert pipeline.keys("prod/") == []
    assert pipeline.keys("landing/") == [f"landing/facilities/{DAY}/a.jsonl"]
    monkeypatch.undo()
    pipeline.report()
    assert [row[0] for row in pipeline.state(DAY)["facility_metrics"]] == ["FAC00001", "FAC00002"]


def test_the_report_names_results_queries_and_cost(pipeline: Pipeline) -> None:
    pipeline.upload(DAY, "a.jsonl", lines(facility(1), facility(2)))
    report = pipeline.report()
    assert report["params"] == {
        "as_of": "2026-11-20",
        "expiry_window": "P6M",
        "window_end": "2027-05-20",
        "expect_shrink": "false",
    }
    (snapshot,) = report["slices"]
    assert snapshot["rows"] == {
        "facility_metrics": 2,
        "facility_rejects": 0,
        "accredited_facilities_by_state": 1,
        "accredited_facilities_by_state_csv": 1,
        "expiring_accreditations": 2,
        "expiring_soon": 2,
        "expiring_facilities": 2,
    }
    for keys in snapshot["results"].values():
        assert all(pipeline.read(key) is not None for key in keys)
    assert {query["task"].rsplit(".")[-1] for query in report["queries"]} >= {
        "facilities",
        "check_results",
        "prepare_tables",
    }
    assert report["bytes_scanned"] == sum(query["bytes_scanned"] for query in report["queries"]) > 0
