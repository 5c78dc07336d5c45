"""The server: Athena's requests to our engine, S3's objects to ours, everything else to moto."""

from __future__ import annotations

import json
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from types import TracebackType
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.s3.models import s3_backends

from local_aws import cloudformation
from local_aws.athena.api import Api
from local_aws.athena.catalog import Catalog
from local_aws.athena.engine import Engine
from local_aws.athena.errors import ApiError
from local_aws.athena.executions import HISTORY, Execution, Executor, Region, WorkGroup, dump, load
from local_aws.athena.parser import parse_query
from local_aws.http import HttpServer, Request, Response
from local_aws.iam import simulation
from local_aws.iam.enforcement import Iam
from local_aws.iam.queries import for_caller, permit
from local_aws.objects import Bodies
from local_aws.s3.keys import install
from local_aws.s3.service import S3
from local_aws.services import Backends, Glue, Moto, region_of, service_of
from local_aws.state import State

log = logging.getLogger("local_aws")

# moto's backends belong to the process.
_one_at_a_time = threading.Lock()


class Server:
    """A running local_aws. Close it, or use it as a context manager."""

    def __init__(self, state: Path | None, host: str, port: int, enforce_iam: bool = False) -> None:
        if not _one_at_a_time.acquire(blocking=False):
            raise RuntimeError(
                "local_aws runs in this process already: moto's state belongs to the process. Close the other server, or start one with python -m local_aws"
            )
        self._closing: list[Callable[[], None]] = [_one_at_a_time.release]
        try:
            self._open(state, host, port, enforce_iam)
        except BaseException:
            self._unwind()
            raise

    def _open(self, state: Path | None, host: str, port: int, enforce_iam: bool) -> None:
        temporary = Path(tempfile.mkdtemp(prefix="local-aws-"))
        self._closing.append(lambda: shutil.rmtree(temporary, ignore_errors=True))
        _reset_moto()
        self._closing.append(_reset_moto)
        self.folder = state if state is not None else temporary / "state"
        self.state = State(self.folder, durable=state is not None)
        self._closing.append(self.state.close)
        install(Bodies(self.state.bodies))
        cloudformation.install()
        self.s3 = S3(self.state)
        self.s3.load()
        self.glue = Glue(self.state)
        self.glue.load()
        self.backends = Backends(self.state)
        self.backends.load()
        self.s3.notified = lambda: self.backends.changed("sqs", "sns", "events", "lambda")
        self._catalogs: dict[str, Catalog] = {}
        self.engine = Engine(temporary / "duckdb")
        self._closing.append(self.engine.close)
        # On the file system of the bodies, so that results become objects by a rename.
        scratch = self.folder / "scratch"
        shutil.rmtree(scratch, ignore_errors=True)
        self.executor = Executor(
            self.engine, self.s3, scratch, self.catalog, DEFAULT_ACCOUNT_ID, self._save_execution
        )
        self._load_athena()
        self.executor.forget_managed()
        self.api = Api(self.executor, self.catalog, DEFAULT_ACCOUNT_ID, self._save_athena)
        self.iam = Iam(self.executor) if enforce_iam else None
        if self.iam is not None:
            self.executor.seen_by_caller, self.executor.permit = for_caller, permit
        self._started = time.time()
        self._http = HttpServer(host, port, self._handle)
        self.host, self.port = host, self._http.port
        self.moto = Moto((host, self.port), self.s3, self.glue, self.backends)
        self.backends.start()
        self._closing.append(self.backends.close)
        self._closing.append(self.executor.close)
        # The first query should not pay for imports.
        parse_query("SELECT 1")
        thread = threading.Thread(
            target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="local_aws", daemon=True
        )
        thread.start()
        self._closing.append(thread.join)
        self._closing.append(self._http.close)

    @property
    def url(self) -> str:
        host = "127.0.0.1" if self.host in ("0.0.0.0", "") else self.host  # noqa: S104
        return f"http://{host}:{self.port}"

    # ------------------------------------------------------------------------------------ routing

    def _handle(self, request: Request) -> Response:
        if request.path == "/_local_aws/health":
            return _json(200, self.health())
        if self.iam is None:
            return self._route(request)
        if request.path == "/_local_aws/permissions":
            return _json(200, {"used": self.iam.ledger(forget=request.method == "DELETE")})
        return self.iam.answer(request, self._route)

    def _route(self, request: Request) -> Response:
        target = request.headers.get("x-amz-target", "")
        if target.startswith("AmazonAthena."):
            return self._athena(target.split(".", 1)[1], request)
        if service_of(request) == "s3" and not _virtual_host(request):
            response = self.s3.handle(request)
            if response is not None:
                return response
        if service_of(request) == "iam" and simulation.simulates(form := simulation.form_of(request)):
            return simulation.answer(form)
        return self.moto.handle(request)

    def _athena(self, operation: str, request: Request) -> Response:
        try:
            body = json.loads(request.data() or b"{}")
            return _json(200, self.api.call(operation, region_of(request), body))
        except json.JSONDecodeError as e:
            error: dict[str, Any] = {"__type": "SerializationException", "Message": str(e)}
        except ApiError as e:
            log.info("%s refused: %s: %s", operation, e.kind, e.message)
            error = {"__type": e.kind, "Message": e.message, "message": e.message}
            if e.code:
                error["AthenaErrorCode"] = e.code
        return _json(400, error)

    def health(self) -> dict[str, Any]:
        """What GET /_local_aws/health answers."""
        states = Counter(
            e.state
            for region in list(self.executor.regions.values())
            for e in list(region.executions.values())
        )
        return {
            "status": "healthy",
            "url": self.url,
            "pid": os.getpid(),
            "state": str(self.folder),
            "uptime_seconds": round(time.time() - self._started, 3),
            "moto": version("moto"),
            "buckets": len(self.s3.backend.buckets),
            "queries": {
                "total": states.total(),
                "queued": states["QUEUED"],
                "running": states["RUNNING"],
            },
        }

    # ------------------------------------------------------------------------------------- Athena

    def catalog(self, region: str) -> Catalog:
        if region not in self._catalogs:
            self._catalogs[region] = Catalog(
                DEFAULT_ACCOUNT_ID,
                region,
                lambda database, table: self.glue.save(region, database, table),
                self.s3,
                self.glue.updating,
            )
        return self._catalogs[region]

    def _save_execution(self, region: str, execution: Execution) -> None:
        with self.state.transaction() as db:
            db.execute(
                "INSERT OR REPLACE INTO executions VALUES (?, ?, ?, ?)",
                (execution.id, region, execution.submitted, dump(execution)),
            )

    def _save_athena(self) -> None:
        with self.state.transaction() as db:
            # Copies, because queries with PREPARE change them meanwhile.
            for name, region in list(self.executor.regions.items()):
                text = json.dumps(
                    {
                        "workgroups": [asdict(w) for w in region.workgroups.copy().values()],
                        "named": region.named.copy(),
                        "prepared": [[*k, v] for k, v in region.prepared.copy().items()],
                        "catalogs": region.catalogs.copy(),
                    }
                )
                db.execute("INSERT OR REPLACE INTO athena VALUES (?, ?)", (name, text))

    def _load_athena(self) -> None:
        for name, text in self.state.rows("SELECT region, state FROM athena"):
            saved = json.loads(text)
            self.executor.regions[name] = Region(
                workgroups={w["name"]: WorkGroup(**w) for w in saved["workgroups"]},
                named=saved["named"],
                prepared={(a, b): v for a, b, v in saved["prepared"]},
                catalogs=saved.get("catalogs", {}),
            )
        with self.state.transaction() as db:
            db.execute(
                "DELETE FROM executions WHERE id NOT IN (SELECT id FROM executions ORDER BY submitted DESC LIMIT ?)",
                (HISTORY,),
            )
        for region, text in self.state.rows("SELECT region, state FROM executions ORDER BY submitted"):
            execution = load(text)
            kept = self.executor.region(region)
            kept.executions[execution.id] = execution
            if execution.token is not None:
                kept.tokens[(execution.workgroup, execution.token)] = execution.id

    # -------------------------------------------------------------------------------------- close

    def _unwind(self) -> None:
        while self._closing:
            close = self._closing.pop()
            try:
                close()
            except Exception:
                log.exception("closing")

    def close(self) -> None:
        """Stops: cancels queries, saves the state, frees the port. Once is enough."""
        self._unwind()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _reset_moto() -> None:
    BackendDict.reset()
    s3_backends.bucket_accounts.clear()
    reset_model_data()


def _virtual_host(request: Request) -> bool:
    host = request.headers.get("host", "").rsplit(":", 1)[0]
    return bool(re.search(r"\.s3[.-]|\.localhost$|amazonaws\.com$", host))


def _json(status: int, body: dict[str, Any]) -> Response:
    return Response(status, [("Content-Type", "application/x-amz-json-1.1")], json.dumps(body).encode())


def serve(
    state: Path | str | None = None, host: str = "127.0.0.1", port: int = 0, enforce_iam: bool = False
) -> Server:
    """Starts local_aws in this process.

    state: folder that keeps everything; None for a temporary one. port: 0 for any free one. enforce_iam: keys
    of IAM users and assumed roles may do what their policies say; see iam.py.
    Raises IncompatibleState for a folder of other versions, OSError for a port in use.
    """
    return Server(Path(state) if state is not None else None, host, port, enforce_iam)
