"""Starting, stopping and looking at a stack that stays up."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from time import monotonic

from laptop import airflow_stack, aws, processes
from laptop.airflow_stack import Airflow
from laptop.processes import Process
from laptop.stack import ROOT, Stack

LOCAL_AWS = "local-aws"
_START_SECONDS = 180.0
Say = Callable[[str], None]


class AlreadyRunning(RuntimeError):
    """The stack of this folder runs already."""


class PortTaken(RuntimeError):
    """Somebody else listens on a port of the stack."""


# --- the record of what runs -----------------------------------------------------------------------


def _record(stack: Stack) -> Path:
    return stack.home / "processes.json"


def running(stack: Stack) -> list[Process]:
    """The processes that were started for this stack and have not been stopped, in the order of their start."""
    try:
        content = json.loads(_record(stack).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    return [Process(**one) for one in content["processes"]]


def as_started(stack: Stack) -> Stack:
    """The stack with the ports on which it was started, if it is running."""
    try:
        content = json.loads(_record(stack).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return stack
    return Stack(
        stack.home,
        content["aws_port"],
        content["airflow_port"],
        Path(content["dags_folder"]),
        stack.overrides,
    )


def _write(stack: Stack, started: list[Process]) -> None:
    content = {
        "aws_port": stack.aws_port,
        "airflow_port": stack.airflow_port,
        "dags_folder": str(stack.dags_folder),
        "processes": [one.to_json() for one in started],
    }
    new = _record(stack).with_suffix(".new")
    new.write_text(json.dumps(content, indent=2), encoding="utf-8")
    new.replace(_record(stack))


# --- up and down -----------------------------------------------------------------------------------


def up(stack: Stack, say: Say = lambda _: None) -> None:
    """Start local AWS with its resources, then Airflow, and wait until all of it is healthy.

    What cannot be started completely is stopped again.

    Raises:
        AlreadyRunning: if it runs; nothing is changed.
        PortTaken: naming the port and the setting that changes it.
        processes.ProcessEnded, TimeoutError: with the log of what did not come up.
    """
    before = running(stack)
    if any(one.is_running() for one in before):
        raise AlreadyRunning(f"The stack in {stack.home} is running already")
    processes.stop(before)  # what a crash may have left behind
    _require_port(stack.aws_port, "LOCAL_AWS_PORT")
    _require_port(stack.airflow_port, "AIRFLOW_PORT")
    stack.home.mkdir(parents=True, exist_ok=True)
    began = monotonic()

    def tell(text: str) -> None:
        say(f"{monotonic() - began:5.1f} s  {text}")

    started: list[Process] = []
    try:
        _start_aws(stack, started)
        if not (stack.airflow_home / "airflow.db").exists():
            tell("Creating Airflow's database")
        airflow_stack.prepare(stack)
        for component in airflow_stack.COMPONENTS:
            _start(stack, started, component, airflow_stack.command(component))
        tell(f"Started {', '.join(one.name for one in started)}")
        _wait_for_aws(stack, started)
        aws.bootstrap(stack)
        tell(f"Local AWS answers on {stack.aws_url}; bucket, topic, queue and workgroup are there")
        _wait_for_airflow(stack, started, tell)
    except BaseException:
        processes.stop(started, timeout_seconds=5)
        _record(stack).unlink(missing_ok=True)
        raise
    tell(f"Airflow is healthy on {stack.airflow_url}")


def down(stack: Stack, timeout_seconds: float = 15.0) -> int:
    """Stop everything that belongs to the stack; its state is kept. Returns how many processes there were.

    Tasks that run get ``timeout_seconds`` to end.

    Raises:
        processes.StillThere: if something would not end.
    """
    started = running(stack)
    # Each wave still needs the next one while it ends. Deferred tasks wait in the database: a triggerer has nothing to
    # put away, but takes 10 s to see that its child is gone; being asked twice, it ends.
    last = {"triggerer": 1, "api-server": 2, LOCAL_AWS: 3}
    ended = 0
    for wave in range(4):
        members = [one for one in started if last.get(one.name, 0) == wave]
        ended += processes.stop(members, min(timeout_seconds, 2) if wave == 1 else timeout_seconds)
    _record(stack).unlink(missing_ok=True)
    return ended


def start_again(stack: Stack, component: str) -> None:
    """Start one of Airflow's processes that has died while the rest of the stack runs."""
    _start(
        stack,
        [one for one in running(stack) if one.name != component],
        component,
        airflow_stack.command(component),
    )


@contextmanager
def stack_running(stack: Stack, say: Say = lambda _: None) -> Iterator[Airflow]:
    """A stack for the length of a ``with`` block; gives Airflow's API."""
    up(stack, say)
    try:
        with Airflow(stack) as airflow:
            yield airflow
    finally:
        down(stack, timeout_seconds=1)


def _start(stack: Stack, started: list[Process], name: str, command: list[str]) -> None:
    started.append(
        processes.start(
            name, command, environment=stack.environment(), log=stack.logs / f"{name}.log", folder=ROOT
        )
    )
    _write(stack, started)


def _start_aws(stack: Stack, started: list[Process]) -> None:
    stack.aws_state.mkdir(parents=True, exist_ok=True)
    _start(stack, started, LOCAL_AWS, aws.command(stack))


def _wait_for_aws(stack: Stack, started: list[Process]) -> None:
    processes.wait_until(lambda: aws.answers(stack), "local AWS", seconds=_START_SECONDS, watch=started)


def _wait_for_airflow(stack: Stack, started: list[Process], say: Say) -> None:
    wanted = {path.name for path in stack.dags_folder.glob("*.py")}
    seen: set[str] = set()
    with Airflow(stack) as airflow:

        def healthy() -> bool:
            for part, state in airflow.health().items():
                if state == "healthy" and part not in seen:
                    seen.add(part)
                    say(f"Airflow's {part.replace('_', ' ')} is healthy")
            return airflow.is_healthy()

        processes.wait_until(healthy, "Airflow", seconds=_START_SECONDS, watch=started)

        def has_read_the_dags() -> bool:
            errors = airflow.import_errors()
            if errors:
                first, trace = next(iter(errors.items()))
                raise airflow_stack.AirflowError(f"Airflow cannot read {first}:\n{trace}")
            read = {Path(dag["fileloc"]).name for dag in airflow.dags().values()}
            return wanted <= read

        processes.wait_until(
            has_read_the_dags, "Airflow to read the DAGs", seconds=_START_SECONDS, watch=started
        )


def _require_port(port: int, setting: str) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise PortTaken(
                f"Port {port} cannot be used ({error.strerror}). Choose another one: make up {setting}=<port>"
            ) from error


def free_port() -> int:
    """A free port, and one that the system does not give to a process that asks for any port.

    Airflow takes seconds to come up on it. Until then, one of those that Linux (from 32768) or macOS (from
    49152) choose from could be taken by any connection.
    """
    while True:
        port = random.randrange(20_000, 32_768)  # noqa: S311  # nothing is to be kept secret
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
