"""The query module: values never get into the text, answers are kept until something is published, costs are counted."""

from __future__ import annotations

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from dashboard import columns, queries
from dashboard.config import Config, ConfigError
from dashboard.queries import ROWS, SQL, Query, Reader, literal, statement, versions

STATEMENTS = sorted(path.relative_to(SQL).with_suffix("").as_posix() for path in SQL.rglob("*.sql"))


def test_there_are_statements() -> None:
    assert len(STATEMENTS) > 10


@pytest.mark.parametrize("name", STATEMENTS)
def test_values_are_in_where_only(name: str) -> None:
    """Athena: "Currently, parameters can be placed only in the WHERE clause"; and 25 of them at most in its console."""
    text, values = statement(Query.of(name, **dict.fromkeys(_names(name), "x")))
    places = [place.start() for place in re.finditer(r"\?", text)]
    assert len(places) == len(values) <= 25
    for place in places:
        clauses = re.findall(
            r"\b(SELECT|FROM|WHERE|GROUP BY|ORDER BY|HAVING|ON|LIMIT|UNNEST)\b", text[:place], re.IGNORECASE
        )
        assert clauses[-1].upper() == "WHERE", f"{name}: the value after {text[:place][-60:]!r}"


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_says_what_it_does_and_selects_columns(name: str) -> None:
    text = (SQL / f"{name}.sql").read_text(encoding="utf-8")
    assert text.startswith("-- ")
    code = re.sub(r"--.*", "", text)
    assert not re.search(r"SELECT\s+(\w+\.)?\*", code, re.IGNORECASE)
    assert not set(code) & set(";{")


def _names(name: str) -> set[str]:
    return set(re.findall(r":([a-z_]+)\b", (SQL / f"{name}.sql").read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("MI", "'MI'"),
        ("O'Brien", "'O''Brien'"),
        ("' OR 1=1 --", "''' OR 1=1 --'"),
        (7, "7"),
        (-1, "-1"),
        ("", "''"),
    ],
)
def test_values_are_literals(value: Any, text: str) -> None:
    assert literal(value) == text


@pytest.mark.parametrize("value", [True, 1.5, None, b"x"])
def test_other_values_are_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        literal(value)


def test_a_hostile_value_is_not_in_the_text() -> None:
    text, values = statement(Query.of("accreditation/trend", "v1", state="x' OR '1'='1"))
    assert "OR '1'" not in text
    assert values == ["'x'' OR ''1''=''1'"] * 2
    assert text.startswith("-- published: v1\n")
    assert text.endswith(f"LIMIT {ROWS + 1}")


def test_a_value_that_no_statement_names_is_an_error() -> None:
    with pytest.raises(ValueError, match="names no value stat"):
        statement(Query.of("accreditation/trend", state="", stat=""))


def test_the_version_changes_with_each_publication() -> None:
    rows = pd.DataFrame(
        {"pipeline": ["a", "a", "b"], "slice": ["1", "2", "1"], "publication": ["p", "q", "p"]}, dtype="str"
    )
    before = versions(rows)
    assert versions(rows.iloc[::-1]) == before
    rows.loc[0, "publication"] = "rollback.r"
    after = versions(rows)
    assert after["a"] != before["a"]
    assert after["b"] == before["b"]


class _Cursor:
    """Counts executions; each waits until the test says so."""

    executed = 0
    go = threading.Event()
    query_id, data_scanned_in_bytes, reused_previous_result = "q", 1_000, False
    description = (("n", "bigint"),)

    def execute(self, *_: Any, **__: Any) -> None:
        assert _Cursor.go.wait(10)
        _Cursor.executed += 1

    def fetchall(self) -> list[tuple[str]]:
        return [(1,)] * (ROWS + 1)  # type: ignore[list-item]

    def cancel(self) -> None:
        pass


def test_thirty_readers_ask_athena_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "connect", lambda **_: SimpleNamespace(cursor=_Cursor))
    reader = Reader(Config())
    query = Query.of("accreditation/trend", "v1", state="")
    with ThreadPoolExecutor(30) as pool:
        asked = [pool.submit(reader.rows, query) for _ in range(30)]
        _Cursor.go.set()
        found = [one.result(20)[0] for one in asked]
    assert _Cursor.executed == 1
    assert {len(one.frame) for one in found} == {ROWS}
    assert all(one.cut for one in found)
    reader.rows(Query.of("accreditation/trend", "v2", state=""))
    assert _Cursor.executed == 2, "another version is another query"
    assert reader.cost.queries == 2
    assert reader.cost.bytes_billed == 2 * 10_000_000, "Athena bills 10 MB at least"


def test_nobody_waits_for_what_is_published(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries, "connect", lambda **_: SimpleNamespace(cursor=_Cursor))
    monkeypatch.setattr(_Cursor, "go", threading.Event())
    monkeypatch.setattr(_Cursor, "executed", 0)
    reader = Reader(Config(version_seconds=1))
    query = Query.of("common/published")
    _Cursor.go.set()
    [first] = reader.rows(query)
    assert reader.current(query) is first
    time.sleep(1.1)
    _Cursor.go.clear()
    assert reader.rows(query) == [first] == reader.rows(query), "it is older than a second, and at hand"
    _Cursor.go.set()
    assert reader.current(query) is not first
    assert _Cursor.executed == 2, "it was asked for anew, once"


def test_settings_that_cannot_be_used_are_named() -> None:
    assert Config.from_environment({}) == Config()
    assert (
        Config.from_environment({"DASHBOARD_CACHE_SECONDS": "5", "DASHBOARD_DATABASE": "x"}).cache_seconds
        == 5
    )
    with pytest.raises(ConfigError, match="DASHBOARD_CACHE_SECONDS='soon' is not a whole number"):
        Config.from_environment({"DASHBOARD_CACHE_SECONDS": "soon"})
    with pytest.raises(ConfigError, match="must be greater than 0"):
        Config.from_environment({"DASHBOARD_QUERY_SECONDS": "0"})


def test_a_column_without_a_label_is_an_error() -> None:
    with pytest.raises(KeyError):
        columns.config_of(["unheard_of"])


def test_the_documentation_lists_every_setting() -> None:
    text = (Path(__file__).parents[2] / "docs/dashboard.md").read_text(encoding="utf-8")
    for name in Config.__dataclass_fields__:
        assert f"`DASHBOARD_{name.upper()}`" in text
