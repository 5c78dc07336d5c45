"""PBJ Daily Nurse Staffing: hours by job and census, one row per facility and day.

Source of the rules: CMS, PBJ Public Use Files, technical specifications, April 2019. :func:`check` says what a row
means, or why it is rejected. :func:`load` reads 1.3 million rows a quarter, so it remembers what texts mean: a
facility's name stands in 91 rows, a number of hours in thousands. What it has not seen yet, or does not write as CMS
does, goes through :func:`check`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeVar

import msgspec

from medlaunch.declaration import BronzeWriter, LineCounts, LineWriter, UploadRef
from medlaunch.formats import Item, Malformed
from medlaunch.staffing.bronze import UNKNOWN_SLICE, BronzeLines, known_slice
from medlaunch.staffing.ccn import parse_ccn
from medlaunch.staffing.files import load_files
from medlaunch.staffing.values import (
    InvalidField,
    clean_text,
    parse_date,
    parse_decimal,
    parse_integer,
    quarter_of,
)

#: PBJ job codes 5 to 12, in this order, as bronze's ``hours`` has them: of each job all hours, those of employees,
#: those of contract staff.
JOBS = ("rndon", "rnadmin", "rn", "lpnadmin", "lpn", "cna", "natrn", "medaide")
HOURS = tuple(f"{job}{kind}" for job in JOBS for kind in ("", "_emp", "_ctr"))

SPELLINGS = "pbj_columns.csv"
#: The columns of a record, as the rules and the loader take them.
COLUMNS = (
    "provnum",
    "provname",
    "city",
    "state",
    "county_name",
    "county_fips",
    "cyqtr",
    "workdate",
    "mdscensus",
    *(f"hrs{hour.replace('_', '')}" for hour in HOURS),
)
_FACILITY, _DAY, _CENSUS, _HOURS = slice(0, 6), slice(6, 8), 8, slice(9, None)

# What CMS writes; it means the same in JSON and SQL as it stands.
_USUAL_HOURS = re.compile(r"(?:0|[1-9][0-9]{0,6})(?:\.[0-9]{1,2})?")
_USUAL_CENSUS = re.compile(r"0|[1-9][0-9]{0,5}")


class RejectReason(StrEnum):
    """Why a row is rejected, in the order of the checks."""

    WRONG_FIELD_COUNT = "wrong_field_count"
    CCN = "ccn_invalid"
    STATE = "state_invalid"
    WORK_DATE = "work_date_invalid"
    QUARTER = "quarter_mismatch"
    CENSUS = "census_invalid"
    HOURS = "hours_invalid"


class Flag(StrEnum):
    """What is unlikely about a row that is kept."""

    EMP_CTR_MISMATCH = "emp_ctr_mismatch"
    HOURS_MISSING = "hours_missing"
    CENSUS_ZERO_WITH_HOURS = "census_zero_with_hours"
    CENSUS_WITHOUT_HOURS = "census_without_hours"
    HPRD_ABOVE_24 = "hprd_above_24"


class Facility(NamedTuple):
    """What a row says about its facility."""

    ccn: str
    provider_name: str | None
    city: str | None
    state: str
    county_name: str | None
    county_fips: str | None


class PbjRow(NamedTuple):
    """An accepted row. ``hours`` in the order of :data:`HOURS`, ``None`` where blank."""

    facility: Facility
    work_date: date
    census: int | None
    hours: tuple[Decimal | None, ...]

    @property
    def quarter(self) -> str:
        return quarter_of(self.work_date)


def check(fields: Sequence[str], states: Collection[str]) -> PbjRow | RejectReason:
    """What a record means whose fields are those of :data:`COLUMNS`, or the first rule that it breaks."""
    facility = _read_facility(fields[_FACILITY], states)
    if isinstance(facility, RejectReason):
        return facility
    work_date = _read_day(fields[_DAY])
    if isinstance(work_date, RejectReason):
        return work_date
    try:
        census = parse_integer(fields[_CENSUS], digits=6)
    except InvalidField:
        return RejectReason.CENSUS
    try:
        hours = tuple(parse_decimal(hour, digits=9, scale=2) for hour in fields[_HOURS])
    except InvalidField:
        return RejectReason.HOURS
    return PbjRow(facility, work_date, census, hours)


def _read_facility(fields: Sequence[str], states: Collection[str]) -> Facility | RejectReason:
    number, name, city, state, county, fips = fields
    ccn = parse_ccn(number)
    if ccn is None:
        return RejectReason.CCN
    state = state.strip().upper()
    if state not in states:
        return RejectReason.STATE
    # Three digits within the state; data frames drop the zeros and may add a fraction.
    fips = fips.strip().removesuffix(".0")
    fips = fips.zfill(3) if fips.isdecimal() else fips
    return Facility(ccn, clean_text(name), clean_text(city), state, clean_text(county), fips or None)


def _read_day(fields: Sequence[str]) -> date | RejectReason:
    quarter, work_date = fields
    try:
        day = parse_date(work_date)
    except InvalidField:
        return RejectReason.WORK_DATE
    return day if quarter.strip().upper() == quarter_of(day) else RejectReason.QUARTER


def flags(census: int | None, hundredths: Sequence[int | None]) -> list[Flag]:
    """The flags of a row; hours in hundredths, a blank hour counts as none."""
    found = []
    known = [hour or 0 for hour in hundredths]
    if any(abs(known[i] - known[i + 1] - known[i + 2]) > 1 for i in range(0, len(known), 3)):
        found.append(Flag.EMP_CTR_MISMATCH)
    if None in hundredths:
        found.append(Flag.HOURS_MISSING)
    total = sum(known[::3])
    if census == 0 and total:
        found.append(Flag.CENSUS_ZERO_WITH_HOURS)
    elif census and not total:
        found.append(Flag.CENSUS_WITHOUT_HOURS)
    elif census and total > 2400 * census:
        found.append(Flag.HPRD_ABOVE_24)
    return found


# --- bronze ----------------------------------------------------------------------------------------

_FLUSH_EVERY = 4096
# How many texts are remembered: of a whole quarter there are 15,000 facilities and about 60,000 different hours.
_REMEMBERED = 100_000


K = TypeVar("K")
V = TypeVar("V")


class _UnusualText(Exception):
    """Not written as CMS writes it, or wrong: the record takes the exact way."""


class _Remembered(dict[K, V]):
    """What texts mean, by the function that reads them; bounded."""

    def __init__(self, read: Callable[[K], V]):
        super().__init__()
        self._read = read

    def __missing__(self, text: K) -> V:
        meaning = self._read(text)
        if len(self) >= _REMEMBERED:
            self.clear()
        self[text] = meaning
        return meaning


class PbjFile:
    """Writes the records of one file to bronze.

    Attributes:
        measures: rows by flag.
    """

    def __init__(self, states: frozenset[str], source_key: str, upload_id: str):
        self._states, self._source_key, self._upload_id = states, source_key, upload_id
        self._source = f'"source_key":{_json(source_key)},"upload_id":{_json(upload_id)},"line_number":'
        self.measures: Counter[str] = Counter()

    def load(self, records: Iterable[Item[tuple[str, ...]]], lines: BronzeLines) -> None:
        """Account for every record, whose fields are those of :data:`COLUMNS`."""
        source, valid = self._source, lines.valid
        facility_of = _Remembered(self._usual_facility)
        day_of = _Remembered(_usual_day)
        census_of = _Remembered(_usual_census)
        hundredths_of = _Remembered(_usual_hundredths).__getitem__

        for number, (line, raw, fields) in enumerate(records, 1):
            if not number % _FLUSH_EVERY:
                lines.flush()
            if fields is None or isinstance(fields, Malformed):
                lines.reject(
                    UNKNOWN_SLICE,
                    RejectReason.WRONG_FIELD_COUNT,
                    raw,
                    self._source_key,
                    self._upload_id,
                    line,
                )
                continue
            hours = fields[9:]
            try:
                facility = facility_of[fields[:6]]
                quarter, day = day_of[fields[6:8]]
                census = census_of[fields[8]]
                hundredths = tuple(map(hundredths_of, hours))
            except _UnusualText:
                self._load_exactly(fields, raw, line, lines)
                continue
            a, a1, a2, b, b1, b2, c, c1, c2, d, d1, d2, e, e1, e2, f, f1, f2, g, g1, g2, h, h1, h2 = (
                hundredths
            )
            # Some hours, no more than a day has, and each job's adding up: nothing to flag.
            if (
                0 < a + b + c + d + e + f + g + h <= 2400 * census
                and -2 < a - a1 - a2 < 2
                and -2 < b - b1 - b2 < 2
                and -2 < c - c1 - c2 < 2
                and -2 < d - d1 - d2 < 2
                and -2 < e - e1 - e2 < 2
                and -2 < f - f1 - f2 < 2
                and -2 < g - g1 - g2 < 2
                and -2 < h - h1 - h2 < 2
            ):
                flagged = "[]"
            else:
                flagged = self._flagged(census, hundredths)
            hours_text = '","'.join(hours)
            valid[quarter].append(
                f'{facility}{day}"census":{census},"hours":["{hours_text}"],"flags":{flagged},{source}{line}}}\n'
            )

    def _usual_facility(self, fields: tuple[str, ...]) -> str:
        facility = _read_facility(fields, self._states)
        if isinstance(facility, RejectReason):
            raise _UnusualText
        return _facility_json(facility)

    def _load_exactly(self, fields: tuple[str, ...], raw: bytes, line: int, lines: BronzeLines) -> None:
        row = check(fields, self._states)
        if isinstance(row, RejectReason):
            slice_ = known_slice(fields[_DAY][0].strip().upper())
            lines.reject(slice_, row, raw, self._source_key, self._upload_id, line)
            return
        hours = [None if hour is None else str(hour) for hour in row.hours]
        hundredths = [None if hour is None else int(hour.scaleb(2)) for hour in row.hours]
        lines.valid[row.quarter].append(
            f'{_facility_json(row.facility)}{_day_json(row.work_date)}"census":{_json(row.census)},'
            f'"hours":{_json(hours)},"flags":{self._flagged(row.census, hundredths)},{self._source}{line}}}\n'
        )

    def _flagged(self, census: int | None, hundredths: Sequence[int | None]) -> str:
        found = flags(census, hundredths)
        self.measures.update(f"flagged_{flag}" for flag in found)
        return _json(found)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _facility_json(facility: Facility) -> str:
    """The beginning of a bronze line."""
    return _json(facility._asdict())[:-1] + ","


def _day_json(day: date) -> str:
    return f'"work_date":"{day}",'


def _usual_day(fields: tuple[str, ...]) -> tuple[str, str]:
    day = _read_day(fields)
    if isinstance(day, RejectReason):
        raise _UnusualText
    return quarter_of(day), _day_json(day)


def _usual_census(text: str) -> int:
    if not _USUAL_CENSUS.fullmatch(text):
        raise _UnusualText
    return int(text)


def _usual_hundredths(text: str) -> int:
    if not _USUAL_HOURS.fullmatch(text):
        raise _UnusualText
    whole, _, fraction = text.partition(".")
    return int(whole) * 100 + int(fraction.ljust(2, "0"))


def load(
    stream: BinaryIO,
    upload: UploadRef,
    out: BronzeWriter,
    rejects: LineWriter,
    *,
    reference: Path,
    first_line: int | None = None,
) -> LineCounts:
    """Load an upload of PBJ files: a :class:`medlaunch.declaration.Loader` whose slices are quarters.

    Measures: ``flagged_<flag>``, ``repaired_lines`` and ``ignored_columns``.
    """
    return load_files(
        stream,
        upload,
        out,
        rejects,
        reference=reference,
        first_line=first_line,
        spellings=SPELLINGS,
        columns=COLUMNS,
        loader=PbjFile,
    )
