"""Replay: what was archived comes back in its order, in batches, once, and replaces nothing that is newer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import msgspec
import pytest

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import list_objects, put_json
from medlaunch.declaration import LineCounts
from medlaunch.ingest import loading, replay, uploads
from medlaunch.ingest.archive import archive as archive_uploads
from medlaunch.ingest.uploads import Upload
from tests.factories import DAY, OTHER_DAY, PARAMS, PIPELINE, counts, group, loaded
from tests.factories import upload as an_upload
from tests.medlaunch.publish.lakes import manifest

OTHER = OTHER_DAY
DATASET = PIPELINE.datasets[0]


@pytest.fixture
def run(s3: Any, bucket: str) -> Run:
    return Run(s3, bucket, "replay_uploads", "manual__1", "test")


def archive(run: Run, name: str, body: bytes = b"{}", day: str = DAY, **extra: Any) -> str:
    key = f"archive/facilities/{day}/{name}"
    run.s3.put_object(Bucket=run.bucket, Key=key, Body=body, **extra)
    return lake.landing_key_of(key)


def plan(run: Run, first: str = OTHER, last: str = DAY, **options: Any) -> replay.ReplayPlan:
    return replay.plan(
        run,
        PIPELINE,
        DATASET,
        first,
        last,
        **{"reason": "r", "include_excluded": False, "batch_files": 2, **options},
    )


def metadata(run: Run, key: str) -> dict[str, str]:
    return run.s3.head_object(Bucket=run.bucket, Key=key)["Metadata"]


def in_landing(run: Run) -> list[str]:
    return [one.key for one in list_objects(run.s3, run.bucket, "landing/")]


def upload(key: str, moment: datetime, upload_id: str = "u") -> Upload:
    return msgspec.structs.replace(
        an_upload(key.rsplit("/", 1)[-1]), key=key, last_modified=moment, upload_id=upload_id
    )


def published(run: Run, inputs: list[Upload], excluded: list[Upload] | None = None, day: str = DAY) -> None:
    one = manifest(slice=day, inputs=[loaded(upload) for upload in inputs], excluded=excluded or [])
    put_json(run.s3, run.bucket, lake.manifest_key(PIPELINE.dag_id, day), one)


def test_a_range_of_snapshots_is_restored_in_batches_with_the_time_of_the_first_upload(run: Run) -> None:
    first = datetime(2026, 11, 2, 10, 0, 7, tzinfo=UTC)
    keys = [archive(run, name) for name in ("b +%'é.jsonl", "a.jsonl")]
    published(run, [upload(keys[0], first), upload(keys[1], first + timedelta(seconds=5))])
    older = archive(run, "x.json.gz", day=OTHER, ContentType="application/gzip", Metadata={"sender": "s"})
    for outside in ("2026-09-30", "2026-11-02"):
        archive(run, "no.jsonl", day=outside)
    made = plan(run)
    assert (made.files, made.batches) == (3, 2)
    assert [(one.slice, one.keys) for one in made.slices] == [(OTHER, [older]), (DAY, keys)]
    assert in_landing(run) == []
    for number in range(made.batches):
        replay.restore(run, number)
    assert sorted(in_landing(run)) == sorted([*keys, older])
    assert metadata(run, keys[0]) == {
        loading.UPLOADED_AT: "2026-11-02T10:00:07+00:00",
        loading.REPLAYED_BY: "manual__1",
    }
    head = run.s3.head_object(Bucket=run.bucket, Key=older)
    assert (head["ContentType"], head["Metadata"]["sender"]) == ("application/gzip", "s")
    assert run.s3.get_object(Bucket=run.bucket, Key=keys[0])["Body"].read() == b"{}"
    assert replay.summary(made, None) == (
        "Dry run: would restore 3 uploads of 2 snapshots (0.0 MB) to landing, in 2 batches"
    )
    assert replay.lines(made, None)[1].endswith("to 2026-11-02 10:00:12: b +%'é.jsonl, a.jsonl")


def test_a_retry_restores_what_is_missing_and_nothing_twice(run: Run) -> None:
    keys = [archive(run, name) for name in ("a.jsonl", "b.jsonl")]
    plan(run)
    replay.restore(run, 0)
    # One was processed meanwhile, and archived again; the other waits.
    batch = uploads.claim(
        run, PIPELINE, PARAMS, max_files=1, max_slices=9, max_groups=1, group_bytes=9, part_bytes=9
    )
    (taken,) = batch.uploads
    nothing = LineCounts(lines=0, slices={DAY: {}})
    assert archive_uploads(run, PIPELINE, batch, [group(loaded(taken, nothing))]) == []
    assert in_landing(run) == [keys[1]]
    before = list(list_objects(run.s3, run.bucket, "landing/"))
    assert replay.restore(run, 0) == replay.Outcome(restored=2, left_alone=[])
    assert list(list_objects(run.s3, run.bucket, "landing/")) == before
    # Another replay is another matter.
    again = Run(run.s3, run.bucket, "replay_uploads", "manual__2", "test")
    plan(again)
    outcome = replay.restore(again, 0)
    assert [(one.key, one.reason) for one in outcome.left_alone] == [
        (keys[1], "another upload of that name waits in landing")
    ]
    assert metadata(run, keys[0])[loading.REPLAYED_BY] == "manual__2"


def test_what_is_newer_is_left_alone(run: Run) -> None:
    waits, processed, gone = (archive(run, name) for name in ("a.jsonl", "b.jsonl", "c.jsonl"))
    plan(run, batch_files=9)
    run.s3.put_object(Bucket=run.bucket, Key=waits, Body=b"correction")
    archive(run, "b.jsonl", b"processed since")
    run.s3.delete_object(Bucket=run.bucket, Key=lake.archive_key(gone))
    outcome = replay.restore(run, 0)
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
    outcome = replay.restore(run, 0)
    run.s3.meta.events.unregister("before-parameter-build.s3.CopyObject", faster)
    assert [one.reason for one in outcome.left_alone] == [
        "another upload of that name came in the same moment"
    ]
    assert run.s3.get_object(Bucket=run.bucket, Key=key)["Body"].read() == b"correction"


def test_what_a_rollback_excluded_stays_out_unless_it_is_asked_for(run: Run) -> None:
    early, late = datetime(2026, 11, 2, tzinfo=UTC), datetime(2026, 11, 3, tzinfo=UTC)
    good, bad, replaced = (archive(run, name) for name in ("a.jsonl", "bad.jsonl", "c.jsonl"))
    published(
        run,
        [upload(good, early), upload(replaced, early)],
        excluded=[upload(bad, late, "bad"), upload(replaced, late, "new")],
    )
    made = plan(run)
    assert made.slices[0].keys == [good]
    assert {one.key for one in made.left_out} == {lake.archive_key(bad), lake.archive_key(replaced)}
    assert {one.reason for one in made.left_out} == {"a rollback has excluded it"}
    everything = plan(run, include_excluded=True)
    assert everything.slices[0].keys == [good, bad, replaced]
    assert everything.slices[0].last_uploaded_at == late


def test_a_year_of_snapshots_goes_back_in_bounded_batches(run: Run) -> None:
    days = [date(2025, 1, 1) + timedelta(days=number) for number in range(365)]
    for day in days:
        archive(run, "a.jsonl", day=f"{day}")
    made = plan(run, f"{days[0]}", f"{days[-1]}", batch_files=100)
    assert (made.files, len(made.slices), made.batches) == (365, 365, 4)
    assert max(len(run.get(replay.batch_name(n), list[replay.Item])) for n in range(4)) == 100
    outcomes = [replay.restore(run, number) for number in range(4)]
    assert len(in_landing(run)) == 365
    assert replay.summary(made, outcomes).startswith("Restored 365 of 365 uploads of 365 snapshots")


def test_a_range_that_cannot_be_is_refused(run: Run) -> None:
    with pytest.raises(replay.ReplayRefused, match="slice_from 2026-11-01 is after slice_to 2026-10-01"):
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
    given = {} if text is None else {loading.UPLOADED_AT: text}
    assert loading.first_upload(given, upload("k", datetime(2026, 11, 5, tzinfo=UTC))) == expected


def test_where_only_lines_know_their_slice_the_manifests_say_which_uploads_come_back(run: Run) -> None:
    dataset = replace(DATASET, name="pbj", slice_of_folder=None)
    pipeline = replace(PIPELINE, datasets=(dataset,), slice_name="quarter")
    early = datetime(2026, 11, 2, tzinfo=UTC)
    for name in ("one.json", "both.json", "other.json"):
        run.s3.put_object(Bucket=run.bucket, Key=f"archive/pbj/any/{name}", Body=b"{}")

    def of(name: str) -> Upload:
        return msgspec.structs.replace(upload(f"landing/pbj/any/{name}", early), dataset="pbj", slice=None)

    for day, names in (
        ("2024Q1", ["one.json", "both.json"]),
        ("2024Q2", ["both.json"]),
        ("2024Q4", ["other.json"]),
    ):
        one = manifest(slice=day, inputs=[loaded(of(name), counts(1, day)) for name in names])
        put_json(run.s3, run.bucket, lake.manifest_key(pipeline.dag_id, day), one)
    made = replay.plan(
        run, pipeline, dataset, "2024Q1", "2024Q3", reason="r", include_excluded=False, batch_files=9
    )
    assert [(one.slice, one.keys) for one in made.slices] == [
        ("2024Q1", ["landing/pbj/any/both.json", "landing/pbj/any/one.json"])
    ]
    replay.restore(run, 0)
    assert in_landing(run) == ["landing/pbj/any/both.json", "landing/pbj/any/one.json"]


def test_of_a_name_that_was_used_again_only_the_slices_of_the_latest_upload_come_back(run: Run) -> None:
    dataset = replace(DATASET, name="pbj", slice_of_folder=None)
    pipeline = replace(PIPELINE, datasets=(dataset,), slice_name="quarter")
    run.s3.put_object(Bucket=run.bucket, Key="archive/pbj/a.json", Body=b"{}")
    for number, day in enumerate(("2024Q1", "2024Q2"), start=1):
        one = upload("landing/pbj/a.json", datetime(2026, 11, number, tzinfo=UTC))
        one = msgspec.structs.replace(one, dataset="pbj", slice=None)
        content = manifest(slice=day, inputs=[loaded(one, counts(1, day))])
        put_json(run.s3, run.bucket, lake.manifest_key(pipeline.dag_id, day), content)

    def planned(first: str, last: str) -> list[tuple[str, int]]:
        made = replay.plan(
            run, pipeline, dataset, first, last, reason="r", include_excluded=False, batch_files=9
        )
        return [(one.slice, one.first_uploaded_at.day) for one in made.slices]

    assert planned("2024Q1", "2024Q1") == []
    assert planned("2024Q1", "2024Q2") == [("2024Q2", 2)]
