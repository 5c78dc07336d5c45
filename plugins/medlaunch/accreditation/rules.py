"""The rules for one facility record, each in one place.

A record takes one of two ways. The fast one is a single typed decode: it takes the records with nothing
wrong, which are nearly all, and leaves everything else to the exact one, which looks at each field by
itself, names what is wrong and makes the most of the rest. Both apply the same normalisation and the
same decoders to a field, so they agree wherever the fast one gives an answer.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import date
from enum import StrEnum
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from msgspec import Raw

from medlaunch.formats.json_scan import MAX_DEPTH, is_too_deep

#: What a bigint holds.
MAX_EMPLOYEES = 2**63 - 1

T = TypeVar("T")

_FACILITY_ID = re.compile(r"FAC[0-9]+")
_INTEGER = re.compile(rb"-?[0-9]+")


class RejectReason(StrEnum):
    """Why a line or an accreditation is not used, in the order in which it is checked."""

    MALFORMED_JSON = "malformed_json"
    FACILITY_ID = "facility_id_does_not_start_with_FAC"
    FACILITY_NAME = "facility_name_blank_after_trim"
    EMPLOYEE_COUNT = "employee_count_negative_or_invalid"
    STATE = "state_invalid"
    # These two leave the facility accepted.
    ACCREDITATIONS = "accreditations_missing_or_empty"
    VALID_UNTIL = "invalid_or_missing_valid_until"

    @property
    def rejects_the_facility(self) -> bool:
        return self not in (RejectReason.ACCREDITATIONS, RejectReason.VALID_UNTIL)


# --- the canonical record --------------------------------------------------------------------------
# gc=False: records hold no cycles, and a million of them need not be searched for any.


class Location(msgspec.Struct, gc=False):
    """Where a facility is; ``state`` is trimmed and in upper case."""

    address: str | None = None
    city: str | None = None
    state: str | None = None
    zip: str | None = None


class Lab(msgspec.Struct, gc=False):
    """A laboratory of a facility."""

    lab_name: str | None = None
    certifications: list[str] = []


class Accreditation(msgspec.Struct, gc=False):
    """``valid_until`` is the last valid day; None if the upload gave no such date."""

    accreditation_body: str | None = None
    accreditation_id: str | None = None
    valid_until: date | None = None


class Facility(msgspec.Struct, gc=False):
    """A facility record in its canonical form; ``snapshot_date`` is that of the folder."""

    facility_id: str | None = None
    facility_name: str | None = None
    employee_count: int | None = None
    location: Location = msgspec.field(default_factory=Location)
    services: list[str] = []
    labs: list[Lab] = []
    accreditations: list[Accreditation] = []
    snapshot_date: date | None = None


class CheckedRecord(msgspec.Struct):
    """What one record says and what is wrong with it.

    ``reasons`` holds all that apply, in order. ``bad_accreditations`` holds number (from 1) and JSON text
    of each accreditation without a usable date. ``note`` says more about malformed JSON.
    """

    facility: Facility
    number_of_offered_services: int = 0
    snapshot_date_differs: bool = False
    reasons: list[RejectReason] = []
    bad_accreditations: list[tuple[int, bytes]] = []
    note: str | None = None

    @property
    def reject_reason(self) -> RejectReason | None:
        """The first reason, if it rejects the facility."""
        return self.reasons[0] if self.reasons and self.reasons[0].rejects_the_facility else None


# --- for both ways ---------------------------------------------------------------------------------

is_facility_id = _FACILITY_ID.fullmatch


def is_utf8(raw: bytes) -> bool:
    """Whether the bytes are UTF-8. msgspec does not look, in what it skips."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


# --- the fast way ----------------------------------------------------------------------------------


def _says(description: str, **schema: Any) -> msgspec.Meta:
    """What the JSON Schema of uploads says of a field beside its type; decoding does not look at it."""
    return msgspec.Meta(description=description, extra_json_schema=schema or None)


class CleanLocation(msgspec.Struct, gc=False, kw_only=True):
    """Where a facility is."""

    address: str | None = None
    city: str | None = None
    state: Annotated[str, _says("Two-letter code of a state, DC or a territory.")]
    zip: Annotated[str, _says("Postal code, with its leading zeros.")] | None = None


class CleanAccreditation(msgspec.Struct, gc=False, kw_only=True):
    """An accreditation of a facility."""

    accreditation_body: str | None = None
    accreditation_id: str | None = None
    valid_until: Annotated[date, _says("Last day on which it is valid.")]


class CleanFacility(msgspec.Struct, gc=False, kw_only=True):
    """A facility record with nothing wrong. Other fields may be there; they are ignored."""

    facility_id: Annotated[str, _says("FAC and digits.", pattern=f"^{_FACILITY_ID.pattern}$")]
    facility_name: Annotated[str, _says("Not blank.", pattern=r"\S")]
    employee_count: Annotated[
        int, msgspec.Meta(ge=0, le=MAX_EMPLOYEES, description="Digits, without a fraction: 10, not 10.0.")
    ]
    location: CleanLocation
    services: list[str] = []
    labs: list[Lab] = []
    accreditations: list[CleanAccreditation] = []
    snapshot_date: (
        Annotated[str, _says("The date of the folder; another one is counted, not rejected.")] | None
    ) = None


#: Raises ValueError or RecursionError for what is not of that shape.
decode_clean = msgspec.json.Decoder(CleanFacility).decode


def normalise(record: CleanFacility, states: Collection[str]) -> bool:
    """Bring a record of the clean shape into its canonical form; False if it breaks a rule all the same."""
    if not is_facility_id(record.facility_id):
        record.facility_id = record.facility_id.strip().upper()
        if not is_facility_id(record.facility_id):
            return False
    record.facility_name = name = record.facility_name.strip()
    location = record.location
    if location.state not in states:
        location.state = location.state.strip().upper()
        if location.state not in states:
            return False
    return name != ""


# --- the exact way ---------------------------------------------------------------------------------

_NULL = Raw(b"null")


class _RawLocation(msgspec.Struct, gc=False):
    address: Raw = _NULL
    city: Raw = _NULL
    state: Raw = _NULL
    zip: Raw = _NULL


class _RawLab(msgspec.Struct, gc=False):
    lab_name: Raw = _NULL
    certifications: Raw = _NULL


class _RawAccreditation(msgspec.Struct, gc=False):
    accreditation_body: Raw = _NULL
    accreditation_id: Raw = _NULL
    valid_until: Raw = _NULL


class _RawFacility(msgspec.Struct, gc=False):
    facility_id: Raw = _NULL
    facility_name: Raw = _NULL
    employee_count: Raw = _NULL
    location: Raw = _NULL
    services: Raw = _NULL
    labs: Raw = _NULL
    accreditations: Raw = _NULL
    snapshot_date: Raw = _NULL


class _As(Generic[T]):
    """Decodes a JSON text of one type; None if it is of another."""

    def __init__(self, kind: type[T]):
        self._decode = msgspec.json.Decoder(kind).decode

    def __call__(self, raw: Raw) -> T | None:
        try:
            return self._decode(raw)
        except msgspec.ValidationError:
            return None


_string = _As(str)
_date = _As(date)
_list = _As(list[Raw])
_facility = msgspec.json.Decoder(_RawFacility).decode
_location = _As(_RawLocation)
_lab = _As(_RawLab)
_accreditation = _As(_RawAccreditation)


def check_record(raw: bytes, states: Collection[str], snapshot: date) -> CheckedRecord:
    """Apply all the rules to the JSON text of one record.

    Args:
        raw: the text, one JSON value; anything else is ``malformed_json``.
        states: the valid two-letter codes.
        snapshot: the date of the folder.
    """
    try:
        record = decode_clean(raw)
    except (ValueError, RecursionError):
        return check_exactly(raw, states, snapshot)
    if is_too_deep(raw) or not is_utf8(raw) or not normalise(record, states):
        return check_exactly(raw, states, snapshot)
    own, record.snapshot_date = record.snapshot_date, None
    facility = msgspec.convert(record, Facility, from_attributes=True)
    facility.snapshot_date = snapshot
    return CheckedRecord(
        facility,
        number_of_offered_services=len(record.services),
        snapshot_date_differs=own is not None and own.strip() != snapshot.isoformat(),
        reasons=[] if record.accreditations else [RejectReason.ACCREDITATIONS],
    )


def check_exactly(raw: bytes, states: Collection[str], snapshot: date) -> CheckedRecord:
    """Apply all the rules without the fast way: the same result as :func:`check_record`."""
    try:
        if is_too_deep(raw):
            raise RecursionError(f"nested deeper than {MAX_DEPTH}")
        fields = _facility(raw)
        raw.decode()
    except (ValueError, RecursionError) as error:
        return CheckedRecord(
            Facility(snapshot_date=snapshot), reasons=[RejectReason.MALFORMED_JSON], note=str(error)
        )
    location = _location(fields.location) or _RawLocation()
    services = _list(fields.services) or []
    accreditations = [_read_accreditation(item) for item in _list(fields.accreditations) or ()]
    facility = Facility(
        facility_id=(_string(fields.facility_id) or "").strip().upper() or None,
        facility_name=(_string(fields.facility_name) or "").strip() or None,
        employee_count=_count(fields.employee_count),
        location=Location(
            address=_text(location.address),
            city=_text(location.city),
            state=(_string(location.state) or "").strip().upper() or None,
            zip=_zip(location.zip),
        ),
        services=[_any_text(item) for item in services],
        labs=[lab for item in _list(fields.labs) or () if (lab := _read_lab(item))],
        accreditations=[accreditation for _, accreditation in accreditations],
        snapshot_date=snapshot,
    )
    bad = [
        (number, bytes(item))
        for number, (item, accreditation) in enumerate(accreditations, 1)
        if accreditation.valid_until is None
    ]
    broken = {
        RejectReason.FACILITY_ID: not is_facility_id(facility.facility_id or ""),
        RejectReason.FACILITY_NAME: facility.facility_name is None,
        RejectReason.EMPLOYEE_COUNT: facility.employee_count is None,
        RejectReason.STATE: facility.location.state not in states,
        RejectReason.ACCREDITATIONS: not accreditations,
        RejectReason.VALID_UNTIL: bool(bad),
    }
    own = None if bytes(fields.snapshot_date) == b"null" else _any_text(fields.snapshot_date)
    return CheckedRecord(
        facility,
        number_of_offered_services=len(services),
        snapshot_date_differs=own is not None and own.strip() != snapshot.isoformat(),
        reasons=[reason for reason, applies in broken.items() if applies],
        bad_accreditations=bad,
    )


def _read_accreditation(item: Raw) -> tuple[Raw, Accreditation]:
    fields = _accreditation(item) or _RawAccreditation()
    return item, Accreditation(
        accreditation_body=_text(fields.accreditation_body),
        accreditation_id=_text(fields.accreditation_id),
        valid_until=_date(fields.valid_until),
    )


def _read_lab(item: Raw) -> Lab | None:
    fields = _lab(item)
    if fields is None:
        return None
    certifications = [_any_text(item) for item in _list(fields.certifications) or ()]
    return Lab(_text(fields.lab_name), certifications)


def _count(raw: Raw) -> int | None:
    """A count that is a JSON integer, or a string of nothing but its digits."""
    text = bytes(raw)
    if (string := _string(raw)) is not None:
        string = string.strip()
        if not (string.isascii() and string.isdigit()):
            return None
        text = string.encode()
    elif not _INTEGER.fullmatch(text):
        return None
    # Python refuses to convert thousands of digits; the largest count has 19.
    if len(text.lstrip(b"-0")) > 19:
        return None
    count = int(text)
    return count if 0 <= count <= MAX_EMPLOYEES else None


def _zip(raw: Raw) -> str | None:
    """A postal code; one that lost its leading zeros by being a number gets them back."""
    text = bytes(raw)
    if _INTEGER.fullmatch(text):
        return None if text.startswith(b"-") else text.decode().zfill(5)
    return _string(raw)


def _text(raw: Raw) -> str | None:
    """A string; of a number or a Boolean its JSON text."""
    text = bytes(raw)
    return None if text[:1] in (b"n", b"{", b"[") else _any_text(raw)


def _any_text(raw: Raw) -> str:
    """A string; of anything else its JSON text."""
    string = _string(raw)
    return bytes(raw).decode() if string is None else string
