"""The tool that changes the code finds all of it, and what is explained is still there."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutants.__main__ import Mutant, _judge, explained
from tests.mutants.statements import mutants
from tests.mutants.targets import ROOT, targets


def test_rules_publishing_ingest_and_statements_are_mutated() -> None:
    files = {str(one.file) for one in targets()}
    for one in (
        "plugins/medlaunch/accreditation/rules.py",
        "plugins/medlaunch/staffing/pbj.py",
        "plugins/medlaunch/clinical/resources.py",
        "plugins/medlaunch/publish/rollback.py",
        "plugins/medlaunch/ingest/uploads.py",
        "include/sql/facility_accreditation/extract/facilities.sql",
        "include/sql/nurse_staffing/check/pbj/superseded.sql",
    ):
        assert one in files
    assert all((ROOT / test).exists() for one in targets() for test in one.tests)


def test_what_is_explained_is_there() -> None:
    for one in explained():
        lines = (ROOT / one["file"]).read_text(encoding="utf-8").splitlines()
        assert one["line"] in {line.strip() for line in lines}
        assert one["why"]


def test_mutants_of_a_statement() -> None:
    text = "-- a = b\nSELECT max(x) AS x\nFROM t\nWHERE a = 1 AND b <> ' AND ' {# 0 = 0 #}\nORDER BY x DESC\n"
    found = [(line, change) for line, change, _ in mutants(text)]
    assert sorted(found) == [
        (2, "max( -> min("),
        (4, "1 -> 2"),
        (4, "<> -> ="),
        (4, "= -> <>"),
        (4, "AND -> OR"),
        (5, "DESC -> ASC"),
    ]
    changed = {change: whole for _, change, whole in mutants(text)}
    assert changed["AND -> OR"] == text.replace("1 AND b", "1 OR b")


@pytest.mark.parametrize(("killed", "survived", "status"), [(9, 1, 0), (8, 2, 1), (0, 0, 1)])
def test_less_than_nine_of_ten_is_a_failure(killed: int, survived: int, status: int) -> None:
    tried = [Mutant(Path("x.py"), 1, "change", "line", one < killed) for one in range(killed + survived)]
    assert _judge(tried) == status
