"""Landing is a queue: nothing leaves it but what was processed, in exactly that version."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from medlaunch.aws.documents import Run
from medlaunch.aws.objects import list_objects
from medlaunch.declaration import BronzeWriter, LineCounts, LineWriter, UploadRef
from medlaunch.ingest import loading, uploads
from medlaunch.ingest.archive import archive
from medlaunch.ingest.uploads import LoadedGroup, Share
from medlaunch.publish.plan import drop_stale_rejects, plan
from tests.factories import PARAMS, PIPELINE

PREFIX = "landing/facilities/2026-11-01/"
NAMES = ["a.jsonl", "b c+d%20'e\".json", "naïve 試験.ndjson.gz", "nested/x.json"]
LINES = replace(PIPELINE, datasets=(replace(PIPELINE.datasets[0], loader="tests.factories:load_lines"),))


@pytest.fixture
def run(s3: Any, bucket: str) -> Run:
    return Run(
        s3=s3,
        bucket=bucket,
        name="facility_accreditation",
        run_id="manual__2026-11-20T00:00:00+00:00",
        environment="test",
    )


def put(run: Run, key: str, body: bytes = b"{}\n") -> None:
    run.s3.put_object(Bucket=run.bucket, Key=key, Body=body)


def claim(run: Run, pipeline: Any = LINES, **limits: int) -> uploads.Batch:
    defaults = {
        "max_files": 10_000,
        "max_slices": 90,
        "max_groups": 8,
        "group_bytes": 1 << 28,
        "part_bytes": 1 << 28,
    }
    return uploads.claim(run, pipeline, PARAMS, **(defaults | limits))


def keys(run: Run, prefix: str) -> list[str]:
    return [one.key for one in list_objects(run.s3, run.bucket, prefix)]


def load(run: Run, batch: uploads.Batch, pipeline: Any = LINES) -> list[LoadedGroup]:
    for number in range(batch.groups):
        group = run.get(uploads.group_name(number), list[Share])
        run.put(uploads.loaded_name(number), loading.load_group(run, pipeline, group, Path()))
    return uploads.read_loaded(run, batch)


def test_data_is_claimed_and_the_rest_is_skipped_with_its_reason(run: Run) -> None:
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
    assert {one.key.removeprefix("landing/facilities/"): one.reason for one in batch.skipped} == {
        "2026-11-01/": "folder_marker",
        "2026-11-01/.keep": "hidden_file",
        "2026-11-01/empty.jsonl": "empty_object",
        "2026-11-01/notes.txt": "unknown_extension",
        "november/a.jsonl": "folder_is_no_slice",
        "a.jsonl": "not_in_a_folder",
    }
    # What looks like data is worth a warning; the rest is not.
    assert {one.key.removeprefix("landing/facilities/") for one in batch.skipped if one.meant_as_data} == {
        "november/a.jsonl",
        "a.jsonl",
    }
    assert run.get(uploads.BATCH, uploads.Batch) == batch


def test_a_run_takes_a_bounded_batch_and_leaves_the_rest(run: Run) -> None:
    for day in range(1, 6):
        for name in ("a.json", "b.json"):
            put(run, f"landing/facilities/2026-11-{day:02d}/{name}")
    batch = claim(run, max_files=7)
    assert (len(batch.uploads), batch.left_for_next_run) == (7, 3)
    batch = claim(run, max_slices=2)
    assert len({one.slice for one in batch.uploads}) == 2
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

    assert archive(run, LINES, batch, groups) == []
    assert keys(run, "landing/") == sorted([overwritten, late])
    assert run.s3.get_object(Bucket=run.bucket, Key=overwritten)["Body"].read() == b"newer\n"
    for name in NAMES:
        archived = run.s3.get_object(Bucket=run.bucket, Key=f"archive/facilities/2026-11-01/{name}")[
            "Body"
        ].read()
        assert archived == b"one\nbad two\n"
    assert keys(run, "quarantine/facilities/skipped/") == [
        "quarantine/facilities/skipped/2026-11-01/.keep",
        "quarantine/facilities/skipped/2026-11-01/corrupt.jsonl",
    ]
    # Once more, as a retry would: nothing changes, and what is new stays.
    archive(run, LINES, batch, groups)
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
    archive(run, LINES, batch, [group])
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
    (planned,) = plan(run, LINES, load(run, batch))
    put(run, PREFIX + "other.jsonl", b"bad\n")  # came meanwhile, and another run has read it
    load(run, claim(run))
    assert len(keys(run, "quarantine/")) == 4  # nothing is published yet, and another run may come first
    drop_stale_rejects(run, LINES, planned.slice, planned.inputs)
    assert keys(run, "quarantine/") == [
        f"quarantine/facilities/2026-11-01/{name}.jsonl_rejects.jsonl" for name in ("b", "other")
    ]


def test_a_large_upload_becomes_several_bronze_objects(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "_BRONZE_PART_BYTES", 1000)
    lines = [b"%d\n" % number for number in range(2000)]
    put(run, PREFIX + "a.jsonl", b"".join(lines))
    load(run, claim(run))
    parts = list(list_objects(run.s3, run.bucket, "bronze/facilities/snapshot_date=2026-11-01/"))
    assert len(parts) > 5
    assert all(one.size <= 1000 for one in parts)
    content = b"".join(run.s3.get_object(Bucket=run.bucket, Key=one.key)["Body"].read() for one in parts)
    assert content == b"".join(lines)


def test_a_failed_load_leaves_no_half_object(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(
        stream: BinaryIO, upload: UploadRef, out: BronzeWriter, rejects: LineWriter, *, reference: Path
    ) -> LineCounts:
        out.write("2026-11-01", stream.read())
        rejects.write(b"x\n")
        raise OSError("disk full")

    monkeypatch.setattr(loading, "find_loader", lambda _: fail)

    put(run, PREFIX + "a.jsonl", gzip.compress(b"one\n"))
    batch = claim(run)
    with pytest.raises(OSError, match="disk full"):
        loading.load_group(run, LINES, [Share(upload=one) for one in batch.uploads], Path())
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
    archive(run, LINES, batch, load(run, batch))
    assert keys(run, "landing/") == []
    versions = run.s3.list_object_versions(Bucket=run.bucket, Prefix="archive/")["Versions"]
    contents = [
        run.s3.get_object(Bucket=run.bucket, Key=one["Key"], VersionId=one["VersionId"])["Body"].read()
        for one in versions
    ]
    assert contents == [b"three\n", b"two\n", b"one\n", b"two\n"]


def test_lines_know_their_slice_where_no_folder_says_it(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many slices in one upload: each has its objects, in the order of the lines, however they are mixed."""
    monkeypatch.setattr(loading, "_OPEN_SLICES", 2)
    dataset = replace(LINES.datasets[0], name="deep/er", slice_of_folder=None)
    pipeline = replace(LINES, datasets=(dataset,), slice_column="quarter")
    lines = [f"q{number % 5} {number}\n" for number in range(20)]
    put(run, "landing/deep/er/any/where.json", "".join(lines).encode())
    put(run, "landing/deep/er/at-the-top.json", b"q1 x\n")
    batch = claim(run, pipeline)
    assert {(one.key, one.slice) for one in batch.uploads} == {
        ("landing/deep/er/any/where.json", None),
        ("landing/deep/er/at-the-top.json", None),
    }
    groups = load(run, batch, pipeline)
    for slice_ in ("q0", "q1"):
        found = [
            run.s3.get_object(Bucket=run.bucket, Key=key)["Body"].read().decode()
            for upload in sorted(batch.uploads, key=lambda one: -one.size)
            for key in keys(run, f"bronze/deep/er/quarter={slice_}/{upload.upload_id}")
        ]
        expected = [line for line in lines if line.startswith(slice_)] + (
            ["q1 x\n"] if slice_ == "q1" else []
        )
        assert "".join(found) == "".join(expected)
    plans = plan(run, pipeline, groups)
    assert [(one.slice, len(one.inputs)) for one in plans] == [
        ("q0", 1),
        ("q1", 2),
        ("q2", 1),
        ("q3", 1),
        ("q4", 1),
    ]
    archive(run, pipeline, batch, groups)
    assert keys(run, "landing/") == []
    assert keys(run, "archive/") == ["archive/deep/er/any/where.json", "archive/deep/er/at-the-top.json"]


def test_a_slice_that_cannot_be_a_key_is_refused(run: Run) -> None:
    dataset = replace(LINES.datasets[0], name="odd", slice_of_folder=None)
    pipeline = replace(LINES, datasets=(dataset,))
    put(run, "landing/odd/a.json", b"../../prod x\n")
    with pytest.raises(ValueError, match="no slice"):
        load(run, claim(run, pipeline), pipeline)
    assert keys(run, "bronze/") == []
