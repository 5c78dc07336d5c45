"""A shared folder of Google Drive, by Google's client library, from a server that answers as Drive does."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from medlaunch.ingest.fetch import Fetched, RemoteFile, to_fetch
from medlaunch.ingest.fetch_drive import DriveFetcher, DriveFolder, drive_service
from medlaunch.ingest.fetch_http import ContentDiffers, FetchFailed, FetchRefused
from tests.medlaunch.ingest.file_server import Memory

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


@pytest.fixture
def drive() -> Iterator[Drive]:
    with Drive() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def fetcher(drive: Drive) -> DriveFetcher:
    folder = DriveFolder(name="partner", folder_id="root-1", dataset="hours", extensions=(".csv", ".zip"))
    service = drive_service("key-of-tests", f"http://127.0.0.1:{drive.server_port}/drive/v3/")
    return DriveFetcher(service, folder, retries=0, chunk=3000)


def test_files_of_a_folder_and_its_folders(drive: Drive, fetcher: DriveFetcher) -> None:
    for name in ("b.csv", "a.CSV", "notes.txt", "c d.zip", ".hidden.csv"):
        drive.put(name)
    drive.put("deeper", mimeType=FOLDER)
    drive.put("e.csv", parent="id-deeper")
    drive.put("loop", parent="id-deeper", mimeType=FOLDER)
    drive.files["id-loop"]["id"] = "root-1"
    drive.put("sheet.csv", mimeType="application/vnd.google-apps.spreadsheet")
    files = fetcher.offered()
    assert [file.name for file in files] == ["a.CSV", "b.csv", "c d.zip", "e.csv", "hidden.csv"]
    assert files[0].landing_key == "landing/hours/partner/a.CSV"
    assert (files[0].size, files[0].version) == (len(BODY), hashlib.md5(BODY).hexdigest())
    assert drive.keys == {"key-of-tests"}


def only(fetcher: DriveFetcher) -> RemoteFile:
    (file,) = fetcher.offered()
    return file


def test_a_file_comes_in_pieces(drive: Drive, fetcher: DriveFetcher) -> None:
    drive.put("a.csv")
    parts = Memory()
    result = fetcher.fetch(only(fetcher), parts)
    assert bytes(parts.body) == BODY
    assert result.sha256 == hashlib.sha256(BODY).hexdigest()
    assert drive.ranges == ["bytes=0-2999", "bytes=3000-5999", "bytes=6000-8999", "bytes=9000-10239"]
    assert to_fetch([only(fetcher)], {result.url: result}) == []
    drive.put("a.csv", BODY + b"x")
    assert len(to_fetch([only(fetcher)], {result.url: result})) == 1


def test_an_empty_file(drive: Drive, fetcher: DriveFetcher) -> None:
    drive.put("a.csv", b"")
    assert fetcher.fetch(only(fetcher), Memory()).size == 0


def test_another_process_goes_on(drive: Drive, fetcher: DriveFetcher) -> None:
    drive.put("a.csv")
    file, parts = only(fetcher), Memory()
    drive.statuses = [None, None, 503]
    with pytest.raises(FetchFailed, match="503"):
        fetcher.fetch(file, parts)
    assert parts.size == 6000
    assert fetcher.fetch(file, parts).size == len(BODY)
    assert drive.ranges[2] == "bytes=6000-8999"


@pytest.mark.parametrize("new", [BODY[::-1], b"short", BODY[1:] * 2])
def test_a_file_that_is_replaced_while_it_comes(drive: Drive, fetcher: DriveFetcher, new: bytes) -> None:
    file_id = drive.put("a.csv")
    file, parts = only(fetcher), Memory()
    drive.replace = {file_id: new}
    result = fetcher.fetch(file, parts)
    assert bytes(parts.body) == new
    assert (result.size, result.version) == (len(new), hashlib.md5(new).hexdigest())


def test_a_file_that_is_never_what_drive_says(
    drive: Drive, fetcher: DriveFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.put("a.csv")
    file = only(fetcher)
    monkeypatch.setattr(
        Drive, "entry", lambda self, one: {"id": one, "name": "a.csv", "size": "10240", "md5Checksum": "0"}
    )
    drive.bodies["id-a_csv"] = BODY[::-1]
    with pytest.raises(ContentDiffers, match="MD5"):
        fetcher.fetch(file, Memory())


@pytest.mark.parametrize(
    ("status", "kind"), [(403, FetchRefused), (404, FetchRefused), (429, FetchFailed), (500, FetchFailed)]
)
def test_refusals_and_troubles(
    drive: Drive, fetcher: DriveFetcher, status: int, kind: type[FetchFailed]
) -> None:
    drive.statuses = [status]
    with pytest.raises(kind, match=f"{status} \\(as told\\)") as error:
        fetcher.offered()
    assert type(error.value) is kind
    assert "key-of-tests" not in str(error.value)


def test_the_library_repeats_what_is_transient(
    drive: Drive, fetcher: DriveFetcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    drive.put("a.csv")
    slept: list[float] = []
    monkeypatch.setattr("googleapiclient.http.time.sleep", slept.append)
    drive.statuses = [503, 429]
    patient = DriveFetcher(fetcher.service, fetcher.folder, retries=2)
    assert len(patient.offered()) == 1
    assert len(slept) == 2


def test_a_folder_must_have_an_id(fetcher: DriveFetcher) -> None:
    wrong = DriveFolder(name="x", folder_id="x' or '1' = '1", dataset="hours", extensions=(".csv",))
    with pytest.raises(FetchRefused, match="no id"):
        DriveFetcher(fetcher.service, wrong).offered()


def test_fetched_files_are_remembered_by_their_ids(drive: Drive, fetcher: DriveFetcher) -> None:
    drive.put("a.csv")
    result = fetcher.fetch(only(fetcher), Memory())
    assert isinstance(result, Fetched)
    assert result.url == "drive:id-a_csv"
