"""Each rule at its edges, and the fast way against the exact one."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.accreditation import read_states
from medlaunch.accreditation.rules import CheckedRecord, RejectReason, check_exactly, check_record

ROOT = Path(__file__).parents[3]
STATES = read_states(ROOT / "include" / "reference" / "states.csv")
SNAPSHOT = date(2026, 11, 1)
GOOD: dict[str, Any] = {
    "facility_id": "FAC00001",
    "facility_name": "Saint Mary",
    "location": {"address": "1 Main St", "city": "Detroit", "state": "MI", "zip": "48201"},
    "employee_count": 312,
    "services": ["Emergency", "Radiology"],
    "labs": [{"lab_name": "Core", "certifications": ["CLIA", "CAP"]}],
    "accreditations": [{"accreditation_body": "DNV", "accreditation_id": "D-1", "valid_until": "2027-01-31"}],
    "snapshot_date": "2026-11-01",
}
R = RejectReason


def check(**changes: Any) -> CheckedRecord:
    return check_text(json.dumps(GOOD | changes))


def check_text(text: str | bytes) -> CheckedRecord:
    raw = text.encode() if isinstance(text, str) else text
    result = check_record(raw, STATES, SNAPSHOT)
    assert msgspec.to_builtins(result) == msgspec.to_builtins(check_exactly(raw, STATES, SNAPSHOT))
    return result


def test_the_reasons_are_those_of_the_specification_in_its_order() -> None:
    assert [reason.value for reason in RejectReason] == [
        "malformed_json",
        "facility_id_does_not_start_with_FAC",
        "facility_name_blank_after_trim",
        "employee_count_negative_or_invalid",
        "state_invalid",
        "accreditations_missing_or_empty",
        "invalid_or_missing_valid_until",
    ]
    assert [reason for reason in RejectReason if not reason.rejects_the_facility] == [
        R.ACCREDITATIONS,
        R.VALID_UNTIL,
    ]


def test_a_good_record_comes_out_as_it_went_in() -> None:
    result = check()
    assert result.reasons == []
    assert result.reject_reason is None
    assert msgspec.to_builtins(result.facility) == GOOD
    assert result.number_of_offered_services == 2
    assert not result.snapshot_date_differs


def test_the_reference_list_has_50_states_dc_and_five_territories() -> None:
    assert len(STATES) == 56
    assert {"DC", "PR", "GU", "VI", "AS", "MP"} < set(STATES)
    assert STATES["MI"] == "Michigan"


@pytest.mark.parametrize("content", ["", "code,name\nMI,Michigan\n", "state_code,state_name\nMI\n"])
def test_a_list_that_is_no_list_of_states_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "states.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=r"states\.csv must be a CSV"):
        read_states(path)


@pytest.mark.parametrize("given_id", ["fac00001", "FAC00001 ", " Fac00001\t", "\u00a0FAC00001", "FAC00001"])
def test_ids_are_trimmed_and_in_upper_case(given_id: str) -> None:
    result = check(facility_id=given_id)
    assert result.reasons == []
    assert result.facility.facility_id == "FAC00001"


@pytest.mark.parametrize(
    "bad", [None, "", "FAC", "FAC1A", "XFAC1", "F AC1", "FAC1\nx", "FAC-1", "FAC１", 1, ["FAC1"]]
)
def test_other_ids_are_rejected(bad: Any) -> None:
    assert check(facility_id=bad).reasons == [R.FACILITY_ID]


@pytest.mark.parametrize("blank", [None, "", "  ", "\u00a0\u00a0", "\t\n", "\u3000\u2003", 5, ["x"], {}])
def test_a_name_must_show_something(blank: Any) -> None:
    result = check(facility_name=blank)
    assert result.reasons == [R.FACILITY_NAME]
    assert result.facility.facility_name is None


def test_names_are_trimmed() -> None:
    assert check(facility_name="\u00a0 Peña  Hospital\u3000").facility.facility_name == "Peña  Hospital"


@pytest.mark.parametrize(
    ("given_count", "count"),
    [(0, 0), ("312", 312), (" 312 ", 312), ("007", 7), (2**63 - 1, 2**63 - 1), (str(2**63 - 1), 2**63 - 1)],
)
def test_counts_that_count(given_count: Any, count: int) -> None:
    result = check(employee_count=given_count)
    assert (result.reasons, result.facility.employee_count) == ([], count)


@pytest.mark.parametrize(
    "bad",
    [
        -1,
        "-1",
        3.5,
        "3.5",
        312.0,
        None,
        True,
        False,
        "",
        " ",
        "+3",
        "1e3",
        "1_000",
        "٣",
        "²",
        [3],
        2**63,
        "9" * 30,
    ],
)
def test_counts_that_do_not(bad: Any) -> None:
    result = check(employee_count=bad)
    assert (result.reasons, result.facility.employee_count) == ([R.EMPLOYEE_COUNT], None)


@pytest.mark.parametrize(("given_state", "state"), [(" mi ", "MI"), ("pr", "PR"), ("\u00a0DC", "DC")])
def test_states_are_trimmed_and_in_upper_case(given_state: str, state: str) -> None:
    result = check(location={"state": given_state})
    assert result.reasons == []
    assert msgspec.to_builtins(result.facility.location) == {
        "address": None,
        "city": None,
        "state": state,
        "zip": None,
    }


@pytest.mark.parametrize(
    "bad",
    [
        None,
        "MI",
        [],
        {},
        {"state": None},
        {"state": "Michigan"},
        {"state": "XX"},
        {"state": 5},
        {"state": ""},
    ],
)
def test_without_a_state_of_the_list_a_facility_is_rejected(bad: Any) -> None:
    assert check(location=bad).reasons == [R.STATE]


@pytest.mark.parametrize(
    ("given_zip", "zip_code"),
    [
        ("00601", "00601"),
        (601, "00601"),
        (48201, "48201"),
        (482011234, "482011234"),
        (None, None),
        ("", ""),
        (601.0, None),
        (-5, None),
        (True, None),
        ([], None),
    ],
)
def test_zips_that_were_made_numbers_get_their_zeros_back(given_zip: Any, zip_code: str | None) -> None:
    assert check(location={"state": "PR", "zip": given_zip}).facility.location.zip == zip_code


@pytest.mark.parametrize(
    ("given_services", "services", "number"),
    [
        (None, [], 0),
        ("ICU", [], 0),
        ({}, [], 0),
        ([], [], 0),
        (["ICU"], ["ICU"], 1),
        (["ICU", None, 5, {"a": [1]}], ["ICU", "null", "5", '{"a": [1]}'], 4),
    ],
)
def test_services(given_services: Any, services: list[str], number: int) -> None:
    result = check(services=given_services)
    assert (result.reasons, result.facility.services) == ([], services)
    assert result.number_of_offered_services == number


@pytest.mark.parametrize(
    ("given_labs", "labs"),
    [
        (None, []),
        ("x", []),
        ([], []),
        ([None, 5, "x"], []),
        ([{}], [{"lab_name": None, "certifications": []}]),
        ([{"lab_name": 5, "certifications": "CAP"}], [{"lab_name": "5", "certifications": []}]),
        (
            [{"lab_name": {}, "certifications": [1, "CAP"]}],
            [{"lab_name": None, "certifications": ["1", "CAP"]}],
        ),
    ],
)
def test_labs_become_their_nearest_shape(given_labs: Any, labs: list[Any]) -> None:
    result = check(labs=given_labs)
    assert result.reasons == []
    assert msgspec.to_builtins(result.facility.labs) == labs


@pytest.mark.parametrize("missing", [None, [], {}, "2027-01-31", 5])
def test_without_accreditations_a_facility_is_accepted_all_the_same(missing: Any) -> None:
    result = check(accreditations=missing)
    assert (result.reasons, result.reject_reason) == ([R.ACCREDITATIONS], None)
    assert (result.facility.accreditations, result.bad_accreditations) == ([], [])


@pytest.mark.parametrize(
    "bad",
    [
        "2025-02-30",
        "20251115",
        "11/15/2025",
        "2025-W46-6",
        20251115,
        "2025-11-15T23:59:59-08:00",
        "2026-12-1",
        None,
        "",
        " 2025-11-15",
        "2025-11-15Z",
        "0000-01-01",
        "２０２５-11-15",
        "2025-11-15\x00",
        ["2025-11-15"],
        True,
        "2023-02-29",
        "2025-13-01",
        "2025-00-10",
        "10000-01-01",
        "-2025-11-15",
    ],
)
def test_an_accreditation_without_a_real_date_is_quarantined_alone(bad: Any) -> None:
    good = GOOD["accreditations"][0]
    item = {"accreditation_body": "NCQA", "accreditation_id": 77, "valid_until": bad}
    result = check(accreditations=[item, good])
    assert (result.reasons, result.reject_reason) == ([R.VALID_UNTIL], None)
    assert msgspec.to_builtins(result.facility.accreditations) == [
        {"accreditation_body": "NCQA", "accreditation_id": "77", "valid_until": None},
        good,
    ]
    assert result.bad_accreditations == [(1, json.dumps(item).encode())]


def test_a_leap_day_is_a_day() -> None:
    assert check(accreditations=[{"valid_until": "2028-02-29"}]).facility.accreditations[
        0
    ].valid_until == date(2028, 2, 29)


def test_an_accreditation_that_is_no_object_is_a_bad_accreditation() -> None:
    result = check(accreditations=[None, "x", {}])
    assert result.reasons == [R.VALID_UNTIL]
    assert result.bad_accreditations == [(1, b"null"), (2, b'"x"'), (3, b"{}")]
    assert len(result.facility.accreditations) == 3


@pytest.mark.parametrize(
    ("own", "differs"),
    [
        (None, False),
        ("2026-11-01", False),
        (" 2026-11-01 ", False),
        ("2026-10-31", True),
        ("soon", True),
        (20261101, True),
    ],
)
def test_a_snapshot_date_of_its_own_is_compared_with_the_folder(own: Any, differs: bool) -> None:
    result = check(snapshot_date=own)
    assert (result.reasons, result.snapshot_date_differs) == ([], differs)
    assert result.facility.snapshot_date == SNAPSHOT


def test_all_reasons_are_listed_and_the_first_decides() -> None:
    result = check(facility_id="x", facility_name=" ", employee_count=-1, location=None, accreditations=[{}])
    assert result.reasons == [R.FACILITY_ID, R.FACILITY_NAME, R.EMPLOYEE_COUNT, R.STATE, R.VALID_UNTIL]
    assert result.reject_reason is R.FACILITY_ID
    result = check(employee_count=None, accreditations=[])
    assert (result.reasons, result.reject_reason) == ([R.EMPLOYEE_COUNT, R.ACCREDITATIONS], R.EMPLOYEE_COUNT)


# --- what parsers disagree about -------------------------------------------------------------------


def with_extra(text: str | bytes) -> bytes:
    """A good record with a field that nobody reads."""
    extra = text.encode() if isinstance(text, str) else text
    return json.dumps(GOOD).encode()[:-1] + b', "extra": ' + extra + b"}"


@pytest.mark.parametrize(
    "text",
    [
        with_extra("NaN"),
        with_extra("Infinity"),
        with_extra(r'"\ud800"'),
        with_extra(r'"\ude00 \ud83d"'),
        with_extra(b'"\xff"'),
        with_extra(b'"\xed\xa0\x80"'),
        with_extra('"a\x00b"'),
        with_extra('"a\tb"'),
        with_extra(r'"\x41"'),
        with_extra("01"),
        with_extra("1,"),
        with_extra("'x'"),
        with_extra("1 /* comment */"),
        with_extra("[" * 600 + "]" * 600),
        with_extra("[" * 100_000 + "]" * 100_000),
        b"\x00" + json.dumps(GOOD).encode(),
        json.dumps(GOOD).encode() + b"\x00",
        json.dumps(GOOD).encode()[:-1],
        json.dumps(GOOD).encode("utf-16"),
        b"\xef\xbb\xbf" + json.dumps(GOOD).encode(),  # the reader takes it off, where it may stand
        json.dumps([GOOD]).encode(),
        b"",
        b" ",
        b"null",
        b'"FAC1"',
        b"5",
        json.dumps(GOOD).encode().replace(b"Saint", rb"\ud83d Saint"),
    ],
)
def test_malformed_wherever_in_the_line_it_is(text: bytes) -> None:
    result = check_text(text)
    assert result.reasons == [R.MALFORMED_JSON]
    assert result.note
    assert msgspec.to_builtins(result.facility) == {
        "facility_id": None,
        "facility_name": None,
        "employee_count": None,
        "location": {"address": None, "city": None, "state": None, "zip": None},
        "services": [],
        "labs": [],
        "accreditations": [],
        "snapshot_date": "2026-11-01",
    }


@pytest.mark.parametrize(
    "text",
    [
        with_extra("1e999"),
        with_extra("9" * 5000),
        with_extra("-0.0e-999"),
        with_extra(r'"\ud83d\ude00"'),
        with_extra(r'"\u0000"'),
        with_extra("[" * 400 + "]" * 400),
        with_extra('"é\u2028"'),
        b" \t" + json.dumps(GOOD).encode() + b"\r\n",
        json.dumps(GOOD).encode().replace(b'"facility_id"', rb'"facility\u005fid"'),
        # Of a key given twice the last one counts, whatever the first one was.
        b'{"facility_id": 5, "location": 7, "employee_count": -1, ' + json.dumps(GOOD).encode()[1:],
    ],
)
def test_well_formed_wherever_it_is_not_read(text: bytes) -> None:
    result = check_text(text)
    assert result.reasons == []
    assert msgspec.to_builtins(result.facility) == GOOD


def test_numbers_beyond_any_type_are_only_wrong_where_they_count() -> None:
    for number in ("1e999", "9" * 5000):
        text = json.dumps(GOOD).replace("312", number)
        assert check_text(text).reasons == [R.EMPLOYEE_COUNT]
    big = json.dumps(GOOD | {"services": ["X"]}).replace('"X"', "1e999, " + "9" * 5000)
    assert check_text(big).facility.services == ["1e999", "9" * 5000]


def test_canonical_records_are_raw_records_that_stay_as_they_are() -> None:
    defective = check(
        facility_id=" fac7 ", facility_name=" A ", employee_count="5", location={"state": "pr", "zip": 601}
    )
    again = check_text(msgspec.json.encode(defective.facility))
    assert again.facility == defective.facility


_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=6)
    | st.sampled_from([" mi ", "PR", "FAC1", "fac2 ", "2026-11-01", "2027-02-29", "12", "\u00a0", "é"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["state", "zip", "valid_until", "accreditation_id", "lab_name", "certifications", "x"]
            ),
            inner,
        )
    ),
    max_leaves=6,
)


@st.composite
def odd_records(draw: st.DrawFn) -> bytes:
    """A good record with some fields of any shape, and maybe some bytes that are wrong."""
    record = dict(GOOD)
    for key in draw(st.lists(st.sampled_from([*GOOD, "extra"]), max_size=3)):
        record[key] = draw(_values)
    raw = json.dumps(record, ensure_ascii=draw(st.booleans())).encode(errors="surrogatepass")
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(0, len(raw)))
        piece = draw(
            st.sampled_from([b"", b"\xff", b"\\", b'"', b"\x00", b"NaN", b"1e999", b"}", b"\\ud800", b"\xc3"])
        )
        raw = raw[:at] + piece + raw[at + draw(st.integers(0, 1)) :]
    return raw


@settings(max_examples=600, deadline=None)
@given(odd_records() | st.binary(max_size=80))
def test_the_fast_way_and_the_exact_one_agree_on_any_bytes(raw: bytes) -> None:
    check_text(raw)


@settings(max_examples=300, deadline=None)
@given(odd_records())
def test_what_is_accepted_is_canonical(raw: bytes) -> None:
    result = check_text(raw)
    facility = result.facility
    if result.reject_reason is None:
        assert facility.facility_id
        assert facility.facility_id.startswith("FAC")
        assert facility.facility_name == (facility.facility_name or "").strip() != ""
        assert facility.employee_count is not None
        assert facility.location.state in STATES
        assert len(result.bad_accreditations) == sum(
            one.valid_until is None for one in facility.accreditations
        )
        assert check_text(msgspec.json.encode(facility)).facility == facility
