"""What the staffing pages share: filters, orders, and words."""

from __future__ import annotations

import calendar
import json

import pandas as pd

from dashboard import ui

GROUPS = {
    "total": "All nursing",
    "rn": "Registered nurses (RN)",
    "lpn": "Licensed practical nurses (LPN)",
    "aide": "Nurse aides",
    "direct": "Direct care, without directors and administration",
}
DAYS = {"all": "All days", "weekend": "Weekends", "weekday": "Monday to Friday"}
ORDERS = {"lowest": "Fewest hours", "highest": "Most hours"}
NOT_PROVEN = (
    "What these figures do not prove: facilities report their hours themselves; more hours do not mean better care, and residents "
    "differ in the care that they need. Figures are not adjusted for it."
)
HOW = "Upload Payroll-Based Journal files to landing/pbj/, or let fetch_cms_files fetch them."


def published() -> ui.Published:
    return ui.published("nurse_staffing", HOW)


def quarter_filter(published: ui.Published) -> str:
    """The quarters that have staffing, the newest first."""
    slices = published.slices[published.slices["pipeline"] == "nurse_staffing.pbj"]
    rows = slices["result_rows"].map(lambda text: json.loads(text).get("gold_daily_staffing_fact", 0))
    quarters = sorted(slices[rows > 0]["slice"], reverse=True)
    if not quarters:
        raise ui.NothingPublished("No quarter has staffing yet.", HOW)
    return ui.select("Quarter", "quarter", quarters)


def group_filter() -> str:
    return ui.select("Who", "group", list(GROUPS), names=GROUPS)


def minimum_filter(default: int = 1_000) -> int:
    """Facilities with few resident-days are left out of a ranking: a day more or less moves them."""
    options = [str(one) for one in (default, 0, 30, 300, 1_000, 3_000, 10_000)]
    return int(
        ui.select(
            "At least so many resident-days",
            "minimum",
            list(dict.fromkeys(options)),
            help="Facilities with fewer are not listed: few residents make a ratio jump.",
        )
    )


def definition_of(group: str) -> str:
    return "hprd_direct" if group == "direct" else "hprd_total"


def source_line(published: ui.Published, quarter: str | None) -> None:
    """Data as of: the quarter's publication, or the newest one."""
    slices = published.slices
    rows = slices[slices["slice"] == quarter] if quarter else slices
    rows = rows if len(rows) else slices
    ui.source_line(published, rows.sort_values(["published_at", "slice"]).iloc[-1], "quarter")


def in_order(rows: pd.DataFrame, first: str) -> pd.DataFrame:
    """Facilities in the order that was asked for, without what only the order needs."""
    return rows.sort_values(first).drop(columns=["lowest", "highest", "facilities"]).reset_index(drop=True)


def months_of(quarter: str) -> list[str]:
    """``2024Q2`` -> its months, the latest first."""
    last = int(quarter[-1]) * 3
    return [f"{quarter[:4]}-{month:02}" for month in (last, last - 1, last - 2)]


def days_of(month: str) -> int:
    return calendar.monthrange(int(month[:4]), int(month[5:]))[1]


def owner(text: object) -> str:
    """``For profit - Corporation`` -> ``For profit``: more colours cannot be told apart."""
    return str(text).split(" - ")[0].capitalize() if isinstance(text, str) else "Unknown"
