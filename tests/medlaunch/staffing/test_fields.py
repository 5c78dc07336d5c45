"""CCNs, dates, numbers and headers of CMS files."""

from __future__ import annotations

import csv
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlaunch.formats.content import UnreadableUpload
from medlaunch.formats.csv_records import Header, find_columns
from medlaunch.staffing import pbj, provider_info
from medlaunch.staffing.ccn import parse_ccn
from medlaunch.staffing.headers import Spellings, read_spellings, read_states
from medlaunch.staffing.values import InvalidField, parse_date, parse_decimal, parse_integer, quarter_of
from tests import staffing_model as model

ROOT = Path(__file__).parents[3]
PBJ = read_spellings(ROOT / "include/reference/pbj_columns.csv")
PROVIDER = read_spellings(ROOT / "include/reference/provider_info_columns.csv")
DATA = ROOT / "tests/data/staffing"
TODAY = (DATA / "pbj_2023Q2_415052_51A009.csv").read_text().partition("\n")[0].split(",")


# --- CCN -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ccn"),
    [
        ("015009", "015009"),
        ("15009", "015009"),
        ("15009.0", "015009"),
        ("15009.00", "015009"),
        (" 015009 ", "015009"),
        ("9", "000009"),
        ("51a009", "51A009"),
        ("39A433", "39A433"),
        ("039433", "039433"),
        ("39A433.0", "39A433"),
        ("3.9E+124", None),
        ("3.8e+158", None),
        ("38E157", "38E157"),
        ("", None),
        ("  ", None),
        ("1234567", None),
        ("51A00", None),
        ("A15009", None),
        ("15009.5", None),
        ("15009.", None),
        ("-15009", None),
        ("٠١٥٠٠٩", None),
        ("0150O9", None),
    ],
)
def test_ccn(text: str, ccn: str | None) -> None:
    assert parse_ccn(text) == ccn


@given(st.text(alphabet="0159aAZ. +e", max_size=9))
def test_ccns_are_those_of_the_model(text: str) -> None:
    assert parse_ccn(text) == model.ccn_of(text)


# --- dates and numbers -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("20240401", date(2024, 4, 1)),
        ("20240401.0", date(2024, 4, 1)),
        ("2024-04-01", date(2024, 4, 1)),
        (" 20240229 ", date(2024, 2, 29)),
        ("20230229", None),
        ("20240230", None),
        ("04/01/2024", None),
        ("2024-04-01.0", None),
        ("2024-4-1", None),
        ("2024-04-01T00:00:00", None),
        ("20240401.00", None),
        ("00000101", None),
        ("", None),
    ],
)
def test_dates(text: str, day: date | None) -> None:
    assert model.date_of(text) == day
    if day is None:
        with pytest.raises(InvalidField):
            parse_date(text)
    else:
        assert parse_date(text) == day


def test_old_files_of_provider_information_have_american_dates() -> None:
    assert parse_date("03/01/2017", american=True) == date(2017, 3, 1)
    with pytest.raises(InvalidField):
        parse_date("13/01/2017", american=True)


@pytest.mark.parametrize(
    ("month", "quarter"), [(1, 1), (3, 1), (4, 2), (6, 2), (7, 3), (9, 3), (10, 4), (12, 4)]
)
def test_quarters(month: int, quarter: int) -> None:
    assert quarter_of(date(2024, month, 1)) == f"2024Q{quarter}"


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("5", "5.00"),
        ("5.", "5.00"),
        (".5", "0.50"),
        ("5.25", "5.25"),
        ("5.255", "5.26"),
        ("5.2549999", "5.25"),
        ("0.005", "0.01"),
        ("0.0049", "0.00"),
        ("9999999.99", "9999999.99"),
        ("0009999999.990000", "9999999.99"),
        ("9999999.994", None),
        ("10000000", None),
        (" 8 ", "8.00"),
        ("-1", None),
        ("+1", None),
        ("1e2", None),
        ("1,000", None),
        ("NaN", None),
        (".", None),
        ("1 0", None),
        ("٥", None),
        ("9" * 5000, None),
    ],
)
def test_hours(text: str, number: str | None) -> None:
    if number is None:
        with pytest.raises(InvalidField):
            parse_decimal(text, digits=9, scale=2)
    else:
        assert str(parse_decimal(text, digits=9, scale=2)) == number


@pytest.mark.parametrize(
    ("read", "text"),
    [
        (parse_date, "x" * 41),
        (partial(parse_integer, digits=6), "x" * 41),
        (partial(parse_decimal, digits=9, scale=2), "x" * 41),
        (partial(parse_decimal, digits=9, scale=2), "9" * 41),
    ],
)
def test_a_message_has_the_beginning_of_a_long_text(read: Callable[[str], object], text: str) -> None:
    with pytest.raises(InvalidField, match=f"^'{text[0]}{{40}}' "):
        read(text)


def test_signed_decimals() -> None:
    assert parse_decimal("-87.736", digits=9, scale=6, signed=True) == Decimal("-87.736")
    assert str(parse_decimal("-0.0", digits=9, scale=6, signed=True)) == "0.000000"
    for text in ("--1", "-", "- 1"):
        with pytest.raises(InvalidField):
            parse_decimal(text, digits=9, scale=6, signed=True)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("52", 52),
        ("52.0", 52),
        ("", None),
        (" 0 ", 0),
        ("000052", 52),
        ("0000052", ...),
        ("52.00", ...),
        ("-1", ...),
        ("12.5", ...),
    ],
)
def test_census(text: str, number: int | None) -> None:
    if number is ...:
        with pytest.raises(InvalidField):
            parse_integer(text, digits=6)
    else:
        assert parse_integer(text, digits=6) == number


@given(st.text(alphabet="0123456789.-+e, ", max_size=14))
def test_numbers_are_those_of_the_model(text: str) -> None:
    for scale, digits, signed in ((2, 9, False), (5, 10, False), (6, 9, True)):
        try:
            expected = model.number(text, scale, digits, signed)
        except ValueError:
            with pytest.raises(InvalidField):
                parse_decimal(text, digits=digits, scale=scale, signed=signed)
        else:
            assert str(parse_decimal(text, digits=digits, scale=scale, signed=signed)) == str(expected)


# --- headers ---------------------------------------------------------------------------------------


LOWER = [name.lower() for name in TODAY]
OLD_WORDS = [
    name.replace("hrs_lpnadmin", "hrs_lpn_admin").replace("hrs_natrn", "hrs_na_trn") for name in LOWER
]
ERAS = {
    "2017Q1": [
        name.replace("hrs_rndon", "hrs_rn_donadmin") if name == "hrs_rndon" else name for name in OLD_WORDS
    ],
    "2017Q2": ["hrs_rn_donadmin" if name == "hrs_medaide_ctr" else name for name in OLD_WORDS],
    "2017Q3": OLD_WORDS,
    "2019Q1": LOWER,
    "2021Q4": [*TODAY, "incomplete"],
    "2024Q2": TODAY,
    "reordered": TODAY[::-1],
}


def locate(spellings: Spellings, header: list[str]) -> Header:
    return find_columns(header, *spellings)


@pytest.mark.parametrize("name", ERAS)
def test_eras_of_pbj(name: str) -> None:
    header = ERAS[name]
    columns = locate(PBJ, header)
    assert set(columns.positions) == set(pbj.COLUMNS)
    assert sorted(columns.positions.values()) == sorted(model.columns("pbj", header).values())
    assert columns.unknown == (["incomplete"] if name == "2021Q4" else [])
    if name in ("2017Q1", "2017Q2", "2017Q3", "2019Q1"):  # other words, the same order
        assert columns.positions == locate(PBJ, TODAY).positions


def test_in_2017q2_the_hours_of_directors_stand_for_those_of_aides() -> None:
    places = locate(PBJ, ERAS["2017Q2"]).positions
    assert places["hrsrndon"] == TODAY.index("Hrs_RNDON")
    assert places["hrsmedaidectr"] == TODAY.index("Hrs_MedAide_ctr")


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        ([name for name in TODAY if name != "MDScensus"], "header_missing_column:mdscensus"),
        ([name for name in TODAY if name != "Hrs_CNA_ctr"], "header_missing_column:hrscnactr"),
        ([*TODAY, "mds census"], "header_duplicate_column:mdscensus"),
        ([*TODAY, "hrs_rn_donadmin"], "header_duplicate_column:hrsrndon"),
        ([*TODAY, "Hrs_RN"], "header_duplicate_column:hrsrn"),
        (["a"], "header_missing_column:provnum"),
    ],
)
def test_headers_that_rows_cannot_be_read_with(header: list[str], reason: str) -> None:
    with pytest.raises(UnreadableUpload) as error:
        locate(PBJ, header)
    assert error.value.reason == reason
    with pytest.raises(model.Skipped, match=reason):
        model.columns("pbj", header)


def test_optional_columns_may_be_missing() -> None:
    optional = {"PROVNAME", "CITY", "COUNTY_NAME", "COUNTY_FIPS"}
    assert len(locate(PBJ, [name for name in TODAY if name not in optional]).positions) == 29


@pytest.mark.parametrize(
    ("file", "fields", "missing"),
    [
        ("ProviderInfo_2018_01.head.csv", 80, 7),
        ("ProviderInfo_2020_07.head.csv", 85, 7),
        ("ProviderInfo_2023_08.head.csv", 100, 0),
        ("ProviderInfo_2024_12.head.csv", 103, 0),
        ("ProviderInfo_2026_02.head.csv", 99, 0),
    ],
)
def test_eras_of_provider_information(file: str, fields: int, missing: int) -> None:
    with (DATA / file).open(newline="", encoding="utf-8") as lines:
        header = next(csv.reader(lines))
    columns = locate(PROVIDER, header)
    assert columns.width == fields
    assert columns.positions == model.columns("provider_info", header)
    assert len(columns.positions) == len(provider_info.COLUMNS) - missing


def test_lists_of_headers_and_states_must_be_whole(tmp_path: Path) -> None:
    file = tmp_path / "columns.csv"
    file.write_text("header,column,required\nA b,x,perhaps\n")
    with pytest.raises(ValueError, match="a row needs header"):
        read_spellings(file)
    states = tmp_path / "states.csv"
    states.write_text("state_code,state_name\n,Nowhere\n")
    with pytest.raises(ValueError, match="state_code"):
        read_states(states)
    assert read_states(ROOT / "include/reference/states.csv") == model.STATES
