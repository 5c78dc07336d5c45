"""An HTTP proxy between the pipeline and its AWS that makes chosen requests go wrong.

A :class:`Rule` names requests (by task, service, operation, key) and which of them is met, counted from 1;
its action decides what happens. Everything else is passed on and noted in :attr:`Proxy.log`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CONTROL = "/_faults/control"
_BLOCK = 256 * 1024
_SCOPE = re.compile(r"Credential=[^/]+/\d{8}/[^/]+/([^/]+)/")


@dataclass
class Exchange:
    """One request. ``key``: of the object or the prefix of a listing; of other services what they work on."""

    task: str
    attempt: int
    service: str
    operation: str
    key: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def writes(self) -> bool:
        """Whether it changes anything."""
        if self.service == "s3":
            return self.method not in ("GET", "HEAD")
        return not self.operation.startswith(("Get", "List", "BatchGet", "Describe"))

    def json(self) -> dict[str, Any]:
        return json.loads(self.body or b"{}")

    def __str__(self) -> str:
        return f"{self.task}#{self.attempt} {self.service}:{self.operation} {self.key}"


class Connection:
    """What a rule can do with a request."""

    def __init__(self, proxy: Proxy, handler: _Handler, exchange: Exchange):
        self.proxy, self.exchange = proxy, exchange
        self._handler = handler

    def answer(self, status: int, code: str, message: str = "injected") -> None:
        """Answer with an error of AWS instead of passing the request on."""
        exchange = self.exchange
        if exchange.service in ("athena", "glue"):
            body = json.dumps({"__type": code, "message": message, "Message": message}).encode()
            kind = "application/x-amz-json-1.1"
        else:
            body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
            if exchange.service != "s3":
                body = b"<ErrorResponse>" + body + b"<RequestId>0</RequestId></ErrorResponse>"
            kind = "application/xml"
        self._handler.reply(status, [("Content-Type", kind), ("x-amzn-ErrorType", code)], body)

    def reply(self, status: int, body: bytes, kind: str = "application/xml") -> None:
        self._handler.reply(status, [("Content-Type", kind)], body)

    def reset(self) -> None:
        """Break the connection with a TCP reset."""
        connection = self._handler.connection
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._handler.drop()

    def drop(self) -> None:
        """Close the connection without an answer."""
        self._handler.drop()

    def kill(self) -> None:
        """SIGKILL the process that carries out the try, and drop what it has under way."""
        self.proxy.kill_try()
        self._handler.drop()

    def forward(self, path: str | None = None) -> None:
        """Pass the request on, with another path if there is one, and its answer back."""
        if path is not None:
            self._handler.path = path
        self._handler.forward(self.exchange.body)

    def forward_request(self, body: dict[str, Any]) -> None:
        """Pass another request on in place of this one, and its answer back."""
        self._handler.forward(json.dumps(body).encode())

    def forward_changed(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Pass the request on, and back an answer that was changed."""
        status, headers, body = self._handler.ask(self.exchange.body)
        content = json.loads(body)
        change(content)
        kept = [(name, value) for name, value in headers if name.lower() == "content-type"]
        self._handler.reply(status, kept, json.dumps(content).encode())

    def swallow(self, body: dict[str, Any] | None = None) -> None:
        """Pass the request on, or another one in its place, and keep the answer to oneself."""
        self._handler.ask(self.exchange.body if body is None else json.dumps(body).encode())

    def keep_waiting(self) -> None:
        """Answer nothing until the client has left."""
        self._handler.wait_for_the_client_to_leave()
        self._handler.drop()

    def forward_half(self, and_then: str) -> None:
        """Pass the request on and half of the answer back; then ``stall`` or ``close``."""
        self._handler.forward(self.exchange.body, half=and_then)


Action = Callable[[Connection], None]


@dataclass
class Rule:
    """Which requests go wrong, and how. Patterns are searched for; ``nth`` is the first that is met."""

    action: Action
    task: str = ""
    service: str = ""
    operation: str = ""
    key: str = ""
    body: str = ""
    writes: bool | None = None
    attempt: int | None = None
    nth: int = 1
    times: int | None = 1
    seen: int = 0
    fired: int = 0

    def matches(self, exchange: Exchange) -> bool:
        return (
            bool(re.fullmatch(self.task or ".*", exchange.task))
            and (not self.service or self.service == exchange.service)
            and bool(re.search(self.operation, exchange.operation))
            and bool(re.search(self.key, exchange.key))
            and (not self.body or re.search(self.body, exchange.body.decode(errors="replace")) is not None)
            and (self.writes is None or self.writes == exchange.writes)
            and (self.attempt is None or self.attempt == exchange.attempt)
        )

    def met(self, exchange: Exchange) -> bool:
        """Count a request; True if this one goes wrong."""
        if not self.matches(exchange):
            return False
        self.seen += 1
        if self.seen < self.nth or (self.times is not None and self.seen >= self.nth + self.times):
            return False
        self.fired += 1
        return True


class Proxy:
    """A running proxy in front of the AWS at ``target``."""

    def __init__(
        self,
        target: str,
        rules: Iterable[Rule] = (),
        on_event: Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
    ):
        self.rules = list(rules)
        self.log: list[Exchange] = []
        self.tries: list[dict[str, Any]] = []
        self.run_id: str | None = None
        self._target = urlsplit(target)
        self._on_event = on_event
        self._current: dict[str, Any] = {"task": "", "try": 0, "pid": 0}
        self._dead = False
        self._lock = threading.Lock()
        self._closing = threading.Event()
        handler = type("Handler", (_Handler,), {"proxy": self})
        self._server = _Server(("127.0.0.1", 0), handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.control = self.url + CONTROL

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *details: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def closing(self) -> bool:
        return self._closing.is_set()

    def event(self, event: dict[str, Any]) -> dict[str, Any]:
        """A scheduler says what happens: a run has begun, a try is about to, a try has ended.

        Returns how the worker of a try is disturbed.
        """
        if event["event"] == "run":
            self.run_id = event["run_id"]
        if event["event"] == "try":
            with self._lock:
                self._current, self._dead = event, False
                self.tries.append(event)
        return (self._on_event(event) if self._on_event is not None else None) or {}

    def kill_try(self) -> None:
        """SIGKILL the try that is under way, with all its threads and children."""
        with self._lock:
            if not self._dead and self._current["pid"]:
                self._dead = True
                os.killpg(self._current["pid"], signal.SIGKILL)

    def note(self, exchange: Exchange) -> Rule | None:
        """Note a request; returns the rule that it meets."""
        with self._lock:
            if self._dead:
                raise ConnectionAbortedError
            exchange.task, exchange.attempt = self._current["task"], self._current["try"]
            self.log.append(exchange)
            # Every rule counts; the first that is met acts.
            met = [rule for rule in self.rules if rule.met(exchange)]
            return met[0] if met else None

    def connect(self) -> http.client.HTTPConnection:
        assert self._target.hostname
        return http.client.HTTPConnection(self._target.hostname, self._target.port, timeout=600)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is what this is about."""


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy
    protocol_version = "HTTP/1.1"
    # One packet for the head and a small body; with Nagle's algorithm two would wait for each other.
    wbufsize = 64 * 1024
    disable_nagle_algorithm = True

    def setup(self) -> None:
        super().setup()
        self._upstream: http.client.HTTPConnection | None = None

    def handle_expect_100(self) -> bool:
        # boto3 waits a second for this before it sends an object's body anyway.
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def finish(self) -> None:
        if self._upstream is not None:
            self._upstream.close()
        with contextlib.suppress(OSError):
            super().finish()

    def _one(self) -> None:
        body = self._body()
        if self.path == CONTROL:
            self.reply(200, [], json.dumps(self.proxy.event(json.loads(body))).encode())
            return
        exchange = _exchange(self.command, self.path, dict(self.headers.items()), body)
        try:
            rule = self.proxy.note(exchange)
        except ConnectionAbortedError:
            self.drop()
            return
        if rule is None:
            self.forward(body)
        else:
            rule.action(Connection(self.proxy, self, exchange))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _one  # noqa: N815  # the names are http.server's

    def _body(self) -> bytes:
        if "chunked" not in self.headers.get("Transfer-Encoding", "").lower():
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _send(self, body: bytes) -> http.client.HTTPResponse:
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("expect", "transfer-encoding", "content-length", "connection")
        }
        if body or self.command in ("PUT", "POST"):
            headers["Content-Length"] = str(len(body))
        for again in (True, False):
            if self._upstream is None:
                self._upstream = self.proxy.connect()
            try:
                self._upstream.request(self.command, self.path, body or None, headers)
                return self._upstream.getresponse()
            except (http.client.RemoteDisconnected, ConnectionError):
                # An idle connection that the other side has closed meanwhile.
                self._upstream.close()
                self._upstream = None
                if not again:
                    raise
        raise AssertionError

    def ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        answer = self._send(body)
        return answer.status, answer.getheaders(), answer.read()

    def forward(self, body: bytes, half: str | None = None) -> None:
        try:
            answer = self._send(body)
        except OSError:
            self.drop()
            return
        self.send_response_only(answer.status)
        length = None
        for name, value in answer.getheaders():
            if name.lower() not in ("connection", "transfer-encoding"):
                self.send_header(name, value)
            if name.lower() == "content-length":
                length = int(value)
        bodiless = self.command == "HEAD" or answer.status in (204, 304)
        if length is None and not bodiless:
            whole = answer.read()
            self.send_header("Content-Length", str(len(whole)))
            self.end_headers()
            self.wfile.write(whole)
            return
        self.end_headers()
        if bodiless:
            answer.read()
            return
        left = length if half is None else (length or 0) // 2
        while left and (block := answer.read(min(_BLOCK, left))):
            self.wfile.write(block)
            left -= len(block)
        if half is None:
            answer.read()
            return
        self.wfile.flush()
        if self._upstream is not None:
            self._upstream.close()
            self._upstream = None
        if half == "stall":
            self.wait_for_the_client_to_leave()
        self.drop()

    def wait_for_the_client_to_leave(self) -> None:
        while not self.proxy.closing:
            if select.select([self.connection], [], [], 0.1)[0]:
                return

    def reply(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def drop(self) -> None:
        self.close_connection = True
        try:
            self.wfile.flush()
            # Other descriptors of the same socket would keep it open.
            self.rfile.close()
            self.connection.close()
        except OSError:
            pass

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


def _exchange(method: str, path: str, headers: dict[str, str], body: bytes) -> Exchange:
    lower = {name.lower(): value for name, value in headers.items()}
    scope = _SCOPE.search(lower.get("authorization", ""))
    service = scope.group(1) if scope else "s3"
    if "x-amz-target" in lower:
        operation = lower["x-amz-target"].rsplit(".", 1)[-1]
        content = json.loads(body or b"{}")
        key = content.get("QueryExecutionId") or content.get("TableName") or content.get("Name") or ""
    elif service == "s3":
        operation, key = _s3(method, path, lower)
    else:
        operation, key = parse_qs(body.decode(errors="replace")).get("Action", [""])[0], ""
    return Exchange("", 0, service, operation, key, method, path, lower, body)


def _s3(method: str, path: str, headers: dict[str, str]) -> tuple[str, str]:
    split = urlsplit(path)
    _, _, key = unquote(split.path).lstrip("/").partition("/")
    query = parse_qs(split.query, keep_blank_values=True)
    if not key:
        if "list-type" in query:
            return "ListObjectsV2", query.get("prefix", [""])[0]
        if "versions" in query:
            return "ListObjectVersions", query.get("prefix", [""])[0]
        return ("DeleteObjects" if "delete" in query else f"{method.title()}Bucket"), ""
    if "tagging" in query:
        return f"{method.title()}ObjectTagging", key
    if method == "PUT":
        if "x-amz-copy-source" in headers:
            return ("UploadPartCopy" if "partNumber" in query else "CopyObject"), key
        return ("UploadPart" if "partNumber" in query else "PutObject"), key
    if method == "POST":
        return ("CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload"), key
    if method == "DELETE":
        return ("AbortMultipartUpload" if "uploadId" in query else "DeleteObject"), key
    return f"{method.title()}Object", key


# --- actions ---------------------------------------------------------------------------------------


def refuse(status: int, code: str, message: str = "injected") -> Action:
    """Answer with an error."""
    return lambda connection: connection.answer(status, code, message)


def reset(connection: Connection) -> None:
    connection.reset()


def kill_before(connection: Connection) -> None:
    """The request never arrives: its sender is dead."""
    connection.kill()


def kill_after(connection: Connection) -> None:
    """The request takes effect; its sender is dead before it learns of it."""
    connection.swallow()
    connection.kill()


def kill_when_succeeded(queries: int) -> Action:
    """The sender asks how its queries do, and is dead before it learns that the last of them has succeeded."""
    succeeded: set[str] = set()

    def act(connection: Connection) -> None:
        def look(answer: dict[str, Any]) -> None:
            query = answer["QueryExecution"]
            if query["Status"]["State"] == "SUCCEEDED":
                succeeded.add(query["QueryExecutionId"])
            if len(succeeded) == queries:
                connection.proxy.kill_try()

        connection.forward_changed(look)

    return act


def no_answer(connection: Connection) -> None:
    """The request takes effect, and its sender waits for the answer."""
    connection.swallow()
    connection.keep_waiting()


def stall(connection: Connection) -> None:
    connection.forward_half("stall")


def truncate(connection: Connection) -> None:
    connection.forward_half("close")


def error_in_success(connection: Connection) -> None:
    """S3 may answer a copy with 200 and an error in the body (API reference, CopyObject)."""
    connection.reply(
        200, b"<?xml version='1.0'?><Error><Code>InternalError</Code><Message>injected</Message></Error>"
    )


def first(hook: Callable[[], None]) -> Action:
    """Do something else, then pass the request on."""

    def act(connection: Connection) -> None:
        hook()
        connection.forward()

    return act


@dataclass
class Gate:
    """Holds requests until it is opened; ``reached`` when the first waits."""

    reached: threading.Event = field(default_factory=threading.Event)
    opened: threading.Event = field(default_factory=threading.Event)

    def hold(self, connection: Connection) -> None:
        self.reached.set()
        self.opened.wait(900)
        connection.forward()
