"""What a schema of an upload allows is accepted, and what is published is what its schema says."""

from __future__ import annotations

import csv
import json
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from medlaunch.accreditation import check_record, read_states
from medlaunch.accreditation.__main__ import main as accreditation
from medlaunch.formats.csv_records import find_columns
from medlaunch.staffing import pbj, provider_info
from medlaunch.staffing.headers import read_spellings
from tests.factories import DAY, facility, lines

ROOT = Path(__file__).parents[2]
SCHEMAS = ROOT / "docs/reference/schemas"
STATES = read_states(ROOT / "include/reference/states.csv")


@lru_cache
def validator(name: str) -> Draft202012Validator:
    schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text(encoding="utf-8"))
    return Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)


@pytest.mark.parametrize("file", sorted(SCHEMAS.rglob("*.json")), ids=lambda file: file.stem)
def test_each_is_a_schema_and_says_what_it_is_for(file: Path) -> None:
    schema = json.loads(file.read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["description"]


TEXT = st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
# Floats that are whole numbers are integers to JSON Schema, and to nobody else; the description says so.
ANYTHING = TEXT | st.booleans() | st.integers() | st.floats(0.1, 0.9) | st.lists(TEXT, max_size=2)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "facility_id": st.from_regex(r"\A ?(FAC|fac|F)[0-9]{0,3}\n?\Z"),
    "facility_name": TEXT,
    "employee_count": st.integers(-1, 2**63) | st.sampled_from(["10", " 7 "]),
    "services": st.lists(TEXT, max_size=2),
    "labs": st.lists(st.fixed_dictionaries({}, optional={"lab_name": ANYTHING, "certifications": ANYTHING}), max_size=2),
    "location": st.fixed_dictionaries(
        {}, optional={"state": st.sampled_from(["MI", "mi", "XX", "", None]), "zip": ANYTHING, "city": ANYTHING}
    ),
    "accreditations": st.lists(
        st.fixed_dictionaries(
            {}, optional={"valid_until": st.dates().map(str) | ANYTHING | st.just("20260101"), "accreditation_id": ANYTHING}
        ),
        max_size=2,
    ),
    "snapshot_date": ANYTHING,
    "something_else": ANYTHING,
}  # fmt: skip


@given(st.fixed_dictionaries({}, optional={name: one | ANYTHING for name, one in VALUES.items()}))
@example({})
def test_a_facility_that_the_schema_allows_is_accepted(fields: dict[str, Any]) -> None:
    record = facility(1) | fields
    if validator("uploads/facilities").is_valid(record):
        checked = check_record(json.dumps(record).encode(), STATES, date.fromisoformat(DAY))
        assert checked.reject_reason is None, (checked, record)
        assert checked.bad_accreditations == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"facility_id": "F1"},
        {"facility_name": "  "},
        {"employee_count": -1},
        {"location": {"state": "XX"}},
        {"accreditations": [{"valid_until": "2026-02-30"}]},
    ],
    ids=str,
)
def test_a_facility_that_breaks_a_rule_is_not_allowed(wrong: dict[str, Any]) -> None:
    assert validator("uploads/facilities").is_valid(facility(1))
    assert not validator("uploads/facilities").is_valid(facility(1) | wrong)


def test_a_published_record_is_what_its_schema_says(tmp_path: Path) -> None:
    upload = tmp_path / DAY / "a.jsonl"
    upload.parent.mkdir()
    upload.write_bytes(lines(facility(1), facility(2, labs=[{}], location={"state": "MI"}, services=None)))
    folder = ["--input", f"{tmp_path}", "--output", f"{tmp_path}"]
    assert accreditation([*folder, "--as-of", "2026-11-20", "--quiet"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "expiring_facilities.ndjson").read_bytes().splitlines()]
    assert len(rows) == 2
    for row in rows:
        validator("results/expiring_facilities").validate(row)


def test_a_row_of_cms_is_allowed() -> None:
    file = ROOT / "tests/data/staffing/pbj_2023Q2_415052_51A009.csv"
    with file.open(encoding="utf-8-sig", newline="") as text:
        rows = list(csv.DictReader(text))
    for row in rows:
        validator("uploads/pbj").validate(row)
    assert rows
    del row["PROVNUM"]
    assert not validator("uploads/pbj").is_valid(row)


@pytest.mark.parametrize(
    "module", [pbj, provider_info], ids=lambda module: module.__name__.rsplit(".", 1)[-1]
)
def test_the_headers_of_a_schema_are_found(module: Any) -> None:
    name = module.__name__.rsplit(".", 1)[-1]
    aliases, required = read_spellings(ROOT / "include/reference" / module.SPELLINGS)
    headers = list(validator(f"uploads/{name}").schema["properties"])
    header = find_columns(headers, aliases, required)
    assert [*header.positions] == [*module.COLUMNS]
    assert header.unknown == []


def test_a_resource_needs_its_type_and_an_id() -> None:
    fhir = validator("uploads/fhir")
    assert fhir.is_valid(
        {"resourceType": "Patient", "id": "p-1", "meta": {"lastUpdated": "2026-11-01T00:00:00Z"}}
    )
    assert not fhir.is_valid({"resourceType": "Patient", "id": "p_1"})
    assert not fhir.is_valid({"resourceType": "Observation", "id": "o-1"})
