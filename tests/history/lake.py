"""A lake with all three pipelines, whose runs are disturbed, and a second process for runs at the same time."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any
from unittest.mock import patch

from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.clinical_uploads import connection
from tests.pipeline import ROOT, Pipeline

_READS = ("Get", "List", "Head", "Batch", "Describe")
#: What a run that is as small as those of a history may take; a sensor that finds nothing waits for ever.
RUN_SECONDS = 180


@dataclass
class Ended:
    """How a run ended: its state, and that of each task."""

    state: str
    run: str
    tasks: dict[str, str]
    writes: int = 0

    @property
    def succeeded(self) -> bool:
        return self.state == "success"


@dataclass
class Disturbance:
    """What happens at a run's request number ``write``, of those that change something.

    ``stop``: from then on AWS refuses everything, as if the process had ended. ``refuse`` and ``throttle``: that request
    fails, for good or to be tried again. ``lose``: it is carried out, and the answer is lost. ``meanwhile`` is called first.
    """

    write: int
    kind: str
    happened: str = ""

    def __str__(self) -> str:
        return f"{self.kind} at write {self.write}{f' ({self.happened})' if self.happened else ''}"


class Lake(Pipeline):
    """One bucket and one database for all three pipelines."""

    def __init__(self, aws: Any, url: str):
        super().__init__(aws, url, settings=connection())
        self._other: ProcessPoolExecutor | None = None

    def close(self) -> None:
        if self._other is not None:
            self._other.shutdown()

    def start(
        self,
        dag_id: str,
        disturbance: Disturbance | None = None,
        meanwhile: Callable[[], None] | None = None,
        **conf: Any,
    ) -> Ended:
        """Run a DAG to its end, whatever it is."""
        with _disturbed(disturbance, meanwhile) as count:
            ended = _ended(self.run(dag_id, **conf))
        ended.writes = count()
        return ended

    def start_in_other_process(self, dag_id: str, **conf: Any) -> Ended:
        """Run a DAG to its end beside what runs here."""
        if self._other is None:
            self._other = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        names = {
            name: getattr(self, name)
            for name in ("url", "bucket", "database", "workgroup", "topic", "settings")
        }
        return self._other.submit(_run_elsewhere, names, dag_id, conf).result(timeout=RUN_SECONDS)

    def chain(self, track: str, slice_: str, since: str) -> dict[str, str]:
        """The versions of a slice that were published after ``since``, oldest first, and how."""
        found: dict[str, str] = {}
        manifest = self._manifest_of(f"prod/manifests/{track}/{slice_}.json")
        while manifest is not None and manifest["version"] != since and manifest["version"] not in found:
            found = {manifest["version"]: manifest["action"], **found}
            before = manifest["previous_version"]
            manifest = before and self._manifest_of(f"prod/publications/{track}/{slice_}.{before}.json")
        return found

    def _manifest_of(self, key: str) -> dict[str, Any] | None:
        return json.loads(self.read(key)) if key in self.keys(key) else None


class _Elsewhere(Pipeline):
    """A lake that another process has made."""

    def __init__(self, names: dict[str, Any]):
        self.dags = ROOT / "dags"
        for name, value in names.items():
            setattr(self, name, value)


def _run_elsewhere(names: dict[str, Any], dag_id: str, conf: dict[str, Any]) -> Ended:
    import tests.conftest  # noqa: F401  # sets Airflow's environment, with a database of its own

    return _ended(_Elsewhere(names).run(dag_id, **conf))


def _ended(run: Any) -> Ended:
    from medlaunch import lake

    tasks = {one.task_id: str(one.state) for one in run.get_task_instances()}
    return Ended(str(run.state), lake.run_key(run.run_id), tasks)


@contextmanager
def _disturbed(
    disturbance: Disturbance | None, meanwhile: Callable[[], None] | None
) -> Iterator[Callable[[], int]]:
    """Count the requests that change something, and disturb one; gives their number."""
    call: Any = BaseClient._make_api_call  # type: ignore[attr-defined]
    lock, count, stopped, apart = threading.Lock(), [0], threading.Event(), threading.local()

    def error(operation: str, code: str, status: int) -> ClientError:
        answer: Any = {
            "Error": {"Code": code, "Message": "injected"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        }
        return ClientError(answer, operation)

    def disturbed(client: Any, operation: str, params: Any) -> Any:
        if getattr(apart, "on", False):
            return call(client, operation, params)
        if stopped.is_set():
            raise error(operation, "AccessDenied", 403)
        if operation.startswith(_READS):
            return call(client, operation, params)
        with lock:
            count[0] += 1
            mine = disturbance is not None and count[0] == disturbance.write
        if not mine:
            return call(client, operation, params)
        assert disturbance is not None
        disturbance.happened = (
            f"{operation} {params.get('Key') or params.get('QueryString', '')[:60]}".strip()
        )
        if meanwhile is not None:
            apart.on = True
            try:
                meanwhile()
            finally:
                apart.on = False
        if disturbance.kind == "stop":
            stopped.set()
            raise error(operation, "AccessDenied", 403)
        if disturbance.kind == "refuse":
            raise error(operation, "AccessDenied", 403)
        if disturbance.kind == "throttle":
            raise error(operation, "SlowDown", 503)
        answer = call(client, operation, params)
        if disturbance.kind == "lose":
            raise error(operation, "SlowDown", 503)
        return answer

    with patch.object(BaseClient, "_make_api_call", disturbed):
        yield lambda: count[0]
