"""A real HTTP server that behaves as servers of files do, and misbehaves when it is told to."""

from __future__ import annotations

import hashlib
import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Resource:
    """A file; ``etag`` None: the server has none. ``ranges``: whether it serves them."""

    body: bytes
    etag: str | None = None
    last_modified: str | None = None
    ranges: bool = True
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, body: bytes, **others: object) -> Resource:
        return cls(body, f'"{hashlib.sha256(body).hexdigest()[:12]}"', **others)  # type: ignore[arg-type]


#: What happens to one request: True if it answered it.
Mishap = Callable[["Handler"], bool]


class FileServer(ThreadingHTTPServer):
    """Serves :attr:`files` by path; :attr:`mishaps` happen to the next requests, one each (None: nothing)."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, Resource] = {}
        self.mishaps: list[Mishap | None] = []
        self.requests: list[tuple[str, dict[str, str]]] = []

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are what the tests are about."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def paths(self) -> list[str]:
        """What was asked for so far, sorted, and forget it."""
        asked, self.requests = sorted(path for path, _ in self.requests), []
        return asked

    def asked(self, name: str) -> list[str | None]:
        """A header of each request so far."""
        return [headers.get(name.lower()) for _, headers in self.requests]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FileServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.server.requests.append(
            (self.path, {name.lower(): value for name, value in self.headers.items()})
        )
        mishap = self.server.mishaps.pop(0) if self.server.mishaps else None
        if mishap is None or not mishap(self):
            self.answer()

    def answer(self, cut: int | None = None) -> None:
        """Answer as RFC 9110 says; ``cut`` closes the connection after so many bytes of the body."""
        found = self.server.files.get(self.path)
        if found is None:
            self.plain(404)
            return
        validator = found.etag or found.last_modified
        if found.etag and self.headers.get("If-None-Match") == found.etag:
            self.plain(304)
            return
        if found.last_modified and self.headers.get("If-Modified-Since") == found.last_modified:
            self.plain(304)
            return
        status, body, start = 200, found.body, 0
        extra = dict(found.headers)
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and found.ranges and self.headers.get("If-Range") in (None, validator):
            start = int(wanted[1])
            if start >= len(found.body):
                self.plain(416, {"Content-Range": f"bytes */{len(found.body)}"})
                return
            status, body = 206, found.body[start:]
            extra["Content-Range"] = f"bytes {start}-{len(found.body) - 1}/{len(found.body)}"
        self.send_response(status)
        extra |= {"Content-Length": str(len(body))}
        extra |= {"ETag": found.etag} if found.etag else {}
        extra |= {"Last-Modified": found.last_modified} if found.last_modified else {}
        for name, value in extra.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body if cut is None else body[:cut])
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True

    def plain(self, status: int, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": "0", **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()


def status(code: int, **headers: str) -> Mishap:
    """An answer without a body."""

    def mishap(handler: Handler) -> bool:
        handler.plain(code, {name.replace("_", "-"): value for name, value in headers.items()})
        return True

    return mishap


def cut_after(size: int) -> Mishap:
    """The connection ends after so many bytes of the body."""

    def mishap(handler: Handler) -> bool:
        handler.answer(cut=size)
        return True

    return mishap


def replaced_by(path: str, resource: Resource, *, cut: int | None = None) -> Mishap:
    """The file is replaced: after so many bytes of the old one came, or before the answer."""

    def mishap(handler: Handler) -> bool:
        if cut is not None:
            handler.answer(cut=cut)
        handler.server.files[path] = resource
        return cut is not None

    return mishap


def hang_up(handler: Handler) -> bool:
    """The connection is closed without an answer."""
    handler.close_connection = True
    return True


def stalls_after(size: int, reached: threading.Event, go_on: threading.Event) -> Mishap:
    """After so many bytes of the body nothing more comes, until the test says so."""

    def mishap(handler: Handler) -> bool:
        body = handler.server.files[handler.path].body
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.send_header("ETag", handler.server.files[handler.path].etag or "")
        handler.end_headers()
        handler.wfile.write(body[:size])
        handler.wfile.flush()
        reached.set()
        go_on.wait(60)
        handler.close_connection = True
        return True

    return mishap


@contextmanager
def serve_files() -> Iterator[FileServer]:
    with FileServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


class Memory:
    """Parts in memory; a new process sees the same ones."""

    def __init__(self) -> None:
        self.version: str | None = None
        self.body = bytearray()

    @property
    def size(self) -> int:
        return len(self.body)

    def restart(self, version: str | None) -> None:
        self.version = version
        self.body.clear()

    def append(self, data: bytes) -> None:
        self.body += data

    def read(self) -> Iterator[bytes]:
        yield bytes(self.body)
