"""How the columns of tables are shown: label, format and what they mean. Downloads have the names of the columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import streamlit as st


@dataclass(frozen=True)
class Column:
    """``kind``: text, count, number, precise (5 digits), share (of 1, shown as %), date, time or flag."""

    label: str
    kind: str = "text"
    help: str | None = None

    def config(self) -> Any:
        kinds = {
            "text": lambda: st.column_config.TextColumn(self.label, help=self.help),
            "count": lambda: st.column_config.NumberColumn(self.label, help=self.help, format="localized"),
            "number": lambda: st.column_config.NumberColumn(self.label, help=self.help, format="localized"),
            "precise": lambda: st.column_config.NumberColumn(self.label, help=self.help, format="%.5f"),
            "share": lambda: st.column_config.NumberColumn(self.label, help=self.help, format="percent"),
            "date": lambda: st.column_config.DateColumn(self.label, help=self.help, format="YYYY-MM-DD"),
            "time": lambda: st.column_config.DatetimeColumn(
                self.label, help=self.help, format="YYYY-MM-DD HH:mm:ss"
            ),
            "flag": lambda: st.column_config.CheckboxColumn(self.label, help=self.help),
        }
        return kinds[self.kind]()


COLUMNS: dict[str, Column] = {
    # --- runs and publications
    "pipeline": Column("Pipeline"),
    "slice": Column("Slice", help="What is published as a whole: a snapshot, a quarter"),
    "action": Column("Action", help="publish or rollback"),
    "published_at": Column("Published (UTC)", "time"),
    "age": Column("Age", help="Time since it was published"),
    "reason": Column("Reason"),
    "run": Column("Run"),
    "run_id": Column("Run"),
    "outcome": Column("Outcome"),
    "started_at": Column("Started (UTC)", "time"),
    "finished_at": Column("Finished (UTC)", "time"),
    "seconds": Column("Seconds", "count"),
    "longest_seconds": Column("Longest, seconds", "count"),
    "task": Column("Task"),
    "instances": Column("Instances", "count"),
    "key": Column("Object"),
    "files_loaded": Column("Files", "count", "Files that were loaded"),
    "files_skipped": Column("Skipped", "count", "Objects that are no data, or could not be read"),
    "lines": Column("Lines", "count"),
    "lines_read": Column("Lines read", "count"),
    "lines_accepted": Column("Accepted", "count"),
    "lines_superseded": Column("Superseded", "count", "A later line of the same key replaced them"),
    "lines_rejected": Column("Rejected", "count"),
    "rejected_share": Column("Rejected, share", "share"),
    "rows": Column("Rows", "count", "Rows of all results"),
    "bytes": Column("Bytes", "count", "Bytes of the published files"),
    "bytes_scanned": Column("Bytes scanned", "count", "Bytes that Athena read for the run"),
    "cost": Column("Cost, US$", "precise", "Bytes scanned at the price of a terabyte"),
    "version": Column("Version"),
    # --- accreditation
    "snapshot_date": Column("Snapshot", "date"),
    "state_code": Column("State"),
    "state_name": Column("Name"),
    "state": Column("State"),
    "facilities": Column("Facilities", "count"),
    "accredited_facilities": Column("Accredited", "count"),
    "accredited_share": Column("Accredited, share", "share"),
    "facility_id": Column("Facility"),
    "facility_name": Column("Name"),
    "city": Column("City"),
    "accreditation_body": Column("Accreditor"),
    "accreditation_id": Column("Accreditation"),
    "valid_until": Column("Valid until", "date"),
    "days_until_expiry": Column("Days left", "count", "From the day of the run to the last valid day"),
    "accreditations": Column("Accreditations", "count"),
    "week": Column("Week from", "date"),
    "employee_count": Column("Employees", "count"),
    "number_of_offered_services": Column("Services", "count"),
    "expiry_date_of_first_accreditation": Column("First expiry", "date", "The earliest valid_until"),
    "first_listed_accreditation_expiry": Column(
        "Expiry of first listed", "date", "valid_until of the accreditation listed first"
    ),
    "reject_reason": Column("First reason"),
    "reject_reasons": Column("All reasons"),
    "source_file": Column("Upload"),
    "line_number": Column("Line", "count"),
    "files": Column("Uploads", "count"),
    # --- staffing
    "ccn": Column("CCN", help="CMS Certification Number"),
    "provider_name": Column("Name"),
    "quarter": Column("Quarter"),
    "month": Column("Month"),
    "place": Column("Place"),
    "hprd": Column("Hours per resident and day", "precise"),
    "total_hprd": Column("Total hours per resident and day", "precise"),
    "rn_hprd": Column("RN", "precise", "Hours of registered nurses per resident and day"),
    "lpn_hprd": Column("LPN", "precise", "Hours of licensed practical nurses per resident and day"),
    "aide_hprd": Column("Aides", "precise", "Hours of aides per resident and day"),
    "direct_hprd": Column(
        "Direct care", "precise", "Hours per resident and day without directors and administration"
    ),
    "cms_total_hprd": Column("Total, CMS", "precise", "What CMS reports for the same quarter"),
    "total_difference": Column("Ours less CMS", "precise"),
    "total_gap": Column(
        "Weekend gap", "precise", "All nursing hours per resident and day on weekends less Monday to Friday"
    ),
    "percentile": Column(
        "Percentile in state", "number", "Share of the facilities of its state with fewer hours, 0 to 100"
    ),
    "resident_days": Column("Resident-days", "count"),
    "hours": Column("Hours", "number"),
    "days": Column("Days", "count", "Days that were reported"),
    "implausible": Column(
        "Implausible", help="low: total below 1.5 hours; high: above 12; aide: aides above 5.25 (CMS)"
    ),
    "incomplete": Column("Incomplete", "flag", "Fewer days than the quarter has"),
    "days_without_rn": Column(
        "Days without RN", "count", "Days with residents and without a registered nurse"
    ),
    "ownership_type": Column("Ownership"),
    "staffing_rating": Column("Staffing rating", "count", "1 to 5 stars"),
    "overall_rating": Column("Overall rating", "count", "1 to 5 stars"),
    "work_date": Column("Day", "date"),
    "census": Column("Residents", "count", "Residents at midnight"),
    "rn_hours": Column("RN hours", "number"),
    "lpn_hours": Column("LPN hours", "number"),
    "aide_hours": Column("Aide hours", "number"),
    "total_hours": Column("Total hours", "number"),
    "employee_hours": Column("Hours of employees", "number"),
    "contract_hours": Column("Hours of contract staff", "number"),
    "contract_share": Column("Contract staff, share", "share"),
    "flag": Column("Flag", help="Why the day is implausible; such days are shown, not dropped"),
    "facilities_without_beds": Column("Without known beds", "count"),
    "bed_days": Column("Bed-days", "count", "Certified beds times days with a census"),
    "beds": Column("Beds", "count", "Certified beds"),
    "occupancy": Column("Occupancy", "share"),
    "over_capacity": Column("Over capacity", "flag", "More than 105 % of the beds occupied"),
    # --- clinical quality
    "measure": Column("Measure"),
    "org_id": Column("Hospital"),
    "period": Column("Year"),
    "numerator": Column("Numerator", "count"),
    "denominator": Column("Denominator", "count"),
    "rate": Column("Rate", "share"),
    "per_1000": Column("Per 1,000 patient-days", "number"),
    "mean_days": Column("Mean, days", "number"),
    "ci_low": Column("95 % from", "share", "Lower end of the 95 % Wilson interval"),
    "ci_high": Column("95 % to", "share", "Upper end of the 95 % Wilson interval"),
    "suppressed": Column(
        "Not shown", "flag", "A small count, or one from which a small count could be computed"
    ),
    "outside": Column("Funnel", help="Against the limits around all hospitals"),
    "infection": Column("Infection"),
    "stays": Column("Stays", "count"),
    "length": Column("Days of stay"),
    "los": Column("Days of stay", "count", "Midnights between admission and discharge"),
    "disposition": Column("Discharged to"),
    "planned": Column("Planned", "flag"),
    "psychiatric": Column("Psychiatry or rehabilitation", "flag"),
    "died": Column("Died", "flag", "Died in hospital"),
    "episode_place": Column("Place in episode", "count"),
    "episode_stays": Column("Stays of episode", "count"),
    "is_index": Column("Index stay", "flag", "The stay from which readmission counts"),
}


def config_of(names: list[str]) -> dict[str, Any]:
    """Streamlit's configuration of columns.

    Raises:
        KeyError: for a column without a label.
    """
    return {name: COLUMNS[name].config() for name in names}
