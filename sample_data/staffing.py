"""Uploads of nurse staffing: PBJ quarters in the spelling of their time, monthly snapshots, a restatement.

What a record says is in ``staffing_records``, what can be wrong with it in ``staffing_defects``; here they become files,
with an exact account.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import zipfile
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from dataclasses import fields as dataclass_fields
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import cycle
from pathlib import Path
from time import perf_counter

from sample_data.randomness import several, stream
from sample_data.staffing_defects import ALL_DEFECTS, Defect, spread
from sample_data.staffing_records import (
    PBJ_COLUMNS,
    Day,
    Facility,
    days,
    facilities,
    fields,
    pbj_header,
    quarter_days,
    snapshot,
)
from sample_data.uploads import require_empty, set_time, write_bytes

DEFAULT_QUARTERS = ("2024Q2",)
DEFAULT_FACILITIES = 300
DEFAULT_SEED = 7
#: Of a real quarter, about three records in a thousand are flagged, repaired or blank.
DEFAULT_DEFECTS = 0.003

_RESTATED_SHARE = 0.02
# Groups whose hours Provider Information reports, by their places in the hours of a record.
_REPORTED = {"aide": (15, 18, 21), "lpn": (9, 12), "rn": (0, 3, 6), "total": tuple(range(0, 24, 3))}


@dataclass(slots=True)
class StaffingFile:
    """One file. ``records == accepted + superseded + rejected``; ``mtime`` in seconds (UTC) is the order of upload.

    ``skipped`` says why a file counts for nothing; such a file has no records.
    """

    dataset: str
    file: str
    mtime: int
    skipped: str | None = None
    records: int = 0
    accepted: int = 0
    superseded: int = 0
    superseded_identical: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    flags: Counter[str] = field(default_factory=Counter)
    repaired_lines: int = 0


@dataclass(slots=True)
class StateQuarter:
    """What PBJ says of a state and quarter after duplicates; hours in hundredths.

    ``resident_days`` and ``total`` are over days with residents, the others over all days.
    """

    days: int = 0
    resident_days: int = 0
    total: int = 0
    employees: int = 0
    contract: int = 0

    def add(self, day: Day, sign: int = 1) -> None:
        self.days += sign
        if day.census:
            self.resident_days += sign * day.census
            self.total += sign * day.total
        self.employees += sign * day.employees
        self.contract += sign * day.contract


@dataclass(slots=True)
class StaffingAccount:
    """Everything that one call wrote; ``files`` in the order of upload, ``states`` by (quarter, state).

    Outcomes are those of one run over all files.
    """

    seed: int
    files: list[StaffingFile] = field(default_factory=list)
    states: dict[tuple[str, str], StateQuarter] = field(default_factory=dict)

    def total(self, figure: str, dataset: str | None = None) -> int:
        """The sum of one of the files' figures, of one dataset or all."""
        return sum(getattr(one, figure) for one in self.files if dataset in (None, one.dataset))

    def rejected(self, dataset: str) -> dict[str, int]:
        """Rejected records of a dataset by reason."""
        return dict(
            sorted(
                sum((one.rejected for one in self.files if one.dataset == dataset), Counter[str]()).items()
            )
        )

    def write(self, path: Path) -> None:
        """Write the account as indented JSON."""
        plain = {
            "seed": self.seed,
            # asdict() would make pairs of a Counter's keys.
            "files": [
                {one.name: _plain(getattr(file, one.name)) for one in dataclass_fields(file)}
                for file in self.files
            ],
            "states": [
                {"quarter": quarter, "state": state} | asdict(sums)
                for (quarter, state), sums in sorted(self.states.items())
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(plain, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _plain(value: object) -> object:
    return dict(sorted(value.items())) if isinstance(value, Counter) else value


def write_uploads(
    folder: Path,
    *,
    quarters: Sequence[str] = DEFAULT_QUARTERS,
    homes: int = DEFAULT_FACILITIES,
    seed: int = DEFAULT_SEED,
    defects: float = DEFAULT_DEFECTS,
) -> StaffingAccount:
    """Write uploads into ``folder/pbj`` and ``folder/provider_info``.

    Of each quarter: a PBJ file, with ``defects`` (a share of its records) of all kinds in turn; a restatement of some
    facilities, in which hours change or become blank; and the snapshot two quarters later, which reports its hours, as a
    zip archive. Before them a snapshot without hours; beside them what is no data.

    Raises:
        ValueError: for arguments that make no sense, or if the folder holds other files.
    """
    if homes < 1:
        raise ValueError(f"facilities must be 1 or more, not {homes}")
    if not 0 <= defects <= 1:
        raise ValueError(f"the share of defects must be from 0 to 1, not {defects}")
    plan = {quarter: quarter_days(quarter) for quarter in sorted(quarters)}
    if not plan:
        raise ValueError("name at least one quarter")
    writer = _Writer(folder, seed, StaffingAccount(seed))
    names = [name for quarter in plan for name in writer.names(quarter)]
    require_empty(folder, [*names, *_NO_DATA])
    known = list(facilities(seed, homes))
    first = next(iter(plan.values()))[0]
    writer.snapshot(_name_of_snapshot(first), first, known, {})
    for quarter, calendar in plan.items():
        reported = writer.quarter(quarter, calendar, known, defects)
        later = _two_quarters_later(calendar[0])
        writer.snapshot(_name_of_snapshot(later), later, known, reported)
    for name, (content, reason) in _NO_DATA.items():
        writer.no_data(name, content, reason)
    return writer.account


_NO_DATA = {
    "pbj/READ ME.txt": (b"One record per facility and day.\n", "unknown_extension"),
    "pbj/nothing.csv": (b"", "empty_object"),
    "provider_info/renamed columns.csv": (b"ccn number,name\n015009,x\n", "header_missing_column:ccn"),
    "provider_info/damaged in transit.zip": (b"PK\x03\x04" + b"\xff" * 60, "corrupt_archive"),
}


class _Writer:
    """Writes files one after the other, a minute apart, and keeps the account."""

    def __init__(self, folder: Path, seed: int, account: StaffingAccount):
        self._folder, self._seed, self.account = folder, seed, account
        self._clock = int(datetime(2026, 11, 1, 6, tzinfo=UTC).timestamp())
        self._turns = cycle(several(stream(seed, "staffing", "defects"), ALL_DEFECTS, len(ALL_DEFECTS)))
        self._states: defaultdict[tuple[str, str], StateQuarter] = defaultdict(StateQuarter)

    def names(self, quarter: str) -> list[str]:
        first = quarter_days(quarter)[0]
        later = _two_quarters_later(first)
        return [f"pbj/{_name_of_quarter(quarter)}", f"pbj/{_name_of_restatement(quarter)}",
                f"provider_info/{_name_of_snapshot(first)}", f"provider_info/{_name_of_snapshot(later)}"]  # fmt: skip

    def _file(self, dataset: str, name: str, skipped: str | None = None) -> StaffingFile:
        self._clock += 60
        file = StaffingFile(dataset, name, self._clock, skipped)
        self.account.files.append(file)
        return file

    def no_data(self, name: str, content: bytes, reason: str) -> None:
        dataset, _, file = name.partition("/")
        account = self._file(dataset, file, reason)
        write_bytes(self._folder / name, content)
        set_time(self._folder / name, account.mtime)

    # --- PBJ

    def quarter(
        self, quarter: str, calendar: list[date], homes: list[Facility], share: float
    ) -> dict[str, tuple[str, str, str, str]]:
        """Write a quarter and its restatement; returns what CMS would report of it, by CCN."""
        main = self._file("pbj", _name_of_quarter(quarter))
        again = self._file("pbj", _name_of_restatement(quarter))
        random = stream(self._seed, "staffing", "quarter", quarter)
        records = len(homes) * len(calendar)
        numbers = iter(spread(records, int(records * share + 0.5), random))
        restated = {home.number for home in several(random, homes, max(1, int(len(homes) * _RESTATED_SHARE)))}
        reported, number, wanted = {}, 0, next(numbers, -1)
        with (
            _PbjFile(self._folder / "pbj" / main.file, quarter) as out,
            _PbjFile(self._folder / "pbj" / again.file, quarter) as out_again,
        ):
            for home in homes:
                sums = _Sums()
                for day in days(self._seed, home, calendar):
                    defect = None
                    if number == wanted:
                        defect, wanted = self._next_defect(day), next(numbers, -1)
                    number += 1
                    kept = self._write(out, main, day, defect)
                    if home.number in restated:
                        correction = _corrected(day, random())
                        self._write(out_again, again, correction, None)
                        if kept:
                            main.accepted -= 1
                            main.superseded += 1
                            same = (day.census, day.hours) == (correction.census, correction.hours)
                            main.superseded_identical += same
                            self._states[quarter, home.state].add(day, -1)
                        sums.add(correction)
                    elif kept:
                        sums.add(day)
                reported[home.ccn] = sums.hprd()
        for file in (main, again):
            set_time(self._folder / "pbj" / file.file, file.mtime)
        self.account.states = dict(self._states)
        return {ccn: hprd for ccn, hprd in reported.items() if hprd}

    def _next_defect(self, day: Day) -> Defect:
        return next(defect for defect in self._turns if defect.applies(day))

    def _write(self, out: _PbjFile, account: StaffingFile, day: Day, defect: Defect | None) -> bool:
        """Write a record with its defect, which may change ``day``; whether it is accepted."""
        account.records += 1
        if defect is None:
            out.write(fields(day))
        else:
            if defect.copies:
                other = Day(day.facility, day.day, day.census, day.hours)
                if defect.copies == "different":
                    other.census = (other.census or 0) + 1
                out.write(fields(other))
                account.records += 1
                account.superseded += 1
                account.superseded_identical += defect.copies == "identical"
            if defect.day:
                defect.day(day)
            texts = fields(day)
            if defect.texts:
                defect.texts(texts)
            out.write(texts, cut=defect.cut, windows=defect.repaired)
            account.repaired_lines += defect.repaired
            account.flags.update(defect.flags)
            if defect.reason:
                account.rejected[defect.reason] += 1
                return False
        account.accepted += 1
        self._states[out.quarter, day.facility.state].add(day)
        return True

    # --- Provider Information

    def snapshot(
        self, name: str, day: date, homes: list[Facility], reported: dict[str, tuple[str, str, str, str]]
    ) -> None:
        header, columns = _provider_header(day)
        text = io.StringIO(newline="")
        lines = csv.writer(text, quoting=csv.QUOTE_ALL)
        lines.writerow(header)
        for home in homes:
            values = snapshot(self._seed, home, day, reported.get(home.ccn))
            lines.writerow([values.get(column, "") for column in columns])
        packed = io.BytesIO()
        inside = name.removesuffix(".zip")
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in (
                (inside, text.getvalue().encode()),
                (f"__MACOSX/._{inside}", b"\0\5\x16\7"),
            ):
                archive.writestr(
                    zipfile.ZipInfo(member, (2021, 9, 26, 0, 0, 0)), content, zipfile.ZIP_DEFLATED
                )
        account = self._file("provider_info", name)
        account.records = account.accepted = len(homes)
        write_bytes(self._folder / "provider_info" / name, packed.getvalue())
        set_time(self._folder / "provider_info" / name, account.mtime)


class _PbjFile:
    """A CSV file of PBJ with the header of its quarter."""

    def __init__(self, path: Path, quarter: str):
        self.quarter = quarter
        self._path = path
        self._header, self._columns = pbj_header(quarter)

    def __enter__(self) -> _PbjFile:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        # Text that UTF-8 cannot have goes through as the bytes that it is: see write().
        self._file = self._path.open(
            "w", encoding="utf-8", errors="surrogateescape", newline="", buffering=1 << 20
        )
        self._lines = csv.writer(self._file)
        self._lines.writerow(self._header)
        return self

    def __exit__(self, *exit_details: object) -> None:
        self._file.close()

    def write(self, texts: dict[str, str], *, cut: bool = False, windows: bool = False) -> None:
        """Write a record; ``cut`` leaves out its last field, ``windows`` writes it in windows-1252."""
        row = (
            [texts[column] for column in self._columns]
            if self._columns != list(PBJ_COLUMNS)
            else [*texts.values()]
        )
        row += [""] * (len(self._header) - len(row))
        if windows:
            row = [text.encode("cp1252").decode("utf-8", "surrogateescape") for text in row]
        self._lines.writerow(row[:-1] if cut else row)


class _Sums:
    """Hours and residents of a facility over days with residents, and what CMS prints of them."""

    def __init__(self) -> None:
        self._residents = 0
        self._hours = dict.fromkeys(_REPORTED, 0)

    def add(self, day: Day, sign: int = 1) -> None:
        if day.census:
            self._residents += sign * day.census
            for name, places in _REPORTED.items():
                self._hours[name] += sign * sum(day.hours[place] or 0 for place in places)

    def hprd(self) -> tuple[str, str, str, str] | None:
        if not self._residents:
            return None
        aide, lpn, rn, total = (
            str((Decimal(hours) / 100 / self._residents).quantize(Decimal("0.00001"), ROUND_HALF_UP))
            for hours in self._hours.values()
        )
        return aide, lpn, rn, total


def _corrected(day: Day, chance: float) -> Day:
    """A later word on a day: the same, other hours, or a blank census."""
    correction = Day(day.facility, day.day, day.census or 1, [hour or 0 for hour in day.hours])
    # Whatever was unlikely about it is set right.
    for place in range(0, 24, 3):
        correction.hours[place + 1] = min(correction.hours[place] or 0, 2_00)
        correction.hours[place + 2] = 0
        correction.hours[place] = correction.hours[place + 1]
    if not correction.total:
        correction.hours[0:3] = [100, 100, 0]
    if chance < 0.05:
        correction.census = None
    return correction


def _name_of_quarter(quarter: str) -> str:
    return f"PBJ_Daily_Nurse_Staffing_Q{quarter[5]}_{quarter[:4]}.csv"


def _name_of_restatement(quarter: str) -> str:
    return f"PBJ_dailynursestaffing_CY{quarter} (corrected).csv"


def _name_of_snapshot(day: date) -> str:
    # As CMS's own, it is named after the month in which it was published, the one after its processing date.
    return f"NH_ProviderInfo_{day + timedelta(days=31):%b%Y}.csv.zip"


def _two_quarters_later(day: date) -> date:
    month = day.month + 6 + 1
    return date(day.year + (month - 1) // 12, (month - 1) % 12 + 1, 1)


def _provider_header(day: date) -> tuple[list[str], list[str]]:
    """The header of Provider Information as it was seen last before a day, and its columns."""
    with (Path(__file__).parent / "provider_info_headers.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    eras = sorted({row["era"] for row in rows})
    era = max((one for one in eras if one <= f"{day:%Y-%m}"), default=eras[0])
    rows = [row for row in rows if row["era"] == era]
    return [row["header"] for row in rows], [row["column"] for row in rows]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of the command line."""
    parser.add_argument(
        "--out", type=Path, required=True, help="folder to write into, empty or of an earlier call"
    )
    parser.add_argument(
        "--quarters", default=",".join(DEFAULT_QUARTERS), help="as 2024Q2, separated by commas"
    )
    parser.add_argument(
        "--facilities", type=int, default=DEFAULT_FACILITIES, help="a real quarter has 14,564"
    )
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument(
        "--defects", type=float, default=DEFAULT_DEFECTS, help="share of records with a defect"
    )
    parser.add_argument("--expect", type=Path, help="write the account to this file")


def run(arguments: argparse.Namespace) -> str:
    """Do what the command line says; returns a summary. Raises ValueError or OSError if it cannot."""
    started = perf_counter()
    account = write_uploads(
        arguments.out,
        quarters=[one.strip() for one in arguments.quarters.split(",") if one.strip()],
        homes=arguments.facilities,
        seed=arguments.seed,
        defects=arguments.defects,
    )
    if arguments.expect is not None:
        account.write(arguments.expect)
    return (
        f"{len(account.files)} files in {perf_counter() - started:.1f} s: {account.total('records'):,} records, of which "
        f"accepted {account.total('accepted'):,}, superseded {account.total('superseded'):,}, "
        f"rejected {sum(sum(one.rejected.values()) for one in account.files):,}"
    )
