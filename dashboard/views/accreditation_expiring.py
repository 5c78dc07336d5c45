"""What expires when: by week and accreditor, and each accreditation with its days left."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import charts, places, ui
from dashboard.queries import ROWS

accreditation = ui.published(
    "facility_accreditation", "Upload facility records: make upload FILE=... SNAPSHOT=..."
)
snapshot = ui.select("Snapshot", "snapshot", accreditation.names)
state = ui.state_filter()
body = ui.chosen("body")
page = ui.asked_page(snapshot, state, body)
values = {"snapshot": snapshot, "state": state, "body": body}
skip = (page - 1) * ui.PAGE_ROWS
bodies, totals, weeks, rows = ui.answers(
    accreditation.query("accreditation/bodies", snapshot=snapshot),
    accreditation.query("accreditation/expiring_totals", **values),
    accreditation.query("accreditation/expiring_by_week", **values),
    accreditation.query("accreditation/expiring", **values, skip=skip, until=skip + ui.PAGE_ROWS),
)
ui.select("Accreditor", "body", list(bodies["accreditation_body"]), every="All accreditors")
row = accreditation.of_slice(snapshot)
ui.source_line(accreditation, row, "snapshot")

total = totals.iloc[0]
count = int(total["accreditations"])
one, two, three, four = st.columns(4)
one.metric("Accreditations", f"{count:,}")
two.metric("Facilities", f"{total['facilities']:,}")
three.metric("Within 30 days", f"{total['within_30_days']:,}")
four.metric("Within 90 days", f"{total['within_90_days']:,}")
if not count:
    ui.nothing("Nothing expires within the window.", "Choose another state, accreditor or snapshot.")
    st.stop()

# The greatest accreditors have a colour each, the others one together: more colours cannot be told apart.
shown = set(weeks.groupby("accreditation_body")["accreditations"].sum().nlargest(5).index)
weeks["accreditor"] = weeks["accreditation_body"].where(weeks["accreditation_body"].isin(shown), "Others")
by_week = weeks.groupby(["week", "accreditor"], as_index=False)["accreditations"].sum()
sums = by_week.groupby("week")["accreditations"].sum()
ui.headline(
    "By week",
    "expiring",
    f"{count:,} accreditations of {total['facilities']:,} facilities"
    f"{' in ' + places.names()[state] if state else ''} expire from {total['run_date']:%Y-%m-%d} to "
    f"{total['last_day']:%Y-%m-%d}. Most in one week: {int(sums.max()):,}, in the week from {sums.idxmax():%Y-%m-%d}.",
)
ui.chart(
    alt.Chart(by_week.assign(week=by_week["week"].dt.strftime("%Y-%m-%d")))
    .mark_bar()
    .encode(
        x=alt.X("week:O", title="Week from", axis=alt.Axis(labelAngle=-45)),
        y=alt.Y("accreditations:Q", title="Accreditations"),
        color=alt.Color(
            "accreditor:N", title=None, legend=alt.Legend(orient="bottom", columns=2, labelLimit=220)
        ),
        order=alt.Order("accreditor:N"),
        tooltip=["week", "accreditor", "accreditations"],
    ),
    "Stacked bars: accreditations that expire in each week, by accreditor",
    380,
)
tab_rows, tab_weeks, tab_bodies = st.tabs(["Accreditations", "Weeks", "Accreditors"])
with tab_rows:
    ui.pager(count)
    ui.table(
        rows,
        f"expiring_{snapshot}_{state or 'all'}_page{page}",
        accreditation,
        label="Accreditations that expire, those that expire first at the top",
        full=lambda: ui.answers(accreditation.query("accreditation/expiring", **values, skip=0, until=ROWS))[
            0
        ],
        full_rows=count,
    )
with tab_weeks:
    ui.table(
        weeks[["week", "accreditation_body", "accreditations"]],
        f"expiring-weeks_{snapshot}_{state or 'all'}",
        accreditation,
        label="Accreditations that expire in each week, by accreditor",
    )
with tab_bodies:
    totals_of: pd.DataFrame = (
        weeks.groupby("accreditation_body", as_index=False)["accreditations"]
        .sum()
        .sort_values("accreditations", ascending=False)
    )
    ui.chart(
        charts.ranking(totals_of, "accreditations", "accreditation_body", "Accreditations", ",d"),
        "Bars: accreditations that expire, by accreditor",
    )
    ui.table(
        totals_of,
        f"expiring-accreditors_{snapshot}_{state or 'all'}",
        accreditation,
        label="Accreditations that expire, by accreditor",
    )
