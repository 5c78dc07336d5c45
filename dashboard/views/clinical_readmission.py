"""Readmission by hospital, with intervals and funnel limits."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import charts, clinical, ui

published = clinical.published()
measure = ui.select(
    "Measure",
    "measure",
    ["readmission_30d", "readmission_30d_unplanned", "mortality_30d"],
    names=clinical.MEASURES,
)
org = ui.chosen("org", clinical.ALL)
found, totals, months = ui.answers(
    published.query("clinical/organizations"),
    clinical.totals(published, measure),
    published.query("clinical/months", org=org, measures=measure),
)
if found.empty:
    raise ui.NothingPublished("No measure has been published yet.", clinical.HOW)
org = clinical.organization_filter(found)
clinical.source_line(published, found["data_end"].max())

totals = clinical.with_intervals(totals[(totals["measure"] == measure) & (totals["period"] == "all")])
nation = totals[totals["org_id"] == clinical.ALL].iloc[0]
hospitals = totals[totals["org_id"] != clinical.ALL].drop(columns=["measure", "period", "data_end"])
seen = hospitals[~hospitals["suppressed"]].copy()
overall = float(nation["rate"]) if not nation["suppressed"] else None
if overall is not None and len(seen):
    limits = {name: [clinical.Z95, clinical.Z998][name == "99.8 %"] for name in ("95 %", "99.8 %")}
    spread = (overall * (1 - overall) / seen["denominator"].astype("float64")) ** 0.5
    distance = (seen["rate"] - overall).abs() / spread
    seen["outside"] = "within"
    seen.loc[distance > limits["95 %"], "outside"] = "outside 95 %"
    seen.loc[distance > limits["99.8 %"], "outside"] = "outside 99.8 %"
else:
    seen["outside"] = "no overall rate"

ui.headline(
    f"{clinical.MEASURES[measure]} by hospital",
    measure,
    f"All hospitals: {ui.percent(overall, 2)}. {len(seen)} of {len(hospitals)} hospitals are shown; "
    f"outside the funnel's 95 % limits: {int(seen['outside'].str.startswith('outside').sum())}."
    + clinical.hidden_text(int(hospitals["suppressed"].sum())),
)
if seen.empty:
    ui.nothing("No hospital has enough cases to be shown.", "")
else:
    bars = alt.Chart(seen).encode(y=alt.Y("org_id:N", title=None, sort="-x", axis=alt.Axis(labelLimit=240)))
    tooltips = ["org_id", alt.Tooltip("rate:Q", format=".2%"), "numerator", "denominator",
                alt.Tooltip("ci_low:Q", format=".2%"), alt.Tooltip("ci_high:Q", format=".2%"), "outside"]  # fmt: skip
    figure = bars.mark_bar(color=charts.BLUE).encode(
        x=alt.X("rate:Q", title="Share", axis=alt.Axis(format=".0%")), tooltip=tooltips
    ) + bars.mark_errorbar(color="#555555", ticks=True).encode(
        x=alt.X("ci_low:Q", title="Share"), x2="ci_high:Q"
    )
    if overall is not None:
        figure += (
            alt.Chart(seen.head(1).assign(overall=overall))
            .mark_rule(color=charts.RED, strokeDash=[6, 3], strokeWidth=2)
            .encode(x="overall:Q")
        )
    ui.chart(
        figure.properties(height=26 * len(seen) + 60),
        f"Bars with 95 % intervals: {clinical.MEASURES[measure].lower()} by hospital; the dashed line is all hospitals",
    )
    if overall is not None:
        st.subheader("Funnel")
        st.markdown(
            "Hospitals within the lines differ from all hospitals no more than chance alone would make them."
        )
        curves = clinical.funnel(overall, seen["denominator"])
        lines = alt.Chart(curves).encode(
            x=alt.X("denominator:Q", title="Cases"), strokeDash=alt.StrokeDash("limits:N", title="Limits")
        )
        points = alt.Chart(seen).mark_circle(size=90).encode(
            x="denominator:Q",
            y=alt.Y("rate:Q", title="Share", axis=alt.Axis(format=".0%")),
            color=alt.Color("outside:N", title=None, legend=alt.Legend(orient="bottom"),
                            scale=alt.Scale(domain=["within", "outside 95 %", "outside 99.8 %"],
                                            range=[charts.BLUE, charts.ORANGE, charts.RED])),
            shape=alt.Shape("outside:N", legend=None),
            tooltip=tooltips,
        )  # fmt: skip
        ui.chart(
            lines.mark_line(color="#777777").encode(y=alt.Y("low:Q", title="Share"))
            + lines.mark_line(color="#777777").encode(y="high:Q")
            + points,
            "Funnel: cases and share of each hospital, with the 95 % and 99.8 % limits around all hospitals",
            380,
        )
ui.table(
    seen.drop(columns=["suppressed"]) if len(seen) else hospitals,
    f"{measure}-hospitals",
    published,
    label=f"{clinical.MEASURES[measure]} by hospital with 95 % intervals",
)
st.subheader("By month")
rows = months[(months["measure"] == measure)].drop(columns=["data_end"])
shown = rows[~rows["suppressed"]]
st.markdown(f"{len(shown)} of {len(rows)} months are shown." + clinical.hidden_text(len(rows) - len(shown)))
ui.table(rows, f"{measure}-months_{org}", published, label=f"{clinical.MEASURES[measure]} by month")
clinical.stays_link(measure, org, rows)
ui.note(clinical.NOT_PROVEN)
