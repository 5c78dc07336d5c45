from __future__ import annotations

from pathlib import Path

import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from medlaunch.athena.statements import (
    Identifier,
    SqlValueError,
    literal,
    render,
    stages,
    statements,
    values_of,
)
from medlaunch.settings import settings

TEXT = st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="\\"), max_size=80)


@given(TEXT)
def test_no_text_can_end_its_literal(text: str) -> None:
    tree = sqlglot.parse_one(f"SELECT {literal(text)} AS value", dialect="athena")
    (expression,) = tree.expressions
    assert expression.this.is_string
    assert expression.this.this == text


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=4))
def test_lists_and_tuples_become_rows(rows: list[tuple[str, str]]) -> None:
    tree = sqlglot.parse_one(f"SELECT * FROM (VALUES {literal(rows)}) AS t (a, b)", dialect="athena")
    values = tree.find(sqlglot.exp.Values)
    assert values is not None
    assert [tuple(cell.this for cell in row.expressions) for row in values.expressions] == rows


@pytest.mark.parametrize("value", [None, True, 1.5, [], {"a": 1}, b"x", "a\nb", "a\0b", "a\\", object()])
def test_what_has_no_literal_is_refused(value: object) -> None:
    with pytest.raises(SqlValueError):
        literal(value)


@pytest.mark.parametrize("name", ["a-b", "A", "a b", "1a", "", 'a"', "a;b", "é"])
def test_a_name_that_is_not_safe_is_refused(name: str) -> None:
    with pytest.raises(SqlValueError):
        Identifier(name)


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(Exception, match="run"):
        render("facility_accreditation/check/count_lines.sql", {"slices": ["2026-11-01"]})


def test_statements_are_found_by_folder() -> None:
    assert "facility_accreditation/tables/facility_metrics.sql" in statements("facility_accreditation/tables")


def test_what_reads_another_comes_after_it() -> None:
    order = stages(["common/views", "facility_accreditation/views"])
    place = {
        name.rsplit("/", 1)[-1].removesuffix(".sql"): n for n, stage in enumerate(order) for name in stage
    }
    assert place["latest_facility_snapshot"] < place["current_expiring_accreditations"]
    assert place["run_reports"] == 0
    assert len(stages(["common/tables", "facility_accreditation/tables"])) == 1


def test_columns_are_listed_once() -> None:
    """Each column of a table's list is selected, compared, updated and inserted by its MERGE."""
    text = render("nurse_staffing/merge/gold_pbj_facility.sql", {"run": "r", "slices": ["2024Q2"]})
    merge = sqlglot.parse_one(text, dialect="trino")
    listed = (settings().include_dir / "sql/nurse_staffing/columns/pbj_facility.columns").read_text()
    columns = [line.split()[0] for line in listed.splitlines()]
    using = merge.args["using"].this
    assert [one.alias_or_name for one in using.expressions] == [*columns, "gone", "quarter"]
    delete, update, insert = merge.args["whens"].expressions
    assert delete.args["then"].name == "DELETE"
    assert [one.this.name for one in update.args["then"].expressions] == columns[1:]
    compared = [one.this.name for one in update.args["condition"].find_all(sqlglot.exp.NullSafeNEQ)]
    assert sorted(compared) == sorted(columns[1:])
    assert [one.name for one in insert.args["then"].this.expressions] == [*columns, "quarter"]
    assert [one.name for one in insert.args["then"].expression.expressions] == [*columns, "quarter"]


def test_the_values_of_a_statement_are_those_of_its_files() -> None:
    assert values_of("nurse_staffing/merge/gold_pbj_facility.sql") == {"run", "slices"}
    assert values_of("nurse_staffing/tables/staging_silver_pbj_daily.sql") == {"s3"}
    assert values_of("nurse_staffing/extract/silver_pbj_daily.sql") == {"run", "slices", "target"}
    assert "snapshot" in values_of("common/restore_slice.sql")


@pytest.mark.parametrize("file", sorted((settings().include_dir / "sql").rglob("*.columns"), key=str))
def test_a_list_of_columns_has_one_a_line(file: Path) -> None:
    """``columns_of`` takes the first word of each line."""
    lines = file.read_text(encoding="utf-8").splitlines()
    tree = sqlglot.parse_one(f"CREATE TABLE t ({' '.join(lines)})", dialect="athena")
    names = [one.name for one in tree.find_all(sqlglot.exp.ColumnDef) if one.parent is tree.this]
    assert names == [Identifier(line.split(" ", 1)[0]) for line in lines]
