"""The server: Athena's requests to our engine, everything else to moto."""

from __future__ import annotations

import json
import logging
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any

from moto.core import DEFAULT_ACCOUNT_ID
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import ThreadedWSGIServer

from local_aws.athena.api import Api
from local_aws.athena.catalog import Catalog
from local_aws.athena.engine import Engine
from local_aws.athena.errors import ApiError
from local_aws.athena.executions import Executor
from local_aws.objects import Bodies
from local_aws.s3_moto import MotoObjects, install

log = logging.getLogger("local_aws")

Environ = dict[str, Any]
StartResponse = Callable[..., Any]


class Application:
    """The WSGI application behind the port."""

    def __init__(self, api: Api, moto: Callable[[Environ, StartResponse], Iterable[bytes]], health: Callable[[], dict[str, Any]]) -> None:
        self.api = api
        self.moto = moto
        self.health = health

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        target = environ.get("HTTP_X_AMZ_TARGET", "")
        if target.startswith("AmazonAthena."):
            return self._athena(target.split(".", 1)[1], environ, start_response)
        if environ.get("PATH_INFO") == "/_local_aws/health":
            return _json(start_response, "200 OK", self.health())
        return self.moto(environ, start_response)

    def _athena(self, operation: str, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        body = environ["wsgi.input"].read(length)
        try:
            request = json.loads(body or b"{}")
            return _json(start_response, "200 OK", self.api.call(operation, region_of(environ), request))
        except json.JSONDecodeError as e:
            error: dict[str, Any] = {"__type": "SerializationException", "Message": str(e)}
        except ApiError as e:
            error = {"__type": e.kind, "Message": e.message, "message": e.message}
            if e.code:
                error["AthenaErrorCode"] = e.code
        return _json(start_response, "400 Bad Request", error)


def region_of(environ: Environ) -> str:
    """The region that the request was signed for."""
    m = re.search(r"Credential=[^/]+/\d+/([^/]+)/", environ.get("HTTP_AUTHORIZATION", ""))
    return m.group(1) if m else "us-east-1"


def _json(start_response: StartResponse, status: str, body: dict[str, Any]) -> Iterable[bytes]:
    data = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/x-amz-json-1.1"), ("Content-Length", str(len(data)))])
    return [data]


class _Handler(MotoRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002
        log.debug(message, *args)


class Server:
    """A running local_aws. Close it, or use it as a context manager."""

    def __init__(self, state: Path | None, host: str, port: int) -> None:
        self._temporary = Path(tempfile.mkdtemp(prefix="local-aws-"))
        self.state = state if state is not None else self._temporary / "state"
        self.state.mkdir(parents=True, exist_ok=True)
        bodies = Bodies(self.state / "bodies")
        install(bodies)
        self.objects = MotoObjects(bodies)
        self.engine = Engine(self._temporary / "duckdb")
        self._catalogs: dict[str, Catalog] = {}
        self.executor = Executor(self.engine, self.objects, self._temporary / "scratch", self.catalog)
        self.api = Api(self.executor, self.catalog, DEFAULT_ACCOUNT_ID)
        self._started = time.time()
        application = Application(self.api, DomainDispatcherApplication(create_backend_app), self.health)
        self._http = ThreadedWSGIServer(host, port, application, handler=_Handler)
        self._http.daemon_threads = True
        self.host, self.port = host, self._http.server_port
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, name="local_aws", daemon=True)
        self._thread.start()
        self._closed = False

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"

    def catalog(self, region: str) -> Catalog:
        if region not in self._catalogs:
            self._catalogs[region] = Catalog(DEFAULT_ACCOUNT_ID, region)
        return self._catalogs[region]

    def health(self) -> dict[str, Any]:
        return {"status": "healthy", "url": self.url, "uptime_seconds": round(time.time() - self._started, 3)}

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        self.executor.close()
        self.engine.close()
        shutil.rmtree(self._temporary, ignore_errors=True)

    def __enter__(self) -> Server:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def serve(state: Path | str | None = None, host: str = "127.0.0.1", port: int = 0) -> Server:
    """Starts local_aws in this process.

    state: folder that keeps everything; None for a temporary one. port: 0 for any free one.
    """
    return Server(Path(state) if state is not None else None, host, port)
