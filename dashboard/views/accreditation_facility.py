"""One facility through its snapshots."""

from __future__ import annotations

import altair as alt
import streamlit as st

from dashboard import charts, ui
from dashboard.queries import Query

accreditation = ui.published(
    "facility_accreditation", "Upload facility records: make upload FILE=... SNAPSHOT=..."
)
snapshot = ui.select("Snapshot", "snapshot", accreditation.names)
state = ui.state_filter()
text = ui.text("Name or id contains", "find")
asked = ui.chosen("facility")


def about(facility: str) -> list[Query]:
    return [
        accreditation.query("accreditation/facility", facility=facility),
        accreditation.query("accreditation/facility_expiring", snapshot=snapshot, facility=facility),
    ]


if asked:
    ui.begin(*about(asked))
[found] = ui.answers(
    accreditation.query(
        "accreditation/facility_search", snapshot=snapshot, state=state, text=text.strip().lower()
    )
)
names = dict(zip(found["facility_id"], found["facility_name"], strict=True))
if asked and asked not in names:
    names[asked] = asked
if not names:
    ui.nothing("No facility of this snapshot matches.", "Change the text, or choose all states.")
    st.stop()
facility = ui.select(
    "Facility (50 at most)",
    "facility",
    list(names),
    names={key: f"{name} ({key})" for key, name in names.items()},
    fixed=True,
)
history, expiring = ui.answers(*about(facility))
ui.source_line(accreditation, accreditation.of_slice(snapshot), "snapshot")
if history.empty:
    ui.nothing(
        f"No published snapshot has a facility {ui.plain(facility)}.",
        "Look for it by name, or at the rejected lines.",
    )
    st.stop()

latest = history.iloc[-1]
ui.headline(
    ui.plain(latest["facility_name"]),
    "facility",
    f"{facility}, {latest['state']}. In {len(history)} of {len(accreditation.names)} published snapshots, latest "
    f"{latest['snapshot_date']:%Y-%m-%d}.",
)
one, two, three, four = st.columns(4)
before = history.iloc[-2] if len(history) > 1 else None
one.metric(
    "Employees",
    f"{latest['employee_count']:,}",
    f"{latest['employee_count'] - before['employee_count']:+,}" if before is not None else None,
    delta_color="off",
)
two.metric("Services", f"{latest['number_of_offered_services']:,}")
first = latest["expiry_date_of_first_accreditation"]
three.metric("First expiry", f"{first:%Y-%m-%d}" if first == first else "none")  # NaT is not equal to itself
four.metric("Expire within the window", f"{len(expiring):,}")

ui.chart(
    alt.Chart(history)
    .mark_line(point=True, color=charts.BLUE)
    .encode(
        x=alt.X(
            "snapshot_date:T", title=None, axis=alt.Axis(format="%Y-%m-%d", tickCount=min(8, len(history)))
        ),
        y=alt.Y(
            "employee_count:Q",
            title="Employees",
            scale=alt.Scale(zero=False),
            axis=alt.Axis(format=",.0f", tickMinStep=1),
        ),
        tooltip=[
            alt.Tooltip("snapshot_date:T", title="Snapshot"),
            alt.Tooltip("employee_count:Q", title="Employees", format=","),
        ],
    ),
    "Line: employees of the facility in each snapshot",
    220,
)
ui.table(
    history.drop(columns=["facility_id"]),
    f"facility_{facility}",
    accreditation,
    label="The facility in each snapshot",
)
st.subheader("Accreditations that expire within the window")
if expiring.empty:
    ui.nothing("None of its accreditations expires within the window.", "")
else:
    ui.table(
        expiring,
        f"facility-expiring_{facility}",
        accreditation,
        label="Accreditations of the facility that expire",
    )
