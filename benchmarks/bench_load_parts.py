"""A large upload that two tasks load, each a part of it, against one task that loads all of it.

Ours is the longest way: what the claim does, which is to find where to cut and to count the lines, and then the slower
one of the two tasks. Measured one after the other and by processor time, which says what two free cores would take. Run
as a module with the name of a candidate it measures that one: see harness.py.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from benchmarks.bench_load_bronze import _Upload as FacilityUpload
from benchmarks.bench_load_csv import _Upload as StaffingUpload
from benchmarks.bench_load_csv import pbj_file
from benchmarks.harness import (
    ROOT,
    OneSlice,
    facilities_file,
    measure,
    megabytes,
    row,
    run_candidate,
)

REFERENCE = ROOT / "include" / "reference"
TASKS = 2
RECORDS = 1_000_000
FACILITIES = 14_564


def _open_at(path: str) -> Callable[[int], BinaryIO]:
    def open_at(offset: int) -> BinaryIO:
        stream = Path(path).open("rb")  # noqa: SIM115 - the caller closes it
        stream.seek(offset)
        return stream

    return open_at


class _Range:
    """The bytes of a file between two offsets, after some others."""

    def __init__(self, stream: BinaryIO, start: int, end: int, head: bytes = b""):
        stream.seek(start)
        self._stream, self._left, self._head = stream, end - start, head

    def read(self, size: int) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        chunk = self._stream.read(min(size, self._left))
        self._left -= len(chunk)
        return chunk


def _load(path: str, start: int, end: int, header: int, first_line: int | None) -> Any:
    """Load a part of a file, after its header; the outcomes, and the bytes of bronze."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Path(path).open("rb") as source,
        Path(folder, "bronze").open("wb") as bronze,
        Path(folder, "quarantine").open("wb") as quarantine,
    ):
        stream: Any = _Range(source, start, end, source.read(header))
        options: Any = {"reference": REFERENCE, "first_line": first_line}
        if path.endswith(".csv"):
            from medlaunch.staffing import pbj

            counts = pbj.load(stream, StaffingUpload(path), OneSlice(bronze), quarantine, **options)
        else:
            from medlaunch.accreditation import bronze as facilities

            counts = facilities.load(stream, FacilityUpload(path), OneSlice(bronze), quarantine, **options)
        outcomes = sum((Counter(one) for one in counts.slices.values()), Counter())
        return [dict(sorted(outcomes.items())), bronze.tell()]


def whole(path: str) -> Any:
    """One task that loads all of it."""
    return _load(path, 0, Path(path).stat().st_size, 0, None)


def part(path: str, *place: str) -> Any:
    """One of the tasks that load a part."""
    start, end, header, first_line = map(int, place)
    return _load(path, start, end, header, first_line)


def cut(path: str) -> Any:
    """What the claim does; returns the arguments of :func:`part`."""
    from medlaunch.formats import ranges

    size, header = Path(path).stat().st_size, 0
    if path.endswith(".csv"):
        found, header = ranges.cut_csv(_open_at(path), size, TASKS)
    else:
        found = ranges.cut_json(_open_at(path), size, TASKS)
    feeds = []
    for one in found:
        with Path(path).open("rb") as stream:
            counted: Any = _Range(stream, one.start, one.end)
            feeds.append(ranges.count_line_feeds(counted))
    return [
        [one.start, one.end, header if one.start else 0, line]
        for one, line in zip(found, ranges.first_lines(feeds), strict=True)
    ]


def run(records: int = RECORDS, facilities: int = FACILITIES) -> list[dict[str, Any]]:
    """A row for JSON lines and one for CSV."""
    rows = []
    for name, path in (("facilities", facilities_file(records)), ("PBJ", pbj_file(facilities))):
        places = cut(str(path))
        assert len(places) == TASKS
        tasks = {f"part:{number}": [path, *place] for number, place in enumerate(places)}
        found = measure(__name__, {"whole": [path], "cut": [path], **tasks})
        loaded = [found[task] for task in tasks]
        outcomes: Counter[str] = Counter()
        for one in loaded:
            outcomes.update(one.result[0])
        written = sum(one.result[1] for one in loaded)
        assert found["whole"].result == [dict(sorted(outcomes.items())), written]
        slowest = max(loaded, key=lambda one: one.cpu_seconds)
        longest = replace(
            slowest,
            seconds=found["cut"].seconds + slowest.seconds,
            cpu_seconds=found["cut"].cpu_seconds + slowest.cpu_seconds,
        )
        what = f"loading {name}, {megabytes(path):,.0f} MB, by {TASKS} tasks"
        rows.append(row(what, "by one task", found["whole"], longest, ">= 1.7"))
    return rows


if __name__ == "__main__":
    imports = ("medlaunch.formats.ranges", "medlaunch.accreditation.bronze", "medlaunch.staffing.pbj")
    candidates = {"whole": whole, "part": part, "cut": cut}
    run_candidate(candidates, dict.fromkeys(candidates, imports))
