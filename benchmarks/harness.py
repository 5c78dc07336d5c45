"""Candidates side by side: each run in a fresh process, rounds interleaved, medians of seconds.

The first round only warms the file cache. A process reports its own seconds (imports excluded), by the
clock and of the processor, and the peak of its own resident memory; what a candidate returns must be the
same in every round. Where nothing but this machine is waited for, ratios are of processor time, its
system's share included: whatever else runs here meanwhile would blur those of the clock.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

ROOT = Path(__file__).parents[1]
ROUNDS = 5
SIZES = (100_000, 1_000_000)
SEED = 7
FACILITY_SNAPSHOT = "2026-11-01"
AS_OF = "2026-11-20"
WINDOW = "P6M"


@dataclass(frozen=True)
class Measured:
    """Median seconds by the clock and of the processor, greatest peak of memory in MB, and the result."""

    seconds: float
    cpu_seconds: float
    peak_mb: float
    result: Any


class OneSlice:
    """Bronze of one slice, in one file."""

    def __init__(self, file: BinaryIO):
        self._file = file

    def write(self, slice_: str, lines: bytes) -> None:  # noqa: ARG002 - of the protocol
        self._file.write(lines)


def environment() -> dict[str, str]:
    """Environment in which a candidate finds this repository's modules."""
    path = os.pathsep.join((str(ROOT), str(ROOT / "plugins")))
    return os.environ | {"PYTHONPATH": path}


def measure(
    module: str, candidates: Mapping[str, Sequence[object]], rounds: int = ROUNDS
) -> dict[str, Measured]:
    """Run each candidate (name of a function of the module -> its arguments) ``rounds`` times, by turns."""
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in candidates}
    for number in range(rounds + 1):
        for name, arguments in candidates.items():
            command = [sys.executable, "-m", module, name.split(":")[0], *map(str, arguments)]
            done = subprocess.run(  # noqa: S603 - our own module
                command, env=environment(), cwd=ROOT, capture_output=True, text=True, check=False
            )
            if done.returncode:
                raise RuntimeError(f"{' '.join(command)} ended with status {done.returncode}:\n{done.stderr}")
            if number:
                runs[name].append(json.loads(done.stdout.splitlines()[-1]))
    measured = {}
    for name, results in runs.items():
        (result,) = {json.dumps(one["result"], sort_keys=True) for one in results}
        measured[name] = Measured(
            statistics.median(one["seconds"] for one in results),
            statistics.median(one["cpu_seconds"] for one in results),
            max(one["peak_mb"] for one in results),
            json.loads(result),
        )
    return measured


def run_candidate(
    candidates: Mapping[str, Callable[..., Any]], imports: Mapping[str, tuple[str, ...]]
) -> None:
    """Run the candidate that the command line names, its modules imported before, and print what it took."""
    name, *arguments = sys.argv[1:]
    for module in imports.get(name, ()):
        importlib.import_module(module)
    started, cpu_started = time.perf_counter(), time.process_time()
    result = candidates[name](*arguments)
    cpu_seconds, seconds = time.process_time() - cpu_started, time.perf_counter() - started
    measured = {"seconds": seconds, "cpu_seconds": cpu_seconds, "peak_mb": peak_mb(), "result": result}
    print(json.dumps(measured))


def peak_mb() -> float:
    """Peak resident memory of this process."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not getrusage: on Linux it begins with what the parent had when it started this process.
        (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2  # bytes, on macOS


def facilities_file(records: int, gzipped: bool = False) -> Path:
    """A generated upload, 1 % of its lines defective; made once and kept under build/bench/."""
    path = ROOT / "build" / "bench" / f"facilities-{records}-{SEED}.jsonl{'.gz' if gzipped else ''}"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f"unfinished-{path.name}")
        command = [sys.executable, "-m", "sample_data", "facilities", "--single", str(unfinished)]
        command += ["--records", str(records), "--seed", str(SEED), "--as-of", AS_OF]
        subprocess.run(command, env=environment(), cwd=ROOT, check=True, capture_output=True)  # noqa: S603
        unfinished.rename(path)
    return path


def megabytes(path: Path) -> float:
    return path.stat().st_size / 1e6


def row(
    what: str, base: str, other: Measured, ours: Measured, goal: str = "", by_the_clock: bool = False
) -> dict[str, Any]:
    """A row of the results: how often ``ours`` is as fast as ``other``."""

    def seconds(one: Measured) -> float:
        return one.seconds if by_the_clock else one.cpu_seconds

    unit = "s" if by_the_clock else "s CPU"
    return {
        "what": what,
        "plain": f"{seconds(other):.2f} {unit} {base}, {other.peak_mb:,.0f} MB",
        "ours": f"{seconds(ours):.2f} {unit}, {ours.peak_mb:,.0f} MB",
        "ratio": seconds(other) / seconds(ours),
        "goal": goal,
        "seconds": ours.seconds,
        "cpu_seconds": ours.cpu_seconds,
        "peak_mb": ours.peak_mb,
    }
