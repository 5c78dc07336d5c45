"""What must match before anything is published.

The same lines are counted twice: by the loader, while it read the uploads, and by Athena, in what it wrote. The counts
are compared upload by upload and slice by slice; a run in which they differ fails before it publishes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from medlaunch.declaration import VALID, CheckContext, Findings, Lines, Mismatch, Row, SliceCounts
from medlaunch.publish.plan import SlicePlan

#: Document of a run.
RECONCILIATION = "reconciliation.json"
#: Outcome of a valid line that no later one superseded.
ACCEPTED = "accepted"
_LISTED = 20


class CheckFailed(Exception):
    """A check does not hold; the message lists every mismatch."""


class SliceReconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """One slice: the lines of all its uploads, and the rows of each result."""

    slice: str
    lines: Lines
    measures: dict[str, int]
    rows: dict[str, int]
    previous_accepted: int


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """A run: the lines of its own uploads in the slices of the plan, and each slice as a whole."""

    batch: Lines
    slices: list[SliceReconciliation]
    findings: Findings = Findings()


def reconcile(
    plans: Sequence[SlicePlan], lines: Iterable[Row], rows: Iterable[Row]
) -> tuple[Reconciliation, list[Mismatch]]:
    """Compare the loader's counts with Athena's.

    Args:
        plans: the slices of the run with what the loader read.
        lines: Athena's count of lines, as ``count_lines.sql`` returns it: ``slice``, ``upload_id``, ``outcome`` (a
            reject reason, ``valid`` or ``accepted``) and ``lines``.
        rows: Athena's count of rows, as ``count_results.sql`` returns it: ``slice``, ``result``, ``result_rows``.

    Returns what was counted, and every mismatch.
    """
    wrong: list[Mismatch] = []
    athena: dict[tuple[str, str], dict[str, int]] = {}
    for row in lines:
        athena.setdefault((row["slice"], row["upload_id"]), {})[row["outcome"]] = int(row["lines"])
    result_rows: dict[str, dict[str, int]] = {}
    for row in rows:
        result_rows.setdefault(row["slice"], {})[row["result"]] = int(row["result_rows"])

    batch = Lines()
    slices = []
    for plan in plans:
        total = Lines()
        measures: Counter[str] = Counter()
        for one in plan.inputs:
            loader = dict(one.counts.slices.get(plan.slice, {}))
            seen = dict(athena.pop((plan.slice, one.upload.upload_id), {}))
            accepted, valid = seen.pop(ACCEPTED, 0), loader.pop(VALID, 0)
            wrong += unequal(
                f"valid lines of {one.upload.key} in {plan.slice}",
                "the loader",
                valid,
                "Athena",
                seen.pop(VALID, 0),
            )
            for reason in sorted(seen.keys() | loader.keys()):
                wrong += unequal(
                    f"lines of {one.upload.key} in {plan.slice} rejected for {reason}",
                    "the loader",
                    loader.get(reason, 0),
                    "Athena",
                    seen.get(reason, 0),
                )
            if accepted > valid:
                wrong.append(f"{one.upload.key}: {accepted} lines accepted of {valid} valid ones")
            counted = Lines(
                read=valid + sum(loader.values()),
                accepted=accepted,
                superseded=valid - accepted,
                rejected=sum(loader.values()),
                rejected_by_reason=loader,
            )
            total.add(counted)
            measures.update(one.counts.measures)
            if one.upload.upload_id in plan.batch_uploads:
                batch.add(counted)
        slices.append(
            SliceReconciliation(
                slice=plan.slice,
                lines=total,
                measures=dict(measures),
                rows=result_rows.get(plan.slice, {}),
                previous_accepted=plan.previous_accepted,
            )
        )
    wrong += [
        f"Athena read lines of the upload {upload_id} in {slice_}, which the plan of this run does not have"
        for slice_, upload_id in athena
    ]
    return Reconciliation(batch=batch, slices=slices), wrong


def unequal(what: str, left: str, one: int, right: str, other: int) -> Iterator[Mismatch]:
    """A mismatch if two counts of the same thing differ, nothing if they are equal."""
    if one != other:
        yield f"{what}: {left} counts {one}, {right} {other}"


def shrinks(context: CheckContext, max_share: float, records: str, slice_name: str) -> Iterator[Mismatch]:
    """A mismatch if slices lose more than ``max_share`` of their records, compared with what is published."""
    shrunk = [
        f"{one.slice} from {one.previous_accepted:,} to {one.lines.accepted:,} ({_lost(one):.0%} less)"
        for one in context.slices
        if _lost(one) > max_share
    ]
    if shrunk:
        yield (
            f"more than {max_share:.0%} of the {records} of a {slice_name} would be lost: {listed(shrunk)}. If an upload "
            "is not whole, upload it again under its name. If it is meant, trigger a run with the param expect_shrink "
            "(MEDLAUNCH_MAX_SHRINK_SHARE is the limit)"
        )


def _lost(one: SliceCounts) -> float:
    before = one.previous_accepted
    return (before - one.lines.accepted) / before if before else 0.0


def listed(texts: Sequence[str]) -> str:
    """Texts as one, the first of many."""
    return "; ".join(texts[:_LISTED]) + ("; ..." if len(texts) > _LISTED else "")


def require_none(mismatches: Sequence[Mismatch]) -> None:
    """Fail unless everything matches.

    Raises:
        CheckFailed: listing the mismatches.
    """
    if mismatches:
        count = "1 check does" if len(mismatches) == 1 else f"{len(mismatches)} checks do"
        raise CheckFailed(f"Nothing is published, as {count} not hold: {listed(mismatches)}")
