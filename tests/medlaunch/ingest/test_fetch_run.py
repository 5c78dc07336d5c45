"""Fetching into landing: configured sources, what is remembered, and downloads that are broken anywhere."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import date
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import get_bytes, list_objects
from medlaunch.ingest import fetch_http, fetch_run
from medlaunch.ingest.fetch import Catalogue, DriveFolder, Fetched, Source, Wanted
from medlaunch.ingest.fetch_http import FetchRefused
from medlaunch.ingest.fetch_run import choose, read_sources
from medlaunch.pipelines import pipeline_of
from medlaunch.pipelines.cms_files import CMS_SOURCES, FETCHED_DATASETS
from medlaunch.settings import settings
from tests.file_server import FileServer, Resource, cut_after, serve_files, stalls_after, status

BODY = bytes(range(256)) * 200
PART = 16_000
PATH = "/files/a.csv"
DATASETS = ("hours", "beds")


def catalogue(
    name: str = "agency", dataset: str = "hours", url: str = "https://x.example/data.json"
) -> Catalogue:
    return Catalogue(
        name=name, url=url, wanted=(Wanted(title="Files", dataset=dataset, extensions=(".csv",)),)
    )


FOLDER = DriveFolder(name="partner", folder_id="x", dataset="hours", extensions=(".csv",), conn_id="drive")

# --- sources ---------------------------------------------------------------------------------------


def test_sources_of_a_variable() -> None:
    document = """[
      {"kind": "catalogue", "name": "agency", "url": "https://x.example/data.json",
       "wanted": [{"title": "Files", "dataset": "hours", "extensions": [".csv"]}]},
      {"kind": "drive", "name": "partner", "folder_id": "x", "dataset": "hours", "extensions": [".csv"],
       "conn_id": "drive"}]"""
    assert read_sources(document, DATASETS) == [catalogue(), FOLDER]


@pytest.mark.parametrize(
    ("document", "complaint"),
    [
        ("", "no list of sources"),
        ("{}", "no list of sources"),
        ('[{"kind": "ftp", "name": "x"}]', "ftp"),
        ('[{"kind": "drive", "name": "x"}]', "folder_id"),
        ('[{"kind": "drive", "name": "x", "folder_id": "y", "password": "z"}]', "password"),
        (json.dumps([{"kind": "drive", "name": "a/b", "folder_id": "y", "dataset": "hours", "extensions": [".csv"],
                      "conn_id": "c"}]), "'a/b'"),
        (json.dumps([{"kind": "drive", "name": "x", "folder_id": "y", "dataset": "hours", "extensions": [".csv"],
                      "conn_id": "c"}] * 2), "once"),
        (json.dumps([{"kind": "drive", "name": "x", "folder_id": "y", "dataset": "other", "extensions": [".csv"],
                      "conn_id": "c"}]), "may land in beds, hours"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_sources(document: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        read_sources(document, DATASETS)


def test_sources_that_the_params_want() -> None:
    both = Catalogue(
        name="both",
        url="https://x.example/data.json",
        wanted=tuple(Wanted(title=one, dataset=one, extensions=(".csv",)) for one in DATASETS),
    )
    sources: list[Source] = [both, FOLDER]
    assert choose(sources, None, None) == sources
    assert choose(sources, ["partner"], None) == [FOLDER]
    (beds,) = choose(sources, [], "beds")
    assert (beds.name, beds.datasets) == ("both", ("beds",))
    with pytest.raises(ValueError, match="nobody; there are both, partner"):
        choose(sources, ["nobody"], None)
    with pytest.raises(ValueError, match="No source has files for beds"):
        choose(sources, ["partner"], "beds")


@pytest.mark.parametrize("source", CMS_SOURCES, ids=lambda source: source.name)
def test_what_is_fetched_is_what_a_pipeline_takes(source: Catalogue) -> None:
    document = json.dumps([msgspec.to_builtins(source)])
    assert read_sources(document, FETCHED_DATASETS) == [source]
    for wanted in source.wanted:
        _, dataset = pipeline_of(wanted.dataset)
        for extension in wanted.extensions:
            key = lake.landing_key(wanted.dataset, f"{source.name}/a file{extension}")
            assert isinstance(lake.parse_landing_key(dataset, key, 1), lake.LandingKey), key


# --- fetching --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared() -> Iterator[FileServer]:
    with serve_files() as server:
        yield server


@pytest.fixture
def server(shared: FileServer, monkeypatch: pytest.MonkeyPatch) -> FileServer:
    shared.files = {PATH: Resource.of(BODY)}
    shared.mishaps, shared.requests = [], []
    monkeypatch.setattr(fetch_http, "time", SimpleNamespace(sleep=lambda _: None))
    monkeypatch.setattr("medlaunch.ingest.fetch_parts._PART", PART)
    return shared


class Fetching:
    """Runs that fetch from a server into a bucket."""

    def __init__(self, s3: Any, bucket: str, server: FileServer):
        self.s3, self.bucket, self.server = s3, bucket, server
        self.source = catalogue(url=f"{server.url}/data.json")
        self.runs = 0

    def run(self, modified: str | None = "2024-10-30", limit: int = 10) -> tuple[Run, fetch_run.FetchPlan]:
        """A run up to its plan; the catalogue says when the files were modified."""
        entries = [
            {"downloadURL": path} | ({"modified": modified} if modified else {})
            for path in self.server.files
            if path != "/data.json"
        ]
        document = json.dumps({"dataset": [{"title": "Files", "distribution": entries}]}).encode()
        self.server.files["/data.json"] = Resource.of(document)
        self.runs += 1
        run = Run(self.s3, self.bucket, "fetch_cms_files", f"run-{self.runs}", "test")
        run.put(fetch_run.SOURCES, [self.source])
        fetch_run.list_source(run, "agency", None)
        return run, fetch_run.plan(run, limit)

    def landed(self) -> list[str]:
        return [one.key for one in list_objects(self.s3, self.bucket, "landing/")]

    def body(self, key: str = "landing/hours/agency/a.csv") -> bytes | None:
        return get_bytes(self.s3, self.bucket, key)

    def parts(self) -> list[str]:
        return [one.key for one in list_objects(self.s3, self.bucket, lake.parts_root("fetch_cms_files"))]

    def archive(self) -> None:
        """What a pipeline does with what has landed."""
        for key in self.landed():
            source = {"Bucket": self.bucket, "Key": key}
            self.s3.copy_object(Bucket=self.bucket, Key=lake.archive_key(key), CopySource=source)
            self.s3.delete_object(Bucket=self.bucket, Key=key)


@pytest.fixture
def fetching(s3: Any, bucket: str, server: FileServer) -> Fetching:
    return Fetching(s3, bucket, server)


def test_a_file_lands_once(fetching: Fetching) -> None:
    run, planned = fetching.run()
    file, outcome = fetch_run.fetch(run, 0)
    assert (file.modified, outcome) == (date(2024, 10, 30), fetch_run.Outcome(landed=True, size=len(BODY)))
    assert fetching.body() == BODY
    assert fetching.parts() == []
    fetching.server.paths()
    assert fetch_run.fetch(run, 0) == (file, outcome)  # the task was tried again after its last step
    assert fetch_run.outcomes(run, planned) == [outcome]
    assert fetching.server.paths() == []
    fetching.archive()
    run, planned = fetching.run()
    assert (planned.files, planned.offered) == ([], {"agency": 1})
    assert fetch_run.summary(planned, []) == "Nothing new: 1 source with 1 file"


@pytest.mark.parametrize("modified", ["2024-11-01", None])
def test_a_file_that_only_seems_to_have_changed_does_not_land_again(
    fetching: Fetching, modified: str | None
) -> None:
    run, _ = fetching.run(modified and "2024-10-30")
    fetch_run.fetch(run, 0)
    fetching.archive()
    fetching.server.paths()
    run, planned = fetching.run(modified)
    assert fetch_run.fetch(run, 0)[1].landed is False
    assert fetching.server.asked("If-None-Match")[-1] == fetching.server.files[PATH].etag
    # The same bytes under another ETag come whole, and are no news either.
    fetching.server.files[PATH] = Resource(BODY, '"moved"')
    run, planned = fetching.run(modified and "2024-11-02")
    assert fetch_run.fetch(run, 0)[1].landed is False
    assert fetching.landed() == []
    assert "1 had not changed" in fetch_run.summary(planned, fetch_run.outcomes(run, planned))
    if modified:
        assert fetching.run("2024-11-02")[1].files == []


def test_a_changed_file_lands_under_its_key(fetching: Fetching) -> None:
    run, _ = fetching.run()
    fetch_run.fetch(run, 0)
    fetching.archive()
    fetching.server.files[PATH] = Resource.of(BODY[::-1])
    run, _ = fetching.run("2024-11-01")
    assert fetch_run.fetch(run, 0)[1].landed
    assert (fetching.landed(), fetching.body()) == (["landing/hours/agency/a.csv"], BODY[::-1])
    # Back to what was archived before: it is the latest version now, and has to be processed again.
    fetching.server.files[PATH] = Resource.of(BODY)
    run, _ = fetching.run("2024-11-02")
    assert fetch_run.fetch(run, 0)[1].landed
    assert fetching.body() == BODY


@pytest.mark.parametrize("archived", [False, True])
def test_a_process_that_ends_between_landing_and_remembering(fetching: Fetching, archived: bool) -> None:
    run, _ = fetching.run()
    fetch_run.fetch(run, 0)
    (version,) = fetching.s3.list_object_versions(Bucket=fetching.bucket, Prefix="landing/")["Versions"]
    if archived:
        fetching.archive()
    fetching.s3.delete_object(Bucket=fetching.bucket, Key=_record(fetching))
    run, _ = fetching.run()
    assert fetch_run.fetch(run, 0)[1].landed  # this run has brought it, as far as anybody knows
    versions = fetching.s3.list_object_versions(Bucket=fetching.bucket, Prefix="landing/")["Versions"]
    assert [one["VersionId"] for one in versions] == [version["VersionId"]]
    assert fetching.run()[1].files == []


def _record(fetching: Fetching) -> str:
    (record,) = list_objects(fetching.s3, fetching.bucket, "fetched/agency/")
    return record.key


def test_what_is_remembered(fetching: Fetching) -> None:
    run, _ = fetching.run()
    fetch_run.fetch(run, 0)
    record = run.s3.get_object(Bucket=fetching.bucket, Key=_record(fetching))["Body"].read()
    known = msgspec.json.decode(record, type=Fetched)
    assert (known.key, known.version) == ("landing/hours/agency/a.csv", "2024-10-30")
    assert known.etag == fetching.server.files[PATH].etag


# Before and after each end of a part, and at both ends of the file.
CUTS = sorted(
    {0, 1, len(BODY) - 1, *(PART * n + step for n in range(1, len(BODY) // PART + 1) for step in (-1, 0, 1))}
)


@pytest.mark.parametrize("cut", CUTS)
def test_a_download_that_ends_anywhere_goes_on_there_in_the_next_run(fetching: Fetching, cut: int) -> None:
    run, _ = fetching.run()
    # The connection ends, and then the server refuses: the run is over.
    fetching.server.mishaps = [cut_after(cut), status(403)]
    with pytest.raises(FetchRefused, match="403"):
        fetch_run.fetch(run, 0)
    assert fetching.landed() == []
    assert len(fetching.parts()) == -(-cut // PART)
    run, _ = fetching.run()
    fetching.server.requests = []
    assert fetch_run.fetch(run, 0)[1].landed
    assert fetching.server.asked("Range") == [f"bytes={cut}-" if cut else None]
    assert fetching.body() == BODY
    assert fetching.parts() == []


@pytest.mark.parametrize("cut", [0, PART, len(BODY) - 1])
def test_a_file_that_is_replaced_between_runs_is_of_one_version(fetching: Fetching, cut: int) -> None:
    run, _ = fetching.run()
    fetching.server.mishaps = [cut_after(cut), status(403)]
    with pytest.raises(FetchRefused):
        fetch_run.fetch(run, 0)
    fetching.server.files[PATH] = Resource.of(BODY[::-1])
    run, _ = fetching.run()
    fetch_run.fetch(run, 0)
    assert fetching.body() == BODY[::-1]
    assert fetching.parts() == []


def test_a_proxy_is_asked_in_place_of_the_servers(
    fetching: Fetching, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetching.source = catalogue(url="http://files.example/data.json")
    monkeypatch.setenv("MEDLAUNCH_FETCH_PROXY", fetching.server.url)
    settings.cache_clear()
    # A proxy is asked for whole addresses.
    entries = [{"downloadURL": "/a.csv"}]
    document = json.dumps({"dataset": [{"title": "Files", "distribution": entries}]}).encode()
    fetching.server.files = {
        "http://files.example/data.json": Resource.of(document),
        "http://files.example/a.csv": Resource.of(BODY),
    }
    run = Run(fetching.s3, fetching.bucket, "fetch_cms_files", "run-1", "test")
    run.put(fetch_run.SOURCES, [fetching.source])
    try:
        fetch_run.list_source(run, "agency", None)
        fetch_run.plan(run, 10)
        assert fetch_run.fetch(run, 0)[1].landed
    finally:
        monkeypatch.undo()
        settings.cache_clear()
    assert fetching.body() == BODY


PROGRAM = """
import sys, boto3
from medlaunch.aws.documents import Run
from medlaunch.ingest import fetch_parts, fetch_run
fetch_parts._PART = int(sys.argv[3])
s3 = boto3.client("s3", endpoint_url=sys.argv[1])
fetch_run.fetch(Run(s3, sys.argv[2], "fetch_cms_files", "run-1", "test"), 0)
"""


def test_a_process_that_is_killed_while_a_file_comes(fetching: Fetching, aws_url: str) -> None:
    run, _ = fetching.run()
    reached, go_on = threading.Event(), threading.Event()
    fetching.server.mishaps = [stalls_after(PART * 2 + 100, reached, go_on)]
    command = [sys.executable, "-c", PROGRAM, aws_url, fetching.bucket, str(PART)]
    with subprocess.Popen(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}) as process:
        try:
            assert reached.wait(60)
            _wait_until(lambda: len(fetching.parts()) == 2)
            process.send_signal(signal.SIGKILL)
        finally:
            process.kill()
            go_on.set()
    assert process.returncode == -signal.SIGKILL
    assert fetching.landed() == []
    fetching.server.requests = []
    assert fetch_run.fetch(run, 0)[1].landed
    assert fetching.server.asked("Range") == [f"bytes={PART * 2}-"]
    assert fetching.body() == BODY


def _wait_until(condition: Any) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_run_has_a_limit(fetching: Fetching) -> None:
    fetching.server.files |= {f"/files/{name}.csv": Resource.of(name.encode()) for name in "bc"}
    run, planned = fetching.run(limit=2)
    assert [one.name for one in planned.files] == ["a.csv", "b.csv"]
    assert [one.name for one in planned.left] == ["c.csv"]
    assert fetch_run.summary(planned, None) == (
        "Dry run: would fetch 2 files (1 source with 3 files); 1 left for the next run"
    )
    fetch_run.fetch(run, 1)
    assert fetch_run.lines(planned, fetch_run.outcomes(run, planned)) == [
        "agency: landing/hours/agency/a.csv (2024-10-30): did not come; see the log of fetch_file",
        "agency: landing/hours/agency/b.csv (2024-10-30): landed, 0.0 MB",
    ]
    (left,) = fetching.run()[1].files[1:]
    assert left.name == "c.csv"
