"""The run report: one JSON document that accounts for every file and line of a run."""

from __future__ import annotations

import platform
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime
from importlib.metadata import version
from typing import Any

import msgspec

import medlaunch
from medlaunch import lake, steps
from medlaunch.checks import Account, Lines, SnapshotPlan
from medlaunch.landing import BATCH, Batch, LoadedGroup, SetAsideObject, read_loaded
from medlaunch.objects import put_json
from medlaunch.operations import many
from medlaunch.publish import ACCOUNT, MANIFESTS, PLANS, WITHDRAWN, Manifest
from medlaunch.runs import Run
from medlaunch.steps import StepTime


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Files of the run; ``bytes_read`` as they lie on S3, compressed or not."""

    claimed: int
    loaded: int
    set_aside: int
    left_for_next_run: int
    bytes_read: int


class SetAsideEntry(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    reason: str
    moved_to: str


class Accreditations(msgspec.Struct, frozen=True, kw_only=True):
    read: int
    quarantined: int


class SnapshotReport(msgspec.Struct, frozen=True, kw_only=True):
    """A published snapshot as a whole: all its uploads, earlier ones too."""

    snapshot_date: date
    version: str
    previous_version: str | None
    lines: Lines
    rows: dict[str, int]
    results: dict[str, list[str]]
    manifest: str


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """The account of a run. ``lines`` are those of the uploads that this run read.

    ``withdrawn`` are uploads that were read and left out, because a rollback had taken them out.
    """

    pipeline: str
    environment: str
    run_id: str
    run: str
    as_of: date
    expiry_window: str
    started_at: datetime
    finished_at: datetime
    outcome: str
    files: Files
    lines: Lines
    accreditations: Accreditations
    facilities_without_accreditations: int
    set_aside: list[SetAsideEntry]
    withdrawn: list[str]
    quarantine: list[str]
    snapshots: list[SnapshotReport]
    queries: list[dict[str, Any]]
    bytes_scanned: int
    steps: list[StepTime]
    versions: dict[str, str]

    def summary(self) -> str:
        """One paragraph for the run's note."""
        published = ", ".join(
            f"{one.snapshot_date} ({many(one.rows['facility_metrics'], 'facility', 'facilities')})"
            for one in self.snapshots
        )
        parts = [
            f"Published {published}." if published else "Nothing to publish.",
            f"{many(self.lines.read, 'line')} in {many(self.files.loaded, 'file')}: "
            f"{self.lines.accepted:,} accepted, {self.lines.superseded:,} superseded, {self.lines.rejected:,} rejected.",
        ]
        if self.snapshots:
            expiring = sum(one.rows["expiring_accreditations"] for one in self.snapshots)
            within = f"within {self.expiry_window} of {self.as_of}"
            parts.append(f"Expiring {within}: {many(expiring, 'accreditation')}.")
        if self.set_aside:
            parts.append(f"Set aside: {many(len(self.set_aside), 'object')}.")
        if self.withdrawn:
            parts.append(f"Left out, a rollback had taken it out: {many(len(self.withdrawn), 'upload')}.")
        return " ".join(parts)


def versions() -> dict[str, str]:
    """What the run was made with: this repository, Airflow and its Amazon provider, Python."""
    return {
        "medlaunch": medlaunch.__version__,
        "airflow": version("apache-airflow"),
        "amazon_provider": version("apache-airflow-providers-amazon"),
        "python": platform.python_version(),
    }


def write(run: Run, queries: Sequence[dict[str, Any]], step_times: Sequence[StepTime] = ()) -> RunReport:
    """Put the report of a run together from its documents and write it to ``reports/``.

    ``step_times`` are the seconds of the steps before this one.
    """
    batch = run.get(BATCH, Batch)
    groups = read_loaded(run, batch)
    plans = run.get(PLANS, list[SnapshotPlan]) if groups else []
    account = run.get(ACCOUNT, Account) if plans else None
    manifests = run.get(MANIFESTS, list[Manifest]) if plans else []
    withdrawn = set(run.get(WITHDRAWN, list[str]) if groups else [])
    report = build(run.environment, batch, groups, account, manifests, queries, withdrawn, step_times)
    key = lake.report_key(run.dag_id, run.key)
    put_json(run.s3, run.bucket, key, report)
    steps.note(snapshots=len(manifests), keys=[key])
    return report


def build(
    environment: str,
    batch: Batch,
    groups: Sequence[LoadedGroup],
    account: Account | None,
    manifests: Sequence[Manifest],
    queries: Sequence[dict[str, Any]],
    withdrawn: Collection[str] = (),
    step_times: Sequence[StepTime] = (),
) -> RunReport:
    """The report of a run; ``account`` is None and ``manifests`` is empty if nothing was published.

    ``withdrawn`` are the ids of uploads that were read and left out.
    """
    loaded = [one for group in groups for one in group.loaded]
    set_aside: list[SetAsideObject] = [
        *batch.set_aside,
        *(one for group in groups for one in group.set_aside),
    ]
    changed = [key for group in groups for key in group.left_for_next_run]
    rows = {one.snapshot: one.rows for one in account.snapshots} if account else {}
    # Without an account nothing was published because nothing was read.
    lines = (
        account.batch
        if account
        else Lines(read=sum(one.counts.lines for one in loaded if one.upload.upload_id not in withdrawn))
    )
    return RunReport(
        pipeline=batch.pipeline,
        environment=environment,
        run_id=batch.run_id,
        run=batch.run,
        as_of=batch.as_of,
        expiry_window=batch.expiry_window,
        started_at=batch.claimed_at,
        finished_at=datetime.now(UTC),
        outcome="published" if manifests else "nothing_to_publish",
        files=Files(
            claimed=len(batch.uploads) + len(batch.set_aside),
            loaded=len(loaded),
            set_aside=len(set_aside),
            left_for_next_run=batch.left_for_next_run + len(changed),
            bytes_read=sum(one.upload.size for one in loaded),
        ),
        lines=lines,
        accreditations=Accreditations(
            read=sum(one.counts.measures.get("accreditations", 0) for one in loaded),
            quarantined=sum(one.counts.measures.get("accreditations_quarantined", 0) for one in loaded),
        ),
        facilities_without_accreditations=sum(
            one.counts.measures.get("without_accreditations", 0) for one in loaded
        ),
        set_aside=[
            SetAsideEntry(key=one.key, reason=one.reason, moved_to=lake.set_aside_key(one.key))
            for one in set_aside
        ],
        withdrawn=[one.upload.key for one in loaded if one.upload.upload_id in withdrawn],
        quarantine=[one.rejects_key for one in loaded if one.rejects_key],
        snapshots=[
            SnapshotReport(
                snapshot_date=manifest.snapshot_date,
                version=manifest.version,
                previous_version=manifest.previous_version,
                lines=manifest.lines,
                rows=rows[manifest.snapshot_date],
                results={name: [file.key for file in one.files] for name, one in manifest.results.items()},
                manifest=lake.manifest_key(batch.pipeline, manifest.snapshot_date),
            )
            for manifest in manifests
        ],
        queries=list(queries),
        bytes_scanned=sum(one["bytes_scanned"] for one in queries),
        steps=list(step_times),
        versions=versions(),
    )
