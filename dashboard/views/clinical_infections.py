"""Hospital-onset infections: shares of the types, and events per 1,000 patient-days."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import clinical, ui

published = clinical.published()
org = ui.chosen("org", clinical.ALL)
found, totals, months = ui.answers(
    published.query("clinical/organizations"),
    clinical.totals(published, "hai_"),
    published.query("clinical/months", org=org, measures="hai_"),
)
if found.empty:
    raise ui.NothingPublished("No measure has been published yet.", clinical.HOW)
org = clinical.organization_filter(found)
clinical.source_line(published, found["data_end"].max())

here = totals[(totals["org_id"] == org) & (totals["period"] == "all")]
overall = here[here["measure"] == "hai_per_1000_patient_days"]
types = here[here["measure"].isin(clinical.INFECTIONS)].copy()
types["infection"] = types["measure"].map(clinical.INFECTIONS)
one, two, three = st.columns(3)
if len(overall) and not overall.iloc[0]["suppressed"]:
    row = overall.iloc[0]
    one.metric("Infections per 1,000 patient-days", ui.number(row["rate"], 2))
    two.metric("Infections", f"{row['numerator']:,}")
    three.metric("Patient-days", f"{row['denominator']:,}")
else:
    one.metric("Infections per 1,000 patient-days", "not shown")

seen = types[~types["suppressed"] & (types["numerator"] > 0)]
ui.headline(
    "Types of infection",
    "hai",
    (
        f"Most frequent: {seen.loc[seen['numerator'].idxmax()]['infection']} "
        f"({seen['numerator'].max():,} of {seen['numerator'].sum():,} events)."
        if len(seen)
        else "No type can be shown."
    )
    + clinical.hidden_text(int(types["suppressed"].sum())),
)
if len(seen):
    left, right = st.columns(2)
    colour = alt.Color(
        "infection:N", title=None, legend=alt.Legend(orient="bottom", columns=2, labelLimit=220)
    )
    with left:
        ui.chart(
            alt.Chart(seen)
            .mark_arc(innerRadius=70)
            .encode(
                theta="numerator:Q",
                color=colour,
                tooltip=["infection", alt.Tooltip("numerator:Q", title="Events", format=",")],
            ),
            "Donut: events by type of infection",
            320,
        )
    with right:
        ui.chart(
            alt.Chart(seen)
            .mark_bar()
            .encode(
                x=alt.X("rate:Q", title="Per 1,000 patient-days"),
                y=alt.Y("infection:N", title=None, sort="-x", axis=alt.Axis(labelLimit=200)),
                color=alt.Color("infection:N", legend=None),
                tooltip=["infection", alt.Tooltip("rate:Q", format=".2f"), "numerator", "denominator"],
            ),
            "Bars: events per 1,000 patient-days by type of infection",
            320,
        )
ui.table(
    types[["infection", "numerator", "denominator", "rate", "suppressed"]].rename(
        columns={"rate": "per_1000"}
    ),
    f"infections_{org}",
    published,
    label="Infections by type",
)
rows = months[months["measure"] == "hai_per_1000_patient_days"]
shown = rows[~rows["suppressed"]]
ui.headline(
    "By month",
    "hai",
    f"{len(shown)} of {len(rows)} months are shown." + clinical.hidden_text(len(rows) - len(shown)),
)
if len(shown):
    ui.chart(
        alt.Chart(rows)
        .mark_line(point=True)
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("rate:Q", title="Per 1,000 patient-days"),
            tooltip=["month", alt.Tooltip("rate:Q", format=".2f"), "numerator", "denominator"],
        ),
        "Line: infections per 1,000 patient-days by month",
        260,
    )
ui.table(
    months.drop(columns=["data_end", "ci_low", "ci_high", "org_id"]).rename(columns={"rate": "per_1000"}),
    f"infections-months_{org}",
    published,
    label="Infections by month and type",
)
ui.note(clinical.NOT_PROVEN)
