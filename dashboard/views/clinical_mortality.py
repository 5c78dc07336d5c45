"""Mortality by month and year."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import clinical, ui

published = clinical.published()
org = ui.chosen("org", clinical.ALL)
found, months, totals = ui.answers(
    published.query("clinical/organizations"),
    published.query("clinical/months", org=org, measures="mortality_"),
    clinical.totals(published, "mortality_"),
)
if found.empty:
    raise ui.NothingPublished("No measure has been published yet.", clinical.HOW)
org = clinical.organization_filter(found)
clinical.source_line(published, found["data_end"].max())
where = "all hospitals" if org == clinical.ALL else ui.plain(org)

overall = totals[(totals["org_id"] == org) & (totals["period"] == "all")].set_index("measure")
columns = st.columns(2)
for column, measure in zip(columns, ("mortality_in_hospital", "mortality_30d"), strict=True):
    row = overall.loc[measure] if measure in overall.index else None
    column.metric(
        f"{clinical.MEASURES[measure]}, all months",
        ui.percent(row["rate"], 2) if row is not None else "no value",
        f"{row['numerator']:,} of {row['denominator']:,}"
        if row is not None and not row["suppressed"]
        else "not shown",
        delta_color="off",
        delta_arrow="off",
    )

hidden = int(months["suppressed"].sum())
for measure in ("mortality_in_hospital", "mortality_30d"):
    rows = months[months["measure"] == measure]
    seen = rows[~rows["suppressed"]]
    ui.headline(
        f"{clinical.MEASURES[measure]} by month",
        measure,
        f"{len(seen)} of {len(rows)} months of {where} are shown."
        + clinical.hidden_text(int(rows["suppressed"].sum()))
        + (
            f" Latest: {ui.percent(seen.iloc[-1]['rate'], 2)} in {seen.iloc[-1]['month']}."
            if len(seen)
            else ""
        ),
    )
    if len(seen):
        line = alt.Chart(rows).encode(x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=-45)))
        band = line.mark_errorbar(color="#8C8C8C").encode(y=alt.Y("ci_low:Q", title="Share"), y2="ci_high:Q")
        ui.chart(
            band
            + line.mark_line(point=True).encode(
                y=alt.Y("rate:Q", title="Share", axis=alt.Axis(format=".1%")),
                tooltip=["month", alt.Tooltip("rate:Q", format=".2%"), "numerator", "denominator",
                         alt.Tooltip("ci_low:Q", format=".2%"), alt.Tooltip("ci_high:Q", format=".2%")],
            ),
            f"Line with 95 % intervals: {clinical.MEASURES[measure].lower()} by month, {where}",
            280,
        )  # fmt: skip
        clinical.stays_link(measure, org, rows)
ui.table(
    months.drop(columns=["data_end"]),
    f"mortality-months_{org}",
    published,
    label="Mortality by month, with 95 % intervals",
)
st.subheader("By year, all hospitals")
years = clinical.with_intervals(totals[totals["period"] != "all"])
ui.table(years.drop(columns=["data_end", "org_id"]), "mortality-years", published, label="Mortality by year")
ui.note(clinical.NOT_PROVEN)
