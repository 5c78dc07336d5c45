"""Files are checked by the pipelines' own loaders: what passes is accepted, and each finding names its line."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest

from medlaunch import check
from medlaunch.declaration import Dataset
from medlaunch.formats.content import Unreadable
from medlaunch.lake import SkipReason
from medlaunch.pipelines import FACILITY_ACCREDITATION
from tests.factories import DAY, facility, lines

ROOT = Path(__file__).parents[2]
CMS = ROOT / "tests/data/staffing"
FACILITIES = FACILITY_ACCREDITATION.datasets[0]
PBJ, PROVIDERS = (
    Dataset(name=name, extensions=(".csv", ".zip"), loader=f"medlaunch.staffing.{name}:load")
    for name in ("pbj", "provider_info")
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / DAY
    path.mkdir()
    return path


def put(folder: Path, name: str, content: bytes) -> Path:
    (folder / name).write_bytes(content)
    return folder / name


def report(capsys: pytest.CaptureFixture[str], status: int, *arguments: Any) -> list[dict[str, Any]]:
    """Check files; returns the reports of all."""
    assert check.main(["--format", "json", "--quiet", *map(str, arguments)]) == status
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def known(monkeypatch: pytest.MonkeyPatch, *datasets: Dataset) -> None:
    monkeypatch.setattr(check, "datasets", lambda: list(datasets))


BROKEN = lines(
    facility(1),
    facility(2, employee_count=-1, facility_name=" "),
    b"\n",
    b"{broken\n",
    facility(3, accreditations=[{"accreditation_id": "x"}]),
)


@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_a_finding_for_each_line_that_would_be_rejected(
    folder: Path, capsys: pytest.CaptureFixture[str], compress: Any
) -> None:
    name = "a.jsonl" if compress is bytes else "a.jsonl.gz"
    (found,) = report(capsys, 1, put(folder, name, compress(BROKEN)))
    assert [(one["line"], one["reason"]) for one in found["findings"]] == [
        (2, "facility_name_blank_after_trim"),
        (4, "malformed_json"),
        (5, "invalid_or_missing_valid_until"),
    ]
    assert found["findings"][0]["other_reasons"] == ["employee_count_negative_or_invalid"]
    assert (found["lines"], found["accepted"], found["rejected"], found["found"]) == (4, 2, 2, 3)


def test_what_is_printed_for_people_shows_no_content_unless_it_is_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = put(folder, "a.jsonl", BROKEN)
    assert check.main([f"{file}", "--max-findings", "2"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert out[0] == f"{file}:2: facility_name_blank_after_trim, employee_count_negative_or_invalid"
    assert out[1].startswith(f"{file}:4: malformed_json (")
    assert out[2:] == [
        f"{file}: and 1 more findings",
        f"{file}: facilities, 4 lines, 2 accepted, 2 rejected (malformed_json 1, facility_name_blank_after_trim 1)",
    ]
    assert "Ann Arbor" not in "".join(out)
    check.main([f"{file}", "--raw"])
    assert "Ann Arbor" in capsys.readouterr().out


def test_good_files_pass(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = [put(folder, name, lines(facility(1))) for name in ("a.jsonl", "b.json")]
    assert [one["accepted"] for one in report(capsys, 0, *files)] == [1, 1]


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.jsonl", b"", SkipReason.EMPTY_OBJECT),
        (".a.jsonl", b"{}", SkipReason.HIDDEN_FILE),
        ("a.jsonl.gz", lines(facility(1)), Unreadable.CORRUPT_ARCHIVE),
        ("a.jsonl", gzip.compress(BROKEN)[:-9], Unreadable.CORRUPT_ARCHIVE),
    ],
)
def test_a_file_that_the_pipeline_would_skip_is_one_finding(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, content: bytes, reason: str
) -> None:
    # Nothing in it says whose upload it is.
    (found,) = report(capsys, 1, put(folder, name, content), "--dataset", "facilities")
    assert [(one["reason"], one.get("line")) for one in found["findings"]] == [(reason, None)]
    assert found["lines"] == 0


def test_wrong_arguments(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(tmp_path, "a.jsonl", lines(facility(1)))
    for wrong, text in (
        ([file, "--folder", "yesterday"], "--folder yesterday: "),
        ([tmp_path / "missing.jsonl"], "No such file"),
        ([put(tmp_path, "a.xlsx", b"x")], "no dataset takes such a name; they end in "),
    ):
        assert check.main([f"{one}" for one in wrong]) == 2
        assert text in capsys.readouterr().err


def test_the_folder_says_the_snapshot(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = put(folder, "a.jsonl", lines(facility(1, snapshot_date=DAY)))
    (in_its_folder,) = report(capsys, 0, file)
    (elsewhere,) = report(capsys, 0, file, "--folder", "2026-10-01")
    assert "snapshot_date_differs" not in in_its_folder["measures"]
    assert elsewhere["measures"]["snapshot_date_differs"] == 1


def test_files_of_cms_are_told_apart_and_checked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, FACILITIES, PBJ, PROVIDERS)
    hours = (CMS / "pbj_2023Q2_415052_51A009.csv").read_bytes()
    bad = put(tmp_path, "bad.csv", hours.replace(b"51A009", b"51!009", 1))
    archive = tmp_path / "all.zip"
    with zipfile.ZipFile(archive, "w") as into:
        into.writestr("good.csv", hours)
        into.writestr("no header.csv", b"a,b\n1,2\n")
    reports = report(capsys, 1, CMS / "ProviderInfo_2026_02.head.csv", bad, archive)
    assert [one["dataset"] for one in reports] == ["provider_info", "pbj", "pbj"]
    assert reports[0]["found"] == 0
    line = 1 + next(n for n, text in enumerate(hours.splitlines()) if b"51A009" in text)
    assert [(one["line"], one["reason"]) for one in reports[1]["findings"]] == [(line, "ccn_invalid")]
    assert [(one["member"], one["reason"]) for one in reports[2]["findings"]] == [
        ("no header.csv", "header_missing_column:provnum")
    ]


def test_what_no_dataset_accepts_must_be_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known(monkeypatch, PBJ, PROVIDERS)
    file = put(tmp_path, "a.csv", b"a,b\n1,2\n")
    assert check.main([f"{file}"]) == 2
    assert "accepted by none of pbj, provider_info. Say what it holds: --dataset" in capsys.readouterr().err
    (found,) = report(capsys, 1, file, "--dataset", "pbj")
    assert found["findings"][0]["reason"] == "header_missing_column:provnum"


def test_it_needs_neither_airflow_nor_aws(folder: Path) -> None:
    file = put(folder, "a.jsonl", BROKEN)
    program = f"""
import sys
for name in ("airflow", "boto3", "botocore", "jinja2", "httpx"):
    sys.modules[name] = None
from medlaunch.check import main
sys.exit(main([{str(file)!r}]))
"""
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT / 'plugins'}"},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert run.returncode == 1, run.stderr
    assert f"{file}:4: malformed_json" in run.stdout
