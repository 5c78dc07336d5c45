"""Contract staff and occupancy by month."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import charts, places, staffing, ui

published = staffing.published()
state = ui.state_filter()
[months] = ui.answers(published.query("staffing/months", state=state))
where = places.names().get(state, "All states")
staffing.source_line(published, None)
if months.empty:
    ui.nothing(f"No facility of {where} has reported.", "Choose another state.")
    st.stop()

latest = months.iloc[-1]
one, two, three = st.columns(3)
one.metric(f"Contract staff, {latest['month']}", ui.percent(latest["contract_share"]))
two.metric(f"Occupancy, {latest['month']}", ui.percent(latest["occupancy"]))
three.metric(
    "Facilities without known beds", f"{latest['facilities_without_beds']:,} of {latest['facilities']:,}"
)
for title, column, about, said, colour in (
    (
        "Contract staff",
        "contract_share",
        "contract_share",
        "of all nursing hours are those of contract staff",
        charts.ORANGE,
    ),
    ("Occupancy", "occupancy", "occupancy", "of the certified beds are occupied", charts.GREEN),
):
    lowest, highest = months.loc[months[column].idxmin()], months.loc[months[column].idxmax()]
    ui.headline(
        f"{title} by month",
        about,
        f"{where}: {ui.percent(latest[column])} {said} in {latest['month']}; lowest {ui.percent(lowest[column])} "
        f"({lowest['month']}), highest {ui.percent(highest[column])} ({highest['month']}).",
    )
    ui.chart(
        alt.Chart(months)
        .mark_line(point=True, color=colour)
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=0)),
            y=alt.Y(f"{column}:Q", title=title, axis=alt.Axis(format=".0%")),
            tooltip=["month", alt.Tooltip(f"{column}:Q", title=title, format=".2%")],
        ),
        f"Line: {title.lower()} by month, {where}",
        240,
    )
ui.table(months, f"months_{state or 'all'}", published, label="Contract staff and occupancy by month")
ui.note(staffing.NOT_PROVEN)
