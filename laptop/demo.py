"""A demonstration: a pipeline on sample data or on your own files, in a lake made for it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from time import monotonic
from typing import IO, Any

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table

from laptop import airflow_stack, aws, lifecycle, processes, report, uploads
from laptop.mirror import mirror
from laptop.stack import ROOT, Stack
from medlaunch.declaration import Pipeline
from medlaunch.lake import report_key, run_key
from medlaunch.operate.report import many

BUILD = ROOT / "build"

_MARKS = {"success": "[green]done[/]", "skipped": "[dim]skipped[/]", "failed": "[red]failed[/]", "up_for_retry": "[yellow]again[/]"}  # fmt: skip
_START_SECONDS = 60.0
_QUERY_SECONDS = 600.0

Select = Callable[[str], list[dict[str, str | None]]]
Say = Callable[[str], None]


class DemoFailed(RuntimeError):
    """The demonstration did not come to its end, and why."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """The report of one pipeline of one run, and its key."""

    pipeline: Pipeline
    key: str
    content: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Shown:
    """What there is to show at the end: the reports of all runs, queries on Athena, and where copies of objects are.

    ``folder`` holds the copies; more may be written there. ``uploaded`` are the files of all runs.
    """

    reports: Sequence[Report]
    uploaded: Sequence[uploads.LocalFile]
    select: Select
    table: Callable[[str], tuple[list[str], list[list[str | None]]]]
    paths: Mapping[str, Path]
    folder: Path


@dataclass(frozen=True, kw_only=True)
class Demonstration:
    """What one demonstration is about.

    Attributes:
        pipelines: of one DAG.
        name: of the folder with the results, below the folder ``build``, and of its log.
        copied: prefixes of the lake that are copied there.
        sample: writes sample uploads to a folder, and says what it made.
        sample_conf: params for these.
        rounds: the files of a folder, which may be the sample, in the order of upload; each list is uploaded and
            followed by a run.
        show: what is shown at the end.
        check: what is wrong with the outcome, if anything; the exit status says so.
    """

    pipelines: tuple[Pipeline, ...]
    name: str
    copied: tuple[str, ...]
    sample: Callable[[Path], str]
    sample_conf: Mapping[str, Any]
    rounds: Callable[[Path, bool], list[list[uploads.LocalFile]]]
    show: Callable[[Shown], Iterator[RenderableType]]
    check: Callable[[Shown], str | None]

    @property
    def dag_id(self) -> str:
        return self.pipelines[0].dag_id


def run(
    console: Console,
    what: Demonstration,
    *,
    own_uploads: Path | None = None,
    conf: Mapping[str, Any],
    build: Path = BUILD,
) -> None:
    """Run a DAG for real and show what it did; results are copied to ``build``.

    Raises:
        DemoFailed, uploads.CannotUpload: with what is wrong and where to look.
    """
    began = monotonic()
    if own_uploads is None:
        conf = {**what.sample_conf, **conf}
    else:
        what.rounds(own_uploads, False)  # before anything is started
    folder, work, log = build / what.name, build / f".{what.name}", build / f"{what.name}.log"
    with ExitStack() as closing:
        closing.enter_context(_alone(build, what.name))
        shutil.rmtree(work, ignore_errors=True)
        closing.callback(shutil.rmtree, work, ignore_errors=True)
        stack = _private_stack(work)
        with log.open("wb") as airflow_log:
            _say(console, "Starting local AWS and loading Airflow")
            closing.enter_context(_child(_aws_command(stack), stack, airflow_log))
            airflow_stack.prepare(stack)
            dag = closing.enter_context(_DagRun(what.dag_id, stack, airflow_log, log))
            if own_uploads is None:
                _say(console, what.sample(work / "uploads"))
            rounds = what.rounds(own_uploads or work / "uploads", own_uploads is None)
            processes.wait_until(lambda: aws.answers(stack), "local AWS", seconds=_START_SECONDS)
            aws.bootstrap(stack)
            runs = []
            for files in rounds:
                _upload(console, stack, files)
                runs.append(dag.run(console, conf))
                if runs[-1][1] != "success":
                    break
        bucket = stack.settings.bucket
        paths = mirror(aws.client(stack, "s3"), bucket, what.copied, folder)
        for run_id, state in runs:
            if state != "success":
                raise DemoFailed(f"The run {run_id} ended as {state}. Airflow's log: {log}. Copied: {folder}")
        shown = Shown(
            reports=[one for run_id, _ in runs for one in _reports(what, run_id, paths, log)],
            uploaded=[file for files in rounds for file in files],
            select=partial(aws.select, stack, seconds=_QUERY_SECONDS),
            table=partial(aws.table, stack, seconds=_QUERY_SECONDS),
            paths=paths,
            folder=folder,
        )
        console.print()
        for part in what.show(shown):
            console.print(part, soft_wrap=True)
        console.print()
        wrong = what.check(shown)
    _say(console, f"Everything above is in {folder}; Airflow's log in {log}. {monotonic() - began:.1f} s.")
    if wrong:
        raise DemoFailed(wrong)
    _say(console, "Every line is accounted for: read = accepted + superseded + rejected.")


@contextmanager
def samples_published(
    console: Console, demonstrations: Sequence[Demonstration], *, build: Path = BUILD
) -> Iterator[Stack]:
    """A lake with the samples of several demonstrations, published by their DAGs, for as long as the block runs.

    Raises:
        DemoFailed: naming the run that did not succeed, and its log.
    """
    name = "demo-dashboard"
    work, log = build / f".{name}", build / f"{name}.log"
    with ExitStack() as closing:
        closing.enter_context(_alone(build, name))
        shutil.rmtree(work, ignore_errors=True)
        closing.callback(shutil.rmtree, work, ignore_errors=True)
        stack = _private_stack(work)
        airflow_log = closing.enter_context(log.open("wb"))
        _say(console, "Starting local AWS and loading Airflow")
        closing.enter_context(_child(_aws_command(stack), stack, airflow_log))
        airflow_stack.prepare(stack)
        processes.wait_until(lambda: aws.answers(stack), "local AWS", seconds=_START_SECONDS)
        aws.bootstrap(stack)
        for what in demonstrations:
            with _DagRun(what.dag_id, stack, airflow_log, log) as dag:
                folder = work / "uploads" / what.name
                _say(console, what.sample(folder))
                for files in what.rounds(folder, True):
                    _upload(console, stack, files)
                    run_id, state = dag.run(console, what.sample_conf)
                    if state != "success":
                        raise DemoFailed(f"The run {run_id} ended as {state}. Airflow's log: {log}.")
        yield stack


def _reports(what: Demonstration, run_id: str, paths: Mapping[str, Path], log: Path) -> list[Report]:
    """The reports of a run; a pipeline for which nothing was there has none.

    Raises:
        DemoFailed: if there is none at all.
    """
    keys = {report_key(one.name, run_key(run_id)): one for one in what.pipelines}
    found = [
        Report(pipeline=pipeline, key=key, content=json.loads(paths[key].read_bytes()))
        for key, pipeline in keys.items()
        if key in paths
    ]
    if not found:
        raise DemoFailed(f"The run {run_id} succeeded but wrote no report ({', '.join(keys)}). See {log}.")
    return found


def reports_add_up(shown: Shown) -> str | None:
    """What is wrong with the lines of the reports, if anything."""
    for one in shown.reports:
        if not report.adds_up(one.content):
            return f"The lines do not add up: {json.dumps(one.content['lines'])}. See {shown.paths[one.key]}."
    return None


def short(paths: Mapping[str, Path]) -> dict[str, Path]:
    """Paths as people read them: from the current folder on, if they are in it."""
    here = Path.cwd()
    return {key: path.relative_to(here) if path.is_relative_to(here) else path for key, path in paths.items()}


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
def _alone(build: Path, name: str) -> Iterator[None]:
    """One demonstration of a name at a time: they share its folder."""
    import fcntl

    build.mkdir(parents=True, exist_ok=True)
    with (build / f".{name}.lock").open("w") as lock:
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

    def __init__(self, dag_id: str, stack: Stack, airflow_log: IO[bytes], log: Path):
        self._closing = ExitStack()
        self._dag_id, self._log = dag_id, log
        self._is_ready = False
        read, write = os.pipe()
        try:
            command = [sys.executable, "-m", "laptop.demo_run", dag_id, str(write)]
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

    def run(self, console: Console, conf: Mapping[str, Any]) -> tuple[str, str]:
        """Run the DAG once more, showing what its tasks do; returns run id and state."""
        _say(console, f"Running the DAG {self._dag_id} with {json.dumps(conf)}")
        if self._is_ready:
            self._start(conf)
        with _TaskProgress(console) as progress:
            for line in self._events:
                event = json.loads(line)
                if event["event"] == "ready":
                    self._is_ready = True
                    self._start(conf)
                elif event["event"] == "task":
                    progress.show(event)
                elif event["event"] == "run":
                    return event["run_id"], event["state"]
                elif event["event"] == "error":
                    raise DemoFailed(f"The DAG {self._dag_id} could not be run. {event['text']}")
        raise DemoFailed(f"Airflow ended before the run had. Its log: {self._log}")

    def _start(self, conf: Mapping[str, Any]) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(conf).encode() + b"\n")
        self._process.stdin.flush()


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


def _upload(console: Console, stack: Stack, files: Sequence[uploads.LocalFile]) -> None:
    bucket = stack.settings.bucket
    put = uploads.put_with(aws.client(stack, "s3"), bucket)
    size = sum(file.size for file in files) / 1e6
    _say(
        console,
        f"Uploading {many(len(files), 'file')} ({size:,.1f} MB) to s3://{bucket}/landing/ in the order of their times",
    )
    columns = (TextColumn("  "), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=len(files))
        for _ in uploads.upload(files, put):
            progress.advance(bar)


def _say(console: Console, text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)
