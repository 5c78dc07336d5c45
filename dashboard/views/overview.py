"""Overview: what is published, how fresh, what was rejected, the last runs and what they cost."""

from __future__ import annotations

import json

import altair as alt
import streamlit as st

from dashboard import charts, ui
from dashboard.queries import Query, versions

NAMES = {
    "facility_accreditation": "Accreditation",
    "nurse_staffing.pbj": "Staffing, hours",
    "nurse_staffing.provider_info": "Staffing, facilities",
    "clinical_quality": "Clinical quality",
}
HOW = "Upload a file (make upload), or run the demonstration (make demo-dashboard)."

everything = ui.all_published()
if everything.empty:
    raise ui.NothingPublished("No pipeline has published anything yet.", HOW)

# The runs change with what is published: all pipelines' versions together are the version of this page.
version = "-".join(versions(everything).values())
runs, reasons = ui.answers(Query.of("common/runs", version, rows=30), Query.of("common/reasons", version))

for pipeline, rows in everything.groupby("pipeline"):
    newest = rows.sort_values(["published_at", "slice"]).iloc[-1]
    read, rejected = int(rows["lines_read"].sum()), int(rows["lines_rejected"].sum())
    with st.container(border=True):
        st.subheader(NAMES.get(str(pipeline), str(pipeline)))
        one, two, three, four = st.columns(4)
        one.metric("Published", ui.ago(newest["published_at"]))
        two.metric("Slices", f"{len(rows):,}")
        three.metric("Lines accepted", f"{int(rows['lines_accepted'].sum()):,}")
        four.metric("Lines rejected", ui.percent(rejected / read if read else None, 2))
        ui.note(
            f"Newest: {newest['slice']}, published {newest['published_at']:%Y-%m-%d %H:%M} UTC. "
            f"{read:,} lines of its uploads were read and {rejected:,} rejected."
        )

ui.headline("Published slices", "publications")
slices = everything.assign(
    age=everything["published_at"].map(ui.ago),
    rows=everything["result_rows"].map(lambda text: sum(json.loads(text).values())).astype("Int64"),
)
ui.table(
    slices[
        [
            "pipeline",
            "slice",
            "action",
            "published_at",
            "age",
            "rows",
            "lines_read",
            "lines_accepted",
            "lines_superseded",
            "lines_rejected",
            "bytes",
        ]
    ],
    "published-slices",
    label="Published slices of all pipelines",
)

total = int(reasons["lines"].sum()) if len(reasons) else 0
ui.headline(
    "Rejected lines by reason",
    "reject_reasons",
    f"{total:,} lines were rejected in all runs; the most frequent reason is {reasons.sort_values('lines').iloc[-1]['reason']}."
    if total
    else "No line was rejected.",
)
if total:
    ui.chart(
        alt.Chart(reasons)
        .mark_bar(color=charts.BLUE)
        .encode(
            x=alt.X("lines:Q", title="Lines"),
            y=alt.Y("reason:N", title=None, sort="-x", axis=alt.Axis(labelLimit=260)),
            row=alt.Row("pipeline:N", title=None, header=alt.Header(labelAngle=0, labelAlign="left"))
            if reasons["pipeline"].nunique() > 1
            else alt.Row(),
            tooltip=["pipeline", "reason", alt.Tooltip("lines:Q", format=",")],
        )
        .resolve_scale(y="independent"),
        "Bars: rejected lines by reason",
    )
    ui.table(reasons, "rejected-by-reason", label="Rejected lines by pipeline and reason")

ui.headline("Last runs", "runs")
if runs.empty:
    ui.nothing("No run has written a report.", HOW)
else:
    price = ui.reader().config.dollars_per_terabyte
    runs["cost"] = (runs["bytes_scanned"] / 1e12 * price).astype("float64")
    shown = runs.drop(columns=["run_id"])
    ui.table(shown, "runs", label="Last runs")
    scanned, cost = float(runs["bytes_scanned"].sum()), float(runs["cost"].sum())
    ui.headline(
        "Cost",
        "cost",
        f"The {len(runs):,} runs above scanned {ui.size(scanned)} in Athena: US\\$ {cost:.4f} at US\\$ {price:g} a terabyte.",
    )
    newest_run = runs.iloc[0]
    st.page_link(
        "views/run.py",
        label="Report of the last run",
        icon=":material/description:",
        query_params={"pipeline": str(newest_run["pipeline"]), "run": str(newest_run["run"])},
    )
