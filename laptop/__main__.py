"""``python -m laptop <command>``: the stack on a laptop. ``make help`` lists the same commands."""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from laptop import (
    aws,
    clinical_quality,
    dashboard,
    demo,
    facility_accreditation,
    lifecycle,
    nurse_staffing,
    report,
    sql,
    uploads,
)
from laptop.airflow_stack import Airflow, AirflowError
from laptop.stack import AIRFLOW_PORT, DEFAULT_HOME, LOCAL_AWS_PORT, ROOT, Stack
from medlaunch.settings import SettingsError

EXPECTED = (
    uploads.CannotUpload,
    demo.DemoFailed,
    lifecycle.PortTaken,
    lifecycle.processes.ProcessEnded,
    lifecycle.processes.StillThere,
    AirflowError,
    aws.QueryFailed,
    SettingsError,
    dashboard.NoEnvironment,
    TimeoutError,
)


class NotRunning(RuntimeError):
    """A command that needs the stack to be up."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit status: 0, or 1 with a message of what is wrong."""
    arguments = _parser().parse_args(argv)
    console = report.console_for()
    try:
        return arguments.command(console, arguments)
    except (*EXPECTED, NotRunning) as error:
        Console(stderr=True, highlight=False).print(f"{error}", style="red", markup=False, soft_wrap=True)
        return 1
    except KeyboardInterrupt:
        Console(stderr=True).print("Stopped.")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m laptop", description="The stack on a laptop.")
    parser.add_argument(
        "--home",
        type=Path,
        default=DEFAULT_HOME,
        help="folder of the stack's state and logs (default: .local)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: object, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.set_defaults(command=command)
        return added

    add("up", _up, "start local AWS and Airflow, and wait until they are healthy")
    add("down", _down, "stop them; the lake and Airflow's history are kept")
    add("status", _status, "what runs, where, and whether it is healthy")
    one = add("upload", _upload, "put one file into landing")
    one.add_argument("--file", type=Path, required=True)
    one.add_argument("--snapshot", required=True, help="YYYY-MM-DD")
    one.add_argument("--name", help="its name in the lake, if it is to have another")
    one = add("demo", _demo, "run the pipeline on sample data, or on your own files, and show what it did")
    one.add_argument("--uploads", type=Path, help="folder with <YYYY-MM-DD>/<files> (default: sample data)")
    one.add_argument("--as-of", help="YYYY-MM-DD (default: today in UTC; with sample data, their day)")
    one.add_argument("--expiry-window", help="such as P6M or P180D (default: P6M)")
    one.add_argument(
        "--build", type=Path, default=demo.BUILD, help="where demo/ and demo.log go (default: build)"
    )
    one = add("demo-staffing", _demo_staffing, "the same for files of CMS: PBJ and Provider Information")
    one.add_argument(
        "--uploads", type=Path, help="folder with pbj/ and provider_info/ (default: sample data)"
    )
    one.add_argument(
        "--build", type=Path, default=demo.BUILD, help="where demo-staffing/ and its log go (default: build)"
    )
    one = add("demo-clinical", _demo_clinical, "the same for FHIR resources")
    one.add_argument(
        "--uploads",
        type=Path,
        help="folder with {patients,encounters,conditions,bundles}/ (default: sample data)",
    )
    one.add_argument(
        "--data-end", help="last day that the data cover, YYYY-MM-DD (default: the last discharge)"
    )
    one.add_argument(
        "--stay-classes", help="codes of Encounter.class that are stays (default: IMP,ACUTE,NONAC)"
    )
    one.add_argument(
        "--build", type=Path, default=demo.BUILD, help="where demo-clinical/ and its log go (default: build)"
    )
    one = add("alerts", _alerts, "show the alerts that were published")
    one.add_argument("--delete", action="store_true", help="and take them out of the queue")
    one = add("trigger", _trigger, "start a DAG, wait for its end, and show the run's note")
    one.add_argument("dag_id")
    one.add_argument("--conf", type=json.loads, default={}, help="its params, as JSON")
    one.add_argument("--seconds", type=float, default=600, help="how long to wait for its end (default: 600)")
    one = add("sql", _sql, "run a statement on Athena, and show its rows; without one, a prompt")
    one.add_argument("statement", nargs="?")
    one.add_argument(
        "--format",
        choices=sql.FORMATS,
        help="how rows are shown (default: as a table, or one column per line where that is wider than the terminal)",
    )
    add(
        "demo-dashboard",
        _demo_dashboard,
        "fill a lake with the samples of all pipelines and run the dashboard over it",
    )
    add("dashboard", _dashboard, "run the dashboard over the running stack, in this terminal")
    add("airflow-env", _airflow_env, 'print the stack\'s environment for a shell: eval "$(... airflow-env)"')
    return parser


def _stack(arguments: argparse.Namespace) -> Stack:
    return Stack(
        arguments.home.resolve(), _port("LOCAL_AWS_PORT", LOCAL_AWS_PORT), _port("AIRFLOW_PORT", AIRFLOW_PORT)
    )


def _port(name: str, default: int) -> int:
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or not 0 < int(value) < 65536:
        raise lifecycle.PortTaken(f"{name}={value!r} is not a port. Choose one from 1024 to 65535.")
    return int(value)


def _running(arguments: argparse.Namespace) -> Stack:
    stack = lifecycle.as_started(_stack(arguments))
    if not any(one.is_running() for one in lifecycle.running(stack)):
        raise NotRunning(f"No stack is running in {stack.home}. Start it: make up")
    return stack


def _up(console: Console, arguments: argparse.Namespace) -> int:
    stack = _stack(arguments)
    try:
        lifecycle.up(stack, lambda text: console.print(text, markup=False, soft_wrap=True))
    except lifecycle.AlreadyRunning as error:
        console.print(f"{error}.", markup=False, soft_wrap=True)
        return _status(console, arguments)
    console.print(_next_steps(stack), markup=False, soft_wrap=True)
    return 0


def _next_steps(stack: Stack) -> str:
    port = _port("DASHBOARD_PORT", dashboard.PORT)
    how = "" if dashboard.answers(port) else "  (start it: make dashboard)"
    return f"""
  Airflow     {stack.airflow_url}  (no login)
  dashboard   {dashboard.url(port)}{how}
  local AWS   {stack.aws_url}  (AWS_ENDPOINT_URL)
  lake        s3://{stack.settings.bucket}, kept in {stack.aws_state}
  logs        {stack.logs}

Drop a file, and the DAG reacts:   make upload FILE=facilities.jsonl SNAPSHOT=2026-11-01
Look at it with AWS's tools:       eval "$({shlex.quote(sys.executable)} -m laptop airflow-env)"; aws s3 ls s3://{stack.settings.bucket}/
Stop it, keeping the lake:         make down"""


def _down(console: Console, arguments: argparse.Namespace) -> int:
    stack = _stack(arguments)
    if not lifecycle.running(stack):
        console.print(f"No stack is running in {stack.home}.", markup=False, soft_wrap=True)
        return 0
    console.print("Stopping Airflow, then local AWS")
    ended = lifecycle.down(stack)
    console.print(
        f"Ended {ended} processes, none is left. The lake is kept in {stack.aws_state}.", soft_wrap=True
    )
    return 0


def _status(console: Console, arguments: argparse.Namespace) -> int:
    stack = lifecycle.as_started(_stack(arguments))
    started = lifecycle.running(stack)
    if not any(one.is_running() for one in started):
        console.print(f"No stack is running in {stack.home}. Start it: make up", markup=False, soft_wrap=True)
        return 1
    with Airflow(stack) as airflow:
        health = airflow.health()
    parts = {name.replace("_", "-"): state for name, state in health.items()}
    parts["api-server"] = "healthy" if health else "does not answer"
    parts[lifecycle.LOCAL_AWS] = "healthy" if aws.answers(stack) else "does not answer"
    table = Table(box=None, pad_edge=False)
    for column in ("Process", "State", "Log"):
        table.add_column(column, overflow="fold")
    for one in started:
        state = parts.get(one.name, "unknown") if one.is_running() else "has ended"
        table.add_row(f"{one.name} ({one.pid})", state, one.log)
    console.print(table)
    console.print(_next_steps(stack), markup=False, soft_wrap=True)
    return (
        0
        if all(one.is_running() for one in started) and all(state == "healthy" for state in parts.values())
        else 1
    )


def _upload(console: Console, arguments: argparse.Namespace) -> int:
    file = uploads.one_file(
        arguments.file, facility_accreditation.DATASET, arguments.snapshot, arguments.name
    )
    stack = _running(arguments)
    bucket = stack.settings.bucket
    uploads.put_with(aws.client(stack, "s3"), bucket)(file)
    console.print(
        f"""Uploaded {file.size:,} bytes to s3://{bucket}/{file.key}

A run takes it within seconds:  {stack.airflow_url}/dags/{facility_accreditation.DEMONSTRATION.dag_id}
Its results:                    s3://{bucket}/prod/, rejected lines in s3://{bucket}/quarantine/
What became of every line:      s3://{bucket}/reports/{facility_accreditation.DEMONSTRATION.dag_id}/, and the run's note in Airflow""",
        markup=False,
        soft_wrap=True,
    )
    return 0


def _demo(console: Console, arguments: argparse.Namespace) -> int:
    given = {"as_of": arguments.as_of, "expiry_window": arguments.expiry_window}
    demo.run(
        console,
        facility_accreditation.DEMONSTRATION,
        own_uploads=arguments.uploads,
        conf={name: value for name, value in given.items() if value},
        build=arguments.build.resolve(),
    )
    return 0


def _demo_staffing(console: Console, arguments: argparse.Namespace) -> int:
    demo.run(
        console,
        nurse_staffing.DEMONSTRATION,
        own_uploads=arguments.uploads,
        # Whoever brings files of several quarters wants to see their figures, however they differ.
        conf={"expect_change": True},
        build=arguments.build.resolve(),
    )
    return 0


def _demo_clinical(console: Console, arguments: argparse.Namespace) -> int:
    given = {"data_end": arguments.data_end, "stay_classes": arguments.stay_classes}
    demo.run(
        console,
        clinical_quality.DEMONSTRATION,
        own_uploads=arguments.uploads,
        conf={name: value for name, value in given.items() if value},
        build=arguments.build.resolve(),
    )
    return 0


def _alerts(console: Console, arguments: argparse.Namespace) -> int:
    found = aws.read_alerts(_running(arguments), delete=arguments.delete)
    for envelope in found:
        console.print(f"{envelope['Timestamp']}  {envelope['Subject']}", style="bold", markup=False)
        console.print_json(json.dumps(json.loads(envelope["Message"])))
    console.print(f"{len(found)} alerts." if found else "No alert was published.")
    return 0


def _trigger(console: Console, arguments: argparse.Namespace) -> int:
    with Airflow(_running(arguments)) as airflow:
        run_id = airflow.trigger(arguments.dag_id, arguments.conf)
        console.print(f"Started {arguments.dag_id}, run {run_id}", markup=False, soft_wrap=True)
        state = airflow.wait_for_run(arguments.dag_id, run_id, arguments.seconds)
        note = airflow.run(arguments.dag_id, run_id)["note"]
    console.print(f"It ended as {state}." + (f"\n\n{note}" if note else ""), markup=False, soft_wrap=True)
    return 0 if state == "success" else 1


def _sql(_: Console, arguments: argparse.Namespace) -> int:
    stack = _running(arguments)
    if arguments.statement:
        sql.show(stack, arguments.statement, arguments.format)
        return 0
    return 1 if sql.prompt(stack, arguments.format) else 0


#: What the lake of the dashboard's demonstration holds.
DEMONSTRATIONS = (
    facility_accreditation.DEMONSTRATION,
    nurse_staffing.DEMONSTRATION,
    clinical_quality.DEMONSTRATION,
)


def _demo_dashboard(console: Console, _: argparse.Namespace) -> int:
    port = _port("DASHBOARD_PORT", dashboard.PORT)
    command = dashboard.command(port)
    if dashboard.answers(port):
        console.print(f"A dashboard runs on {dashboard.url(port)}. Choose another port: DASHBOARD_PORT=8502")
        return 1
    with demo.samples_published(console, DEMONSTRATIONS) as stack:
        console.print(f"The dashboard is on {dashboard.url(port)} (Ctrl-C ends it, and the lake)")
        return subprocess.run(command, env=dashboard.environment(stack), cwd=ROOT, check=False).returncode  # noqa: S603


def _dashboard(console: Console, arguments: argparse.Namespace) -> int:
    stack = _running(arguments)
    port = _port("DASHBOARD_PORT", dashboard.PORT)
    if dashboard.answers(port):
        console.print(f"A dashboard runs on {dashboard.url(port)}. Choose another port: DASHBOARD_PORT=8502")
        return 1
    command = dashboard.command(port)
    console.print(f"The dashboard is on {dashboard.url(port)} (Ctrl-C ends it)")
    os.chdir(ROOT)
    os.execve(command[0], command, dashboard.environment(stack))  # noqa: S606  # our own command
    return 1  # never reached: this process is the dashboard now


def _airflow_env(_: Console, arguments: argparse.Namespace) -> int:
    stack = lifecycle.as_started(_stack(arguments))
    for name, value in sorted(stack.environment().items()):
        if name not in os.environ or os.environ[name] != value:
            print(f"export {name}={shlex.quote(value)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
