"""The fault matrix: ``python -m tests.faults [-k PATTERN] [--jobs N] [--missing] [--list]``.

One line a cell and a total. ``build/faults.json`` has the last result of each cell, and the table in
``docs/reliability.md`` is made of it.
"""

from __future__ import annotations

import argparse
import os
import queue
import re
import signal
import sys
import threading
import time
import traceback
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from tests.faults import report
from tests.faults.cells import Cell
from tests.faults.harness import Harness
from tests.faults.matrix import matrix
from tests.faults.stage import Failed, References, Stage


@dataclass
class Result:
    """What became of a cell."""

    group: str
    step: str
    fault: str
    recovery: str
    passed: bool
    seconds: float
    on: str
    error: str = ""


def play(cell: Cell, stage: Stage) -> Result:
    """Carry a cell out."""
    began = time.monotonic()
    error = ""
    try:
        cell.play(stage)
    except Failed as found:
        error = str(found)
    except Exception:
        error = traceback.format_exc(limit=-6)
    return Result(
        group=cell.group,
        step=cell.step,
        fault=cell.fault,
        recovery=cell.recovery,
        passed=not error,
        seconds=round(time.monotonic() - began, 1),
        on=f"{datetime.now(UTC):%Y-%m-%d}",
        error=error,
    )


def run(cells: list[Cell], jobs: int) -> list[Result]:
    """Carry cells out on ``jobs`` harnesses, and print each as it ends."""
    waiting: queue.SimpleQueue[Cell] = queue.SimpleQueue()
    for cell in cells:
        waiting.put(cell)
    results: list[Result] = []
    references, lock = References(), threading.Lock()

    harnesses: list[Harness] = []

    def stop(*_: object) -> None:
        for harness in harnesses:
            harness.abandon()
        os._exit(143)

    signal.signal(signal.SIGTERM, stop)

    def work() -> None:
        with Harness() as harness:
            harnesses.append(harness)
            stage = Stage(harness, references)
            while True:
                try:
                    cell = waiting.get_nowait()
                except queue.Empty:
                    return
                result = play(cell, stage)
                with lock:
                    results.append(result)
                    report.keep(asdict(result))
                    mark = "ok  " if result.passed else "FAIL"
                    print(
                        f"{len(results):3}/{len(cells)} {mark} {result.seconds:6.1f} s  {cell.name}",
                        flush=True,
                    )
                    if result.error:
                        print("      " + result.error.strip().replace("\n", "\n      "), flush=True)

    threads = [threading.Thread(target=work) for _ in range(jobs)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument(
        "-k", default="", metavar="TEXT", help="only cells whose group or name has this in it"
    )
    parser.add_argument("--jobs", type=int, default=2, help="how many cells at once (default: 2)")
    parser.add_argument(
        "--missing", action="store_true", help="only cells without a passed result in build/faults.json"
    )
    parser.add_argument("--list", action="store_true", help="name the cells and do nothing")
    options = parser.parse_args()
    cells = [cell for cell in matrix() if re.search(options.k, f"{cell.group}: {cell.name}")]
    if options.missing:
        passed = {name for name, result in report.results().items() if result["passed"]}
        cells = [cell for cell in cells if cell.name not in passed]
    if options.list or not cells:
        for cell in cells:
            print(f"{cell.group}: {cell.name}")
        print(f"{len(cells)} cells")
        return 0 if cells else 2
    began = time.monotonic()
    results = run(cells, min(options.jobs, len(cells)))
    seconds = time.monotonic() - began
    failed = sum(not one.passed for one in results)
    print(f"{len(results)} cells, {failed} failed, {seconds:.0f} s")
    if len(results) < len(cells):
        print(f"{len(cells) - len(results)} cells were not carried out")
        return 1
    report.write([cell.name for cell in matrix()])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
