"""Accreditations that expire within a window, as a table and as whole records."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import BinaryIO

import msgspec

from medlaunch.accreditation.rules import Accreditation, Location, RejectReason, check_exactly, is_utf8
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
    # As text it sorts like a date, and is cheaper; that it is one is seen where it matters.
    valid_until: str | None = None


class _Dates(msgspec.Struct, gc=False):
    accreditations: list[_Date] = []


class _Stored(msgspec.Struct, gc=False):
    """A canonical record as stored; what no rule and no table looks at is passed on as it is.

    Bronze holds rejected records, too; unset, their reason is not written.
    """

    facility_id: str | None = None
    facility_name: str | None = None
    employee_count: int | None = None
    location: Location = msgspec.field(default_factory=Location)
    services: msgspec.Raw = msgspec.Raw(b"[]")
    labs: msgspec.Raw = msgspec.Raw(b"[]")
    accreditations: list[Accreditation] = []
    snapshot_date: date | None = None
    reject_reason: str | msgspec.UnsetType | None = msgspec.UNSET


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
            from this pipeline, so that is damage, not bad input.
    """
    end = window_end(as_of, window)
    decode_dates = msgspec.json.Decoder(_Dates).decode
    first, last = as_of.isoformat(), end.isoformat()
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
                if day is not None and first <= day <= last:
                    find.add_line(line, number)
                    break
        csv_out.write((",".join(COLUMNS) + "\r\n").encode())
        for batch in find.rows.batches():
            csv_out.write(_table(batch, f",{as_of},{snapshot_date}\r\n".encode()))
        for batch in find.records.batches():
            batch.append(b"")
            ndjson_out.write(b"\n".join(batch))
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
        self._today = as_of.toordinal()
        self._decode = msgspec.json.Decoder(_Stored).decode
        self._encode = msgspec.json.Encoder().encode

    def add_line(self, line: bytes, number: int) -> None:
        """Decode a line that has a date in the window."""
        try:
            facility = self._decode(line)
            usual = line.isascii() or is_utf8(line)
            usual = usual and facility.services != _NULL and facility.labs != _NULL
        except (ValueError, RecursionError):
            usual = False
        self.add(facility if usual else _read_odd(line, number))

    def add(self, facility: _Stored) -> None:
        if facility.reject_reason is not None and facility.reject_reason is not msgspec.UNSET:
            return
        as_of, end = self._as_of, self._end
        found = 0
        for place, accreditation in enumerate(facility.accreditations):
            day = accreditation.valid_until
            if day is not None and as_of <= day <= end:
                found += 1
                valid_until = day.isoformat()
                row = self._row(facility, accreditation, valid_until, day.toordinal() - self._today)
                self.rows.add(f"{valid_until}{facility.facility_id}\0{place:08d}{row}".encode())
        if found:
            self.expiring_facilities += 1
            self.expiring_accreditations += found
            facility.snapshot_date = self._snapshot
            facility.reject_reason = msgspec.UNSET
            # Its first key is the id, and the quote after an id sorts before what ids are made of.
            self.records.add(self._encode(facility))

    def _row(self, facility: _Stored, accreditation: Accreditation, valid_until: str, days: int) -> str:
        """A line of the table up to what all lines end with, without any line feed in it."""
        location, employees = facility.location, facility.employee_count
        texts = (
            facility.facility_id or "",
            facility.facility_name or "",
            location.address or "",
            location.city or "",
            location.state or "",
            location.zip or "",
            "" if employees is None else f"{employees}",
            accreditation.accreditation_body or "",
            accreditation.accreditation_id or "",
        )
        row = ",".join(texts)
        # The csv module would take a third of the whole time; a test holds this against it.
        if '"' in row or "\\" in row or "\n" in row or "\r" in row:
            row = ",".join([_quoted(text) for text in texts])
            row = row.replace("\\", "\\\\").replace("\n", "\\n")
        elif row.count(",") >= len(texts):
            row = ",".join([f'"{text}"' if "," in text else text for text in texts])
        return f"{row},{valid_until},{days}"


_NULL = msgspec.Raw(b"null")
_TO_QUOTE = re.compile(r'[",\r\n]')
_PLACE = 8
_ESCAPED = re.compile(rb"\\(.)")


def _quoted(field: str) -> str:
    """A field of a CSV line (RFC 4180, section 2, rules 5 to 7)."""
    return '"' + field.replace('"', '""') + '"' if _TO_QUOTE.search(field) else field


def _table(batch: list[bytes], end: bytes) -> bytes:
    """The lines of the table in items that were sorted, each with the same end."""
    rows = [item[item.index(0) + 1 + _PLACE :] for item in batch]
    table = end.join(rows) + end
    if b"\\" in table:
        return _ESCAPED.sub(lambda match: b"\n" if match[1] == b"n" else b"\\", table)
    return table


def _read_odd(line: bytes, number: int) -> _Stored:
    """A record that is JSON, but not as this pipeline writes it."""
    checked = check_exactly(line, (), date.min)
    if RejectReason.MALFORMED_JSON in checked.reasons:
        raise ValueError(
            f"Line {number} of the canonical records is no JSON object ({checked.note}). Load the upload again."
        )
    return msgspec.json.decode(msgspec.json.encode(checked.facility), type=_Stored)
