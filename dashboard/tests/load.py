"""Many people at once, and how long one page takes: ``make test-load``, ``PEOPLE=30 MINUTES=5``.

A person is a WebSocket client that speaks Streamlit's protocol as a browser does, without drawing what comes.
"""

from __future__ import annotations

import http.client
import os
import random
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect
from websockets.typing import Origin, Subprotocol

from dashboard import app
from dashboard.tests import browser

PEOPLE = int(os.environ.get("PEOPLE", "30"))
MINUTES = float(os.environ.get("MINUTES", "5"))
#: Each person opens a page so often.
SECONDS_PER_PAGE = 7.5
#: How long each query of Athena takes at least where one page is measured: a second is quick for the real one.
QUERY_SECONDS = 1.0
PATHS = [path for pages in app.PAGES.values() for *_, path in pages]
QUERIES = ("", "", "state=TX", "state=OH", "state=CA")


class PageError(AssertionError):
    """A page that did not come, or came with an error."""


def view(url: str, path: str, query: str = "") -> float:
    """Open a page as a new visitor; returns the seconds until its script has run to its end.

    Raises:
        PageError: if the script fails, the page shows an error, or it is not complete.
    """
    address = url.replace("http", "ws", 1) + "/_stcore/stream"
    began = time.monotonic()
    shown: list[str] = []
    with connect(
        address, origin=Origin(url), subprotocols=[Subprotocol("streamlit")], max_size=None, proxy=None
    ) as socket:
        ask = BackMsg()
        ask.rerun_script.query_string = query
        ask.rerun_script.page_name = path
        socket.send(ask.SerializeToString())
        while True:
            message = ForwardMsg()
            message.ParseFromString(socket.recv(timeout=120))
            kind = message.WhichOneof("type")
            if kind == "page_not_found":
                raise PageError(f"/{path} is not found")
            if kind == "delta":
                element = message.delta.new_element
                if element.WhichOneof("type") == "exception":
                    raise PageError(f"/{path}: {element.exception.type} {element.exception.message}")
                if element.alert.format == element.alert.ERROR:
                    raise PageError(f"/{path}: {element.alert.body}")
                shown.append(str(element.markdown.body))
            if kind == "script_finished":
                if message.script_finished == ForwardMsg.FINISHED_EARLY_FOR_RERUN:
                    continue
                if message.script_finished != ForwardMsg.FINISHED_SUCCESSFULLY:
                    raise PageError(f"/{path} ended with {message.script_finished}")
                if any(browser.FOOT in text for text in shown):
                    return time.monotonic() - began


def megabytes(process: int) -> float:
    """Resident memory of a process."""
    (line,) = [
        one for one in Path(f"/proc/{process}/status").read_text().splitlines() if one.startswith("VmRSS")
    ]
    return int(line.split()[1]) / 1024


def test_many_people(lake: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """Nobody sees an error, pages stay quick, and memory does not grow."""
    seconds: list[float] = []
    errors: list[str] = []
    memory: list[float] = []
    with browser.serving(lake["environment"]) as (url, process):
        for path in PATHS:
            view(url, path)
        end = time.monotonic() + 60 * MINUTES

        def person(number: int) -> None:
            chance = random.Random(number)
            time.sleep(chance.uniform(0, SECONDS_PER_PAGE))
            while (began := time.monotonic()) < end:
                try:
                    seconds.append(view(url, chance.choice(PATHS), chance.choice(QUERIES)))
                except Exception as error:
                    errors.append(repr(error))
                time.sleep(max(0, began + SECONDS_PER_PAGE - time.monotonic()))

        people = [threading.Thread(target=person, args=(number,)) for number in range(PEOPLE)]
        for one in people:
            one.start()
        while any(one.is_alive() for one in people):
            memory.append(megabytes(process))
            time.sleep(2)
    assert seconds, errors[:3]
    ninety = statistics.quantiles(seconds, n=10)[-1]
    half = len(memory) // 2
    first, last = max(memory[half // 2 : half]), max(memory[-max(1, half // 2) :])
    with capsys.disabled():
        print(
            f"\n{PEOPLE} people, {MINUTES:g} minutes: {len(seconds)} pages, {len(errors)} errors; "
            f"median {statistics.median(seconds):.2f} s, nine of ten within {ninety:.2f} s, slowest {max(seconds):.2f} s; "
            f"memory {first:.0f} MB in the second quarter, {last:.0f} MB in the last"
        )
    assert errors == []
    assert last <= 1.1 * first + 20


class _Slow(BaseHTTPRequestHandler):
    """Passes requests on; one that starts a query waits for :data:`QUERY_SECONDS` before."""

    protocol_version = "HTTP/1.1"
    target = ""

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("X-Amz-Target", "").endswith(".StartQueryExecution"):
            time.sleep(QUERY_SECONDS)
        upstream = http.client.HTTPConnection(self.target, timeout=120)
        upstream.request(self.command, self.path, body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        upstream.close()

    do_GET = do_POST = do_PUT = _pass_on  # noqa: N815 - the names of http.server

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def slow_athena(lake: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The dashboard's environment with an Athena whose queries take :data:`QUERY_SECONDS` and more."""
    target = urlsplit(lake["environment"]["AWS_ENDPOINT_URL"]).netloc
    handler = type("Handler", (_Slow,), {"target": target})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield lake["environment"] | {"AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_address[1]}"}
        finally:
            server.shutdown()


def test_first_and_cached(lake: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    """A page takes little longer than its slowest query, and next to nothing when its answers are kept."""
    athena = boto3.client(
        "athena",
        endpoint_url=lake["environment"]["AWS_ENDPOINT_URL"],
        region_name="us-east-1",
        aws_access_key_id="local",
        aws_secret_access_key="local",
    )
    workgroup = lake["environment"]["DASHBOARD_WORKGROUP"]

    def executions() -> dict[str, Any]:
        pages = athena.get_paginator("list_query_executions").paginate(WorkGroup=workgroup)
        ids = [one for page in pages for one in page["QueryExecutionIds"]]
        found: list[Any] = []
        for place in range(0, len(ids), 50):
            found += athena.batch_get_query_execution(QueryExecutionIds=ids[place : place + 50])[
                "QueryExecutions"
            ]
        return {one["QueryExecutionId"]: one for one in found}

    rows = []
    with slow_athena(lake) as environment:
        for path in PATHS:
            # A server of its own for each page: nothing is kept from another one. Its first visit loads Python's modules
            # and what is published, as somebody's visit did to a server that has been running.
            with browser.serving(environment | {"DASHBOARD_VERSION_SECONDS": "1"}) as (url, _):
                view(url, "" if path else "run")
                before = executions()
                time.sleep(1.2)
                first = view(url, path)
                new = [one for id_, one in executions().items() if id_ not in before]
                slowest = QUERY_SECONDS + max(
                    (one["Statistics"].get("TotalExecutionTimeInMillis", 0) / 1000 for one in new), default=0
                )
                cached = min(view(url, path) for _ in range(3))
                scanned = sum(one["Statistics"].get("DataScannedInBytes", 0) for one in new)
                rows.append((path or "overview", len(new), slowest, first, cached, scanned))
    with capsys.disabled():
        print(
            "\n| page | queries | slowest query | first paint | ratio | cached | of first | bytes scanned |"
        )
        print("|---|---:|---:|---:|---:|---:|---:|---:|")
        for name, queries, slowest, first, cached, scanned in rows:
            print(
                f"| {name} | {queries} | {slowest:.2f} s | {first:.2f} s | {first / slowest:.2f} | {cached:.2f} s "
                f"| {cached / first:.2f} | {scanned:,} |"
            )
