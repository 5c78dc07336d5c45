"""A small threaded HTTP/1.1 server.

Measured against the two WSGI servers at hand: waitress spools every large body to disk before the
application sees it (0.5 GB/s up, 0.8 GB/s down), and werkzeug's closes the connection after each answer.
Here a request's body is a stream on the socket, an answer may be a file that the kernel sends, and
connections stay open. One thread a connection: SDKs keep few, and most of the time is spent in DuckDB or
the kernel, without the interpreter's lock.
"""

from __future__ import annotations

import contextlib
import io
import logging
import socket
import socketserver
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, BinaryIO
from urllib.parse import unquote, unquote_to_bytes

from moto.core.request import (
    PRESERVED_HEADER_NAMES_ENVIRON_KEY,
    environ_key_for_header,
    should_preserve_original_header_name,
)

log = logging.getLogger("local_aws.http")

MAX_LINE = 65_536
MAX_HEADERS = 200
IDLE_SECONDS = 300
BLOCK = 1 << 20


class BadRequest(Exception):
    """The bytes on the socket are no HTTP request."""


class Body(io.RawIOBase):
    """A request's body, read from the socket as far as it goes."""

    def __init__(self, source: BinaryIO, length: int | None, begin: Callable[[], None]) -> None:
        """length: bytes to come; None: chunked. begin: called before the first byte is read."""
        self._source = source
        self._left = length
        self._chunk = 0
        self._done = length == 0
        self._begin: Callable[[], None] | None = begin

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        if size is None or size < 0:
            parts = []
            while block := self.read(BLOCK):
                parts.append(block)
            return b"".join(parts)
        if self._done or not size:
            return b""
        if self._begin is not None:
            begin, self._begin = self._begin, None
            begin()
        if self._left is None:
            return self._read_chunked(size)
        block = self._source.read(min(size, self._left))
        if not block:
            raise BadRequest("the connection ended before the body did")
        self._left -= len(block)
        self._done = self._left == 0
        return block

    def _read_chunked(self, size: int) -> bytes:
        if not self._chunk:
            line = self._source.readline(MAX_LINE)
            self._chunk = int(line.split(b";")[0].strip() or b"0", 16)
            if not self._chunk:
                while self._source.readline(MAX_LINE).strip():
                    pass
                self._done = True
                return b""
        block = self._source.read(min(size, self._chunk))
        if not block:
            raise BadRequest("the connection ended before the body did")
        self._chunk -= len(block)
        if not self._chunk:
            self._source.readline(MAX_LINE)
        return block

    def readline(self, limit: int = -1) -> bytes:  # type: ignore[override]
        out = bytearray()
        while limit < 0 or len(out) < limit:
            b = self.read(1)
            out += b
            if not b or b == b"\n":
                break
        return bytes(out)

    def readinto(self, buffer: Any) -> int:
        block = self.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)

    @property
    def untouched(self) -> bool:
        return self._begin is not None and not self._done


@dataclass
class Request:
    """method, path (percent-encoded), query (encoded), headers by lower-case name, body."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    body: Body
    client: tuple[str, int]
    raw_headers: list[tuple[str, str]] = field(default_factory=list)
    # Bytes on which a router looked, to be read again.
    peeked: bytes | None = None

    @property
    def content_length(self) -> int | None:
        value = self.headers.get("content-length")
        return int(value) if value is not None else None

    def data(self) -> bytes:
        """The whole body, which can be asked for more than once. For small bodies."""
        if self.peeked is None:
            self.peeked = self.body.read()
        return self.peeked

    def environ(self, server: tuple[str, int]) -> dict[str, Any]:
        """The request as WSGI has it, with what moto's own handler adds."""
        stream: Any = io.BytesIO(self.peeked) if self.peeked is not None else self.body
        environ: dict[str, Any] = {
            "REQUEST_METHOD": self.method,
            "SCRIPT_NAME": "",
            "PATH_INFO": unquote_to_bytes(self.path).decode("latin-1"),
            "QUERY_STRING": self.query,
            "RAW_URI": self.path + (f"?{self.query}" if self.query else ""),
            "REQUEST_URI": self.path + (f"?{self.query}" if self.query else ""),
            "SERVER_NAME": server[0],
            "SERVER_PORT": str(server[1]),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": self.client[0],
            "REMOTE_PORT": str(self.client[1]),
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": stream,
            "wsgi.input_terminated": True,
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": False,
            "wsgi.run_once": False,
        }
        names: dict[str, str] = {}
        dashed = {environ_key_for_header(n) for n, _ in self.raw_headers if "_" not in n}
        for name, value in self.raw_headers:
            key = environ_key_for_header(name)
            if "_" in name:
                # WSGI cannot tell X_Y from X-Y; S3 metadata may have either.
                if key in dashed or not should_preserve_original_header_name(name):
                    continue
                names[key] = name
            environ[key] = f"{environ[key]},{value}" if key in environ else value
        environ[PRESERVED_HEADER_NAMES_ENVIRON_KEY] = names
        return environ


@dataclass
class FileSlice:
    """Part of an open file as an answer's body; it is closed when sent."""

    path: str
    offset: int
    length: int
    file: Any


@dataclass
class Response:
    """status, headers, and a body: bytes, a FileSlice, or blocks with a Content-Length in the headers."""

    status: int
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | FileSlice | Iterable[bytes] = b""


Handler = Callable[[Request], Response]


def query_parameters(query: str) -> dict[str, str]:
    """A query string's parameters; the first of equal names, '' where there is no value."""
    out: dict[str, str] = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            out.setdefault(unquote(name.replace("+", " ")), unquote(value.replace("+", " ")))
    return out


class HttpServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves `handler` on a port (0: any free one)."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512

    def __init__(self, host: str, port: int, handler: Handler) -> None:
        self.handler = handler
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__((host, port), _Connection)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def entered(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.add(connection)

    def left(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def close(self) -> None:
        """Stops accepting and closes connections."""
        self.shutdown()
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.debug("connection of %s failed", client_address, exc_info=True)


class _Connection(socketserver.BaseRequestHandler):
    server: HttpServer

    def handle(self) -> None:
        connection: socket.socket = self.request
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.settimeout(IDLE_SECONDS)
        self.server.entered(connection)
        source = connection.makefile("rb", 1 << 17)
        try:
            while self._one(connection, source):
                pass
        except (OSError, BadRequest, ValueError) as e:
            log.debug("connection of %s ended: %s", self.client_address, e)
        finally:
            self.server.left(connection)
            source.close()

    def _one(self, connection: socket.socket, source: Any) -> bool:
        """Answers one request. False when the connection is over."""
        line = source.readline(MAX_LINE)
        while line in (b"\r\n", b"\n"):
            line = source.readline(MAX_LINE)
        if not line:
            return False
        try:
            method, target, version = line.decode("latin-1").split()
        except ValueError:
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            return False
        raw: list[tuple[str, str]] = []
        headers: dict[str, str] = {}
        while True:
            line = source.readline(MAX_LINE)
            if line in (b"\r\n", b"\n"):
                break
            if not line or len(raw) >= MAX_HEADERS:
                raise BadRequest("headers do not end")
            name, _, value = line.decode("latin-1").partition(":")
            value = value.strip()
            raw.append((name, value))
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        if target.startswith("http://"):
            target = "/" + target.split("/", 3)[-1] if target.count("/") > 2 else "/"
        path, _, query = target.partition("?")

        def begin() -> None:
            if headers.get("expect", "").lower() == "100-continue":
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

        chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        length = None if chunked else int(headers.get("content-length") or 0)
        if length == 0:
            # There is nothing to wait with; botocore loses count of its answers if it is not told to go on.
            begin()
        body = Body(source, length, begin)
        request = Request(method, path, query, headers, body, self.client_address, raw)
        try:
            response = self.server.handler(request)
        except BadRequest:
            raise
        except Exception:
            log.exception("%s %s failed", method, target)
            response = Response(
                500, [("Content-Type", "text/plain")], b"local_aws: internal failure; see its log\n"
            )
        waits = "expect" in headers and body.untouched and length != 0
        keep = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close" and not waits
        if keep and not body._done:
            # An unread body would be taken for the next request.
            while body.read(BLOCK):
                pass
        self._send(connection, method, response, keep)
        return keep

    def _send(self, connection: socket.socket, method: str, response: Response, keep: bool) -> None:
        status = response.status
        body = response.body
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        head = [f"HTTP/1.1 {status} {phrase}"]
        have_length = False
        chunked = False
        for name, value in response.headers:
            lower = name.lower()
            if lower in ("connection", "transfer-encoding"):
                continue
            have_length |= lower == "content-length"
            head.append(f"{name}: {value}")
        bodiless = status in (204, 304) or 100 <= status < 200
        if not have_length and not bodiless:
            if isinstance(body, bytes):
                head.append(f"Content-Length: {len(body)}")
            elif isinstance(body, FileSlice):
                head.append(f"Content-Length: {body.length}")
            else:
                chunked = True
                head.append("Transfer-Encoding: chunked")
        head.append("Connection: keep-alive" if keep else "Connection: close")
        data = ("\r\n".join(head) + "\r\n\r\n").encode("latin-1", "replace")
        if method == "HEAD" or bodiless:
            connection.sendall(data)
        elif isinstance(body, bytes):
            connection.sendall(data + body if len(body) < BLOCK else data)
            if len(body) >= BLOCK:
                connection.sendall(body)
        elif isinstance(body, FileSlice):
            _send_file(connection, data, body)
        else:
            connection.sendall(data)
            for block in _blocks(body):
                connection.sendall(b"%x\r\n%b\r\n" % (len(block), block) if chunked else block)
            if chunked:
                connection.sendall(b"0\r\n\r\n")


def _blocks(body: Iterable[bytes]) -> Iterator[bytes]:
    try:
        for block in body:
            if block:
                yield block
    finally:
        close = getattr(body, "close", None)
        if close is not None:
            close()


def _send_file(connection: socket.socket, head: bytes, part: FileSlice) -> None:
    with part.file as f:
        connection.sendall(head)
        sent = connection.sendfile(f, part.offset, part.length)
        if sent != part.length:
            raise OSError(f"{part.path}: {sent} of {part.length} bytes sent")


def wsgi(application: Callable[..., Iterable[bytes]], server: tuple[str, int]) -> Handler:
    """A WSGI application as a Handler."""

    def handle(request: Request) -> Response:
        out: dict[str, Any] = {}

        def start_response(
            status: str, headers: list[tuple[str, str]], exc_info: Any = None
        ) -> Callable[[bytes], None]:
            out["status"] = int(status.split(" ", 1)[0])
            out["headers"] = headers
            return lambda data: None

        body = application(request.environ(server), start_response)
        try:
            blocks = b"".join(body)
        finally:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        headers = out["headers"]
        if request.method != "HEAD":
            headers = [(n, v) for n, v in headers if n.lower() != "content-length"]
        return Response(out["status"], headers, blocks)

    return handle


__all__ = ["Body", "FileSlice", "Handler", "HttpServer", "Request", "Response", "query_parameters", "wsgi"]
