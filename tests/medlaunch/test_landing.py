"""Landing is a queue: nothing leaves it but what was processed, in exactly that version."""

from __future__ import annotations

import gzip
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from medlaunch import landing, publish
from medlaunch.declaration import BronzeWriter, LineCounts, LineWriter, UploadRef
from medlaunch.formats.content import Unreadable, UnreadableUpload
from medlaunch.landing import Upload
from medlaunch.objects import list_objects
from medlaunch.runs import Run

REFERENCE = Path("include/reference")
PREFIX = "landing/facilities/2026-11-01/"
NAMES = ["a.jsonl", "b c+d%20'e\".json", "naïve 試験.ndjson.gz", "nested/x.json"]


@pytest.fixture
def run(s3: Any, bucket: str) -> Run:
    return Run(
        s3=s3,
        bucket=bucket,
        dag_id="facility_accreditation",
        run_id="manual__2026-11-20T00:00:00+00:00",
        environment="test",
    )


def put(run: Run, key: str, body: bytes = b"{}\n") -> None:
    run.s3.put_object(Bucket=run.bucket, Key=key, Body=body)


def claim(run: Run, **limits: int) -> landing.Batch:
    defaults = {"max_files": 10_000, "max_snapshots": 90, "max_groups": 8, "group_bytes": 1 << 28}
    return landing.claim(
        run, dataset="facilities", as_of=date(2026, 11, 20), expiry_window="P6M", **(defaults | limits)
    )


def keys(run: Run, prefix: str) -> list[str]:
    return [one.key for one in list_objects(run.s3, run.bucket, prefix)]


def count_lines(
    stream: BinaryIO, upload: UploadRef, out: BronzeWriter, rejects: LineWriter, *, reference: Path
) -> LineCounts:
    """A loader that takes every line for valid but those that say bad."""
    assert upload.slice
    assert reference == REFERENCE
    outcomes: Counter[str] = Counter()
    for line in stream:
        if line.startswith(b"corrupt"):
            raise UnreadableUpload(Unreadable.CORRUPT_ARCHIVE, "for the test")
        if line.startswith(b"bad"):
            rejects.write(line)
        else:
            out.write(upload.slice, line)
        outcomes["bad" if line.startswith(b"bad") else "valid"] += 1
    return LineCounts(lines=outcomes.total(), slices={upload.slice: dict(outcomes)})


def load(run: Run, batch: landing.Batch) -> list[landing.LoadedGroup]:
    for number in range(batch.groups):
        uploads = run.get(landing.group_name(number), list[Upload])
        run.put(
            landing.loaded_name(number),
            landing.load_group(run, "facilities", uploads, count_lines, REFERENCE),
        )
    return landing.read_loaded(run, batch)


def test_data_is_claimed_and_the_rest_is_set_aside_with_its_reason(run: Run) -> None:
    for name in NAMES:
        put(run, PREFIX + name)
    junk = {
        "landing/facilities/": b"",
        "landing/facilities/2026-11-01/": b"",
        "landing/facilities/2026-11-01/.keep": b"",
        "landing/facilities/2026-11-01/empty.jsonl": b"",
        "landing/facilities/2026-11-01/notes.txt": b"x",
        "landing/facilities/november/a.jsonl": b"{}",
        "landing/facilities/a.jsonl": b"{}",
    }
    for key, body in junk.items():
        put(run, key, body)
    batch = claim(run)
    assert {one.key for one in batch.uploads} == {PREFIX + name for name in NAMES}
    assert {one.key.removeprefix("landing/facilities/"): one.reason for one in batch.set_aside} == {
        "2026-11-01/": "folder_marker",
        "2026-11-01/.keep": "hidden_file",
        "2026-11-01/empty.jsonl": "zero_bytes",
        "2026-11-01/notes.txt": "unknown_extension",
        "november/a.jsonl": "snapshot_folder_is_not_a_date",
        "a.jsonl": "not_in_a_snapshot_folder",
    }
    assert run.get(landing.BATCH, landing.Batch) == batch


def test_a_run_takes_a_bounded_batch_and_leaves_the_rest(run: Run) -> None:
    for day in range(1, 6):
        for name in ("a.json", "b.json"):
            put(run, f"landing/facilities/2026-11-{day:02d}/{name}")
    batch = claim(run, max_files=7)
    assert (len(batch.uploads), batch.left_for_next_run) == (7, 3)
    batch = claim(run, max_snapshots=2)
    assert len({one.snapshot for one in batch.uploads}) == 2
    assert (len(batch.uploads), batch.left_for_next_run) == (4, 6)


def test_all_pages_of_landing_are_claimed(run: Run) -> None:
    for number in range(1050):
        put(run, f"{PREFIX}{number:04d}.json")
    assert len(claim(run).uploads) == 1050


def test_processed_versions_leave_landing_and_nothing_else(run: Run) -> None:
    for name in NAMES:
        put(run, PREFIX + name, b"one\nbad two\n")
    put(run, PREFIX + ".keep", b"")
    put(run, PREFIX + "corrupt.jsonl", b"corrupt\n")
    batch = claim(run)
    groups = load(run, batch)
    overwritten, late = PREFIX + NAMES[0], PREFIX + "late.jsonl"
    put(run, overwritten, b"newer\n")
    put(run, late, b"later\n")

    assert landing.acknowledge(run, batch, groups) == []
    assert keys(run, "landing/") == sorted([overwritten, late])
    assert run.s3.get_object(Bucket=run.bucket, Key=overwritten)["Body"].read() == b"newer\n"
    for name in NAMES:
        archived = run.s3.get_object(Bucket=run.bucket, Key=f"archive/facilities/2026-11-01/{name}")[
            "Body"
        ].read()
        assert archived == b"one\nbad two\n"
    assert keys(run, "quarantine/facilities/set_aside/") == [
        "quarantine/facilities/set_aside/2026-11-01/.keep",
        "quarantine/facilities/set_aside/2026-11-01/corrupt.jsonl",
    ]
    # Once more, as a retry would: nothing changes, and what is new stays.
    landing.acknowledge(run, batch, groups)
    assert keys(run, "landing/") == sorted([overwritten, late])


def test_an_upload_that_changed_after_the_claim_is_left_for_the_next_run(run: Run) -> None:
    put(run, PREFIX + "a.jsonl", b"old\n")
    put(run, PREFIX + "b.jsonl", b"old\n")
    batch = claim(run)
    put(run, PREFIX + "a.jsonl", b"new\n")
    run.s3.delete_object(Bucket=run.bucket, Key=PREFIX + "b.jsonl")
    (group,) = load(run, batch)
    assert group.loaded == []
    assert group.left_for_next_run == [PREFIX + "a.jsonl", PREFIX + "b.jsonl"]
    landing.acknowledge(run, batch, [group])
    assert keys(run, "landing/") == [PREFIX + "a.jsonl"]


def test_loading_again_writes_the_same_objects(run: Run) -> None:
    put(run, PREFIX + "a.jsonl", b"one\nbad\n")
    batch = claim(run)
    load(run, batch)
    before = [(one.key, one.etag) for one in list_objects(run.s3, run.bucket, "bronze/")]
    assert keys(run, "quarantine/") == ["quarantine/facilities/2026-11-01/a.jsonl_rejects.jsonl"]
    load(run, batch)
    assert [(one.key, one.etag) for one in list_objects(run.s3, run.bucket, "bronze/")] == before


def test_rejects_that_are_no_longer_true_are_dropped(run: Run) -> None:
    put(run, PREFIX + "a.jsonl", b"one\nbad\n")
    put(run, PREFIX + "b.jsonl", b"one\nbad\n")
    load(run, claim(run))
    put(run, PREFIX + "a.jsonl", b"one\ntwo\n")  # corrected before anything was published
    put(run, PREFIX + "gone.jsonl", b"bad\n")
    load(run, claim(run))
    run.s3.delete_object(Bucket=run.bucket, Key=PREFIX + "gone.jsonl")
    batch = claim(run)
    (plan,) = publish.plan(run, batch, load(run, batch))
    put(run, PREFIX + "other.jsonl", b"bad\n")  # came meanwhile, and another run has read it
    load(run, claim(run))
    assert len(keys(run, "quarantine/")) == 4  # nothing is published yet, and another run may come first
    publish.drop_stale_rejects(run, "facilities", plan.snapshot, plan.inputs)
    assert keys(run, "quarantine/") == [
        f"quarantine/facilities/2026-11-01/{name}.jsonl_rejects.jsonl" for name in ("b", "other")
    ]


def test_a_large_upload_becomes_several_bronze_objects(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(landing, "_BRONZE_PART_BYTES", 1000)
    lines = [b"%d\n" % number for number in range(2000)]
    put(run, PREFIX + "a.jsonl", b"".join(lines))
    load(run, claim(run))
    parts = list(list_objects(run.s3, run.bucket, "bronze/facilities/snapshot_date=2026-11-01/"))
    assert len(parts) > 5
    assert all(one.size <= 1000 for one in parts)
    content = b"".join(run.s3.get_object(Bucket=run.bucket, Key=one.key)["Body"].read() for one in parts)
    assert content == b"".join(lines)


def test_a_failed_load_leaves_no_half_object(run: Run) -> None:
    def fail(
        stream: BinaryIO, upload: UploadRef, out: BronzeWriter, rejects: LineWriter, *, reference: Path
    ) -> LineCounts:
        out.write("2026-11-01", stream.read())
        rejects.write(b"x\n")
        raise OSError("disk full")

    put(run, PREFIX + "a.jsonl", gzip.compress(b"one\n"))
    batch = claim(run)
    with pytest.raises(OSError, match="disk full"):
        landing.load_group(run, "facilities", batch.uploads, fail, REFERENCE)
    assert keys(run, "bronze/") == []
    assert keys(run, "quarantine/") == []


def test_what_was_overwritten_before_it_was_read_does_not_come_back(run: Run) -> None:
    key = PREFIX + "a.jsonl"
    for content in (b"one\n", b"two\n", b"three\n"):
        put(run, key, content)
    put(run, PREFIX + "deleted.jsonl", b"one\n")
    run.s3.delete_object(Bucket=run.bucket, Key=PREFIX + "deleted.jsonl")
    put(run, PREFIX + "deleted.jsonl", b"two\n")
    batch = claim(run)
    landing.acknowledge(run, batch, load(run, batch))
    assert keys(run, "landing/") == []
    versions = run.s3.list_object_versions(Bucket=run.bucket, Prefix="archive/")["Versions"]
    contents = [
        run.s3.get_object(Bucket=run.bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        for one in versions
    ]
    assert contents == [b"three\n", b"two\n", b"one\n", b"two\n"]
