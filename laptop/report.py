"""A run's report and results, as tables for people."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

_SNAPSHOTS_SHOWN = 4
_SET_ASIDE_SHOWN = 30
_QUARANTINED_SHOWN = 8

Select = Callable[[str], list[dict[str, str | None]]]


def adds_up(report: Mapping[str, Any]) -> bool:
    """Whether every line that was read is accepted, superseded or rejected, for one reason each."""
    return all(
        lines["read"] == lines["accepted"] + lines["superseded"] + lines["rejected"]
        and lines["rejected"] == sum(lines["rejected_by_reason"].values())
        for lines in (report["lines"], *(one["lines"] for one in report["snapshots"]))
    )


def console_for(file: Any = None) -> Console:
    """A console that also writes whole lines, without colours, where there is no terminal."""
    console = Console(file=file, highlight=False)
    return console if console.is_terminal else Console(file=file, highlight=False, width=160, no_color=True)


def what_was_read(report: Mapping[str, Any]) -> RenderableType:
    """Files, lines, and what became of them."""
    files, lines = report["files"], report["lines"]
    table = _table("What was read", "", "Count")
    table.add_row("Files read", _number(files["loaded"]))
    table.add_row("  bytes", _number(files["bytes_read"]))
    table.add_row("Objects set aside, no data", _number(files["set_aside"]))
    if files["left_for_next_run"]:
        table.add_row("Files left for the next run", _number(files["left_for_next_run"]))
    table.add_section()
    table.add_row("Lines read", _number(lines["read"]), style="bold")
    table.add_row("  accepted", _number(lines["accepted"]))
    table.add_row("  superseded by a later line", _number(lines["superseded"]))
    table.add_row("  rejected", _number(lines["rejected"]))
    for reason, count in sorted(lines["rejected_by_reason"].items(), key=lambda one: (-one[1], one[0])):
        table.add_row(f"    {reason}", _number(count))
    table.add_section()
    table.add_row("Accreditations read", _number(report["accreditations"]["read"]))
    table.add_row("  in quarantine, no valid date", _number(report["accreditations"]["quarantined"]))
    table.add_row("Facilities without accreditations", _number(report["facilities_without_accreditations"]))
    if lines.get("snapshot_date_differs"):
        table.add_row("Lines of another date than their folder", _number(lines["snapshot_date_differs"]))
    return table


def set_aside(report: Mapping[str, Any]) -> RenderableType:
    """Objects that are not data, each with its reason."""
    table = _table("Set aside", "Object", "Reason")
    for one in report["set_aside"][:_SET_ASIDE_SHOWN]:
        table.add_row(Text(_visible(one["key"])), one["reason"])
    more = len(report["set_aside"]) - _SET_ASIDE_SHOWN
    if more > 0:
        table.add_row(f"... and {more:,} more, in the report", "")
    return table


def accredited_by_state(report: Mapping[str, Any], select: Select) -> RenderableType:
    """Accredited facilities per state, as Athena tells them."""
    snapshots = sorted(one["snapshot_date"] for one in report["snapshots"])
    shown = snapshots[-_SNAPSHOTS_SHOWN:]
    days = ", ".join(f"DATE '{day}'" for day in shown)
    rows = select(
        "SELECT state_code, state_name, accredited_facilities, facilities, snapshot_date "  # noqa: S608
        f"FROM accredited_facilities_by_state WHERE snapshot_date IN ({days}) ORDER BY state_code, snapshot_date"
    )
    title = f"Accredited facilities per state, of all, on {report['as_of']}"
    table = _table(title, "State", "", *shown, numbers_from=2)
    states: dict[tuple[str, str], dict[str, tuple[int, int]]] = {}
    for row in rows:
        state = (str(row["state_code"]), str(row["state_name"]))
        counts = (int(row["accredited_facilities"] or 0), int(row["facilities"] or 0))
        states.setdefault(state, {})[str(row["snapshot_date"])] = counts
    for (code, name), counts_of in states.items():
        table.add_row(code, name, *(_of(counts_of.get(day)) for day in shown))
    table.add_section()
    totals = [[counts_of[day] for counts_of in states.values() if day in counts_of] for day in shown]
    table.add_row(
        "All", "", *(_of((sum(a for a, _ in day), sum(b for _, b in day))) for day in totals), style="bold"
    )
    if len(snapshots) > len(shown):
        return Group(table, f"The latest {len(shown)} of {len(snapshots)} snapshots.")
    return table


def expiring(report: Mapping[str, Any]) -> RenderableType:
    """How much expires within the window, per snapshot."""
    title = f"Expiring within {report['expiry_window']} of {report['as_of']}"
    table = _table(title, "Snapshot", "Accreditations", "Facilities", "Of all facilities")
    for one in report["snapshots"]:
        rows = one["rows"]
        table.add_row(
            one["snapshot_date"],
            _number(rows["expiring_accreditations"]),
            _number(rows["expiring_facilities"]),
            _number(rows["facility_metrics"]),
        )
    return table


def where_results_lie(
    report: Mapping[str, Any], paths: Mapping[str, Path], report_key: str
) -> RenderableType:
    """Key by key, and where each has been copied to; of the rejected lines' files the first few."""
    lines = [Text("Where the results lie", style="bold")]
    for one in report["snapshots"]:
        for result, keys in one["results"].items():
            lines += [Text(f"  {one['snapshot_date']}  {result:<36} {_where(key, paths)}") for key in keys]
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


def _of(counts: tuple[int, int] | None) -> str:
    return "-" if counts is None else f"{counts[0]:,} of {counts[1]:,}"


def _number(value: int) -> str:
    return f"{value:,}"


def _visible(text: str) -> str:
    """Text of others on a terminal: without what could steer it."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def _table(title: str, *columns: str, numbers_from: int = 1) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=_box())
    numeric: Sequence[bool] = [
        number >= numbers_from and columns[-1] != "Reason" for number in range(len(columns))
    ]
    for column, right in zip(columns, numeric, strict=True):
        table.add_column(column, justify="right" if right else "left", overflow="fold")
    return table


def _box() -> Any:
    from rich import box

    return box.SIMPLE_HEAD
