"""Dates, references and codes of FHIR: the contract's section 3."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlaunch.clinical.elements import (
    CodeTables,
    Coding,
    Concept,
    Identifier,
    Reference,
    codes_of,
    codings_of,
    read_date_time,
    read_reference,
)
from tests import clinical_model as model
from tests.clinical_uploads import ROOT

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TABLES = CodeTables(ROOT / "include/reference")


@pytest.mark.parametrize(
    ("text", "date", "instant"),
    [
        ("2024-03-01", "2024-03-01", None),
        ("2024-03-01T09:30:00Z", "2024-03-01", "2024-03-01T09:30:00"),
        ("2024-03-01T09:30Z", "2024-03-01", "2024-03-01T09:30:00"),
        ("2024-03-01T09:30:00", "2024-03-01", None),
        ("2024-03-01T23:30:00-05:00", "2024-03-01", "2024-03-02T04:30:00"),
        ("2024-03-01T00:30:00+05:30", "2024-03-01", "2024-02-29T19:00:00"),
        ("2024-03-01T09:30:00.1234500+00:00", "2024-03-01", "2024-03-01T09:30:00.12345"),
        ("2024-03-01T09:30:00.000Z", "2024-03-01", "2024-03-01T09:30:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31", "2017-01-01T00:00:00"),
        ("2024-02-29T00:00:00Z", "2024-02-29", "2024-02-29T00:00:00"),
        *((text, None, None) for text in (
            "2024", "2024-03", "", "2023-02-29", "2024-02-30", "2024-13-01", "0000-01-01", "2024-3-1", " 2024-03-01",
            "2024-03-01T24:00:00Z", "2024-03-01T23:60:00Z", "2024-03-01T23:59:61Z", "2024-03-01T10Z", "2024-W09-5",
            "2024-03-01T09:30:00+15:00", "2024-03-01T09:30:00+14:01", "2024-03-01T09:30:00+05:60",
            "2024-03-01 09:30:00Z", "2024-03-01t09:30:00z", "2024-03-01T09:30:00+0500", "٢٠٢٤-03-01",
            "2024-W09-5T09:30:00Z", "2024-02-30T09:30:00Z", "2024-03-01T99:30:00Z", "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:00:00-02:00",
        )),
    ],
)  # fmt: skip
def test_date_times(text: str, date: str | None, instant: str | None) -> None:
    assert read_date_time(text) == (date, instant)
    parsed = model._parse_date_time(text)
    assert (parsed and parsed[0].isoformat()) == date


@given(
    st.integers(-62135400000, 253402100000).map(lambda seconds: EPOCH + timedelta(seconds=seconds)),
    st.integers(-14 * 60, 14 * 60),
)
def test_instants_are_utc(moment: datetime, minutes: int) -> None:
    zone = timezone(timedelta(minutes=minutes))
    text = moment.replace(tzinfo=zone).isoformat()
    utc = moment.replace(tzinfo=zone).astimezone(UTC).replace(tzinfo=None)
    assert read_date_time(text) == (text[:10], utc.isoformat())


@given(st.lists(st.tuples(st.integers(0, 3), st.text("059", max_size=10)), min_size=2, max_size=2))
def test_instants_sort_as_text(parts: list[tuple[int, str]]) -> None:
    texts = [f"2024-03-01T09:30:0{second}{'.' if digits else ''}{digits}Z" for second, digits in parts]
    numbers = [float(f"{second}.{digits or 0}") for second, digits in parts]
    # As in version_rank, what follows an instant sorts before its characters.
    first, second = (f"{read_date_time(text)[1]} " for text in texts)
    assert (first < second) == (numbers[0] < numbers[1])


@pytest.mark.parametrize(
    ("reference", "id_"),
    [
        ({"reference": "Patient/1"}, "1"),
        ({"reference": "https://h/fhir/Patient/a-1.B"}, "a-1.B"),
        ({"reference": "https://h/fhir/Patient/1/_history/3"}, "1"),
        ({"reference": "Patient/1/_history/3"}, "1"),
        ({"reference": "urn:uuid:6c9c"}, "6c9c"),
        ({"reference": "1"}, "1"),
        ({"reference": " Patient/1 "}, "1"),
        ({"reference": "Patient?identifier=http://s|v%20w"}, "identifier:http://s|v w"),
        ({"reference": "https://h/Patient?active=true&identifier=urn%3As%7Cv"}, "identifier:urn:s|v"),
        ({"reference": "Patient?identifier=v"}, "identifier:|v"),
        ({"reference": "Patient?name=x"}, None),
        ({"identifier": {"system": "urn:s", "value": "v"}}, "identifier:urn:s|v"),
        ({"identifier": {"value": "v"}}, "identifier:|v"),
        ({"identifier": {"system": "urn:s"}}, None),
        ({"identifier": {"system": "urn:s", "value": "v"}, "type": "Group"}, None),
        ({"identifier": {"system": "urn:s", "value": "v"}, "type": "Patient"}, "identifier:urn:s|v"),
        ({"reference": "#p"}, None),
        ({"reference": "#p", "identifier": {"value": "v"}}, "identifier:|v"),
        ({"reference": "Group/9"}, None),
        ({"reference": "Group?identifier=a|b"}, None),
        ({"reference": "two words"}, None),
        ({"reference": "Patient/"}, None),
        ({"reference": ""}, None),
        ({"display": "a name"}, None),
    ],
)
def test_references(reference: dict[str, Any], id_: str | None) -> None:
    identifier = reference.get("identifier")
    found = read_reference(
        Reference(
            reference.get("reference"),
            reference.get("type"),
            Identifier(identifier.get("system"), identifier.get("value")) if identifier else None,
        ),
        "Patient",
    )
    assert found == id_
    assert model._reference(reference, "Patient") == id_


def test_codings_of_r4_and_r5() -> None:
    one, two = Coding("s", "a"), Coding(None, "B")
    assert codings_of([Concept(coding=[one]), Concept(concept=Concept(coding=[two])), Concept(code="c")]) == [
        one,
        two,
        Coding(None, "c"),
    ]
    assert codes_of([Concept(coding=[one, two, Coding(None, "A"), Coding("s")])]) == ["A", "B"]


def rows(name: str) -> list[dict[str, str]]:
    with (ROOT / "include/reference" / name).open(newline="") as file:
        return list(csv.DictReader(file))


SYSTEMS = {
    "discharge-disposition": "http://terminology.hl7.org/CodeSystem/discharge-disposition",
    "nubc": "https://www.nubc.org/CodeSystem/PatDischargeStatus",
    "snomed": "http://snomed.info/sct",
    "": "http://mimic.mit.edu/fhir/mimic/CodeSystem/mimic-discharge-disposition",
    "icd-10": "http://hl7.org/fhir/sid/icd-10-cm",
}


def test_each_listed_code_means_what_the_model_says() -> None:
    for row in rows("ref_disposition.csv"):
        coding = Coding(SYSTEMS[row["system"]], row["code"])
        said = model.disposition([{"system": coding.system, "code": coding.code}])
        assert TABLES.disposition([coding]) == row["category"] == said
    for row in rows("ref_infection.csv"):
        coding = Coding(SYSTEMS[row["system"]], row["code"])
        means = model.infection([{"system": coding.system, "code": coding.code}])
        assert TABLES.infection_type([coding]) == row["infection_type"] == means
    nubc = sum(len(codes.split()) for codes in model.NUBC.values())
    assert len(rows("ref_disposition.csv")) == (
        len(model.HL7) + nubc + len(model.SNOMED_DISPOSITION) + len(model.MIMIC)
    )
    listed = len(model.SNOMED_INFECTION) + sum(len(codes.split()) for codes in model.ICD_INFECTION.values())
    assert len(rows("ref_infection.csv")) == listed


_codes = st.sampled_from(
    ["exp", "EXP", "20", "1", "01", "home", "HOME", "Died", "371828006", "x", "A41.9", "a419", "A049", "68566005",
     "T81.49XA", "T8144", "J18", "J19", "22298006", "34014006", ""]
)  # fmt: skip
_systems = st.sampled_from([None, "", "urn:local", "urn:icd10", *SYSTEMS.values()])


@given(st.lists(st.tuples(_systems, _codes | st.none()), max_size=4))
def test_codings_in_their_order(codings: list[tuple[str | None, str | None]]) -> None:
    ours = [Coding(system, code) for system, code in codings]
    theirs = [{"system": system, "code": code} for system, code in codings]
    assert TABLES.disposition(ours) == model.disposition(theirs)
    assert TABLES.infection_type(ours) == model.infection(theirs)
