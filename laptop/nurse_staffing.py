"""The demonstration of nurse_staffing: a quarter and its restatement, or your own files of CMS."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from laptop import report as reports
from laptop import uploads
from laptop.demo import Demonstration, Report, Shown, reports_add_up, short
from laptop.report import number, table_of
from medlaunch.athena import statements
from medlaunch.lake import PUBLICATIONS, QUARANTINE, REPORTS
from medlaunch.pipelines import PBJ, PROVIDER_INFO
from sample_data import staffing

#: Sample files whose names say so are uploaded after a first run, so that it can be seen what they change.
CORRECTED = "(corrected)"

_STATES_SHOWN = 10
_WARNINGS_SHOWN = 12
_LAYOUT = "pbj/<files> or provider_info/<files>"


def _sample(folder: Path) -> str:
    found = staffing.write_uploads(folder)
    return f"Made {len(found.files)} sample files, {found.total('records'):,} records, two of them a quarter and its restatement"


def find_files(folder: Path) -> list[uploads.LocalFile]:
    """The files of both data sets below a folder, in the order of upload.

    Raises:
        CannotUpload: if there is none.
    """
    found = [
        file
        for pipeline in (PBJ, PROVIDER_INFO)
        for dataset in pipeline.datasets
        if (folder / dataset.name).is_dir()
        for file in uploads.find_files(folder / dataset.name, dataset, "files of CMS")
    ]
    if not found:
        raise uploads.CannotUpload(f"There is no file in {folder}. It should hold {_LAYOUT}.")
    return uploads.in_order(found)


def _rounds(folder: Path, is_sample: bool) -> list[list[uploads.LocalFile]]:
    """One's own files in one run; of the samples the correction after the others."""
    files = find_files(folder)
    later = [one for one in files if is_sample and CORRECTED in one.path.name]
    return [[one for one in files if one not in later], *([later] if later else [])]


# --- what is shown ---------------------------------------------------------------------------------


def summary(found: Sequence[Report]) -> dict[str, dict[str, Any]]:
    """What became of the records of each data set, over all runs."""
    total: dict[str, dict[str, Any]] = {}
    for pipeline in (PBJ, PROVIDER_INFO):
        lines = [one.content["lines"] for one in found if one.pipeline is pipeline]
        reasons = sorted({reason for one in lines for reason in one["rejected_by_reason"]})
        total[pipeline.track] = {
            **{name: sum(one[name] for one in lines) for name in ("read", "accepted", "superseded")},
            "rejected": {
                reason: sum(one["rejected_by_reason"].get(reason, 0) for one in lines) for reason in reasons
            },
        }
    return total


def _show(shown: Shown) -> Iterator[RenderableType]:
    counts = summary(shown.reports)
    place = shown.folder / "summary.json"
    place.write_text(json.dumps(counts, indent=2) + "\n", encoding="utf-8")
    yield _what_was_read(counts)
    if skipped := [entry for one in shown.reports for entry in one.content["skipped"]]:
        yield reports.skipped({"skipped": skipped})
    yield _what_changed(shown.reports)
    yield from _warnings(shown.reports)
    views = [Path(file).stem for file in statements.statements(f"{PBJ.dag_id}/views")]
    for view in views:
        _mirror_view(shown, view)
    yield _ranking(shown)
    copies = short({"views": shown.folder / "views", "summary": place} | dict(shown.paths))
    lines = [Text(f"  {len(views)} views as CSV  {copies['views']}"), Text(f"  summary  {copies['summary']}")]
    lines += [Text(f"  report  {copies[one.key]}") for one in shown.reports]
    yield Group(Text("Where the results are", style="bold"), *lines)


def _what_was_read(counts: Mapping[str, Mapping[str, Any]]) -> RenderableType:
    table = table_of("What was read", "Records", *counts)
    for name in ("read", "accepted", "superseded"):
        table.add_row(name, *(number(one[name]) for one in counts.values()))
    table.add_row("rejected", *(number(sum(one["rejected"].values())) for one in counts.values()))
    for reason in sorted({reason for one in counts.values() for reason in one["rejected"]}):
        table.add_row(f"  {reason}", *(number(one["rejected"].get(reason, 0)) for one in counts.values()))
    return table


def _what_changed(found: Sequence[Report]) -> RenderableType:
    """Of each run and quarter: the records that were taken, and the rows of silver then."""
    table = table_of("What changed", "Run, data set, quarter", "Accepted", "Superseded", "Rows then")
    runs = list(dict.fromkeys(one.content["run"] for one in found))
    for one in found:
        for slice_ in one.content["slices"]:
            rows = slice_["rows"].get(one.pipeline.results[0].name, 0)
            name = f"{runs.index(one.content['run']) + 1}  {one.pipeline.track}  {slice_['slice']}"
            lines = slice_["lines"]
            table.add_row(name, number(lines["accepted"]), number(lines["superseded"]), number(rows))
    return table


def _warnings(found: Sequence[Report]) -> Iterator[RenderableType]:
    warnings = list(dict.fromkeys(text for one in found for text in one.content["warnings"]))
    if warnings:
        more = len(warnings) - _WARNINGS_SHOWN
        rest = [Text(f"  and {more} more, in the reports")] if more > 0 else []
        yield Group(
            Text("Worth a look", style="bold"),
            *(Text(f"  {one}") for one in warnings[:_WARNINGS_SHOWN]),
            *rest,
        )


def _ranking(shown: Shown) -> RenderableType:
    rows = shown.select(
        "SELECT quarter, rank_in_quarter, state, facilities, resident_days, total_hprd, rn_hprd "
        "FROM v_hprd_state_quarter ORDER BY quarter DESC, rank_in_quarter ASC"
    )
    quarter = rows[0]["quarter"] if rows else "no quarter"
    table = table_of(
        f"Hours per resident and day, {quarter}", "Rank", "State", "Facilities", "Resident days", "All", "RN"
    )
    ranked = [row for row in rows if row["quarter"] == quarter]
    for row in ranked[:_STATES_SHOWN]:
        table.add_row(
            *(str(row[name] or "") for name in ("rank_in_quarter", "state")),
            *(number(int(row[name] or 0)) for name in ("facilities", "resident_days")),
            *(row[name] or "" for name in ("total_hprd", "rn_hprd")),
        )
    more = len(ranked) - _STATES_SHOWN
    return Group(table, f"{more} more states in views/v_hprd_state_quarter.csv.") if more > 0 else table


def _mirror_view(shown: Shown, view: str) -> None:
    """Write a view as CSV, RFC 4180; NULL is empty."""
    columns, rows = shown.table(f"SELECT * FROM {view} ORDER BY 1, 2, 3")  # noqa: S608  # our own name
    place = shown.folder / "views" / f"{view}.csv"
    place.parent.mkdir(exist_ok=True)
    with place.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def _check(shown: Shown) -> str | None:
    """Every record is accounted for, and every file was read or skipped with a reason."""
    read = sum(one.content["files"]["loaded"] + one.content["files"]["skipped"] for one in shown.reports)
    if read != len(shown.uploaded):
        return f"{len(shown.uploaded)} files were uploaded, and the reports name {read}"
    return reports_add_up(shown)


DEMONSTRATION = Demonstration(
    pipelines=(PBJ, PROVIDER_INFO),
    name="demo-staffing",
    copied=(f"{QUARANTINE}/", f"{REPORTS}/", f"{PUBLICATIONS}/"),
    sample=_sample,
    sample_conf={},
    rounds=_rounds,
    show=_show,
    check=_check,
)
