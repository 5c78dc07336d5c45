"""The Airflow side of a stack: its database, its processes, and its REST API."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from importlib.metadata import version
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import tenacity

from laptop.stack import DEFAULT_HOME, Stack

COMPONENTS = ("scheduler", "triggerer", "dag-processor", "api-server")
# Task logs lie on this machine, where the UI reads them as files.
_OPTIONS = {"scheduler": ["--skip-serve-logs"], "triggerer": ["--skip-serve-logs"]}
_ENDED = ("success", "failed")


class AirflowError(RuntimeError):
    """Airflow refused a request, or a command of it failed; ``status`` of the HTTP answer."""

    def __init__(self, message: str, status: int | None = None):
        super().__init__(message)
        self.status = status


class AirflowBusy(AirflowError):
    """Airflow could not answer a request; another attempt may succeed."""


# --- the database ----------------------------------------------------------------------------------


def migrated_database(cache: Path = DEFAULT_HOME / "cache") -> Path:
    """An empty, migrated metadata database (SQLite), to be copied; made once for each version of Airflow."""
    file = cache / f"airflow-{version('apache-airflow')}.db"
    if file.exists():
        return file
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache) as folder:
        made = Path(folder) / "airflow.db"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "AWS_"))
        } | {
            "AIRFLOW_HOME": folder,
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{made}",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        }
        run = subprocess.run(
            [sys.executable, "-m", "airflow", "db", "migrate"],
            env=environment, cwd=folder, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode:
            raise AirflowError(f"airflow db migrate failed:\n{(run.stdout + run.stderr)[-2000:]}")
        # The first process makes it; a second one replaces it by the same.
        made.replace(file)
    return file


def prepare(stack: Stack) -> None:
    """Create Airflow's home and its database, unless they are there."""
    stack.airflow_home.mkdir(parents=True, exist_ok=True)
    database = stack.airflow_home / "airflow.db"
    if not database.exists():
        shutil.copyfile(migrated_database(), database)


def command(component: str) -> list[str]:
    """The command of one of Airflow's processes."""
    return [sys.executable, "-m", "airflow", component, *_OPTIONS.get(component, [])]


# --- the REST API ----------------------------------------------------------------------------------


class Airflow:
    """Airflow's REST API, as its administrator."""

    def __init__(self, stack: Stack):
        self._url = f"http://127.0.0.1:{stack.airflow_port}"
        # Not through a proxy, which the environment may name.
        self._http = httpx.Client(base_url=self._url, timeout=30, trust_env=False)
        self._token: str | None = None

    def __enter__(self) -> Airflow:
        return self

    def __exit__(self, *details: object) -> None:
        self._http.close()

    def health(self) -> dict[str, str]:
        """Component -> ``healthy`` or what is wrong; empty while there is no answer."""
        try:
            answer = self._http.get("/api/v2/monitor/health").json()
        except (httpx.HTTPError, ValueError):
            return {}
        return {name: (part or {}).get("status") or "unknown" for name, part in answer.items()}

    def is_healthy(self) -> bool:
        health = self.health()
        parts = ("metadatabase", "scheduler", "triggerer", "dag_processor")
        return all(health.get(part) == "healthy" for part in parts)

    def get(self, path: str, **params: Any) -> Any:
        return self._ask("GET", path, params=params)

    # SQLite lets one process write at a time and gives up on the others after a while.
    @tenacity.retry(
        retry=tenacity.retry_if_exception_type((httpx.TransportError, AirflowBusy)),
        stop=tenacity.stop_after_attempt(6),
        wait=tenacity.wait_exponential(multiplier=0.2, max=3),
        reraise=True,
    )
    def _ask(self, method: str, path: str, **options: Any) -> Any:
        if self._token is None:
            self._token = self._http.get("/auth/token").raise_for_status().json()["access_token"]
        answer = self._http.request(
            method, f"/api/v2{path}", headers={"Authorization": f"Bearer {self._token}"}, **options
        )
        if answer.is_error:
            kind = AirflowBusy if answer.is_server_error else AirflowError
            raise kind(f"{method} {path}: {answer.status_code} {answer.text[:500]}", answer.status_code)
        return answer.json() if answer.content else None

    def import_errors(self) -> dict[str, str]:
        """DAG files that could not be read, with their tracebacks."""
        return {one["filename"]: one["stack_trace"] for one in self.get("/importErrors")["import_errors"]}

    def dags(self) -> dict[str, dict[str, Any]]:
        """The DAGs that Airflow has read, by their ids."""
        return {one["dag_id"]: one for one in self.get("/dags", limit=200)["dags"]}

    def trigger(self, dag_id: str, conf: Mapping[str, Any] | None = None) -> str:
        """Start a run of a DAG; returns its id."""
        # The name is ours, so that asking again after a lost answer does not start a second run.
        run_id = f"manual__{datetime.now(UTC).isoformat()}"
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf or {})}
        try:
            self._ask("POST", f"/dags/{dag_id}/dagRuns", json=body)
        except AirflowError as error:
            if error.status != HTTPStatus.CONFLICT:
                raise
        return run_id

    def pause(self, dag_id: str, *, paused: bool = True) -> None:
        """Pause a DAG, or unpause it."""
        self._ask("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def is_paused(self, dag_id: str) -> bool:
        return self.get(f"/dags/{dag_id}")["is_paused"]

    def runs(self, dag_id: str) -> list[dict[str, Any]]:
        """The runs of a DAG, newest first."""
        return self.get(f"/dags/{dag_id}/dagRuns", order_by="-run_after", limit=100)["dag_runs"]

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return self.get(f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}")

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        path = f"/dags/{dag_id}/dagRuns/{quote(run_id, safe='')}/taskInstances"
        return self.get(path, limit=500)["task_instances"]

    def task_states(self, dag_id: str, run_id: str) -> dict[str, str | None]:
        """Task id, with ``[map index]`` where it is mapped, -> state."""
        return {
            one["task_id"] + (f"[{one['map_index']}]" if one["map_index"] >= 0 else ""): one["state"]
            for one in self.tasks(dag_id, run_id)
        }

    def wait_for(self, condition: Callable[[], Any], what: str, seconds: float) -> Any:
        """Wait until a condition gives something true, and return that.

        Raises:
            TimeoutError: if it does not in time.
        """
        deadline = time.monotonic() + seconds
        while not (found := condition()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not within {seconds:.0f} s")
            time.sleep(0.3)
        return found

    def wait_for_run(self, dag_id: str, run_id: str, seconds: float = 120) -> str:
        """Wait until a run has ended; returns ``success`` or ``failed``."""

        def ended() -> str | None:
            state = self.run(dag_id, run_id)["state"]
            return state if state in _ENDED else None

        try:
            return self.wait_for(ended, f"{dag_id} run {run_id}", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its tasks: {self.task_states(dag_id, run_id)}") from None

    def clear(self, dag_id: str, run_id: str, task_ids: list[str], *, downstream: bool = True) -> None:
        """Have tasks of a run executed again, as a person does in the UI."""
        body = {
            "dry_run": False,
            "dag_run_id": run_id,
            "task_ids": task_ids,
            "include_downstream": downstream,
            "only_failed": False,
            "reset_dag_runs": True,
        }
        self._ask("POST", f"/dags/{dag_id}/clearTaskInstances", json=body)
