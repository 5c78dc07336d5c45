"""The tasks of facility_accreditation that no other pipeline has: the results that Python writes."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, BinaryIO, cast

from airflow.sdk import task

from medlaunch import lake
from medlaunch.aws.documents import Run, current_run
from medlaunch.settings import settings

if TYPE_CHECKING:
    from medlaunch.declaration import Row
    from medlaunch.publish.plan import SlicePlan

STATE_COUNT_COLUMNS = (
    "state_code",
    "state_name",
    "accredited_facilities",
    "facilities",
    "snapshot_date",
    "as_of",
)


@lru_cache(maxsize=1)
def states() -> list[tuple[str, str]]:
    """The reference list of states: (code, name), 50 states, DC and five territories."""
    from medlaunch.accreditation.states import read_states

    return list(read_states(settings().reference_dir / "states.csv").items())


@task
def filter_expiring() -> None:
    """Find the accreditations that expire within the window, and their facilities, snapshot by snapshot.

    The same code as `python -m medlaunch.accreditation`.
    """
    from medlaunch.ingest.uploads import BATCH, Batch
    from medlaunch.publish.plan import PLANS, SlicePlan

    run = current_run()
    write_expiring(run, run.get(BATCH, Batch).params, run.get(PLANS, list[SlicePlan]))


def write_expiring(run: Run, params: Mapping[str, str], plans: Sequence[SlicePlan]) -> None:
    """Filter the extracted facilities of each snapshot into its two exports, in the run's staging."""
    from medlaunch.accreditation.expiry import filter_expiring
    from medlaunch.aws.objects import ObjectWriter
    from medlaunch.operate import task_metrics
    from medlaunch.pipelines.facility_accreditation import FILTERED, FilterCounts

    counts: dict[str, FilterCounts] = {}
    for plan in plans:
        folder = lake.partition("snapshot_date", plan.slice)
        with (
            ObjectWriter(
                run.s3,
                run.bucket,
                run.path(f"expiring_soon/{folder}expiring_soon.csv"),
                "text/csv; charset=utf-8",
            ) as soon,
            ObjectWriter(
                run.s3, run.bucket, run.path(f"expiring_facilities/{folder}expiring_facilities.ndjson")
            ) as whole,
        ):
            seen = filter_expiring(
                _lines(run, f"facilities/{folder}"),
                as_of=lake.parse_date(params["as_of"]),
                window=params["expiry_window"],
                snapshot_date=lake.parse_date(plan.slice),
                csv_out=cast(BinaryIO, soon),
                ndjson_out=cast(BinaryIO, whole),
            )
        counts[plan.slice] = FilterCounts(
            facilities=seen.facilities_read,
            expiring_accreditations=seen.expiring_accreditations,
            expiring_facilities=seen.expiring_facilities,
        )
    run.put(FILTERED, counts)
    task_metrics.record(
        slices=len(counts),
        facilities=sum(one.facilities for one in counts.values()),
        expiring_accreditations=sum(one.expiring_accreditations for one in counts.values()),
        expiring_facilities=sum(one.expiring_facilities for one in counts.values()),
        keys=[run.path(FILTERED)],
    )


def _lines(run: Run, folder: str) -> Iterator[bytes]:
    from medlaunch.aws.objects import list_objects, open_object
    from medlaunch.formats.content import open_content

    for stored in list_objects(run.s3, run.bucket, run.path(folder)):
        with open_object(run.s3, run.bucket, stored.key, stored.etag) as source:
            yield from open_content(cast(BinaryIO, source))


def export_state_counts(run: Run, plans: Sequence[SlicePlan], rows: Mapping[str, Sequence[Row]]) -> None:
    """Write the counts per state as CSV, one per snapshot: RFC 4180, one header line, in the order of the rows.

    A snapshot without any accepted facility gets a file with its header only, never a stale one.
    """
    for plan in plans:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, STATE_COUNT_COLUMNS)
        writer.writeheader()
        writer.writerows(row for row in rows["state_counts"] if row["snapshot_date"] == plan.slice)
        folder = lake.partition("snapshot_date", plan.slice)
        run.s3.put_object(
            Bucket=run.bucket,
            Key=run.path(f"accredited_facilities_by_state_csv/{folder}accredited_facilities_by_state.csv"),
            Body=text.getvalue().encode(),
            ContentType="text/csv; charset=utf-8",
        )
