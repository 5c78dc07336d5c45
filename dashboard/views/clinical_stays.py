"""The stays behind a rate: those in the numerator of a measure, hospital and month; without ids and days."""

from __future__ import annotations

import streamlit as st

from dashboard import clinical, ui
from dashboard.queries import ROWS, Query

published = clinical.published()
measure = ui.select("Measure", "measure", list(clinical.MEASURES), names=clinical.MEASURES, fixed=True)
org = ui.chosen("org", clinical.ALL)


def behind(month: str, page: int) -> Query:
    skip = (page - 1) * ui.PAGE_ROWS
    values = {"measure": measure, "org": org, "month": month}
    return published.query("clinical/stays", **values, skip=skip, until=skip + ui.PAGE_ROWS)


if asked := ui.chosen("month"):
    ui.begin(behind(asked, 1))
found, months = ui.answers(
    published.query("clinical/organizations"), published.query("clinical/months", org=org, measures=measure)
)
if found.empty:
    raise ui.NothingPublished("No measure has been published yet.", clinical.HOW)
org = clinical.organization_filter(found)
clinical.source_line(published, found["data_end"].max())
rows = months[months["measure"] == measure].sort_values("month", ascending=False).set_index("month")
if rows.empty:
    ui.nothing("This hospital has no stays.", "Choose another one, or all hospitals.")
    st.stop()
seen = rows[~rows["suppressed"]]
month = ui.select("Month of discharge", "month", list(rows.index), fixed=True)
row = rows.loc[month]
if row["suppressed"]:
    ui.nothing(
        f"{clinical.MEASURES[measure]} of {month} is not shown, and so are its stays: fewer than {clinical.minimum()} patients, or a "
        "number from which such a count could be computed.",
        f"Months that are shown: {', '.join(seen.index)}." if len(seen) else "Choose all hospitals.",
    )
    st.stop()

count = int(row["denominator"] if measure == "alos" else row["numerator"])
page = ui.asked_page(measure, org, month)
values = {"measure": measure, "org": org, "month": month}
[stays] = ui.answers(behind(month, page))
where = "all hospitals" if org == clinical.ALL else ui.plain(org)
ui.headline(
    f"{clinical.MEASURES[measure]}, {month}",
    measure,
    (
        f"{row['numerator']:,} of {row['denominator']:,} in {where}: {ui.percent(row['rate'], 2)} (95 % interval "
        f"{ui.percent(row['ci_low'], 2)} to {ui.percent(row['ci_high'], 2)})."
        if measure != "alos"
        else f"{row['numerator']:,} days in {row['denominator']:,} stays of {where}: {ui.number(row['rate'], 2)} days on average."
    ),
)
ui.pager(count)
ui.table(
    stays,
    f"stays_{measure}_{org}_{month}_page{page}",
    published,
    label="Stays in the numerator",
    full=lambda: ui.answers(published.query("clinical/stays", **values, skip=0, until=ROWS))[0],
    full_rows=count,
)
ui.note("Without ids of patients, encounters and episodes, and without days. " + clinical.NOT_PROVEN)
