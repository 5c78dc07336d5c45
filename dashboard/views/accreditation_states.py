"""Accredited and all facilities of each state: map, ranking, and all snapshots."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import charts, places, ui

accreditation = ui.published(
    "facility_accreditation", "Upload facility records: make upload FILE=... SNAPSHOT=..."
)
snapshot = ui.select("Snapshot", "snapshot", accreditation.names)
state = ui.state_filter()
measure = ui.select(
    "Map and ranking show",
    "show",
    ["share", "accredited", "all"],
    names={"share": "Share accredited", "accredited": "Accredited facilities", "all": "All facilities"},
)
states, trend = ui.answers(
    accreditation.query("accreditation/states", snapshot=snapshot),
    accreditation.query("accreditation/trend", state=state),
)
ui.source_line(accreditation, accreditation.of_slice(snapshot), "snapshot")

accredited, everyone = int(states["accredited_facilities"].sum()), int(states["facilities"].sum())
one, two, three = st.columns(3)
chosen = states[states["state_code"] == state] if state else states
one.metric("Facilities", f"{int(chosen['facilities'].sum()):,}")
two.metric("Accredited", f"{int(chosen['accredited_facilities'].sum()):,}")
three.metric(
    "Accredited, share",
    ui.percent(chosen["accredited_facilities"].sum() / chosen["facilities"].sum() if len(chosen) else None),
)
if states.empty:
    ui.nothing(
        f"The snapshot {snapshot} has no facility.", "Choose another snapshot, or look at its rejected lines."
    )
    st.stop()

column, title, form = {
    "share": ("accredited_share", "Accredited, share", ".0%"),
    "accredited": ("accredited_facilities", "Accredited facilities", ",d"),
    "all": ("facilities", "Facilities", ",d"),
}[measure]
ordered = states.sort_values([column, "state_code"], ascending=[False, True])
# One facility more or less moves the share of a few facilities by 10 points and more.
large = ordered[ordered["facilities"] >= 10]
few = len(ordered) - len(large)
compared = large if measure == "share" and len(large) else ordered
top, last = compared.iloc[0], compared.iloc[-1]


def said(row: object) -> str:
    value = row[column]  # type: ignore[index]
    return ui.percent(value) if measure == "share" else f"{int(value):,}"


ui.headline(
    "By state",
    "accredited",
    f"{accredited:,} of {everyone:,} facilities are accredited ({ui.percent(accredited / everyone)}). Highest: "
    f"{top['state_name']} ({said(top)}); lowest: {last['state_name']} ({said(last)})."
    + (
        f" Not compared: {few} states and territories with fewer than 10 facilities, whose share one facility moves by 10 "
        "points or more."
        if few and measure == "share"
        else ""
    ),
)
tooltips = [
    alt.Tooltip("accredited_facilities:Q", title="Accredited", format=","),
    alt.Tooltip("facilities:Q", title="Facilities", format=","),
    alt.Tooltip("accredited_share:Q", title="Share", format=".1%"),
]
ui.chart(
    charts.states_map(states.drop(columns=["as_of", "state_name"]), column, title, tooltips, form),
    f"Map of the states coloured by {title.lower()}; the table below has the same numbers",
)
outside = states[states["state_code"].isin(places.TERRITORIES)]
if len(outside):
    ui.note(
        "Not on the map: "
        + ", ".join(
            f"{row.state_name} {row.accredited_facilities} of {row.facilities}"
            for row in outside.itertuples()
        )
        + "."
    )

tab_table, tab_ranking, tab_trend = st.tabs(["Table", "Ranking", "All snapshots"])
with tab_table:
    ui.table(
        ordered[["state_code", "state_name", "accredited_facilities", "facilities", "accredited_share"]],
        f"states_{snapshot}",
        accreditation,
        label="Accredited and all facilities of each state",
    )
with tab_ranking:
    ui.chart(
        charts.ranking(
            states.drop(columns=["as_of"]),
            column,
            "state_name",
            title,
            form,
            reference=accredited / everyone if measure == "share" else None,
            reference_title="All states together",
            tooltips=["state_name", *tooltips],
        ),
        f"Bars: states ordered by {title.lower()}"
        + ("; the line is all states together" if measure == "share" else ""),
    )
with tab_trend:
    name = places.names().get(state, "All states")
    first, newest = trend.iloc[0], trend.iloc[-1]
    st.markdown(
        f"{name}: {ui.percent(first['accredited_share'])} accredited in {first['snapshot_date']:%Y-%m-%d}, "
        f"{ui.percent(newest['accredited_share'])} in {newest['snapshot_date']:%Y-%m-%d}."
    )
    ui.chart(
        alt.Chart(trend)
        .mark_line(point=True, color=charts.BLUE)
        .encode(
            x=alt.X(
                "snapshot_date:T",
                title=None,
                axis=alt.Axis(
                    format="%Y-%m-%d",
                    values=list(trend["snapshot_date"].astype(str)) if len(trend) < 8 else alt.Undefined,
                ),
            ),
            y=alt.Y(
                "accredited_share:Q",
                title="Accredited, share",
                axis=alt.Axis(format=".1%"),
                scale=alt.Scale(zero=False),
            ),
            tooltip=[alt.Tooltip("snapshot_date:T", title="Snapshot"), *tooltips],
        ),
        f"Line: share of accredited facilities in each snapshot, {name}",
        260,
    )
    ui.table(
        trend, f"snapshots_{state or 'all'}", accreditation, label="Accredited facilities of each snapshot"
    )
