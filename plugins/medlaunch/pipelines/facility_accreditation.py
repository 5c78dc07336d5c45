"""The pipeline facility_accreditation: its datasets, results, params and checks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from medlaunch import lake
from medlaunch.declaration import (
    CheckContext,
    Cut,
    Dataset,
    Mismatch,
    PartitionedResult,
    Pipeline,
    SliceCounts,
)

#: Document of a run: what the expiry filter read and wrote, by snapshot.
FILTERED = "filtered.json"


class FilterCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What the expiry filter read and wrote for one snapshot."""

    facilities: int
    expiring_accreditations: int
    expiring_facilities: int


def read_params(params: Mapping[str, Any]) -> dict[str, str]:
    """The params of a run: ``as_of``, ``expiry_window``, its ``window_end``, and ``expect_shrink``.

    Raises:
        ValueError: if ``as_of`` is no date, or the window no ISO 8601 duration.
    """
    from medlaunch.accreditation.window import window_end

    as_of = lake.parse_date(params["as_of"]) if params["as_of"] else datetime.now(UTC).date()
    window = params["expiry_window"]
    return {
        "as_of": as_of.isoformat(),
        "expiry_window": window,
        "window_end": window_end(as_of, window).isoformat(),
        "expect_shrink": str(bool(params["expect_shrink"])).lower(),
    }


def checks(context: CheckContext) -> Iterator[Mismatch]:
    """Compare each result with the lines it is made of, and Athena with the expiry filter."""
    from medlaunch.publish.reconcile import shrinks, unequal
    from medlaunch.settings import settings

    counted: dict[tuple[str, str], int] = {
        (row["result"], row["slice"]): int(row["facilities"]) for row in context.rows["count_results"]
    }
    filtered: dict[str, FilterCounts] = context.document(FILTERED, dict[str, FilterCounts])
    nothing = FilterCounts(facilities=0, expiring_accreditations=0, expiring_facilities=0)
    for one in context.slices:
        rows, day, found = one.rows, one.slice, filtered.get(one.slice, nothing)
        accepted = one.lines.accepted
        for what, left, count, right, other in (
            ("facility_metrics", "rows", rows.get("facility_metrics", 0), "accepted lines", accepted),
            ("facility_metrics", "facilities", counted.get(("facility_metrics", day), 0), "accepted lines", accepted),
            ("facility_rejects", "rows", rows.get("facility_rejects", 0), "rejected lines", one.lines.rejected),
            ("facilities by state", "their sum", counted.get(("accredited_facilities_by_state", day), 0), "accepted lines", accepted),
            ("facilities", "the expiry filter", found.facilities, "accepted lines", accepted),
            ("expiring accreditations", "Athena", rows.get("expiring_accreditations", 0), "the expiry filter", found.expiring_accreditations),
            ("expiring facilities", "Athena", rows.get("expiring_facilities", 0), "the expiry filter", found.expiring_facilities),
        ):  # fmt: skip
            yield from unequal(f"{what} of {day}", left, count, right, other)
    if context.params["expect_shrink"] != "true":
        yield from shrinks(context, settings().max_shrink_share, "facilities", "snapshot")


def summarise(params: Mapping[str, str], slices: Sequence[SliceCounts]) -> str:
    """How many accreditations expire within the window."""
    expiring = sum(one.rows.get("expiring_accreditations", 0) for one in slices)
    noun = "accreditation" if expiring == 1 else "accreditations"
    return f"Expiring within {params['expiry_window']} of {params['as_of']}: {expiring:,} {noun}."


FACILITY_ACCREDITATION = Pipeline(
    dag_id="facility_accreditation",
    title="Facility accreditation",
    datasets=(
        Dataset(
            name="facilities",
            extensions=(".jsonl", ".ndjson", ".json"),
            loader="medlaunch.accreditation.bronze:load",
            cut=Cut.JSON_LINES,
            slice_of_folder=lake.date_slice,
        ),
    ),
    slice_column="snapshot_date",
    slice_name="snapshot",
    record_name=("facility", "facilities"),
    results=(
        PartitionedResult(name="facility_metrics", table="facility_metrics"),
        PartitionedResult(name="facility_rejects", table="facility_rejects"),
        PartitionedResult(name="accredited_facilities_by_state", table="accredited_facilities_by_state"),
        PartitionedResult(
            name="accredited_facilities_by_state_csv", table=None, rows_of="accredited_facilities_by_state"
        ),
        PartitionedResult(name="expiring_accreditations", table="expiring_accreditations"),
        PartitionedResult(name="expiring_soon", table=None, rows_of="expiring_accreditations"),
        PartitionedResult(name="expiring_facilities", table="expiring_facilities"),
    ),
    tags=("accreditation", "athena"),
    read_params=read_params,
    checks=checks,
    summarise=summarise,
)
