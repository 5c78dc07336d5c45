"""Cells with Airflow's own scheduler: the laptop's stack, of which parts, or all of it, are killed and started again."""

from __future__ import annotations

import json
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil

from laptop import aws, lifecycle
from laptop.airflow_stack import Airflow
from laptop.stack import Stack
from tests.faults import state
from tests.faults.proxy import Connection, Proxy, Rule
from tests.faults.stage import ACCREDITATION, UPLOADS, Stage, require

DAG = ACCREDITATION.dag_id
_SECONDS = 900
#: The runs of a schedule look at accreditations as of today.
_TODAY = {"as_of": None}

_MOMENTS: dict[str, Callable[..., Rule]] = {
    "load_bronze": partial(Rule, operation="PutObject", key="^bronze/", nth=2),
    "publish_results": partial(Rule, operation="CopyObject", key="^prod/", nth=5),
    "archive_uploads": partial(Rule, operation="CopyObject", key="^archive/", nth=2),
}


def stacks() -> Iterator[tuple[str, str, str, Callable[[Stage], None]]]:
    for step in ("load_bronze", "publish_results"):
        yield (
            step,
            "Airflow's scheduler and its workers killed",
            "restart",
            partial(_killed, step=step, parts=("scheduler",)),
        )
    for step in ("publish_results", "archive_uploads"):
        yield step, "the whole stack killed, local AWS too", "restart", partial(_killed, step=step, parts=())


class _Readable:
    """The lake of a stack, as far as its state is read."""

    dag_id = DAG

    def __init__(self, stack: Stack):
        self.bucket, self.database = stack.settings.bucket, stack.settings.database
        self.s3, self.glue = aws.client(stack, "s3"), aws.client(stack, "glue")

    def left_in_landing(self) -> list[str]:
        listing = self.s3.list_objects_v2(Bucket=self.bucket, Prefix="landing/")
        return [one["Key"] for one in listing.get("Contents", ())]


def _killed(stage: Stage, step: str, parts: tuple[str, ...]) -> None:
    """Kill the named parts of a stack, or all of it, at the same request of a step; start them again and wait."""
    reference = stage.undisturbed(conf=_TODAY)
    reached, dead = threading.Event(), threading.Event()

    def die(connection: Connection) -> None:
        connection.swallow()
        reached.set()
        dead.wait(120)
        connection.drop()

    rule = _MOMENTS[step](die)
    with tempfile.TemporaryDirectory(prefix="faults-stack-") as home:
        aws_port = lifecycle.free_port()
        with (
            Proxy(f"http://127.0.0.1:{aws_port}", [rule]) as proxy,
            _stack(Path(home), aws_port, proxy) as stack,
        ):
            lifecycle.up(stack)
            lake = _Readable(stack)
            for key, body in UPLOADS.items():
                lake.s3.put_object(Bucket=lake.bucket, Key=f"landing/facilities/{key}", Body=body)
            with Airflow(stack) as airflow:
                airflow.pause(DAG, paused=False)
            require(reached.wait(_SECONDS), f"{step} never came to where it is killed")
            _kill(stack, parts)
            dead.set()
            _start_again(stack, parts)
            with Airflow(stack) as airflow:
                airflow.wait_for(lambda: not lake.left_in_landing(), "empty landing", _SECONDS)
                # The run that took the uploads has ended when the next one waits for others.
                airflow.wait_for(lambda: _all_ended(airflow), "the end of the runs", _SECONDS)
                runs = [one for one in airflow.runs(DAG) if one["state"] in ("success", "failed")]
            found = state.read(lake)  # type: ignore[arg-type]
            differences = found.differences(reference.state)
            require(not differences, f"{len(differences)} differences: " + "; ".join(differences[:6]))
            messages = [json.loads(one["Message"]) for one in aws.read_alerts(stack)]
            alerts = [one for one in messages if one["severity"] != "warning"]
            failed = [one for one in runs if one["state"] == "failed"]
            require(len(alerts) <= len(failed), f"{len(alerts)} alerts of {len(failed)} failed runs")


@contextmanager
def _stack(home: Path, aws_port: int, proxy: Proxy) -> Iterator[Stack]:
    stack = Stack(
        home=home,
        aws_port=aws_port,
        airflow_port=lifecycle.free_port(),
        overrides={
            "AWS_ENDPOINT_URL": proxy.url,
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "600",
            # A worker that was lost is found after so many seconds; 300 by default.
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
            "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
            "MEDLAUNCH_RETRY_DELAY_SECONDS": "1",
            "MEDLAUNCH_SENSOR_POKE_SECONDS": "2",
        },
    )
    try:
        yield stack
    finally:
        lifecycle.down(stack, timeout_seconds=1)


def _kill(stack: Stack, parts: tuple[str, ...]) -> None:
    """SIGKILL parts of the stack with all that came from them."""
    family: dict[int, psutil.Process] = {}
    for one in lifecycle.running(stack):
        if not parts or one.name in parts:
            family |= {member.pid: member for member in one.family()}
    for pid in family:
        os.kill(pid, signal.SIGKILL)
    psutil.wait_procs(family.values(), 20)


def _start_again(stack: Stack, parts: tuple[str, ...]) -> None:
    if not parts:
        lifecycle.up(stack)
        return
    for name in parts:
        lifecycle.start_again(stack, name)


def _all_ended(airflow: Airflow) -> bool:
    """Whether no run does anything but wait for uploads."""
    for run in airflow.runs(DAG):
        if run["state"] in ("running", "queued"):
            states = airflow.task_states(DAG, run["dag_run_id"])
            if states.get("claim_uploads") is not None:
                return False
    return True
