"""What a source offers and what is new of it; how it is fetched, from a real server that misbehaves."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from medlaunch.aws.objects import ObjectChanged
from medlaunch.ingest.fetch import (
    Catalogue,
    CatalogueError,
    Fetched,
    RemoteFile,
    Wanted,
    read_catalogue,
    to_fetch,
)
from medlaunch.ingest.fetch_http import ContentDiffers, FetchFailed, FetchRefused, HttpFetcher, Politeness
from medlaunch.ingest.fetch_parts import StagedParts
from tests.file_server import (
    FileServer,
    Memory,
    Mishap,
    Resource,
    cut_after,
    hang_up,
    replaced_by,
    serve_files,
    status,
)

BODY = bytes(range(256)) * 800
OTHER = BODY[::-1] + b"longer"
PATH = "/files/a.csv"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
WANTED = Wanted(title="Daily Hours", dataset="hours", extensions=(".csv", ".zip"))


# --- catalogues ------------------------------------------------------------------------------------


def source(url: str = "https://data.example/data.json", **others: Any) -> Catalogue:
    return Catalogue(name="agency", url=url, wanted=(WANTED,), **others)


def catalogue(*distributions: dict[str, Any], title: str = "Daily Hours", **dataset: Any) -> bytes:
    other = {"title": "Other", "distribution": [{"downloadURL": "https://data.example/other.csv"}]}
    return json.dumps(
        {"dataset": [other, {"title": title, "distribution": list(distributions), **dataset}]}
    ).encode()


def test_files_of_a_catalogue() -> None:
    document = catalogue(
        {"downloadURL": "https://data.example/x/Hours%20Q2_2024.csv", "modified": "2024-10-30"},
        {"downloadURL": "/y/Hours_Q3.ZIP"},
        {"accessURL": "https://data.example/api"},
        {"downloadURL": "https://data.example/x/dictionary.pdf"},
        {"downloadURL": "https://data.example/x/Hours%20Q2_2024.csv", "modified": "again"},
        title="  daily  HOURS ",
        modified="2025-01-01",
    )
    files = read_catalogue(document, source())
    assert [(file.name, file.url, file.version) for file in files] == [
        ("Hours Q2_2024.csv", "https://data.example/x/Hours%20Q2_2024.csv", "2024-10-30"),
        ("Hours_Q3.ZIP", "https://data.example/y/Hours_Q3.ZIP", "2025-01-01"),
    ]
    assert files[0].landing_key == "landing/hours/agency/Hours Q2_2024.csv"


def test_names_are_safe_and_differ() -> None:
    document = catalogue(
        {"downloadURL": "https://data.example/1/data.csv"},
        {"downloadURL": "https://data.example/2/data.csv"},
        {"downloadURL": "https://data.example/..%2F..%2Fetc%5Cp%C3%A4ss.csv?x=1"},
    )
    files = read_catalogue(document, source())
    assert files[0].name == f"{files[0].id}-data.csv"
    assert files[1].name == f"{files[1].id}-data.csv"
    assert files[0].name != files[1].name
    assert "/" not in files[2].name
    assert not files[2].name.startswith(".")


@pytest.mark.parametrize(
    "address",
    [
        "http://data.example/a.csv",
        "https://elsewhere.example/a.csv",
        "https://169.254.169.254/a.csv",
        "file:///etc/a.csv",
        "https://user:word@data.example/a.csv",  # pragma: allowlist secret
        "https://data.example:8443/a.csv",
    ],
)
def test_a_catalogue_cannot_send_a_worker_anywhere(address: str) -> None:
    with pytest.raises(CatalogueError, match="names"):
        read_catalogue(catalogue({"downloadURL": address}), source())


def test_other_hosts_must_be_named() -> None:
    document = catalogue({"downloadURL": "https://files.example/a.csv"})
    assert len(read_catalogue(document, source(hosts=("files.example",)))) == 1


@pytest.mark.parametrize(
    "document", [b"", b"<html>", b"[]", b"{}", b'{"dataset": [{}]}', b'{"dataset": 1}', b"\xff"]
)
def test_what_is_no_catalogue(document: bytes) -> None:
    with pytest.raises(CatalogueError):
        read_catalogue(document, source())


def test_a_dataset_that_is_gone_is_named() -> None:
    with pytest.raises(CatalogueError, match="Daily Hours"):
        read_catalogue(catalogue(title="Daily hours, renamed"), source())


def remote(name: str = "a.csv", **others: Any) -> RemoteFile:
    url = others.pop("url", f"https://data.example/{name}")
    return RemoteFile(source="agency", dataset="hours", name=name, url=url, **others)


def fetched(file: RemoteFile, **others: Any) -> Fetched:
    return Fetched(url=file.url, key=file.landing_key, size=1, sha256="0", version=file.version, **others)


def test_what_is_fetched_again() -> None:
    same, newer, silent, new = (remote(f"{name}.csv", version=version) for name, version in
                                (("same", "1"), ("newer", "1"), ("silent", None), ("new", "1")))  # fmt: skip
    known = {one.url: fetched(one) for one in (same, newer, silent)}
    offered = [same, msgspec.structs.replace(newer, version="2"), silent, new]
    assert [file.name for file in to_fetch(offered, known)] == ["new.csv", "newer.csv", "silent.csv"]


def test_oldest_first_and_since() -> None:
    days = {"c.csv": "2024-10-30", "a.csv": "2024-07-31T10:00:00Z", "b.csv": "soon", "d.csv": "2024-10-30"}
    document = catalogue(*({"downloadURL": f"/{name}", "modified": day} for name, day in days.items()))
    files = read_catalogue(document, source())
    assert [file.name for file in to_fetch(files, {})] == ["b.csv", "a.csv", "c.csv", "d.csv"]
    # What has no date may be new.
    assert [file.name for file in to_fetch(files, {}, date(2024, 8, 1))] == ["b.csv", "c.csv", "d.csv"]
    assert [file.name for file in to_fetch(files, {}, date(2024, 10, 30))] == ["b.csv", "c.csv", "d.csv"]
    assert [file.name for file in to_fetch(files, {}, date(2024, 10, 31))] == ["b.csv"]


def test_datasets_of_one_title_are_told_apart_by_their_identifiers() -> None:
    twice = json.dumps(
        {
            "dataset": [
                {"title": "Daily Hours", "identifier": one, "distribution": [{"downloadURL": f"/{one}.csv"}]}
                for one in ("x1", "x2")
            ]
        }
    ).encode()
    with pytest.raises(CatalogueError, match="2 datasets with the title"):
        read_catalogue(twice, source())
    named = msgspec.structs.replace(WANTED, identifier="x2")
    (file,) = read_catalogue(
        twice, Catalogue(name="a", url="https://data.example/data.json", wanted=(named,))
    )
    assert file.name == "x2.csv"


# --- downloads -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared() -> Iterator[FileServer]:
    with serve_files() as server:
        yield server


@pytest.fixture
def server(shared: FileServer) -> FileServer:
    shared.files = {PATH: Resource.of(BODY)}
    shared.mishaps, shared.requests = [], []
    return shared


class Fetch:
    """One process that fetches from a server; remembers how long it would have slept."""

    def __init__(self, server: FileServer, **politeness: Any):
        self.server = server
        self.slept: list[float] = []
        self.parts = Memory()
        self.fetcher = HttpFetcher(
            httpx.Client(timeout=10),
            source(f"{server.url}/data.json"),
            Politeness(user_agent="tests (ops@example.com)", **politeness),
            sleep=self.slept.append,
            now=lambda: NOW,
        )

    def __call__(self, known: Fetched | None = None, **file: Any) -> Fetched | None:
        return self.fetcher.fetch(remote(url=f"{self.server.url}{PATH}", **file), self.parts, known)

    def gets(self, body: bytes) -> Fetched:
        result = self()
        assert result is not None
        assert bytes(self.parts.body) == body
        assert (result.size, result.sha256) == (len(body), hashlib.sha256(body).hexdigest())
        return result


def test_a_whole_file(server: FileServer) -> None:
    fetch = Fetch(server)
    result = fetch.gets(BODY)
    assert (result.etag, result.key) == (server.files[PATH].etag, "landing/hours/agency/a.csv")
    assert fetch.slept == []
    assert server.asked("User-Agent") == ["tests (ops@example.com)"]
    assert server.asked("Accept-Encoding") == ["identity"]


def test_a_file_that_did_not_change_is_not_sent_again(server: FileServer) -> None:
    result = Fetch(server).gets(BODY)
    again = Fetch(server)
    assert again(result) is None
    assert again.parts.size == 0
    server.files[PATH] = Resource.of(OTHER)
    assert again(result).sha256 == hashlib.sha256(OTHER).hexdigest()  # type: ignore[union-attr]


def test_without_an_etag_the_date_decides(server: FileServer) -> None:
    server.files[PATH] = Resource(BODY, last_modified="Wed, 30 Oct 2024 10:00:00 GMT")
    result = Fetch(server).gets(BODY)
    assert Fetch(server)(result) is None


def test_a_download_goes_on_where_it_broke_off(server: FileServer) -> None:
    server.mishaps = [cut_after(100_000), hang_up, cut_after(50_000), None]
    fetch = Fetch(server)
    fetch.gets(BODY)
    ranges = server.asked("Range")
    assert ranges[0] is None
    offsets = [int(one.removeprefix("bytes=").removesuffix("-")) for one in ranges[1:] if one]
    assert offsets == sorted(offsets)
    assert 0 < offsets[0] <= 100_000
    assert set(server.asked("If-Range")[1:]) == {server.files[PATH].etag}


def test_another_process_goes_on(server: FileServer) -> None:
    server.mishaps = [cut_after(100_000), *[hang_up] * 6]
    first = Fetch(server)
    with pytest.raises(FetchFailed, match="without getting any further"):
        first()
    kept = first.parts.size
    assert 0 < kept <= 100_000
    second = Fetch(server)
    second.parts = first.parts
    second.gets(BODY)
    assert server.asked("Range")[-1] == f"bytes={kept}-"


def test_a_process_that_ended_after_the_last_byte(server: FileServer) -> None:
    fetch = Fetch(server)
    fetch.parts.restart(server.files[PATH].etag)
    fetch.parts.append(BODY)
    result = fetch.gets(BODY)
    assert result.etag == server.files[PATH].etag


@pytest.mark.parametrize(
    "new", [Resource.of(OTHER), Resource.of(b"short"), Resource(OTHER), Resource.of(OTHER, ranges=False)]
)
def test_a_file_that_is_replaced_while_it_comes(server: FileServer, new: Resource) -> None:
    server.mishaps = [replaced_by(PATH, new, cut=100_000)]
    Fetch(server).gets(new.body)


def test_a_file_that_never_stays_the_same(server: FileServer) -> None:
    server.mishaps = [
        replaced_by(PATH, Resource.of(BODY + bytes([n])), cut=100_000 + 1000 * n) for n in range(30)
    ]
    with pytest.raises(FetchFailed, match="changed 6 times"):
        Fetch(server)()


def test_a_server_without_ranges(server: FileServer) -> None:
    server.files[PATH] = Resource.of(BODY, ranges=False)
    server.mishaps = [cut_after(100_000), cut_after(10)]
    Fetch(server).gets(BODY)


@pytest.mark.parametrize("etag", [None, 'W/"weak"'])
def test_a_server_that_cannot_say_whether_a_file_is_the_same(server: FileServer, etag: str | None) -> None:
    server.files[PATH] = Resource(BODY, etag)
    server.mishaps = [cut_after(100_000)]
    Fetch(server).gets(BODY)
    assert server.asked("Range") == [None, None]


@pytest.mark.parametrize(
    ("answer", "waits"),
    [
        (status(429, Retry_After="7"), 7.0),
        (status(503, Retry_After="Sun, 01 Nov 2026 12:00:09 GMT"), 9.0),
        (status(503, Retry_After="Sun, 01 Nov 2026 11:00:00 GMT"), 0.0),
        (status(429), None),
        (status(502, Retry_After="soon"), None),
        (hang_up, None),
    ],
)
def test_a_server_that_wants_to_be_left_alone(
    server: FileServer, answer: Mishap, waits: float | None
) -> None:
    server.mishaps = [answer]
    fetch = Fetch(server)
    fetch.gets(BODY)
    wait, pause = fetch.slept
    assert pause == 1.0
    if waits is None:
        assert 1.0 <= wait <= 2.0
    else:
        assert wait == waits


def test_more_than_patience_is_left_to_a_later_run(server: FileServer) -> None:
    server.mishaps = [status(429, Retry_After="301")]
    with pytest.raises(FetchFailed, match="left alone for 301 seconds"):
        Fetch(server)()


def test_attempts_end(server: FileServer) -> None:
    server.mishaps = [status(503)] * 3
    with pytest.raises(FetchFailed, match="status 503, 3 times"):
        Fetch(server, attempts=3)()


@pytest.mark.parametrize("code", [400, 401, 403, 404, 410])
def test_refusals_are_not_repeated(server: FileServer, code: int) -> None:
    server.mishaps = [status(code)]
    with pytest.raises(FetchRefused, match=f"answers {code}"):
        Fetch(server)()
    assert len(server.requests) == 1


def test_redirects(server: FileServer) -> None:
    server.files["/elsewhere"] = Resource.of(OTHER)
    server.mishaps = [status(302, Location="/elsewhere")]
    Fetch(server).gets(OTHER)
    server.mishaps = [status(302, Location="http://127.0.0.1:1/x")]
    with pytest.raises(CatalogueError):
        Fetch(server)()
    server.mishaps = [status(302, Location=PATH)] * 6
    with pytest.raises(FetchRefused, match="5 redirects"):
        Fetch(server)()


def test_checksums_that_are_announced(server: FileServer) -> None:
    def digest(body: bytes) -> dict[str, str]:
        return {"Repr-Digest": f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"}

    server.files[PATH] = Resource.of(BODY, headers=digest(BODY))
    server.mishaps = [cut_after(100_000)]
    Fetch(server).gets(BODY)
    server.files[PATH] = Resource.of(BODY, headers=digest(OTHER))
    with pytest.raises(ContentDiffers, match="SHA-256"):
        Fetch(server)()


@pytest.mark.parametrize("wrong", [{"md5": "0" * 32}, {"sha256": "0" * 64}, {"size": len(BODY) - 1}])
def test_what_the_source_announced_must_come(server: FileServer, wrong: dict[str, Any]) -> None:
    with pytest.raises(ContentDiffers, match="announced"):
        Fetch(server)(**wrong)
    assert Fetch(server)(md5=hashlib.md5(BODY).hexdigest().upper(), size=len(BODY)) is not None


def test_files_have_a_limit(server: FileServer) -> None:
    with pytest.raises(FetchRefused, match="more than 1,000 bytes"):
        Fetch(server, max_bytes=1000)()


def test_the_catalogue_comes_as_files_do(server: FileServer) -> None:
    server.files["/data.json"] = Resource.of(catalogue())
    server.mishaps = [status(503), cut_after(10)]
    fetch = Fetch(server)
    assert fetch.fetcher.catalogue() == catalogue()
    assert len(fetch.slept) == 4


mishap = st.one_of(
    st.none(),
    st.just(hang_up),
    st.integers(0, len(BODY)).map(cut_after),
    st.sampled_from([status(503), status(429, Retry_After="3"), status(500)]),
    st.tuples(st.sampled_from([OTHER, b"", b"x"]), st.integers(0, len(BODY))).map(
        lambda one: replaced_by(PATH, Resource.of(one[0]), cut=one[1])
    ),
)


@given(mishaps=st.lists(mishap, max_size=8), ranges=st.booleans())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_the_file_is_whole(
    server: FileServer, mishaps: list[Mishap | None], ranges: bool
) -> None:
    server.files = {PATH: Resource.of(BODY, ranges=ranges)}
    server.mishaps = list(mishaps)
    fetch = Fetch(server, attempts=10)
    try:
        result = fetch()
    except FetchFailed:
        return
    finally:
        server.mishaps.clear()
    assert result is not None
    body = bytes(fetch.parts.body)
    assert body in (BODY, OTHER, b"", b"x")  # one version, whole; it may be replaced after its last byte
    assert result.sha256 == hashlib.sha256(body).hexdigest()


# --- parts in staging ------------------------------------------------------------------------------


def test_parts_outlive_a_process(
    s3: Any, bucket: str, server: FileServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("medlaunch.ingest.fetch_parts._PART", 30_000)
    fetch = Fetch(server)
    file = remote(url=f"{server.url}{PATH}")
    server.mishaps = [cut_after(100_000), *[hang_up] * 6]
    prefix = f"staging/fetch/{file.id}"
    with pytest.raises(FetchFailed), StagedParts(s3, bucket, prefix) as parts:
        fetch.fetcher.fetch(file, parts, None)
    with StagedParts(s3, bucket, prefix) as parts:
        assert parts.version == server.files[PATH].etag
        assert 0 < parts.size <= 100_000
        result = fetch.fetcher.fetch(file, parts, None)
        assert result is not None
        parts.assemble(result.key, result.sha256)
        parts.restart(None)
    landed = s3.get_object(Bucket=bucket, Key=result.key)
    assert (landed["Body"].read(), landed["Metadata"]) == (BODY, {"medlaunch-sha256": result.sha256})
    assert s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["KeyCount"] == 0


def test_nothing_lands_if_parts_changed(s3: Any, bucket: str) -> None:
    with StagedParts(s3, bucket, "staging/fetch/x") as parts:
        parts.restart('"1"')
        parts.append(b"abc")
        with pytest.raises(ObjectChanged, match="changed while"):
            parts.assemble("landing/hours/a.csv", "0" * 64)
    assert s3.list_objects_v2(Bucket=bucket, Prefix="landing/")["KeyCount"] == 0


def test_parts_without_a_version_are_not_kept(s3: Any, bucket: str) -> None:
    with StagedParts(s3, bucket, "staging/fetch/x") as parts:
        parts.restart(None)
        parts.append(b"abc")
        assert b"".join(parts.read()) == b"abc"
    assert StagedParts(s3, bucket, "staging/fetch/x").size == 0
