"""The report of one run: what it read, what it rejected and skipped, what it published, what each task took."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import streamlit as st

from dashboard import ui
from dashboard.queries import Query, versions

everything = ui.all_published()
if everything.empty:
    raise ui.NothingPublished(
        "No pipeline has published anything yet.",
        "Upload a file (make upload), or look at its runs in Airflow.",
    )
version = "-".join(versions(everything).values())
asked_pipeline, asked_run = ui.chosen("pipeline"), ui.chosen("run")
if asked_pipeline and asked_run:
    ui.begin(Query.of("common/run", version, pipeline=asked_pipeline, run=asked_run))
[runs] = ui.answers(Query.of("common/runs", version, rows=500))
if runs.empty:
    raise ui.NothingPublished("No run has written a report yet.", "Look at the runs in Airflow.")

# The run of a shared link may be older than the newest 500.
pipelines = sorted({*runs["pipeline"], *([asked_pipeline] if asked_pipeline else [])})
pipeline = ui.select("Pipeline", "pipeline", pipelines, fixed=True)
names = list(runs[runs["pipeline"] == pipeline]["run"])
if asked_run and asked_run not in names and asked_pipeline == pipeline:
    names.append(asked_run)
run = ui.select("Run", "run", names, fixed=True)

[found] = ui.answers(Query.of("common/run", version, pipeline=pipeline, run=run))
if found.empty:
    raise ui.NothingPublished(
        f"The pipeline {ui.plain(pipeline)} has no report of the run {ui.plain(run)}.",
        "Reports of rollbacks and replays are in reports/ of the lake. Choose another run.",
    )
report = found.iloc[0]


def frame(column: str, *names: str) -> pd.DataFrame:
    """A list or a map of the report as a table."""
    value: Any = json.loads(report[column])
    rows = (
        value if isinstance(value, list) else [{names[0]: key, names[1]: one} for key, one in value.items()]
    )
    return pd.DataFrame(rows, columns=list(names))


ui.note(
    f"{report['run_id']} · started {report['started_at']:%Y-%m-%d %H:%M:%S} UTC, finished "
    f"{report['finished_at']:%Y-%m-%d %H:%M:%S} UTC · medlaunch {report['medlaunch_version']}, "
    f"Airflow {report['airflow_version']}, Python {report['python_version']} · environment {report['environment']}"
)
if link := ui.airflow_link(pipeline, str(report["run_id"])):
    st.link_button("Open in Airflow", link, icon=":material/open_in_new:")

one, two, three, four = st.columns(4)
one.metric("Outcome", str(report["outcome"]).replace("_", " "))
two.metric("Lines read", f"{report['lines_read']:,}")
three.metric(
    "Accepted",
    f"{report['lines_accepted']:,}",
    f"{report['lines_superseded']:,} superseded",
    delta_color="off",
    delta_arrow="off",
)
four.metric("Rejected", f"{report['lines_rejected']:,}")
adds_up = (
    report["lines_read"] == report["lines_accepted"] + report["lines_superseded"] + report["lines_rejected"]
)
st.markdown(
    "Every line is accounted for: read = accepted + superseded + rejected."
    if adds_up
    else ":red[The lines do not add up: read is not accepted + superseded + rejected.]"
)

ui.headline("Published", "publications")
ui.table(frame("slices", "slice", "version"), "run-slices", label="Slices that the run published")
ui.headline("Rejected lines by reason", "reject_reasons")
reasons = frame("rejected_by_reason", "reason", "lines").sort_values("lines", ascending=False)
if reasons.empty:
    st.markdown("No line was rejected.")
else:
    ui.table(reasons, "run-reasons", label="Rejected lines of the run by reason")
skipped = frame("skipped", "key", "reason")
st.subheader("Skipped objects")
if skipped.empty:
    st.markdown("No object was skipped.")
else:
    ui.table(skipped, "run-skipped", label="Objects that were not loaded")
st.subheader("Tasks")
tasks = frame("tasks", "task", "instances", "seconds", "longest_seconds")
for column in ("instances", "seconds", "longest_seconds"):
    tasks[column] = pd.to_numeric(tasks[column])
st.markdown(f"Athena scanned {ui.size(float(report['bytes_scanned']))} for this run.")
ui.table(tasks, "run-tasks", label="Seconds of each task")
