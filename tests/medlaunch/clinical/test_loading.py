"""Uploads into bronze: every value accounted for, with the reasons of the contract's sections 1 to 3."""

from __future__ import annotations

import gzip
import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medlaunch.clinical.loading import load
from medlaunch.declaration import Loader
from medlaunch.formats.content import UnreadableUpload
from tests import clinical_model as model
from tests.clinical_uploads import ROOT, load_bytes, pseudonym

ENCOUNTERS = "landing/fhir/encounters/2026/e.ndjson"
BUNDLES = "landing/fhir/bundles/b.json"
SHARED = ROOT.parent / "shared/data/fhir"
P = {"resourceType": "Patient", "id": "1"}
E = {"resourceType": "Encounter", "id": "1"}


def ndjson(*values: Any) -> bytes:
    return b"".join(json.dumps(value).encode() + b"\n" for value in values)


def row_of(value: dict[str, Any]) -> dict[str, Any]:
    """The bronze line of one resource, without where it came from."""
    counts, bronze, _ = load_bytes(BUNDLES, ndjson(value))
    assert counts.valid == 1
    (row,) = bronze.rows
    return row


def test_it_is_a_loader() -> None:
    loader: Loader = partial(load, key=b"")
    assert loader


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b'{"resourceType": "Encounter"', "malformed_json"),
        ([], "not_a_resource"),
        (42, "not_a_resource"),
        ({}, "not_a_resource"),
        ({"resourceType": 5, "id": "1"}, "not_a_resource"),
        ({"resourceType": None}, "not_a_resource"),
        (P, "wrong_resource_type"),
        ({"resourceType": "Observation", "id": "a b"}, "wrong_resource_type"),
        ({"resourceType": "Encounter"}, "id_invalid"),
        (E | {"id": "a b"}, "id_invalid"),
        (E | {"id": ""}, "id_invalid"),
        (E | {"id": 5}, "id_invalid"),
        (E | {"id": "x" * 65}, "id_invalid"),
        (E | {"id": "a b", "meta": {"lastUpdated": "x"}}, "id_invalid"),
        (E | {"meta": {"lastUpdated": "2024-01-01"}}, "last_updated_invalid"),
        (E | {"meta": {"lastUpdated": "2024-01-01T10:00:00"}}, "last_updated_invalid"),
        (E | {"meta": {"lastUpdated": 5}}, "last_updated_invalid"),
        (E | {"meta": {"lastUpdated": ""}}, "last_updated_invalid"),
    ],
)
def test_reject_reasons(value: Any, reason: str) -> None:
    content = ndjson(E) + (value if isinstance(value, bytes) else json.dumps(value).encode()) + b"\n"
    counts, bronze, rejects = load_bytes(ENCOUNTERS, content)
    assert counts.slices == {"all": {"valid": 1, reason: 1}}
    assert [row.get("reject_reason") for row in bronze.rows] == [None, reason]
    (reject,) = rejects.rows
    assert (reject["reject_reason"], reject["line_number"], reject["record_number"]) == (reason, 2, 2)
    assert reject["source_key"] == ENCOUNTERS
    assert reject["raw"].encode() == content.splitlines()[1]


def test_nothing_else_rejects() -> None:
    """Elements of any wrong type are missing elements; the version counts."""
    wrong: list[Any] = [5, "x", True, None, [], [5], {}, {"a": 1}, [[]], 1e400]
    names = [
        "status",
        "class",
        "type",
        "serviceType",
        "priority",
        "subject",
        "partOf",
        "serviceProvider",
        "period",
        "hospitalization",
        "meta",
        "text",
    ]
    values = [E | {name: value} for name in names for value in wrong]
    counts, _, _ = load_bytes(ENCOUNTERS, ndjson(*values).replace(b"Infinity", b"1e400"))
    assert (counts.lines, counts.rejected) == (len(values), 0)
    row = row_of(
        {
            "resourceType": "Encounter",
            "id": "1",
            "status": "finished",
            "class": 5,
            "type": [5, {"coding": [7, {"code": "abc", "system": 5}], "text": 5}],
            "subject": {"reference": 5, "identifier": {"value": "v", "system": []}},
            "period": {"start": 5, "end": "2024-03-01"},
            "meta": {"versionId": 7, "profile": 5},
        }
    )
    assert row["version_id"] == "7"
    assert row["encounter"] == {
        "status": "finished",
        "void": False,
        "class_codes": [],
        "type_codes": ["ABC"],
        "patient_ref": "identifier:|v",
        "end_written": "2024-03-01",
        "end_date": "2024-03-01",
        "disposition": "unknown",
        "patient_pseudonym": pseudonym("Patient", "identifier:|v"),
    }


def test_a_patient() -> None:
    row = row_of(
        P
        | {
            "meta": {"lastUpdated": "2024-01-01T00:00:00+01:00", "versionId": "12"},
            "identifier": [{"system": "s", "value": "v"}, {"system": "s"}, {"value": "w"}],
            "name": [{"family": "Doe", "text": "Jane Doe"}],
            "address": [{"line": ["1 Main St"]}],
            "telecom": [{"value": "555"}],
            "gender": "female",
            "birthDate": "1950-02-03",
            "deceasedDateTime": "2024-03-01T10:00:00+01:00",
        }
    )
    assert row == {
        "resource_type": "Patient",
        "id": "1",
        "last_updated": "2023-12-31T23:00:00",
        "version_id": "12",
        "version_rank": "2023-12-31T23:00:00 000212",
        "source_key": BUNDLES,
        "upload_id": "u",
        "line_number": 1,
        "record_number": 1,
        "pseudonym": pseudonym("Patient", "1"),
        "key_id": row["key_id"],
        "patient": {
            "identifiers": ["identifier:s|v", "identifier:|w"],
            "gender": "female",
            "birth_date": "1950-02-03",
            "deceased_date": "2024-03-01",
            "deceased_instant": "2024-03-01T09:00:00",
            "deceased_flag": True,
        },
    }
    assert row_of(P | {"deceasedDateTime": "2024-11"})["patient"] == {"deceased_flag": True}
    assert row_of(P | {"deceasedBoolean": False})["patient"] == {"deceased_flag": False}
    assert row_of(P | {"deceasedBoolean": True})["patient"] == {"deceased_flag": True}
    assert row_of(P)["patient"] == {}


def test_an_encounter_of_r5_is_one_of_r4() -> None:
    disposition = {"dischargeDisposition": {"coding": [{"system": "https://www.nubc.org/x", "code": "1"}]}}
    r4 = E | {
        "status": "finished",
        "class": {"code": "imp"},
        "serviceType": {"coding": [{"code": "psych"}]},
        "period": {"start": "2024-03-01T08:00:00+01:00", "end": "2024-03"},
        "hospitalization": disposition,
    }
    r5 = E | {
        "status": "finished",
        "class": [{"coding": [{"code": "imp"}]}],
        "serviceType": [{"concept": {"coding": [{"code": "psych"}]}}],
        "actualPeriod": {"start": "2024-03-01T08:00:00+01:00", "end": "2024-03"},
        "admission": disposition,
    }
    assert row_of(r4) == row_of(r5)
    assert row_of(r4)["encounter"] == {
        "status": "finished",
        "void": False,
        "class_codes": ["IMP"],
        "service_codes": ["PSYCH"],
        "start_written": "2024-03-01T08:00:00+01:00",
        "start_date": "2024-03-01",
        "start_instant": "2024-03-01T07:00:00",
        "end_written": "2024-03",
        "disposition": "home",
        "disposition_codings": ["https://www.nubc.org/x|1"],
    }


@pytest.mark.parametrize(
    ("type_", "codes"),
    [
        ([{"text": " Inpatient"}], ["IMP"]),
        ([{"coding": [{"display": "inpatient"}]}], ["IMP"]),
        ([{"text": "Inpatient visit"}], []),
    ],
)
def test_without_a_class_the_type_may_say_inpatient(type_: Any, codes: list[str]) -> None:
    assert row_of(E | {"type": type_})["encounter"]["class_codes"] == codes
    assert row_of(E | {"type": type_, "class": {"code": "AMB"}})["encounter"]["class_codes"] == ["AMB"]


def test_a_condition() -> None:
    one = {
        "resourceType": "Condition",
        "id": "c",
        "verificationStatus": {"coding": [{"code": "confirmed"}]},
        "code": {"coding": [{"system": "urn:icd-10", "code": "A41.9"}], "text": "free text"},
        "subject": {"reference": "Patient/1", "display": "Jane Doe"},
        "context": {"reference": "Encounter/2"},
        "onsetPeriod": {"start": "2024-03-01T08:00:00Z"},
        "recordedDate": "2024-03-03",
    }
    assert row_of(one)["condition"] == {
        "void": False,
        "codings": ["urn:icd-10|A41.9"],
        "infection_type": "sepsis",
        "verification": "confirmed",
        "patient_ref": "1",
        "encounter_id": "2",
        "onset_written": "2024-03-01T08:00:00Z",
        "onset_date": "2024-03-01",
        "onset_instant": "2024-03-01T08:00:00",
        "recorded_date": "2024-03-03",
        "patient_pseudonym": pseudonym("Patient", "1"),
        "encounter_pseudonym": pseudonym("Encounter", "2"),
    }
    # What cannot be read leaves the period.
    assert row_of(one | {"onsetDateTime": "2024"})["condition"]["onset_date"] == "2024-03-01"
    assert row_of(one | {"onsetDateTime": "2024-02-02"})["condition"]["onset_date"] == "2024-02-02"


def test_pseudonyms_are_keyed_hashes() -> None:
    def pseudonyms(key: bytes) -> list[str]:
        _, bronze, _ = load_bytes(
            BUNDLES, ndjson(P, E | {"id": P["id"], "subject": {"reference": "Patient/1"}}), key=key
        )
        patient, encounter = bronze.rows
        assert patient["key_id"] == encounter["key_id"]
        return [
            patient["pseudonym"],
            encounter["pseudonym"],
            encounter["encounter"]["patient_pseudonym"],
            patient["key_id"],
        ]

    first, second = pseudonyms(b"1" * 32), pseudonyms(b"2" * 32)
    assert first[0] == first[2] == pseudonym("Patient", P["id"], b"1" * 32)
    # A patient and an encounter of one id have nothing in common, nor have two keys.
    assert len({*first, *second}) == 6


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (None, None),
        ({"coding": [{"code": "refuted"}]}, "refuted"),
        ({"coding": [{"code": "refuted"}, {"code": "confirmed"}]}, "confirmed"),
        ({"coding": [{"code": "confirmed"}, {"code": "entered-in-error"}]}, "entered-in-error"),
        ("confirmed", "confirmed"),
        ({"text": "perhaps"}, "perhaps"),
    ],
)
def test_verification(status: Any, code: str | None) -> None:
    row = row_of({"resourceType": "Condition", "id": "c", "verificationStatus": status})["condition"]
    assert (row.get("verification"), row["void"]) == (code, code == "entered-in-error")
    assert model.verification(status) == code


def test_versions_sort_by_their_rank() -> None:
    in_order: list[dict[str, Any]] = [
        {},
        {"versionId": "0"},
        {"versionId": "9"},
        {"versionId": "10"},
        {"lastUpdated": "2023-12-31T23:59:59Z", "versionId": "99"},
        {"lastUpdated": "2024-01-01T01:00:00+01:00", "versionId": "a"},
        {"lastUpdated": "2024-01-01T00:00:00Z", "versionId": "9"},
        {"lastUpdated": "2023-12-31T19:00:00-05:00", "versionId": "10"},
        {"lastUpdated": "2024-01-01T00:00:00.09Z"},
        {"lastUpdated": "2024-01-01T00:00:00.1Z"},
        {"lastUpdated": "2024-01-01T00:00:00.1234567Z"},
    ]
    ranks = [row_of(P | {"meta": meta})["version_rank"] for meta in in_order]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)
    assert row_of(P)["version_rank"] == row_of(P | {"meta": {"versionId": "-1"}})["version_rank"]


def test_bundles_and_folders() -> None:
    bundle = {"resourceType": "Bundle", "entry": [{"resource": P}, {"resource": E}, {"fullUrl": "x"}]}
    for folder in ("patients", "encounters", "conditions", "bundles"):
        counts, bronze, _ = load_bytes(f"landing/fhir/{folder}/x.ndjson", ndjson(bundle))
        assert counts.slices == {"all": {"valid": 2}}
        assert counts.measures == {
            "bundles": 1,
            "ignored_bundle_entries": 1,
            "patients": 1,
            "encounters": 1,
            "conditions": 0,
            "entered_in_error": 0,
        }
        assert [row["record_number"] for row in bronze.rows] == [1, 2]
    counts, _, _ = load_bytes(BUNDLES, ndjson(P, E, {"resourceType": "Organization", "id": "1"}))
    assert counts.slices == {"all": {"valid": 2, "wrong_resource_type": 1}}
    with pytest.raises(ValueError, match="landing/fhir/others/x is in none of the folders"):
        load_bytes("landing/fhir/others/x", b"")


def test_the_first_bytes_tell_gzip() -> None:
    plain = load_bytes(ENCOUNTERS, ndjson(E))[1].data
    assert load_bytes(ENCOUNTERS, gzip.compress(ndjson(E)))[1].data == plain
    assert json.loads(load_bytes(f"{ENCOUNTERS}.gz", ndjson(E))[1].data)["id"] == "1"
    with pytest.raises(UnreadableUpload):
        load_bytes(ENCOUNTERS, gzip.compress(ndjson(E))[:-9])


def test_bytes_that_are_no_text_are_kept_in_base64() -> None:
    _, _, rejects = load_bytes(ENCOUNTERS, ndjson(E) + b'{"id": "\xff"}\n')
    (reject,) = rejects.rows
    assert (reject["raw"], reject["raw_base64"]) == ('{"id": "\\xff"}', "eyJpZCI6ICL/In0=")


# --- any upload ------------------------------------------------------------------------------------


def anything(rng: random.Random) -> Any:
    kind = rng.choice(["Patient", "Encounter", "Encounter", "Observation", "Bundle", 5, None])
    value: dict[str, Any] = {"resourceType": kind, "id": rng.choice(["1", "2", "a b", 5, None])}
    if rng.random() < 0.5:
        value["meta"] = rng.choice(
            [
                5,
                {},
                {
                    "lastUpdated": rng.choice([None, "x", "2024-01-01T00:00:00Z", "2024-01-01"]),
                    "versionId": "3",
                },
            ]
        )
    if kind == "Bundle":
        value["entry"] = [
            rng.choice([5, {}, {"resource": anything(rng), "fullUrl": rng.choice(["urn:uuid:7", "x", 5])}])
            for _ in range(rng.randint(0, 3))
        ]
    if rng.random() < 0.1:
        return rng.choice([[], 42, "x", [value]])
    return value


@settings(deadline=None, max_examples=60)
@given(st.randoms(use_true_random=False))
def test_every_value_is_accounted_for(rng: random.Random) -> None:
    values = [anything(rng) for _ in range(rng.randint(0, 8))]
    content = json.dumps(values).encode() if rng.random() < 0.5 else ndjson(*values)
    if rng.random() < 0.3:
        content += rng.choice([b"{", b"\xff\n", b"NaN\n", b"\n\n", b"]"])
    key = rng.choice([ENCOUNTERS, BUNDLES])
    counts, bronze, rejects = load_bytes(key, content)
    expected = model.read_uploads([model.Upload("2026-01-01T00:00:00Z", key, model.split(content))])
    assert counts.lines == expected.read == len(bronze.rows)
    assert counts.rejected_by_reason == dict(expected.rejected)
    assert len(rejects.rows) == counts.rejected
    assert counts.measures["ignored_bundle_entries"] == expected.ignored_bundle_entries
    current: dict[tuple[str, str], Any] = {}
    for row in bronze.rows:
        if "reject_reason" not in row:
            one = (row["resource_type"], row["id"])
            current[one] = max(current.get(one, ("", 0)), (row["version_rank"], row["record_number"]))
    assert current.keys() == expected.current.keys()


# --- real files ------------------------------------------------------------------------------------


@pytest.mark.skipif(
    not SHARED.exists(), reason="real FHIR files are not beside the checkout (../shared/data/fhir)"
)
def test_real_files_have_no_rejects_and_no_names_leave_them() -> None:
    files = sorted(SHARED.rglob("*.json")) + [
        SHARED / f"synthea-10/{kind}.000.ndjson" for kind in ("Patient", "Encounter", "Condition")
    ]
    names: set[str] = set()
    written = b""
    for path in files:
        counts, bronze, rejects = load_bytes(BUNDLES, path.read_bytes())
        assert counts.lines, path
        assert not rejects.data, path
        written += bronze.data
        for value, _ in model._opened(model.split(path.read_bytes()), model.Versions()):
            names |= set(personal(value, value.get("id")))
    assert len(names) > 50
    assert {name for name in names if name.encode() in written} == set()


def personal(value: dict[str, Any], id_: Any) -> list[str]:
    """Names, addresses, telephone numbers of a Patient."""
    texts: list[str] = []

    def collect(part: Any) -> None:
        if isinstance(part, dict):
            for key, one in part.items():
                if key not in ("use", "system", "state", "country", "url", "period", "extension"):
                    collect(one)
        elif isinstance(part, list):
            for one in part:
                collect(one)
        elif isinstance(part, str) and len(part) > 3 and not part.isdigit():
            texts.append(part)

    if value.get("resourceType") == "Patient":
        for key in ("name", "address", "telecom", "contact"):
            collect(value.get(key))
    collect({"display": (value.get("subject") or {}).get("display")})
    return [text for text in texts if text != id_]


def test_the_same_bytes_give_the_same_output() -> None:
    content = ndjson(*(anything(random.Random(seed)) for seed in range(50)))
    first, second = load_bytes(BUNDLES, content), load_bytes(BUNDLES, content)
    assert (first[0], first[1].data, first[2].data) == (second[0], second[1].data, second[2].data)
    assert Path(BUNDLES).name in first[1].data.decode()
