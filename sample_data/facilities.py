"""Uploads of facility records: accreditations, labs and services, snapshot after snapshot.

What a facility looks like stands in ``facility_records``, what can be wrong with a line in
``facility_dirt``; here they become files, in all the shapes in which files arrive, with an exact account.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from time import perf_counter

from sample_data.account import Account, DirtyLine, FileAccount, SnapshotAccount
from sample_data.facility_dirt import (
    ALL_DIRT,
    BAD_DIRT,
    Dirt,
    Line,
    truncated_last_line,
)
from sample_data.facility_records import Facility, Horizon, facilities
from sample_data.randomness import Stream, several, stream
from sample_data.uploads import Shape, ValueWriter, require_room, set_time, write_bytes, write_lines

DEFAULT_SNAPSHOTS = ("2026-09-01", "2026-10-01", "2026-11-01")
DEFAULT_AS_OF = "2026-11-20"
DEFAULT_SEED = 7


# --- the plan: which files a snapshot has ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Feed:
    """A file that brings the first records of a range of facilities: ``share`` of all, in per cent."""

    name: str
    shape: Shape
    share: int


# In the order of upload. Files of lines come last too, so that dirt which only they can have finds room.
_FEEDS = (
    _Feed("facilities.ndjson", Shape.LINES, 35),
    _Feed("facilities.ndjson.gz", Shape.LINES, 28),
    _Feed("north-east region.json", Shape.ARRAY_PRETTY, 3),
    _Feed("lab+partners 100%.json", Shape.ARRAY, 3),
    _Feed("array, one a line.json.gz", Shape.ARRAY_OF_LINES, 4),
    _Feed('Clínicas "Río Grande" ☂.json', Shape.CONCATENATED_PRETTY, 3),
    _Feed("it's a feed & more=1.json.gz", Shape.CONCATENATED, 3),
    _Feed("windows export (CRLF).jsonl", Shape.LINES_CRLF, 6),
    _Feed("excel%20export+bom.jsonl", Shape.LINES_BOM, 5),
    _Feed("ambulatory.JSONL.gz", Shape.LINES_UNTERMINATED, 10),
)
_CORRECTIONS = "facilities_corrected.jsonl"
_LATE = "late arrivals.ndjson"
_EMPTY_GZIP = "nothing today.ndjson.gz"
_DAMAGED_GZIP = "damaged in transit.ndjson.gz"
# What is not data, and why. The reasons are the names that the pipeline gives them.
_SET_ASIDE = {
    ".keep": (b"", "hidden_file"),
    "zero bytes.jsonl": (b"", "zero_bytes"),
    "READ ME.txt": (b"One record per facility and snapshot.\n", "unknown_extension"),
    "contacts.xlsx": (b"PK\x05\x06" + bytes(18), "unknown_extension"),
}
# A gzip header, and no deflate stream after it.
_DAMAGED_CONTENT = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"\xff" * 64
_DAMAGED_REASON = "corrupt_gzip"

_CORRECTED_SHARE = 0.02
_CORRECTED_TWICE_SHARE = 0.1
_REJECTED_AND_CORRECTED_SHARE = 0.25
_LATE_SHARE = 0.015
_LATE_ONLY_SHARE = 0.4


@dataclass(frozen=True)
class _Plan:
    """One snapshot to write. Picklable: snapshots can be written side by side."""

    folder: Path
    snapshot: date
    records: int
    seed: int
    horizon: Horizon
    dirt_before: int
    dirt: int
    has_late_file: bool
    with_damaged_gzip: bool


def write_uploads(
    out_dir: Path | str,
    *,
    records: int,
    snapshots: Sequence[str | date] = DEFAULT_SNAPSHOTS,
    seed: int = DEFAULT_SEED,
    dirty: float = 0.02,
    as_of: str | date = DEFAULT_AS_OF,
    window_end: str | date | None = None,
    damaged_gzip: bool = False,
    workers: int = 1,
) -> Account:
    """Write uploads ``out_dir/<YYYY-MM-DD>/<file>`` for each snapshot, and return their exact account.

    ``records`` is the number of facilities there ever are; nearly all are open in each snapshot.
    ``dirty`` is the share of them (0 to 1) that is made dirty in each snapshot; unless it is 0, it is raised
    where needed so that every kind of dirt occurs (127 dirty facilities over all snapshots).
    ``as_of`` and ``window_end`` (the last day of the expiry window; by default six calendar months later)
    are the dates around which accreditations end, and for which the account counts results.
    ``damaged_gzip`` adds a file per snapshot that is no gzip despite its name. Modification times are the
    order of upload, a minute apart; the last one is that of a late file for the oldest snapshot.
    ``workers`` processes write a snapshot each; the files are the same however many there are.

    Raises ValueError for arguments that make no sense, and if ``out_dir`` holds other files.
    """
    out_dir = Path(out_dir)
    days = [_date(one) for one in snapshots]
    if len(set(days)) != len(days) or not days:
        raise ValueError(f"snapshots must be one or more different dates, not {', '.join(map(str, days)) or 'none'}")
    if records < 1:
        raise ValueError(f"records must be 1 or more, not {records}")
    _check_share(dirty)
    horizon = _horizon(as_of, window_end)
    oldest = min(days)
    wanted = int(records * dirty)
    if dirty:
        wanted = min(records, max(wanted, -(-len(ALL_DIRT) // len(days))))
    plans = [
        _Plan(out_dir / day.isoformat(), day, records, seed, horizon, wanted * number, wanted, day == oldest, damaged_gzip)
        for number, day in enumerate(days)
    ]
    require_room(out_dir, [f"{plan.folder.name}/{name}" for plan in plans for name in _names(plan)])
    if workers > 1 and len(plans) > 1:
        with ProcessPoolExecutor(min(workers, len(plans))) as pool:
            written = list(pool.map(_write_snapshot, plans))
    else:
        written = [_write_snapshot(plan) for plan in plans]
    account = Account("facilities", seed, horizon.as_of.isoformat(), horizon.window_end.isoformat())
    for results, files in written:
        account.snapshots[results.snapshot] = results
        account.files += files
    # A snapshot's files are uploaded from six o'clock on its day, the late one when all others are there.
    account.files.sort(key=lambda one: (one.file == _LATE, one.mtime))
    if account.files[-1].file == _LATE:
        account.files[-1].mtime = max(one.mtime for one in account.files) + 24 * 3600
    for one in account.files:
        set_time(out_dir / one.snapshot / one.file, one.mtime)
    return account


def _names(plan: _Plan) -> list[str]:
    """The files of a snapshot, in the order of upload; those that would have no record are left out later."""
    names = [".keep", *(feed.name for feed in _FEEDS), *(name for name in _SET_ASIDE if name != ".keep")]
    names += [_EMPTY_GZIP, *([_DAMAGED_GZIP] if plan.with_damaged_gzip else []), _CORRECTIONS]
    return names + ([_LATE] if plan.has_late_file else [])


# --- one snapshot ------------------------------------------------------------------------------------


class _File:
    """A file being written, and its account."""

    def __init__(self, plan: _Plan, name: str, shape: Shape, order: int):
        self.order = order
        self.writer = ValueWriter(plan.folder / name, shape)
        self.account = FileAccount(plan.snapshot.isoformat(), name, _mtime(plan, order), shape.value)

    def write(self, line: Line) -> DirtyLine | None:
        """Write a line and account for it, except for whether it is accepted or superseded."""
        account, writer = self.account, self.writer
        if line.blank is not None:
            writer.blank(line.blank)
            account.blank_lines += 1
        if line.raw is None:
            writer.value(line.text)
        else:
            writer.raw(line.raw)
        account.lines += 1
        account.snapshot_date_differs += line.snapshot_differs
        reasons = line.reasons
        if line.rejected:
            account.rejected += 1
            account.rejected_by_reason[reasons[0]] += 1
            account.rejected_by_any_reason.update(reasons)
            account.invalid_accreditations_of_rejected_lines += line.invalid_accreditations
        else:
            account.valid_without_accreditations += not line.days
            account.invalid_accreditations_of_valid_lines += line.invalid_accreditations
        if line.kind is None:
            return None
        dirty = DirtyLine(
            line.kind,
            writer.line_number,
            writer.record_number,
            line.facility_id,
            reasons[0] if line.rejected else None,
            reasons,
            line.invalid_accreditations,
            "rejected" if line.rejected else "accepted",
        )
        account.dirty.append(dirty)
        return dirty

    def close(self, *, unterminated: bool = False) -> None:
        self.writer.close(unterminated=unterminated)
        self.account.content_bytes = self.writer.content_bytes
        if self.writer.written:
            self.account.bytes = self.writer.path.stat().st_size


def _write_snapshot(plan: _Plan) -> tuple[SnapshotAccount, list[FileAccount]]:
    plan.folder.mkdir(parents=True, exist_ok=True)
    for name in _names(plan):
        # What an earlier call wrote and this one might not: a file comes into being with its first record.
        (plan.folder / name).unlink(missing_ok=True)
    orders = {name: order for order, name in enumerate(_names(plan))}
    files = _whole_files(plan, orders)
    feeds = [_File(plan, feed.name, feed.shape, orders[feed.name]) for feed in _FEEDS]
    corrections = _File(plan, _CORRECTIONS, Shape.LINES, orders[_CORRECTIONS])
    late = _File(plan, _LATE, Shape.LINES, orders[_LATE]) if plan.has_late_file else None
    results = SnapshotAccount(plan.snapshot.isoformat())
    ends = _ends(plan.records)
    dirt = _DirtSchedule(plan)
    events = stream(plan.seed, "events", plan.snapshot)
    at = 0
    for facility in facilities(plan.seed, plan.snapshot, plan.horizon):
        number, is_open, text, state, days = facility
        while number > ends[at]:
            # Only the first file was cut off while it was uploaded.
            _end(feeds[at], text if at == 0 and plan.dirt else None)
            at += 1
            if at == len(feeds):
                break
        if at == len(feeds):
            break
        event = events()
        is_dirty = dirt.due(number)
        if not (is_open or is_dirty):
            continue
        feed = feeds[at]
        if not is_dirty and event >= _CORRECTED_SHARE + _LATE_SHARE:
            feed.writer.value(text)
            feed.account.lines += 1
            feed.account.accepted += 1
            feed.account.valid_without_accreditations += not days
            _count_result(results, plan.horizon, state, days)
            continue
        clean = _clean(facility)
        deliveries = [(feed, line) for line in (dirt.lines(clean, feed, plan.snapshot) if is_dirty else [clean])]
        chance = events()
        if late is not None and event < _LATE_SHARE:
            if chance < _LATE_ONLY_SHARE and not is_dirty:
                deliveries = [(late, clean)]
            else:
                deliveries.append((late, _corrected(clean, plan, events)))
        elif event >= _LATE_SHARE or (chance < _REJECTED_AND_CORRECTED_SHARE and deliveries[-1][1].rejected):
            if event >= _LATE_SHARE + _CORRECTED_SHARE and not deliveries[-1][1].rejected:
                pass
            elif event < _LATE_SHARE + _CORRECTED_SHARE:
                deliveries.append((corrections, _corrected(clean, plan, events)))
                if chance < _CORRECTED_TWICE_SHARE:
                    deliveries.append((corrections, _corrected(clean, plan, events)))
            elif chance < _REJECTED_AND_CORRECTED_SHARE:
                deliveries.append((corrections, clean))
        _deliver(deliveries, results, plan.horizon)
    raise NotImplementedError
