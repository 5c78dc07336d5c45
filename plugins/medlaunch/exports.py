"""The results that Python writes: what expires soon, and the CSV export of the counts per state."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import BinaryIO, cast

from medlaunch import steps
from medlaunch.accreditation import filter_expiring, read_states
from medlaunch.checks import FilterCounts, SnapshotPlan
from medlaunch.formats.content import open_content
from medlaunch.landing import Batch
from medlaunch.objects import ObjectWriter, list_objects, open_object
from medlaunch.publish import PLANS
from medlaunch.runs import Run
from medlaunch.settings import settings

STATE_COUNT_COLUMNS = (
    "state_code",
    "state_name",
    "accredited_facilities",
    "facilities",
    "snapshot_date",
    "as_of",
)
FILTERED = "filtered.json"


@lru_cache(maxsize=1)
def states() -> list[tuple[str, str]]:
    """The reference list of states: (code, name), 50 states, DC and five territories."""
    return list(read_states(settings().include_dir / "reference" / "states.csv").items())


def write_expiring(run: Run, batch: Batch) -> None:
    """Filter the extracted facilities of each snapshot into its two exports, in the run's staging."""
    counts = {}
    for plan in run.get(PLANS, list[SnapshotPlan]):
        folder = f"snapshot_date={plan.snapshot}"
        with (
            ObjectWriter(
                run.s3,
                run.bucket,
                run.path(f"expiring_soon/{folder}/expiring_soon.csv"),
                "text/csv; charset=utf-8",
            ) as soon,
            ObjectWriter(
                run.s3, run.bucket, run.path(f"expiring_facilities/{folder}/expiring_facilities.ndjson")
            ) as whole,
        ):
            seen = filter_expiring(
                _lines(run, f"facilities/{folder}/"),
                as_of=batch.as_of,
                window=batch.expiry_window,
                snapshot_date=plan.snapshot,
                csv_out=cast(BinaryIO, soon),
                ndjson_out=cast(BinaryIO, whole),
            )
        counts[plan.snapshot] = FilterCounts(
            facilities=seen.facilities_read,
            expiring_accreditations=seen.expiring_accreditations,
            expiring_facilities=seen.expiring_facilities,
        )
    run.put(FILTERED, counts)
    steps.note(
        snapshots=len(counts),
        facilities=sum(one.facilities for one in counts.values()),
        expiring_accreditations=sum(one.expiring_accreditations for one in counts.values()),
        expiring_facilities=sum(one.expiring_facilities for one in counts.values()),
        keys=[run.path(FILTERED)],
    )


def read_filter_counts(run: Run) -> dict[date, FilterCounts]:
    return run.get(FILTERED, dict[date, FilterCounts])


def _lines(run: Run, folder: str) -> Iterator[bytes]:
    for stored in list_objects(run.s3, run.bucket, run.path(folder)):
        with open_object(run.s3, run.bucket, stored.key, stored.etag) as source:
            yield from open_content(cast(BinaryIO, source))


def write_state_counts(run: Run, rows: Iterable[Mapping[str, str]]) -> None:
    """Write one CSV a snapshot: RFC 4180, one header line, in the order of ``rows``.

    A snapshot without any accepted facility gets a file with its header only, never a stale one.
    """
    by_snapshot = {
        snapshot: list(group) for snapshot, group in groupby(rows, key=itemgetter("snapshot_date"))
    }
    for plan in run.get(PLANS, list[SnapshotPlan]):
        snapshot = f"{plan.snapshot}"
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, STATE_COUNT_COLUMNS)
        writer.writeheader()
        writer.writerows(by_snapshot.get(snapshot, []))
        run.s3.put_object(
            Bucket=run.bucket,
            Key=run.path(
                f"accredited_facilities_by_state_csv/snapshot_date={snapshot}/accredited_facilities_by_state.csv"
            ),
            Body=text.getvalue().encode(),
            ContentType="text/csv; charset=utf-8",
        )
