from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from medlaunch.declaration import CheckContext, LineCounts
from medlaunch.ingest.uploads import Share, group_shares
from medlaunch.pipelines.facility_accreditation import FilterCounts
from medlaunch.publish.plan import SlicePlan, plan_slice
from medlaunch.publish.reconcile import CheckFailed, Reconciliation, reconcile, require_none
from tests.factories import DAY, PARAMS, PIPELINE, counts, loaded, upload


def plan(*inputs: Any, batch: set[str] | None = None) -> SlicePlan:
    ids = [one.upload.upload_id for one in inputs]
    return SlicePlan(
        slice=DAY, inputs=list(inputs), batch_uploads=[one for one in ids if batch is None or one in batch]
    )


GOOD_LINES = {
    ("a-0", "valid"): 3,
    ("a-0", "accepted"): 2,
    ("a-0", "malformed_json"): 1,
    ("b-0", "valid"): 2,
    ("b-0", "accepted"): 2,
}
GOOD_ROWS = {
    "facility_metrics": (4, 4),
    "facility_rejects": (1, 1),
    "accredited_facilities_by_state": (2, 4),
    "expiring_accreditations": (3, 1),
    "expiring_facilities": (1, 1),
}
GOOD_FILTER = FilterCounts(facilities=4, expiring_accreditations=3, expiring_facilities=1)


def a_plan(previous_accepted: int = 0) -> SlicePlan:
    one = plan(
        loaded(upload("a"), counts(3, malformed_json=1)), loaded(upload("b"), counts(2)), batch={"b-0"}
    )
    return msgspec.structs.replace(one, previous_accepted=previous_accepted)


def check(
    one: SlicePlan,
    lines: dict[tuple[str, str], int] = GOOD_LINES,
    rows: dict[str, tuple[int, int]] = GOOD_ROWS,
    filtered: FilterCounts = GOOD_FILTER,
    **params: str,
) -> Reconciliation:
    """What the task check_results does with the counts of its statements."""
    line_rows = [
        {"slice": DAY, "upload_id": upload_id, "outcome": outcome, "lines": f"{count}"}
        for (upload_id, outcome), count in lines.items()
    ]
    result_rows = [
        {"slice": DAY, "result": result, "result_rows": f"{count}", "facilities": f"{facilities}"}
        for result, (count, facilities) in rows.items()
    ]
    reconciliation, mismatches = reconcile([one], line_rows, result_rows)
    context = CheckContext(
        params={**PARAMS, **params},
        slices=reconciliation.slices,
        uploads={},
        rows={"count_lines": line_rows, "count_results": result_rows},
        document=lambda *_: {DAY: filtered},
    )
    require_none([*mismatches, *PIPELINE.checks(context)])
    return reconciliation


def test_counts_that_match_are_summed_up() -> None:
    reconciliation = check(a_plan())
    (snapshot,) = reconciliation.slices
    total = snapshot.lines
    assert (total.read, total.accepted, total.superseded, total.rejected) == (6, 4, 1, 1)
    assert total.rejected_by_reason == {"malformed_json": 1}
    assert (reconciliation.batch.read, reconciliation.batch.accepted) == (2, 2)  # only this run's own upload
    assert snapshot.rows["expiring_accreditations"] == 3


@pytest.mark.parametrize(
    ("lines", "rows", "filtered", "message"),
    [
        ({("a-0", "valid"): 2}, {}, {}, "valid lines of landing/facilities/2026-11-01/a"),
        ({("a-0", "malformed_json"): 2}, {}, {}, "rejected for malformed_json"),
        ({("a-0", "state_invalid"): 1}, {}, {}, "rejected for state_invalid"),
        ({("a-0", "accepted"): 4}, {}, {}, "4 lines accepted of 3 valid"),
        ({("zzz", "valid"): 1}, {}, {}, "the upload zzz in 2026-11-01, which the plan"),
        ({}, {"facility_metrics": (3, 3)}, {}, "facility_metrics of 2026-11-01: rows counts 3"),
        ({}, {"facility_metrics": (4, 3)}, {}, "facility_metrics of 2026-11-01: facilities counts 3"),
        ({}, {"facility_rejects": (0, 0)}, {}, "facility_rejects"),
        ({}, {"accredited_facilities_by_state": (2, 3)}, {}, "facilities by state"),
        (
            {},
            {"expiring_accreditations": (2, 1)},
            {},
            "expiring accreditations of 2026-11-01: Athena counts 2",
        ),
        ({}, {"expiring_facilities": (2, 2)}, {}, "expiring facilities of 2026-11-01: Athena counts 2"),
        ({}, {}, {"facilities": 3}, "facilities of 2026-11-01: the expiry filter counts 3"),
    ],
)
def test_any_mismatch_stops_the_run_and_is_named(
    lines: dict[Any, int], rows: dict[str, Any], filtered: dict[str, int], message: str
) -> None:
    with pytest.raises(CheckFailed, match=re.escape(message)):
        check(
            a_plan(),
            {**GOOD_LINES, **lines},
            {**GOOD_ROWS, **rows},
            msgspec.structs.replace(GOOD_FILTER, **filtered),
        )


def test_lines_of_one_upload_in_two_slices_are_compared_slice_by_slice() -> None:
    both = LineCounts(lines=3, slices={"q1": {"valid": 2}, "q2": {"valid": 1}})
    one = loaded(upload("a", day="q1"), both)
    plans = [SlicePlan(slice=name, inputs=[one], batch_uploads=["a-0"]) for name in ("q1", "q2")]
    rows = [
        {"slice": name, "upload_id": "a-0", "outcome": outcome, "lines": count}
        for name, count in (("q1", "2"), ("q2", "1"))
        for outcome in ("valid", "accepted")
    ]
    reconciliation, mismatches = reconcile(plans, rows, [])
    assert mismatches == []
    assert [(one.slice, one.lines.read) for one in reconciliation.slices] == [("q1", 2), ("q2", 1)]
    assert reconciliation.batch.read == 3
    swapped = [{**row, "slice": {"q1": "q2", "q2": "q1"}[row["slice"]]} for row in rows]
    assert len(reconcile(plans, swapped, [])[1]) > 1


def test_each_line_has_one_outcome() -> None:
    with pytest.raises(ValueError, match="3 lines were read, and 2 have an outcome"):
        LineCounts(lines=3, slices={"s": {"valid": 1, "bad": 1}})
    seen = LineCounts(lines=3, slices={"s": {"valid": 1, "bad": 1}, "t": {"bad": 1}})
    assert (seen.valid, seen.rejected, seen.rejected_by_reason) == (1, 2, {"bad": 2})


def test_a_file_uploaded_again_replaces_what_it_said_and_later_ones_win() -> None:
    old, other, new = upload("a", 1), upload("b", 2), upload("a", 3)
    published = _published(old, other)
    result = plan_slice(DAY, published, [loaded(new, counts(5))])
    assert [one.upload.upload_id for one in result.inputs] == ["b-2", "a-3"]
    assert result.batch_uploads == ["a-3"]


def test_an_older_version_of_a_file_never_replaces_a_newer_one() -> None:
    old, new = upload("a", 1), upload("a", 3)
    published = _published(new)
    assert plan_slice(DAY, published, [loaded(old, counts(5))]).inputs == published.inputs


def test_a_pipeline_that_merges_only_what_is_new_forgets_the_earlier_uploads() -> None:
    result = plan_slice(DAY, _published(upload("a", 1)), [loaded(upload("b", 2))], recompute=False)
    assert [one.upload.upload_id for one in result.inputs] == ["b-2"]
    assert result.previous_version == "v1"


def _published(*uploads: Any) -> Any:
    from tests.medlaunch.publish.lakes import manifest

    return manifest(inputs=[loaded(one) for one in uploads])


def test_at_the_same_second_the_greater_key_wins() -> None:
    result = plan_slice(DAY, None, [loaded(upload(name)) for name in ("b", "a", "é", "B")])
    assert [one.upload.rest.rsplit("/", 1)[-1] for one in result.inputs] == ["B", "a", "b", "é"]


def test_nothing_is_published_of_nothing_unless_something_stale_is_out() -> None:
    nothing = LineCounts(lines=0, slices={DAY: {}})
    assert not plan(loaded(upload("a"), nothing)).is_worth_publishing
    assert plan(loaded(upload("a"), counts(0, malformed_json=1))).is_worth_publishing
    after = plan_slice(DAY, _published(upload("b")), [loaded(upload("a"), nothing)])
    assert after.is_worth_publishing


def test_groups_are_even_bounded_and_complete() -> None:
    shares = [Share(upload=upload(f"{n}", size=(n % 7) * 1_000_000)) for n in range(50)]
    groups = group_shares(shares, max_groups=4, group_bytes=1_000_000)
    assert len(groups) == 4
    assert sorted(one.upload.upload_id for group in groups for one in group) == sorted(
        one.upload.upload_id for one in shares
    )
    sizes = [sum(one.size for one in group) for group in groups]
    assert max(sizes) - min(sizes) <= 6_000_000
    assert group_shares([], 4, 1) == []
    assert len(group_shares(shares[:3], 4, 10**9)) == 1


@pytest.mark.parametrize("before", [0, 1, 4, 8])
def test_a_snapshot_may_shrink_by_what_is_configured(before: int) -> None:
    check(a_plan(previous_accepted=before))


@pytest.mark.parametrize(("before", "less"), [(9, "56% less"), (1_000, "100% less")])
def test_more_than_that_stops_the_run_unless_it_is_meant(before: int, less: str) -> None:
    with pytest.raises(CheckFailed, match=f"from {before:,} to 4 \\({less}\\).*expect_shrink"):
        check(a_plan(previous_accepted=before))
    check(a_plan(previous_accepted=before), expect_shrink="true")


def test_a_lake_without_a_shrink_limit_never_stops(monkeypatch: pytest.MonkeyPatch) -> None:
    from medlaunch import settings

    monkeypatch.setenv("MEDLAUNCH_MAX_SHRINK_SHARE", "1")
    settings.settings.cache_clear()
    try:
        check(a_plan(previous_accepted=1_000_000))
    finally:
        monkeypatch.undo()
        settings.settings.cache_clear()


def test_a_declaration_is_plain_data() -> None:
    assert replace(PIPELINE, dag_id="another").tables == PIPELINE.tables
