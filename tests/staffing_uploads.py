"""Uploads of nurse staffing for tests: records of both data sets as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from datetime import date

from tests.staffing_model import HOURS

PBJ_HEADER = [
    "PROVNUM",
    "PROVNAME",
    "CITY",
    "STATE",
    "COUNTY_NAME",
    "COUNTY_FIPS",
    "CY_Qtr",
    "WorkDate",
    "MDScensus",
]
PBJ_HEADER += [f"Hrs_{hour}" for hour in HOURS]
PROVIDER_HEADER = ["Federal Provider Number", "Provider Name", "Provider State", "Number of Certified Beds"]
PROVIDER_HEADER += [
    "Processing Date",
    "Reported Total Nurse Staffing Hours per Resident per Day",
    "Overall Rating",
]
PROVIDER_HEADER += ["Reported RN Staffing Hours per Resident per Day", "Total Amount of Fines in Dollars"]


def as_csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> bytes:
    out = io.StringIO()
    csv.writer(out).writerows([header, *rows])
    return out.getvalue().encode()


def pbj_row(
    ccn: str, day: date | str, census: object = 10, state: str = "RI", **hours: object
) -> list[object]:
    """A record of PBJ; hours are of employees unless they say otherwise."""
    text = str(day).replace("-", "")
    values = dict.fromkeys(HOURS, 0) | {f"{name}_emp": value for name, value in hours.items()} | hours
    quarter = f"{text[:4]}Q{(int(text[4:6]) + 2) // 3}"
    return [
        ccn,
        f"Home {ccn}",
        "Town",
        state,
        "County",
        "007",
        quarter,
        text,
        census,
        *(values[hour] for hour in HOURS),
    ]


def provider_row(
    ccn: str,
    day: str,
    beds: object = 20,
    state: str = "RI",
    total: object = "",
    rn: object = "",
    rating: object = 3,
) -> list[object]:
    return [ccn, f"Home {ccn}", state, beds, day, total, rating, rn, "650.00"]
