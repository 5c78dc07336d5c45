"""Elements of FHIR resources: dates as written, instants, references, codings."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import msgspec

V = TypeVar("V")

_DATE_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?(Z|[+-]\d\d:\d\d)?)?", re.ASCII
)
is_id = re.compile(r"[A-Za-z0-9.\-]{1,64}").fullmatch
_PLAIN = re.compile(r"/([A-Za-z0-9.\-]{1,64})").fullmatch
_PATH = re.compile(r"(?:.*/)?([A-Za-z]+)/([A-Za-z0-9.\-]{1,64})(?:/_history/[^/]*)?", re.DOTALL).fullmatch
_SEARCH = re.compile(r"(?:.*/)?([A-Za-z]+)\?(.*)", re.DOTALL).fullmatch
_URN = "urn:uuid:"


# --- memory ----------------------------------------------------------------------------------------


class Memo(dict[Any, V], Generic[V]):
    """What a function said before; emptied when it holds too much."""

    def __init__(self, function: Any, size: int = 50_000):
        self._function, self._size = function, size

    def __missing__(self, key: Any) -> V:
        if len(self) >= self._size:
            self.clear()
        value: V = self._function(key)
        self[key] = value
        return value


# --- shapes ----------------------------------------------------------------------------------------
# gc=False: resources hold no cycles, and a million of them need not be searched for any.


class Coding(msgspec.Struct, gc=False):
    system: str | None = None
    code: str | None = None
    display: str | None = None


class Concept(msgspec.Struct, gc=False):
    """A CodeableConcept, a Coding, or a CodeableReference of R5, of which ``concept`` counts."""

    coding: list[Coding] = []
    text: str | None = None
    concept: Concept | None = None
    system: str | None = None
    code: str | None = None
    display: str | None = None


class Identifier(msgspec.Struct, gc=False):
    system: str | None = None
    value: str | None = None


class Reference(msgspec.Struct, gc=False):
    reference: str | None = None
    type: str | None = None
    identifier: Identifier | None = None


class Period(msgspec.Struct, gc=False):
    start: str | None = None
    end: str | None = None


# --- dates -----------------------------------------------------------------------------------------

#: The day that is written, YYYY-MM-DD, None if there is none or none of the calendar; and the same moment in UTC,
#: without a zone, as text that sorts by time (``2024-03-01T09:30:00.25``), None without time or offset.
DateTime: TypeAlias = tuple[str | None, str | None]

NO_DATE: DateTime = (None, None)


def read_date_time(text: str | None) -> DateTime:
    """Read a dateTime, date or instant [R4 datatypes]; what is no real day or time is :data:`NO_DATE`.

    A second 60 is the one after second 59: FHIR allows leap seconds.
    """
    if text is None:
        return NO_DATE
    if len(text) == 10:
        day = _days[text]
        return NO_DATE if day is None else (text, None)
    # Most are YYYY-MM-DDThh:mm:ss with an offset of whole hours, put together from parts that were met before.
    clock = text[13:19]
    if clock in _CLOCKS and text[10] == "T":
        days, hour = _days[text[:10]], _hours[text[11:13] + text[19:]]
        if days is not None and hour is not None:
            return days[0], f"{days[hour[0]]}T{hour[1]}{clock}{hour[2]}"
    return _read_date_time(text)


_CLOCKS = frozenset(f":{minute:02d}:{second:02d}" for minute in range(60) for second in range(60))
_HOUR = re.compile(r"([01][0-9]|2[0-3])(?:\.([0-9]+))?(?:Z|([+-])(0[0-9]|1[0-4]):00)")


def _read_day(text: str) -> tuple[str, str, str] | None:
    """A day, the next and the one before, to be indexed by 0, 1 and -1."""
    if not _DATE_TIME.fullmatch(text):
        return None
    try:
        day = date.fromisoformat(text)
        return text, f"{day + timedelta(1)}", f"{day - timedelta(1)}"
    except (ValueError, OverflowError):
        return None


def _read_hour(text: str) -> tuple[int, str, str] | None:
    """Which hour in UTC is ``hh.f+hh:00``, how many days later, and the fraction of its seconds, as in an instant."""
    if not (match := _HOUR.fullmatch(text)):
        return None
    hour, fraction, sign, offset = match.groups()
    days, hours = divmod(int(hour) - int(f"{sign}{offset}" if sign else 0), 24)
    digits = (fraction or "").rstrip("0")
    return days, f"{hours:02d}", f".{digits}" if digits else ""


_days: Memo[tuple[str, str, str] | None] = Memo(_read_day)
_hours: Memo[tuple[int, str, str] | None] = Memo(_read_hour)


def _read_date_time(text: str) -> DateTime:
    if not (match := _DATE_TIME.fullmatch(text)):
        return NO_DATE
    day, hour, minute, second, fraction, offset = match.groups()
    try:
        date.fromisoformat(day)
        if hour is None:
            return day, None
        leap = second == "60"
        moment = datetime.fromisoformat(f"{day}T{hour}:{minute}:{'59' if leap else second or '00'}")
        if offset is None:
            return day, None
        hours, minutes = (0, 0) if offset == "Z" else (int(offset[1:3]), int(offset[4:6]))
        if minutes > 59 or hours * 60 + minutes > 14 * 60:
            return NO_DATE
        shift = timedelta(hours=hours, minutes=minutes)
        moment += (shift if offset[0] == "-" else -shift) + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        return NO_DATE
    digits = (fraction or "").rstrip("0")
    return day, f"{moment.isoformat()}.{digits}" if digits else moment.isoformat()


# --- references ------------------------------------------------------------------------------------


def identifier_text(system: str | None, value: str) -> str:
    """How an identifier is written where an id is expected."""
    return f"identifier:{system or ''}|{value}"


def _read_literal(kind: str, text: str) -> str | None:
    if text.startswith(kind) and (match := _PLAIN(text, len(kind))):
        return match[1]
    text = text.strip()
    if text.startswith(_URN):
        return text[len(_URN) :] or None
    if is_id(text):
        return text
    if match := _PATH(text):
        return match[2] if match[1] == kind else None
    if (match := _SEARCH(text)) and match[1] == kind:
        for name, value in parse_qsl(match[2].replace("+", "%2B")):
            if name == "identifier":
                system, bar, rest = value.partition("|")
                value = rest if bar else system
                return identifier_text(system if bar else None, value) if value else None
    return None


def read_reference(reference: Reference | None, kind: str) -> str | None:
    """The id that a reference names, or ``identifier:SYSTEM|VALUE``; None if it names none of this type."""
    if reference is None:
        return None
    if reference.type is not None and reference.type.rsplit("/", 1)[-1] != kind:
        return None
    if reference.reference is not None:
        found = _read_literal(kind, reference.reference)
        if found is not None or not reference.reference.startswith("#"):
            return found
    identifier = reference.identifier
    if identifier is None or not identifier.value:
        return None
    return identifier_text(identifier.system, identifier.value)


# --- codes -----------------------------------------------------------------------------------------


def codings_of(concepts: list[Concept]) -> list[Coding]:
    """All codings of concepts, in their order."""
    found: list[Coding] = []
    for concept in concepts:
        inner = concept.concept or concept
        found += inner.coding
        if inner.code is not None:
            found.append(Coding(inner.system, inner.code, inner.display))
    return found


def codes_of(concepts: list[Concept]) -> list[str]:
    """Their codes in upper case, each once."""
    return list(dict.fromkeys(coding.code.upper() for coding in codings_of(concepts) if coding.code))


def coding_text(coding: Coding) -> str:
    return f"{coding.system or ''}|{coding.code or ''}"


class CodeTables:
    """The reference tables: what a coding means.

    A row's ``system`` is a part of the systems it is about. A coding without a system counts for every row but those
    of NUBC, whose two digits could mean anything.

    Raises:
        ValueError: for a row of ``ref_infection.csv`` with another system than ``snomed`` and ``icd-10``.
    """

    def __init__(self, folder: Path):
        self._dispositions: dict[str, dict[str, str]] = {}
        for system, code, category in _rows(folder / "ref_disposition.csv"):
            self._dispositions.setdefault(system, {})[code.casefold()] = category
        self._snomed: dict[str, str] = {}
        self._icd: dict[str, str] = {}
        tables = {"snomed": self._snomed, "icd-10": self._icd}
        for system, code, infection_type in _rows(folder / "ref_infection.csv"):
            if system not in tables:
                raise ValueError(f"ref_infection.csv: system {system!r} is neither snomed nor icd-10")
            tables[system][code] = infection_type
        self._lengths = sorted({len(prefix) for prefix in self._icd})

    def disposition(self, codings: Iterable[Coding]) -> str:
        """The category of the first coding that is listed; ``unknown`` if none is."""
        for coding in codings:
            if found := self._find_disposition(coding):
                return found
        return "unknown"

    def infection_type(self, codings: Iterable[Coding]) -> str | None:
        """The infection that the first coding means that means one."""
        for coding in codings:
            if found := self._find_infection(coding):
                return found
        return None

    def _find_disposition(self, coding: Coding) -> str | None:
        system, code = (coding.system or "").casefold(), (coding.code or "").strip().casefold()
        for part, categories in self._dispositions.items():
            listed = code
            if part == "nubc":
                if part not in system:
                    continue
                listed = code.zfill(2)
            elif system and part not in system:
                continue
            if found := categories.get(listed):
                return found
        return None

    def _find_infection(self, coding: Coding) -> str | None:
        system, code = coding.system or "", (coding.code or "").strip()
        if system in ("", "http://snomed.info/sct"):
            return self._snomed.get(code)
        system = system.casefold()
        if "icd-10" in system or "icd10" in system:
            code = code.upper().replace(".", "")
            for length in self._lengths:
                if found := self._icd.get(code[:length]):
                    return found
        return None


def _rows(path: Path) -> Iterable[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        rows = csv.reader(file)
        next(rows)
        yield from rows
