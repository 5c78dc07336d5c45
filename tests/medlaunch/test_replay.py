"""Replay: what was archived comes back in its order, in batches, once, and replaces nothing that is newer."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from medlaunch import lake, landing, replay
from medlaunch.declaration import LineCounts
from medlaunch.landing import LoadedUpload, Upload
from medlaunch.objects import list_objects, put_json
from medlaunch.pipelines import FACILITY_ACCREDITATION
from medlaunch.runs import Run

DAY, OTHER = date(2026, 11, 1), date(2026, 10, 1)
PIPELINE = FACILITY_ACCREDITATION


@pytest.fixture
def run(s3: Any, bucket: str) -> Run:
    return Run(s3, bucket, "replay_uploads", "manual__1", "test")


def archive(run: Run, name: str, body: bytes = b"{}", day: date = DAY, **extra: Any) -> str:
    key = f"archive/facilities/{day}/{name}"
    run.s3.put_object(Bucket=run.bucket, Key=key, Body=body, **extra)
    return lake.landing_key_of(key)


def plan(run: Run, first: date = OTHER, last: date = DAY, **options: Any) -> replay.ReplayPlan:
    return replay.plan(
        run, PIPELINE, first, last, **{"reason": "r", "include_withdrawn": False, "batch_files": 2, **options}
    )


def metadata(run: Run, key: str) -> dict[str, str]:
    return run.s3.head_object(Bucket=run.bucket, Key=key)["Metadata"]


def in_landing(run: Run) -> list[str]:
    return [one.key for one in list_objects(run.s3, run.bucket, "landing/")]


def upload(key: str, moment: datetime, upload_id: str = "u") -> Upload:
    return Upload(
        key=key, size=2, etag="e", last_modified=moment, upload_id=upload_id, snapshot=DAY, file=key.rsplit("/", 1)[-1]
    )  # fmt: skip


def published(run: Run, inputs: list[Upload], withdrawn: list[Upload] | None = None) -> None:
    manifest: dict[str, Any] = {
        "pipeline": PIPELINE.dag_id, "environment": "test", "snapshot_date": f"{DAY}", "version": "v", "previous_version": None,
        "run_id": "r", "run": "r", "as_of": f"{DAY}", "expiry_window": "P6M", "published_at": "2026-11-02T00:00:00Z",
        "lines": {}, "results": {}, "inputs": [{"upload": one, "counts": {"lines": 0, "slices": {}}} for one in inputs], "withdrawn": withdrawn or [],
    }  # fmt: skip
    put_json(run.s3, run.bucket, lake.manifest_key(PIPELINE.dag_id, DAY), manifest)


def test_a_range_of_snapshots_is_put_back_in_batches_with_the_time_of_the_first_upload(run: Run) -> None:
    first = datetime(2026, 11, 2, 10, 0, 7, tzinfo=UTC)
    keys = [archive(run, name) for name in ("b +%'é.jsonl", "a.jsonl")]
    published(run, [upload(keys[0], first), upload(keys[1], first + timedelta(seconds=5))])
    older = archive(run, "x.json.gz", day=OTHER, ContentType="application/gzip", Metadata={"sender": "s"})
    for outside in (date(2026, 9, 30), date(2026, 11, 2)):
        archive(run, "no.jsonl", day=outside)
    made = plan(run)
    assert (made.files, made.batches) == (3, 2)
    assert [(one.snapshot, one.keys) for one in made.snapshots] == [(OTHER, [older]), (DAY, keys)]
    assert in_landing(run) == []
    for number in range(made.batches):
        replay.put_back(run, number)
    assert sorted(in_landing(run)) == sorted([*keys, older])
    assert metadata(run, keys[0]) == {
        landing.UPLOADED_AT: "2026-11-02T10:00:07+00:00",
        landing.REPLAYED_BY: "manual__1",
    }
    head = run.s3.head_object(Bucket=run.bucket, Key=older)
    assert (head["ContentType"], head["Metadata"]["sender"]) == ("application/gzip", "s")
    assert run.s3.get_object(Bucket=run.bucket, Key=keys[0])["Body"].read() == b"{}"
    assert replay.summary(made, None) == (
        "Dry run: would put 3 uploads of 2 snapshots (0.0 MB) back into landing, in 2 batches"
    )
    assert replay.lines(made, None)[1].endswith("to 2026-11-02 10:00:12: b +%'é.jsonl, a.jsonl")


def test_a_retry_puts_back_what_is_missing_and_nothing_twice(run: Run) -> None:
    keys = [archive(run, name) for name in ("a.jsonl", "b.jsonl")]
    plan(run)
    replay.put_back(run, 0)
    # One was processed meanwhile, and archived again; the other waits.
    batch = landing.claim(
        run, dataset="facilities", as_of=DAY, expiry_window="P6M", max_files=1, max_snapshots=9, max_groups=1,
        group_bytes=9,
    )  # fmt: skip
    (taken,) = batch.uploads
    group = landing.LoadedGroup(
        loaded=[
            LoadedUpload(
                upload=taken, version_id=None, counts=LineCounts(lines=0, slices={}), rejects_key=None
            )
        ],
        set_aside=[],
        left_for_next_run=[],
    )
    assert landing.acknowledge(run, batch, [group]) == []
    assert in_landing(run) == [keys[1]]
    before = list(list_objects(run.s3, run.bucket, "landing/"))
    assert replay.put_back(run, 0) == replay.Outcome(put_back=2, left_alone=[])
    assert list(list_objects(run.s3, run.bucket, "landing/")) == before
    # Another replay is another matter.
    again = Run(run.s3, run.bucket, "replay_uploads", "manual__2", "test")
    plan(again)
    outcome = replay.put_back(again, 0)
    assert [(one.key, one.reason) for one in outcome.left_alone] == [
        (keys[1], "another upload of that name waits in landing")
    ]
    assert metadata(run, keys[0])[landing.REPLAYED_BY] == "manual__2"


def test_what_is_newer_is_left_alone(run: Run) -> None:
    waits, processed, gone = (archive(run, name) for name in ("a.jsonl", "b.jsonl", "c.jsonl"))
    plan(run, batch_files=9)
    run.s3.put_object(Bucket=run.bucket, Key=waits, Body=b"correction")
    archive(run, "b.jsonl", b"processed since")
    run.s3.delete_object(Bucket=run.bucket, Key=lake.archive_key(gone))
    outcome = replay.put_back(run, 0)
    assert {one.key: one.reason for one in outcome.left_alone} == {
        waits: "another upload of that name waits in landing",
        processed: "another upload of that name was processed meanwhile",
        gone: "it is gone from the archive",
    }
    assert run.s3.get_object(Bucket=run.bucket, Key=waits)["Body"].read() == b"correction"
    assert in_landing(run) == [waits]


def test_an_upload_that_comes_in_the_same_moment_is_not_replaced(run: Run) -> None:
    key = archive(run, "a.jsonl")
    plan(run)

    def faster(params: dict[str, Any], **_: Any) -> None:
        run.s3.put_object(Bucket=run.bucket, Key=key, Body=b"correction")

    run.s3.meta.events.register("before-parameter-build.s3.CopyObject", faster)
    outcome = replay.put_back(run, 0)
    run.s3.meta.events.unregister("before-parameter-build.s3.CopyObject", faster)
    assert [one.reason for one in outcome.left_alone] == [
        "another upload of that name came in the same moment"
    ]
    assert run.s3.get_object(Bucket=run.bucket, Key=key)["Body"].read() == b"correction"


def test_what_a_rollback_took_out_stays_out_unless_it_is_asked_for(run: Run) -> None:
    early, late = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
    good, bad, replaced = (archive(run, name) for name in ("a.jsonl", "bad.jsonl", "c.jsonl"))
    published(
        run,
        [upload(good, early), upload(replaced, early)],
        withdrawn=[upload(bad, late, "bad"), upload(replaced, late, "new")],
    )
    made = plan(run)
    assert made.snapshots[0].keys == [good]
    assert {one.key for one in made.left_out} == {lake.archive_key(bad), lake.archive_key(replaced)}
    assert {one.reason for one in made.left_out} == {"a rollback has taken it out"}
    everything = plan(run, include_withdrawn=True)
    assert everything.snapshots[0].keys == [good, bad, replaced]
    assert everything.snapshots[0].last_uploaded_at == late


def test_a_year_of_snapshots_goes_back_in_bounded_batches(run: Run) -> None:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(365)]
    for day in days:
        archive(run, "a.jsonl", day=day)
    made = plan(run, days[0], days[-1], batch_files=100)
    assert (made.files, len(made.snapshots), made.batches) == (365, 365, 4)
    assert max(len(run.get(replay.batch_name(n), list[replay.Item])) for n in range(4)) == 100
    outcomes = [replay.put_back(run, number) for number in range(4)]
    assert len(in_landing(run)) == 365
    assert replay.summary(made, outcomes).startswith("Put 365 of 365 uploads of 365 snapshots")


def test_a_range_that_cannot_be_is_refused(run: Run) -> None:
    with pytest.raises(
        replay.ReplayRefused, match="snapshot_from 2026-11-01 is after snapshot_to 2026-10-01"
    ):
        plan(run, DAY, OTHER)
    made = plan(run)
    assert (made.files, made.batches) == (0, 0)
    assert replay.lines(made, None) == ["There is nothing in the archive from 2026-10-01 to 2026-11-01"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (None, None),
        ("last week", None),
        ("2026-11-02T10:00:07+00:00", datetime(2026, 11, 2, 10, 0, 7, tzinfo=UTC)),
        ("2026-11-02T10:00:07.9", datetime(2026, 11, 2, 10, 0, 7, tzinfo=UTC)),
        # Nobody wins by saying that a file comes from the future.
        ("2126-11-02T10:00:07+00:00", datetime(2026, 11, 5, tzinfo=UTC)),
    ],
)
def test_the_time_that_an_upload_claims(text: str | None, expected: datetime | None) -> None:
    given = {} if text is None else {landing.UPLOADED_AT: text}
    assert landing.first_upload(given, upload("k", datetime(2026, 11, 5, tzinfo=UTC))) == expected
