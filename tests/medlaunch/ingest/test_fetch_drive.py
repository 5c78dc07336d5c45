"""A shared folder of Google Drive, by Google's client library, from a server that answers as Drive does."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import pytest

from medlaunch.ingest.fetch import DriveFolder, Fetched, RemoteFile, to_fetch
from medlaunch.ingest.fetch_drive import DriveFetcher, drive_service
from medlaunch.ingest.fetch_http import ContentDiffers, FetchFailed, FetchRefused
from tests.drive_server import BODY, FOLDER, Drive, serve_drive
from tests.file_server import Memory


@pytest.fixture
def drive() -> Iterator[Drive]:
    with serve_drive() as server:
        yield server


@pytest.fixture
def fetcher(drive: Drive) -> DriveFetcher:
    folder = DriveFolder(
        name="partner", folder_id="root-1", dataset="hours", extensions=(".csv", ".zip"), conn_id="drive"
    )
    service = drive_service("key-of-tests", drive.url)
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
    wrong = DriveFolder(
        name="x", folder_id="x' or '1' = '1", dataset="hours", extensions=(".csv",), conn_id="drive"
    )
    with pytest.raises(FetchRefused, match="no id"):
        DriveFetcher(fetcher.service, wrong).offered()


def test_fetched_files_are_remembered_by_their_ids(drive: Drive, fetcher: DriveFetcher) -> None:
    drive.put("a.csv")
    result = fetcher.fetch(only(fetcher), Memory())
    assert isinstance(result, Fetched)
    assert result.url == "drive:id-a_csv"
