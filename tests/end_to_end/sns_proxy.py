"""An HTTP proxy in front of SNS that refuses the first messages of chosen pipelines."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

REFUSALS = {
    "Throttling": 400,
    "InternalFailure": 500,
    "ServiceUnavailable": 503,
}


@contextmanager
def refusing_sns(target: str, refusals: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, list[str]]]:
    """A proxy in front of the AWS at ``target``; gives its URL and the list of refusals so far.

    ``refusals``: what each pipeline's messages are answered with, one after the other, before the first
    one goes through.
    """
    left = {pipeline: list(answers) for pipeline, answers in refusals.items()}
    refused: list[str] = []
    lock = threading.Lock()
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            form = parse_qs(body.decode())
            message = form.get("Message", [""])[0] if form.get("Action") == ["Publish"] else ""
            with lock:
                for pipeline, answers in left.items():
                    if f'\\"pipeline\\": \\"{pipeline}\\"' in message and answers:
                        code = answers.pop(0)
                        refused.append(f"{pipeline}: {code}")
                        return self._refuse(code)
            headers = {name: value for name, value in self.headers.items() if name.lower() != "host"}
            request = urllib.request.Request(target + self.path, body, headers)
            with direct.open(request) as answer:
                self._answer(answer.status, answer.read(), answer.headers["Content-Type"])
            return None

        def _refuse(self, code: str) -> None:
            text = (
                '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Receiver</Type>'
                f"<Code>{code}</Code><Message>not now</Message></Error><RequestId>0</RequestId></ErrorResponse>"
            )
            self._answer(REFUSALS[code], text.encode(), "text/xml")

        def _answer(self, status: int, body: bytes, content_type: str) -> None:
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", refused
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
