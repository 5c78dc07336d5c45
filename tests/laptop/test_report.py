"""The demonstration's tables say what the report says, on a terminal and off it."""

from __future__ import annotations

import copy
import io
from pathlib import Path
from typing import Any

import pytest

from laptop import facility_accreditation, report

LINES = {
    "read": 10,
    "accepted": 6,
    "superseded": 1,
    "rejected": 3,
    "rejected_by_reason": {"malformed_json": 2, "state_invalid": 1},
}
REPORT: dict[str, Any] = {
    "params": {"as_of": "2026-11-20", "expiry_window": "P180D"},
    "files": {"claimed": 3, "loaded": 2, "skipped": 1, "left_for_next_run": 5, "bytes_read": 1234567},
    "lines": LINES,
    "measures": {"accreditations": 77, "accreditations_quarantined": 8, "snapshot_date_differs": 4},
    "skipped": [
        {"key": "landing/facilities/\x1b[31m[red]x\n.txt", "reason": "unknown_extension", "moved_to": "q"}
    ],
    "quarantine": ["quarantine/facilities/2026-11-01/[bold]a.jsonl_rejects.jsonl"],
    "slices": [
        {
            "slice": "2026-11-01",
            "lines": LINES,
            "rows": {"facility_metrics": 6, "expiring_accreditations": 41, "expiring_facilities": 4},
            "results": {"facility_metrics": ["prod/facility_metrics/part-00000.parquet"]},
        }
    ],
}


def shown(renderable: Any) -> str:
    out = io.StringIO()
    report.console_for(out).print(renderable)
    return out.getvalue()


def test_every_line_is_accounted_for_or_it_does_not_add_up() -> None:
    assert report.adds_up(REPORT)
    for where in ("whole", "slice"):
        for count in ("read", "accepted", "superseded", "rejected"):
            wrong = copy.deepcopy(REPORT)
            lines = wrong["lines"] if where == "whole" else wrong["slices"][0]["lines"]
            lines[count] += 1
            assert not report.adds_up(wrong), (where, count)
    wrong = copy.deepcopy(REPORT)
    wrong["lines"]["rejected_by_reason"]["malformed_json"] = 1
    assert not report.adds_up(wrong)


def test_what_was_read() -> None:
    text = " ".join(shown(report.what_was_read(REPORT)).split())
    for part in (
        "Files read 2",
        "bytes 1,234,567",
        "Objects skipped 1",
        "left for the next run 5",
        "Lines read 10",
        "accepted 6",
        "superseded by a later line 1",
        "rejected 3",
        "malformed_json 2 state_invalid 1",
        "Accreditations 77",
        "Accreditations quarantined 8",
        "Snapshot date differs 4",
    ):
        assert part in text


def test_keys_of_others_cannot_steer_the_terminal() -> None:
    text = shown(report.skipped(REPORT))
    assert "\x1b" not in text
    assert r"\x1b[31m[red]x\n.txt" in text
    listed = shown(report.where_results_are(REPORT, {}, "reports/[r].json"))
    assert "[bold]a.jsonl_rejects.jsonl" in listed
    assert "reports/[r].json" in listed


def test_where_results_are_prefers_the_copies() -> None:
    key = "prod/facility_metrics/part-00000.parquet"
    text = shown(report.where_results_are(REPORT, {key: Path("build/demo") / key}, "reports/r.json"))
    assert f"build/demo/{key}" in text


def test_states_come_from_athena_and_add_up() -> None:
    asked: list[str] = []

    def select(statement: str) -> list[dict[str, str | None]]:
        asked.append(statement)
        columns = ("state_code", "state_name", "accredited_facilities", "facilities", "snapshot_date")
        rows = [("MI", "Michigan", "1200", "1300", "2026-11-01"), ("OH", "Ohio", "0", "4", "2026-11-01")]
        return [dict(zip(columns, row, strict=True)) for row in rows]

    text = " ".join(shown(facility_accreditation.accredited_by_state(REPORT, select)).split())
    assert "MI Michigan 1,200 of 1,300 OH Ohio 0 of 4" in text
    assert "All 1,200 of 1,304" in text
    (statement,) = asked
    assert "DATE '2026-11-01'" in statement


@pytest.mark.parametrize("count", [1, 6])
def test_only_the_latest_snapshots_are_shown(count: int) -> None:
    days = [f"2026-{month:02d}-01" for month in range(1, count + 1)]
    many = REPORT | {"slices": [REPORT["slices"][0] | {"slice": day} for day in days]}
    text = shown(facility_accreditation.accredited_by_state(many, lambda _: []))
    assert [day in text for day in days] == [day in days[-4:] for day in days]
    assert ("of 6 snapshots" in text) == (count == 6)


def test_expiring() -> None:
    text = " ".join(shown(facility_accreditation.expiring(REPORT)).split())
    assert "Expiring within P180D of 2026-11-20" in text
    assert "2026-11-01 41 4 6" in text


@pytest.mark.parametrize("count", [8, 9, 3_000])
def test_of_very_many_files_with_rejected_lines_a_few_are_named(count: int) -> None:
    many = REPORT | {"quarantine": [f"quarantine/{number:04}" for number in range(count)]}
    text = shown(report.where_results_are(many, {}, "reports/r.json"))
    assert [line.split()[-1] for line in text.splitlines() if "quarantine/" in line] == [
        f"quarantine/{number:04}" for number in range(8)
    ]
    assert (f"{count - 8:,} more files" in text) == (count > 8)
