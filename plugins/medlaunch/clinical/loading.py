"""Load one FHIR upload into bronze: canonical lines, quarantine and counts, in one pass."""

from __future__ import annotations

import base64
import re
from collections import Counter
from pathlib import Path
from typing import BinaryIO

import msgspec

from medlaunch.clinical.pseudonyms import Pseudonyms
from medlaunch.clinical.resources import (
    RESOURCE_TYPES,
    Condition,
    ConditionRow,
    Encounter,
    EncounterRow,
    Patient,
    PatientRow,
    RejectReason,
    Resource,
    RowReader,
    Version,
    decode_resource,
)
from medlaunch.clinical.values import LIMITS, FhirValues, Value, resource_type
from medlaunch.declaration import VALID, BronzeWriter, LineCounts, LineWriter, UploadRef
from medlaunch.formats import Malformed
from medlaunch.formats.content import Limits, open_content

#: All resources are one slice: a patient's story crosses any border of time or place.
SLICE = "all"

#: The type that a folder below ``landing/fhir/`` is for.
FOLDERS: dict[str, str | None] = {
    "patients": "Patient",
    "encounters": "Encounter",
    "conditions": "Condition",
    "bundles": None,
}

_FOLDER = re.compile(r"(?:^|/)fhir/([a-z]+)/")
_FLUSH = 1024 * 1024


class _Line(msgspec.Struct, gc=False, omit_defaults=True):
    """One line of bronze: a version of a resource, or what is known of a rejected value."""

    resource_type: str | None
    id: str | None
    last_updated: str | None
    version_id: str | None
    version_rank: str | None
    source_key: str
    upload_id: str
    line_number: int
    record_number: int
    pseudonym: str | None = None
    key_id: str | None = None
    patient: PatientRow | None = None
    encounter: EncounterRow | None = None
    condition: ConditionRow | None = None
    reject_reason: RejectReason | None = None


class _Reject(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One rejected value. ``raw_base64`` is there where ``raw`` cannot show all bytes."""

    reject_reason: RejectReason
    source_key: str
    line_number: int
    record_number: int
    note: str | None = None
    raw: str
    raw_base64: str | None = None


def load(
    stream: BinaryIO,
    upload: UploadRef,
    out: BronzeWriter,
    rejects: LineWriter,
    *,
    reference: Path,
    key: bytes,
    limits: Limits = LIMITS,
) -> LineCounts:
    """Read an upload of ``landing/fhir/<folder>/`` once; a :class:`~medlaunch.declaration.Loader`.

    ``key`` makes the pseudonyms, so that no later step needs it.

    Each value gives one line of bronze, rejected ones too. Measures count Bundles, their ignored entries, the valid
    versions of each type, and those of them that are entered in error.

    Raises:
        UnreadableUpload: if compressed data is damaged or a bomb; what was written must be thrown away.
        ValueError: if the key is in none of :data:`FOLDERS`.
    """
    wanted = _type_of_folder(upload.key)
    pseudonyms = Pseudonyms(key)
    rows = RowReader(reference, pseudonyms)
    content = open_content(stream, limits)
    values = FhirValues(content, decode_resource, RESOURCE_TYPES, limits)
    source_key, upload_id = upload.key, upload.upload_id
    encode_into = msgspec.json.Encoder().encode_into
    buffer, number, void = bytearray(), 0, 0
    by_type: Counter[str] = Counter()
    quarantine = _Quarantine(rejects, source_key)

    for number, one in enumerate(values, 1):
        line_number, resource = one.line, one.value
        version: Version | RejectReason
        if resource is None or isinstance(resource, Malformed):
            version = _what_is_wrong(one)
        else:
            kind = type(resource).__name__
            if wanted is not None and kind != wanted and not one.in_bundle:
                version = RejectReason.WRONG_RESOURCE_TYPE
            else:
                version = rows.version(resource, one.uuid)
        if isinstance(version, RejectReason):
            note = one.value.note if isinstance(one.value, Malformed) else None
            quarantine.put(version, one.raw, line_number, number, note)
            found = None if version == RejectReason.MALFORMED_JSON else resource_type(one.raw)
            line = _Line(
                found,
                None,
                None,
                None,
                None,
                source_key,
                upload_id,
                line_number,
                number,
                reject_reason=version,
            )
        else:
            by_type[kind] += 1
            line = _Line(
                kind,
                version.id,
                version.last_updated,
                version.version_id,
                version.rank,
                source_key,
                upload_id,
                line_number,
                number,
                pseudonyms.of(kind, version.id),
                pseudonyms.key_id,
            )
            if isinstance(resource, Encounter):
                line.encounter = encounter = rows.encounter(resource)
                void += encounter.void
            elif isinstance(resource, Condition):
                line.condition = condition = rows.condition(resource)
                void += condition.void
            elif isinstance(resource, Patient):
                line.patient = rows.patient(resource)
        encode_into(line, buffer, -1)
        buffer += b"\n"
        if len(buffer) > _FLUSH:
            out.write(SLICE, bytes(buffer))
            buffer.clear()

    if buffer:
        out.write(SLICE, bytes(buffer))
    quarantine.flush()
    outcomes = {
        reason.value: quarantine.counts[reason] for reason in RejectReason if quarantine.counts[reason]
    }
    valid = number - sum(outcomes.values())
    return LineCounts(
        lines=number,
        slices={SLICE: ({VALID: valid} if valid else {}) | outcomes} if number else {},
        measures={
            "bundles": values.bundles,
            "ignored_bundle_entries": values.ignored_entries,
            "patients": by_type["Patient"],
            "encounters": by_type["Encounter"],
            "conditions": by_type["Condition"],
            "entered_in_error": void,
        },
        bytes_read=content.bytes_read,
    )


def _type_of_folder(key: str) -> str | None:
    match = _FOLDER.search(key)
    if not match or match[1] not in FOLDERS:
        raise ValueError(f"{key} is in none of the folders fhir/{{{','.join(FOLDERS)}}}/")
    return FOLDERS[match[1]]


def _what_is_wrong(value: Value[Resource]) -> RejectReason:
    if isinstance(value.value, Malformed):
        return RejectReason.MALFORMED_JSON
    if resource_type(value.raw) is None:
        return RejectReason.NOT_A_RESOURCE
    return RejectReason.WRONG_RESOURCE_TYPE


class _Quarantine:
    """Writes rejected values and counts them."""

    def __init__(self, out: LineWriter, source_key: str):
        self.counts: Counter[RejectReason] = Counter()
        self._out, self._source_key = out, source_key
        self._buffer = bytearray()
        self._encoder = msgspec.json.Encoder()

    def put(self, reason: RejectReason, raw: bytes, line: int, number: int, note: str | None) -> None:
        self.counts[reason] += 1
        raw = raw.strip()
        try:
            text, encoded = raw.decode(), None
        except UnicodeDecodeError:
            text, encoded = raw.decode(errors="backslashreplace"), base64.b64encode(raw).decode()
        reject = _Reject(
            reject_reason=reason,
            source_key=self._source_key,
            line_number=line,
            record_number=number,
            note=note,
            raw=text,
            raw_base64=encoded,
        )
        self._encoder.encode_into(reject, self._buffer, -1)
        self._buffer += b"\n"
        if len(self._buffer) > _FLUSH:
            self.flush()

    def flush(self) -> None:
        if self._buffer:
            self._out.write(bytes(self._buffer))
            self._buffer.clear()
