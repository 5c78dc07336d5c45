"""Where Athena differs from Trino and other engines: the repository's own SQL means the same on each of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    path.relative_to(ROOT).as_posix(): path
    for ending in ("sql", "jinja")
    for path in (ROOT / "include/sql").rglob(f"*.{ending}")
}
DOCUMENTS = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "docs").rglob("*.md")}
# A column of a table: its name, and that it is an array of structs.
_ARRAY_OF_STRUCTS = re.compile(r"^\s*`?(\w+)`?\s*:?\s+array<\s*struct<", re.IGNORECASE | re.MULTILINE)
_VALUE = re.compile(r"\{\{.*?\}\}", re.DOTALL)


def arrays_of_structs() -> set[str]:
    """The names of all columns, and fields of columns, that are arrays of structs."""
    files = [*FILES.values(), *(ROOT / "include/sql").rglob("*.columns")]
    return {name.lower() for path in files for name in _ARRAY_OF_STRUCTS.findall(path.read_text("utf-8"))}


def statements() -> Iterator[tuple[str, str]]:
    """Each SQL text of the repository with the name of its file; values stand as literals."""
    for name, path in FILES.items():
        yield name, _VALUE.sub("'1'", path.read_text("utf-8"))
    for name, path in DOCUMENTS.items():
        for block in re.findall(r"```sql\n(.*?)```", path.read_text("utf-8"), re.DOTALL):
            yield name, block


def unnested_structs(sql: str, columns: set[str]) -> list[str]:
    """What a text gives to UNNEST that is an array of structs.

    Athena makes one column of it, Trino as many as the struct has fields
    (https://docs.aws.amazon.com/athena/latest/ug/filtering-nested-with-unnest.html).
    """
    arguments = (
        argument.strip()
        for start in re.finditer(r"\bUNNEST\s*\(", re.sub(r"--.*", "", sql), re.IGNORECASE)
        for argument in _arguments(re.sub(r"--.*", "", sql), start.end())
    )
    return [a for a in arguments if re.fullmatch(r"[\w.]+", a) and a.rsplit(".")[-1].lower() in columns]


def _arguments(sql: str, at: int) -> Iterator[str]:
    """The arguments of the call whose first one begins at a place."""
    depth, start = 0, at
    for place in range(at, len(sql)):
        if sql[place] == "," and not depth:
            yield sql[start:place]
            start = place + 1
        depth += (sql[place] == "(") - (sql[place] == ")")
        if depth < 0:
            yield sql[start:place]
            return


def decimal_points(sql: str) -> list[str]:
    """Numbers with a point and neither a type nor an exponent: double on Athena, decimal on Trino."""
    plain = re.sub(r"--[^\n]*|'(?:[^']|'')*'", "''", sql)
    return re.findall(r"(?<![\w.'])\d*\.\d+(?![\w.])", plain)


def test_no_array_of_structs_is_unnested_directly() -> None:
    columns = arrays_of_structs()
    assert {"accreditations", "labs", "tasks"} <= columns
    assert {name: found for name, sql in statements() if (found := unnested_structs(sql, columns))} == {}


def test_numbers_with_a_point_say_what_they_are() -> None:
    assert {name: found for name, sql in statements() if (found := decimal_points(sql))} == {}


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("SELECT x FROM t CROSS JOIN UNNEST(t.steps) AS s (x)", ["t.steps"]),
        ("SELECT x FROM t CROSS JOIN UNNEST(names, steps) AS s (x, y)", ["steps"]),
        ("SELECT x FROM t CROSS JOIN UNNEST(transform(steps, s -> s.step)) AS s (x)", []),
    ],
)
def test_unnested_structs_are_found(sql: str, found: list[str]) -> None:
    assert unnested_structs(sql, {"steps"}) == found


def test_decimal_points_are_found() -> None:
    assert decimal_points("SELECT 1.5, x.a, DECIMAL '2.5', 1.5e0, .5, round(y, 1) -- 0.1") == ["1.5", ".5"]
