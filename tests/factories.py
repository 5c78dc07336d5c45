"""Records, uploads, runs and counts that several tests need."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

from medlaunch import lake
from medlaunch.aws.documents import Run
from medlaunch.declaration import BronzeWriter, LineCounts, LineWriter, UploadRef
from medlaunch.ingest.uploads import Batch, LoadedGroup, LoadedUpload, Upload
from medlaunch.pipelines import FACILITY_ACCREDITATION

DAY = "2026-11-01"
OTHER_DAY = "2026-10-01"
PIPELINE = FACILITY_ACCREDITATION
DAG = PIPELINE.dag_id
PARAMS = {
    "as_of": "2026-11-20",
    "expiry_window": "P6M",
    "window_end": "2027-05-20",
    "expect_shrink": "false",
}


def upload(
    name: str, second: int = 0, day: str = DAY, *, size: int = 1, dataset: str = "facilities"
) -> Upload:
    """A version of an upload that came in a second of 2026-11-02."""
    return Upload(
        key=f"landing/{dataset}/{day}/{name}",
        dataset=dataset,
        slice=day,
        size=size,
        etag="e",
        last_modified=datetime(2026, 11, 2, 0, 0, second, tzinfo=UTC),
        upload_id=f"{name}-{second}",
    )


def counts(valid: int, day: str = DAY, **rejected: int) -> LineCounts:
    """Valid and rejected lines of one slice."""
    return LineCounts(
        lines=valid + sum(rejected.values()),
        slices={day: {**({"valid": valid} if valid else {}), **rejected}},
    )


def loaded(one: Upload, seen: LineCounts | None = None) -> LoadedUpload:
    """An upload that was loaded; one valid line unless it is said otherwise."""
    return LoadedUpload(
        upload=one, version_id=None, counts=seen or counts(1, one.slice or "all"), rejects_key=None
    )


def group(*loads: LoadedUpload) -> LoadedGroup:
    return LoadedGroup(loaded=list(loads), skipped=[], left_for_next_run=[])


def batch(run: Run, groups: int = 1) -> Batch:
    return Batch(
        pipeline=run.name,
        run_id=run.run_id,
        run=lake.run_key(run.run_id),
        params=PARAMS,
        claimed_at=datetime.now(UTC),
        uploads=[],
        skipped=[],
        left_for_next_run=0,
        groups=groups,
    )


def load_lines(
    stream: BinaryIO, upload: UploadRef, out: BronzeWriter, rejects: LineWriter, *, reference: Path
) -> LineCounts:
    """A loader that takes every line for valid but those that say bad; the others may name their slice."""
    from medlaunch.formats.content import Unreadable, UnreadableUpload

    slices: dict[str, dict[str, int]] = {upload.slice: {}} if upload.slice else {}
    for line in stream:
        if line.startswith(b"corrupt"):
            raise UnreadableUpload(Unreadable.CORRUPT_ARCHIVE, "for the test")
        slice_ = upload.slice or line.split(b" ")[0].decode().strip()
        seen = slices.setdefault(slice_, {})
        if line.startswith(b"bad"):
            rejects.write(line)
            seen["bad"] = seen.get("bad", 0) + 1
        else:
            out.write(slice_, line)
            seen["valid"] = seen.get("valid", 0) + 1
    return LineCounts(lines=sum(sum(one.values()) for one in slices.values()), slices=slices)


def once(event: str, client: Any, wanted: Callable[[dict[str, Any]], bool], do: Callable[[], object]) -> None:
    """Call ``do`` before the first request of a client whose params are wanted."""

    def handler(params: dict[str, Any], **_: Any) -> None:
        if wanted(params):
            client.meta.events.unregister(event, handler)
            do()

    client.meta.events.register(event, handler)


def facility(number: int, *valid: Any, **other: Any) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number:05d}",
        "facility_name": f"Facility {number}",
        "location": {"address": "1 Main St", "city": "Ann Arbor", "state": "MI", "zip": "48104"},
        "employee_count": 10,
        "services": ["a", "b"],
        "labs": [{"lab_name": "L", "certifications": ["CLIA"]}],
        "accreditations": [
            {
                "accreditation_body": "Joint Commission",
                "accreditation_id": f"J{number}-{n}",
                "valid_until": day,
            }
            for n, day in enumerate(valid or ["2027-01-31"])
        ],
        "snapshot_date": DAY,
        **other,
    }


def lines(*records: Any) -> bytes:
    return b"".join(
        record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode() + b"\n"
        for record in records
    )


#: Every case of the rules for lines in one upload: JSON lines, each element one piece of the file.
NASTY = [
    lines(
        facility(1, facility_id="fac00001"),
        facility(1, facility_id="FAC00001 "),
        facility(2, facility_name="\u00a0\u00a0"),
        facility(3, employee_count="312"),
        facility(4, employee_count=-1),
        facility(5, employee_count=3.5),
        facility(6, employee_count=None),
        facility(7, employee_count=True),
        facility(8, "2026-11-20"),
        facility(9, "2027-05-20"),
        facility(10, "2027-05-21"),
        facility(11, "2026-11-19"),
        facility(12, "2025-02-30", "2027-01-01"),
        facility(13, "2025-11-15T23:59:59-08:00"),
        facility(14, "20261115"),
        facility(15, "2026-12-1"),
        facility(16, 20261201),
        facility(17, accreditations=None),
        facility(18, accreditations=[]),
        facility(19, accreditations={}),
        facility(20, accreditations=[None]),
        facility(21, accreditations="none"),
        facility(22, services=None),
        facility(23, services="all"),
        facility(24, location=None),
        facility(25, location="Ann Arbor, MI"),
        facility(26, location={"address": "x", "city": "y", "state": " mi ", "zip": "48104"}),
        facility(27, location={"state": "Michigan"}),
        facility(28, location={"address": "x", "city": "San Juan", "state": "PR", "zip": 901}),
        facility(29, snapshot_date="2026-10-31"),
        facility(30, facility_name='Say "hi", O\'Neil — Ünïcode\tTab'),
        b'[{"facility_id": "FAC00031"}]\n',
        b"\n   \t \n",
        b'{"facility_id": "FAC00032", "facility_name": "\xff\xfe"}\n',
        b'{"facility_id": "FAC00033"\n',
        b"null\n",
        b"NaN\n",
        facility(34),
        b'{"facility_id": "FAC00035", "facility_na',
    )
]
