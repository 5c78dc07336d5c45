"""The pipelines of the DAG nurse_staffing: hours and residents of each day (PBJ), and Provider Information."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from medlaunch.declaration import (
    CheckContext,
    Cut,
    Dataset,
    Findings,
    IcebergResult,
    Mismatch,
    Pipeline,
)
from medlaunch.staffing import gates

_EXTENSIONS = (".csv", ".zip")


def read_params(params: Mapping[str, Any]) -> dict[str, str]:
    """The params of a run: ``expect_change``."""
    return {"expect_change": str(bool(params["expect_change"])).lower()}


def check_pbj(context: CheckContext) -> Iterator[Mismatch]:
    """Keys are unique, silver and gold agree, and the hours of each state are near those of the quarter before."""
    from medlaunch.settings import settings

    yield from gates.keys_are_unique(context.rows["silver_key_unique"])
    yield from gates.silver_and_gold_agree(context.rows["silver_gold_agree"])
    if context.params["expect_change"] != "true":
        yield from gates.states_stay_in_band(context.rows["state_changes"], settings().max_change_share)


def find_in_pbj(context: CheckContext) -> Findings:
    """What is unlikely about the quarters of a run, and how its superseded records differ from what replaced them."""
    return Findings(
        warnings=[
            *gates.many_rejects(context.uploads),
            *gates.flagged_rows(context.rows["flags"]),
            *gates.incomplete_facilities(context.rows["quarter_coverage"]),
            *gates.resident_days_outside_band(context.rows["state_changes"]),
            *gates.unknown_facilities(context.rows["unknown_ccn"]),
            *gates.differences_from_cms(context.rows["reconciliation"]),
        ],
        measures=gates.superseded(context.rows["superseded"]),
    )


def check_provider_info(context: CheckContext) -> Iterator[Mismatch]:
    """Keys are unique, and no facility is lost between silver and the quarterly fact."""
    yield from gates.keys_are_unique(context.rows["silver_key_unique"])
    yield from gates.silver_and_gold_agree(context.rows["silver_gold_agree"])


def find_in_provider_info(context: CheckContext) -> Findings:
    """Files with many rejected records, and facilities whose figures differ from those of CMS."""
    return Findings(
        warnings=[
            *gates.many_rejects(context.uploads),
            *gates.differences_from_cms(context.rows["reconciliation"]),
        ]
    )


_COMMON: dict[str, Any] = {
    "dag_id": "nurse_staffing",
    "title": "Nurse staffing",
    "slice_column": "quarter",
    "slice_name": "quarter",
    "tags": ("staffing", "athena"),
    "read_params": read_params,
    "summarise": lambda _params, _slices: "",
    "recompute": False,
}


def _table(name: str, *keys: str) -> IcebergResult:
    return IcebergResult(name=name, table=name, merge=f"merge/{name}.sql", keys=keys, slice_column="quarter")


PBJ = Pipeline(
    **_COMMON,
    track="pbj",
    datasets=(
        Dataset(name="pbj", extensions=_EXTENSIONS, loader="medlaunch.staffing.pbj:load", cut=Cut.CSV),
    ),
    record_name=("facility-day", "facility-days"),
    results=(
        _table("silver_pbj_daily", "ccn", "work_date"),
        _table("gold_daily_staffing_fact", "ccn", "work_date"),
        _table("gold_pbj_facility", "ccn"),
    ),
    checks=check_pbj,
    findings=find_in_pbj,
    # CMS publishes a quarter four to five months after its end, and sometimes late.
    stale_after=timedelta(days=130),
)

PROVIDER_INFO = Pipeline(
    **_COMMON,
    track="provider_info",
    datasets=(
        Dataset(
            name="provider_info",
            extensions=_EXTENSIONS,
            loader="medlaunch.staffing.provider_info:load",
            cut=Cut.CSV,
        ),
    ),
    record_name=("facility snapshot", "facility snapshots"),
    results=(
        _table("silver_provider_info", "ccn", "processing_date"),
        _table("gold_quarterly_provider_fact", "ccn"),
    ),
    checks=check_provider_info,
    findings=find_in_provider_info,
    # Monthly.
    stale_after=timedelta(days=45),
)
