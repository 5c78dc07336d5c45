"""What the demonstration shows of facility_accreditation, beyond what it shows of every pipeline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from laptop import report as reports
from laptop import uploads
from laptop.demo import Demonstration, Select, Shown, reports_add_up, short
from laptop.report import number, table_of
from medlaunch.lake import PROD, PUBLICATIONS, QUARANTINE, REPORTS
from medlaunch.pipelines import FACILITY_ACCREDITATION
from sample_data import facilities

DATASET = FACILITY_ACCREDITATION.datasets[0]
SAMPLE_RECORDS = 3_000

_SNAPSHOTS_SHOWN = 4


def _sample(folder: Path) -> str:
    found = facilities.write_uploads(folder, records=SAMPLE_RECORDS)
    days = ", ".join(found.snapshots)
    return f"Made {len(found.files)} sample files, {found.total('lines'):,} lines: snapshots {days}"


def _show(shown: Shown) -> Iterator[RenderableType]:
    (one,) = shown.reports
    yield reports.what_was_read(one.content)
    if one.content["skipped"]:
        yield reports.skipped(one.content)
    if one.content["slices"]:
        yield from results(one.content, shown.select)
    else:
        yield "There was nothing to publish."
    yield reports.where_results_are(one.content, short(shown.paths), one.key)


def results(report: Mapping[str, Any], select: Select) -> Iterator[RenderableType]:
    """The tables of results of a run."""
    yield accredited_by_state(report, select)
    yield expiring(report)


def accredited_by_state(report: Mapping[str, Any], select: Select) -> RenderableType:
    """Accredited facilities per state, as Athena has them."""
    snapshots = sorted(one["slice"] for one in report["slices"])
    shown = snapshots[-_SNAPSHOTS_SHOWN:]
    days = ", ".join(f"DATE '{day}'" for day in shown)
    rows = select(
        "SELECT state_code, state_name, accredited_facilities, facilities, snapshot_date "  # noqa: S608
        f"FROM accredited_facilities_by_state WHERE snapshot_date IN ({days}) ORDER BY state_code, snapshot_date"
    )
    title = f"Accredited facilities per state, of all, on {report['params']['as_of']}"
    table = table_of(title, "State", "", *shown, numbers_from=2)
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
    title = f"Expiring within {report['params']['expiry_window']} of {report['params']['as_of']}"
    table = table_of(title, "Snapshot", "Accreditations", "Facilities", "Of all facilities")
    for one in report["slices"]:
        rows = one["rows"]
        table.add_row(
            one["slice"],
            number(rows["expiring_accreditations"]),
            number(rows["expiring_facilities"]),
            number(rows["facility_metrics"]),
        )
    return table


def _of(counts: tuple[int, int] | None) -> str:
    return "-" if counts is None else f"{counts[0]:,} of {counts[1]:,}"


DEMONSTRATION = Demonstration(
    pipelines=(FACILITY_ACCREDITATION,),
    name="demo",
    copied=(f"{PROD}/", f"{QUARANTINE}/", f"{REPORTS}/", f"{PUBLICATIONS}/"),
    sample=_sample,
    sample_conf={"as_of": facilities.DEFAULT_AS_OF},
    rounds=lambda folder, _: [uploads.find_files(folder, DATASET)],
    show=_show,
    check=reports_add_up,
)
