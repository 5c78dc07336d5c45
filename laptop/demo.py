"""The demonstration: the pipeline on sample data or on your own files, in a lake made for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from time import monotonic
from typing import IO, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from laptop import airflow_stack, aws, facility_accreditation, lifecycle, processes, report, uploads
from laptop.mirror import mirror
from laptop.stack import ROOT, Stack
from medlaunch.lake import PROD, PUBLICATIONS, QUARANTINE, REPORTS, report_key, run_key
from medlaunch.pipelines import FACILITY_ACCREDITATION
from sample_data import facilities

PIPELINE = FACILITY_ACCREDITATION
DAG_ID, DATASET = PIPELINE.dag_id, PIPELINE.datasets[0]
SAMPLE_RECORDS = 3_000
BUILD = ROOT / "build"

_MARKS = {"success": "[green]done[/]", "skipped": "[dim]skipped[/]", "failed": "[red]failed[/]", "up_for_retry": "[yellow]again[/]"}  # fmt: skip
_START_SECONDS = 60.0


class DemoFailed(RuntimeError):
    """The demonstration did not come to its end, and why."""


def run(
    console: Console,
    *,
    own_uploads: Path | None = None,
    as_of: str | None = None,
    expiry_window: str | None = None,
    build: Path = BUILD,
) -> None:
    """Run the pipeline for real and show what it did; results are copied to ``build/demo``.

    Raises:
        DemoFailed, uploads.CannotUpload: with what is wrong and where to look.
    """
    began = monotonic()
    conf = {name: value for name, value in (("as_of", as_of), ("expiry_window", expiry_window)) if value}
    if own_uploads is None:
        conf.setdefault("as_of", facilities.DEFAULT_AS_OF)
    else:
        uploads.find_files(own_uploads, DATASET)  # before anything is started
    work, log = build / ".demo", build / "demo.log"
    with ExitStack() as closing:
        closing.enter_context(_alone(build))
        shutil.rmtree(work, ignore_errors=True)
        closing.callback(shutil.rmtree, work, ignore_errors=True)
        stack = _private_stack(work)
        with log.open("wb") as airflow_log:
            _say(console, "Starting local AWS and loading Airflow")
            closing.enter_context(_child(_aws_command(stack), stack, airflow_log))
            airflow_stack.prepare(stack)
            dag = closing.enter_context(_DagRun(stack, airflow_log, log))
            folder = own_uploads or _sample(console, work / "uploads")
            processes.wait_until(lambda: aws.answers(stack), "local AWS", seconds=_START_SECONDS)
            aws.bootstrap(stack)
            _upload(console, stack, folder)
            run_id, state = dag.run(console, conf)
        lake = aws.client(stack, "s3")
        bucket, key = stack.settings.bucket, report_key(DAG_ID, run_key(run_id))
        paths = mirror(
            lake, bucket, (f"{PROD}/", f"{QUARANTINE}/", f"{REPORTS}/", f"{PUBLICATIONS}/"), build / "demo"
        )
        if state != "success":
            raise DemoFailed(
                f"The run {run_id} ended as {state}. Airflow's log: {log}. Copied: {build / 'demo'}"
            )
        if key not in paths:
            raise DemoFailed(
                f"The run {run_id} succeeded but wrote no report to s3://{bucket}/{key}. See {log}."
            )
        found = json.loads(paths[key].read_bytes())
        _show(console, stack, found, paths, key)
    _say(
        console,
        f"Everything above is in {build / 'demo'}; Airflow's log in {log}. {monotonic() - began:.1f} s.",
    )
    if not report.adds_up(found):
        raise DemoFailed(f"The lines do not add up: {json.dumps(found['lines'])}. See {paths[key]}.")
    _say(console, "Every line is accounted for: read = accepted + superseded + rejected.")


def _aws_command(stack: Stack) -> list[str]:
    module = [sys.executable, "-m", "laptop.aws_process"]
    return [*module, str(stack.aws_port), str(stack.aws_state)]


def _private_stack(work: Path) -> Stack:
    (work / "tmp").mkdir(parents=True)
    return Stack(
        home=work,
        aws_port=lifecycle.free_port(),
        airflow_port=lifecycle.free_port(),  # nothing listens there; it is part of URLs
        overrides={
            "TMPDIR": str(work / "tmp"),
            "MEDLAUNCH_ATHENA_POLL_SECONDS": "0.05",
            "MEDLAUNCH_RETRY_DELAY_SECONDS": "1",
            "MEDLAUNCH_ENVIRONMENT": "demo",
            # dag.test() ignores deferral timeouts: the files are there before the sensor looks.
            "MEDLAUNCH_SENSOR_POKE_SECONDS": "1",
        },
    )


@contextmanager
def _alone(build: Path) -> Iterator[None]:
    """One demonstration at a time: they share ``build/demo``."""
    import fcntl

    build.mkdir(parents=True, exist_ok=True)
    with (build / ".demo.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DemoFailed(
                "Another demonstration is running in this folder. Wait until it has ended."
            ) from error
        yield


@contextmanager
def _child(
    command: list[str], stack: Stack, airflow_log: IO[bytes], **options: Any
) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with this block, and with this process however that one ends."""
    child = subprocess.Popen(  # noqa: S603  # our own commands
        command,
        env=stack.environment(),
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=airflow_log,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C is ours to handle
        **options,
    )
    try:
        yield child
    finally:
        # Nothing of it is kept, so there is nothing to wait for.
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        if child.stdin:
            child.stdin.close()


class _DagRun:
    """The process that runs the DAG; it loads Airflow while everything else is prepared."""

    def __init__(self, stack: Stack, airflow_log: IO[bytes], log: Path):
        self._closing = ExitStack()
        self._log = log
        read, write = os.pipe()
        try:
            command = [sys.executable, "-m", "laptop.demo_run", DAG_ID, str(write)]
            self._process = self._closing.enter_context(
                _child(command, stack, airflow_log, pass_fds=(write,))
            )
        finally:
            os.close(write)
        self._events = self._closing.enter_context(os.fdopen(read, encoding="utf-8"))

    def __enter__(self) -> _DagRun:
        return self

    def __exit__(self, *details: object) -> None:
        self._closing.close()

    def run(self, console: Console, conf: dict[str, str]) -> tuple[str, str]:
        """Run the DAG, showing what its tasks do; returns run id and state."""
        _say(console, f"Running the DAG {DAG_ID} with {json.dumps(conf)}")
        assert self._process.stdin
        with _TaskProgress(console) as progress:
            for line in self._events:
                event = json.loads(line)
                if event["event"] == "ready":
                    self._process.stdin.write(json.dumps(conf).encode() + b"\n")
                    self._process.stdin.flush()
                elif event["event"] == "task":
                    progress.show(event)
                elif event["event"] == "run":
                    return event["run_id"], event["state"]
                elif event["event"] == "error":
                    raise DemoFailed(f"The DAG {DAG_ID} could not be run. {event['text']}")
        raise DemoFailed(f"Airflow ended before the run had. Its log: {self._log}")


class _TaskProgress:
    """A line for each task as it ends, and what runs now where there is a terminal."""

    def __init__(self, console: Console):
        self._console = console
        self._began: dict[str, float] = {}
        self._status = console.status("") if console.is_terminal else None

    def __enter__(self) -> _TaskProgress:
        if self._status:
            self._status.start()
        return self

    def __exit__(self, *details: object) -> None:
        if self._status:
            self._status.stop()

    def show(self, event: dict[str, Any]) -> None:
        mapped = event["map_index"] is not None and event["map_index"] >= 0
        index = event["label"] or event["map_index"]
        name = event["task"] + (f" ({index})" if mapped else "")
        where = f"{event['task']}.{event['map_index']}"
        if event["state"] == "running":
            self._began[where] = monotonic()
            if self._status:
                self._status.update(f"{name} ...")
            return
        seconds = monotonic() - self._began.get(where, monotonic())
        table = Table.grid(padding=(0, 1))
        for width in (2, 56, 8, 8):
            table.add_column(width=width, no_wrap=True, justify="right" if width == 8 else "left")
        table.add_row("", name, f"{seconds:.1f} s", _MARKS[event["state"]])
        self._console.print(table)
        if error := event.get("error"):
            self._console.print(f"       {error}", style="red", markup=False)


def _sample(console: Console, folder: Path) -> Path:
    found = facilities.write_uploads(folder, records=SAMPLE_RECORDS)
    days = ", ".join(found.snapshots)
    _say(console, f"Made {len(found.files)} sample files, {found.total('lines'):,} lines: snapshots {days}")
    return folder


def _upload(console: Console, stack: Stack, folder: Path) -> None:
    files = uploads.find_files(folder, DATASET)
    bucket = stack.settings.bucket
    put = uploads.put_with(aws.client(stack, "s3"), bucket)
    size = sum(file.size for file in files) / 1e6
    _say(
        console,
        f"Uploading {len(files):,} files ({size:,.1f} MB) to s3://{bucket}/landing/ in the order of their times",
    )
    columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(files))
        for _ in uploads.upload(files, put):
            progress.advance(bar)


def _show(console: Console, stack: Stack, found: dict[str, Any], paths: dict[str, Path], key: str) -> None:
    console.print()
    console.print(report.what_was_read(found))
    if found["skipped"]:
        console.print(report.skipped(found))
    if found["slices"]:
        for table in facility_accreditation.results(found, lambda sql: aws.select(stack, sql)):
            console.print(table)
    else:
        console.print("There was nothing to publish.")
    short = {
        one: path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
        for one, path in paths.items()
    }
    console.print(report.where_results_are(found, short, key), soft_wrap=True)
    console.print()


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
