"""Uploads of facility records: accreditations, labs and services, snapshot after snapshot.

What a facility looks like stands in ``facility_records``, what can be wrong with a line in
``facility_defects``; here they become files, in all the shapes in which files arrive, with an exact account.
"""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime
from itertools import accumulate, cycle, islice
from pathlib import Path
from time import perf_counter

from sample_data.account import Account, DefectiveLine, FileAccount, SliceReconciliation
from sample_data.facility_defects import (
    ALL_DEFECTS,
    BAD_DEFECTS,
    Defect,
    Line,
    corrected,
    truncated_last_line,
)
from sample_data.facility_records import Facility, Horizon, facilities
from sample_data.randomness import Stream, several, stream
from sample_data.uploads import Shape, ValueWriter, require_empty, set_time, write_bytes, write_lines

DEFAULT_SNAPSHOTS = ("2026-09-01", "2026-10-01", "2026-11-01")
DEFAULT_AS_OF = "2026-11-20"
DEFAULT_SEED = 7
DEFAULT_DEFECTIVE = 0.02
DEFAULT_DEFECTIVE_SINGLE = 0.01


# --- the plan: which files a snapshot has ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Feed:
    """A file that brings the first records of a range of facilities: ``share`` of all, in per cent."""

    name: str
    shape: Shape
    share: int


# In the order of upload. Files of lines come last too, so that defects that only they can have find room.
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
    "zero bytes.jsonl": (b"", "empty_object"),
    "READ ME.txt": (b"One record per facility and snapshot.\n", "unknown_extension"),
    "contacts.xlsx": (b"PK\x05\x06" + bytes(18), "unknown_extension"),
}
# A gzip header, and no deflate stream after it.
_DAMAGED_CONTENT = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff" + b"\xff" * 64
_DAMAGED_REASON = "corrupt_archive"

_CORRECTED_SHARE = 0.02
_CORRECTED_TWICE_SHARE = 0.1
_REJECTED_THEN_CORRECTED_SHARE = 0.25
_LATE_SHARE = 0.015
_LATE_ONLY_SHARE = 0.4


@dataclass(frozen=True)
class _Plan:
    """One snapshot to write. Picklable: snapshots can be written side by side.

    ``defects`` facilities are made defective; ``defects_before`` were in the snapshots before this one.
    ``late`` is the modification time of the late file, None where there is none.
    """

    folder: Path
    snapshot: date
    records: int
    seed: int
    horizon: Horizon
    defects_before: int
    defects: int
    late: int | None
    damaged_gzip: bool

    @property
    def names(self) -> list[str]:
        """The files of the snapshot, in the order of upload. Those that get no record are not written."""
        return [
            ".keep",
            *(feed.name for feed in _FEEDS),
            *(name for name in _SET_ASIDE if name != ".keep"),
            _EMPTY_GZIP,
            *([_DAMAGED_GZIP] if self.damaged_gzip else []),
            _CORRECTIONS,
            *([_LATE] if self.late is not None else []),
        ]

    def mtime(self, name: str) -> int:
        """When a file is uploaded: from six o'clock on the snapshot's day, a minute apart."""
        if name == _LATE and self.late is not None:
            return self.late
        return _six_o_clock(self.snapshot) + 60 * self.names.index(name)


def write_uploads(
    out_dir: Path | str,
    *,
    records: int,
    snapshots: Sequence[str | date] = DEFAULT_SNAPSHOTS,
    seed: int = DEFAULT_SEED,
    defective: float = DEFAULT_DEFECTIVE,
    as_of: str | date = DEFAULT_AS_OF,
    window_end: str | date | None = None,
    damaged_gzip: bool = False,
    workers: int = 1,
) -> Account:
    """Write uploads ``out_dir/<YYYY-MM-DD>/<file>`` for each snapshot, and return their exact account.

    ``records`` is the number of facilities there ever are; nearly all are open in each snapshot.
    ``defective`` is the share of them (0 to 1) that is made defective in each snapshot; unless it is 0, it is raised
    where needed so that each kind in ``ALL_DEFECTS`` occurs somewhere. ``as_of`` and ``window_end`` (the last
    day of the expiry window; by default six calendar months later) are the dates around which
    accreditations end, and for which the account counts results. ``damaged_gzip`` adds a file per snapshot
    that is no gzip despite its name. Modification times are the order of upload, at distinct seconds; the
    last is that of a late file for the oldest snapshot. ``workers`` processes write a snapshot each; the
    files are the same however many there are.

    Memory does not grow with ``records``, but for some 300 bytes a defective line in the account.
    Raises ValueError for arguments that make no sense, and if ``out_dir`` holds files of anybody else.
    """
    out_dir = Path(out_dir)
    days = [_date(one) for one in snapshots]
    if not days or len(set(days)) != len(days):
        raise ValueError(
            f"snapshots must be one or more different dates, not {', '.join(map(str, days)) or 'none'}"
        )
    horizon = _horizon(as_of, window_end)
    defects = _defective_of(records, defective)
    if defective:
        defects = min(records, max(defects, -(-len(ALL_DEFECTS) // len(days))))
    late = _six_o_clock(max(days)) + 24 * 3600
    plans = [
        _Plan(
            folder=out_dir / day.isoformat(),
            snapshot=day,
            records=records,
            seed=seed,
            horizon=horizon,
            defects_before=defects * number,
            defects=defects,
            late=late if day == min(days) else None,
            damaged_gzip=damaged_gzip,
        )
        for number, day in enumerate(days)
    ]
    require_empty(out_dir, [f"{plan.snapshot}/{name}" for plan in plans for name in plan.names])
    if workers > 1 and len(plans) > 1:
        with ProcessPoolExecutor(min(workers, len(plans))) as pool:
            written = list(pool.map(_write_snapshot, plans))
    else:
        written = [_write_snapshot(plan) for plan in plans]
    account = Account("facilities", seed, str(horizon.as_of), str(horizon.window_end))
    for results, files in written:
        account.snapshots[results.snapshot] = results
        account.files += files
    account.files.sort(key=lambda one: one.mtime)
    for one in account.files:
        set_time(out_dir / one.snapshot / one.file, one.mtime)
    return account


# --- one snapshot ------------------------------------------------------------------------------------


class _Results:
    """Counts what is published of a snapshot."""

    def __init__(self, snapshot: date, horizon: Horizon):
        self.account = SliceReconciliation(snapshot.isoformat())
        self._as_of = horizon.as_of.toordinal()
        self._window_end = horizon.window_end.toordinal()

    def add(self, state: str, days: Sequence[int | None]) -> None:
        """Count an accepted record: its state, and the ordinals of its accreditations' valid_until."""
        account, as_of, window_end = self.account, self._as_of, self._window_end
        account.facilities += 1
        account.facilities_by_state[state] += 1
        expiring, accredited, dated = 0, False, False
        for day in days:
            if day is not None:
                dated = True
                if day >= as_of:
                    accredited = True
                    expiring += day <= window_end
        account.accredited_by_state[state] += accredited
        account.without_valid_date += not dated
        account.expiring_accreditations += expiring
        account.expiring_facilities += expiring > 0


def _account_for(
    account: FileAccount, line: Line, line_number: int, record_number: int
) -> DefectiveLine | None:
    """Count a line in its file's account, except for whether it is accepted or superseded."""
    account.lines += 1
    account.blank_lines += line.blank is not None
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
    defective = DefectiveLine(
        kind=line.kind,
        line_number=line_number,
        record_number=record_number,
        facility_id=line.facility_id,
        reject_reason=reasons[0] if line.rejected else None,
        reject_reasons=reasons,
        invalid_accreditations=line.invalid_accreditations,
        outcome="rejected" if line.rejected else "accepted",
    )
    account.defective.append(defective)
    return defective


class _File:
    """A file being written, and its account."""

    def __init__(self, plan: _Plan, name: str, shape: Shape):
        self.writer = ValueWriter(plan.folder / name, shape)
        self.account = FileAccount(plan.snapshot.isoformat(), name, plan.mtime(name), shape.value)

    def write(self, line: Line) -> DefectiveLine | None:
        writer = self.writer
        if line.blank is not None:
            writer.blank(line.blank)
        if line.raw is None:
            writer.value(line.text)
        else:
            writer.raw(line.raw)
        return _account_for(self.account, line, writer.line_number, writer.record_number)

    def close(self, *, unterminated: bool = False) -> None:
        self.writer.close(unterminated=unterminated)
        self.account.content_bytes = self.writer.content_bytes
        if self.writer.written:
            self.account.bytes = self.writer.path.stat().st_size


def _may_be_no_object(writer: ValueWriter) -> bool:
    # A file that begins with an array is an array. And in a row of objects on one line it would be anybody's
    # guess whether a bare value between two of them is a value of its own or makes the line a broken one.
    return writer.written and writer.shape is not Shape.CONCATENATED


_Delivery = tuple[_File, Line]


def _write_snapshot(plan: _Plan) -> tuple[SliceReconciliation, list[FileAccount]]:
    plan.folder.mkdir(parents=True, exist_ok=True)
    for name in plan.names:
        # An earlier call may have written a file that gets no record this time.
        (plan.folder / name).unlink(missing_ok=True)
    feeds = [_File(plan, feed.name, feed.shape) for feed in _FEEDS]
    corrections = _File(plan, _CORRECTIONS, Shape.LINES)
    late = _File(plan, _LATE, Shape.LINES) if plan.late is not None else None
    results = _Results(plan.snapshot, plan.horizon)
    events = stream(plan.seed, "facilities", "events", plan.snapshot)
    defects = _Defects(
        ALL_DEFECTS, plan.records, plan.defects, plan.seed, plan.snapshot, skip=plan.defects_before
    )

    population = facilities(plan.seed, plan.snapshot, plan.horizon)
    bounds = [0, *accumulate(plan.records * feed.share for feed in _FEEDS)]
    for feed, first, last in zip(feeds, bounds, bounds[1:], strict=False):
        writer, account = feed.writer, feed.account
        for number, is_open, text, state, days in islice(population, last // 100 - first // 100):
            event = events()
            is_defective = number == defects.next_number
            if event >= _LATE_SHARE + _CORRECTED_SHARE and is_open and not is_defective:
                writer.value(text)
                account.lines += 1
                account.accepted += 1
                account.valid_without_accreditations += not days
                results.add(state, days)
            elif is_open or is_defective:
                clean = Line(text, _facility_id(number), state, days)
                made = (
                    defects.make(clean, lines=feed.writer.shape.is_lines, others=_may_be_no_object(writer))
                    if is_defective
                    else [clean]
                )
                deliveries = _deliveries(clean, made, feed, corrections, late, event, events)
                _deliver(deliveries, results)
        # Only the first file was cut off while it was uploaded.
        cut_off = feed is feeds[0] and plan.defects > 0 and feed.writer.written
        if cut_off:
            feed.write(truncated_last_line(text))
        feed.close(unterminated=cut_off)

    files = [*feeds, corrections, *([late] if late else [])]
    for file in (corrections, late):
        if file is not None:
            file.close()
    accounts = [file.account for file in files if file.writer.written]
    return results.account, accounts + _write_whole_files(plan)


def _deliveries(
    clean: Line,
    made: list[Line],
    feed: _File,
    corrections: _File,
    late: _File | None,
    event: float,
    random: Stream,
) -> list[_Delivery]:
    """The lines that say something about one facility, each with the file that brings it, in its order."""
    deliveries = [(feed, line) for line in made]
    chance = random()
    if event < _LATE_SHARE:
        if late is not None and made == [clean] and chance < _LATE_ONLY_SHARE:
            return [(late, clean)]
        if late is not None:
            deliveries.append((late, corrected(clean, random)))
    elif event < _LATE_SHARE + _CORRECTED_SHARE:
        deliveries.append((corrections, corrected(clean, random)))
        if chance < _CORRECTED_TWICE_SHARE:
            deliveries.append((corrections, corrected(clean, random)))
    elif all(line.rejected for line in made) and chance < _REJECTED_THEN_CORRECTED_SHARE:
        deliveries.append((corrections, clean))
    return deliveries


def _deliver(deliveries: list[_Delivery], results: _Results) -> None:
    """Write the lines of one facility. The last valid one is accepted, those before it are superseded."""
    latest: tuple[FileAccount, DefectiveLine | None, Line] | None = None
    for file, line in deliveries:
        defective = file.write(line)
        if line.rejected:
            continue
        if latest is not None:
            earlier, superseded, _ = latest
            earlier.superseded += 1
            if superseded is not None:
                superseded.outcome = "superseded"
        latest = (file.account, defective, line)
    if latest is not None:
        account, _, line = latest
        account.accepted += 1
        results.add(line.state or "", line.days)


def _write_whole_files(plan: _Plan) -> list[FileAccount]:
    """The files that have no records."""
    contents = {name: (content, reason) for name, (content, reason) in _SET_ASIDE.items()}
    if plan.damaged_gzip:
        contents[_DAMAGED_GZIP] = (_DAMAGED_CONTENT, _DAMAGED_REASON)
    accounts = []
    for name, (content, reason) in contents.items():
        write_bytes(plan.folder / name, content)
        account = FileAccount(plan.snapshot.isoformat(), name, plan.mtime(name), "none", skipped=reason)
        account.bytes = account.content_bytes = len(content)
        accounts.append(account)
    # No record is said in it, but it is data: it was read, and there was nothing.
    write_bytes(plan.folder / _EMPTY_GZIP, b"", packed=True)
    empty = FileAccount(plan.snapshot.isoformat(), _EMPTY_GZIP, plan.mtime(_EMPTY_GZIP), Shape.LINES.value)
    empty.bytes = (plan.folder / _EMPTY_GZIP).stat().st_size
    return [*accounts, empty]


class _Defects:
    """Chooses which facilities get a defect, and which: ``defects`` of ``records``, spread evenly.

    The kinds take turns in a random order, from the ``skip``-th turn on. A kind that a file cannot have
    waits for the next file that can.
    """

    def __init__(
        self, kinds: Sequence[Defect], records: int, defects: int, seed: int, snapshot: date, skip: int = 0
    ):
        # The order of the kinds is the same in each snapshot, so that their turns go on from one to the next.
        # The names of the streams decide what is made: they stay.
        order = several(stream(seed, "facilities", "dirt"), kinds, len(kinds))
        self._turns = islice(cycle(order), skip % len(kinds), None)
        self._waiting: deque[Defect] = deque()
        self._snapshot = snapshot
        self._numbers = self._spread(records, defects, stream(seed, "facilities", "dirt", snapshot))
        self.next_number = next(self._numbers)

    @staticmethod
    def _spread(records: int, defects: int, random: Stream) -> Iterator[int]:
        for turn in range(defects):
            start, end = turn * records // defects, (turn + 1) * records // defects
            yield start + 1 + int(random() * (end - start))
        yield 0

    def make(self, clean: Line, *, lines: bool, others: bool) -> list[Line]:
        """The defective lines in place of ``clean``.

        ``lines``: the file has a value a line; ``others`` than objects may stand where it is.
        """
        self.next_number = next(self._numbers)
        return self._choose(lines, others).lines(clean, self._snapshot)

    def _choose(self, lines: bool, others: bool) -> Defect:
        def possible(kind: Defect) -> bool:
            return (lines or not kind.lines_only) and (others or not kind.no_object)

        for kind in self._waiting:
            if possible(kind):
                self._waiting.remove(kind)
                return kind
        while not possible(kind := next(self._turns)):
            self._waiting.append(kind)
        return kind


# --- one large file ----------------------------------------------------------------------------------


def iter_records(
    n: int,
    seed: int = DEFAULT_SEED,
    snapshot: str | date = DEFAULT_SNAPSHOTS[-1],
    defective: float = DEFAULT_DEFECTIVE_SINGLE,
    *,
    as_of: str | date = DEFAULT_AS_OF,
    window_end: str | date | None = None,
) -> Iterator[bytes]:
    """Exactly ``n`` terminated lines of NDJSON, one a facility, of which a share of ``defective`` is bad.

    The bad lines are of all kinds in ``BAD_DEFECTS``, rejected or with an invalid accreditation; no facility
    comes twice. Memory is constant. Raises ValueError for arguments that make no sense.
    """
    return _lines(
        n, seed, _date(snapshot), _defective_of(n, defective), _horizon(as_of, window_end), None, None
    )


def write_single(
    path: Path | str,
    *,
    records: int,
    seed: int = DEFAULT_SEED,
    snapshot: str | date = DEFAULT_SNAPSHOTS[-1],
    defective: float = DEFAULT_DEFECTIVE_SINGLE,
    as_of: str | date = DEFAULT_AS_OF,
    window_end: str | date | None = None,
) -> Account:
    """Write the lines of :func:`iter_records` into one file (gzipped if named ``.gz``), and account for it."""
    path, day, horizon = Path(path), _date(snapshot), _horizon(as_of, window_end)
    results = _Results(day, horizon)
    file = FileAccount(day.isoformat(), path.name, _six_o_clock(day), Shape.LINES.value)
    lines = _lines(records, seed, day, _defective_of(records, defective), horizon, file, results)
    file.content_bytes = write_lines(path, lines)
    file.bytes = path.stat().st_size
    set_time(path, file.mtime)
    account = Account("facilities", seed, str(horizon.as_of), str(horizon.window_end), [file])
    account.snapshots[results.account.snapshot] = results.account
    return account


def _lines(
    records: int,
    seed: int,
    snapshot: date,
    defects: int,
    horizon: Horizon,
    account: FileAccount | None,
    results: _Results | None,
) -> Iterator[bytes]:
    schedule = _Defects(BAD_DEFECTS, records, defects, seed, snapshot)
    still_open: Iterator[Facility] = (one for one in facilities(seed, snapshot, horizon) if one[1])
    for record_number, (number, _, text, state, days) in enumerate(islice(still_open, records), start=1):
        if record_number != schedule.next_number:
            if account is not None and results is not None:
                account.lines += 1
                account.accepted += 1
                account.valid_without_accreditations += not days
                results.add(state, days)
            yield text.encode() + b"\n"
            continue
        clean = Line(text, _facility_id(number), state, days)
        [line] = schedule.make(clean, lines=True, others=record_number > 1)
        if account is not None and results is not None:
            _account_for(account, line, record_number, record_number)
            if not line.rejected:
                account.accepted += 1
                results.add(state, line.days)
        yield (line.text.encode() if line.raw is None else line.raw) + b"\n"


# --- arguments ---------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command line of this domain."""
    target = parser.add_mutually_exclusive_group(required=True)
    target.add_argument("--out", type=Path, metavar="DIR", help="write uploads DIR/<YYYY-MM-DD>/<file>")
    target.add_argument(
        "--single",
        type=Path,
        metavar="FILE[.gz]",
        help="write one large NDJSON file (of the last snapshot) instead",
    )
    parser.add_argument(
        "--records", type=int, default=10_000, metavar="N", help="facilities (default: %(default)s)"
    )
    parser.add_argument(
        "--snapshots",
        default=",".join(DEFAULT_SNAPSHOTS),
        metavar="DATE,...",
        help="the snapshots' dates (default: %(default)s)",
    )
    parser.add_argument(
        "--seed", type=int, default=DEFAULT_SEED, help="another seed, other data (default: %(default)s)"
    )
    parser.add_argument(
        "--defective",
        type=float,
        metavar="SHARE",
        help=f"share of defective lines, 0 to 1 (default: {DEFAULT_DEFECTIVE}; with --single {DEFAULT_DEFECTIVE_SINGLE})",
    )
    parser.add_argument(
        "--as-of",
        default=DEFAULT_AS_OF,
        metavar="DATE",
        help="accreditations end around it (default: %(default)s)",
    )
    parser.add_argument(
        "--window-end",
        metavar="DATE",
        help="last day of the expiry window (default: six months after --as-of)",
    )
    parser.add_argument("--expect", type=Path, metavar="FILE", help="write the exact account as JSON")
    parser.add_argument(
        "--damaged-gzip", action="store_true", help="add a file that is no gzip despite its name"
    )
    parser.add_argument(
        "--workers",
        type=int,
        default=1,
        metavar="N",
        help="snapshots written side by side (default: %(default)s)",
    )


def run(arguments: argparse.Namespace) -> str:
    """Do what the command line says; returns a summary. Raises ValueError or OSError if it cannot."""
    started = perf_counter()
    snapshots = [one.strip() for one in arguments.snapshots.split(",") if one.strip()]
    if arguments.single is not None:
        if not snapshots:
            raise ValueError("--snapshots names no date")
        account = write_single(
            arguments.single,
            records=arguments.records,
            seed=arguments.seed,
            snapshot=snapshots[-1],
            defective=DEFAULT_DEFECTIVE_SINGLE if arguments.defective is None else arguments.defective,
            as_of=arguments.as_of,
            window_end=arguments.window_end,
        )
    else:
        account = write_uploads(
            arguments.out,
            records=arguments.records,
            snapshots=snapshots,
            seed=arguments.seed,
            defective=DEFAULT_DEFECTIVE if arguments.defective is None else arguments.defective,
            as_of=arguments.as_of,
            window_end=arguments.window_end,
            damaged_gzip=arguments.damaged_gzip,
            workers=arguments.workers,
        )
    if arguments.expect is not None:
        account.write(arguments.expect)
    return (
        f"{len(account.files)} files, {account.total('bytes') / 1e6:,.1f} MB "
        f"({account.total('content_bytes') / 1e6:,.1f} MB of content) in {perf_counter() - started:.1f} s: "
        f"{account.total('lines'):,} lines, of which accepted {account.total('accepted'):,}, "
        f"superseded {account.total('superseded'):,}, rejected {account.total('rejected'):,}"
    )


def _date(value: str | date) -> date:
    if isinstance(value, date):
        return value
    try:
        day = date.fromisoformat(value)
    except ValueError:
        day = None
    if day is None or day.isoformat() != value:
        raise ValueError(f"{value!r} is not a date: write it YYYY-MM-DD")
    return day


def _horizon(as_of: str | date, window_end: str | date | None) -> Horizon:
    return (
        Horizon.six_months(_date(as_of)) if window_end is None else Horizon(_date(as_of), _date(window_end))
    )


def _defective_of(records: int, share: float) -> int:
    if records < 1:
        raise ValueError(f"records must be 1 or more, not {records}")
    if not 0 <= share <= 1:
        raise ValueError(f"the share of defective lines must be from 0 to 1, not {share}")
    return int(records * share + 0.5)


def _facility_id(number: int) -> str:
    return f"FAC{number:07d}"


def _six_o_clock(day: date) -> int:
    return int(datetime(day.year, day.month, day.day, 6, tzinfo=UTC).timestamp())
