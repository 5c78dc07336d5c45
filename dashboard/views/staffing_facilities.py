"""The facilities of one quarter, those with the fewest or the most hours first."""

from __future__ import annotations

import streamlit as st

from dashboard import staffing, ui
from dashboard.queries import ROWS

published = staffing.published()
quarter = staffing.quarter_filter(published)
state = ui.state_filter()
group = staffing.group_filter()
first = ui.select("First", "first", list(staffing.ORDERS), names=staffing.ORDERS)
minimum = staffing.minimum_filter()
page = ui.asked_page(quarter, state, group, first, str(minimum))
values: dict[str, str | int] = {
    "quarter": quarter,
    "state": state,
    "group": group,
    "first": first,
    "minimum": minimum,
}
skip = (page - 1) * ui.PAGE_ROWS
[rows] = ui.answers(published.query("staffing/facilities", **values, skip=skip, until=skip + ui.PAGE_ROWS))
staffing.source_line(published, quarter)
if rows.empty:
    ui.nothing(
        "No facility has so many resident-days.", "Choose another quarter or state, or a lower minimum."
    )
    ui.pager(0)
    st.stop()

total = int(rows["facilities"].iloc[0])
shown = staffing.in_order(rows, first)
flagged = int(rows["implausible"].notna().sum())
ui.headline(
    f"{staffing.GROUPS[group]}: {staffing.ORDERS[first].lower()} first",
    staffing.definition_of(group),
    f"{total:,} facilities with at least {minimum:,} resident-days in {quarter}. Page {page}: "
    f"{ui.number(shown['hprd'].iloc[0], 3)} to {ui.number(shown['hprd'].iloc[-1], 3)} hours per resident and day. "
    f"{flagged:,} on this page are outside what CMS takes as plausible (column Implausible): they are shown, not dropped.",
)
ui.pager(total)
ui.table(
    shown,
    f"facilities_{quarter}_{state or 'all'}_{group}_{first}_page{page}",
    published,
    label="Facilities in the order of their hours",
    full=lambda: staffing.in_order(
        ui.answers(published.query("staffing/facilities", **values, skip=0, until=ROWS))[0], first
    ),
    full_rows=total,
)
st.page_link("views/staffing_facility.py", label="Look at one facility", icon=":material/apartment:",
             query_params={"ccn": str(shown["ccn"].iloc[0]), "quarter": quarter})  # fmt: skip
ui.note(staffing.NOT_PROVEN)
