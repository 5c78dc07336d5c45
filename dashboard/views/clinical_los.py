"""Length of stay: its distribution, and the median beside the mean."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import charts, clinical, ui

BINS = [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 6), (7, 9), (10, 13), (14, 20), (21, 29), (30, None)]

published = clinical.published()
org = ui.chosen("org", clinical.ALL)
found, lengths, months = ui.answers(
    published.query("clinical/organizations"),
    published.query("clinical/lengths", org=org),
    published.query("clinical/months", org=org, measures="alos"),
)
if found.empty:
    raise ui.NothingPublished("No measure has been published yet.", clinical.HOW)
org = clinical.organization_filter(found)
clinical.source_line(published, found["data_end"].max())

stays = int(lengths["stays"].sum()) if len(lengths) else 0
if stays < clinical.minimum():
    ui.nothing(
        f"This hospital has fewer than {clinical.minimum()} stays.", "Choose another one, or all hospitals."
    )
    st.stop()
days = lengths.loc[lengths.index.repeat(lengths["stays"].astype(int)), "los"].astype("float64")
mean, median, high = days.mean(), days.median(), days.quantile(0.9)
one, two, three, four = st.columns(4)
one.metric("Mean, days", ui.number(mean, 2))
two.metric("Median, days", ui.number(median, 1))
three.metric("9 of 10 stays are not longer than", f"{ui.number(high, 0)} days")
four.metric("Stays", f"{stays:,}")


def label(low: int, high: int | None) -> str:
    return f"{low}+" if high is None else str(low) if low == high else f"{low}-{high}"


counts = pd.DataFrame(
    {
        "length": [label(*one) for one in BINS],
        "stays": [
            int(
                lengths.loc[
                    (lengths["los"] >= low) & (lengths["los"] <= (10**9 if high is None else high)), "stays"
                ].sum()
            )
            for low, high in BINS
        ],
    }
)
bins = clinical.suppress_bins(counts, clinical.minimum())
skew = "longer stays pull the mean up" if mean > median else "few long stays"
ui.headline(
    "Distribution",
    "alos",
    f"{stays:,} stays: half of them last {ui.number(median, 0)} days or less, the mean is {ui.number(mean, 2)} ({skew})."
    + clinical.hidden_text(int(bins["suppressed"].sum())),
)
ui.chart(
    alt.Chart(bins[~bins["suppressed"]])
    .mark_bar(color=charts.BLUE)
    .encode(
        x=alt.X(
            "length:O",
            title="Days (midnights)",
            sort=[label(*one) for one in BINS],
            scale=alt.Scale(domain=[label(*one) for one in BINS]),
            axis=alt.Axis(labelAngle=0),
        ),
        y=alt.Y("stays:Q", title="Stays"),
        tooltip=["length", alt.Tooltip("stays:Q", format=",")],
    ),
    "Bars: stays by their length in days",
    300,
)
ui.table(bins, f"length-of-stay_{org}", published, label="Stays by their length")
ui.headline("Mean by month", "alos")
shown = months[~months["suppressed"]]
if len(shown):
    ui.chart(
        alt.Chart(months)
        .mark_line(point=True, color=charts.BLUE)
        .encode(
            x=alt.X("month:O", title=None, axis=alt.Axis(labelAngle=-45)),
            y=alt.Y("rate:Q", title="Days"),
            tooltip=["month", alt.Tooltip("rate:Q", format=".2f"), "numerator", "denominator"],
        ),
        "Line: average length of stay by month",
        260,
    )
    clinical.stays_link("alos", org, months)
ui.table(
    months[["month", "numerator", "denominator", "rate", "suppressed"]].rename(columns={"rate": "mean_days"}),
    f"length-of-stay-months_{org}",
    published,
    label="Average length of stay by month",
)
ui.note(clinical.NOT_PROVEN)
