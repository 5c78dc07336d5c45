"""The generated nurse staffing uploads are what their account says, by an independent model and by the loaders."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from medlaunch.formats.content import UnreadableUpload
from sample_data.__main__ import main
from sample_data.staffing import StaffingAccount, write_uploads
from sample_data.staffing_defects import ALL_DEFECTS, spread
from tests.staffing_lake import Upload, load
from tests.staffing_model import Model

QUARTERS = ("2017Q1", "2017Q2", "2021Q4", "2024Q2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("uploads")


@pytest.fixture(scope="module")
def account(folder: Path) -> StaffingAccount:
    return write_uploads(folder, quarters=QUARTERS, homes=12, defects=0.04)


def uploads(folder: Path, account: StaffingAccount) -> list[Upload]:
    return [
        Upload(one.dataset, one.file, (folder / one.dataset / one.file).read_bytes(), one.mtime)
        for one in account.files
    ]


def test_the_model_finds_what_the_account_says(folder: Path, account: StaffingAccount) -> None:
    model = Model()
    data = [
        one for one, file in zip(uploads(folder, account), account.files, strict=True) if file.skipped is None
    ]
    found = model.run((one.dataset, one.key, one.body, one.second) for one in data)
    for file in account.files:
        if file.skipped is None:
            one = found[f"landing/{file.dataset}/{file.file}"]
            assert (file.records, file.accepted, file.superseded) == (one.read, one.accepted, one.superseded)
            assert file.rejected == one.rejected
            assert file.superseded_identical == (one.identical if file.dataset == "pbj" else 0)
            assert file.records == file.accepted + file.superseded + sum(file.rejected.values())
    states = {(row["quarter"], row["state"]): row for row in model.view("v_hprd_state_quarter")}
    assert states.keys() == account.states.keys()
    for key, sums in account.states.items():
        row = states[key]
        assert (row["days"], row["resident_days"], 100 * row["total_hours"]) == (
            sums.days,
            sums.resident_days,
            sums.total,
        )
    # What Provider Information reports is what PBJ says after its restatement.
    reconciled = model.view("v_hprd_reconciliation")
    assert len(reconciled) == 12 * len(QUARTERS)
    assert [row for row in reconciled if row["total_difference"] or row["rn_difference"]] == []


def test_the_loaders_find_what_the_account_says(folder: Path, account: StaffingAccount) -> None:
    for upload, file in zip(uploads(folder, account), account.files, strict=True):
        if file.skipped is not None:
            if file.skipped not in ("unknown_extension", "empty_object"):  # of the name and the size
                with pytest.raises(UnreadableUpload) as error:
                    load(upload)
                assert error.value.reason == file.skipped
            continue
        counts, _, _ = load(upload)
        measures = {
            name.removeprefix("flagged_"): count
            for name, count in counts.measures.items()
            if "flagged_" in name
        }
        assert (counts.lines, counts.rejected_by_reason, measures) == (
            file.records,
            file.rejected,
            file.flags,
        )
        assert counts.measures["repaired_lines"] == file.repaired_lines


def test_all_kinds_of_defects_are_there(account: StaffingAccount) -> None:
    assert set(account.rejected("pbj")) == {one.reason for one in ALL_DEFECTS if one.reason}
    flags = {flag for one in account.files for flag in one.flags}
    assert flags == {flag for one in ALL_DEFECTS for flag in one.flags}
    assert account.total("repaired_lines") > 0
    assert account.total("superseded_identical") > 0


def test_the_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_uploads(tmp_path / name, homes=3)
    files = sorted(path.relative_to(tmp_path / "a") for path in (tmp_path / "a").rglob("*") if path.is_file())
    assert len(files) == 8
    for path in files:
        one, other = tmp_path / "a" / path, tmp_path / "b" / path
        assert (one.read_bytes(), one.stat().st_mtime) == (other.read_bytes(), other.stat().st_mtime)


def test_defects_are_spread_evenly() -> None:
    numbers = spread(1000, 10, lambda: 0.999)
    assert numbers == [99, 199, 299, 399, 499, 599, 699, 799, 899, 999]
    assert spread(3, 3, lambda: 0.5) == [0, 1, 2]


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expect = tmp_path / "expect.json"
    arguments = ["staffing", "--out", str(tmp_path / "out"), "--facilities", "2", "--expect", str(expect)]
    assert main(arguments) == 0
    assert "8 files" in capsys.readouterr().out
    account = json.loads(expect.read_text())
    assert [file["dataset"] for file in account["files"][:3]] == ["provider_info", "pbj", "pbj"]
    assert {state["quarter"] for state in account["states"]} == {"2024Q2"}
    for wrong in (["--quarters", "2024Q5"], ["--quarters", ","], ["--defects", "2"], ["--facilities", "0"]):
        assert main([*arguments, *wrong]) == 2
    assert "is not a quarter" in capsys.readouterr().err
