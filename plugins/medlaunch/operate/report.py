"""The run report: one JSON document that accounts for every file and line of a run."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec

import medlaunch
from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import put_json
from medlaunch.declaration import Findings, Lines, Pipeline
from medlaunch.ingest.uploads import BATCH, FORMAT, Batch, LoadedGroup, SkippedObject, read_loaded
from medlaunch.operate import task_metrics
from medlaunch.operate.task_metrics import TaskTime
from medlaunch.publish.manifests import Manifest
from medlaunch.publish.plan import EXCLUDED, PLANS, SlicePlan
from medlaunch.publish.publish import MANIFESTS
from medlaunch.publish.reconcile import RECONCILIATION, Reconciliation


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Files of the run; ``bytes_read`` as they are on S3, compressed or not."""

    claimed: int
    loaded: int
    skipped: int
    left_for_next_run: int
    bytes_read: int


class SkippedEntry(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    reason: str
    moved_to: str


class SliceReport(msgspec.Struct, frozen=True, kw_only=True):
    """A published slice as a whole: all its uploads, earlier ones too."""

    slice: str
    version: str
    previous_version: str | None
    lines: Lines
    measures: dict[str, int]
    rows: dict[str, int]
    results: dict[str, list[str]]
    manifest: str


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """What became of every file and line of a run. ``lines`` and ``measures`` are those of the uploads that it read.

    ``warnings`` are what its pipeline found worth a look. ``excluded`` are uploads that were read and left out, because a
    rollback had excluded them.
    """

    format: int = FORMAT
    pipeline: str
    environment: str
    run_id: str
    run: str
    params: dict[str, str]
    started_at: datetime
    finished_at: datetime
    outcome: str
    files: Files
    lines: Lines
    measures: dict[str, int]
    warnings: list[str]
    skipped: list[SkippedEntry]
    excluded: list[str]
    quarantine: list[str]
    slices: list[SliceReport]
    queries: list[dict[str, Any]]
    bytes_scanned: int
    tasks: list[TaskTime]
    versions: dict[str, str]


def many(number: int, one: str, more: str | None = None) -> str:
    """A number with its noun: ``1 snapshot``, ``2 snapshots``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"


def summary(report: RunReport, pipeline: Pipeline, reconciliation: Reconciliation | None) -> str:
    """One paragraph for the run's note."""
    published = ", ".join(
        f"{one.slice} ({many(next(iter(one.rows.values())), *pipeline.record_name)})" for one in report.slices
    )
    lines = report.lines
    parts = [
        f"Published {published}." if published else "Nothing to publish.",
        f"{many(lines.read, 'line')} in {many(report.files.loaded, 'file')}: "
        f"{lines.accepted:,} accepted, {lines.superseded:,} superseded, {lines.rejected:,} rejected.",
    ]
    if reconciliation and reconciliation.slices:
        parts.append(pipeline.summarise(report.params, reconciliation.slices))
    if report.warnings:
        parts.append(f"{many(len(report.warnings), 'warning')}, in the report.")
    if report.skipped:
        parts.append(f"Skipped: {many(len(report.skipped), 'object')}.")
    if report.excluded:
        parts.append(f"Left out, a rollback had excluded it: {many(len(report.excluded), 'upload')}.")
    return " ".join(part for part in parts if part)


def versions() -> dict[str, str]:
    """What the run was made with: this repository, Airflow and its Amazon provider, Python."""
    return {
        "medlaunch": medlaunch.__version__,
        "airflow": version("apache-airflow"),
        "amazon_provider": version("apache-airflow-providers-amazon"),
        "python": platform.python_version(),
    }


class Written(msgspec.Struct, frozen=True, kw_only=True):
    """A report that was written: its summary, and the skipped objects that were meant as data."""

    report: RunReport
    summary: str
    skipped_data: list[SkippedObject]


def write(
    run: Run, pipeline: Pipeline, queries: Sequence[dict[str, Any]], times: Sequence[TaskTime] = ()
) -> Written:
    """Put the report of a run together from its documents and write it to ``reports/``.

    ``times`` are the seconds of the tasks before this one.
    """
    batch = run.get(BATCH, Batch)
    groups = read_loaded(run, batch)
    plans = run.get(PLANS, list[SlicePlan]) if groups or pipeline.refresh else []
    reconciliation = run.get(RECONCILIATION, Reconciliation) if plans else None
    manifests = run.get(MANIFESTS, list[Manifest]) if plans else []
    excluded = set(run.get(EXCLUDED, list[str]) if groups else [])
    report = build(run.environment, batch, groups, reconciliation, manifests, queries, excluded, times)
    key = lake.report_key(run.name, run.key)
    put_json(run.s3, run.bucket, key, report)
    task_metrics.record(slices=len(manifests), keys=[key])
    return Written(
        report=report,
        summary=summary(report, pipeline, reconciliation),
        skipped_data=[one for one in [*_skipped(batch, groups), *_members(groups)] if one.meant_as_data],
    )


def _skipped(batch: Batch, groups: Sequence[LoadedGroup]) -> list[SkippedObject]:
    return [*batch.skipped, *(one for group in groups for one in group.skipped)]


def _members(groups: Sequence[LoadedGroup]) -> list[SkippedObject]:
    """Files of archives that were skipped; the archives themselves were loaded."""
    return [
        SkippedObject(
            key=key,
            dataset=one.upload.dataset,
            size=0,
            etag=one.upload.etag,
            reason=reason,
            meant_as_data=True,
        )
        for group in groups
        for one in group.loaded
        for key, reason in one.counts.skipped_members.items()
    ]


def build(
    environment: str,
    batch: Batch,
    groups: Sequence[LoadedGroup],
    reconciliation: Reconciliation | None,
    manifests: Sequence[Manifest],
    queries: Sequence[dict[str, Any]],
    excluded: Collection[str] = (),
    times: Sequence[TaskTime] = (),
) -> RunReport:
    """The report of a run; ``reconciliation`` is None and ``manifests`` is empty if nothing was published.

    ``excluded`` are the ids of uploads that were read and left out.
    """
    loaded = [one for group in groups for one in group.loaded]
    skipped = _skipped(batch, groups)
    changed = [key for group in groups for key in group.left_for_next_run]
    measures: Counter[str] = Counter()
    for one in loaded:
        measures.update(one.counts.measures)
    findings = reconciliation.findings if reconciliation else Findings()
    measures.update(findings.measures)
    # Without a reconciliation nothing was published because nothing was read.
    lines = (
        reconciliation.batch
        if reconciliation
        else Lines(read=sum(one.counts.lines for one in loaded if one.upload.upload_id not in excluded))
    )
    return RunReport(
        pipeline=batch.pipeline,
        environment=environment,
        run_id=batch.run_id,
        run=batch.run,
        params=batch.params,
        started_at=batch.claimed_at,
        finished_at=datetime.now(UTC),
        outcome="published" if manifests else "nothing_to_publish",
        files=Files(
            claimed=len(batch.uploads) + len(batch.skipped),
            loaded=len(loaded),
            skipped=len(skipped),
            left_for_next_run=batch.left_for_next_run + len(changed),
            bytes_read=sum(one.upload.size for one in loaded),
        ),
        lines=lines,
        measures=dict(measures),
        warnings=findings.warnings,
        skipped=[
            SkippedEntry(key=one.key, reason=one.reason, moved_to=lake.skipped_key(one.dataset, one.key))
            for one in skipped
        ]
        + [
            SkippedEntry(key=key, reason=reason, moved_to=lake.archive_key(one.upload.key))
            for one in loaded
            for key, reason in one.counts.skipped_members.items()
        ],
        excluded=[one.upload.key for one in loaded if one.upload.upload_id in excluded],
        quarantine=[one.rejects_key for one in loaded if one.rejects_key],
        slices=[
            SliceReport(
                slice=manifest.slice,
                version=manifest.version,
                previous_version=manifest.previous_version,
                lines=manifest.lines,
                measures=manifest.measures,
                rows={name: one.rows for name, one in manifest.results.items()},
                results={name: [file.key for file in one.files] for name, one in manifest.results.items()},
                manifest=lake.manifest_key(batch.pipeline, manifest.slice),
            )
            for manifest in manifests
        ],
        queries=list(queries),
        bytes_scanned=sum(one["bytes_scanned"] for one in queries),
        tasks=list(times),
        versions=versions(),
    )
