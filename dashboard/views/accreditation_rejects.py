"""The rejected lines of a snapshot, each with its reasons."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, ui
from dashboard.queries import ROWS

accreditation = ui.published(
    "facility_accreditation", "Upload facility records: make upload FILE=... SNAPSHOT=..."
)
snapshot = ui.select("Snapshot", "snapshot", accreditation.names)
reason = ui.chosen("reason")
page = ui.asked_page(snapshot, reason)
skip = (page - 1) * ui.PAGE_ROWS
reasons, rows = ui.answers(
    accreditation.query("accreditation/rejects_by_reason", snapshot=snapshot),
    accreditation.query(
        "accreditation/rejects", snapshot=snapshot, reason=reason, skip=skip, until=skip + ui.PAGE_ROWS
    ),
)
ui.select("Reason", "reason", list(reasons["reject_reason"]), every="All reasons")
row = accreditation.of_slice(snapshot)
ui.source_line(accreditation, row, "snapshot")
if reasons.empty:
    ui.nothing("No line of this snapshot was rejected.", "")
    st.stop()

total = int(reasons["lines"].sum())
top = reasons.iloc[0]
ui.headline(
    "By reason",
    "rejects",
    f"{total:,} of {row['lines_read']:,} lines were rejected ({ui.percent(total / row['lines_read'], 2)}); most because of "
    f"{top['reject_reason']} ({top['lines']:,}).",
)
ui.chart(
    charts.ranking(reasons, "lines", "reject_reason", "Lines", ",d"),
    "Bars: rejected lines by the first rule they broke",
)
ui.table(reasons, f"rejects-by-reason_{snapshot}", accreditation, label="Rejected lines by reason")
st.subheader("Lines")
count = int(reasons[reasons["reject_reason"] == reason]["lines"].sum()) if reason else total
ui.pager(count)
ui.table(
    rows,
    f"rejects_{snapshot}_page{page}",
    accreditation,
    label="Rejected lines with their reasons",
    full=lambda: ui.answers(
        accreditation.query("accreditation/rejects", snapshot=snapshot, reason=reason, skip=0, until=ROWS)
    )[0],
    full_rows=count,
)
ui.note(
    "Uploads move from landing/ to archive/ once they are processed; quarantine/ has the lines as they came."
)
