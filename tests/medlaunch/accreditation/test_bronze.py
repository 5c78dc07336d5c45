"""Loading one upload: canonical lines, quarantine and counts that add up."""

from __future__ import annotations

import base64
import gzip
import io
import json
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.accreditation import UploadCounts, load_upload, read_states
from medlaunch.records import Limits, UnreadableUpload

STATES = read_states(Path(__file__).parents[3] / "include" / "reference" / "states.csv")
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
    snapshot: date = date(2026, 11, 1)


class Loaded(NamedTuple):
    counts: UploadCounts
    bronze: list[dict[str, Any]]
    quarantine: list[dict[str, Any]]


def load(content: bytes, upload: Upload = Upload(), limits: Limits = Limits()) -> Loaded:  # noqa: B008
    bronze, quarantine = io.BytesIO(), io.BytesIO()
    counts = load_upload(io.BytesIO(content), upload, bronze, quarantine, states=STATES, limits=limits)
    return Loaded(
        counts, *([json.loads(line) for line in out.getvalue().splitlines()] for out in (bronze, quarantine))
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
        (3, 2, "facility_id_does_not_start_with_FAC"),
        (4, 3, "malformed_json"),
    ]


def test_the_fast_and_the_exact_way_write_the_same_line() -> None:
    fast = load(ndjson(record(snapshot_date="2026-11-01", accreditations=[], labs=[{"lab_name": "a"}])))
    exact = load(ndjson(record(snapshot_date="2026-11-01", accreditations=None, labs=[{"lab_name": "a"}, 1])))
    assert fast.bronze == exact.bronze
    assert fast.counts.without_accreditations == exact.counts.without_accreditations == 1


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
    assert counts == UploadCounts(
        lines=7,
        valid=3,
        rejected=4,
        rejected_by_reason={"malformed_json": 2, "facility_name_blank_after_trim": 2},
        rejected_by_any_reason={
            "malformed_json": 2,
            "facility_name_blank_after_trim": 2,
            "employee_count_negative_or_invalid": 1,
            "invalid_or_missing_valid_until": 1,
        },
        snapshot_date_differs=1,
        accreditations=4,
        accreditations_quarantined=2,
        without_accreditations=1,
        bytes_read=len(content) + 5,
    )


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
            "record_number": 2,
            "raw": json.dumps(bad, ensure_ascii=False),
        },
        {
            "reject_reason": "malformed_json",
            "reject_reasons": ["malformed_json"],
            **where,
            "line_number": 4,
            "record_number": 3,
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


class Never(io.BytesIO):
    def write(self, data: Any) -> int:
        raise AssertionError("nothing is to be written here")


def test_nothing_is_written_where_there_is_nothing() -> None:
    load_upload(io.BytesIO(ndjson(record())), Upload(), io.BytesIO(), Never(), states=STATES)
    counts = load_upload(io.BytesIO(b"\n\n"), Upload(), Never(), Never(), states=STATES)
    assert counts.lines == 0
    zipped = Upload(key="landing/facilities/2026-11-01/none.json.gz")
    assert load_upload(io.BytesIO(gzip.compress(b"")), zipped, Never(), Never(), states=STATES).lines == 0


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
    bronze, quarantine = Calls(), Calls()
    load_upload(io.BytesIO(content), Upload(), bronze, quarantine, states=STATES)
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
        assert content.startswith(b"\x1f\x8b\x08")
        return
    counts = loaded.counts
    assert counts.lines == counts.valid + counts.rejected == len(loaded.bronze)
    assert counts.rejected_by_reason == Counter(
        line["reject_reason"] for line in loaded.bronze if line["reject_reason"]
    )
    rejected = [line for line in loaded.quarantine if "accreditation_number" not in line]
    assert [line["record_number"] for line in rejected] == [
        line["record_number"] for line in loaded.bronze if line["reject_reason"]
    ]
    assert len(loaded.quarantine) - len(rejected) == counts.accreditations_quarantined
    assert [line["record_number"] for line in loaded.bronze] == list(range(1, counts.lines + 1))
    assert (
        bool(counts.lines) == bool(content.replace(b"\xef\xbb\xbf", b"").strip(b" \t\r\n\x0b\x0c"))
        or b"[" in content
    )
    assert load(content) == loaded
