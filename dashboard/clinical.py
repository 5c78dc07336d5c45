"""What the clinical pages share: measures, organizations, suppression and limits."""

from __future__ import annotations

from math import sqrt

import pandas as pd
import streamlit as st

from dashboard import ui
from dashboard.queries import Query

MEASURES = {
    "mortality_in_hospital": "In-hospital mortality",
    "mortality_30d": "30-day mortality",
    "readmission_30d": "30-day readmission",
    "readmission_30d_unplanned": "30-day readmission, unplanned",
    "same_day_stays": "Same-day stays",
    "alos": "Average length of stay",
}
INFECTIONS = {
    "hai_sepsis_per_1000_patient_days": "Sepsis",
    "hai_pneumonia_per_1000_patient_days": "Pneumonia",
    "hai_uti_per_1000_patient_days": "Urinary tract infection",
    "hai_cdiff_per_1000_patient_days": "Clostridioides difficile",
    "hai_ssi_per_1000_patient_days": "Surgical site infection",
}
ALL = "ALL"
HOW = "Upload FHIR resources to landing/fhir/ (make demo-dashboard shows a sample)."
Z95, Z998 = 1.959963984540054, 3.090232306167813
NOT_PROVEN = (
    "Observed rates, not adjusted for risk: hospitals with sicker patients have higher ones. Infections are proxies from diagnosis "
    "codes, not surveillance."
)


def published() -> ui.Published:
    return ui.published("clinical_quality", HOW)


def minimum() -> int:
    return ui.reader().config.minimum_cell


def hidden_text(count: int) -> str:
    """A sentence about what is not shown; '' if everything is."""
    if not count:
        return ""
    return (
        f" {count} value{'s are' if count != 1 else ' is'} not shown: fewer than {minimum()} patients, or a number from which such "
        "a count could be computed."
    )


def organizations(published: ui.Published) -> pd.DataFrame:
    [found] = ui.answers(published.query("clinical/organizations"))
    if found.empty:
        raise ui.NothingPublished("No measure has been published yet.", HOW)
    return found


def organization_filter(found: pd.DataFrame) -> str:
    """An organization, or all of them together."""
    others = [one for one in found["org_id"] if one != ALL]
    return ui.select("Hospital", "org", [ALL, *others], names={ALL: "All hospitals"})


def source_line(published: ui.Published, data_end: pd.Timestamp) -> None:
    row = published.slices.sort_values("published_at").iloc[-1]
    ui.source_line(published, row, f"data until {data_end:%Y-%m-%d}, slice")


def totals(published: ui.Published, measures: str) -> Query:
    return published.query("clinical/totals", measures=measures, minimum=minimum())


def wilson(numerator: float, denominator: float, z: float = Z95) -> tuple[float, float] | tuple[None, None]:
    """The Wilson interval of a proportion; (None, None) without a denominator."""
    if not denominator:
        return None, None
    share = numerator / denominator
    middle = (share + z * z / (2 * denominator)) / (1 + z * z / denominator)
    half = (
        z
        * sqrt(share * (1 - share) / denominator + z * z / (4 * denominator * denominator))
        / (1 + z * z / denominator)
    )
    return max(0.0, middle - half), min(1.0, middle + half)


def with_intervals(rows: pd.DataFrame) -> pd.DataFrame:
    """Proportions with the ends of their 95 % intervals."""
    ends = [
        wilson(float(row.numerator), float(row.denominator)) if not row.suppressed else (None, None)
        for row in rows.itertuples()
    ]
    return rows.assign(
        ci_low=pd.array([low for low, _ in ends], dtype="Float64").astype("float64"),
        ci_high=pd.array([high for _, high in ends], dtype="Float64").astype("float64"),
    )


def funnel(overall: float, cases_of: pd.Series) -> pd.DataFrame:
    """The limits within which 95 % and 99.8 % of hospitals would lie by chance, by their number of cases."""
    smallest, largest, steps = max(5, int(cases_of.min()) // 2), int(cases_of.max()) * 6 // 5, 60
    sizes = sorted(
        {round(smallest + (largest - smallest) * (step / steps) ** 2) for step in range(steps + 1)}
    )
    rows = []
    for cases in sizes:
        spread = sqrt(overall * (1 - overall) / cases)
        for name, z in (("95 %", Z95), ("99.8 %", Z998)):
            rows.append(
                {
                    "denominator": cases,
                    "limits": name,
                    "low": max(0.0, overall - z * spread),
                    "high": min(1.0, overall + z * spread),
                }
            )
    return pd.DataFrame(rows)


def suppress_bins(bins: pd.DataFrame, least: int) -> pd.DataFrame:
    """A distribution without counts from 1 to ``least - 1``, and with no such count that the total would show.

    If one bin alone is hidden, so is the smallest other one that is not empty.
    """
    hidden = bins["stays"].between(1, least - 1)
    if hidden.sum() == 1 or (hidden.any() and 0 < bins.loc[hidden, "stays"].sum() < least):
        others = bins.loc[~hidden & (bins["stays"] > 0), "stays"]
        if len(others):
            hidden.loc[others.idxmin()] = True
    return bins.assign(stays=bins["stays"].astype("Int64").mask(hidden), suppressed=hidden)


def stays_link(measure: str, org: str, months: pd.DataFrame) -> None:
    """From a rate to the stays behind it: those of the latest month that is shown and has any."""
    seen = months[~months["suppressed"] & (months["numerator"] > 0)]
    if seen.empty:
        return
    month = str(seen["month"].max())
    st.page_link(
        "views/clinical_stays.py",
        label=f"The stays behind {MEASURES[measure].lower()} in {month}",
        icon=":material/list:",
        query_params={"measure": measure, "org": org, "month": month},
    )
