"""The generated pages are what the code says, and the checks notice when they are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import BaseModel, Field

from docs.generate import configuration, tables
from docs.generate.__main__ import check
from medlaunch.athena import statements

ROOT = Path(__file__).parents[2]


def test_committed_pages_are_what_the_code_says() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "docs.generate", "--check"],
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", "MEDLAUNCH_BUCKET": "of-somebody-elses-shell"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_page_that_differs_is_named_with_the_difference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = {"docs/one.md": "# One\n\nnew\n", "docs/two.md": "# Two\n"}
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/one.md").write_text("# One\n\nold\n")
    (tmp_path / "docs/two.md").write_text("# Two\n")
    assert check(tmp_path, wanted) == 1
    shown = capsys.readouterr()
    assert "docs/one.md" in shown.out
    assert "-old" in shown.out
    assert "+new" in shown.out
    assert "docs/two.md" not in shown.out
    assert "make docs" in shown.err


def test_a_missing_page_is_a_difference(tmp_path: Path) -> None:
    assert check(tmp_path, {"docs/one.md": "# One\n"}) == 1
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/one.md").write_text("# One\n")
    assert check(tmp_path, {"docs/one.md": "# One\n"}) == 0


def test_every_setting_must_be_described(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wordless(BaseModel):
        bucket: str = Field("b")

    monkeypatch.setattr(configuration, "Settings", Wordless)
    with pytest.raises(ValueError, match="MEDLAUNCH_BUCKET"):
        configuration.configuration()


def test_bounds_of_a_setting_are_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    class Bounded(BaseModel):
        share: float = Field(0.5, gt=0, le=1, description="A share.")
        name: str | None = Field(None, pattern="^a|b$", description="A name.")

    monkeypatch.setattr(configuration, "Settings", Bounded)
    page = configuration.configuration()
    assert "| `MEDLAUNCH_SHARE` | `0.5` | A share. | number, more than 0, at most 1 |" in page
    assert r"| `MEDLAUNCH_NAME` | not set | A name. | text, matching `^a\|b$` |" in page


@pytest.mark.parametrize(
    ("ddl", "complaint"),
    [
        ("CREATE EXTERNAL TABLE t (a string) COMMENT 'T' LOCATION 's3://b/p/'", "no COMMENT on a"),
        ("CREATE EXTERNAL TABLE t (a string COMMENT 'A') LOCATION 's3://b/p/'", "the table has no COMMENT"),
        ("SELECT 1", "no CREATE statement"),
    ],
)
def test_tables_must_be_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ddl: str, complaint: str
) -> None:
    file = tmp_path / "sql/some_dag/tables/t.sql"
    file.parent.mkdir(parents=True)
    file.write_text(ddl)
    settings = statements.settings().model_copy(update={"include_dir": tmp_path})
    monkeypatch.setattr(statements, "settings", lambda: settings)
    with pytest.raises(ValueError, match=complaint):
        tables._parse("some_dag/tables/t.sql")


def test_what_the_dictionary_says_of_a_view() -> None:
    """Types come from the engine's rules, words from the table's column."""
    page = (ROOT / "docs/reference/tables.md").read_text(encoding="utf-8")
    view = page.split("#### current_expiring_accreditations\n")[1].split("\n####")[0]
    assert "| `valid_until` | `date` | Last day of the accreditation |" in view
    assert "| `employee_count` | `bigint` | Employees |" in view
    table = page.split("#### expiring_accreditations\n")[1].split("\n####")[0]
    assert "| `valid_until` | `date` | Last day of the accreditation |" in table
    assert "Written by: `publish_results`" in table
