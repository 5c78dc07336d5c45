"""Load one upload into bronze: canonical lines, rejects and counts, in one streaming pass.

:func:`load` is the :class:`~medlaunch.declaration.Loader` of the dataset ``facilities``.
"""

from __future__ import annotations

import base64
from collections import Counter
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import msgspec

from medlaunch.accreditation.rules import (
    Accreditation,
    CheckedRecord,
    CleanAccreditation,
    CleanFacility,
    CleanLocation,
    Facility,
    Lab,
    Location,
    RejectReason,
    check_exactly,
    decode_clean,
    is_utf8,
    normalise,
)
from medlaunch.accreditation.states import read_states
from medlaunch.declaration import VALID, BronzeWriter, LineCounts, LineWriter, UploadRef
from medlaunch.formats import Malformed
from medlaunch.formats.content import DEFAULT_LIMITS, Limits, open_content
from medlaunch.formats.json_records import NO_VALUE, JsonRecords

_FLUSH = 1024 * 1024


class _BronzeLine(msgspec.Struct, gc=False):
    """One line of bronze, its keys in this order."""

    facility_id: str | None
    facility_name: str | None
    employee_count: int | None
    location: Location | CleanLocation
    services: list[str]
    labs: list[Lab]
    accreditations: list[Accreditation] | list[CleanAccreditation]
    number_of_offered_services: int
    snapshot_date_differs: bool
    reject_reason: RejectReason | None
    reject_reasons: list[RejectReason]
    source_key: str
    upload_id: str
    line_number: int
    record_number: int


class _QuarantineLine(msgspec.Struct, omit_defaults=True, kw_only=True):
    """One rejected line or accreditation. ``raw_base64`` is there where ``raw`` cannot show all bytes."""

    reject_reason: RejectReason
    reject_reasons: list[RejectReason]
    source_key: str
    line_number: int
    record_number: int
    facility_id: str | None = None
    accreditation_number: int | None = None
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
    first_line: int | None = None,
    limits: Limits = DEFAULT_LIMITS,
) -> LineCounts:
    """Read an upload once and write its canonical lines and its rejects.

    Args:
        stream: the upload as it came, plain or gzip.
        upload: where it came from; its slice is the snapshot date that its folder says.
        out: gets one line for each line of the upload, rejected ones included.
        rejects: gets one line for each rejected line, and for each accreditation without a usable date of a
            facility that is accepted.
        reference: the folder that holds ``states.csv``.
        first_line: the number of the line with which a part of an upload begins.
        limits: what the upload may cost.

    Returns:
        Lines of the one slice, also if there are none. A line is one JSON value, or one piece that is none; blank
        lines do not count. The measures: ``snapshot_date_differs``, lines that say another date than their folder;
        and of valid lines ``accreditations``, ``accreditations_quarantined`` and ``without_accreditations``.

    Raises:
        UnreadableUpload: if compressed data is damaged or too large; what was written must not be used.
    """
    if upload.slice is None:
        raise ValueError(f"{upload.key} is in no snapshot folder, so its lines have no snapshot date")
    folder, snapshot = upload.slice, date.fromisoformat(upload.slice)
    content = open_content(stream, limits, must_be_gzip=upload.key.lower().endswith(".gz"))
    records = JsonRecords(content, decode_clean, limits)
    if first_line is not None and first_line > 1:
        records.begin_at(first_line)
    codes = _state_codes(reference / "states.csv")
    source_key, upload_id = upload.key, upload.upload_id
    buffer, encode_into = bytearray(), _encoder.encode_into
    doubtful = _Doubtful(_Lines(rejects), source_key)
    number = last_line = on_line = accreditations = without = differ = 0
    no_reasons: list[RejectReason] = []

    for line_number, raw, record in records:
        number += 1
        on_line = on_line + 1 if line_number == last_line else 1
        last_line = line_number
        if type(record) is CleanFacility and (raw.isascii() or is_utf8(raw)) and normalise(record, codes):
            if record.accreditations:
                accreditations += len(record.accreditations)
            else:
                without += 1
            own = record.snapshot_date
            differs = own is not None and own != folder and own.strip() != folder
            differ += differs
            line = _BronzeLine(
                record.facility_id,
                record.facility_name,
                record.employee_count,
                record.location,
                record.services,
                record.labs,
                record.accreditations,
                len(record.services),
                differs,
                None,
                no_reasons,
                source_key,
                upload_id,
                line_number,
                on_line,
            )
        else:
            if isinstance(record, Malformed):
                checked = _malformed(raw, record, codes, snapshot)
            else:
                checked = check_exactly(raw, codes, snapshot)
            reason = checked.reject_reason
            doubtful.put(checked, raw, line_number, on_line)
            facility = checked.facility
            differ += checked.snapshot_date_differs
            if reason is None:
                accreditations += len(facility.accreditations)
                without += not facility.accreditations
            line = _BronzeLine(
                facility.facility_id,
                facility.facility_name,
                facility.employee_count,
                facility.location,
                facility.services,
                facility.labs,
                facility.accreditations,
                checked.number_of_offered_services,
                checked.snapshot_date_differs,
                reason,
                checked.reasons if reason else no_reasons,
                source_key,
                upload_id,
                line_number,
                on_line,
            )
        encode_into(line, buffer, -1)
        buffer += b"\n"
        if len(buffer) > _FLUSH:
            out.write(folder, bytes(buffer))
            buffer.clear()

    if buffer:
        out.write(folder, bytes(buffer))
    doubtful.lines.flush()
    rejected = sum(doubtful.rejected.values())
    outcomes = {VALID: number - rejected, **_in_order(doubtful.rejected)}
    return LineCounts(
        lines=number,
        slices={folder: {outcome: lines for outcome, lines in outcomes.items() if lines}},
        measures={
            "snapshot_date_differs": differ,
            "accreditations": accreditations,
            "accreditations_quarantined": doubtful.accreditations,
            "without_accreditations": without,
        },
        bytes_read=content.bytes_read,
    )


_encoder = msgspec.json.Encoder()


@lru_cache(maxsize=1)
def _state_codes(path: Path) -> frozenset[str]:
    return frozenset(read_states(path))


class _Lines:
    """Collects lines, to write many of them at once; writes nothing where there are none."""

    def __init__(self, out: LineWriter):
        self._out = out
        self._buffer = bytearray()

    def put(self, line: msgspec.Struct) -> None:
        _encoder.encode_into(line, self._buffer, -1)
        self._buffer += b"\n"
        if len(self._buffer) > _FLUSH:
            self.flush()

    def flush(self) -> None:
        if self._buffer:
            self._out.write(bytes(self._buffer))
            self._buffer.clear()


class _Doubtful:
    """Writes quarantine lines and counts them; most records never come here."""

    def __init__(self, lines: _Lines, source_key: str):
        self.lines = lines
        self.rejected: Counter[RejectReason] = Counter()
        self.accreditations = 0
        self._source_key = source_key

    def put(self, checked: CheckedRecord, raw: bytes, line_number: int, record_number: int) -> None:
        reason = checked.reject_reason
        if reason is not None:
            self.rejected[reason] += 1
            text, encoded = _as_text(raw.strip())
            self.lines.put(
                _QuarantineLine(
                    reject_reason=reason,
                    reject_reasons=checked.reasons,
                    source_key=self._source_key,
                    line_number=line_number,
                    record_number=record_number,
                    note=checked.note,
                    raw=text,
                    raw_base64=encoded,
                )
            )
            return
        self.accreditations += len(checked.bad_accreditations)
        for accreditation_number, item in checked.bad_accreditations:
            self.lines.put(
                _QuarantineLine(
                    reject_reason=RejectReason.VALID_UNTIL,
                    reject_reasons=[RejectReason.VALID_UNTIL],
                    source_key=self._source_key,
                    line_number=line_number,
                    record_number=record_number,
                    facility_id=checked.facility.facility_id,
                    accreditation_number=accreditation_number,
                    raw=item.decode(),
                )
            )


def _malformed(raw: bytes, malformed: Malformed, states: frozenset[str], snapshot: date) -> CheckedRecord:
    note = malformed.note
    if malformed is NO_VALUE:
        note = check_exactly(raw, states, snapshot).note or note
    return CheckedRecord(Facility(snapshot_date=snapshot), reasons=[RejectReason.MALFORMED_JSON], note=note)


def _as_text(raw: bytes) -> tuple[str, str | None]:
    """Bytes as text, and in base64 if the text cannot show them all."""
    try:
        return raw.decode(), None
    except UnicodeDecodeError:
        return raw.decode(errors="backslashreplace"), base64.b64encode(raw).decode()


def _in_order(counts: Counter[RejectReason]) -> dict[str, int]:
    return {reason.value: counts[reason] for reason in RejectReason if counts[reason]}
