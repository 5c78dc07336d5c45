"""``python -m medlaunch.accreditation``: raw uploads in, the pipeline's results out."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medlaunch.accreditation.__main__ import main
from tests import oracle

ROOT = Path(__file__).parents[3]
AS_OF = ["--as-of", "2026-11-20"]


def record(number: int, day: str = "2027-01-31", **changes: Any) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number}",
        "facility_name": f"Facility {number}",
        "location": {"state": "MI"},
        "employee_count": 3,
        "services": [],
        "labs": [],
        "accreditations": [{"accreditation_id": "A", "valid_until": day}],
    } | changes


def write(path: Path, *records: Any, at: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    content = b"".join(json.dumps(one).encode() + b"\n" for one in records)
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    os.utime(path, (1_800_000_000 + at,) * 2)
    return path


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict[str, Any]]:
    status = main([*arguments, *AS_OF, "--json"])
    out = capsys.readouterr().out
    return status, json.loads(out)


def test_one_upload(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upload = write(
        tmp_path / "2026-11-01" / "a.jsonl.gz",
        record(1),
        record(2, "2020-01-01"),
        record(3, facility_name=""),
    )
    status, summary = run(capsys, "--input", str(upload), "--output", str(tmp_path / "out"))
    assert status == 0
    (snapshot,) = summary["snapshots"]
    assert snapshot["snapshot_date"] == "2026-11-01"
    assert (snapshot["lines"], snapshot["accepted"], snapshot["superseded"], snapshot["rejected"]) == (
        3,
        2,
        0,
        1,
    )
    assert snapshot["rejected_by_reason"] == {"facility_name_blank_after_trim": 1}
    assert summary["window_end"] == "2027-05-20"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "expiring_facilities.ndjson",
        "expiring_soon.csv",
        "rejects.jsonl",
    ]
    assert [row["facility_id"] for row in rows(tmp_path / "out" / "expiring_soon.csv")] == ["FAC1"]
    (reject,) = (json.loads(line) for line in (tmp_path / "out" / "rejects.jsonl").read_text().splitlines())
    assert reject["source_key"].endswith("2026-11-01/a.jsonl.gz")


def test_later_uploads_win_then_greater_names_then_later_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "in" / "2026-11-01"
    write(folder / "z.jsonl", record(1, "2026-12-01"), record(2, "2026-12-01"), record(3, "2026-12-01"), at=0)
    write(folder / "b.jsonl", record(2, "2026-12-02"), record(3, "2026-12-02"), record(3, "2026-12-03"), at=9)
    write(folder / "a.jsonl", record(3, "2026-12-09"), record(1, "2020-01-01"), at=9)
    write(folder / "y.jsonl", record(2, "2026-12-08", employee_count=None), at=99)
    status, summary = run(capsys, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"))
    assert status == 0
    (snapshot,) = summary["snapshots"]
    assert (snapshot["lines"], snapshot["accepted"], snapshot["superseded"], snapshot["rejected"]) == (
        9,
        3,
        5,
        1,
    )
    assert [
        (row["facility_id"], row["valid_until"]) for row in rows(tmp_path / "out" / "expiring_soon.csv")
    ] == [
        ("FAC2", "2026-12-02"),
        ("FAC3", "2026-12-03"),
    ]


def test_snapshots_are_kept_apart(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path / "in" / "2026-10-01" / "a.jsonl", record(1))
    write(tmp_path / "in" / "2026-11-01" / "deeper" / "a.jsonl", record(1), record(2))
    (tmp_path / "in" / "2026-11-01" / ".keep").touch()
    (tmp_path / "in" / "2026-11-01" / "notes.txt").write_text("x")
    (tmp_path / "in" / "2026-11-01" / "empty.json").touch()
    write(tmp_path / "in" / "2026-02-30" / "a.jsonl", record(1))
    status, summary = run(capsys, "--input", str(tmp_path / "in"), "--output", str(tmp_path / "out"))
    assert status == 0
    assert len(summary["skipped"]) == 4
    assert len(rows(tmp_path / "out" / "2026-10-01" / "expiring_soon.csv")) == 1
    table = rows(tmp_path / "out" / "2026-11-01" / "expiring_soon.csv")
    assert [row["snapshot_date"] for row in table] == ["2026-11-01"] * 2


def test_a_second_run_leaves_nothing_stale(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    upload = tmp_path / "2026-11-01" / "a.jsonl"
    out = tmp_path / "out"
    arguments = "--input", str(upload), "--output", str(out)
    write(upload, record(1), record(2, facility_id=None))
    assert run(capsys, *arguments)[0] == 0
    assert (out / "rejects.jsonl").exists()
    write(upload, record(1, "2020-01-01"))
    assert run(capsys, *arguments)[0] == 0
    assert sorted(path.name for path in out.iterdir()) == ["expiring_facilities.ndjson", "expiring_soon.csv"]
    assert rows(out / "expiring_soon.csv") == []
    assert (out / "expiring_facilities.ndjson").read_bytes() == b""


def test_an_unreadable_upload_is_named_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "2026-11-01"
    write(folder / "a.jsonl", record(1))
    damaged = write(
        folder / "b.jsonl.gz", *(record(n) for n in range(2, 5000)), record(5000, facility_id=""), at=1
    )
    damaged.write_bytes(damaged.read_bytes()[:-9])
    write(folder / "c.jsonl", record(9999), at=2)
    status, summary = run(capsys, "--input", str(folder), "--output", str(tmp_path / "out"))
    assert status == 1
    (snapshot,) = summary["snapshots"]
    ((name, reason),) = snapshot["unreadable"].items()
    assert name.endswith("b.jsonl.gz")
    assert reason.startswith("corrupt_archive")
    assert (snapshot["lines"], snapshot["accepted"], snapshot["rejected"]) == (2, 2, 0)
    assert [row["facility_id"] for row in rows(tmp_path / "out" / "expiring_soon.csv")] == ["FAC1", "FAC9999"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--input", "nowhere"], "nowhere does not exist"),
        (["--input", "undated.jsonl"], "--snapshot-date YYYY-MM-DD gives its snapshot"),
        (["--input", "empty"], "No upload found at empty"),
        (["--input", "undated.jsonl", "--expiry-window", "6 months"], "'6 months' is not a window"),
        (["--input", "undated.jsonl", "--reference", "empty", "--snapshot-date", "2026-11-01"], "states.csv"),
    ],
)
def test_what_cannot_be_done_is_said(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write(tmp_path / "undated.jsonl", record(1))
    assert main([*arguments, "--output", "out", *AS_OF]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_date_that_is_none_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["--input", "x", "--output", "y", "--as-of", "2026-2-30"])
    assert left.value.code == 2
    assert "'2026-2-30' is not a date YYYY-MM-DD" in capsys.readouterr().err


def test_it_is_a_program_of_its_own_without_airflow(tmp_path: Path) -> None:
    write(tmp_path / "a.json", record(1), record(2))
    program = (
        "import runpy, sys; sys.modules['airflow'] = sys.modules['boto3'] = None;"
        "runpy.run_module('medlaunch.accreditation', run_name='__main__')"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            program,
            "--input",
            "a.json",
            "--output",
            "out",
            *AS_OF,
            "--snapshot-date",
            "2026-11-01",
        ],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "lines read 2 = accepted 2 + superseded 0 + rejected 0" in done.stdout
    assert "Reading" in done.stderr
    assert len(rows(tmp_path / "out" / "expiring_soon.csv")) == 2


def test_s3(
    unversioned_bucket: str,
    s3: Any,
    aws_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    url = f"s3://{unversioned_bucket}"
    for key, number in (
        ("in/2026-11-01/a b+ü.json.gz", 1),
        ("in/2026-11-01/b.jsonl", 2),
        ("in2/2026-11-01/b.jsonl", 3),
    ):
        path = write(tmp_path / Path(key).name, record(number))
        s3.put_object(Bucket=unversioned_bucket, Key=key, Body=path.read_bytes())
    s3.put_object(Bucket=unversioned_bucket, Key="out/rejects.jsonl", Body=b"stale")
    status, summary = run(capsys, "--input", f"{url}/in", "--output", f"{url}/out")
    assert status == 0
    assert summary["snapshots"][0]["outputs"] == [
        f"{url}/out/expiring_soon.csv",
        f"{url}/out/expiring_facilities.ndjson",
    ]
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=unversioned_bucket, Prefix="out/")["Contents"]]
    assert keys == ["out/expiring_facilities.ndjson", "out/expiring_soon.csv"]
    body = s3.get_object(Bucket=unversioned_bucket, Key=keys[1])["Body"].read().decode()
    assert [line.split(",")[0] for line in body.splitlines()] == ["facility_id", "FAC1", "FAC2"]


def test_the_oracle_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """tests/oracle.py says the rules a second time, as plainly as possible."""
    folder = tmp_path / "2026-11-01"
    odd = [
        record(1, "2026-11-20"),
        record(2, "2027-05-20"),
        record(3, "2027-05-21"),
        record(4, "2026-11-19"),
        record(5, "2025-02-30"),
        record(6, facility_name="\u00a0"),
        record(7, location={"state": " mi "}),
        record(7, employee_count="12"),
        record(8, employee_count=3.5),
        record(9, accreditations={}),
        record(10, accreditations=[None]),
        [record(11)],
    ]
    upload = write(folder / "a.jsonl", *odd)
    status, summary = run(capsys, "--input", str(upload), "--output", str(tmp_path / "out"))
    assert status == 0
    values = oracle.values(upload.read_bytes(), upload.name)
    judged = [oracle.judge(value) for value in values]
    latest = {one.id: one for _, one, _ in judged if one}
    (snapshot,) = summary["snapshots"]
    assert snapshot["lines"] == len(values)
    assert snapshot["rejected"] == sum(reason is not None for reason, _, _ in judged)
    assert snapshot["accepted"] == len(latest)
    table = rows(tmp_path / "out" / "expiring_soon.csv")
    found = oracle.Result(facilities=latest).expiring(
        oracle.date(2026, 11, 20), oracle.plus_months(oracle.date(2026, 11, 20), 6)
    )
    assert [(row["valid_until"], row["facility_id"]) for row in table] == [
        (str(day), name) for day, name, _ in found
    ]
