"""Hours per resident and day against occupancy, one point per facility."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import charts, staffing, ui

published = staffing.published()
quarter = staffing.quarter_filter(published)
month = ui.select("Month", "month", staffing.months_of(quarter))
state = ui.state_filter()
colour = ui.select(
    "Colour", "colour", ["ownership", "rating"], names={"ownership": "Ownership", "rating": "Overall rating"}
)
minimum = staffing.minimum_filter(default=30)
[rows] = ui.answers(
    published.query("staffing/occupancy", quarter=quarter, month=month, state=state, minimum=minimum)
)
staffing.source_line(published, quarter)
points = rows[rows["occupancy"].notna() & rows["total_hprd"].notna()].copy()
if points.empty:
    ui.nothing(
        "No facility has hours, residents and known beds in this month.", "Choose another month or state."
    )
    st.stop()

points["census"] = points["resident_days"].astype("float64") / staffing.days_of(month)
points["owner"] = points["ownership_type"].map(staffing.owner)
points["rating"] = (
    points["overall_rating"]
    .map(lambda stars: f"{stars} of 5" if stars == stars and stars else "none")
    .astype("str")
)
points["implausible"] = points["over_capacity"].map(lambda over: "more residents than beds" if over else None)
correlation = points["total_hprd"].corr(points["occupancy"])
ui.headline(
    "Hours against occupancy",
    "occupancy",
    f"{len(points):,} facilities in {month}; {len(rows) - len(points):,} more have no known beds or residents. Correlation "
    f"{ui.number(correlation, 2)}. {int(points['over_capacity'].sum()):,} have more than 105 % of their beds occupied: they are "
    "shown as reported.",
)
field = "owner" if colour == "ownership" else "rating"
selection = alt.selection_point(fields=[field], bind="legend")
ui.chart(
    alt.Chart(points)
    .mark_circle()
    .encode(
        x=alt.X("occupancy:Q", title="Occupancy", axis=alt.Axis(format=".0%")),
        y=alt.Y("total_hprd:Q", title="Total hours per resident and day"),
        size=alt.Size("census:Q", title="Residents", scale=alt.Scale(range=[15, 300]), legend=alt.Legend(orient="bottom", format="d", symbolFillColor=charts.GREY)),
        color=alt.Color(f"{field}:N", title=None, legend=alt.Legend(orient="bottom", columns=3)),
        opacity=alt.condition(selection, alt.value(0.75), alt.value(0.08)),
        tooltip=["provider_name", "ccn", "state", alt.Tooltip("occupancy:Q", format=".1%"),
                 alt.Tooltip("total_hprd:Q", title="Hours", format=".3f"), alt.Tooltip("census:Q", title="Residents", format=".1f"),
                 "ownership_type", "rating"],
    )
    .add_params(selection),
    "Points: occupancy and total hours per resident and day of each facility; the size is the census",
    480,
)  # fmt: skip
ui.table(
    rows,
    f"occupancy_{month}_{state or 'all'}",
    published,
    label="Occupancy and hours of each facility",
)
ui.note(staffing.NOT_PROVEN)
