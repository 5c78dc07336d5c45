"""The SQL prompt: four formats that cut nothing, and a history."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laptop import aws, sql
from laptop.stack import ROOT, Stack

SECONDS = 60
WIDE = ", ".join(f"'{'x' * 40}' AS column_number_{number}" for number in range(12))


@pytest.fixture(scope="module")
def stack(aws_url: str, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    """The account of a stack, in the local AWS of the tests."""
    stack = Stack(home=tmp_path_factory.mktemp("stack"), aws_port=urlsplit(aws_url).port or 0)
    aws.bootstrap(stack)
    aws.run(stack, "CREATE DATABASE IF NOT EXISTS medlaunch", SECONDS)
    return stack


def shown(stack: Stack, statement: str, shown_as: str | None) -> str:
    out = io.StringIO()
    sql.write(sql.run(stack, statement), shown_as, out)
    return out.getvalue()


VALUES = (
    "SELECT 1 AS one, CAST(NULL AS varchar) AS nothing, '' AS empty, 'a\"b\nc' AS text, 1.50 AS \"double\", "
    "DECIMAL '1.50' AS exact, true AS yes, nan() AS nan"
)


def test_json_has_types_and_tells_null_from_empty_text(stack: Stack) -> None:
    (line,) = shown(stack, VALUES, "json").splitlines()
    assert json.loads(line) == {
        "one": 1, "nothing": None, "empty": "", "text": 'a"b\nc', "double": 1.5, "exact": "1.50", "yes": True, "nan": "NaN",
    }  # fmt: skip


def test_csv_is_that_of_athena(stack: Stack) -> None:
    text = shown(stack, VALUES, "csv")
    assert text.startswith('"one","nothing","empty",')
    assert '\n"1",,"","a""b\nc",' in text
    header, row = csv.reader(io.StringIO(text, newline=""))
    assert dict(zip(header, row, strict=True))["text"] == 'a"b\nc'


def test_a_table_is_aligned_and_never_cut(stack: Stack) -> None:
    header, line, row, count = shown(stack, f"SELECT 7 AS n, {WIDE}", "table").splitlines()
    assert len(header) <= len(line) == len(row)
    assert header.split() == ["n", *(f"column_number_{number}" for number in range(12))]
    assert row.split() == ["7", *["x" * 40] * 12]
    assert count.startswith("1 row, ")


def test_numbers_stand_on_the_right_and_wide_characters_count_twice(stack: Stack) -> None:
    lines = shown(
        stack, "SELECT * FROM (VALUES (1, '東京'), (1000, 'a')) AS t (number, city) ORDER BY 1", "table"
    )
    assert lines.splitlines()[:4] == ["number  city", "------  ----", "     1  東京", "  1000  a"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("columns", "first"), [(10_000, "column_number_0"), (80, "-[ row 1 ]")])
def test_what_is_wider_than_the_terminal_is_shown_vertically(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, columns: int, first: str
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    out = Terminal()
    sql.write(sql.run(stack, f"SELECT {WIDE}"), None, out)
    assert out.getvalue().startswith(first)
    assert max(map(len, out.getvalue().splitlines())) <= columns


def test_statements_without_rows_and_without_names(stack: Stack) -> None:
    assert shown(stack, "SHOW DATABASES", "csv").splitlines()[1:] != []
    aws.run(stack, "CREATE VIEW named AS SELECT 1 AS n", SECONDS)
    assert "named" in shown(stack, "SHOW VIEWS", "table").split()
    assert shown(stack, "DROP VIEW named", "table").startswith("0 rows, ")


@given(st.lists(st.lists(st.none() | st.text(), min_size=2, max_size=2), max_size=4))
def test_any_text_survives_csv_and_json(rows: list[list[str | None]]) -> None:
    result = sql.Result(["a", "b"], ["varchar", "varchar"], rows, 0.1, 0)
    out = io.StringIO(newline="")
    sql.write(result, "csv", out)
    _, *found = csv.reader(io.StringIO(out.getvalue(), newline=""))
    assert found == [[value or "" for value in row] for row in rows]
    lines = io.StringIO(newline="")
    sql.write(result, "json", lines)
    assert [list(json.loads(line).values()) for line in lines.getvalue().split("\n")[:-1]] == rows


def test_what_is_piped_in_is_run_and_errors_are_counted(
    stack: Stack, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(
        sys, "stdin", io.StringIO("SELECT 1\n AS a;\nSELECT nonsense FROM nowhere;\n\\f csv\nSELECT 2 AS b")
    )
    assert sql.prompt(stack, "json") == 1
    out, err = capsys.readouterr()
    assert out == '{"a": 1}\n"b"\n"2"\n'
    assert "nowhere" in err


class Prompt:
    """A person at the prompt of a terminal."""

    def __init__(self, stack: Stack):
        program = (
            "from pathlib import Path; from laptop import sql; from laptop.stack import Stack; "
            f"sql.prompt(Stack(home=Path({str(stack.home)!r}), aws_port={stack.aws_port}), None)"
        )
        self.terminal, child = pty.openpty()
        environment = {
            **os.environ,
            "TERM": "dumb",
            "COLUMNS": "200",
            "PYTHONPATH": os.pathsep.join(sys.path),
        }
        self.process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdin=child,
            stdout=child,
            stderr=child,
            env=environment,
            cwd=ROOT,
        )
        os.close(child)
        self.seen = ""
        self.statements = 0

    def wait_for(self, text: str, times: int = 1) -> None:
        deadline = time.monotonic() + SECONDS
        while self.seen.count(text) < times:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.terminal], [], [], 0.2)[0]:
                self.seen += os.read(self.terminal, 4096).decode(errors="replace")

    def type(self, keys: str) -> None:
        os.write(self.terminal, keys.encode())
        self.statements += keys.count("\n")

    def close(self) -> None:
        # Ctrl-D means the end only to a prompt that is waiting; the terminal forgets one that came before it.
        self.wait_for("sql> ", self.statements + 1)
        self.type("\x04")
        assert self.process.wait(SECONDS) == 0
        os.close(self.terminal)


@pytest.fixture
def prompts(stack: Stack) -> Iterator[Any]:
    opened: list[Prompt] = []

    def opens() -> Prompt:
        opened.append(Prompt(stack))
        opened[-1].wait_for("sql> ")
        return opened[-1]

    yield opens
    for one in opened:
        one.process.kill()
        one.process.wait()


def test_the_history_outlives_the_prompt(prompts: Any, stack: Stack) -> None:
    first = prompts()
    first.type("SELECT 'abc' || 'def' AS joined;\n")
    first.wait_for("abcdef")
    first.close()
    second = prompts()
    second.type("\x10\n")  # Ctrl-P: the line before
    second.wait_for("abcdef")
    second.close()
    assert Path(stack.home / "sql_history").is_file()
