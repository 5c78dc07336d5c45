"""Whole files through the loaders: every record is accounted for, as the specification and the model say."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zipfile
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.declaration import VALID, LineCounts
from medlaunch.formats.content import UnreadableUpload
from medlaunch.staffing.pbj import COLUMNS, HOURS, Flag, PbjRow, RejectReason, check, flags
from tests import staffing_model as model
from tests.staffing_lake import Upload, load

ROOT = Path(__file__).parents[3]
DATA = ROOT / "tests/data/staffing"
SHARED = ROOT.parent / "shared/data"
EXTRACT = (DATA / "pbj_2023Q2_415052_51A009.csv").read_bytes()
HEADER = EXTRACT.partition(b"\n")[0].decode().split(",")
GOOD = {
    "PROVNUM": "015009",
    "PROVNAME": "BURNS NURSING HOME, INC.",
    "CITY": "RUSSELLVILLE",
    "STATE": "AL",
    "COUNTY_NAME": "Franklin",
    "COUNTY_FIPS": "059",
    "CY_Qtr": "2024Q2",
    "WorkDate": "20240401",
    "MDScensus": "52",
} | dict.fromkeys(HEADER[9:], "1")
GOOD |= {name: "0" for name in HEADER if name.endswith("_ctr")}


def file(*changes: dict[str, str], header: Sequence[str] = HEADER) -> bytes:
    """A file of good records with changes."""
    out = io.StringIO()
    rows = [[(GOOD | change).get(name, "") for name in header] for change in changes]
    csv.writer(out).writerows([header, *rows])
    return out.getvalue().encode()


class Loaded:
    """What the loader made of an upload."""

    def __init__(self, body: bytes, dataset: str = "pbj", name: str = "x.csv"):
        self.upload = Upload(dataset, name, body)
        self.counts, bronze, self.rejects = load(self.upload)
        self.lines: dict[str, list[dict[str, Any]]] = {
            slice_: [json.loads(line) for line in lines.splitlines()]
            for slice_, lines in bronze.slices.items()
        }

    @property
    def accepted(self) -> list[dict[str, Any]]:
        lines = [line for lines in self.lines.values() for line in lines if "reject_reason" not in line]
        return sorted(lines, key=lambda line: (line["source_key"], line["line_number"]))

    @property
    def reasons(self) -> list[str]:
        return [line["reject_reason"] for line in sorted(self.rejects, key=lambda line: line["line_number"])]


def skipped(body: bytes, dataset: str = "pbj") -> str:
    with pytest.raises(UnreadableUpload) as error:
        Loaded(body, dataset)
    return error.value.reason


# --- records of PBJ --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"PROVNUM": ""}, "ccn_invalid"),
        ({"PROVNUM": "3.9E+124"}, "ccn_invalid"),
        ({"PROVNUM": "1234567"}, "ccn_invalid"),
        ({"STATE": "XX"}, "state_invalid"),
        ({"STATE": ""}, "state_invalid"),
        ({"WorkDate": "04/01/2024"}, "work_date_invalid"),
        ({"WorkDate": "20230229", "CY_Qtr": "2023Q1"}, "work_date_invalid"),
        ({"CY_Qtr": "2024Q1"}, "quarter_mismatch"),
        ({"CY_Qtr": ""}, "quarter_mismatch"),
        ({"MDScensus": "-1"}, "census_invalid"),
        ({"MDScensus": "12.5"}, "census_invalid"),
        ({"MDScensus": "1234567"}, "census_invalid"),
        ({"Hrs_RN": "-8"}, "hours_invalid"),
        ({"Hrs_MedAide_ctr": "1e3"}, "hours_invalid"),
        ({"Hrs_CNA": "1,000"}, "hours_invalid"),
        ({"Hrs_CNA": "10000000"}, "hours_invalid"),
        # The first that applies, in the order of the rules.
        ({"PROVNUM": "x", "STATE": "x", "WorkDate": "x", "MDScensus": "x", "Hrs_RN": "x"}, "ccn_invalid"),
        ({"STATE": "x", "WorkDate": "x", "MDScensus": "x", "Hrs_RN": "x"}, "state_invalid"),
        ({"WorkDate": "x", "MDScensus": "x", "Hrs_RN": "x"}, "work_date_invalid"),
        ({"CY_Qtr": "x", "MDScensus": "x", "Hrs_RN": "x"}, "quarter_mismatch"),
        ({"MDScensus": "x", "Hrs_RN": "x"}, "census_invalid"),
    ],
)  # fmt: skip
def test_rejected_records(change: dict[str, str], reason: str) -> None:
    loaded = Loaded(file({}, change, {"WorkDate": "20240402"}))
    assert loaded.counts.rejected_by_reason == {reason: 1}
    (reject,) = loaded.rejects
    assert (reject["reject_reason"], reject["line_number"]) == (reason, 3)
    assert reject["source_key"] == "landing/pbj/x.csv"
    assert list(csv.reader([reject["raw"]])) == [[(GOOD | change)[name] for name in HEADER]]
    assert [line["line_number"] for line in loaded.accepted] == [2, 4]


@pytest.mark.parametrize(
    ("change", "meaning"),
    [
        ({"PROVNUM": "15009.0"}, {"ccn": "015009"}),
        ({"PROVNUM": " 39a433 "}, {"ccn": "39A433"}),
        ({"STATE": "al "}, {"state": "AL"}),
        ({"WorkDate": "2024-04-01"}, {"work_date": "2024-04-01"}),
        ({"WorkDate": "20240401.0", "CY_Qtr": " 2024q2 "}, {"work_date": "2024-04-01"}),
        ({"WorkDate": "20240229", "CY_Qtr": "2024Q1"}, {"work_date": "2024-02-29"}),
        ({"MDScensus": "52.0"}, {"census": 52}),
        ({"MDScensus": ""}, {"census": None}),
        ({"COUNTY_FIPS": "33"}, {"county_fips": "033"}),
        ({"COUNTY_FIPS": "33.0"}, {"county_fips": "033"}),
        ({"PROVNAME": "  "}, {"provider_name": None}),
        ({"PROVNAME": 'A "B", C\\D\nE'}, {"provider_name": 'A "B", C\\D\nE'}),
    ],
)
def test_accepted_records(change: dict[str, str], meaning: dict[str, Any]) -> None:
    loaded = Loaded(file(change))
    (line,) = loaded.accepted
    assert {name: line[name] for name in meaning} == meaning
    assert loaded.counts.valid == 1


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({}, []),
        ({"Hrs_RN": "1.01"}, []),
        ({"Hrs_RN": "1.02"}, ["emp_ctr_mismatch"]),
        ({"Hrs_MedAide_ctr": "0.5"}, ["emp_ctr_mismatch"]),
        ({"Hrs_RN": ""}, ["emp_ctr_mismatch", "hours_missing"]),
        ({"Hrs_RN_ctr": ""}, ["hours_missing"]),
        ({"MDScensus": "0"}, ["census_zero_with_hours"]),
        ({"MDScensus": ""}, []),
        ({"MDScensus": "1", "Hrs_CNA": "17", "Hrs_CNA_emp": "17"}, []),
        ({"MDScensus": "1", "Hrs_CNA": "17.01", "Hrs_CNA_emp": "17.01"}, ["hprd_above_24"]),
        ({"Hrs_LPN": "13946", "Hrs_LPN_emp": "13946"}, ["hprd_above_24"]),
        (dict.fromkeys(HEADER[9:], "0"), ["census_without_hours"]),
        (dict.fromkeys(HEADER[9:], "0") | {"MDScensus": "0"}, []),
    ],
)
def test_flags(change: dict[str, str], flag: list[str]) -> None:
    loaded = Loaded(file(change))
    (line,) = loaded.accepted
    assert line["flags"] == flag
    measures = {name: count for name, count in loaded.counts.measures.items() if name.startswith("flagged_")}
    assert measures == {f"flagged_{one}": 1 for one in flag}


usual = st.one_of(
    st.integers(0, 99_999_999).map(lambda number: f"{number / 100:.2f}"), st.sampled_from(["0", "7.5", "36"])
)
unusual = st.sampled_from(["", " 8", ".5", "5.", "0.005", "007", "1e2", "-1", "9999999.995", "9999999.99"])


@given(
    hours=st.lists(st.one_of(usual, usual, usual, usual, unusual), min_size=24, max_size=24),
    census=st.sampled_from(["0", "1", "52", "999999", "", "52.0", "x", "007"]),
    date=st.sampled_from(
        [("2024Q2", "20240401"), ("2024Q2", "2024-06-30"), ("2024Q1", "20240401"), ("2024Q2", "x")]
    ),
    ccn=st.sampled_from(["015009", "15009", "51A009", "x"]),
)
@settings(max_examples=300)
def test_what_is_remembered_means_what_the_rules_say(
    hours: list[str], census: str, date: tuple[str, str], ccn: str
) -> None:
    """The fast way, the exact way and the model agree on every record."""
    fields = [ccn, "N", "C", "AL", "F", "059", *date, census, *hours]
    row = check(fields, model.STATES)
    at = {name.replace("_", ""): place for place, name in enumerate(COLUMNS)}
    expected = model.pbj_row(fields, len(fields), at)
    out = io.StringIO()
    csv.writer(out).writerows([HEADER, fields, fields])
    loaded = Loaded(out.getvalue().encode())
    if isinstance(expected, str):
        assert row == expected
        assert loaded.counts.rejected_by_reason == {expected: 2}
        return
    assert isinstance(row, PbjRow)
    line, again = loaded.accepted
    assert line | {"line_number": 3} == again
    assert row.hours == tuple(expected[f"hrs_{hour}"] for hour in HOURS)
    assert [None if hour is None else Decimal(hour) for hour in line["hours"]] == list(row.hours)
    assert (line["ccn"], line["work_date"], line["census"]) == (
        row.facility.ccn,
        str(row.work_date),
        row.census,
    )
    assert line["flags"] == [flag for flag in Flag if expected[flag]]
    assert loaded.lines.keys() == {expected["quarter"]}


def test_flags_of_missing_hours_are_of_what_is_there() -> None:
    assert flags(10, [None] * 24) == [Flag.HOURS_MISSING, Flag.CENSUS_WITHOUT_HOURS]


# --- files -----------------------------------------------------------------------------------------


def test_slices_are_quarters() -> None:
    body = file(
        {},
        {"CY_Qtr": "2024Q3", "WorkDate": "20240701"},
        {"STATE": "x"},
        {"CY_Qtr": "9999Q9"},
        {"WorkDate": ""},
    )
    loaded = Loaded(body + b"too,few\n")
    assert loaded.counts.slices == {
        "2024Q2": {VALID: 1, "state_invalid": 1, "work_date_invalid": 1},
        "2024Q3": {VALID: 1},
        "unknown": {"quarter_mismatch": 1, "wrong_field_count": 1},
    }
    assert {slice_: len(lines) for slice_, lines in loaded.lines.items()} == {
        "2024Q2": 3,
        "2024Q3": 1,
        "unknown": 2,
    }


def test_a_name_of_windows_is_repaired() -> None:
    body = (
        file({"PROVNAME": "ST. MARY@S#"}, {"PROVNAME": "CAFÉ"}).replace(b"@", b"\x92").replace(b"#", b"\x81")
    )
    loaded = Loaded(body)
    assert [line["provider_name"] for line in loaded.accepted] == ["ST. MARY’S\x81", "CAFÉ"]
    assert loaded.counts.measures["repaired_lines"] == 1


def test_bom_quotes_crlf_and_trailing_blank_records() -> None:
    quoted = io.StringIO()
    csv.writer(quoted, quoting=csv.QUOTE_ALL).writerows([HEADER, [GOOD[name] for name in HEADER]])
    body = (
        b"\xef\xbb\xbf" + quoted.getvalue().encode() + b"," * 32 + b"\r\n" + b" , " + b"," * 31 + b"\r\n\r\n"
    )
    assert Loaded(body).counts.lines == 1


def test_unknown_columns_are_named() -> None:
    loaded = Loaded(file({}, header=[*HEADER, "incomplete", "HPRD_Total"]))
    assert loaded.counts.measures == {
        "ignored_columns": 2,
        "ignored_column_incomplete": 1,
        "ignored_column_hprdtotal": 1,
        "repaired_lines": 0,
    }


def test_reordered_columns_mean_the_same() -> None:
    (line,), (other,) = Loaded(file({})).accepted, Loaded(file({}, header=HEADER[::-1])).accepted
    assert line | {"upload_id": ""} == other | {"upload_id": ""}


def test_missing_optional_columns_are_null() -> None:
    (line,) = Loaded(
        file({}, header=[name for name in HEADER if name not in ("PROVNAME", "COUNTY_FIPS")])
    ).accepted
    assert (line["provider_name"], line["county_fips"], line["city"]) == (None, None, "RUSSELLVILLE")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "empty_file"),
        (b"\n \n", "empty_file"),
        (file(), "empty_file"),
        (file() + b",,\n", "empty_file"),
        (file({}, header=HEADER[:-1]), "header_missing_column:hrsmedaidectr"),
        (file({}, header=[*HEADER, "State"]), "header_duplicate_column:state"),
        (gzip.compress(EXTRACT)[:-20], "corrupt_archive"),
        (b"PK\x03\x04 and no archive", "corrupt_archive"),
    ],
)
def test_files_that_cannot_be_read(body: bytes, reason: str) -> None:
    assert skipped(body) == reason


def archive(**files: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return out.getvalue()


def test_what_bytes_are_decides_not_the_name() -> None:
    plain = Loaded(EXTRACT).counts
    for body in (gzip.compress(EXTRACT), archive(**{"a.csv": EXTRACT})):
        counts = Loaded(body).counts
        assert (counts.lines, counts.slices) == (plain.lines, plain.slices)
        assert counts.bytes_read < plain.bytes_read == len(EXTRACT)


def test_files_of_an_archive_are_files_of_their_own() -> None:
    body = archive(
        **{
            "b.CSV": file({}, header=HEADER[::-1]),
            "__MACOSX/._b.CSV": b"\x00\x05\x16\x07",
            "a/.hidden.csv": b"x",
            "readme.txt": b"x",
            "a/c.csv": file({"MDScensus": "1"}),
            "d.csv": file({}, header=HEADER[1:]),
            "e.csv": file(),
        }
    )
    loaded = Loaded(body, name="q.zip")
    assert [(line["source_key"], line["line_number"], line["census"]) for line in loaded.accepted] == [
        ("landing/pbj/q.zip!a/c.csv", 2, 1),
        ("landing/pbj/q.zip!b.CSV", 2, 52),
    ]
    assert loaded.counts.skipped_members == {
        "landing/pbj/q.zip!d.csv": "header_missing_column:provnum",
        "landing/pbj/q.zip!e.csv": "empty_file",
    }
    assert model.read("pbj", loaded.upload.key, body, 0).skipped == loaded.counts.skipped_members


def test_archives_without_a_file_that_can_be_read() -> None:
    assert skipped(archive()) == "empty_file"
    assert skipped(archive(**{"a.txt": EXTRACT})) == "empty_file"
    assert (
        skipped(archive(**{"a.csv": file({}, header=HEADER[1:]), "b.csv": file()}))
        == "header_missing_column:provnum"
    )


@given(
    rows=st.lists(
        st.lists(st.text(alphabet='01A "\\,\n\r\x92é;', max_size=4), min_size=1, max_size=34),
        min_size=1,
        max_size=8,
    ),
    good=st.integers(0, 3),
)
@settings(max_examples=150)
def test_every_record_is_accounted_for(rows: list[list[str]], good: int) -> None:
    out = io.StringIO()
    csv.writer(out).writerows(rows)
    body = file(*[{}] * good) + out.getvalue().encode("cp1252", "replace")
    expected = model.read("pbj", "landing/pbj/x.csv", body, 0)
    if expected.skipped:
        assert skipped(body) == "empty_file"
        return
    loaded = Loaded(body)
    assert loaded.counts.lines == expected.records == len(loaded.rejects) + len(loaded.accepted)
    assert loaded.counts.rejected_by_reason == expected.rejected
    assert loaded.counts.lines == sum(map(len, loaded.lines.values()))


@given(st.binary(max_size=300))
def test_any_bytes_after_a_header(body: bytes) -> None:
    try:
        loaded = Loaded(file({}) + body)
    except UnreadableUpload:
        return
    assert (
        loaded.counts.lines
        == loaded.counts.valid + len(loaded.rejects)
        == sum(map(len, loaded.lines.values()))
    )


# --- Provider Information --------------------------------------------------------------------------


PROVIDER = [
    "CMS Certification Number (CCN)",
    "Provider Name",
    "State",
    "Number of Certified Beds",
    "Overall Rating",
]
PROVIDER += [
    "Overall Rating Footnote",
    "Total Amount of Fines in Dollars",
    "Special Focus Status",
    "Processing Date",
]
PROVIDER += ["Average Number of Residents per Day", "Latitude", "Longitude", "Reported Staffing Footnote"]
HOME = ["015009", "BURNS", "AL", "57", "5", "", "650", "", "2024-11-01", "53.3", "34.5149", "-87.736", ""]


def provider(**changes: str) -> Loaded:
    row = list(HOME)
    for place, value in changes.items():
        row[int(place[1:])] = value
    out = io.StringIO()
    csv.writer(out).writerows([PROVIDER, row])
    return Loaded(out.getvalue().encode(), "provider_info")


@pytest.mark.parametrize(
    ("place", "value", "column", "meaning", "invalid"),
    [
        (3, "", "certified_beds", None, 0),
        (3, "0", "certified_beds", 0, 0),
        (3, "57.0", "certified_beds", 57, 0),
        (3, "57.5", "certified_beds", None, 1),
        (4, "7", "overall_rating", None, 1),
        (4, "0", "overall_rating", None, 1),
        (4, "5.0", "overall_rating", 5, 0),
        (4, "", "overall_rating", None, 0),
        (5, "18.0", "overall_rating_footnote", "18", 0),
        (5, "12, 26", "overall_rating_footnote", "12,26", 0),
        (6, "24,644.14", "fines_usd", "24644.14", 0),
        (6, "$650", "fines_usd", "650.00", 0),
        (6, "-5", "fines_usd", None, 1),
        (7, "Y", "special_focus_status", "SFF", 0),
        (7, "SFF Candidate", "special_focus_status", "SFF Candidate", 0),
        (7, "N", "special_focus_status", None, 0),
        (8, "03/01/2017", "processing_date", "2017-03-01", 0),
        (8, "20170301", "processing_date", "2017-03-01", 0),
        (9, "9999", "avg_residents", "9999.00", 0),
        (9, "n/a", "avg_residents", None, 1),
        (11, "-87.7", "longitude", "-87.700000", 0),
        (0, "15009.0", "ccn", "015009", 0),
    ],
)
def test_fields_of_provider_information(
    place: int, value: str, column: str, meaning: Any, invalid: int
) -> None:
    loaded = provider(**{f"_{place}": value})
    (line,) = loaded.accepted
    assert line[column] == meaning
    assert loaded.counts.measures["fields_invalid"] == line["fields_invalid"] == invalid


@pytest.mark.parametrize(
    ("changes", "reason", "slice_"),
    [
        ({"_0": ""}, "ccn_invalid", "2024Q4"),
        ({"_2": "ZZ"}, "state_invalid", "2024Q4"),
        ({"_8": "2024-13-01"}, "processing_date_invalid", "unknown"),
        ({"_8": ""}, "processing_date_invalid", "unknown"),
    ],
)
def test_rejected_snapshots(changes: dict[str, str], reason: str, slice_: str) -> None:
    assert provider(**changes).counts.slices == {slice_: {reason: 1}}


def test_required_columns_of_provider_information() -> None:
    header = ",".join(name for name in PROVIDER if name != "Number of Certified Beds")
    assert skipped(f"{header}\n".encode(), "provider_info") == "header_missing_column:certified_beds"


@pytest.mark.parametrize("name", sorted(path.name for path in DATA.glob("ProviderInfo_*.head.csv")))
def test_real_snapshots_are_as_in_the_model(name: str) -> None:
    body = (DATA / name).read_bytes()
    loaded = Loaded(body, "provider_info")
    expected = model.read("provider_info", loaded.upload.key, body, 0)
    assert [(line["ccn"], line["processing_date"]) for line in loaded.accepted] == [
        (row["ccn"], str(row["processing_date"])) for _, row in expected.rows
    ]
    for line, (_, row) in zip(loaded.accepted, expected.rows, strict=True):
        assert {name: "" if row[name] is None else str(row[name]) for name in row if name != "quarter"} == {
            name: "" if line[name] is None else str(line[name]) for name in row if name != "quarter"
        }


# --- real files ------------------------------------------------------------------------------------


def real(name: str) -> bytes:
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"the real file is not there: {path}")
    return path.read_bytes()


def test_a_real_quarter() -> None:
    counts = Loaded(real("pbj/Payroll_Based_Journal_Daily_Nurse_Staffing_2023_Q2.csv")).counts
    assert counts.slices == {"2023Q2": {VALID: 17_745}}
    assert counts.measures == {
        "flagged_census_without_hours": 183,
        "flagged_hprd_above_24": 10,
        "ignored_columns": 0,
        "repaired_lines": 0,
    }


def test_a_real_file_that_a_data_frame_wrote_again() -> None:
    body = real("pbj/pbj_sample_2025Q1.reexported.csv")
    loaded = Loaded(body)
    expected = model.read("pbj", "x", body, 0)
    assert loaded.counts.lines == expected.records == 1_500
    assert loaded.counts.rejected_by_reason == expected.rejected == {"ccn_invalid": 15}
    assert loaded.counts.measures["ignored_columns"] == 5
    assert {line["county_fips"] for line in loaded.accepted if line["ccn"] == "015392"} == {"033"}


def test_a_real_archive_of_the_whole_country() -> None:
    body = real("provider_info/NH_ProviderInfo_Aug2021.csv.zip")
    loaded = Loaded(body, "provider_info", "NH_ProviderInfo_Aug2021.csv.zip")
    assert loaded.counts.slices == {"2021Q3": {VALID: 15_283}}
    assert (loaded.counts.measures["repaired_lines"], loaded.counts.measures["fields_invalid"]) == (2, 0)
    assert {line["processing_date"] for line in loaded.accepted} == {"2021-08-01"}
    over = [
        line for line in loaded.accepted
        if line["avg_residents"] and Decimal(line["avg_residents"]) > line["certified_beds"]
    ]  # fmt: skip
    assert len(over) == 122
    home = next(line for line in loaded.accepted if line["ccn"] == "015009")
    assert (
        home["staffing_rating"],
        home["staffing_rating_footnote"],
        home["reported_staffing_footnote"],
    ) == (1, "12", "6")
    assert home["total_hprd"] is None


def test_counts_are_those_of_the_contract() -> None:
    assert isinstance(Loaded(EXTRACT).counts, LineCounts)
    assert [reason.value for reason in RejectReason] == [
        "wrong_field_count",
        "ccn_invalid",
        "state_invalid",
        "work_date_invalid",
        "quarter_mismatch",
        "census_invalid",
        "hours_invalid",
    ]
