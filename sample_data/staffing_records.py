"""Nursing homes and what they report: hours and census of each day, and a monthly snapshot.

Magnitudes are those of CMS's files: about 3.7 hours per resident and day, a tenth of them on contract, a sixth less on
weekends, four of five beds taken.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

from sample_data.places import PLACES
from sample_data.randomness import Stream, pick, stream

JOBS = ("RNDON", "RNadmin", "RN", "LPNadmin", "LPN", "CNA", "NAtrn", "MedAide")
HOURS = tuple(f"{job}{kind}" for job in JOBS for kind in ("", "_emp", "_ctr"))
#: Columns of PBJ, as files have them since 2021.
PBJ_COLUMNS = (
    *(
        "PROVNUM",
        "PROVNAME",
        "CITY",
        "STATE",
        "COUNTY_NAME",
        "COUNTY_FIPS",
        "CY_Qtr",
        "WorkDate",
        "MDScensus",
    ),
    *(f"Hrs_{hour}" for hour in HOURS),
)
# Hours of a job per resident and day, in hundredths, and whether it is done on weekends.
_LEVELS = {"RNDON": (10, False), "RNadmin": (15, False), "RN": (48, True), "LPNadmin": (12, False), "LPN": (80, True),
           "CNA": (210, True), "NAtrn": (5, True), "MedAide": (12, True)}  # fmt: skip
_STATES = sorted({place.state for place in PLACES})
_WORDS = ("OAK", "RIVER", "SUNSET", "MAPLE", "ST. MARY'S", "HILLSIDE", "HERITAGE", "VALLEY", "GRACE", "LAKE")
_KINDS = ("NURSING HOME", "CARE CENTER, INC.", "HEALTH & REHABILITATION", "MANOR", "HEALTHCARE CENTER LLC")
_OWNERS = ("For profit - Corporation", "For profit - Individual", "Non profit - Other", "Government - County")


@dataclass(frozen=True, slots=True)
class Facility:
    """One nursing home; ``number`` from 0, ``levels`` in hundredths of an hour per resident and day, by job."""

    number: int
    ccn: str
    name: str
    city: str
    state: str
    zip: str
    county_fips: str
    owner: str
    beds: int
    levels: tuple[int, ...]
    contract: float


@dataclass(slots=True)
class Day:
    """One record of PBJ; ``hours`` in hundredths, in the order of :data:`HOURS`; None is blank."""

    facility: Facility
    day: date
    census: int | None
    hours: list[int | None] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(hour or 0 for hour in self.hours[::3])

    @property
    def contract(self) -> int:
        return sum(hour or 0 for hour in self.hours[2::3])

    @property
    def employees(self) -> int:
        return sum(hour or 0 for hour in self.hours[1::3])


def quarter_days(quarter: str) -> list[date]:
    """The days of a quarter written ``2024Q2``.

    Raises:
        ValueError: if it is none.
    """
    year, _, number = quarter.partition("Q")
    if not (len(year) == 4 and year.isdecimal() and number in ("1", "2", "3", "4")):
        raise ValueError(f"{quarter!r} is not a quarter: write it 2024Q2")
    last = 3 * int(number)
    first = date(int(year), last - 2, 1)
    end = date(int(year), last, calendar.monthrange(int(year), last)[1])
    return [first + timedelta(days=place) for place in range((end - first).days + 1)]


def facilities(seed: int, how_many: int) -> Iterator[Facility]:
    """So many nursing homes, always the same first ones of a seed."""
    random = stream(seed, "staffing", "facilities")
    serial = dict.fromkeys(_STATES, 0)
    for number in range(how_many):
        place = pick(random, PLACES)
        serial[place.state] += 1
        # One in sixty has a letter in the third place, as units of hospitals and facilities of Medicaid alone have.
        third = "A" if random() < 1 / 60 else "5678"[serial[place.state] // 1000 % 4]
        yield Facility(
            number,
            f"{_STATES.index(place.state) + 1:02}{third}{serial[place.state] % 1000:03}",
            f"{pick(random, _WORDS)} {pick(random, _WORDS)} {pick(random, _KINDS)}",
            place.city.upper(),
            place.state,
            place.zip,
            f"{2 * int(random() * 60) + 1:03}",
            pick(random, _OWNERS),
            30 + int(random() * 130),
            tuple(int(level * (0.7 + 0.6 * random())) for level, _ in _LEVELS.values()),
            0.15 * random(),
        )


def days(seed: int, facility: Facility, quarter_: list[date]) -> Iterator[Day]:
    """The records of a nursing home for some days; nothing about them is unlikely."""
    random = stream(seed, "staffing", "days", facility.ccn, quarter_[0])
    taken = 0.65 + 0.3 * random()
    for day in quarter_:
        weekend = day.weekday() > 4
        census = max(1, int(facility.beds * (taken + 0.04 * random())))
        hours: list[int | None] = []
        for level, (_, on_weekends) in zip(facility.levels, _LEVELS.values(), strict=True):
            if weekend and not on_weekends:
                hours += (0, 0, 0)
                continue
            # Quarters of an hour; at least one, so that there is always somebody.
            total = max(1, int(level * census * (0.9 + 0.2 * random()) * (0.92 if weekend else 1)) // 25) * 25
            contract = int(total * facility.contract * 2 * random()) // 25 * 25
            hours += (total, total - contract, contract)
        yield Day(facility, day, census, hours)


def fields(day: Day) -> dict[str, str]:
    """A record of PBJ as CMS writes it, by :data:`PBJ_COLUMNS`."""
    home = day.facility
    texts = [home.ccn, home.name, home.city, home.state, home.city.title(), home.county_fips]
    texts += [f"{day.day.year}Q{(day.day.month + 2) // 3}", f"{day.day:%Y%m%d}"]
    texts += ["" if day.census is None else str(day.census), *map(_hour, day.hours)]
    return dict(zip(PBJ_COLUMNS, texts, strict=True))


def _hour(hundredths: int | None) -> str:
    if hundredths is None:
        return ""
    whole, rest = divmod(hundredths, 100)
    return f"{whole}.{rest:02}".rstrip("0") if rest else str(whole)


def pbj_header(quarter: str) -> tuple[list[str], list[str]]:
    """The header of a quarter as CMS spelled it then, and the columns of :data:`PBJ_COLUMNS` that stand under it."""
    columns = list(PBJ_COLUMNS)
    if quarter >= "2021Q1" or quarter in ("2018Q1", "2018Q2", "2018Q3", "2020Q1", "2020Q4"):
        header = columns.copy()
        return ([*header, "incomplete"], columns) if quarter == "2021Q4" else (header, columns)
    header = [name.lower() for name in columns]
    if quarter < "2018Q1":
        header = [name.replace("lpnadmin", "lpn_admin").replace("natrn", "na_trn") for name in header]
    if quarter == "2017Q1":
        header[header.index("hrs_rndon")] = "hrs_rn_donadmin"
    if quarter == "2017Q2":
        header[header.index("hrs_medaide_ctr")] = "hrs_rn_donadmin"
    return header, columns


def snapshot(
    seed: int, facility: Facility, day: date, hprd: tuple[str, str, str, str] | None
) -> dict[str, str]:
    """What Provider Information says of a nursing home; ``hprd`` are its aide, LPN, RN and total hours, if known."""
    random: Stream = stream(seed, "staffing", "snapshot", facility.ccn, day)
    aide, lpn, rn, total = hprd or ("", "", "", "")
    fines = int(random() * 3)
    ratings = {
        f"{name}_rating": str(1 + int(random() * 5)) for name in ("overall", "inspection", "qm", "staffing")
    }
    return ratings | {
        "ccn": facility.ccn,
        "provider_name": facility.name,
        "address": f"{100 + facility.number} MAIN STREET",
        "city": facility.city,
        "state": facility.state,
        "zip": facility.zip,
        "county": facility.city.title(),
        "ownership_type": facility.owner,
        "certified_beds": str(facility.beds),
        "avg_residents": f"{facility.beds * 0.8:.1f}",
        "aide_hprd": aide,
        "lpn_hprd": lpn,
        "rn_hprd": rn,
        "total_hprd": total,
        "fines": str(fines),
        "fines_usd": f"{fines * 650}.00",
        "payment_denials": "0",
        "penalties": str(fines),
        "special_focus_status": "SFF" if random() < 0.01 else "",
        "latitude": f"{30 + 15 * random():.4f}",
        "longitude": f"{-70 - 40 * random():.3f}",
        "processing_date": day.isoformat(),
    }
