"""What a cell of the matrix works with: lakes with the same uploads, and the undisturbed result of each story."""

from __future__ import annotations

import gzip
import json
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from medlaunch import lake as keys
from tests.factories import NASTY, facility, lines
from tests.faults import state
from tests.faults.harness import Harness, Lake, Outcome
from tests.faults.proxy import Exchange, Rule

DAY, OTHER = "2026-11-01", "2026-10-01"
#: Small, and every nasty case of the specification in it. Later keys are uploaded later.
UPLOADS: dict[str, bytes] = {
    f"{OTHER}/a.jsonl": lines(facility(7), facility(8, "2026-12-01"), facility(9, "2020-01-01"), b"broken\n"),
    f"{DAY}/.keep": b"",
    f"{DAY}/a nasty +%'\u00e9.jsonl": NASTY[0],
    f"{DAY}/b.ndjson.gz": gzip.compress(
        lines(facility(1, facility_name="from the zip"), facility(54)), mtime=0
    ),
    f"{DAY}/c.json": json.dumps([facility(50), None, facility(51, "2027-02-01"), 5]).encode(),
    f"{DAY}/d.jsonl.gz": gzip.compress(lines(facility(90)), mtime=0)[:-9],
    f"{DAY}/e.jsonl": b"",
    "soon/a.json": b"{}",
}
EXTRA = {
    f"{DAY}/z extra.jsonl": lines(facility(1, facility_name="the last word"), facility(70), b"also broken\n")
}
#: Replaces an upload whose rejected lines are no longer true then.
CORRECTED = {f"{OTHER}/a.jsonl": lines(facility(7, facility_name="corrected"), facility(8, "2026-12-02"))}
#: Comes with rejected lines of its own, which another run must not take for stale.
REJECTED = {
    f"{DAY}/y rejected.jsonl": lines(facility(71), b"not json either\n", facility(72, employee_count=-5))
}


@dataclass(frozen=True)
class Story:
    """A DAG, its params, and uploads below ``landing`` for it."""

    dag_id: str
    landing: str
    conf: Mapping[str, Any]
    uploads: Mapping[str, bytes]


ACCREDITATION = Story("facility_accreditation", "landing/facilities/", {"as_of": "2026-11-20"}, UPLOADS)


class Failed(AssertionError):
    """A cell shows something that must not be."""


def require(holds: object, what: str, outcome: Outcome | None = None) -> None:
    if not holds:
        raise Failed(what if outcome is None else f"{what} [{describe(outcome)}]")


def describe(outcome: Outcome) -> str:
    tries = " ".join(
        f"{one['task']}{'' if one['map_index'] < 0 else one['map_index']}#{one['try']}={one.get('state')}"
        for one in outcome.tries
        if one.get("state") != "success"
    )
    return f"run {outcome.state} after {len(outcome.tries)} tries; {tries}"


@dataclass
class Reference:
    """The undisturbed result of a story, and what the last of its runs asked of AWS."""

    state: state.State
    requests: list[Exchange]


@dataclass
class References:
    """The undisturbed results, each made once, by the first that needs it."""

    _made: dict[str, Reference] = field(default_factory=dict)
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def get(self, name: str, make: Callable[[], Reference]) -> Reference:
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._made:
                self._made[name] = make()
            return self._made[name]


class Stage:
    """A harness, a story, and its undisturbed results."""

    def __init__(self, harness: Harness, references: References, story: Story = ACCREDITATION):
        self.harness = harness
        self._references = references
        self.story = story

    def of(self, story: Story) -> Stage:
        """The same harness with another story."""
        return Stage(self.harness, self._references, story)

    def lake(self, uploads: Mapping[str, bytes] | None = None, *, versioning: bool = True) -> Lake:
        story = self.story
        lake = Lake(self.harness, story.dag_id, story.landing, story.conf, versioning=versioning)
        lake.upload_all(story.uploads if uploads is None else uploads)
        return lake

    def undisturbed(self, *batches: Mapping[str, bytes], conf: Mapping[str, Any] | None = None) -> Reference:
        """What comes of batches of uploads (by default the story's), each followed by a run."""
        story = batches or (self.story.uploads,)
        name = json.dumps(
            [
                self.story.dag_id,
                conf,
                *({key: hash(body) for key, body in batch.items()} for batch in story),
            ]
        )

        def make() -> Reference:
            lake = self.lake({})
            for batch in story:
                lake.upload_all(batch)
                outcome = lake.run(conf=conf)
                require(outcome.state == "success", "The undisturbed run fails", outcome)
            found = state.read(lake, [outcome.run_id])
            require(not found.wrong, f"The undisturbed result is wrong: {found.wrong}")
            return Reference(found, outcome.requests)

        return self._references.get(name, make)

    def writes(self, task: str, reference: Reference | None = None) -> int:
        """How many requests a task changes something with, undisturbed."""
        requests = (reference or self.undisturbed()).requests
        return sum(one.writes for one in requests if one.task == task)

    def requests(self, task: str, operation: str | None = None) -> int:
        """How many requests a task makes, undisturbed: all, or those of one operation."""
        return sum(
            one.task == task and operation in (None, one.operation) for one in self.undisturbed().requests
        )

    # --- the end of a cell

    def recover(
        self,
        lake: Lake,
        outcomes: Iterable[Outcome],
        *batches: Mapping[str, bytes],
        alerts: str = "each",
        reports: bool = True,
        rows_only: bool = False,
    ) -> int:
        """Run until landing is empty, then compare with the undisturbed result of ``batches``.

        ``alerts``: ``each`` failed run has published exactly one, or ``at most`` one. ``rows_only``: of manifests not what
        depends on which run took which upload. Returns the number of runs that it took.
        """
        runs = list(outcomes)
        for _ in range(3):
            if runs and not _work(lake):
                break
            runs.append(lake.run())
            require(runs[-1].state == "success", "The run that recovers fails", runs[-1])
        require(not _work(lake), f"Work is left in landing: {_work(lake)}")
        self.compare(lake, runs, *batches, reports=reports, rows_only=rows_only)
        self.check_alerts(lake, runs, alerts)
        return len(runs)

    def compare(
        self,
        lake: Lake,
        runs: Iterable[Outcome],
        *batches: Mapping[str, bytes],
        reports: bool = True,
        rows_only: bool = False,
    ) -> None:
        expected = self.undisturbed(*batches).state
        found = state.read(lake, [one.run_id for one in runs] if reports else [])
        if rows_only:
            found, expected = found.of_rows(), expected.of_rows()
        differences = found.differences(expected)
        require(not differences, f"{len(differences)} differences: " + "; ".join(differences[:6]))
        running = lake.queries("QUEUED", "RUNNING")
        require(not running, f"{len(running)} queries still run: {[one['Query'][:80] for one in running]}")

    def check_alerts(self, lake: Lake, runs: Iterable[Outcome], rule: str = "each") -> None:
        alerts = lake.read_alerts()
        for one in runs:
            count = sum(alert["run"]["id"] == one.run_id for alert in alerts)
            wanted = {0, 1} if rule == "at most" else {1} if one.state == "failed" else {0}
            require(count in wanted, f"{count} alerts of a run that is {one.state}", one)
            warned = sum(warning["run"]["id"] == one.run_id for warning in lake.warnings)
            require(
                warned <= (one.state == "success"), f"{warned} warnings of a run that is {one.state}", one
            )


def _work(lake: Lake) -> list[str]:
    """What is left in landing."""
    listing = lake.s3.list_objects_v2(Bucket=lake.bucket, Prefix=f"{keys.LANDING}/")
    return [one["Key"] for one in listing.get("Contents", ())]


def failed_at_once(outcome: Outcome, task: str, lake: Lake, text: str) -> None:
    """The run has failed in its task's first try, and its alert says why."""
    require(outcome.state == "failed", "The run does not fail", outcome)
    tries = [one for one in outcome.attempts(task) if one["state"] in ("failed", "up_for_retry")]
    require(tries and all(one["try"] == 1 for one in tries), f"{task} was tried again in vain", outcome)
    (alert,) = [one for one in lake.read_alerts() if one["run"]["id"] == outcome.run_id]
    texts = [one["error"]["text"] for one in alert["failed_tasks"]]
    require(any(text in one for one in texts), f"The alert does not say {text!r} but {texts}")


def rules_fired(rules: Iterable[Rule]) -> None:
    for rule in rules:
        require(
            rule.fired, f"The fault never happened: {rule.task} {rule.service} {rule.operation} {rule.key}"
        )
