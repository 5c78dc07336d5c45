"""The entry point: ``streamlit run dashboard/app.py``."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from dashboard import access, ui
from dashboard.config import ConfigError
from dashboard.errors import QueryError

#: A file, because Streamlit's own icons come from another host.
ICON = Path(__file__).parent / "icon.svg"
PAGES = {
    "": [
        ("views/overview.py", "Overview", ":material/dashboard:", ""),
        ("views/run.py", "Run report", ":material/description:", "run"),
    ],
    "Accreditation": [
        ("views/accreditation_states.py", "Accredited by state", ":material/map:", "accreditation-states"),
        (
            "views/accreditation_expiring.py",
            "Expiring accreditations",
            ":material/event_busy:",
            "accreditation-expiring",
        ),
        ("views/accreditation_facility.py", "One facility", ":material/apartment:", "accreditation-facility"),
        ("views/accreditation_rejects.py", "Rejected lines", ":material/rule:", "accreditation-rejects"),
    ],
    "Staffing": [
        ("views/staffing_states.py", "Hours by state", ":material/map:", "staffing-states"),
        (
            "views/staffing_facilities.py",
            "Hours by facility",
            ":material/format_list_numbered:",
            "staffing-facilities",
        ),
        ("views/staffing_facility.py", "One nursing home", ":material/home_health:", "staffing-facility"),
        ("views/staffing_months.py", "Contract staff and beds", ":material/bed:", "staffing-months"),
        (
            "views/staffing_occupancy.py",
            "Hours and occupancy",
            ":material/scatter_plot:",
            "staffing-occupancy",
        ),
    ],
    "Clinical quality": [
        ("views/clinical_mortality.py", "Mortality", ":material/monitor_heart:", "clinical-mortality"),
        ("views/clinical_readmission.py", "Readmission", ":material/undo:", "clinical-readmission"),
        ("views/clinical_infections.py", "Infections", ":material/coronavirus:", "clinical-infections"),
        ("views/clinical_los.py", "Length of stay", ":material/hotel:", "clinical-length-of-stay"),
        ("views/clinical_stays.py", "Stays behind a rate", ":material/list:", "clinical-stays"),
    ],
}


def main() -> None:
    st.set_page_config(
        page_title="MedLaunch",
        page_icon=str(ICON),
        layout="wide",
        initial_sidebar_state="auto",
    )
    page = st.navigation(
        {
            section: [
                st.Page(file, title=title, icon=icon, url_path=path or None, default=not path)
                for file, title, icon, path in pages
            ]
            for section, pages in PAGES.items()
        },
        expanded=True,
    )
    if not access.granted():
        return
    st.title(page.title)
    try:
        page.run()
        outdated = ui.outdated()
    except QueryError as error:
        ui.problem(error)
        outdated = False
    ui.footer()
    if outdated:
        st.rerun()


def run() -> None:
    try:
        main()
    except ConfigError as error:
        st.error(f"**The dashboard's settings cannot be used.** {error}", icon=":material/settings:")


if __name__ == "__main__":
    run()
