"""Accreditations that expire within a window, as a table and as whole records."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import date
from typing import Any, BinaryIO

import msgspec

from medlaunch.accreditation.rules import (
    Facility,
    RejectReason,
    check_exactly,
)
from medlaunch.accreditation.sorting import ExternalSort
from medlaunch.accreditation.window import window_end

#: The columns of expiring_soon.csv.
COLUMNS = (
    "facility_id",
    "facility_name",
    "address",
    "city",
    "state",
    "zip",
    "employee_count",
    "accreditation_body",
    "accreditation_id",
    "valid_until",
    "days_until_expiry",
    "run_date",
    "snapshot_date",
)


class ExpiryCounts(msgspec.Struct, kw_only=True):
    """What was looked at and found; ``window_end`` is the last day that counts."""

    facilities_read: int = 0
    expiring_facilities: int = 0
    expiring_accreditations: int = 0
    window_end: date


class _Date(msgspec.Struct, gc=False):
    valid_until: date | None = None


class _Dates(msgspec.Struct, gc=False):
    accreditations: list[_Date] = []


class _Stored(Facility, gc=False):
    """A canonical record as stored. Bronze holds rejected ones, too; unset, the field is not written."""

    reject_reason: str | msgspec.UnsetType | None = msgspec.UNSET


class _Echo:
    """Lets a csv.writer give its lines back."""

    @staticmethod
    def write(line: str) -> str:
        return line


def filter_expiring(
    lines: Iterable[bytes],
    *,
    as_of: date,
    window: str,
    snapshot_date: date,
    csv_out: BinaryIO,
    ndjson_out: BinaryIO,
) -> ExpiryCounts:
    """Find the accreditations with ``as_of <= valid_until <= as_of + window``.

    Writes ``expiring_soon.csv`` (RFC 4180, UTF-8, always with its header, sorted by valid_until, then
    facility_id, then the order of the accreditations) and ``expiring_facilities.ndjson`` (canonical
    records, sorted by facility_id). Memory does not grow with the number of lines.

    Args:
        lines: canonical records, one JSON object each, one a facility; blank lines and rejected records
            are passed over.
        as_of: the first day of the window, and ``run_date`` in the table.
        window: ISO 8601 duration; see :func:`window_end`.
        snapshot_date: the snapshot that the records belong to.

    Raises:
        ValueError: if the window is none, or for a line that is no JSON object: canonical records come
            from this pipeline, so that is not dirt but damage.
    """
    end = window_end(as_of, window)
    decode_dates = msgspec.json.Decoder(_Dates).decode
    find = _Finder(as_of, end, snapshot_date)
    number = blank = 0
    with find.rows, find.records:
        for number, line in enumerate(lines, 1):
            try:
                facility = decode_dates(line)
            except (ValueError, RecursionError):
                if line.isspace():
                    blank += 1
                else:
                    find.add(_read_odd(line, number))
                continue
            for accreditation in facility.accreditations:
                day = accreditation.valid_until
                if day is not None and as_of <= day <= end:
                    find.add_line(line, number)
                    break
        csv_out.write((",".join(COLUMNS) + "\r\n").encode())
        for batch in find.rows.batches():
            csv_out.write(b"".join([_row(item) for item in batch]))
        for batch in find.records.batches():
            ndjson_out.write(b"".join([item.partition(b"\0")[2] + b"\n" for item in batch]))
    return ExpiryCounts(
        facilities_read=number - blank,
        expiring_facilities=find.expiring_facilities,
        expiring_accreditations=find.expiring_accreditations,
        window_end=end,
    )


class _Finder:
    """Collects the rows and records of facilities with an accreditation in the window, to be sorted."""

    def __init__(self, as_of: date, end: date, snapshot_date: date):
        self.rows = ExternalSort()
        self.records = ExternalSort()
        self.expiring_facilities = 0
        self.expiring_accreditations = 0
        self._as_of, self._end, self._snapshot = as_of, end, snapshot_date
        self._run_date, self._snapshot_date = as_of.isoformat(), snapshot_date.isoformat()
        self._decode = msgspec.json.Decoder(_Stored).decode
        self._encode = msgspec.json.Encoder().encode
        self._to_csv = csv.writer(_Echo(), lineterminator="\r\n").writerow

    def add_line(self, line: bytes, number: int) -> None:
        """Decode a line that has a date in the window."""
        try:
            facility = self._decode(line)
        except (ValueError, RecursionError):
            facility = _read_odd(line, number)
        self.add(facility)

    def add(self, facility: _Stored) -> None:
        if facility.reject_reason not in (None, msgspec.UNSET):
            return
        as_of, end = self._as_of, self._end
        found = 0
        facility_id = facility.facility_id or ""
        location = facility.location
        for place, accreditation in enumerate(facility.accreditations):
            day = accreditation.valid_until
            if day is None or not as_of <= day <= end:
                continue
            found += 1
            valid_until = day.isoformat()
            row: Any = self._to_csv(
                (
                    facility_id,
                    facility.facility_name,
                    location.address,
                    location.city,
                    location.state,
                    location.zip,
                    facility.employee_count,
                    accreditation.accreditation_body,
                    accreditation.accreditation_id,
                    valid_until,
                    (day - as_of).days,
                    self._run_date,
                    self._snapshot_date,
                )
            )
            if "\\" in row or row.find("\n") < len(row) - 1:
                row = row[:-2].replace("\\", "\\\\").replace("\n", "\\n") + "\r\n"
            self.rows.add(f"{valid_until}{facility_id}\0{place:08d}{row[:-1]}".encode())
        if found:
            self.expiring_facilities += 1
            self.expiring_accreditations += found
            facility.snapshot_date = self._snapshot
            facility.reject_reason = msgspec.UNSET
            self.records.add(facility_id.encode() + b"\0" + self._encode(facility))


_PLACE = 8
_ESCAPED = re.compile(rb"\\(.)")


def _row(item: bytes) -> bytes:
    """The line of the table in an item that was sorted; there it had no line feed."""
    row = item.partition(b"\0")[2][_PLACE:] + b"\n"
    if b"\\" in row:
        row = _ESCAPED.sub(lambda match: b"\n" if match[1] == b"n" else b"\\", row)
    return row


def _read_odd(line: bytes, number: int) -> _Stored:
    """A record that is JSON, but not as this pipeline writes it."""
    checked = check_exactly(line, (), date.min)
    if RejectReason.MALFORMED_JSON in checked.reasons:
        raise ValueError(
            f"Line {number} of the canonical records is no JSON object ({checked.note}). Load the upload again."
        )
    return _Stored(**msgspec.structs.asdict(checked.facility))
