"""A run's report and results, as tables for people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

_SKIPPED_SHOWN = 30
_QUARANTINED_SHOWN = 8


def adds_up(report: Mapping[str, Any]) -> bool:
    """Whether every line that was read is accepted, superseded or rejected, for one reason each."""
    return all(
        lines["read"] == lines["accepted"] + lines["superseded"] + lines["rejected"]
        and lines["rejected"] == sum(lines["rejected_by_reason"].values())
        for lines in (report["lines"], *(one["lines"] for one in report["slices"]))
    )


def console_for(file: Any = None) -> Console:
    """A console that also writes whole lines, without colours, where there is no terminal."""
    console = Console(file=file, highlight=False)
    return console if console.is_terminal else Console(file=file, highlight=False, width=160, no_color=True)


def what_was_read(report: Mapping[str, Any]) -> RenderableType:
    """Files, lines, and what became of them."""
    files, lines = report["files"], report["lines"]
    table = table_of("What was read", "", "Count")
    table.add_row("Files read", number(files["loaded"]))
    table.add_row("  bytes", number(files["bytes_read"]))
    table.add_row("Objects skipped", number(files["skipped"]))
    if files["left_for_next_run"]:
        table.add_row("Files left for the next run", number(files["left_for_next_run"]))
    table.add_section()
    table.add_row("Lines read", number(lines["read"]), style="bold")
    table.add_row("  accepted", number(lines["accepted"]))
    table.add_row("  superseded by a later line", number(lines["superseded"]))
    table.add_row("  rejected", number(lines["rejected"]))
    for reason, count in sorted(lines["rejected_by_reason"].items(), key=lambda one: (-one[1], one[0])):
        table.add_row(f"    {reason}", number(count))
    if report["measures"]:
        table.add_section()
        for measure, count in report["measures"].items():
            table.add_row(measure.replace("_", " ").capitalize(), number(count))
    return table


def skipped(report: Mapping[str, Any]) -> RenderableType:
    """Objects that were not loaded, each with its reason."""
    table = table_of("Skipped", "Object", "Reason")
    for one in report["skipped"][:_SKIPPED_SHOWN]:
        table.add_row(Text(_visible(one["key"])), one["reason"])
    more = len(report["skipped"]) - _SKIPPED_SHOWN
    if more > 0:
        table.add_row(f"... and {more:,} more, in the report", "")
    return table


def where_results_are(
    report: Mapping[str, Any], paths: Mapping[str, Path], report_key: str
) -> RenderableType:
    """Key by key, and where each has been copied to; of the rejected lines' files the first few."""
    lines = [Text("Where the results are", style="bold")]
    for one in report["slices"]:
        for result, keys in one["results"].items():
            lines += [Text(f"  {one['slice']}  {result:<36} {_where(key, paths)}") for key in keys]
    quarantined = sorted(report.get("quarantine", []))
    for key in quarantined[:_QUARANTINED_SHOWN]:
        lines.append(Text(f"  rejected lines  {_where(key, paths)}"))
    if (more := len(quarantined) - _QUARANTINED_SHOWN) > 0:
        lines.append(Text(f"  rejected lines  {more:,} more files beside them"))
    lines.append(Text(f"  report  {_where(report_key, paths)}"))
    return Group(*lines)


def _where(key: str, paths: Mapping[str, Path]) -> str:
    path = paths.get(key)
    return _visible(str(path) if path else key)


def number(value: int) -> str:
    return f"{value:,}"


def _visible(text: str) -> str:
    """Text of others on a terminal: without what could steer it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def table_of(title: str, *columns: str, numbers_from: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=_box())
    numeric: Sequence[bool] = [
        place >= numbers_from and columns[-1] != "Reason" for place in range(len(columns))
    ]
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def _box() -> Any:
    from rich import box

    return box.SIMPLE_HEAD
