"""``make sql``: statements for the stack's Athena, one or a prompt with history, and their results in four formats."""

from __future__ import annotations

import contextlib
import json
import math
import readline
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO

from rich.cells import cell_len

from laptop import aws
from laptop.stack import Stack

FORMATS = ("table", "vertical", "csv", "json")
#: How long a statement may take, in seconds; Ctrl-C stops it before.
SECONDS = 1800
_HISTORY_LINES = 2000
_INTEGERS = {"tinyint", "smallint", "integer", "int", "bigint"}
_FLOATS = {"float", "real", "double"}
_RIGHT = {*_INTEGERS, *_FLOATS, "decimal"}

HELP = """\
A statement ends with ; and may have several lines. Ctrl-C drops it, or stops one that runs; Ctrl-D quits.

  \\d            the tables and views
  \\d NAME       the columns of one
  \\f FORMAT     show results as table, vertical, csv or json; \\f alone: what fits the window
  \\h            this help
  \\q            quit"""


class Result(NamedTuple):
    """What a statement returned; NULL is None. ``types`` are Athena's, by column."""

    columns: list[str]
    types: list[str]
    rows: list[list[str | None]]
    seconds: float
    scanned: int


def run(stack: Stack, statement: str) -> Result:
    """Run a statement and fetch all of its rows.

    Raises:
        QueryFailed: naming the query and why it failed.
        TimeoutError: if it has not ended in time; the query is stopped.
    """
    began = time.monotonic()
    execution = aws.run(stack, statement, SECONDS)
    pages = aws.client(stack, "athena").get_paginator("get_query_results")
    columns: list[dict[str, Any]] = []
    rows: list[list[str | None]] = []
    for page in pages.paginate(QueryExecutionId=execution["QueryExecutionId"]):
        found = page["ResultSet"]
        columns = found.get("ResultSetMetadata", {}).get("ColumnInfo", [])
        rows += [[cell.get("VarCharValue") for cell in row["Data"]] for row in found["Rows"]]
    names = [one["Name"] for one in columns]
    # The rows of a query begin with the names of its columns, those of SHOW and DESCRIBE do not.
    if execution.get("StatementType") == "DML" and rows[:1] == [names]:
        del rows[0]
    scanned = execution.get("Statistics", {}).get("DataScannedInBytes", 0)
    return Result(names, [one["Type"] for one in columns], rows, time.monotonic() - began, scanned)


# --- how results are shown -------------------------------------------------------------------------


def write(result: Result, shown_as: str | None, out: TextIO) -> None:
    """Write a result; without a format as a table, or vertically where a table is wider than the terminal."""
    if shown_as is None:
        fits = not out.isatty() or _width(result) <= shutil.get_terminal_size().columns
        shown_as = "table" if fits else "vertical"
    for line in _LINES[shown_as](result):
        out.write(line + "\n")
    if shown_as in ("table", "vertical"):
        noun = "row" if len(result.rows) == 1 else "rows"
        out.write(f"{len(result.rows):,} {noun}, {result.seconds:.1f} s, {result.scanned:,} bytes scanned\n")


def _texts(row: Sequence[str | None]) -> list[str]:
    """The cells of a row on one line each."""
    return ["" if value is None else value.replace("\n", "\\n") for value in row]


def _widths(result: Result) -> list[int]:
    texts: list[list[str]] = [result.columns, *map(_texts, result.rows)]
    return [max(map(cell_len, column)) for column in zip(*texts, strict=True)]


def _width(result: Result) -> int:
    return sum(_widths(result)) + 2 * (len(result.columns) - 1)


def _table(result: Result) -> Iterator[str]:
    """No cell is cut, however wide the table becomes."""
    widths = _widths(result)
    right = [kind.partition("(")[0] in _RIGHT for kind in result.types]

    def line(cells: Sequence[str]) -> str:
        padded = []
        for cell, width, is_right in zip(cells, widths, right, strict=True):
            space = " " * (width - cell_len(cell))
            padded.append(space + cell if is_right else cell + space)
        return "  ".join(padded).rstrip()

    if result.columns:
        yield line(result.columns)
        yield "  ".join("-" * width for width in widths)
    yield from (line(_texts(row)) for row in result.rows)


def _vertical(result: Result) -> Iterator[str]:
    """One column per line, as ``psql -x`` and ``mysql -E`` do."""
    width = max(map(cell_len, result.columns), default=0)
    for number, row in enumerate(result.rows, 1):
        yield f"-[ row {number} ]".ljust(width + 3, "-")
        for name, value in zip(result.columns, _texts(row), strict=True):
            yield f"{name}{' ' * (width - cell_len(name))}  {value}".rstrip()


def _csv(result: Result) -> Iterator[str]:
    """As Athena writes it: text in quotes, so that NULL, which has none, is not empty text."""
    rows: list[list[str | None]] = [[*result.columns], *result.rows]
    for row in rows:
        yield ",".join("" if cell is None else '"' + cell.replace('"', '""') + '"' for cell in row)


def _json(result: Result) -> Iterator[str]:
    """One object per row; what is no number of JSON stays text, decimals too, which keep their digits so."""
    for row in result.rows:
        values = [_value(cell, kind) for cell, kind in zip(row, result.types, strict=True)]
        yield json.dumps(dict(zip(result.columns, values, strict=True)), ensure_ascii=False)


def _value(cell: str | None, kind: str) -> Any:
    if cell is None:
        return None
    if kind in _INTEGERS:
        return int(cell)
    if kind in _FLOATS and math.isfinite(float(cell)):
        return float(cell)
    return cell == "true" if kind == "boolean" else cell


_LINES: dict[str, Callable[[Result], Iterator[str]]] = {
    "table": _table,
    "vertical": _vertical,
    "csv": _csv,
    "json": _json,
}


# --- the prompt ------------------------------------------------------------------------------------


def prompt(stack: Stack, shown_as: str | None) -> int:
    """Read statements until the input ends; returns how many failed, 0 if a person saw it.

    The history is kept in the stack's folder, from one call to the next.
    """
    history = stack.home / "sql_history"
    _begin_history(history, _names(stack))
    person, failed = sys.stdin.isatty(), 0
    if person:
        print(f"Athena of {stack.home}, database {stack.settings.database}. \\h for help.")
    for text in _inputs():
        try:
            if text.startswith("\\"):
                shown_as = _command(stack, text, shown_as)
            else:
                show(stack, text, shown_as)
        except KeyboardInterrupt:
            print("^C")
        except (aws.QueryFailed, TimeoutError) as error:
            failed += 1
            print(f"{error}", file=sys.stderr)
    with contextlib.suppress(OSError):
        readline.set_history_length(_HISTORY_LINES)
        readline.write_history_file(history)
    return 0 if person else failed


def _inputs() -> Iterator[str]:
    """What is entered: commands, and statements without their semicolon, whose lines Ctrl-C drops."""
    person = sys.stdin.isatty()
    lines: list[str] = []
    while True:
        try:
            # No prompt where nobody reads it.
            text = input(("...> " if lines else "sql> ") if person else "").rstrip()
        except KeyboardInterrupt:
            print("^C")
            lines = []
            continue
        except EOFError:
            if person:
                print()
            break
        if not lines and text == "\\q":
            return
        if not lines and text.startswith("\\"):
            yield text
        elif text or lines:
            lines.append(text)
            if text.endswith(";"):
                yield "\n".join(lines).rstrip(";")
                lines = []
    # The last statement of a pipe or a file needs no semicolon.
    yield "\n".join(lines)


def show(stack: Stack, statement: str, shown_as: str | None) -> None:
    """Run a statement and write its result to stdout."""
    if statement.strip():
        write(run(stack, statement), shown_as, sys.stdout)
        sys.stdout.flush()


def _command(stack: Stack, text: str, shown_as: str | None) -> str | None:
    """A command of the prompt; returns the format that holds from now on."""
    command, _, argument = text[1:].partition(" ")
    argument = argument.strip().rstrip(";")
    if command == "d":
        show(stack, f"DESCRIBE {argument}" if argument else "SHOW TABLES", "table")
    elif command == "f" and argument in ("", *FORMATS):
        return argument or None
    else:
        print(HELP)
    return shown_as


def _begin_history(file: Path, names: Sequence[str]) -> None:
    """Read the history, and complete names of tables with the tabulator."""
    readline.clear_history()
    with contextlib.suppress(OSError):
        readline.read_history_file(file)

    def complete(text: str, state: int) -> str | None:
        found = [name for name in names if name.startswith(text)]
        return found[state] if state < len(found) else None

    readline.set_completer(complete)
    # macOS has libedit under the same name.
    is_libedit = "libedit" in (readline.__doc__ or "")
    readline.parse_and_bind("bind ^I rl_complete" if is_libedit else "tab: complete")


def _names(stack: Stack) -> list[str]:
    """The tables and views of the stack's database."""
    pages = (
        aws.client(stack, "glue").get_paginator("get_tables").paginate(DatabaseName=stack.settings.database)
    )
    return sorted(one["Name"] for page in pages for one in page["TableList"])
