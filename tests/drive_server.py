"""A real HTTP server that answers as Google Drive's API (v3) does."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BODY = bytes(range(256)) * 40
FOLDER = "application/vnd.google-apps.folder"


class Drive(ThreadingHTTPServer):
    """The part of Drive's API (v3) that is used; ``statuses`` are the answers to the next requests."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, bytes] = {}
        self.statuses: list[int | None] = []
        self.replace: dict[str, bytes] = {}
        self.page = 2
        self.ranges: list[str | None] = []
        self.keys: set[str] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/drive/v3/"

    def put(self, name: str, body: bytes = BODY, parent: str = "root-1", **others: Any) -> str:
        file_id = f"id-{name.replace(' ', '_').replace('.', '_')}"
        self.bodies[file_id] = body
        self.files[file_id] = {"id": file_id, "name": name, "mimeType": "text/csv", "parent": parent} | others
        return file_id

    def entry(self, file_id: str) -> dict[str, Any]:
        entry = {name: value for name, value in self.files[file_id].items() if name != "parent"}
        if not entry["mimeType"].startswith("application/vnd.google-apps"):
            body = self.bodies[file_id]
            entry |= {"size": str(len(body)), "md5Checksum": hashlib.md5(body).hexdigest()}
        return entry


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Drive

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        drive, address = self.server, urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        drive.keys.add(query.get("key", ""))
        status = drive.statuses.pop(0) if drive.statuses else None
        if status is not None:
            self._send(status, json.dumps({"error": {"code": status, "message": "as told"}}).encode())
        elif address.path == "/drive/v3/files":
            self._list(query)
        elif (file_id := address.path.rsplit("/", 1)[-1]) not in drive.files:
            self._send(404, json.dumps({"error": {"code": 404, "message": "File not found"}}).encode())
        elif query.get("alt") == "media":
            self._media(file_id)
        else:
            self._send(200, json.dumps(drive.entry(file_id)).encode())

    def _list(self, query: dict[str, str]) -> None:
        match = re.fullmatch(r"'([\w-]+)' in parents and trashed = false", query["q"])
        assert match
        found = [
            self.server.entry(one) for one, file in self.server.files.items() if file["parent"] == match[1]
        ]
        start = int(query.get("pageToken", 0))
        page: dict[str, Any] = {"files": found[start : start + self.server.page]}
        if start + self.server.page < len(found):
            page["nextPageToken"] = str(start + self.server.page)
        self._send(200, json.dumps(page).encode())

    def _media(self, file_id: str) -> None:
        body, wanted = self.server.bodies[file_id], self.headers.get("Range")
        self.server.ranges.append(wanted)
        match = re.fullmatch(r"bytes=(\d+)-(\d+)", wanted or "")
        assert match
        start, end = int(match[1]), min(int(match[2]), len(body) - 1)
        if start >= len(body):
            self._send(416, b"")
        else:
            content = body[start : end + 1]
            self._send(206, content, {"Content-Range": f"bytes {start}-{end}/{len(body)}"})
        if file_id in self.server.replace:
            self.server.bodies[file_id] = self.server.replace.pop(file_id)

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Length": str(len(body)),
            "Content-Type": "application/json",
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def serve_drive() -> Iterator[Drive]:
    with Drive() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
