"""What expires within the window, as a table and as whole records."""

from __future__ import annotations

import csv
import io
import json
from datetime import date, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.accreditation import ExpiryCounts, expiry, filter_expiring
from medlaunch.accreditation.sorting import ExternalSort

AS_OF = date(2026, 11, 20)
END = date(2027, 5, 20)
SNAPSHOT = date(2026, 11, 1)
HEADER = (
    "facility_id,facility_name,address,city,state,zip,employee_count,accreditation_body,accreditation_id,"
    "valid_until,days_until_expiry,run_date,snapshot_date\r\n"
)


class Found(NamedTuple):
    counts: ExpiryCounts
    csv: str
    ndjson: str

    @property
    def rows(self) -> list[list[str]]:
        return list(csv.reader(io.StringIO(self.csv, newline="")))[1:]

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ndjson.split("\n")[:-1]]


def find(*facilities: Any, as_of: date = AS_OF, window: str = "P6M") -> Found:
    lines = [one if isinstance(one, bytes) else json.dumps(one).encode() + b"\n" for one in facilities]
    table, records = io.BytesIO(), io.BytesIO()
    counts = filter_expiring(
        lines, as_of=as_of, window=window, snapshot_date=SNAPSHOT, csv_out=table, ndjson_out=records
    )
    return Found(counts, table.getvalue().decode(), records.getvalue().decode())


def facility(number: int, *days: Any, **changes: Any) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number}",
        "facility_name": f"Facility {number}",
        "employee_count": 10,
        "location": {"address": "1 Main St", "city": "Detroit", "state": "MI", "zip": "48201"},
        "services": ["ICU"],
        "labs": [{"lab_name": "L", "certifications": ["CLIA"]}],
        "accreditations": [
            {
                "accreditation_body": "DNV",
                "accreditation_id": f"D{n}",
                "valid_until": str(day) if day else None,
            }
            for n, day in enumerate(days)
        ],
        "number_of_offered_services": 1,
        "snapshot_date_differs": False,
        "reject_reason": None,
        "reject_reasons": [],
        "source_key": "landing/facilities/2026-11-01/a.jsonl",
        "upload_id": "u",
        "line_number": 1,
        "record_number": 1,
    } | changes


def test_both_ends_of_the_window_belong_to_it() -> None:
    day = timedelta(1)
    found = find(
        facility(1, AS_OF - day, AS_OF, END, END + day), facility(2, AS_OF - day), facility(3, END + day)
    )
    assert [(row[0], row[8], row[9], row[10]) for row in found.rows] == [
        ("FAC1", "D1", "2026-11-20", "0"),
        ("FAC1", "D2", "2027-05-20", "181"),
    ]
    assert found.counts == ExpiryCounts(
        facilities_read=3, expiring_facilities=1, expiring_accreditations=2, window_end=END
    )


def test_the_table() -> None:
    found = find(facility(1, "2027-01-31"))
    assert found.csv == HEADER + (
        "FAC1,Facility 1,1 Main St,Detroit,MI,48201,10,DNV,D0,2027-01-31,72,2026-11-20,2026-11-01\r\n"
    )


def test_the_whole_record_without_the_bookkeeping_of_bronze() -> None:
    one = facility(1, "2020-01-01", "2027-01-31", None)
    found = find(one)
    (record,) = found.records
    assert list(record) == [
        "facility_id",
        "facility_name",
        "employee_count",
        "location",
        "services",
        "labs",
        "accreditations",
        "snapshot_date",
    ]
    assert record == {key: one.get(key, "2026-11-01") for key in record}


def test_an_empty_result_has_its_header() -> None:
    for lines in ((), (facility(1), facility(2, None)), (b"\n", b" \r\n")):
        found = find(*lines)
        assert (found.csv, found.ndjson) == (HEADER, "")
        assert found.counts.expiring_facilities == found.counts.expiring_accreditations == 0
    assert find(facility(1), b"\n", facility(2)).counts.facilities_read == 2


def test_rows_are_sorted_by_date_then_facility_then_place_and_records_by_facility() -> None:
    found = find(
        facility(2, "2027-03-01", "2027-01-01", "2027-01-01"),
        facility(10, "2027-01-01"),
        facility(1, "2027-01-01", "2026-12-01"),
    )
    assert [(row[9], row[0], row[8]) for row in found.rows] == [
        ("2026-12-01", "FAC1", "D1"),
        ("2027-01-01", "FAC1", "D0"),
        ("2027-01-01", "FAC10", "D0"),
        ("2027-01-01", "FAC2", "D1"),
        ("2027-01-01", "FAC2", "D2"),
        ("2027-03-01", "FAC2", "D0"),
    ]
    assert [record["facility_id"] for record in found.records] == ["FAC1", "FAC10", "FAC2"]


def test_what_is_missing_is_empty_in_the_table() -> None:
    one = facility(1, "2027-01-31", location={}, employee_count=None)
    del one["accreditations"][0]["accreditation_body"]
    assert find(one).rows == [
        ["FAC1", "Facility 1", "", "", "", "", "", "", "D0", "2027-01-31", "72", "2026-11-20", "2026-11-01"]
    ]


def test_rejected_records_are_passed_over() -> None:
    found = find(facility(1, "2027-01-31", reject_reason="state_invalid"), facility(2, "2027-01-31"))
    assert [row[0] for row in found.rows] == ["FAC2"]
    assert found.counts.expiring_facilities == 1


def test_canonical_records_as_an_engine_may_write_them() -> None:
    """Athena's UNLOAD leaves nulls out or writes them, whatever was an empty list before."""
    found = find(
        {"facility_id": "FAC1", "facility_name": "A", "accreditations": [{"valid_until": "2027-01-31"}]},
        facility(2, "2027-01-31", services=None, labs=None, location=None),
        facility(3, accreditations=None),
        facility(4, "2027-01-31", "soon"),
        facility(5, "2026-12-99", "2027-01-31T00:00"),
    )
    assert [row[0] for row in found.rows] == ["FAC1", "FAC2", "FAC4"]
    assert found.records[1]["labs"] == found.records[1]["services"] == []
    assert found.records[2]["accreditations"][1]["valid_until"] is None


@pytest.mark.parametrize(
    "line", [b"{", b"[]\n", b'{"facility_name":"\xff","accreditations":[{"valid_until":"2027-01-31"}]}']
)
def test_a_line_that_is_no_record_is_damage(line: bytes) -> None:
    with pytest.raises(ValueError, match="Line 2 of the canonical records is no JSON object"):
        find(facility(1), line)


def test_a_window_that_is_none_is_refused_before_anything_is_written() -> None:
    out = io.BytesIO()
    with pytest.raises(ValueError, match="is not a window"):
        filter_expiring([], as_of=AS_OF, window="6M", snapshot_date=SNAPSHOT, csv_out=out, ndjson_out=out)
    assert out.getvalue() == b""


_text = st.text(max_size=8) | st.sampled_from(
    ['a,"b"', "\r\n", "\\n", "\n", "\\", "a\\\nb", '"', "=1+1", "\u2028", "\0"]
)
_days = st.dates(date(2026, 11, 15), date(2026, 11, 30))


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 999), _text, _text, st.lists(st.tuples(_text, st.none() | _days), max_size=3)
        ),
        max_size=12,
        unique_by=lambda one: one[0],
    ),
    st.sampled_from([1, 300, 10**6]),
)
def test_table_and_records_say_what_was_put_in(given_facilities: list[Any], memory: int) -> None:
    facilities = [
        facility(
            number,
            facility_name=name,
            location={"address": address, "state": "MI"},
            accreditations=[
                {"accreditation_id": one, "valid_until": str(day) if day else None} for one, day in listed
            ],
        )
        for number, name, address, listed in given_facilities
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(expiry, "ExternalSort", lambda: ExternalSort(memory))
        found = find(*facilities, window="P5D")
    last = AS_OF + timedelta(5)
    expected = sorted(
        (str(day), f"FAC{number}", place, name, address, one)
        for number, name, address, listed in given_facilities
        for place, (one, day) in enumerate(listed)
        if day and AS_OF <= day <= last
    )
    assert [(row[9], row[0], row[1], row[2], row[8]) for row in found.rows] == [
        (day, facility_id, name, address, one) for day, facility_id, _, name, address, one in expected
    ]
    same = io.StringIO()
    csv.writer(same, lineterminator="\r\n").writerows(found.rows)
    assert found.csv == HEADER + same.getvalue()  # quotes where the csv module sets them, and nowhere else
    assert all(row[10] == str((date.fromisoformat(row[9]) - AS_OF).days) for row in found.rows)
    assert [record["facility_id"] for record in found.records] == sorted({row[1] for row in expected})
    by_id = {one["facility_id"]: one for one in facilities}
    assert all(
        record["facility_name"] == by_id[record["facility_id"]]["facility_name"] for record in found.records
    )
    assert found.counts.expiring_accreditations == len(expected)
