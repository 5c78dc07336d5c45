"""Runs of a DAG whose task tries are processes of their own: ``python -m tests.faults.scheduler``.

What a scheduler and its workers do, at a fraction of their cost, so that a process can be killed at any
moment and be tried again as Airflow would: the states are Airflow's own (its metadata database, its
dependency rules, its handling of a try whose process is gone), only the loop around them is here.

The process loads Airflow once and reads orders from its standard input, one JSON object a line::

    {"home": folder of the run, "dag_id": ..., "environment": {...}, "conf": {...}, "control": URL}

Each order is carried out by a fork, the *scheduler* of that run, which forks again for each try. Before a
try begins it says so at ``control`` (task, map index, try, process id), and waits for the answer. What became
of the run stands in ``<home>/result.json`` when its scheduler has ended well. On standard output stands one
line for each scheduler that started, ``{"pid": ...}``, and for each that ended, ``{"pid": ..., "status": ...}``.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
import traceback
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
_TICK_SECONDS = 0.01


def _load_airflow() -> None:
    """Import what every try needs, so that forks have it."""
    import airflow.api_fastapi.execution_api.app
    import airflow.dag_processing.dagbag
    import airflow.jobs.scheduler_job_runner
    import airflow.providers.amazon.aws.hooks.glue_catalog
    import airflow.providers.amazon.aws.hooks.sns
    import airflow.providers.amazon.aws.operators.athena
    import airflow.providers.amazon.aws.sensors.s3
    import airflow.sdk.execution_time.supervisor
    import airflow.sdk.execution_time.task_runner  # noqa: F401
    from airflow.providers.amazon.aws.hooks.base_aws import AwsGenericHook
    from botocore.loaders import JSONFileLoader, Loader

    # Each client reads AWS's descriptions anew, megabytes of JSON, and looks for its caller's name through all
    # modules, for its user agent: most of what a try costs here.
    _remember(JSONFileLoader, "load_file")
    _remember(Loader, "list_available_services")
    AwsGenericHook._get_caller = staticmethod(lambda *_: "faults")  # type: ignore[method-assign]
    import boto3
    from airflow.sdk.execution_time.supervisor import in_process_api_server

    asyncio.run(_warm(in_process_api_server().app))

    for service in ("s3", "athena", "glue", "sns", "sts"):
        boto3.client(service, region_name="us-east-1")
    gc.collect()
    gc.freeze()


def _remember(owner: type, method: str) -> None:
    """Have a method's answers remembered, by its arguments, for all instances."""
    made = getattr(owner, method)
    known: dict[Any, Any] = {}

    def once(self: Any, *arguments: Any) -> Any:
        if arguments not in known:
            known[arguments] = made(self, *arguments)
        return known[arguments]

    setattr(owner, method, once)


async def _warm(app: Any) -> None:
    """Have the API of Airflow put its versions together, which takes seconds; a fork serves it in a thread."""
    import httpx
    from airflow.sdk.api.client import API_VERSION

    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://in-process.invalid") as client:
            await client.get("/health/ping", headers={"Airflow-API-Version": API_VERSION})


class Scheduler:
    """One run of the DAG, from its first task to its end."""

    def __init__(self, order: dict[str, Any]):
        self.home = Path(order["home"])
        self.dag_id, self.conf, self.control = order["dag_id"], order["conf"], order["control"]
        self.run_id = ""
        self.tries: list[dict[str, Any]] = []

    def tell(self, event: dict[str, Any]) -> dict[str, Any]:
        """Say what happens now; returns, with the answer, when whoever listens has done what it does about it."""
        request = urllib.request.Request(self.control, json.dumps(event).encode(), method="POST")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=600) as answer:
            return json.loads(answer.read() or b"{}")

    def run(self) -> dict[str, Any]:
        from airflow import settings
        from airflow.dag_processing.bundles.manager import DagBundlesManager
        from airflow.dag_processing.dagbag import BundleDagBag, sync_bag_to_db
        from airflow.models.dagrun import DagRun, get_or_create_dagrun
        from airflow.sdk import DagRunState, timezone
        from airflow.serialization.serialized_objects import DagSerialization
        from airflow.utils.types import DagRunTriggeredByType, DagRunType

        _own_database()
        session = settings.Session()  # type: ignore[misc]
        manager = DagBundlesManager()
        manager.sync_bundles_to_db(session=session)
        session.commit()
        (bundle,) = manager.get_all_dag_bundles()
        bundle.initialize()
        bag = BundleDagBag(bundle.path, bundle_path=bundle.path, bundle_name=bundle.name)
        if bag.import_errors:
            raise RuntimeError(f"DAG files that cannot be read: {bag.import_errors}")
        sync_bag_to_db(bag, bundle.name, bundle.version)
        dag = bag.dags[self.dag_id]
        scheduled = DagSerialization.deserialize_dag(DagSerialization.serialize_dag(dag))
        now = timezone.utcnow()
        run_id = DagRun.generate_run_id(run_type=DagRunType.MANUAL, logical_date=now, run_after=now)
        run = get_or_create_dagrun(
            dag=scheduled, start_date=now, logical_date=now, run_after=now, run_id=run_id, conf=self.conf,
            data_interval=None, triggered_by=DagRunTriggeredByType.TEST, triggering_user_name="faults",
            session=session,
        )  # fmt: skip
        self.run_id = run_id
        self.tell({"event": "run", "run_id": run_id})
        while run.state == DagRunState.RUNNING:
            session.expire_all()
            run.dag = scheduled
            schedulable, _ = run.update_state(session=session, execute_callbacks=False)
            ready = []
            for ti in schedulable:
                if ti.state != "up_for_reschedule":
                    ti.try_number += 1
                ti.state = "scheduled"
                ti.scheduled_dttm = timezone.utcnow()
                ready.append((ti.id, ti.task_id, ti.map_index, ti.try_number))
            session.commit()
            if not ready:
                time.sleep(_TICK_SECONDS)
            for ti_id, task_id, map_index, try_number in ready:
                self._try(ti_id, dag.task_dict[task_id], scheduled, task_id, map_index, try_number)
        session.commit()
        states = {
            ti.task_id + (f"[{ti.map_index}]" if ti.map_index >= 0 else ""): str(ti.state)
            for ti in run.get_task_instances(session=session)
        }
        return {"run_id": run_id, "state": str(run.state), "tasks": states, "tries": self.tries}

    def _try(
        self, ti_id: Any, task: Any, scheduled: Any, task_id: str, map_index: int, try_number: int
    ) -> None:
        go_read, go_write = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                os.setpgid(0, 0)
                os.close(go_write)
                if order := os.read(go_read, 4096):
                    with _disturbed(**json.loads(order)):
                        _carry_out(ti_id, task)
                    code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.close(go_read)
        event = {"event": "try", "task": task_id, "map_index": map_index, "try": try_number, "pid": pid}
        os.write(go_write, json.dumps(self.tell(event)).encode())
        os.close(go_write)
        _, status, used = os.wait4(pid, 0)
        killed = os.WIFSIGNALED(status)
        if killed or os.waitstatus_to_exitcode(status):
            _handle_lost(ti_id, scheduled, f"The process of the try ended with {status}")
        memory = used.ru_maxrss / 1024  # MB
        cpu = round(used.ru_utime + used.ru_stime, 2)
        self.tries.append(
            {
                **event,
                "killed": killed,
                "cpu": cpu,
                "memory": memory,
                **_after(self.run_id, task_id, map_index),
            }
        )
        self.tell({"event": "ended", "task": task_id, "try": try_number})


@contextmanager
def _disturbed(file_bytes: int | None = None, clock_days: int | None = None) -> Iterator[None]:
    """What a worker may suffer: no file may grow beyond ``file_bytes``; its clock is ``clock_days`` off."""
    if file_bytes is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_bytes, file_bytes))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    if clock_days is None:
        yield
        return
    import time_machine

    with time_machine.travel(datetime.now(UTC) + timedelta(days=clock_days), tick=True):
        yield


def _own_database() -> None:
    """Connect to the database that the environment names; a fork must not share connections."""
    from airflow import settings

    if settings.engine is not None:
        settings.engine.dispose(close=False)
    settings.dispose_orm(do_log=False)
    settings.configure_vars()
    settings.configure_orm()


def _carry_out(ti_id: Any, task: Any) -> None:
    from airflow.models.taskinstance import TaskInstance
    from airflow.sdk.definitions.dag import _run_task
    from airflow.utils.session import create_session

    _own_database()
    with create_session(scoped=False) as session:
        ti = session.get_one(TaskInstance, ti_id)
        session.expunge(ti)
    _run_task(ti=ti, task=task, run_triggerer=True)


def _handle_lost(ti_id: Any, scheduled: Any, what: str) -> None:
    """What the scheduler does with a task whose process is gone."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session

    with create_session(scoped=False) as session:
        ti = session.get_one(TaskInstance, ti_id)
        if str(ti.state) in ("running", "queued", "scheduled"):
            ti.task = scheduled.get_task(ti.task_id)
            ti.handle_failure(error=what, session=session)


def _after(run_id: str, task_id: str, map_index: int) -> dict[str, Any]:
    """State of the task after a try, and after how many seconds the next one may begin."""
    from airflow.models.taskinstance import TaskInstance
    from airflow.utils.session import create_session
    from sqlalchemy import select

    with create_session(scoped=False) as session:
        # Not by its id, which each try has anew.
        ti = session.scalars(
            select(TaskInstance).filter_by(run_id=run_id, task_id=task_id, map_index=map_index)
        ).one()
        return {"state": str(ti.state), "delay": ti.retry_delay_override, "reason": ti.retry_reason}


def _schedule(order: dict[str, Any]) -> int:
    """Carry out an order in this process, which is a fork."""
    home = Path(order["home"])
    home.mkdir(parents=True, exist_ok=True)
    log = os.open(home / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.update(order["environment"])
    database = home / "airflow.db"
    shutil.copyfile(os.environ["FAULTS_DATABASE"], database)
    os.environ["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"] = f"sqlite:///{database}"
    try:
        result = Scheduler(order).run()
    except BaseException:
        traceback.print_exc()
        return 1
    unfinished = home / "result.partial"
    unfinished.write_text(json.dumps(result), encoding="utf-8")
    unfinished.replace(home / "result.json")
    return 0


def main() -> int:
    """Take orders until standard input ends, then end what still runs."""
    # Airflow says a lot on standard output.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    _load_airflow()
    alive: set[int] = set()
    print(json.dumps({"ready": os.getpid()}), file=answers, flush=True)
    while True:
        for pid in list(alive):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                alive.discard(pid)
                print(json.dumps({"pid": pid, "status": status}), file=answers, flush=True)
        if not select.select([sys.stdin], [], [], _TICK_SECONDS)[0]:
            continue
        line = sys.stdin.readline()
        if not line:
            break
        pid = os.fork()
        if pid == 0:
            os.setsid()
            code = 1
            try:
                code = _schedule(json.loads(line))
            finally:
                os._exit(code)
        alive.add(pid)
        print(json.dumps({"pid": pid}), file=answers, flush=True)
    for pid in alive:
        os.killpg(pid, signal.SIGKILL)
    return 0


if __name__ == "__main__":
    sys.exit(main())
