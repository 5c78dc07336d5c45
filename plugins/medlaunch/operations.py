"""What the operators' tools share: their params, and the account of what was done or would be done."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
from airflow.sdk import Param

from medlaunch import lake, steps
from medlaunch.objects import put_json
from medlaunch.runs import Run

log = logging.getLogger(__name__)

#: DAGs with this tag are tools: they claim no uploads, and their alerts say so.
TAG = "operations"

_NOTE_LINES = 5


class OperationReport(msgspec.Struct, frozen=True, kw_only=True):
    """The account of one use of a tool."""

    operation: str
    environment: str
    run_id: str
    run: str
    dry_run: bool
    reason: str
    finished_at: datetime
    summary: str
    lines: Sequence[str]
    details: Any


def reason_param() -> Param:
    """Why somebody does this: it is kept in the report and in the records."""
    return Param(
        None,
        type=["null", "string"],
        maxLength=500,
        title="Reason",
        description="Why this is done: it is kept in the report. Needed when dry_run is off.",
    )


def dry_run_param() -> Param:
    return Param(
        True,
        type="boolean",
        title="Dry run",
        description="On: only say what would be done. Off: do it.",
    )


def reason_of(params: dict[str, Any]) -> str:
    """The reason that was given.

    Raises:
        ValueError: if there is none and it is not a dry run.
    """
    reason = (params["reason"] or "").strip()
    if not reason and not params["dry_run"]:
        raise ValueError("reason is empty: say why, in a few words, or leave dry_run on")
    return reason


def write_report(
    run: Run, *, dry_run: bool, reason: str, summary: str, lines: Sequence[str], details: Any
) -> str:
    """Tell what was done, in the task's log and in ``reports/``; returns the text of the run's note."""
    report = OperationReport(
        operation=run.dag_id,
        environment=run.environment,
        run_id=run.run_id,
        run=run.key,
        dry_run=dry_run,
        reason=reason,
        finished_at=datetime.now(UTC),
        summary=summary,
        lines=lines,
        details=details,
    )
    key = lake.report_key(run.dag_id, run.key)
    put_json(run.s3, run.bucket, key, report)
    for line in [summary, *lines]:
        log.info("%s", line)
    steps.note(lines=len(lines), keys=[key])
    more = len(lines) - _NOTE_LINES
    rest = [f"... and {more} more"] if more > 0 else []
    place = f"Report: s3://{run.bucket}/{key}"
    return "\n\n".join([f"**{summary}**", *lines[:_NOTE_LINES], *rest, place])


def many(number: int, one: str, more: str | None = None) -> str:
    """A number with its noun: ``1 snapshot``, ``2 snapshots``."""
    return f"{number:,} {one if number == 1 else more or one + 's'}"
