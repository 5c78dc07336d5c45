"""Patient, Encounter and Condition of FHIR R4 and R5 as canonical, typed rows.

An element of a wrong type is a missing one: only the five reasons of :class:`RejectReason` reject a resource, as an
older, wrong version would else stay current.

No names, addresses or free texts are in a row.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, Raw

from medlaunch.clinical.elements import (
    CodeTables,
    Concept,
    Identifier,
    Memo,
    Period,
    Reference,
    codes_of,
    coding_text,
    codings_of,
    identifier_text,
    is_id,
    read_date_time,
    read_reference,
)
from medlaunch.clinical.pseudonyms import Pseudonyms
from medlaunch.clinical.values import resource_type

VOID = "entered-in-error"

T = TypeVar("T")


class RejectReason(StrEnum):
    """Why a value is no version of a resource, in the order in which it is checked."""

    MALFORMED_JSON = "malformed_json"
    NOT_A_RESOURCE = "not_a_resource"
    WRONG_RESOURCE_TYPE = "wrong_resource_type"
    ID_INVALID = "id_invalid"
    LAST_UPDATED_INVALID = "last_updated_invalid"


# --- what is read ----------------------------------------------------------------------------------

_NONE = Raw(b"")


class Meta(msgspec.Struct, gc=False, rename="camel"):
    # Of any type: a present one of a wrong type rejects, and a missing one does not.
    last_updated: Any = None
    version_id: Any = None


class _Resource(msgspec.Struct, gc=False, rename="camel", tag_field="resourceType"):
    """Elements that differ from resource to resource are decoded; others stay as they are written, because what they
    mean is mostly known from an earlier resource."""

    id: Any = None
    meta: Raw = _NONE


class Patient(_Resource, tag="Patient"):
    identifier: list[Identifier] = []
    gender: str | None = None
    birth_date: str | None = None
    deceased_boolean: bool | None = None
    deceased_date_time: str | None = None


class Encounter(_Resource, tag="Encounter"):
    status: Raw = _NONE
    class_: Raw = msgspec.field(default=_NONE, name="class")
    type: Raw = _NONE
    service_type: Raw = _NONE
    priority: Raw = _NONE
    subject: Raw = _NONE
    part_of: Raw = _NONE
    service_provider: Raw = _NONE
    period: Period | None = None
    actual_period: Period | None = None
    hospitalization: Raw = _NONE
    admission: Raw = _NONE


class Condition(_Resource, tag="Condition"):
    verification_status: Raw = _NONE
    code: Raw = _NONE
    subject: Raw = _NONE
    encounter: Raw = _NONE
    context: Raw = _NONE
    onset_date_time: str | None = None
    onset_period: Period | None = None
    recorded_date: str | None = None


_NO_PERIOD = Period()


class Discharge(msgspec.Struct, gc=False, rename="camel"):
    discharge_disposition: Concept | list[Concept] | None = None


Resource: TypeAlias = Patient | Encounter | Condition

RESOURCE_TYPES: Mapping[str, type[Resource]] = {
    "Patient": Patient,
    "Encounter": Encounter,
    "Condition": Condition,
}

_decode = msgspec.json.Decoder(Patient | Encounter | Condition).decode


def decode_resource(raw: bytes) -> Resource:
    """The resource that a JSON text is.

    Raises:
        ValueError, RecursionError: for what is none of the three.
    """
    try:
        return _decode(raw)
    except msgspec.ValidationError:
        kind = RESOURCE_TYPES.get(resource_type(raw) or "")
        if kind is None:
            raise
        found: Resource = decode_leniently(raw, kind)
        return found


@lru_cache(maxsize=64)
def _decoder(kind: Any) -> msgspec.json.Decoder[Any]:
    return msgspec.json.Decoder(kind)


@lru_cache(maxsize=64)
def _raw_fields(kind: type[msgspec.Struct]) -> tuple[msgspec.json.Decoder[Any], list[tuple[str, Any]]]:
    fields = msgspec.structs.fields(kind)
    raw = msgspec.defstruct(
        f"Raw{kind.__name__}",
        [(one.name, Raw, msgspec.field(default=Raw(b""), name=one.encode_name)) for one in fields],
    )
    hints = get_type_hints(kind)
    return msgspec.json.Decoder(raw), [(one.name, hints[one.name]) for one in fields]


def decode_leniently(raw: bytes | Raw, kind: Any) -> Any:
    """The JSON text as ``kind``, without the parts that are of another type.

    Returns UNSET if nothing of it is, or there is no text. ``raw`` must be one JSON value.
    """
    if not raw:
        return UNSET
    try:
        return _decoder(kind).decode(raw)
    except (ValueError, RecursionError):
        pass
    first = bytes(raw).lstrip()[:1]
    if get_origin(kind) in (Union, types.UnionType):
        for member in get_args(kind):
            is_list = get_origin(member) is list
            is_struct = isinstance(member, type) and issubclass(member, msgspec.Struct)
            if (first == b"[" and is_list) or (first == b"{" and is_struct):
                return decode_leniently(raw, member)
    elif first == b"[" and get_origin(kind) is list:
        (member,) = get_args(kind)
        items = (decode_leniently(item, member) for item in _decoder(list[Raw]).decode(raw))
        return [item for item in items if item is not UNSET]
    elif first == b"{" and isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        decoder, fields = _raw_fields(kind)
        given = decoder.decode(raw)
        found = {
            name: value
            for name, hint in fields
            if (text := getattr(given, name)) and (value := decode_leniently(text, hint)) is not UNSET
        }
        return kind(**found)
    return UNSET


# --- what is written -------------------------------------------------------------------------------


class PatientRow(msgspec.Struct, gc=False, omit_defaults=True):
    """``deceased_flag`` without ``deceased_date``: dead, and nobody says since when."""

    identifiers: list[str] = []
    gender: str | None = None
    birth_date: str | None = None
    deceased_date: str | None = None
    deceased_instant: str | None = None
    deceased_flag: bool | None = None


class EncounterRow(msgspec.Struct, gc=False, omit_defaults=True):
    """Dates are those written; instants are in UTC, where an offset says so. ``void``: entered in error."""

    status: str | None
    void: bool
    class_codes: list[str]
    type_codes: list[str] = []
    service_codes: list[str] = []
    priority_codes: list[str] = []
    patient_ref: str | None = None
    org_id: str | None = None
    part_of: str | None = None
    start_written: str | None = None
    start_date: str | None = None
    start_instant: str | None = None
    end_written: str | None = None
    end_date: str | None = None
    end_instant: str | None = None
    disposition: str = ""
    disposition_codings: list[str] = []
    patient_pseudonym: str | None = None


class ConditionRow(msgspec.Struct, gc=False, omit_defaults=True):
    """``infection_type`` of the reference table; None if it is none of these infections."""

    void: bool
    codings: list[str]
    infection_type: str | None = None
    verification: str | None = None
    patient_ref: str | None = None
    encounter_id: str | None = None
    onset_written: str | None = None
    onset_date: str | None = None
    onset_instant: str | None = None
    recorded_date: str | None = None
    patient_pseudonym: str | None = None
    encounter_pseudonym: str | None = None


Row: TypeAlias = PatientRow | EncounterRow | ConditionRow


class Version(msgspec.Struct, gc=False):
    """Which version of which resource a value is.

    ``rank`` is text that sorts versions by lastUpdated, then by versionId as an integer; what is missing sorts first.
    """

    id: str
    last_updated: str | None = None
    version_id: str | None = None
    rank: str = " "


class RowReader:
    """Reads resources into rows, with reference tables of a folder and the pseudonyms of a key.

    What an element means depends on nothing but its text, so texts that were met are remembered.
    """

    def __init__(self, reference: Path, pseudonyms: Pseudonyms):
        tables = CodeTables(reference)
        self._pseudonyms = pseudonyms
        self._patient = _Meanings(self._read_patient)
        self._encounter_ref = _Meanings(lambda raw: _reference(raw, "Encounter"))
        self._organization_ref = _Meanings(lambda raw: _reference(raw, "Organization"))
        self._text = _Meanings(_text)
        self._meta = _Meanings(_read_meta)
        self._codes = _Meanings(lambda raw: codes_of(_concepts(raw)))
        self._class = _Meanings(lambda raw: codes_of(_concepts(raw)))
        self._type = _Meanings(_type)
        self._verification = _Meanings(_verification)

        def discharge(raw: bytes) -> tuple[str, list[str]]:
            found = decode_leniently(raw, Discharge)
            disposition = found.discharge_disposition if found is not UNSET else None
            codings = codings_of(_as_list(disposition))
            return tables.disposition(codings), [coding_text(coding) for coding in codings]

        def code(raw: bytes) -> tuple[list[str], str | None]:
            codings = codings_of(_concepts(raw))
            return [coding_text(coding) for coding in codings], tables.infection_type(codings)

        self._discharge = _Meanings(discharge)
        self._code = _Meanings(code)

    def _read_patient(self, raw: bytes) -> tuple[str | None, str | None]:
        """The patient that a reference names, and its pseudonym."""
        patient = _reference(raw, "Patient")
        return patient, None if patient is None else self._pseudonyms.of("Patient", patient)

    def version(self, resource: Resource, uuid: str | None = None) -> Version | RejectReason:
        """The version, or why there is none; ``uuid`` is the id of a resource without one."""
        id_ = resource.id if resource.id is not None else uuid
        if not isinstance(id_, str) or not is_id(id_):
            return RejectReason.ID_INVALID
        meta = self._meta[bytes(resource.meta)]
        return RejectReason.LAST_UPDATED_INVALID if meta is None else Version(id_, *meta)

    def patient(self, patient: Patient) -> PatientRow:
        died_date, died_instant = read_date_time(patient.deceased_date_time)
        return PatientRow(
            [identifier_text(one.system, one.value) for one in patient.identifier if one.value],
            patient.gender,
            read_date_time(patient.birth_date)[0],
            died_date,
            died_instant,
            True if patient.deceased_date_time is not None else patient.deceased_boolean,
        )

    def encounter(self, encounter: Encounter) -> EncounterRow:
        period = encounter.period or encounter.actual_period or _NO_PERIOD
        start_date, start_instant = read_date_time(period.start)
        end_date, end_instant = read_date_time(period.end)
        status = self._text[bytes(encounter.status)]
        type_codes, inpatient = self._type[bytes(encounter.type)]
        disposition, codings = self._discharge[bytes(encounter.hospitalization or encounter.admission)]
        patient, pseudonym = self._patient[bytes(encounter.subject)]
        return EncounterRow(
            status,
            status == VOID,
            self._class[bytes(encounter.class_)] or (["IMP"] if inpatient else []),
            type_codes,
            self._codes[bytes(encounter.service_type)],
            self._codes[bytes(encounter.priority)],
            patient,
            self._organization_ref[bytes(encounter.service_provider)],
            self._encounter_ref[bytes(encounter.part_of)],
            period.start,
            start_date,
            start_instant,
            period.end,
            end_date,
            end_instant,
            disposition,
            codings,
            pseudonym,
        )

    def condition(self, condition: Condition) -> ConditionRow:
        onset_written = condition.onset_date_time
        onset_date, onset_instant = read_date_time(onset_written)
        if onset_date is None and condition.onset_period:
            start = condition.onset_period.start
            onset_date, onset_instant = read_date_time(start)
            if onset_date is not None or onset_written is None:
                onset_written = start
        codings, infection_type = self._code[bytes(condition.code)]
        verification = self._verification[bytes(condition.verification_status)]
        patient, pseudonym = self._patient[bytes(condition.subject)]
        encounter = self._encounter_ref[bytes(condition.encounter or condition.context)]
        return ConditionRow(
            verification == VOID,
            codings,
            infection_type,
            verification,
            patient,
            encounter,
            onset_written,
            onset_date,
            onset_instant,
            read_date_time(condition.recorded_date)[0],
            pseudonym,
            self._pseudonyms.of_encounter(encounter),
        )


class _Meanings(Memo[Any]):
    """What elements mean, by their JSON text."""

    def __missing__(self, raw: Any) -> Any:
        return super().__missing__(raw) if len(raw) < _LONG else self._function(raw)


#: The meaning of a longer text is not kept.
_LONG = 2_000


def _read_meta(raw: bytes) -> tuple[str | None, str | None, str] | None:
    """lastUpdated in UTC, versionId, and their rank; None if there is a lastUpdated that is no instant."""
    meta = decode_leniently(raw, Meta)
    if meta is UNSET:
        return None, None, " "
    written, number = meta.last_updated, meta.version_id
    instant = None
    if written is not None:
        instant = read_date_time(written)[1] if isinstance(written, str) else None
        if instant is None:
            return None
    if isinstance(number, int) and not isinstance(number, bool):
        number = str(number)
    if not isinstance(number, str) or not (number.isascii() and number.isdigit()):
        return instant, None, f"{instant or ''} "
    # A space sorts before every character of an instant, and a shorter number before a longer one.
    digits = number.lstrip("0")
    return instant, number, f"{instant or ''} {len(digits):04d}{digits}"


_decode_text = msgspec.json.Decoder(str).decode


def _text(raw: bytes | Raw) -> str | None:
    if not raw:
        return None
    try:
        return _decode_text(raw)
    except ValueError:
        return None


def _reference(raw: bytes, kind: str) -> str | None:
    reference = decode_leniently(raw, Reference)
    return None if reference is UNSET else read_reference(reference, kind)


def _as_list(concepts: Any) -> list[Concept]:
    if concepts is UNSET or concepts is None:
        return []
    return concepts if isinstance(concepts, list) else [concepts]


def _concepts(raw: bytes) -> list[Concept]:
    return _as_list(decode_leniently(raw, Concept | list[Concept] | None))


def _type(raw: bytes) -> tuple[list[str], bool]:
    """The codes of a type, and whether it says in words that it is inpatient, as systems do that send no class."""
    concepts = _concepts(raw)
    texts = [concept.text for concept in concepts] + [coding.display for coding in codings_of(concepts)]
    return codes_of(concepts), any(text and text.strip().lower() == "inpatient" for text in texts)


def _verification(raw: bytes) -> str | None:
    """The code of the verification status: entered-in-error wins over confirmed, and that over others."""
    status = decode_leniently(raw, Concept | list[Concept] | str | None)
    if isinstance(status, str):
        return status
    concepts = _as_list(status)
    codes = [coding.code for coding in codings_of(concepts) if coding.code]
    for code in (VOID, "confirmed"):
        if code in codes:
            return code
    return codes[0] if codes else concepts[0].text if concepts else None
