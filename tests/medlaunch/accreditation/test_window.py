"""The expiry window: calendar months, clamped at the month's end."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlaunch.accreditation import window_end


@pytest.mark.parametrize(
    ("as_of", "window", "end"),
    [
        ("2026-11-20", "P6M", "2027-05-20"),
        ("2026-11-20", "P180D", "2027-05-19"),
        ("2026-11-20", "P2W", "2026-12-04"),
        ("2026-11-20", "P1Y6M", "2028-05-20"),
        ("2026-11-20", "P1Y2M3D", "2028-01-23"),
        ("2026-11-20", "P0D", "2026-11-20"),
        ("2026-11-20", "P0Y0M", "2026-11-20"),
        ("2026-08-31", "P6M", "2027-02-28"),
        ("2027-08-31", "P6M", "2028-02-29"),
        ("2026-01-31", "P1M", "2026-02-28"),
        ("2026-01-31", "P1M1D", "2026-03-01"),
        ("2026-03-31", "P1M", "2026-04-30"),
        ("2028-02-29", "P1Y", "2029-02-28"),
        ("2026-12-31", "P2M", "2027-02-28"),
        ("2026-11-20", "P12M", "2027-11-20"),
        ("2026-11-20", "P007D", "2026-11-27"),
        ("2026-11-20", "P000000007D", "2026-11-27"),
        ("9999-12-30", "P1D", "9999-12-31"),
    ],
)
def test_windows(as_of: str, window: str, end: str) -> None:
    found = window_end(date.fromisoformat(as_of), window)
    assert found == date.fromisoformat(end)
    assert type(found) is date


@pytest.mark.parametrize(
    "window",
    [
        "",
        "P",
        "PT5M",
        "P1DT12H",
        "PT24H",
        "-P6M",
        "P-6M",
        "+P6M",
        "P1.5M",
        "P1,5M",
        "6M",
        "P6",
        "p6m",
        " P6M",
        "P6M ",
        "P1W1D",
        "P1M2W",
        "P6M\n",
        "P٦M",
        "6 months",
        "P1D1M",
        "P1M1Y",
        "PP6M",
        "R3/P1M",
        "2027-01-01",
        "180",
    ],
)
def test_what_is_no_window_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="is not a window: give an ISO 8601 duration"):
        window_end(date(2026, 11, 20), window)


@pytest.mark.parametrize(
    "window",
    ["P8000Y", "P99999M", "P9999999D", "P999999999W", "P9999999999D", "P0000000007D", f"P{'9' * 5000}Y"],
)
def test_a_window_that_leaves_the_calendar_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="ends after the year 9999"):
        window_end(date(2026, 11, 20), window)


@given(st.dates(max_value=date(2500, 1, 1)), st.integers(0, 600), st.integers(0, 800))
def test_months_end_on_the_same_day_or_the_months_last(as_of: date, months: int, days: int) -> None:
    end = window_end(as_of, f"P{months}M")
    assert (end.year * 12 + end.month) - (as_of.year * 12 + as_of.month) == months
    assert end.day == as_of.day or (end.day < as_of.day and (end + timedelta(1)).day == 1)
    assert window_end(as_of, f"P{days}D") == as_of + timedelta(days)
    assert window_end(as_of, f"P{months}M{days}D") == end + timedelta(days)
