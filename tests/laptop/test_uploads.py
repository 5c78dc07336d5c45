"""Uploads keep the order of their files' times, as far as S3 can tell it."""

from __future__ import annotations

import os
import time
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from laptop.uploads import CannotUpload, LocalFile, find_files, in_order, one_file, upload
from medlaunch.pipelines import FACILITY_ACCREDITATION

FACILITIES = FACILITY_ACCREDITATION.datasets[0]

SNAPSHOTS = ("2026-10-01", "2026-11-01")
NAMES = ("a.jsonl", "b.jsonl", "b.jsonl.gz", "z.json", "Ünï.ndjson", "readme.txt")


def local(snapshot: str, name: str, mtime: int, size: int = 1) -> LocalFile:
    return LocalFile(Path(name), FACILITIES, f"landing/facilities/{snapshot}/{name}", mtime, size)


class S3:
    """S3's clock and what it says of each object afterwards."""

    def __init__(self, durations: list[float]):
        self.now = 1_000.4
        self.last_modified: dict[str, int] = {}
        self.order: list[LocalFile] = []
        self.waited = 0
        self._durations = durations

    def put(self, file: LocalFile) -> None:
        duration = self._durations[len(self.order) % len(self._durations)]
        # Anywhere between the beginning and the end of the request.
        self.last_modified[file.key] = int(self.now + duration / 2)
        self.now += duration
        self.order.append(file)

    def wait_until(self, moment: float) -> None:
        assert moment > self.now
        self.now = moment
        self.waited += 1


files_of_a_folder = st.lists(
    st.tuples(st.sampled_from(SNAPSHOTS), st.sampled_from(NAMES), st.integers(0, 4)),
    unique_by=lambda one: one[:2],
    max_size=12,
)


@given(files=files_of_a_folder, durations=st.lists(st.floats(0, 1.5), min_size=1, max_size=12))
def test_what_s3_says_afterwards_is_the_order_of_the_times(
    files: list[tuple[str, str, int]], durations: list[float]
) -> None:
    s3 = S3(durations)
    wanted = in_order(local(*one) for one in files)
    assert list(upload(wanted, s3.put, lambda: s3.now, s3.wait_until)) == s3.order
    assert sorted(one.key for one in s3.order) == sorted(one.key for one in wanted)
    for snapshot in SNAPSHOTS:
        # The later one wins: by LastModified in whole seconds, at equal times by key.
        data = [one for one in wanted if one.key.split("/")[2] == snapshot and one.is_data]
        listed = sorted(data, key=lambda one: (s3.last_modified[one.key], one.key))
        assert [one.key for one in listed] == [one.key for one in data]
        sent = [one for one in s3.order if one.key.split("/")[2] == snapshot]
        assert all((a.mtime_ns, a.key) < (b.mtime_ns, b.key) for a, b in pairwise(sent))


def test_a_second_is_waited_for_only_where_it_decides() -> None:
    s3 = S3([0.001])
    rising = [local("2026-11-01", f"{name}.jsonl", number) for number, name in enumerate("abc")]
    same_time = [local("2026-11-01", f"{name}.jsonl", 9) for name in "fde"]
    other_snapshot = [local("2026-10-01", "a.jsonl", 10)]
    no_data = [local("2026-11-01", "a.txt", 11), local("2026-11-01", "B.jsonl", 12, size=0)]
    list(
        upload(
            in_order([*rising, *same_time, *other_snapshot, *no_data]), s3.put, lambda: s3.now, s3.wait_until
        )
    )
    assert s3.waited == 0
    list(upload([local("2026-11-01", "B.jsonl", 12)], s3.put, lambda: s3.now, s3.wait_until))
    assert s3.waited == 0  # another call knows nothing of the files before
    falling = [local("2026-11-01", f"{name}.jsonl", number) for number, name in enumerate("cba")]
    list(upload(falling, s3.put, lambda: s3.now, s3.wait_until))
    assert s3.waited == 2


def test_snapshots_wait_side_by_side() -> None:
    s3 = S3([0.001])
    files = [
        local(snapshot, f"{name}.jsonl", 10 * number + n)
        for n, snapshot in enumerate(SNAPSHOTS)
        for number, name in enumerate("cba")
    ]
    list(upload(in_order(files), s3.put, lambda: s3.now, s3.wait_until))
    assert s3.waited == 2


def test_the_real_clock() -> None:
    begun = int(time.time())
    sent: list[tuple[str, int]] = []
    files = [local("2026-11-01", "b.jsonl", 1), local("2026-11-01", "a.jsonl", 2)]
    list(upload(files, lambda file: sent.append((file.path.name, int(time.time())))))
    assert [name for name, _ in sent] == ["b.jsonl", "a.jsonl"]
    assert begun <= sent[0][1] < sent[1][1]


def test_files_are_found_with_any_name_and_in_order(tmp_path: Path) -> None:
    names = [
        "2026-11-01/z é+%.jsonl",
        "2026-11-01/sub/b.json",
        "2026-11-01/.keep",
        "notes.txt",
        "no date/x.jsonl",
    ]
    for number, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"{}")
        os.utime(path, (100 - number, 100 - number))
    assert [one.key for one in find_files(tmp_path, FACILITIES)] == [
        f"landing/facilities/{name}" for name in reversed(names)
    ]


def test_folders_that_cannot_be_uploaded(tmp_path: Path) -> None:
    with pytest.raises(CannotUpload, match="no file"):
        find_files(tmp_path, FACILITIES)
    with pytest.raises(CannotUpload, match="not a folder"):
        find_files(tmp_path / "missing", FACILITIES)


def test_a_name_that_is_no_utf8_is_refused_by_name(tmp_path: Path) -> None:
    try:
        (tmp_path / os.fsdecode(b"caf\xe9.jsonl")).write_bytes(b"{}")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    with pytest.raises(CannotUpload, match=r"caf.*UTF-8"):
        find_files(tmp_path, FACILITIES)


def test_one_file(tmp_path: Path) -> None:
    file = tmp_path / "it's 100% a+b.jsonl"
    file.write_bytes(b"{}\n")
    assert one_file(file, FACILITIES, "2026-11-01").key == "landing/facilities/2026-11-01/it's 100% a+b.jsonl"
    assert one_file(file, FACILITIES, "2026-11-01", "x.json").key == "landing/facilities/2026-11-01/x.json"
    for bad in ("2026-11-31", "20261101", "today", ""):
        with pytest.raises(CannotUpload, match="SNAPSHOT"):
            one_file(file, FACILITIES, bad)
    with pytest.raises(CannotUpload, match="FILE"):
        one_file(tmp_path / "missing.jsonl", FACILITIES, "2026-11-01")
    with pytest.raises(CannotUpload, match="1024"):
        one_file(file, FACILITIES, "2026-11-01", "x" * 1000)
