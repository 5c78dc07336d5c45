"""Loading one upload: canonical lines, quarantine and counts that add up."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.accreditation import load as load_facilities
from medlaunch.declaration import LineCounts
from medlaunch.formats.content import Limits, UnreadableUpload

REFERENCE = Path(__file__).parents[3] / "include" / "reference"
DAY = "2026-11-01"
KEYS = [
    "facility_id",
    "facility_name",
    "employee_count",
    "location",
    "services",
    "labs",
    "accreditations",
    "number_of_offered_services",
    "snapshot_date_differs",
    "reject_reason",
    "reject_reasons",
    "source_key",
    "upload_id",
    "line_number",
    "record_number",
]


class Upload(NamedTuple):
    key: str = 'landing/facilities/2026-11-01/a "b" ü.jsonl'
    upload_id: str = "0123456789abcdef01234567"
    slice: str | None = DAY


class Loaded(NamedTuple):
    counts: LineCounts
    bronze: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]


class Bronze:
    """Remembers what each call wrote."""

    def __init__(self) -> None:
        self.calls: list[bytes] = []

    def write(self, slice_: str, lines: bytes) -> None:
        assert slice_ == DAY
        assert type(lines) is bytes  # the writer may keep it
        self.calls.append(lines)


def load(content: bytes, upload: Upload = Upload(), limits: Limits = Limits()) -> Loaded:  # noqa: B008
    bronze, quarantine = Bronze(), io.BytesIO()
    counts = load_facilities(
        io.BytesIO(content), upload, bronze, quarantine, reference=REFERENCE, limits=limits
    )
    return Loaded(
        counts,
        [json.loads(line) for line in b"".join(bronze.calls).splitlines()],
        [json.loads(line) for line in quarantine.getvalue().splitlines()],
    )


def record(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number}",
        "facility_name": "Saint Mary",
        "location": {"state": "MI"},
        "employee_count": 3,
        "services": ["ICU"],
        "labs": [],
        "accreditations": [{"valid_until": "2027-01-31"}],
    } | changes


def place(line: dict[str, Any]) -> tuple[int, int]:
    return line["line_number"], line["record_number"]


def ndjson(*records: Any) -> bytes:
    return b"".join(json.dumps(one, ensure_ascii=False).encode() + b"\n" for one in records)


def test_a_line_of_bronze_has_all_keys_in_their_order() -> None:
    loaded = load(b"\n" + ndjson(record(7, snapshot_date="2026-10-01"), {"facility_id": "x"}) + b"{")
    assert [list(line) for line in loaded.bronze] == [KEYS] * 3
    assert loaded.bronze[0] == {
        "facility_id": "FAC7",
        "facility_name": "Saint Mary",
        "employee_count": 3,
        "location": {"address": None, "city": None, "state": "MI", "zip": None},
        "services": ["ICU"],
        "labs": [],
        "accreditations": [
            {"accreditation_body": None, "accreditation_id": None, "valid_until": "2027-01-31"}
        ],
        "number_of_offered_services": 1,
        "snapshot_date_differs": True,
        "reject_reason": None,
        "reject_reasons": [],
        "source_key": Upload().key,
        "upload_id": Upload().upload_id,
        "line_number": 2,
        "record_number": 1,
    }
    assert [
        (line["line_number"], line["record_number"], line["reject_reason"]) for line in loaded.bronze
    ] == [
        (2, 1, None),
        (3, 1, "facility_id_does_not_start_with_FAC"),
        (4, 1, "malformed_json"),
    ]


def test_the_fast_and_the_exact_way_write_the_same_line() -> None:
    fast = load(ndjson(record(snapshot_date="2026-11-01", accreditations=[], labs=[{"lab_name": "a"}])))
    exact = load(ndjson(record(snapshot_date="2026-11-01", accreditations=None, labs=[{"lab_name": "a"}, 1])))
    assert fast.bronze == exact.bronze
    assert (
        fast.counts.measures["without_accreditations"] == exact.counts.measures["without_accreditations"] == 1
    )


def test_counts() -> None:
    content = ndjson(
        record(1),
        record(2, facility_name=" "),
        record(3, facility_name=" ", employee_count=None, accreditations=[{}, {}]),
        record(4, accreditations=None, snapshot_date="2026-10-01"),
        record(5, accreditations=[None, {"valid_until": "2027-01-31"}, {"valid_until": "soon"}]),
        [record(6)],
    )
    counts = load(content + b"\n  \n{").counts
    assert counts == LineCounts(
        lines=7,
        slices={DAY: {"valid": 3, "malformed_json": 2, "facility_name_blank_after_trim": 2}},
        measures={
            "snapshot_date_differs": 1,
            "accreditations": 4,
            "accreditations_quarantined": 2,
            "without_accreditations": 1,
        },
        bytes_read=len(content) + 5,
    )


def test_an_upload_without_lines_belongs_to_its_slice() -> None:
    assert load(b"\n\n").counts.slices == {DAY: {}}


def test_an_upload_that_is_in_no_slice_is_refused() -> None:
    with pytest.raises(ValueError, match="is in no snapshot folder"):
        load(ndjson(record()), Upload(slice=None))


def test_quarantine_says_what_is_wrong_where_and_keeps_the_text() -> None:
    bad = record(9, employee_count=-1, accreditations=[], facility_name="Peña")
    item = {"valid_until": "11/15/2025", "x": "ü"}
    loaded = load(
        ndjson(record(8, accreditations=[{"valid_until": "2027-01-01"}, item]), bad)
        + b'\r\n  {"a": "\xff"} \r\n'
    )
    where = {"source_key": Upload().key}
    assert loaded.quarantine == [
        {
            "reject_reason": "invalid_or_missing_valid_until",
            "reject_reasons": ["invalid_or_missing_valid_until"],
            **where,
            "line_number": 1,
            "record_number": 1,
            "facility_id": "FAC8",
            "accreditation_number": 2,
            "raw": json.dumps(item, ensure_ascii=False),
        },
        {
            "reject_reason": "employee_count_negative_or_invalid",
            "reject_reasons": ["employee_count_negative_or_invalid", "accreditations_missing_or_empty"],
            **where,
            "line_number": 2,
            "record_number": 1,
            "raw": json.dumps(bad, ensure_ascii=False),
        },
        {
            "reject_reason": "malformed_json",
            "reject_reasons": ["malformed_json"],
            **where,
            "line_number": 4,
            "record_number": 1,
            "note": "'utf-8' codec can't decode byte 0xff in position 7: invalid start byte",
            "raw": '{"a": "\\xff"}',
            "raw_base64": base64.b64encode(b'{"a": "\xff"}').decode(),
        },
    ]


def test_a_beginning_that_was_kept_is_malformed_even_if_it_looks_like_a_record() -> None:
    content = ndjson(record())[:-1] + b" " * 70_000 + b"x\n"
    loaded = load(ndjson(record(3)) + content + ndjson(record(2)), limits=Limits(record_bytes=1000))
    assert [line["reject_reason"] for line in loaded.bronze] == [None, "malformed_json", None]
    assert loaded.quarantine[0]["note"] == "longer than 1000 bytes, of which the first 65536 are kept"


class Never(Bronze, io.BytesIO):
    def write(self, *args: Any) -> Any:
        raise AssertionError("nothing is to be written here")


def test_nothing_is_written_where_there_is_nothing() -> None:
    load_facilities(io.BytesIO(ndjson(record())), Upload(), Bronze(), Never(), reference=REFERENCE)
    never = Never()
    counts = load_facilities(io.BytesIO(b"\n\n"), Upload(), never, never, reference=REFERENCE)
    assert counts.lines == 0
    zipped = Upload(key="landing/facilities/2026-11-01/none.json.gz")
    empty = io.BytesIO(gzip.compress(b""))
    assert load_facilities(empty, zipped, never, never, reference=REFERENCE).lines == 0


class Calls(io.BytesIO):
    """Remembers what each call wrote."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[bytes] = []

    def write(self, data: Any) -> int:
        assert type(data) is bytes  # the writer may keep it
        self.calls.append(data)
        return len(data)


def test_each_write_gets_whole_lines_and_few_of_them_are_made() -> None:
    content = ndjson(*(record(n, facility_name="x" * 500) for n in range(5000)), *([1] * 5000))
    bronze, quarantine = Bronze(), Calls()
    load_facilities(io.BytesIO(content), Upload(), bronze, quarantine, reference=REFERENCE)
    for calls in (bronze.calls, quarantine.calls):
        assert 1 < len(calls) < 10
        assert all(call.endswith(b"}\n") for call in calls)
    assert b"".join(bronze.calls).count(b"\n") == 10_000


def test_a_damaged_gzip_ends_the_loading() -> None:
    content = gzip.compress(ndjson(record()) * 1000)[:-20]
    with pytest.raises(UnreadableUpload):
        load(content, Upload(key="landing/facilities/2026-11-01/a.jsonl.gz"))


_snippets = st.sampled_from(
    [ndjson(record(n)) for n in range(3)]
    + [json.dumps(record(4), indent=1).encode(), json.dumps([record(5), record(6)]).encode()]
    + [ndjson(record(7, employee_count="x")), ndjson(record(8, accreditations=[1])), ndjson(record())[:40]]
    + [
        b"\n",
        b"\r\n",
        b" ",
        b"[",
        b"]",
        b",",
        b"{",
        b"}",
        b'"',
        b"\xff",
        b"\xef\xbb\xbf",
        b"\x00",
        b"null",
        b"NaN",
    ]
)


@settings(max_examples=400, deadline=None)
@given(
    st.lists(_snippets, max_size=12).map(b"".join) | st.binary(max_size=200),
    st.integers(0, 400),
    st.binary(max_size=2),
)
def test_whatever_is_uploaded_every_line_is_valid_or_rejected(content: bytes, at: int, junk: bytes) -> None:
    content = content[:at] + junk + content[at:]
    try:
        loaded = load(content)
    except UnreadableUpload:
        assert content.startswith(b"\x1f\x8b")
        return
    counts = loaded.counts
    assert counts.lines == counts.valid + counts.rejected == len(loaded.bronze)
    assert counts.rejected_by_reason == Counter(
        line["reject_reason"] for line in loaded.bronze if line["reject_reason"]
    )
    rejected = [line for line in loaded.quarantine if "accreditation_number" not in line]
    assert [place(line) for line in rejected] == [
        place(line) for line in loaded.bronze if line["reject_reason"]
    ]
    assert len(loaded.quarantine) - len(rejected) == counts.measures["accreditations_quarantined"]
    places = [place(line) for line in loaded.bronze]
    assert places == sorted(set(places))
    assert (
        bool(counts.lines) == bool(content.replace(b"\xef\xbb\xbf", b"").strip(b" \t\r\n\x0b\x0c"))
        or b"[" in content
    )
    assert load(content) == loaded
