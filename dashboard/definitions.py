"""What each number of the pages is: one place for its words, numerator and denominator."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Definition:
    """``source``: tables or views; ``limits``: what the number does not show."""

    title: str
    text: str
    source: str
    numerator: str = ""
    denominator: str = ""
    limits: str = ""


DEFINITIONS: dict[str, Definition] = {
    "publications": Definition(
        "Published slices",
        "The newest publication or rollback of each slice. A slice is published as a whole or not at all.",
        "`publications`",
    ),
    "runs": Definition(
        "Runs",
        "Runs that processed uploads. Every line that was read is accepted, superseded by a later line of the same key, or "
        "rejected with a reason.",
        "`run_reports`",
        limits="A run that failed before its report has no row here; Airflow has it.",
    ),
    "cost": Definition(
        "Cost",
        "Bytes that Athena scanned for the pipelines' own queries, at the price of a terabyte. Athena bills 10 MB per query at "
        "least, so small runs cost more than this.",
        "`run_reports.bytes_scanned`",
    ),
    "reject_reasons": Definition(
        "Rejected lines by reason",
        "A line counts once, under the first rule that it broke. docs/data-quality.md describes each rule.",
        "`run_reports.rejected_by_reason`",
        limits="Lines of an upload that was processed twice count twice.",
    ),
    "accredited": Definition(
        "Accredited facilities",
        "A facility is accredited if at least one of its accreditations is valid on the day that the run looked at (as_of), "
        "or later.",
        "`accredited_facilities_by_state`",
        numerator="facilities with an accreditation valid on as_of or later",
        denominator="all accepted facilities of the state, each counted once",
        limits="how good a facility is, or which services are accredited. Rejected lines are not in the denominator.",
    ),
    "expiring": Definition(
        "Expiring accreditations",
        "Accreditations whose last valid day lies within the window from as_of on, both ends included (6 months unless the "
        "run says otherwise). Weeks begin on Monday.",
        "`expiring_accreditations`",
        limits="renewals that were not uploaded yet; accreditations that have expired already.",
    ),
    "facility": Definition(
        "A facility through its snapshots",
        "What each published snapshot says of the facility. First expiry is the earliest valid_until of its accreditations.",
        "`facility_metrics`, `expiring_accreditations`",
        limits="snapshots that do not list the facility have no row.",
    ),
    "rejects": Definition(
        "Rejected lines",
        "Lines of the uploads of this snapshot that broke a rule. The first rule counts; all are listed. "
        "docs/data-quality.md describes each rule and its remedy.",
        "`facility_rejects`",
    ),
    "hprd_total": Definition(
        "Hours per resident and day",
        "Paid hours of nursing staff, divided by residents at midnight, over the days with residents. Registered nurses (RN), "
        "licensed practical nurses (LPN) and aides, with directors of nursing and nurses with administrative duties, as CMS counts "
        "them. States and the nation are sums over sums, not means of facilities.",
        "`v_hprd_state_quarter`, `v_hprd_facility_quarter`, `v_weekend_gap_state_quarter`",
        numerator="hours of the group on days with residents",
        denominator="residents of these days (resident-days)",
        limits="quality of care, or how sick the residents are; facilities report the hours themselves. Figures without "
        "administrative nurses, such as some advocates publish, are lower: choose direct care.",
    ),
    "hprd_direct": Definition(
        "Hours of direct care per resident and day",
        "As hours per resident and day, without directors of nursing and without RNs and LPNs with administrative duties.",
        "`v_hprd_state_quarter`, `v_hprd_facility_quarter`, `v_weekend_gap_state_quarter`",
        numerator="hours of RNs, LPNs and aides without directors and administrative duties, on days with residents",
        denominator="residents of these days (resident-days)",
        limits="what CMS publishes: CMS counts directors and administrative nurses.",
    ),
    "days": Definition(
        "Census and hours of each day",
        "What the facility reported. Implausible days are marked and stay: hours without residents, residents without hours, more "
        "than 24 hours per resident, no census.",
        "`gold_daily_staffing_fact`",
        limits="hours of therapists and others who are not nursing staff.",
    ),
    "contract_share": Definition(
        "Contract staff",
        "Hours of contract staff of all nursing hours, over all days, whether the facility has residents or not.",
        "`v_staffing_mix_state_month`",
        numerator="hours of contract staff, all jobs",
        denominator="hours of employees and contract staff, all jobs",
        limits="how long somebody works there, or how well.",
    ),
    "occupancy": Definition(
        "Occupancy",
        "Residents at midnight in certified beds. Beds are those of the latest Provider Information until the end of the month, "
        "else of the earliest later one. It is not capped: above 105 % it is marked.",
        "`v_bed_utilization_state_month`, `v_staffing_vs_occupancy_month`",
        numerator="residents of all days with a census",
        denominator="certified beds times these days, of facilities whose beds are known",
        limits="beds that are certified and not staffed.",
    ),
    "mortality_in_hospital": Definition(
        "In-hospital mortality",
        "Stays that ended with death in hospital.",
        "`v_public_clinical_measures`",
        numerator="stays that ended with death",
        denominator="all stays",
        limits="deaths after discharge; it is not adjusted for risk.",
    ),
    "mortality_30d": Definition(
        "30-day mortality",
        "Episodes (stays joined by transfers) whose patient died within 30 days of admission, at the hospital of the first stay. "
        "Left out: against medical advice, hospice, unknown vital status, less than 30 days of follow-up.",
        "`v_public_clinical_measures`",
        numerator="episodes with death 0 to 30 days after admission",
        denominator="episodes that are not left out",
        limits="it is not adjusted for risk.",
    ),
    "readmission_30d": Definition(
        "30-day readmission",
        "Episodes whose patient came back 1 to 30 days after discharge, at any hospital; they count at the hospital that "
        "discharged. Left out: death, transfer to acute care, against medical advice, psychiatry and rehabilitation, less than 30 "
        "days of follow-up.",
        "`v_public_clinical_measures`",
        numerator="episodes followed by another one within 1 to 30 days",
        denominator="episodes that are not left out",
        limits="whether it could have been avoided; it is not adjusted for risk.",
    ),
    "readmission_30d_unplanned": Definition(
        "Unplanned 30-day readmission",
        "As 30-day readmission, without planned admissions (priority EL).",
        "`v_public_clinical_measures`",
        numerator="episodes followed by an unplanned one within 1 to 30 days",
        denominator="episodes that are not left out",
        limits="whether it could have been avoided; it is not adjusted for risk.",
    ),
    "same_day_stays": Definition(
        "Same-day stays",
        "Stays that ended on the day they began.",
        "`v_public_clinical_measures`",
        numerator="stays of 0 days",
        denominator="all stays",
    ),
    "alos": Definition(
        "Length of stay",
        "Midnights between admission and discharge, deaths included. The mean is the days of all stays by the stays; the median is "
        "the stay in the middle.",
        "`v_clinical_stays`, `v_public_clinical_measures`",
        numerator="days of all stays",
        denominator="stays",
        limits="it is not adjusted for risk.",
    ),
    "hai": Definition(
        "Hospital-onset infections",
        "Infections that began on day 3 of a stay or later, until the day after discharge; not again within 14 days. From diagnosis "
        "codes: sepsis (SNOMED CT 91302008, 10001005, 76571007), pneumonia (233604007, 425464007, 429271009), urinary tract infection "
        "(68566005), Clostridioides difficile (186431008), surgical site infection; ICD-10 codes likewise.",
        "`v_public_clinical_measures`",
        numerator="infection events",
        denominator="patient-days (midnights); the rate is per 1,000 of them",
        limits="what surveillance would find: codes are a proxy.",
    ),
}
