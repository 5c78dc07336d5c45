"""Processes that outlive the command that starts them, and that can be stopped without leaving one behind.

Each is the leader of a session of its own. Airflow gives every task a process group of its own, so that a
group is not enough to find them all again; the session is.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import psutil

_TICK_SECONDS = 0.1
_children: list[subprocess.Popen[bytes]] = []


class ProcessEnded(RuntimeError):
    """A process that was waited for has ended."""


class StillThere(RuntimeError):
    """Something is in the way: a process that would not end, or one that runs already."""


@dataclass(frozen=True)
class Process:
    """A started process; ``created`` (seconds since 1970) tells it from a later one with the same id."""

    name: str
    pid: int
    created: float
    log: str

    def is_running(self) -> bool:
        try:
            process = psutil.Process(self.pid)
            return abs(process.create_time() - self.created) < 1 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    def family(self) -> list[psutil.Process]:
        """The process and everything that came from it: its session and its descendants."""
        found: dict[int, psutil.Process] = {}
        if self.is_running():
            leader = psutil.Process(self.pid)
            found[self.pid] = leader
            with _gone_is_fine():
                found |= {one.pid: one for one in leader.children(recursive=True)}
        for one in psutil.process_iter():
            with _gone_is_fine():
                if os.getsid(one.pid) == self.pid and one.create_time() >= self.created - 1:
                    found[one.pid] = one
        return [one for one in found.values() if _is_alive(one)]

    def tail(self, lines: int = 15) -> str:
        """The end of its log."""
        try:
            text = Path(self.log).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return ""
        return "\n".join(text.splitlines()[-lines:])

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class _gone_is_fine:  # noqa: N801  # reads as what it does
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, value: object, trace: object) -> bool:
        return kind is not None and issubclass(kind, (psutil.Error, ProcessLookupError, PermissionError))


def _is_alive(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def start(
    name: str, command: Sequence[str], *, environment: Mapping[str, str], log: Path, folder: Path
) -> Process:
    """Start a process that survives this one, in a session of its own; its output goes to ``log``."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        popen = subprocess.Popen(  # noqa: S603  # our own commands
            list(command),
            env=dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _children.append(popen)
    return Process(name, popen.pid, psutil.Process(popen.pid).create_time(), str(log))


def stop(processes: Iterable[Process], timeout_seconds: float = 15.0) -> int:
    """End processes with all that came from them; returns how many there were.

    The leaders are asked first, so that they can put things away and end their children; after
    ``timeout_seconds`` they are killed.

    Raises:
        StillThere: naming what could not be ended.
    """
    processes = list(processes)
    family = {one.pid: one for process in processes for one in process.family()}
    for process in processes:
        if process.is_running():
            os.kill(process.pid, signal.SIGTERM)
    _wait_until_gone([psutil.Process(p.pid) for p in processes if p.is_running()], timeout_seconds)
    for send in (signal.SIGTERM, signal.SIGKILL):
        family |= {one.pid: one for process in processes for one in process.family()}
        rest = [one for one in family.values() if _is_alive(one)]
        for one in rest:
            with _gone_is_fine():
                one.send_signal(send)
        _wait_until_gone(rest, min(timeout_seconds, 5) if send is signal.SIGTERM else 5)
    left = [one for one in family.values() if _is_alive(one)]
    if left:
        raise StillThere(f"Processes that would not end: {', '.join(str(one.pid) for one in left)}")
    return len(family)


def _wait_until_gone(processes: Sequence[psutil.Process], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while any(_is_alive(one) for one in processes) and time.monotonic() < deadline:
        time.sleep(_TICK_SECONDS)
    for popen in _children:
        popen.poll()  # collects it if it has ended; it would stay as a zombie as long as we run


def wait_until(
    condition: Callable[[], bool], what: str, *, seconds: float, watch: Iterable[Process] = ()
) -> None:
    """Wait until a condition holds.

    Raises:
        ProcessEnded: as soon as a watched process has ended, with the end of its log.
        TimeoutError: if the condition does not hold in time.
    """
    watch = list(watch)
    deadline = time.monotonic() + seconds
    while not condition():
        for process in watch:
            if not process.is_running():
                raise ProcessEnded(
                    f"{process.name} ended while waiting for {what}. The end of its log, {process.log}:\n{process.tail()}"
                )
        if time.monotonic() > deadline:
            logs = ", ".join(process.log for process in watch)
            raise TimeoutError(f"{what}: not within {seconds:.0f} s. See {logs or 'the logs'}.")
        time.sleep(_TICK_SECONDS)
