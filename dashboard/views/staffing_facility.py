"""One facility: daily hours, flags, quarter to quarter, beside its state and the nation."""

from __future__ import annotations

import altair as alt
import pandas as pd
import streamlit as st

from dashboard import charts, places, staffing, ui
from dashboard.queries import Query

published = staffing.published()
quarter = staffing.quarter_filter(published)
state = ui.state_filter()
text = ui.text("Name or CCN contains", "find")
asked = ui.chosen("ccn")


def about(ccn: str) -> list[Query]:
    return [
        published.query("staffing/facility", ccn=ccn),
        published.query("staffing/facility_quarters", ccn=ccn),
        published.query("staffing/facility_days", ccn=ccn, quarter=quarter),
        published.query("staffing/state_quarters", ccn=ccn),
    ]


if asked:
    ui.begin(*about(asked))
[found] = ui.answers(published.query("staffing/facility_search", state=state, text=text.strip().lower()))
names = {row.ccn: f"{row.provider_name} ({row.ccn})" for row in found.itertuples()}
if asked and asked not in names:
    names[asked] = asked
if not names:
    ui.nothing("No facility matches.", "Change the text, or choose all states.")
    st.stop()
ccn = ui.select("Facility (50 at most)", "ccn", list(names), names=names, fixed=True)
known, quarters, days, beside = ui.answers(*about(ccn))
staffing.source_line(published, quarter)
if known.empty or quarters.empty:
    ui.nothing(f"No published quarter has a facility {ui.plain(ccn)}.", "Look for it by name.")
    st.stop()

facility = known.iloc[0]
where = places.names().get(str(facility["state"]), str(facility["state"]))
ui.headline(
    ui.plain(facility["provider_name"]),
    "hprd_total",
    f"{ui.plain(ccn)}, {ui.plain(facility['city'])}, {where}. {ui.plain(facility['ownership_type'] if facility['in_provider_info'] else 'Not in Provider Information')}."
    + (f" Chain: {ui.plain(facility['chain_name'])}." if isinstance(facility["chain_name"], str) else ""),
)
now = quarters[quarters["quarter"] == quarter]
same = beside[beside["quarter"] == quarter].set_index("place")["total_hprd"]
one, two, three, four = st.columns(4)
one.metric("Total hours per resident and day", ui.number(now["total_hprd"].iloc[0] if len(now) else None, 3))
two.metric(where, ui.number(same.get(str(facility["state"])), 3))
three.metric("Nation", ui.number(same.get("US"), 3))
four.metric(
    "Overall rating", f"{facility['overall_rating']} of 5" if pd.notna(facility["overall_rating"]) else "none"
)
if len(now):
    row = now.iloc[0]
    if isinstance(row["implausible"], str):
        st.warning(
            f"CMS leaves this quarter out of its averages ({row['implausible']}): total below 1.5 or above 12 hours, or aides "
            "above 5.25. It is shown as it was reported.",
            icon=":material/flag:",
        )
    if row["incomplete"]:
        st.warning(
            f"The facility reported {row['days']} days of {quarter}, fewer than the quarter has.",
            icon=":material/flag:",
        )
    if row["days_without_rn"] >= 4:
        st.warning(
            f"{row['days_without_rn']} days with residents and without a registered nurse; 4 cost a star at CMS.",
            icon=":material/flag:",
        )

ui.headline("Each day", "days", None)
if days.empty:
    ui.nothing(f"The facility reported nothing in {quarter}.", "Choose another quarter.")
else:
    flagged = days[days["flag"].notna()]
    st.markdown(
        f"{len(days)} days, {len(flagged)} of them implausible"
        + (
            ": " + ", ".join(f"{flag} ({count})" for flag, count in flagged["flag"].value_counts().items())
            if len(flagged)
            else ""
        )
        + "."
    )
    long = days.melt(["work_date"], ["rn_hours", "lpn_hours", "aide_hours"], "group", "hours")
    long["group"] = long["group"].map({"rn_hours": "RN", "lpn_hours": "LPN", "aide_hours": "Aides"})
    chart = alt.Chart(long).mark_bar().encode(
        x=alt.X("yearmonthdate(work_date):T", title=None),
        y=alt.Y("hours:Q", title="Hours"),
        color=alt.Color("group:N", title=None, sort=["RN", "LPN", "Aides"], legend=alt.Legend(orient="bottom")),
        tooltip=[alt.Tooltip("work_date:T", title="Day"), "group", alt.Tooltip("hours:Q", format=",.2f")],
    )  # fmt: skip
    said = "Stacked bars: hours of each day by group"
    # A layer of marks without any is an image without a text for readers of screens.
    if len(flagged):
        chart += alt.Chart(flagged).mark_point(shape="triangle-down", size=90, filled=True, color=charts.RED).encode(
            x="yearmonthdate(work_date):T", y=alt.Y("total_hours:Q"), tooltip=[alt.Tooltip("work_date:T", title="Day"), "flag"]
        )  # fmt: skip
        said += "; triangles mark implausible days"
    ui.chart(chart, said, 320)
    ui.table(days, f"days_{ccn}_{quarter}", published, label="Census and hours of each day")

ui.headline("Quarter to quarter", "hprd_total")
lines = pd.concat(
    [
        quarters.assign(place="This facility")[["quarter", "place", "total_hprd"]],
        beside.assign(place=beside["place"].replace({"US": "Nation", str(facility["state"]): where}))[
            ["quarter", "place", "total_hprd"]
        ],
    ]
)
ui.chart(
    alt.Chart(lines)
    .mark_line(point=True)
    .encode(
        x=alt.X("quarter:O", title=None, axis=alt.Axis(labelAngle=0)),
        y=alt.Y("total_hprd:Q", title="Hours per resident and day", scale=alt.Scale(zero=False)),
        color=alt.Color(
            "place:N", title=None, sort=["This facility", where, "Nation"], legend=alt.Legend(orient="bottom")
        ),
        strokeDash=alt.StrokeDash("place:N", legend=None, sort=["This facility", where, "Nation"]),
        tooltip=["quarter", "place", alt.Tooltip("total_hprd:Q", format=".3f")],
    ),
    f"Lines: total hours per resident and day of the facility, of {where} and of the nation in each quarter",
    280,
)
ui.table(
    quarters, f"quarters_{ccn}", published, label="The facility in each quarter, beside what CMS reports"
)
ui.note(staffing.NOT_PROVEN)
