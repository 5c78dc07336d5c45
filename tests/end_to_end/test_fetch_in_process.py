"""The DAG fetch_cms_files, from a real HTTP server with two catalogues, and a Drive folder, into landing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from medlaunch import lake
from medlaunch.ingest.fetch_run import VARIABLE
from tests.drive_server import Drive, serve_drive
from tests.file_server import FileServer, Resource, serve_files, status
from tests.pipeline import Pipeline
from tests.staffing_uploads import PBJ_HEADER, as_csv, pbj_row

DAG = "fetch_cms_files"
KEY = "key-of-tests"
CATALOGUES = ["/providers/data.json", "/staffing/data.json"]
HOURS, BEDS = b"hours " * 50_000, b"beds " * 10_000


@pytest.fixture(scope="module")
def shared() -> Iterator[tuple[FileServer, Drive]]:
    with serve_files() as server, serve_drive() as drive:
        yield server, drive


class Fetching:
    """A lake, and servers whose catalogues list what they have."""

    def __init__(self, aws: Any, aws_url: str, server: FileServer, drive: Drive):
        server.files, server.mishaps, server.requests = {}, [], []
        drive.files, drive.bodies, drive.statuses = {}, {}, []
        self.server, self.drive = server, drive
        connection = {"conn_type": "generic", "host": drive.url, "password": KEY}
        self.variables = {
            f"AIRFLOW_VAR_{VARIABLE.upper()}": json.dumps(
                [self.source("staffing", "pbj"), self.source("providers", "provider_info")]
            ),
            "AIRFLOW_CONN_GOOGLE_DRIVE": json.dumps(connection),
            "MEDLAUNCH_FETCH_INTERVAL_SECONDS": "0",
        }
        self.lake = Pipeline(aws, aws_url, settings=self.variables)

    def source(self, name: str, dataset: str) -> dict[str, Any]:
        wanted = {"title": "Files", "dataset": dataset, "extensions": [".csv", ".zip"]}
        return {
            "kind": "catalogue",
            "name": name,
            "url": f"{self.server.url}/{name}/data.json",
            "wanted": [wanted],
        }

    def sources(self, *sources: dict[str, Any]) -> None:
        self.variables[f"AIRFLOW_VAR_{VARIABLE.upper()}"] = json.dumps(sources)

    def offer(self, source: str, **files: tuple[str, bytes]) -> None:
        """Name -> (day of the last change, content)."""
        entries = []
        for name, (modified, body) in files.items():
            path = f"/{source}/{name}.csv"
            self.server.files[path] = Resource.of(body)
            entries.append({"downloadURL": path, "modified": modified})
        document = {"dataset": [{"title": "Files", "distribution": entries}]}
        self.server.files[f"/{source}/data.json"] = Resource.of(json.dumps(document).encode())

    def report(self, **conf: Any) -> dict[str, Any]:
        return self.lake.report(DAG, **conf)

    def failed(self, **conf: Any) -> tuple[dict[str, Any], set[str]]:
        """A run that fails: its one alert, and the states of its tasks that are no success."""
        run = self.lake.run(DAG, **conf)
        assert run.state == "failed"
        self.run = run
        (alert,) = self.lake.alerts()
        return alert, {
            f"{one.task_id} {one.state}" for one in run.get_task_instances() if one.state != "success"
        }

    def landed(self) -> dict[str, bytes]:
        return {key: self.lake.read(key) for key in self.lake.keys("landing/")}

    def archive(self) -> None:
        for key in self.lake.keys("landing/"):
            source = {"Bucket": self.lake.bucket, "Key": key}
            self.lake.s3.copy_object(Bucket=self.lake.bucket, Key=lake.archive_key(key), CopySource=source)
            self.lake.s3.delete_object(Bucket=self.lake.bucket, Key=key)


@pytest.fixture
def fetching(aws: Any, aws_url: str, shared: tuple[FileServer, Drive]) -> Fetching:
    return Fetching(aws, aws_url, *shared)


def test_what_is_new_lands_once_and_what_changed_lands_again(fetching: Fetching) -> None:
    fetching.offer("staffing", q1=("2024-07-31", HOURS), q2=("2024-10-30", HOURS[::-1]))
    fetching.offer("providers", beds=("2024-11-01", BEDS))

    dry = fetching.report(dry_run=True)
    assert dry["summary"] == "Dry run: would fetch 3 files (2 sources with 3 files)"
    assert dry["messages"][0] == "staffing: landing/pbj/staffing/q1.csv (2024-07-31): would be fetched"
    assert fetching.landed() == {}
    assert fetching.server.paths() == CATALOGUES

    first = fetching.report()
    assert first["summary"] == "Fetched 3 files, 0.7 MB (2 sources with 3 files)"
    assert fetching.landed() == {
        "landing/pbj/staffing/q1.csv": HOURS,
        "landing/pbj/staffing/q2.csv": HOURS[::-1],
        "landing/provider_info/providers/beds.csv": BEDS,
    }
    assert fetching.server.paths() == sorted(
        [*CATALOGUES, "/staffing/q1.csv", "/staffing/q2.csv", "/providers/beds.csv"]
    )

    fetching.archive()
    assert fetching.report()["summary"] == "Nothing new: 2 sources with 3 files"
    assert fetching.landed() == {}
    assert fetching.server.paths() == CATALOGUES

    fetching.offer("staffing", q1=("2024-11-15", HOURS + b"restated"), q2=("2024-10-30", HOURS[::-1]))
    again = fetching.report()
    assert again["summary"] == "Fetched 1 file, 0.3 MB (2 sources with 3 files)"
    assert fetching.landed() == {"landing/pbj/staffing/q1.csv": HOURS + b"restated"}
    assert fetching.lake.alerts() == []


def test_a_broken_source_and_a_broken_file_do_not_stop_the_others(fetching: Fetching) -> None:
    fetching.offer("staffing", q1=("2024-07-31", HOURS), q2=("2024-10-30", HOURS[::-1]))
    del fetching.server.files["/staffing/q1.csv"]
    fetching.server.files["/providers/data.json"] = Resource.of(b"<html>Down for maintenance</html>")
    alert, states = fetching.failed()
    assert states == {"list_files failed", "fetch_file failed", "alert failed"}
    texts = {one["task"]: one["error"]["text"] for one in alert["failed_tasks"]}
    assert set(texts) == {"list_files", "fetch_file"}
    assert "is no DCAT-US catalogue" in texts["list_files"]
    assert f"{fetching.server.url}/staffing/q1.csv: the server answers 404" in texts["fetch_file"]
    assert alert["runbook"].endswith("/fetch_cms_files_failed.md")
    assert fetching.landed() == {"landing/pbj/staffing/q2.csv": HOURS[::-1]}
    report = json.loads(fetching.lake.read(lake.report_key(DAG, lake.run_key(fetching.run.run_id))))
    assert report["summary"] == (
        "Fetched 1 file, 0.3 MB (1 source with 2 files); 1 did not come; could not list providers"
    )
    # Neither is asked again and again.
    assert fetching.server.paths() == [*CATALOGUES, "/staffing/q1.csv", "/staffing/q2.csv"]

    fetching.offer("providers", beds=("2024-11-01", BEDS))
    fetching.offer("staffing", q1=("2024-07-31", HOURS), q2=("2024-10-30", HOURS[::-1]))
    assert fetching.report()["summary"] == "Fetched 2 files, 0.3 MB (2 sources with 3 files)"
    assert len(fetching.landed()) == 3


def test_a_run_takes_what_its_params_want(fetching: Fetching) -> None:
    fetching.offer("staffing", **{f"q{n}": (f"2024-0{n}-01", HOURS[:n]) for n in range(1, 6)})
    fetching.server.files["/providers/data.json"] = Resource.of(b"not asked")
    done = fetching.report(dataset="pbj", since="2024-02-01", limit=2)
    assert done["summary"] == ("Fetched 2 files, 0.0 MB (1 source with 5 files); 2 left for the next run")
    assert sorted(fetching.landed()) == [f"landing/pbj/staffing/q{n}.csv" for n in (2, 3)]
    assert fetching.report(sources=["staffing"])["summary"].startswith("Fetched 3 files")
    assert len(fetching.landed()) == 5
    alert, _ = fetching.failed(sources=["nobody"])
    assert "there are staffing, providers" in alert["failed_tasks"][0]["error"]["text"]


def test_a_folder_of_drive(fetching: Fetching) -> None:
    folder = {
        "kind": "drive",
        "name": "partner",
        "folder_id": "root-1",
        "dataset": "pbj",
        "extensions": [".csv"],
        "conn_id": "google_drive",
    }
    fetching.sources(folder)
    fetching.drive.put("q1.csv", HOURS)
    fetching.drive.put("notes.txt", b"-")
    assert fetching.report()["summary"] == "Fetched 1 file, 0.3 MB (1 source with 1 file)"
    assert fetching.landed() == {"landing/pbj/partner/q1.csv": HOURS}
    assert fetching.drive.keys == {KEY}
    assert fetching.report()["summary"].startswith("Nothing new")
    # A key that is missing is no reason to try again, and is named.
    fetching.sources(folder | {"conn_id": "nowhere"})
    alert, _ = fetching.failed()
    assert "needs the Airflow connection nowhere" in alert["failed_tasks"][0]["error"]["text"]


def test_a_busy_server_is_left_alone_and_asked_again(fetching: Fetching) -> None:
    fetching.offer("staffing", q1=("2024-07-31", HOURS))
    fetching.server.mishaps = [status(429, Retry_After="0"), None, status(503, Retry_After="0")]
    done = fetching.report(sources=["staffing"])
    assert done["summary"] == "Fetched 1 file, 0.3 MB (1 source with 1 file)"
    assert fetching.server.paths() == ["/staffing/data.json"] * 2 + ["/staffing/q1.csv"] * 2


def test_what_landed_is_processed_and_archived_and_not_fetched_again(fetching: Fetching) -> None:
    rows = [pbj_row("015009", f"2024-04-0{day}", 10) for day in (1, 2, 3)]
    fetching.offer("staffing", q2=("2024-10-30", as_csv(PBJ_HEADER, rows)))
    fetching.report(sources=["staffing"])
    run = fetching.lake.run("nurse_staffing", expect_change=True)
    assert run.state == "success"
    assert fetching.lake.select("SELECT count(*) AS days FROM silver_pbj_daily") == [{"days": "3"}]
    assert fetching.landed() == {}
    # Even if what is remembered is lost: the archive has it.
    (record,) = fetching.lake.keys("fetched/")
    fetching.lake.s3.delete_object(Bucket=fetching.lake.bucket, Key=record)
    fetching.report(sources=["staffing"])
    assert fetching.landed() == {}
    assert fetching.lake.keys("fetched/") == [record]
