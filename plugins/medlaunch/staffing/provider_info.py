"""Provider Information: one row per facility and month, with beds, ratings, CMS's own staffing figures and penalties.

Source of the columns: CMS, Nursing Home Data Dictionary, December 2022, and the files of nine years, which spell them
in three ways (``include/reference/provider_info_columns.csv``). A bad key, state or date rejects the row; any other
bad value becomes NULL and is counted, because one unreadable fine should not hide a facility's beds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import date
from decimal import Decimal
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

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

SPELLINGS = "provider_info_columns.csv"

# Files until 2018 say Y or N.
_SPECIAL_FOCUS = {"Y": "SFF", "SFF": "SFF", "SFF CANDIDATE": "SFF Candidate"}

Value: TypeAlias = str | int | Decimal | None
_FLUSH_EVERY = 1024


class RejectReason(StrEnum):
    """Why a row is rejected, in the order of the checks."""

    WRONG_FIELD_COUNT = "wrong_field_count"
    CCN = "ccn_invalid"
    STATE = "state_invalid"
    PROCESSING_DATE = "processing_date_invalid"


class ProviderRow(NamedTuple):
    """An accepted row.

    ``values`` has every column of :data:`READERS`; ``fields_invalid`` of them were there and could not be read.
    """

    ccn: str
    state: str
    processing_date: date
    values: dict[str, Value]
    fields_invalid: int

    @property
    def quarter(self) -> str:
        return quarter_of(self.processing_date)


def _rating(text: str) -> int | None:
    rating = parse_integer(text, digits=1)
    if rating is not None and not 1 <= rating <= 5:
        raise InvalidField(f"{rating} is no rating from 1 to 5")
    return rating


def _dollars(text: str) -> Decimal | None:
    return parse_decimal(text.replace("$", "").replace(",", ""), digits=14, scale=2)


def _footnote(text: str) -> str | None:
    """Codes of CMS's table of footnotes; new ones come every few years, so any code passes."""
    codes = (code.strip().removesuffix(".0") for code in text.split(","))
    return ",".join(code for code in codes if code) or None


def _special_focus(text: str) -> str | None:
    return _SPECIAL_FOCUS.get(" ".join(text.split()).upper())


_count = partial(parse_integer, digits=9)
_hprd = partial(parse_decimal, digits=10, scale=5)
_degrees = partial(parse_decimal, digits=9, scale=6, signed=True)

#: How each column is read, beside ccn, state and processing_date. Decimals have the types of silver_provider_info.
READERS: dict[str, Callable[[str], Value]] = {
    "provider_name": clean_text,
    "address": clean_text,
    "city": clean_text,
    "zip": clean_text,
    "county": clean_text,
    "ownership_type": clean_text,
    "certified_beds": _count,
    "avg_residents": partial(parse_decimal, digits=9, scale=2),
    "avg_residents_footnote": _footnote,
    "overall_rating": _rating,
    "overall_rating_footnote": _footnote,
    "inspection_rating": _rating,
    "inspection_rating_footnote": _footnote,
    "qm_rating": _rating,
    "qm_rating_footnote": _footnote,
    "staffing_rating": _rating,
    "staffing_rating_footnote": _footnote,
    "reported_staffing_footnote": _footnote,
    "aide_hprd": _hprd,
    "lpn_hprd": _hprd,
    "rn_hprd": _hprd,
    "licensed_hprd": _hprd,
    "total_hprd": _hprd,
    "weekend_total_hprd": _hprd,
    "weekend_rn_hprd": _hprd,
    "adjusted_total_hprd": _hprd,
    "casemix_total_hprd": _hprd,
    "fines": _count,
    "fines_usd": _dollars,
    "payment_denials": _count,
    "penalties": _count,
    "special_focus_status": _special_focus,
    "chain_name": clean_text,
    "latitude": _degrees,
    "longitude": _degrees,
    "location_footnote": _footnote,
}


#: The columns of a record, as the rules and the loader take them.
COLUMNS = ("ccn", "state", "processing_date", *READERS)


def check(fields: Sequence[str], states: Collection[str]) -> ProviderRow | RejectReason:
    """What a record means whose fields are those of :data:`COLUMNS`, or the first rule that it breaks."""
    ccn = parse_ccn(fields[0])
    if ccn is None:
        return RejectReason.CCN
    state = fields[1].strip().upper()
    if state not in states:
        return RejectReason.STATE
    try:
        processing_date = parse_date(fields[2], american=True)
    except InvalidField:
        return RejectReason.PROCESSING_DATE
    values: dict[str, Value] = {}
    invalid = 0
    for text, (name, read) in zip(fields[3:], READERS.items(), strict=True):
        try:
            values[name] = read(text)
        except InvalidField:
            values[name] = None
            invalid += 1
    return ProviderRow(ccn, state, processing_date, values, invalid)


def _slice_of_reject(fields: Sequence[str]) -> str:
    """The quarter of a rejected record's processing date; ``unknown`` if it has none."""
    try:
        return known_slice(quarter_of(parse_date(fields[2], american=True)))
    except InvalidField:
        return UNKNOWN_SLICE


class ProviderInfoFile:
    """Writes the records of one file to bronze.

    Attributes:
        measures: fields of accepted rows that could not be read, ``fields_invalid``.
    """

    def __init__(self, states: frozenset[str], source_key: str, upload_id: str):
        self._states, self._source_key, self._upload_id = states, source_key, upload_id
        self.measures: Counter[str] = Counter()

    def load(self, records: Iterable[Item[tuple[str, ...]]], lines: BronzeLines) -> None:
        """Account for every record, whose fields are those of :data:`COLUMNS`."""
        for number, (line, raw, fields) in enumerate(records, 1):
            if not number % _FLUSH_EVERY:
                lines.flush()
            slice_ = UNKNOWN_SLICE
            row: ProviderRow | RejectReason = RejectReason.WRONG_FIELD_COUNT
            if fields is not None and not isinstance(fields, Malformed):
                row = check(fields, self._states)
                slice_ = _slice_of_reject(fields)
            if isinstance(row, RejectReason):
                lines.reject(slice_, row, raw, self._source_key, self._upload_id, line)
                continue
            self.measures["fields_invalid"] += row.fields_invalid
            record = {
                "ccn": row.ccn,
                "state": row.state,
                "processing_date": row.processing_date.isoformat(),
                **row.values,
                "fields_invalid": row.fields_invalid,
                "source_key": self._source_key,
                "upload_id": self._upload_id,
                "line_number": line,
            }
            lines.valid[row.quarter].append(msgspec.json.encode(record).decode() + "\n")


def load(
    stream: BinaryIO,
    upload: UploadRef,
    out: BronzeWriter,
    rejects: LineWriter,
    *,
    reference: Path,
    first_line: int | None = None,
) -> LineCounts:
    """Load an upload of Provider Information files: a :class:`medlaunch.declaration.Loader`.

    Its slices are the quarters of the processing dates. Measures: ``fields_invalid``, ``repaired_lines``,
    ``ignored_columns``.
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
        loader=ProviderInfoFile,
    )
