"""Files over HTTP: whole, unchanged while they came, and no faster than the server wants.

A download that breaks off goes on where it stopped, also in another process: what came is kept in parts, and the server
is asked for the rest on condition that the file is still the same (RFC 9110, sections 13.1.5 and 14).
"""

from __future__ import annotations

import base64
import binascii
import email.utils
import hashlib
import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Protocol

import httpx

from medlaunch.ingest.fetch import (
    CATALOGUE_BYTES,
    Catalogue,
    Fetched,
    RemoteFile,
    check_address,
    read_catalogue,
)

log = logging.getLogger(__name__)

_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")
_TRANSIENT = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_EARLY,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.INTERNAL_SERVER_ERROR,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
    }
)
_REDIRECTS = 5
_RESTARTS = 5


class FetchFailed(Exception):
    """A file did not come; a later try or run asks for it again. ``retry_after``: not before so many seconds."""

    permanent = False

    def __init__(self, message: str, retry_after: float | None = None):
        super().__init__(message)
        self.retry_after = retry_after


class FetchRefused(FetchFailed):
    """The server says that there is nothing to wait for: a status from 400 on that is not transient."""

    permanent = True


class ContentDiffers(FetchFailed):
    """What came is not what was announced: another checksum or size."""


class Parts(Protocol):
    """Keeps what has come of one file, also between processes."""

    @property
    def version(self) -> str | None:
        """The version whose bytes are kept; None if there are none."""

    @property
    def size(self) -> int:
        """How many bytes are kept."""

    def restart(self, version: str | None) -> None:
        """Forget all, and keep what comes of this version."""

    def append(self, data: bytes) -> None:
        """Keep the next bytes."""

    def read(self) -> Iterator[bytes]:
        """What is kept, from the beginning."""


@dataclass(frozen=True, kw_only=True)
class Politeness:
    """How a server is asked.

    Attributes:
        user_agent: says who asks, and where to complain.
        interval: seconds from the end of an answer to the next request.
        attempts: how often a file is asked for without getting any further.
        patience: seconds; a server that wants more is asked in a later try.
        max_bytes: of one file.
    """

    user_agent: str
    interval: float = 1.0
    attempts: int = 6
    patience: float = 300.0
    max_bytes: int = 5 * 1024**3


@dataclass
class HttpFetcher:
    """Asks the servers of one source, one request at a time."""

    client: httpx.Client
    source: Catalogue
    politeness: Politeness
    sleep: Callable[[float], None] = field(default_factory=lambda: time.sleep)
    now: Callable[[], datetime] = field(default=lambda: datetime.now(UTC))
    _asked: bool = False

    def offered(self) -> list[RemoteFile]:
        """The wanted files of the source's catalogue.

        Raises:
            FetchFailed: if the catalogue does not come.
            CatalogueError: if it is none, or not what the source says.
        """
        return read_catalogue(self.catalogue(), self.source)

    def catalogue(self) -> bytes:
        """The source's catalogue.

        Raises:
            FetchFailed: if it does not come.
        """
        body = bytearray()

        def receive(response: httpx.Response) -> bool:
            _require(response, HTTPStatus.OK)
            body.clear()
            for chunk in response.iter_bytes():
                body.extend(chunk)
                if len(body) > CATALOGUE_BYTES:
                    raise ContentDiffers(f"{self.source.url} has more than {CATALOGUE_BYTES:,} bytes")
            return True

        self._until_done(self.source.url, dict, receive, lambda: 0)
        return bytes(body)

    def fetch(self, file: RemoteFile, parts: Parts, known: Fetched | None) -> Fetched | None:
        """Fetch a file into ``parts``; None if the server says that it is as ``known``.

        Raises:
            FetchFailed: if it does not come; what came is kept.
        """
        download = _Download(file, parts, known, self.politeness.max_bytes)
        for _ in range(2):
            done = self._until_done(file.url, download.headers, download.receive, lambda: parts.size)
            if not done:
                return None
            try:
                return download.verify()
            except ContentDiffers as error:
                log.warning("%s; fetching it once more, from the beginning", error)
                download.restart(None)
                wrong = error
        raise wrong

    def _until_done(
        self,
        url: str,
        headers: Callable[[], dict[str, str]],
        receive: Callable[[httpx.Response], bool],
        progress: Callable[[], int],
    ) -> bool:
        """Ask until ``receive`` has all; attempts that bring nothing are counted."""
        failures, before = 0, progress()
        while True:
            wait: float | None = None
            try:
                with self._stream(url, headers()) as response:
                    if response.status_code in _TRANSIENT:
                        wait = _retry_after(response, self.now())
                        reason = f"status {response.status_code}"
                    else:
                        return receive(response)
            except httpx.TransportError as error:
                reason = f"{type(error).__name__}: {error}"
            failures = 1 if progress() > before else failures + 1
            before = progress()
            if failures >= self.politeness.attempts:
                raise FetchFailed(f"{url}: {reason}, {failures} times without getting any further")
            if wait is None:
                wait = min(self.politeness.patience, 2.0**failures) * (0.5 + random.random() / 2)  # noqa: S311
            if wait > self.politeness.patience:
                raise FetchFailed(
                    f"{url}: {reason}, and it wants to be left alone for {wait:,.0f} seconds",
                    retry_after=wait,
                )
            log.info("%s: %s; waiting %.1f s", url, reason, wait)
            self.sleep(wait)

    def _stream(self, url: str, headers: dict[str, str]) -> _Answer:
        if self._asked:
            self.sleep(self.politeness.interval)
        self._asked = True
        return _Answer(self.client, self.source, url, headers | {"User-Agent": self.politeness.user_agent})


class _Answer:
    """The answer to a GET after its redirects, none of which leads away from the source's hosts."""

    def __init__(self, client: httpx.Client, source: Catalogue, url: str, headers: dict[str, str]):
        # Ranges and sizes are of the file as it is, so it must not be compressed on the way.
        self._client, self._source, self._url = client, source, url
        self._headers = headers | {"Accept-Encoding": "identity"}

    def __enter__(self) -> httpx.Response:
        request = self._client.build_request("GET", self._url, headers=self._headers)
        for _ in range(_REDIRECTS + 1):
            self._response = self._client.send(request, stream=True, follow_redirects=False)
            following = self._response.next_request
            if following is None:
                return self._response
            self._response.close()
            check_address(str(following.url), self._source)
            request = following
        raise FetchRefused(f"{self._url}: more than {_REDIRECTS} redirects")

    def __exit__(self, *exit_details: object) -> None:
        self._response.close()


class _Download:
    """One file: what to ask for next, and what to make of the answer."""

    def __init__(self, file: RemoteFile, parts: Parts, known: Fetched | None, max_bytes: int):
        self._file, self._parts, self._known, self._max = file, parts, known, max_bytes
        self._etag: str | None = None
        self._last_modified: str | None = None
        self._digest: bytes | None = None
        self._total: int | None = file.size
        self._restarts = 0

    def restart(self, version: str | None) -> None:
        """Begin again, with what comes of another version.

        Raises:
            FetchFailed: if the file changes faster than it comes.
        """
        if self._parts.size:
            self._restarts += 1
            if self._restarts > _RESTARTS:
                raise FetchFailed(f"{self._file.url} changed {self._restarts} times while it was fetched")
        self._parts.restart(version)

    def headers(self) -> dict[str, str]:
        parts, known = self._parts, self._known
        if parts.version and parts.size:
            return {"Range": f"bytes={parts.size}-", "If-Range": parts.version}
        if parts.size:
            self.restart(None)
        if known is not None and known.etag:
            return {"If-None-Match": known.etag}
        return {"If-Modified-Since": known.last_modified} if known is not None and known.last_modified else {}

    def receive(self, response: httpx.Response) -> bool:
        """Keep what comes; False if nothing changed. Breaks off with the connection."""
        parts = self._parts
        if response.status_code == HTTPStatus.NOT_MODIFIED and not parts.size:
            return False
        match = _CONTENT_RANGE.fullmatch(response.headers.get("Content-Range", ""))
        if response.status_code == HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
            # All of it has come, and the process ended before it could say so; or the file is shorter now.
            if match is not None and match[3] == str(parts.size):
                self._total = parts.size
                self._etag = parts.version if parts.version and parts.version.startswith('"') else None
                return True
            self.restart(None)
            raise httpx.RemoteProtocolError("the file is shorter than what has come of it")
        if response.status_code == HTTPStatus.PARTIAL_CONTENT:
            is_rest = match is not None and match[1] == str(parts.size) and match[3].isdecimal()
            if not is_rest or _validator(response) not in (None, parts.version):
                self.restart(None)
                raise httpx.RemoteProtocolError("the server sent another part, or one of another version")
            self._total = int(match[3]) if match else None
        else:
            _require(response, HTTPStatus.OK)
            self.restart(_validator(response))
            length = response.headers.get("Content-Length", "")
            self._total = int(length) if length.isdecimal() else self._file.size
        self._etag = response.headers.get("ETag") or self._etag
        self._last_modified = response.headers.get("Last-Modified") or self._last_modified
        self._digest = _representation_digest(response)
        for chunk in response.iter_raw():
            parts.append(chunk)
            if parts.size > self._max:
                raise FetchRefused(f"{self._file.url} has more than {self._max:,} bytes")
        if self._total is not None and parts.size < self._total:
            raise httpx.RemoteProtocolError(f"{parts.size:,} of {self._total:,} bytes came")
        return True

    def verify(self) -> Fetched:
        """Compare what came with every size and checksum that was announced."""
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        size = 0
        for chunk in self._parts.read():
            size += len(chunk)
            sha256.update(chunk)
            md5.update(chunk)
        file = self._file
        for what, announced, came in (
            ("bytes", self._total, size),
            ("bytes", file.size, size),
            ("SHA-256", self._digest.hex() if self._digest else None, sha256.hexdigest()),
            ("SHA-256", file.sha256 and file.sha256.lower(), sha256.hexdigest()),
            ("MD5", file.md5 and file.md5.lower(), md5.hexdigest()),
        ):
            if announced is not None and announced != came:
                raise ContentDiffers(f"{file.url}: {what} announced {announced}, came {came}")
        return Fetched(
            url=file.url,
            key=file.landing_key,
            size=size,
            sha256=sha256.hexdigest(),
            version=file.version,
            etag=self._etag,
            last_modified=self._last_modified,
        )


def _validator(response: httpx.Response) -> str | None:
    """What If-Range may name: a strong ETag, else the date of the last change."""
    etag: str = response.headers.get("ETag", "")
    if etag and not etag.startswith("W/"):
        return etag
    changed: str | None = response.headers.get("Last-Modified")
    return None if etag else changed


def _representation_digest(response: httpx.Response) -> bytes | None:
    """The SHA-256 of the whole file, if the server announces it (RFC 9530)."""
    match = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", response.headers.get("Repr-Digest", ""))
    try:
        return base64.b64decode(match[1], validate=True) if match else None
    except binascii.Error:
        return None


def _retry_after(response: httpx.Response, now: datetime) -> float | None:
    """Seconds that the server wants to be left alone: a number, or until a date."""
    text = response.headers.get("Retry-After", "").strip()
    if text.isdecimal():
        return float(text)
    try:
        until = email.utils.parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (until.replace(tzinfo=until.tzinfo or UTC) - now).total_seconds())


def _require(response: httpx.Response, status: HTTPStatus) -> None:
    if response.status_code != status:
        raise FetchRefused(
            f"{response.request.url}: the server answers {response.status_code}, not {status.value}"
        )
