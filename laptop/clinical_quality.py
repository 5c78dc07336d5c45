"""The demonstration of clinical_quality: three exports of the same persons' stories, or your own FHIR files."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from laptop import report as reports
from laptop import uploads
from laptop.demo import Demonstration, Select, Shown, reports_add_up, short
from laptop.report import number, table_of
from medlaunch.athena import statements
from medlaunch.lake import PROD, PUBLICATIONS, QUARANTINE, REPORTS
from medlaunch.pipelines import CLINICAL_QUALITY
from sample_data import clinical

_ORGANIZATIONS_SHOWN = 4
_LAYOUT = "{patients,encounters,conditions,bundles}/<files>"
#: What a table's file has, where that is not each column as it is.
_COLUMNS = {
    "gold_clinical_measures": "measure, org_id, month, numerator, denominator, rate, "
    "json_format(CAST(exclusions AS json)) AS exclusions, data_end",
}


def _sample(folder: Path) -> str:
    account = clinical.write_uploads(folder)
    return f"Made {len(account.files)} sample files, {account.read:,} resources in three exports"


def find_files(folder: Path) -> list[uploads.LocalFile]:
    """The files of all datasets below a folder, in the order of upload.

    Raises:
        CannotUpload: if there is none.
    """
    places = {folder / one.name.rpartition("/")[2]: one for one in CLINICAL_QUALITY.datasets}
    found = [
        file
        for place, dataset in places.items()
        if place.is_dir() and any(one.is_file() for one in place.rglob("*"))
        for file in uploads.find_files(place, dataset, "FHIR files")
    ]
    if not found:
        raise uploads.CannotUpload(f"There is no file in {folder}. It should hold {_LAYOUT}.")
    return uploads.in_order(found)


# --- what is shown ---------------------------------------------------------------------------------


def summary(report: Mapping[str, Any]) -> dict[str, Any]:
    """What became of the values that were read."""
    lines = report["lines"]
    counts = {name: lines[name] for name in ("read", "accepted", "superseded")}
    return {"fhir": {**counts, "rejected": dict(sorted(lines["rejected_by_reason"].items()))}}


def _show(shown: Shown) -> Iterator[RenderableType]:
    (one,) = shown.reports
    place = shown.folder / "summary.json"
    place.write_text(json.dumps(summary(one.content), indent=2) + "\n", encoding="utf-8")
    yield reports.what_was_read(one.content)
    if one.content["skipped"]:
        yield reports.skipped(one.content)
    if warnings := one.content["warnings"]:
        yield Group(Text("Worth a look", style="bold"), *(Text(f"  {text}") for text in warnings))
    if not one.content["slices"]:
        yield "There was nothing to publish."
        return
    yield from _measures(shown.select)
    views = [Path(file).stem for file in statements.statements(f"{CLINICAL_QUALITY.dag_id}/views")]
    tables = ["gold_clinical_measures", "gold_stays", "gold_infection_events", *views]
    for table in tables:
        _mirror(shown, table)
    copies = short({"views": shown.folder / "views", "summary": place})
    yield Text(f"{len(tables)} tables and views as CSV: {copies['views']}; summary: {copies['summary']}")
    yield reports.where_results_are(one.content, short(shown.paths), one.key)


def _measures(select: Select) -> Iterator[RenderableType]:
    """Each measure over all months, of all organizations and of the largest ones, with its denominator."""
    rows = select(
        "SELECT measure, org_id, numerator, denominator, rate FROM v_clinical_overview ORDER BY measure"
    )
    found = {(str(row["measure"]), str(row["org_id"])): row for row in rows}
    stays = {org: int(row["denominator"] or 0) for (measure, org), row in found.items() if measure == "alos"}
    organizations = sorted(stays, key=lambda org: (org != "ALL", -stays[org], org))
    chosen = organizations[: _ORGANIZATIONS_SHOWN + 1]
    (days,) = select(
        "SELECT min(month) AS first_month, max(month) AS last_month, max(data_end) AS data_end FROM gold_clinical_measures"
    )
    title = f"Measures from {days['first_month']} to {days['last_month']}, data end {days['data_end']}"
    table = table_of(title, "Measure", *chosen)
    for measure in dict.fromkeys(measure for measure, _ in found):
        table.add_row(measure, *(_figure(found.get((measure, org))) for org in chosen))
    rest = len(organizations) - len(chosen)
    more = [f"{number(rest)} more organizations are in the views."] if rest > 0 else []
    note = "Observed rates, not adjusted for risk; infections are proxies from diagnosis codes, not surveillance."
    yield Group(table, *more, note)
    excluded = table_of("Excluded from numerator and denominator", "Measure", "Why", "Count", numbers_from=2)
    for row in select(
        "SELECT measure, listed.reason, sum(listed.excluded) AS excluded FROM gold_clinical_measures"
        " CROSS JOIN UNNEST(exclusions) AS listed (reason, excluded)"
        " WHERE org_id = 'ALL' GROUP BY measure, listed.reason ORDER BY 1, 2"
    ):
        excluded.add_row(str(row["measure"]), str(row["reason"]), number(int(row["excluded"] or 0)))
    yield excluded


def _figure(row: Mapping[str, str | None] | None) -> str:
    if row is None:
        return "-"
    return f"{int(row['numerator'] or 0):,} / {int(row['denominator'] or 0):,} = {row['rate'] or '-'}"


def _mirror(shown: Shown, name: str) -> None:
    """Write a table or view as CSV, RFC 4180; NULL is empty."""
    chosen = _COLUMNS.get(name, "*")
    columns, rows = shown.table(f"SELECT {chosen} FROM {name} ORDER BY 1, 2, 3")  # noqa: S608  # our own names
    place = shown.folder / "views" / f"{name}.csv"
    place.parent.mkdir(exist_ok=True)
    with place.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([columns, *rows])


def _check(shown: Shown) -> str | None:
    """Every value is accounted for, and every file was read or skipped with a reason."""
    read = sum(one.content["files"]["loaded"] + one.content["files"]["skipped"] for one in shown.reports)
    if read != len(shown.uploaded):
        return f"{len(shown.uploaded)} files were uploaded, and the report names {read}"
    return reports_add_up(shown)


DEMONSTRATION = Demonstration(
    pipelines=(CLINICAL_QUALITY,),
    name="demo-clinical",
    copied=(f"{PROD}/", f"{QUARANTINE}/", f"{REPORTS}/", f"{PUBLICATIONS}/"),
    sample=_sample,
    sample_conf={},
    rounds=lambda folder, _: [find_files(folder)],
    show=_show,
    check=_check,
)
