"""What can be wrong or unlikely about a record of PBJ, and what a pipeline should make of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from sample_data.randomness import Stream
from sample_data.staffing_records import HOURS, Day

Texts: TypeAlias = dict[str, str]


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect.

    ``day`` changes what the record says, ``texts`` how it is written. ``reason`` is why it is rejected, None if it is
    accepted; ``flags`` what it is accepted with. ``copies`` says that the record comes twice: first with another census
    (``different``) or as it is (``identical``). ``repaired``: its line is windows-1252. ``cut``: a field is missing.
    """

    name: str
    reason: str | None = None
    flags: tuple[str, ...] = ()
    day: Callable[[Day], None] | None = None
    texts: Callable[[Texts], None] | None = None
    copies: str | None = None
    repaired: bool = False
    cut: bool = False

    def applies(self, day: Day) -> bool:
        """Whether a record can have it: some need a number that begins with a zero, or hours that are there."""
        if self.name in ("ccn_without_zero", "ccn_float"):
            return day.facility.ccn.isdecimal() and (
                self.name == "ccn_float" or day.facility.ccn.startswith("0")
            )
        return self.name != "hours_of_a_town" or (day.census or 0) < 500


def _set(column: str, change: str | Callable[[str], str]) -> Callable[[Texts], None]:
    def texts(record: Texts) -> None:
        record[column] = change if isinstance(change, str) else change(record[column])

    return texts


def _no_trainees(record: Day) -> None:
    place = HOURS.index("NAtrn")
    record.hours[place : place + 3] = [None, None, None]


def _one_hour_more(record: Day) -> None:
    place = HOURS.index("RN_emp")
    record.hours[place] = (record.hours[place] or 0) + 100


def _census(to: int | None) -> Callable[[Day], None]:
    def day(record: Day) -> None:
        record.census = to

    return day


def _nobody_works(record: Day) -> None:
    record.hours = [0] * len(HOURS)


def _hours_of_a_town(record: Day) -> None:
    place = HOURS.index("LPN")
    record.hours[place : place + 3] = [13_946_00, 13_946_00, 0]


def _iso(text: str) -> str:
    return f"{text[:4]}-{text[4:6]}-{text[6:]}"


def _american(text: str) -> str:
    return f"{text[4:6]}/{text[6:]}/{text[:4]}"


ALL_DEFECTS = (
    Defect("ccn_blank", "ccn_invalid", texts=_set("PROVNUM", "")),
    Defect("ccn_scientific", "ccn_invalid", texts=_set("PROVNUM", "3.9E+124")),
    Defect("ccn_seven_digits", "ccn_invalid", texts=_set("PROVNUM", "1234567")),
    Defect("ccn_without_zero", texts=_set("PROVNUM", lambda text: text.lstrip("0"))),
    Defect("ccn_float", texts=_set("PROVNUM", lambda text: f"{text}.0")),
    Defect("ccn_padded", texts=_set("PROVNUM", lambda text: f" {text} ")),
    Defect("state_unknown", "state_invalid", texts=_set("STATE", "XX")),
    Defect("state_lower", texts=_set("STATE", lambda text: f"{text.lower()} ")),
    Defect("date_american", "work_date_invalid", texts=_set("WorkDate", _american)),
    Defect("date_impossible", "work_date_invalid", texts=_set("WorkDate", lambda text: f"{text[:4]}0230")),
    Defect("date_iso", texts=_set("WorkDate", _iso)),
    Defect("date_float", texts=_set("WorkDate", lambda text: f"{text}.0")),
    Defect("quarter_of_another_year", "quarter_mismatch", texts=_set("CY_Qtr", "2001Q1")),
    Defect("census_negative", "census_invalid", texts=_set("MDScensus", "-1")),
    Defect("census_fraction", "census_invalid", texts=_set("MDScensus", "12.5")),
    Defect("census_float", texts=_set("MDScensus", lambda text: f"{text}.0")),
    Defect("hours_negative", "hours_invalid", texts=_set("Hrs_RN", "-8")),
    Defect("hours_exponent", "hours_invalid", texts=_set("Hrs_CNA", "1e2")),
    Defect("hours_comma", "hours_invalid", texts=_set("Hrs_CNA_emp", "1,200")),
    Defect("hours_point", texts=_set("Hrs_RN", lambda text: text if "." in text else f"{text}.")),
    Defect("field_missing", "wrong_field_count", cut=True),
    Defect("name_of_windows", repaired=True, texts=_set("PROVNAME", lambda text: text.replace(" ", "’", 1))),  # noqa: RUF001
    Defect("name_over_lines", texts=_set("PROVNAME", lambda text: f'"{text}",\n\\{text}')),
    Defect("fips_without_zeros", texts=_set("COUNTY_FIPS", lambda text: text.lstrip("0"))),
    Defect("nobody_lives_there", flags=("census_zero_with_hours",), day=_census(0)),
    Defect("nobody_works", flags=("census_without_hours",), day=_nobody_works),
    Defect("census_blank", day=_census(None)),
    Defect("hours_blank", flags=("hours_missing",), day=_no_trainees),
    Defect("employees_do_not_add_up", flags=("emp_ctr_mismatch",), day=_one_hour_more),
    Defect("hours_of_a_town", flags=("hprd_above_24",), day=_hours_of_a_town),
    Defect("twice", copies="identical"),
    Defect("twice_and_different", copies="different"),
)


def spread(records: int, defects: int, random: Stream) -> list[int]:
    """Numbers of the records that get a defect, from 0, one in each part of equal size."""
    return [
        turn * records // defects
        + int(random() * ((turn + 1) * records // defects - turn * records // defects))
        for turn in range(defects)
    ]
