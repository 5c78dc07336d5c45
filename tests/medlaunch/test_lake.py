from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlaunch import lake
from medlaunch.declaration import Dataset
from medlaunch.lake import LandingKey, SkipReason
from medlaunch.pipelines import FACILITY_ACCREDITATION

DATASET = FACILITY_ACCREDITATION.datasets[0]


@pytest.mark.parametrize(
    ("key", "size", "expected"),
    [
        ("landing/facilities/2026-11-01/a.jsonl", 5, LandingKey("2026-11-01", "2026-11-01/" + "a.jsonl")),
        (
            "landing/facilities/2026-11-01/A.JSON.GZ",
            5,
            LandingKey("2026-11-01", "2026-11-01/" + "A.JSON.GZ"),
        ),
        (
            "landing/facilities/2026-11-01/x/b c+%'é\".ndjson",
            5,
            LandingKey("2026-11-01", "2026-11-01/" + "x/b c+%'é\".ndjson"),
        ),
        ("landing/facilities/0001-01-01/a.json", 5, LandingKey("0001-01-01", "0001-01-01/" + "a.json")),
        ("landing/facilities/9999-12-31/a.json", 5, LandingKey("9999-12-31", "9999-12-31/" + "a.json")),
        ("landing/facilities/2026-11-01/", 0, SkipReason.FOLDER_MARKER),
        ("landing/facilities/2026-11-01/.keep", 0, SkipReason.HIDDEN_FILE),
        ("landing/facilities/.keep", 0, SkipReason.HIDDEN_FILE),
        ("landing/facilities/2026-11-01/a.jsonl", 0, SkipReason.EMPTY_OBJECT),
        ("landing/facilities/2026-11-01/a.csv", 5, SkipReason.UNKNOWN_EXTENSION),
        ("landing/facilities/2026-11-01/a.gz", 5, SkipReason.UNKNOWN_EXTENSION),
        ("landing/facilities/2026-11-01/a.jsonl.gz.gz", 5, SkipReason.UNKNOWN_EXTENSION),
        ("landing/facilities/2026-02-30/a.jsonl", 5, SkipReason.FOLDER_IS_NO_SLICE),
        ("landing/facilities/20261101/a.jsonl", 5, SkipReason.FOLDER_IS_NO_SLICE),
        ("landing/facilities/2026-W46-6/a.jsonl", 5, SkipReason.FOLDER_IS_NO_SLICE),
        ("landing/facilities/٢٠٢٦-١١-٠١/a.jsonl", 5, SkipReason.FOLDER_IS_NO_SLICE),
        ("landing/facilities/a.jsonl", 5, SkipReason.NOT_IN_A_FOLDER),
        ("landing/facilities/2026-11-01/" + "x" * 990 + ".jsonl", 5, SkipReason.KEY_TOO_LONG),
    ],
)
def test_what_an_object_under_landing_is(key: str, size: int, expected: object) -> None:
    assert lake.parse_landing_key(DATASET, key, size) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), st.integers(0, 10))
def test_any_key_is_data_or_skipped_and_its_targets_are_valid_keys(rest: str, size: int) -> None:
    key = f"landing/facilities/{rest}"
    parsed = lake.parse_landing_key(DATASET, key, size)
    if isinstance(parsed, LandingKey):
        assert lake.landing_key("facilities", parsed.rest) == key
        assert len(lake.rejects_key("facilities", parsed.rest).encode()) <= 1024
    assert len(lake.skipped_key("facilities", key).encode()) <= 1024
    assert lake.archive_key(key) == f"archive/facilities/{rest}"


@given(st.text(min_size=1, max_size=300), st.text(min_size=1, max_size=300))
def test_run_keys_are_safe_and_never_the_same_for_two_runs(one: str, other: str) -> None:
    key = lake.run_key(one)
    assert set(key) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
    assert len(key) <= 109
    assert (key == lake.run_key(other)) == (one == other)


def test_an_upload_version_has_one_name() -> None:
    when = datetime(2026, 11, 1, tzinfo=UTC)
    name = lake.upload_id("k", "e", when)
    assert name == lake.upload_id("k", "e", when)
    assert len({name, lake.upload_id("k", "f", when), lake.upload_id("k2", "e", when)}) == 3


def test_a_dataset_may_be_below_another_folder_and_have_any_folders() -> None:
    dataset = Dataset(name="fhir/encounters", extensions=(".ndjson",), loader="x:y")
    found = lake.parse_landing_key(dataset, "landing/fhir/encounters/2026/11/a.NDJSON.gz", 5)
    assert found == LandingKey(None, "2026/11/a.NDJSON.gz")
    assert lake.parse_landing_key(dataset, "landing/fhir/encounters/a.ndjson", 5) == LandingKey(
        None, "a.ndjson"
    )
    assert lake.parse_landing_key(dataset, "landing/fhir/encounters/a.csv", 5) is SkipReason.UNKNOWN_EXTENSION
    assert (
        lake.rejects_key("fhir/encounters", "x/a.ndjson")
        == "quarantine/fhir/encounters/x/a.ndjson_rejects.jsonl"
    )


@pytest.mark.parametrize("text", ["2024Q2", "all", "2026-11-01", "a_b"])
def test_slices_that_can_be_keys(text: str) -> None:
    assert lake.check_slice(text) == text


@pytest.mark.parametrize("text", ["", "a/b", "..", "a.b", "x" * 65, "ü", "a b"])
def test_slices_that_cannot(text: str) -> None:
    with pytest.raises(ValueError, match="no slice"):
        lake.check_slice(text)
