from __future__ import annotations

from datetime import UTC, date, datetime

import msgspec
import pytest

from medlaunch.checks import (
    Account,
    CheckFailed,
    FilterCounts,
    Input,
    Lines,
    SnapshotAccount,
    SnapshotPlan,
    check_volume,
    plan_snapshot,
    settle,
    worth_publishing,
)
from medlaunch.declaration import LineCounts
from medlaunch.landing import LoadedUpload, Upload, group_uploads

DAY = date(2026, 11, 1)


def upload(name: str, second: int = 0, size: int = 10) -> Upload:
    key = f"landing/facilities/2026-11-01/{name}"
    when = datetime(2026, 11, 2, 0, 0, second, tzinfo=UTC)
    return Upload(
        key=key,
        size=size,
        etag=name,
        last_modified=when,
        upload_id=f"id-{name}-{second}",
        snapshot=DAY,
        file=name,
    )


def counts(valid: int, **rejected: int) -> LineCounts:
    return LineCounts(lines=valid + sum(rejected.values()), slices={f"{DAY}": {"valid": valid, **rejected}})


def plan(*inputs: tuple[Upload, LineCounts], batch: set[str] | None = None) -> SnapshotPlan:
    ids = [one.upload_id for one, _ in inputs]
    return SnapshotPlan(
        snapshot=DAY,
        inputs=[Input(upload=one, counts=seen) for one, seen in inputs],
        batch_uploads=[one for one in ids if batch is None or one in batch],
    )


GOOD_LINES = {
    ("id-a-0", "valid"): 3,
    ("id-a-0", "accepted"): 2,
    ("id-a-0", "malformed_json"): 1,
    ("id-b-0", "valid"): 2,
    ("id-b-0", "accepted"): 2,
}
GOOD_ROWS = {
    ("facility_metrics", DAY): (4, 4),
    ("facility_rejects", DAY): (1, 1),
    ("accredited_facilities_by_state", DAY): (2, 4),
    ("expiring_accreditations", DAY): (3, 1),
}
GOOD_FILTER = {DAY: FilterCounts(facilities=4, expiring_accreditations=3, expiring_facilities=1)}


def a_plan() -> SnapshotPlan:
    return plan((upload("a"), counts(3, malformed_json=1)), (upload("b"), counts(2)), batch={"id-b-0"})


def test_accounts_that_agree_are_settled() -> None:
    account = settle([a_plan()], GOOD_LINES, GOOD_ROWS, GOOD_FILTER)
    (snapshot,) = account.snapshots
    total = snapshot.lines
    assert (total.read, total.accepted, total.superseded, total.rejected) == (6, 4, 1, 1)
    assert (account.batch.read, account.batch.accepted) == (2, 2)  # only this run's own upload
    assert snapshot.rows["expiring_accreditations"] == 3


@pytest.mark.parametrize(
    ("lines", "rows", "filtered", "message"),
    [
        ({("id-a-0", "valid"): 2}, {}, {}, "valid lines of landing/facilities/2026-11-01/a"),
        ({("id-a-0", "malformed_json"): 2}, {}, {}, "rejected for malformed_json"),
        ({("id-a-0", "state_invalid"): 1}, {}, {}, "rejected for state_invalid"),
        ({("id-a-0", "accepted"): 4}, {}, {}, "4 lines accepted of 3 valid"),
        ({("id-zzz", "valid"): 1}, {}, {}, "id-zzz"),
        ({}, {("facility_metrics", DAY): (3, 3)}, {}, "facility_metrics"),
        ({}, {("facility_metrics", DAY): (4, 3)}, {}, "facilities in it"),
        ({}, {("facility_rejects", DAY): (0, 0)}, {}, "facility_rejects"),
        ({}, {("accredited_facilities_by_state", DAY): (2, 3)}, {}, "facilities by state"),
        (
            {},
            {("expiring_accreditations", DAY): (2, 1)},
            {},
            "expiring accreditations of 2026-11-01: Athena says 2",
        ),
        (
            {},
            {("expiring_accreditations", DAY): (3, 2)},
            {},
            "expiring facilities of 2026-11-01: Athena says 2",
        ),
        (
            {},
            {},
            {DAY: FilterCounts(facilities=3, expiring_accreditations=0, expiring_facilities=0)},
            "expiry filter",
        ),
    ],
)
def test_any_disagreement_stops_the_run_and_is_named(lines, rows, filtered, message) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(CheckFailed, match=message):
        settle([a_plan()], {**GOOD_LINES, **lines}, {**GOOD_ROWS, **rows}, {**GOOD_FILTER, **filtered})


def test_a_file_uploaded_again_replaces_what_it_said_and_later_ones_win() -> None:
    old, other, new = upload("a", 1), upload("b", 2), upload("a", 3)
    earlier = [Input(upload=old, counts=counts(1)), Input(upload=other, counts=counts(2))]
    loaded = [LoadedUpload(upload=new, version_id=None, counts=counts(5), rejects_key=None)]
    result = plan_snapshot(DAY, earlier, loaded)
    assert [one.upload.upload_id for one in result.inputs] == ["id-b-2", "id-a-3"]
    assert result.batch_uploads == ["id-a-3"]


def test_an_older_version_of_a_file_never_replaces_a_newer_one() -> None:
    old, new = upload("a", 1), upload("a", 3)
    earlier = [Input(upload=new, counts=counts(1))]
    loaded = [LoadedUpload(upload=old, version_id=None, counts=counts(5), rejects_key=None)]
    assert plan_snapshot(DAY, earlier, loaded).inputs == earlier


def test_at_the_same_second_the_greater_key_wins() -> None:
    loaded = [
        LoadedUpload(upload=upload(name), version_id=None, counts=counts(1), rejects_key=None)
        for name in ("b", "a", "é", "B")
    ]
    result = plan_snapshot(DAY, [], loaded)
    assert [one.upload.file for one in result.inputs] == ["B", "a", "b", "é"]


def test_nothing_is_published_of_nothing_unless_something_stale_is_out() -> None:
    empty = plan((upload("a"), counts(0)))
    assert not worth_publishing(empty)
    assert worth_publishing(plan((upload("a"), counts(0, malformed_json=1))))
    loaded = [LoadedUpload(upload=upload("a"), version_id=None, counts=counts(0), rejects_key=None)]
    after = msgspec.structs.replace(plan_snapshot(DAY, [], loaded), previous_version="v1")
    assert worth_publishing(after)


def test_groups_are_even_bounded_and_complete() -> None:
    uploads = [upload(f"{n}", size=(n % 7) * 1_000_000) for n in range(50)]
    groups = group_uploads(uploads, max_groups=4, group_bytes=1_000_000)
    assert len(groups) == 4
    assert sorted(one.upload_id for group in groups for one in group) == sorted(
        one.upload_id for one in uploads
    )
    sizes = [sum(one.size for one in group) for group in groups]
    assert max(sizes) - min(sizes) <= 6_000_000
    assert group_uploads([], 4, 1) == []
    assert len(group_uploads(uploads[:3], 4, 10**9)) == 1


def shrunk(before: int, now: int) -> tuple[list[SnapshotPlan], Account]:
    one = msgspec.structs.replace(plan((upload("a"), counts(now))), previous_accepted=before)
    account = SnapshotAccount(snapshot=DAY, lines=Lines(read=now, accepted=now), rows={})
    return [one], Account(batch=Lines(), snapshots=[account])


@pytest.mark.parametrize(
    ("before", "now", "share"), [(100, 50, 0.5), (100, 200, 0.5), (0, 0, 0.1), (0, 5, 0.1), (3, 0, 1.0)]
)
def test_a_snapshot_may_shrink_by_what_is_configured(before: int, now: int, share: float) -> None:
    check_volume(*shrunk(before, now), share, expected=False)


@pytest.mark.parametrize(("before", "now", "less"), [(100, 49, "51% less"), (2, 0, "100% less")])
def test_more_than_that_stops_the_run_unless_it_is_meant(before: int, now: int, less: str) -> None:
    with pytest.raises(CheckFailed, match=f"from {before} to {now} \\({less}\\).*expect_shrink"):
        check_volume(*shrunk(before, now), 0.5, expected=False)
    check_volume(*shrunk(before, now), 0.5, expected=True)
