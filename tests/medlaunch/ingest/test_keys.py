"""The key of pseudonyms, from an Airflow connection."""

from __future__ import annotations

import json

import pytest

from medlaunch.ingest.keys import KeyMissing, pseudonym_key


def connect(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    value = json.dumps({"conn_type": "generic", "password": password})
    monkeypatch.setenv("AIRFLOW_CONN_MEDLAUNCH_PSEUDONYMS", value)


def test_it_is_the_password_of_the_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    connect(monkeypatch, "k" * 32)
    assert pseudonym_key() == b"k" * 32


@pytest.mark.parametrize("password", ["", "k" * 31])
def test_one_that_could_be_guessed_is_refused(monkeypatch: pytest.MonkeyPatch, password: str) -> None:
    connect(monkeypatch, password)
    with pytest.raises(
        KeyMissing, match="32 or more, is the password of the Airflow connection 'medlaunch_pseudonyms'"
    ):
        pseudonym_key()
