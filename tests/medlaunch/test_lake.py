from __future__ import annotations

from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medlaunch import lake
from medlaunch.lake import LandingKey, SetAside


@pytest.mark.parametrize(
    ("key", "size", "expected"),
    [
        ("landing/facilities/2026-11-01/a.jsonl", 5, LandingKey("facilities", date(2026, 11, 1), "a.jsonl")),
        (
            "landing/facilities/2026-11-01/A.JSON.GZ",
            5,
            LandingKey("facilities", date(2026, 11, 1), "A.JSON.GZ"),
        ),
        (
            "landing/facilities/2026-11-01/x/b c+%'é\".ndjson",
            5,
            LandingKey("facilities", date(2026, 11, 1), "x/b c+%'é\".ndjson"),
        ),
        ("landing/facilities/0001-01-01/a.json", 5, LandingKey("facilities", date(1, 1, 1), "a.json")),
        ("landing/facilities/9999-12-31/a.json", 5, LandingKey("facilities", date(9999, 12, 31), "a.json")),
        ("landing/facilities/2026-11-01/", 0, SetAside.FOLDER_MARKER),
        ("landing/facilities/2026-11-01/.keep", 0, SetAside.HIDDEN_FILE),
        ("landing/facilities/.keep", 0, SetAside.HIDDEN_FILE),
        ("landing/facilities/2026-11-01/a.jsonl", 0, SetAside.ZERO_BYTES),
        ("landing/facilities/2026-11-01/a.csv", 5, SetAside.UNKNOWN_EXTENSION),
        ("landing/facilities/2026-11-01/a.gz", 5, SetAside.UNKNOWN_EXTENSION),
        ("landing/facilities/2026-11-01/a.jsonl.gz.gz", 5, SetAside.UNKNOWN_EXTENSION),
        ("landing/facilities/2026-02-30/a.jsonl", 5, SetAside.SNAPSHOT_IS_NOT_A_DATE),
        ("landing/facilities/20261101/a.jsonl", 5, SetAside.SNAPSHOT_IS_NOT_A_DATE),
        ("landing/facilities/2026-W46-6/a.jsonl", 5, SetAside.SNAPSHOT_IS_NOT_A_DATE),
        ("landing/facilities/٢٠٢٦-١١-٠١/a.jsonl", 5, SetAside.SNAPSHOT_IS_NOT_A_DATE),
        ("landing/facilities/a.jsonl", 5, SetAside.NOT_IN_A_SNAPSHOT_FOLDER),
        ("landing/facilities/2026-11-01/" + "x" * 990 + ".jsonl", 5, SetAside.KEY_TOO_LONG),
    ],
)
def test_what_an_object_under_landing_is(key: str, size: int, expected: object) -> None:
    assert lake.parse_landing_key(key, size) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=300), st.integers(0, 10))
def test_any_key_is_data_or_set_aside_and_its_targets_are_valid_keys(rest: str, size: int) -> None:
    key = f"landing/facilities/{rest}"
    parsed = lake.parse_landing_key(key, size)
    if isinstance(parsed, LandingKey):
        assert lake.landing_key(parsed.dataset, parsed.snapshot, parsed.file) == key
        assert len(lake.rejects_key(parsed.dataset, parsed.snapshot, parsed.file).encode()) <= 1024
    assert len(lake.set_aside_key(key).encode()) <= 1024
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
