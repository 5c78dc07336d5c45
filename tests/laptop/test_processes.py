"""Processes are started apart, and stopped with all that came from them."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psutil
import pytest

from laptop import processes
from laptop.processes import Process, ProcessEnded

# A process that ignores being asked, with a child in a process group of its own (as Airflow's tasks have),
# which ignores it as well, and a grandchild that has lost its parent.
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
for depth in (1, 2):
    if os.fork() == 0:
        os.setpgid(0, 0)
        if depth == 2 and os.fork():
            os._exit(0)
        break
with open(sys.argv[1], "a") as file:
    file.write(f"{os.getpid()}\\n")
while True:
    time.sleep(60)
"""


def started(tmp_path: Path, program: str, *arguments: str) -> Process:
    command = [sys.executable, "-c", program, *arguments]
    return processes.start(
        "test", command, environment=dict(os.environ), log=tmp_path / "log", folder=tmp_path
    )


def test_nothing_is_left_of_a_stubborn_family(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    process = started(tmp_path, STUBBORN, str(pids))
    processes.wait_until(
        lambda: pids.exists() and len(pids.read_text().split()) == 3, "the family", seconds=30
    )
    family = [int(pid) for pid in pids.read_text().split()]
    assert process.is_running()
    assert {one.pid for one in process.family()} >= set(family)
    assert processes.stop([process], timeout_seconds=0.1) >= 3
    assert not process.is_running()
    assert process.family() == []
    assert not any(psutil.pid_exists(pid) and psutil.Process(pid).status() != "zombie" for pid in family)
    assert processes.stop([process]) == 0


def test_orphans_of_a_leader_that_crashed_are_found(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    process = started(tmp_path, STUBBORN, str(pids))
    processes.wait_until(
        lambda: pids.exists() and len(pids.read_text().split()) == 3, "the family", seconds=30
    )
    os.kill(process.pid, 9)
    processes.wait_until(lambda: not process.is_running(), "the crash", seconds=30)
    assert len(process.family()) == 2
    assert processes.stop([process], timeout_seconds=0.1) == 2
    assert process.family() == []


def test_another_process_with_the_same_id_is_left_alone() -> None:
    me = psutil.Process()
    stranger = Process("test", me.pid, me.create_time() - 1000, "log")
    assert not stranger.is_running()
    assert Process("test", me.pid, me.create_time(), "log").is_running()


def test_waiting_ends_with_the_process_and_shows_its_log(tmp_path: Path) -> None:
    process = started(tmp_path, "print('the port is taken'); raise SystemExit(3)")
    with pytest.raises(ProcessEnded, match=r"(?s)test ended while waiting for godot.*the port is taken"):
        processes.wait_until(lambda: False, "godot", seconds=30, watch=[process])


def test_waiting_has_an_end() -> None:
    with pytest.raises(TimeoutError, match="godot"):
        processes.wait_until(lambda: False, "godot", seconds=0)
