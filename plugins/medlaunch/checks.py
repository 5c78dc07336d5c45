"""What must agree before anything is published.

Two accounts are kept of the same lines: the loader's, made while it read the uploads, and Athena's,
counted in what it wrote. They are compared upload by upload and snapshot by snapshot; a run in which
they differ fails before it publishes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import msgspec

from medlaunch import steps
from medlaunch.declaration import LineCounts
from medlaunch.landing import LoadedUpload, Upload


class CheckFailed(Exception):
    """The accounts disagree; the message lists every disagreement."""


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """An upload that a snapshot is made of, and what was read from it, now or in an earlier run."""

    upload: Upload
    counts: LineCounts
    rejects_key: str | None = None


class SnapshotPlan(msgspec.Struct, frozen=True, kw_only=True):
    """All uploads that make up a snapshot, oldest first, and what is published of it now.

    ``previous_accepted`` are the facilities of the published version; ``withdrawn`` the uploads that a
    rollback has taken out.
    """

    snapshot: date
    inputs: list[Input]
    batch_uploads: list[str]
    previous_version: str | None = None
    previous_publication: str | None = None
    previous_accepted: int = 0
    withdrawn: list[Upload] = []


class Lines(msgspec.Struct, kw_only=True):
    """An account of lines: ``read == accepted + superseded + rejected``, always."""

    read: int = 0
    accepted: int = 0
    superseded: int = 0
    rejected: int = 0
    rejected_by_reason: dict[str, int] = {}
    snapshot_date_differs: int = 0

    def add(self, other: Lines) -> None:
        self.read += other.read
        self.accepted += other.accepted
        self.superseded += other.superseded
        self.rejected += other.rejected
        self.snapshot_date_differs += other.snapshot_date_differs
        for reason, count in other.rejected_by_reason.items():
            self.rejected_by_reason[reason] = self.rejected_by_reason.get(reason, 0) + count


class SnapshotAccount(msgspec.Struct, frozen=True, kw_only=True):
    """The account of one snapshot: lines of all its uploads, and rows of each result."""

    snapshot: date
    lines: Lines
    rows: dict[str, int]


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a run: the lines of its own uploads, and each snapshot as a whole."""

    batch: Lines
    snapshots: list[SnapshotAccount]


class FilterCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What the expiry filter read and wrote for one snapshot."""

    facilities: int
    expiring_accreditations: int
    expiring_facilities: int


def plan_snapshot(snapshot: date, earlier: Sequence[Input], loaded: Sequence[LoadedUpload]) -> SnapshotPlan:
    """Which uploads make up a snapshot: the published ones, each replaced by what came under its name.

    Returns them oldest first, in the order in which later ones win (accreditation.md, Duplicates).
    """
    by_key = {one.upload.key: one for one in earlier}
    for one in loaded:
        known = by_key.get(one.upload.key)
        if known is None or known.upload.order <= one.upload.order:
            by_key[one.upload.key] = Input(upload=one.upload, counts=one.counts, rejects_key=one.rejects_key)
    return SnapshotPlan(
        snapshot=snapshot,
        inputs=sorted(by_key.values(), key=lambda one: one.upload.order),
        batch_uploads=sorted(one.upload.upload_id for one in loaded),
    )


def worth_publishing(plan: SnapshotPlan) -> bool:
    """False if there is no row, valid or rejected, and nothing published that could be outdated."""
    return plan.previous_version is not None or any(one.counts.lines for one in plan.inputs)


def settle(
    plans: Sequence[SnapshotPlan],
    line_counts: Mapping[tuple[str, str], int],
    result_rows: Mapping[tuple[str, date], tuple[int, int]],
    filtered: Mapping[date, FilterCounts],
) -> Account:
    """Compare the loader's account with Athena's and the filter's, and make the run's account of both.

    Args:
        plans: the snapshots of the run with what the loader read.
        line_counts: Athena's lines by (upload_id, outcome); outcome is a reject reason, ``valid`` or
            ``accepted``.
        result_rows: Athena's (rows, facilities) by (result, snapshot); absent means none.
        filtered: what the expiry filter saw, by snapshot.

    Raises:
        CheckFailed: listing every disagreement.
    """
    wrong: list[str] = []

    def agree(what: str, left: str, one: int, right: str, other: int) -> None:
        if one != other:
            wrong.append(f"{what}: {left} says {one}, {right} says {other}")

    athena: dict[str, dict[str, int]] = defaultdict(dict)
    for (upload_id, outcome), counted in line_counts.items():
        athena[upload_id][outcome] = counted

    batch = Lines()
    snapshots = []
    for plan in plans:
        total = Lines()
        for one in plan.inputs:
            seen = dict(athena.pop(one.upload.upload_id, {}))
            accepted, valid = seen.pop("accepted", 0), seen.pop("valid", 0)
            agree(f"valid lines of {one.upload.key}", "the loader", one.counts.valid, "Athena", valid)
            for reason in sorted(seen.keys() | one.counts.rejected_by_reason.keys()):
                agree(
                    f"lines of {one.upload.key} rejected for {reason}",
                    "the loader",
                    one.counts.rejected_by_reason.get(reason, 0),
                    "Athena",
                    seen.get(reason, 0),
                )
            if accepted > valid:
                wrong.append(f"{one.upload.key}: {accepted} lines accepted of {valid} valid ones")
            lines = Lines(
                read=one.counts.lines,
                accepted=accepted,
                superseded=valid - accepted,
                rejected=one.counts.rejected,
                rejected_by_reason=dict(one.counts.rejected_by_reason),
                snapshot_date_differs=one.counts.measures.get("snapshot_date_differs", 0),
            )
            agree(
                f"lines of {one.upload.key}",
                "the loader",
                lines.read,
                "accepted + superseded + rejected",
                lines.accepted + lines.superseded + lines.rejected,
            )
            total.add(lines)
            if one.upload.upload_id in plan.batch_uploads:
                batch.add(lines)
        rows = _check_results(plan.snapshot, total, result_rows, filtered, agree)
        snapshots.append(SnapshotAccount(snapshot=plan.snapshot, lines=total, rows=rows))
    wrong += [
        f"Athena read lines of the upload {upload_id}, which no snapshot of this run has"
        for upload_id in athena
    ]
    if wrong:
        raise CheckFailed(
            f"{len(wrong)} counts do not agree, so nothing is published: "
            + "; ".join(wrong[:20])
            + ("; ..." if len(wrong) > 20 else "")
        )
    steps.note(
        snapshots=len(snapshots),
        lines=batch.read,
        accepted=batch.accepted,
        superseded=batch.superseded,
        rejected=batch.rejected,
    )
    return Account(batch=batch, snapshots=snapshots)


def check_volume(
    plans: Sequence[SnapshotPlan], account: Account, max_shrink_share: float, *, expected: bool
) -> None:
    """Compare the facilities of each snapshot with those of its published version.

    Raises:
        CheckFailed: naming each snapshot that would lose more than ``max_shrink_share`` of its facilities,
            unless that is ``expected``.
    """
    accepted = {one.snapshot: one.lines.accepted for one in account.snapshots}
    shrunk = []
    for plan in plans:
        before, now = plan.previous_accepted, accepted[plan.snapshot]
        if before and (before - now) / before > max_shrink_share:
            shrunk.append(f"{plan.snapshot} from {before:,} to {now:,} ({(before - now) / before:.0%} less)")
    if shrunk and not expected:
        raise CheckFailed(
            f"Nothing is published, as more than {max_shrink_share:.0%} of a snapshot's facilities would be lost: "
            f"{'; '.join(shrunk[:20])}{'; ...' if len(shrunk) > 20 else ''}. If an upload is not whole, "
            "upload it again under its name. If it is meant, trigger a run with the param expect_shrink "
            "(MEDLAUNCH_MAX_SHRINK_SHARE is the limit)"
        )


def _check_results(
    snapshot: date,
    total: Lines,
    result_rows: Mapping[tuple[str, date], tuple[int, int]],
    filtered: Mapping[date, FilterCounts],
    agree: Callable[[str, str, int, str, int], None],
) -> dict[str, int]:
    metrics, distinct = result_rows.get(("facility_metrics", snapshot), (0, 0))
    rejects, _ = result_rows.get(("facility_rejects", snapshot), (0, 0))
    states, in_states = result_rows.get(("accredited_facilities_by_state", snapshot), (0, 0))
    expiry = filtered.get(
        snapshot, FilterCounts(facilities=0, expiring_accreditations=0, expiring_facilities=0)
    )
    expiring, expiring_facilities = result_rows.get(("expiring_accreditations", snapshot), (0, 0))
    agree(f"facility_metrics of {snapshot}", "rows", metrics, "accepted lines", total.accepted)
    agree(f"facility_metrics of {snapshot}", "rows", metrics, "facilities in it", distinct)
    agree(f"facility_rejects of {snapshot}", "rows", rejects, "rejected lines", total.rejected)
    agree(f"facilities by state of {snapshot}", "their sum", in_states, "accepted lines", total.accepted)
    agree(
        f"facilities the expiry filter read for {snapshot}",
        "it",
        expiry.facilities,
        "accepted lines",
        total.accepted,
    )
    for what, seen, found in (
        ("accreditations", expiring, expiry.expiring_accreditations),
        ("facilities", expiring_facilities, expiry.expiring_facilities),
    ):
        agree(f"expiring {what} of {snapshot}", "Athena", seen, "the expiry filter", found)
    return {
        "facility_metrics": metrics,
        "facility_rejects": rejects,
        "accredited_facilities_by_state": states,
        "expiring_accreditations": expiry.expiring_accreditations,
        "expiring_facilities": expiry.expiring_facilities,
    }
