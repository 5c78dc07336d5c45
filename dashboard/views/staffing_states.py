"""Hours per resident and day of each state in one quarter, beside the nation's."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import charts, places, staffing, ui

published = staffing.published()
quarter = staffing.quarter_filter(published)
group = staffing.group_filter()
days = ui.select("Days", "days", list(staffing.DAYS), names=staffing.DAYS)
state = ui.state_filter()
[rows] = ui.answers(published.query("staffing/states", quarter=quarter))
staffing.source_line(published, quarter)
if rows.empty:
    ui.nothing(f"The quarter {quarter} has no staffing.", "Choose another quarter.")
    st.stop()

prefix = "" if days == "all" else f"{days}_"
hours, residents = f"{prefix}{group}_hours", f"{prefix}resident_days"
# Sums over sums: a mean of the states' ratios would count a small state as much as a large one.
rows["hprd"] = rows[hours].astype("float64") / rows[residents].astype("float64").where(rows[residents] > 0)
nation = float(rows[hours].sum()) / float(rows[residents].sum()) if rows[residents].sum() else None
rows["state_name"] = rows["state"].map(places.names())
shown = rows.assign(state_code=rows["state"], hours=rows[hours], residents=rows[residents])[
    ["state_code", "state_name", "hprd", "facilities", "residents", "hours", "total_gap"]
].rename(columns={"residents": "resident_days"})
ordered = shown.sort_values(["hprd", "state_code"], ascending=[False, True], na_position="last")

label = f"{staffing.GROUPS[group]}, {staffing.DAYS[days].lower()}"
one, two, three = st.columns(3)
here = shown[shown["state_code"] == state].iloc[0] if state in set(shown["state_code"]) else None
one.metric("Nation, hours per resident and day", ui.number(nation, 3))
two.metric(
    places.names()[state] if here is not None else "Facilities",
    ui.number(here["hprd"], 3) if here is not None else f"{int(rows['facilities'].sum()):,}",
    f"{here['hprd'] - nation:+.3f} to the nation" if here is not None and nation else None,
    delta_color="off",
)
three.metric("Resident-days", f"{int(rows[residents].sum()):,}")
if state and here is None:
    ui.nothing(
        f"No facility of {places.names()[state]} reported in {quarter}.", "Choose another quarter or state."
    )

top, last = ordered.iloc[0], ordered[ordered["hprd"].notna()].iloc[-1]
ui.headline(
    label,
    staffing.definition_of(group),
    f"Nation: {ui.number(nation, 3)} hours per resident and day. Highest: {top['state_name']} ({ui.number(top['hprd'], 3)}); "
    f"lowest: {last['state_name']} ({ui.number(last['hprd'], 3)}).",
)
tooltips = [
    alt.Tooltip("hprd:Q", title="Hours per resident and day", format=".3f"),
    alt.Tooltip("facilities:Q", title="Facilities", format=","),
    alt.Tooltip("resident_days:Q", title="Resident-days", format=","),
]
ui.chart(
    charts.states_map(
        shown.drop(columns=["state_name"]), "hprd", "Hours per resident and day", tooltips, ".2f"
    ),
    f"Map of the states coloured by {label}; the table below has the same numbers",
)
table, ranking = st.tabs(["Table", "Ranking"])
with table:
    ui.table(ordered, f"states_{quarter}_{group}_{days}", published, label=f"{label} of each state")
with ranking:
    ui.chart(
        charts.ranking(
            shown, "hprd", "state_name", "Hours per resident and day", ".2f", reference=nation, reference_title="Nation",
            tooltips=["state_name", *tooltips],
        ),
        f"Bars: states ordered by {label}; the line is the nation",
    )  # fmt: skip
ui.note(staffing.NOT_PROVEN)
