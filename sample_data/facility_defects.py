"""What is wrong with facility lines, one kind of defect at a time, and what each kind has to lead to.

Every kind states its consequences itself (reject reasons, validity dates, superseded duplicates); they are
never found out by a rule's implementation. The rules are those of the accreditation pipeline: the order of
``REASONS`` is the order in which they are checked, the first five reject a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from sample_data.randomness import Stream

MALFORMED = "malformed_json"
BAD_ID = "facility_id_does_not_start_with_FAC"
BLANK_NAME = "facility_name_blank_after_trim"
BAD_COUNT = "employee_count_negative_or_invalid"
BAD_STATE = "state_invalid"
NO_ACCREDITATIONS = "accreditations_missing_or_empty"
BAD_DATE = "invalid_or_missing_valid_until"

REJECTING = (MALFORMED, BAD_ID, BLANK_NAME, BAD_COUNT, BAD_STATE)
REASONS = (*REJECTING, NO_ACCREDITATIONS, BAD_DATE)

Days = list[int | None]


@dataclass(slots=True)
class Line:
    """One line of a file and what is to become of it.

    ``text`` is a JSON value without line breaks; ``raw``, which takes its place in files of lines, need not
    be. ``days`` holds the valid_until of each accreditation (ordinals; None where it is invalid) and is empty
    where there are none. ``why`` lists the rules broken, of ``REJECTING``. ``blank`` is a line of white space
    before it. ``kind`` is None for a line that is as it should be.
    """

    text: str
    facility_id: str | None
    state: str | None
    days: Days
    kind: str | None = None
    why: tuple[str, ...] = ()
    raw: bytes | None = None
    blank: bytes | None = None
    snapshot_differs: bool = False

    @property
    def rejected(self) -> bool:
        return bool(self.why)

    @property
    def invalid_accreditations(self) -> int:
        return 0 if MALFORMED in self.why else self.days.count(None)

    @property
    def reasons(self) -> list[str]:
        """All reasons that apply, in order; of an unreadable line nothing else can be said."""
        if MALFORMED in self.why:
            return [MALFORMED]
        found = set(self.why)
        if not self.days:
            found.add(NO_ACCREDITATIONS)
        if None in self.days:
            found.add(BAD_DATE)
        return [reason for reason in REASONS if reason in found]


@dataclass(slots=True)
class Given:
    """The facility that is to be made defective: its ``line``, the ``record`` in it, and the snapshot's date."""

    line: Line
    snapshot: date
    record: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Defect:
    """A kind of defect. ``lines_only``: possible only where each value has a line of its own.

    ``no_object``: it is no JSON object, so it must not be what a file begins with. ``is_bad``: it makes one
    line, which is rejected or has an invalid accreditation.
    """

    name: str
    make: Callable[[Given], list[Line]]
    lines_only: bool = False
    no_object: bool = False
    is_bad: bool = False

    def lines(self, clean: Line, snapshot: date) -> list[Line]:
        """The lines that take the place of ``clean``, which stays as it is."""
        given = Given(replace(clean, days=list(clean.days)), snapshot, json.loads(clean.text))
        return [replace(line, kind=self.name) for line in self.make(given)]


def _edited(given: Given, **changes: Any) -> Line:
    """The facility's line with the record as it now is in ``given``."""
    return replace(given.line, text=json.dumps(given.record, ensure_ascii=False), **changes)


class _Missing:
    """The value of a key that is not there."""


_MISSING = _Missing()


def _set(record: dict[str, Any], key: str, value: Any) -> None:
    if value is _MISSING:
        del record[key]
    else:
        record[key] = value


# --- one field at a time -----------------------------------------------------------------------------

_NBSP = "\u00a0"

#: Kind -> the facility_id it sets, or what it makes of the right one. Rejected if the second entry says so.
_IDS: dict[str, tuple[Any, bool]] = {
    "id_missing": (_MISSING, True),
    "id_null": (None, True),
    "id_number": (12345, True),
    "id_empty": ("", True),
    "id_other_prefix": ("HOSP00123", True),
    "id_without_digits": ("FAC", True),
    "id_with_letter": ("FAC12A4", True),
    "id_with_hyphen": ("FAC-00123", True),
    "id_with_inner_space": ("FAC 00123", True),
    "id_with_unicode_digits": ("FAC１２３", True),  # noqa: RUF001 - on purpose
    "id_lower_case": (str.lower, False),
    "id_padded": (lambda right: f"  {right}\t", False),
    "id_mixed_case_padded": (lambda right: f"{right.capitalize()} ", False),
}

_NAMES: dict[str, tuple[Any, bool]] = {
    "name_missing": (_MISSING, True),
    "name_null": (None, True),
    "name_empty": ("", True),
    "name_spaces": ("   \t ", True),
    "name_nbsp": (_NBSP * 3, True),
    "name_unicode_spaces": ("\u2003\u3000\u2009", True),
    "name_padded": (lambda right: f"  {right} ", False),
    "name_nbsp_padded": (lambda right: f"{_NBSP}{right}{_NBSP}", False),
    "name_unicode": ("Clínica Señora del Río, 健康 🏥", False),
    "name_for_csv": ('The "Old Mill", Clinic; Branch 2', False),
    "name_with_line_break": ("Harbor Clinic\nEast Wing", False),
    "name_like_a_formula": ('=HYPERLINK("http://example.com")', False),
}

_COUNTS: dict[str, tuple[Any, bool]] = {
    "count_missing": (_MISSING, True),
    "count_null": (None, True),
    "count_negative": (-1, True),
    "count_negative_text": ("-5", True),
    "count_fraction": (3.5, True),
    "count_whole_float": (312.0, True),
    "count_true": (True, True),
    "count_word": ("many", True),
    "count_empty_text": ("", True),
    "count_fraction_text": ("3.5", True),
    "count_unicode_digits": ("３１２", True),  # noqa: RUF001 - on purpose
    "count_list": ([312], True),
    "count_too_large": (2**63, True),
    "count_text": ("312", False),
    "count_padded_text": (" 312 ", False),
    "count_zero": (0, False),
}

_STATES: dict[str, tuple[Any, bool]] = {
    "state_missing": (_MISSING, True),
    "state_null": (None, True),
    "state_empty": ("", True),
    "state_by_name": ("Michigan", True),
    "state_unknown": ("XX", True),
    "state_number": (26, True),
    "state_padded_lower_case": (lambda right: f" {right.lower()} ", False),
}

_LOCATIONS: dict[str, Any] = {
    "location_missing": _MISSING,
    "location_null": None,
    "location_text": "100 Main St, Detroit, MI 48201",
    "location_list": ["Detroit", "MI"],
}

#: What services may be instead of an array of strings; none of it rejects.
_SERVICES: dict[str, Any] = {
    "services_missing": _MISSING,
    "services_null": None,
    "services_text": "Emergency",
    "services_object": {"name": "Emergency"},
    "services_empty": [],
    "services_mixed": ["Emergency", 7, None, {"name": "ICU"}],
}

_LABS: dict[str, Any] = {
    "labs_missing": _MISSING,
    "labs_null": None,
    "labs_text": "Hematology Lab",
    "labs_of_null": [None],
    "labs_without_certifications": [
        {"lab_name": "Hematology Lab"},
        {"lab_name": None, "certifications": None},
    ],
    "labs_certifications_text": [{"lab_name": "Hematology Lab", "certifications": "CLIA"}],
}

#: What accreditations may be instead of an array of objects, and the validity dates that are left.
_ACCREDITATIONS: dict[str, tuple[Any, Days]] = {
    "accreditations_missing": (_MISSING, []),
    "accreditations_null": (None, []),
    "accreditations_empty": ([], []),
    "accreditations_object": ({}, []),
    "accreditations_text": ("Joint Commission", []),
    "accreditations_of_null": ([None], [None]),
    "accreditations_of_text": (["Joint Commission"], [None]),
}

#: What valid_until may be instead of a real calendar date YYYY-MM-DD.
_DATES: dict[str, Any] = {
    "date_missing": _MISSING,
    "date_null": None,
    "date_empty": "",
    "date_not_in_calendar": "2025-02-30",
    "date_zeros": "0000-00-00",
    "date_compact": "20251115",
    "date_american": "11/15/2025",
    "date_iso_week": "2025-W46-6",
    "date_zoned_timestamp": "2025-11-15T23:59:59-08:00",
    "date_timestamp": "2026-12-01T00:00:00",
    "date_one_digit": "2026-12-1",
    "date_padded": " 2026-12-01 ",
    "date_unicode_digits": "２０２６-12-01",  # noqa: RUF001 - on purpose
    "date_integer": 20261115,
    "date_word": "pending",
}


def _of_field(key: str, value: Any, why: tuple[str, ...]) -> Callable[[Given], list[Line]]:
    def make(given: Given) -> list[Line]:
        result = value(given.record[key]) if callable(value) else value
        _set(given.record, key, result)
        line = _edited(given, why=why)
        if key == "facility_id" and why:
            line.facility_id = (result.strip().upper() or None) if isinstance(result, str) else None
        return [line]

    return make


def _of_state(value: Any, why: tuple[str, ...]) -> Callable[[Given], list[Line]]:
    def make(given: Given) -> list[Line]:
        location = given.record["location"]
        _set(location, "state", value(location["state"]) if callable(value) else value)
        return [_edited(given, why=why)]

    return make


def _of_accreditations(value: Any, days: Days) -> Callable[[Given], list[Line]]:
    def make(given: Given) -> list[Line]:
        _set(given.record, "accreditations", value)
        return [_edited(given, days=list(days))]

    return make


def _accreditation(given: Given) -> dict[str, Any]:
    """The first accreditation of the record, one that does not end if it had none."""
    accreditations: list[dict[str, Any]] = given.record["accreditations"]
    if not accreditations:
        accreditations.append(
            {"accreditation_body": "DNV", "accreditation_id": "DNV-0000001", "valid_until": "9999-12-31"}
        )
        given.line.days.append(date.max.toordinal())
    return accreditations[0]


def _of_date(value: Any) -> Callable[[Given], list[Line]]:
    def make(given: Given) -> list[Line]:
        _set(_accreditation(given), "valid_until", value)
        return [_edited(given, days=[None, *given.line.days[1:]])]

    return make


# --- whole records -----------------------------------------------------------------------------------


def _all_dates_invalid(given: Given) -> list[Line]:
    _accreditation(given)
    for one in given.record["accreditations"]:
        one["valid_until"] = "2025-02-30"
    return [_edited(given, days=[None] * len(given.line.days))]


def _date_at_the_end_of_time(given: Given) -> list[Line]:
    _accreditation(given)["valid_until"] = "9999-12-31"
    return [_edited(given, days=[date.max.toordinal(), *given.line.days[1:]])]


def _territory(given: Given) -> list[Line]:
    given.record["location"] |= {"city": "San Juan", "state": "PR", "zip": "00907"}
    return [_edited(given, state="PR")]


def _zip_number(given: Given) -> list[Line]:
    # 02115 loses its zero on the way through a spreadsheet.
    location = given.record["location"]
    location["zip"] = int(location["zip"])
    return [_edited(given)]


def _zip_null(given: Given) -> list[Line]:
    given.record["location"]["zip"] = None
    return [_edited(given)]


def _other_snapshot(given: Given) -> list[Line]:
    given.record["snapshot_date"] = (given.snapshot - timedelta(days=31)).isoformat()
    return [_edited(given, snapshot_differs=True)]


def _snapshot_null(given: Given) -> list[Line]:
    given.record["snapshot_date"] = None
    return [_edited(given)]


def _further_keys(given: Given) -> list[Line]:
    given.record |= {"npi": "1234567893", "notes": {"reviewed": True, "by": [None, 1.5e3]}}
    return [_edited(given)]


def _other_order(given: Given) -> list[Line]:
    changed = dict(reversed(given.record.items()))
    return [replace(given.line, text=json.dumps(changed, ensure_ascii=False))]


def _escaped(given: Given) -> list[Line]:
    given.record["facility_name"] = "Hôpital São João 🏥"
    return [replace(given.line, text=json.dumps(given.record, ensure_ascii=True))]


def _compact(given: Given) -> list[Line]:
    return [replace(given.line, text=json.dumps(given.record, ensure_ascii=False, separators=(",", ":")))]


def _white_space_around(given: Given) -> list[Line]:
    return [replace(given.line, text=f"  {given.line.text} \t")]


def _empty_object(given: Given) -> list[Line]:
    why = (BAD_ID, BLANK_NAME, BAD_COUNT, BAD_STATE)
    return [replace(given.line, text="{}", facility_id=None, state=None, days=[], why=why)]


def _several_rules(given: Given) -> list[Line]:
    given.record |= {
        "facility_id": " hosp-77 ",
        "facility_name": _NBSP,
        "employee_count": -1,
        "accreditations": None,
    }
    given.record["location"] = None
    why = (BAD_ID, BLANK_NAME, BAD_COUNT, BAD_STATE)
    return [_edited(given, facility_id="HOSP-77", state=None, days=[], why=why)]


def _two_rules_and_a_date(given: Given) -> list[Line]:
    _accreditation(given)["valid_until"] = "31.12.2026"
    given.record["employee_count"] = "n/a"
    given.record["location"]["state"] = "Ontario"
    return [_edited(given, days=[None, *given.line.days[1:]], why=(BAD_COUNT, BAD_STATE))]


# --- values that are no objects, lines that are no JSON ----------------------------------------------

_VALUES: dict[str, str] = {
    "value_null": "null",
    "value_number": "42",
    "value_text": '"FAC0000001"',
    "value_true": "true",
}


def _unreadable(given: Given, raw: bytes) -> list[Line]:
    return [replace(given.line, raw=raw, facility_id=None, state=None, days=[], why=(MALFORMED,))]


def _of_value(text: str) -> Callable[[Given], list[Line]]:
    def make(given: Given) -> list[Line]:
        return [replace(given.line, text=text, facility_id=None, state=None, days=[], why=(MALFORMED,))]

    return make


def _in_name(inserted: bytes) -> Callable[[str], bytes]:
    def spoil(text: str) -> bytes:
        start = b'"facility_name": "'
        return text.encode().replace(start, start + inserted, 1)

    return spoil


#: Kind -> what it makes of a record's text; none of it is JSON text in UTF-8 of one object.
_SPOILT: dict[str, Callable[[str], bytes]] = {
    "line_cut_off": lambda text: text.encode()[: len(text) // 2],
    "line_without_its_start": lambda text: text.encode()[len(text) // 2 :],
    "line_of_words": lambda _: b"-- export truncated, see ticket --",
    "line_of_csv": lambda _: b'FAC0000001,"Mercy Hospital",312,MI',
    "line_of_python": lambda text: text.replace('"', "'").encode(),
    "comma_missing": lambda text: text.replace(', "facility_name"', ' "facility_name"', 1).encode(),
    "comma_trailing": lambda text: text[:-1].encode() + b",}",
    "brace_doubled": lambda text: text.encode() + b"}",
    "not_a_number": lambda text: text.encode().replace(
        b'"employee_count": ', b'"employee_count": NaN, "was": ', 1
    ),
    "tab_inside_a_string": _in_name(b"North\tSide "),
    "utf8_invalid_byte": _in_name(b"Caf\xff "),
    "utf8_latin1": _in_name("Clínica ".encode("latin-1")),
    "utf8_cut_off": _in_name(b"\xe2\x82 "),
    "utf8_invalid_in_services": lambda text: text.encode().replace(
        b'"services": [', b'"services": ["\xc3\x28", ', 1
    ),
    "line_of_an_array": lambda text: f"[{text}]".encode(),
}


def _of_spoilt(spoil: Callable[[str], bytes]) -> Callable[[Given], list[Line]]:
    return lambda given: _unreadable(given, spoil(given.line.text))


def _after_blank(white_space: bytes) -> Callable[[Given], list[Line]]:
    return lambda given: [replace(given.line, blank=white_space)]


# --- duplicates, in one file -------------------------------------------------------------------------


def _twice(given: Given) -> list[Line]:
    return [given.line, replace(given.line)]


def _twice_conflicting(given: Given) -> list[Line]:
    given.record |= {"employee_count": given.record["employee_count"] + 17, "accreditations": []}
    return [_edited(given, days=[]), given.line]


def _twice_in_other_case(given: Given) -> list[Line]:
    right = given.record["facility_id"]
    given.record["facility_id"] = right.lower()
    first = _edited(given)
    given.record |= {"facility_id": f"{right} ", "employee_count": 1}
    return [first, _edited(given)]


def _rejected_then_right(given: Given) -> list[Line]:
    given.record["employee_count"] = -1
    return [_edited(given, why=(BAD_COUNT,)), given.line]


def _right_then_rejected(given: Given) -> list[Line]:
    given.record["location"]["state"] = None
    return [given.line, _edited(given, why=(BAD_STATE,))]


# --- what is right, but said again, or cut off -------------------------------------------------------


def corrected(clean: Line, random: Stream) -> Line:
    """What a re-delivery says of a facility: another head count, and its first accreditation renewed."""
    record = json.loads(clean.text)
    record["employee_count"] = max(1, record["employee_count"] + int(random() * 40) - 20)
    days = list(clean.days)
    if days and random() < 0.5:
        renewed = (days[0] or 0) + 365
        days[0] = renewed
        record["accreditations"][0]["valid_until"] = date.fromordinal(renewed).isoformat()
    return replace(clean, text=json.dumps(record, ensure_ascii=False), days=days)


#: The last line of a file that was cut off while it was uploaded; its kind, which no facility is given.
TRUNCATED_LAST_LINE = "truncated_last_line"


def truncated_last_line(text: str) -> Line:
    """Half of a record, for the end of a file without a line end."""
    return Line(
        text, None, None, [], kind=TRUNCATED_LAST_LINE, why=(MALFORMED,), raw=text.encode()[: len(text) // 3]
    )


def _all_dirt() -> tuple[Defect, ...]:
    kinds: list[Defect] = []
    for table, key, reason in (
        (_IDS, "facility_id", BAD_ID),
        (_NAMES, "facility_name", BLANK_NAME),
        (_COUNTS, "employee_count", BAD_COUNT),
    ):
        for name, (value, rejected) in table.items():
            kinds.append(Defect(name, _of_field(key, value, (reason,) if rejected else ()), is_bad=rejected))
    kinds += [
        Defect(name, _of_state(value, (BAD_STATE,) if bad else ()), is_bad=bad)
        for name, (value, bad) in _STATES.items()
    ]
    kinds += [
        Defect(name, _of_field("location", value, (BAD_STATE,)), is_bad=True)
        for name, value in _LOCATIONS.items()
    ]
    kinds += [Defect(name, _of_field("services", value, ())) for name, value in _SERVICES.items()]
    kinds += [Defect(name, _of_field("labs", value, ())) for name, value in _LABS.items()]
    kinds += [
        Defect(name, _of_accreditations(value, days), is_bad=None in days)
        for name, (value, days) in _ACCREDITATIONS.items()
    ]
    kinds += [Defect(name, _of_date(value), is_bad=True) for name, value in _DATES.items()]
    kinds += [
        Defect("date_all_invalid", _all_dates_invalid, is_bad=True),
        Defect("date_at_the_end_of_time", _date_at_the_end_of_time),
        Defect("state_territory", _territory),
        Defect("zip_number", _zip_number),
        Defect("zip_null", _zip_null),
        Defect("snapshot_differs", _other_snapshot),
        Defect("snapshot_null", _snapshot_null),
        Defect("further_keys", _further_keys),
        Defect("keys_in_other_order", _other_order),
        Defect("escaped_text", _escaped),
        Defect("compact_text", _compact),
        Defect("white_space_around", _white_space_around),
        Defect("empty_object", _empty_object, is_bad=True),
        Defect("several_rules", _several_rules, is_bad=True),
        Defect("two_rules_and_a_date", _two_rules_and_a_date, is_bad=True),
    ]
    kinds += [Defect(name, _of_value(text), no_object=True, is_bad=True) for name, text in _VALUES.items()]
    kinds += [
        Defect(name, _of_spoilt(spoil), lines_only=True, no_object=True, is_bad=True)
        for name, spoil in _SPOILT.items()
    ]
    kinds += [
        Defect("blank_line", _after_blank(b""), lines_only=True),
        Defect("blank_line_of_spaces", _after_blank(b"   \t"), lines_only=True),
        Defect("duplicate", _twice),
        Defect("duplicate_conflicting", _twice_conflicting),
        Defect("duplicate_in_other_case", _twice_in_other_case),
        Defect("rejected_then_right", _rejected_then_right),
        Defect("right_then_rejected", _right_then_rejected),
    ]
    return tuple(kinds)


#: Every kind of defect that one facility can have, in a fixed order.
ALL_DEFECTS = _all_dirt()
#: The kinds that make exactly one bad line.
BAD_DEFECTS = tuple(one for one in ALL_DEFECTS if one.is_bad)
