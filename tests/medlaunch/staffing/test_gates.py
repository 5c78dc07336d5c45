"""What stops a staffing run, and what is only worth a look: rows as the statements of the checks return them."""

from __future__ import annotations

import pytest

from medlaunch.declaration import LineCounts
from medlaunch.staffing import gates


def change(state: str, hprd: str, days: str = "", previous: str = "2024Q1") -> dict[str, str]:
    return {
        "slice": "2024Q2",
        "state": state,
        "previous_quarter": previous,
        "total_hprd": "2.5",
        "previous_total_hprd": "2" if hprd else "",
        "hprd_change": hprd,
        "resident_days_change": days,
    }


@pytest.mark.parametrize(
    ("share", "stops"), [("0.20000", False), ("0.20001", True), ("-0.20001", True), ("", False)]
)
def test_states_stay_in_band(share: str, stops: bool) -> None:
    found = list(gates.states_stay_in_band([change("RI", share), change("WV", "0.1")], 0.2))
    assert bool(found) == stops
    if stops:
        assert "RI 2024Q2 2.50000, 2024Q1 2.00000" in found[0]
        assert "WV" not in found[0]
        assert "expect_change" in found[0]


def test_resident_days_are_a_warning_for_each_quarter() -> None:
    rows = [change("RI", "", "0.31"), change("WV", "", "-0.30"), change("OH", "", "-0.5")]
    (found,) = gates.resident_days_outside_band(rows)
    assert found == "2024Q2: resident days differ by more than 30% from the quarter before: RI +31%, OH -50%"


def test_silver_and_gold_agree_in_every_figure() -> None:
    row = {
        "slice": "2024Q2",
        "silver_rows": "3",
        "gold_rows": "3",
        "silver_hours": "7.50",
        "gold_hours": "7.5",
    }
    assert list(gates.silver_and_gold_agree([row])) == []
    missing = row | {"gold_rows": ""}
    assert list(gates.silver_and_gold_agree([missing])) == ["rows of 2024Q2: silver has 3, the fact none"]
    # A quarter without a census has no sum of it on either side.
    assert list(gates.silver_and_gold_agree([row | {"silver_census": "", "gold_census": ""}])) == []


def test_a_key_that_is_not_unique_is_named() -> None:
    row = {
        "result": "silver_pbj_daily",
        "slice": "2024Q2",
        "ccn": "015009",
        "day": "2024-04-01",
        "result_rows": "2",
    }
    assert list(gates.keys_are_unique([row])) == [
        "silver_pbj_daily of 2024Q2: 2 rows of facility 015009 on 2024-04-01"
    ]


def test_only_what_is_unlikely_is_said() -> None:
    coverage = [
        {"slice": "2024Q1", "facilities": "4", "incomplete_facilities": "0"},
        {"slice": "2024Q2", "facilities": "4", "incomplete_facilities": "1"},
    ]
    assert list(gates.incomplete_facilities(coverage)) == [
        "2024Q2: 1 of 4 facilities (25.0%) have fewer days than the quarter"
    ]
    flags = dict.fromkeys(gates.FLAGS, "0") | {"slice": "2024Q2"}
    assert list(gates.flagged_rows([flags])) == []
    assert list(gates.flagged_rows([flags | {"hours_missing": "1200"}])) == [
        "2024Q2: unlikely values, which are kept: hours_missing 1,200"
    ]


def test_of_many_facilities_a_few_are_named() -> None:
    rows = [{"slice": "2024Q2", "ccn": f"{number:06}", "state": "RI"} for number in range(7)]
    (found,) = gates.unknown_facilities(rows)
    assert found.startswith("2024Q2: 7 facilities are not in Provider Information: 000000, ")
    assert found.endswith("000004 and 2 more")


def test_a_figure_beside_that_of_cms() -> None:
    row = {
        "slice": "2024Q2",
        "ccn": "015009",
        "total_hprd": "4",
        "cms_total_hprd": "",
        "rn_hprd": "1",
        "cms_rn_hprd": "2",
    }
    (found,) = gates.differences_from_cms([row])
    assert "015009 4.00000 (CMS none)" in found


@pytest.mark.parametrize(("rejected", "said"), [(1, False), (2, True)])
def test_files_with_many_rejects(rejected: int, said: bool) -> None:
    counts = LineCounts(lines=100, slices={"2024Q2": {"valid": 100 - rejected, "ccn_invalid": rejected}})
    found = list(
        gates.many_rejects({"landing/pbj/a.csv": counts, "landing/pbj/b.csv": LineCounts(lines=0, slices={})})
    )
    assert found == (["landing/pbj/a.csv: 2 of 100 records (2.0%) were rejected"] if said else [])


def test_superseded_records_are_summed() -> None:
    rows = [{"superseded_identical": "1", "superseded_different": "2"}] * 2
    assert gates.superseded(rows) == {"superseded_identical": 2, "superseded_different": 4}
    assert gates.superseded([]) == {}
