"""What one new upload costs when the lake already holds many earlier ones: it should be flat.

Accreditation, with 1, 10 and 100 earlier snapshots: what the DAG's tasks ask of S3 (keys listed, bytes read) in this
process, and what Athena scans. Staffing, with 1, 4 and 12 earlier quarters, and FHIR, with 1, 10 and 100 earlier exports
of the same people: what loading and the statements cost that compute and merge.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest.mock import patch

os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

import tests.conftest  # noqa: F401  # Airflow's environment, before Airflow is imported
import boto3
from botocore.httpsession import URLLib3Session

import local_aws
from benchmarks.lake import timed
from sample_data.clinical import people
from tests.pipeline import Pipeline
from tests.sql.clinical_lake import ClinicalLake
from tests.staffing_lake import StaffingLake, Upload
from tests.staffing_uploads import PBJ_HEADER, as_csv, pbj_row

RECORDS = 200
EARLIER = (1, 10, 100)
EARLIER_QUARTERS = (1, 4, 12)
FACILITIES = 200
PEOPLE = 200


@contextmanager
def counted() -> Iterator[dict[str, int]]:
    """Counts requests, keys listed and bytes answered, for every AWS client of this process."""
    seen = {"requests": 0, "keys listed": 0, "bytes read": 0}
    send = URLLib3Session.send

    def count(self: Any, request: Any) -> Any:
        answer = send(self, request)
        seen["requests"] += 1
        seen["bytes read"] += int(answer.headers.get("content-length") or 0)
        if "list-type=2" in request.url:
            listed = re.search(rb"<KeyCount>(\d+)</KeyCount>", answer.content)
            seen["keys listed"] += int(listed[1]) if listed else 0
        return answer

    with patch.object(URLLib3Session, "send", count):
        yield seen


def _upload(pipeline: Pipeline, day: date) -> None:
    record = {
        "facility_name": "Facility",
        "location": {"address": "1 Main St", "city": "Ann Arbor", "state": "MI", "zip": "48104"},
        "employee_count": 10,
        "services": ["a"],
        "labs": [],
        "accreditations": [
            {"accreditation_body": "JC", "accreditation_id": "1", "valid_until": "2027-01-01"}
        ],
    }
    body = b"".join(
        json.dumps({"facility_id": f"FAC{n:05d}"} | record).encode() + b"\n" for n in range(RECORDS)
    )
    pipeline.upload(f"{day}", "a.jsonl", body)


def _row(what: str, value: float, base: float, earlier: int, unit: str = "") -> dict[str, Any]:
    digits = 2 if unit else 0
    return {
        "what": what,
        "plain": f"{base:,.{digits}f}{unit} with {earlier}",
        "ours": f"{value:,.{digits}f}{unit}",
        "ratio": value / base if base else 1.0,
        "goal": "flat",
    }


def accreditation() -> list[dict[str, Any]]:
    """Rows of what a run over a new snapshot costs."""
    rows: list[dict[str, Any]] = []
    base: dict[str, int] = {}
    with local_aws.serve(port=0) as server:
        pipeline = Pipeline(lambda service: boto3.client(service, endpoint_url=server.url), server.url)
        day, there = date(2020, 1, 1), 0
        for earlier in EARLIER:
            while there < earlier:
                _upload(pipeline, day := day + timedelta(days=1))
                there += 1
            pipeline.report()
            _upload(pipeline, day := day + timedelta(days=1))
            with counted() as seen:
                report = pipeline.report()
            there += 1
            cost = seen | {"bytes scanned": report["bytes_scanned"]}
            base = base or cost
            rows += [
                _row(f"one upload, {earlier} earlier snapshots: {name}", value, base[name], EARLIER[0])
                for name, value in cost.items()
            ]
    return rows


def _quarter(number: int) -> tuple[str, bytes]:
    """A file of PBJ with a row for each day of a quarter, counted from the first one of 2020."""
    begin = date(2020 + number // 4, 1 + number % 4 * 3, 1)
    days = [begin + timedelta(days=day) for day in range(90)]
    rows = [
        pbj_row(f"{15000 + home:06}", day, 40 + home % 9, "AL", rn=8 + home % 5, cna=60)
        for home in range(FACILITIES)
        for day in days
    ]
    return f"{begin}.csv", as_csv(PBJ_HEADER, rows)


def _exports() -> Iterator[bytes]:
    """Bulk exports of the same people, one after the other, each with newer versions."""
    resources = [one for person in people(7, PEOPLE) for _, one in person.versions]
    for number in range(1000):
        when = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=number)
        meta = {"meta": {"versionId": f"{number + 100}", "lastUpdated": f"{when:%Y-%m-%dT%H:%M:%SZ}"}}
        yield b"".join(json.dumps(one | meta).encode() + b"\n" for one in resources)


def merging(
    what: str, client: Any, earlier: tuple[int, ...], merge: Callable[[int], object]
) -> list[dict[str, Any]]:
    """Rows of what one more upload costs: ``merge`` loads and merges the one of a number."""
    ids: list[str] = []
    client.meta.events.register(
        "after-call.athena.StartQueryExecution", lambda parsed, **_: ids.append(parsed["QueryExecutionId"])
    )
    rows: list[dict[str, Any]] = []
    base: tuple[float, float] | None = None
    for number in range(earlier[-1] + 1):
        ids.clear()
        cpu = timed(lambda number=number: merge(number))[1]  # type: ignore[misc]
        if number in earlier:
            scanned = sum(
                client.get_query_execution(QueryExecutionId=one)["QueryExecution"]["Statistics"][
                    "DataScannedInBytes"
                ]
                for one in ids
            )
            base = base or (cpu, scanned)
            rows += [
                _row(f"{what.format(number)}: processor time", cpu, base[0], earlier[0], " s"),
                _row(f"{what.format(number)}: bytes scanned", scanned, base[1], earlier[0]),
            ]
    return rows


def staffing() -> list[dict[str, Any]]:
    """Rows of a quarter that is merged."""
    with local_aws.serve(port=0) as server:
        athena, s3 = (boto3.client(name, endpoint_url=server.url) for name in ("athena", "s3"))
        there = StaffingLake(athena, s3)
        what = f"a quarter of {FACILITIES * 90:,} rows, {{}} earlier"
        return merging(
            what, athena, EARLIER_QUARTERS, lambda number: there.run(Upload("pbj", *_quarter(number), number))
        )


def clinical() -> list[dict[str, Any]]:
    """Rows of an export that is merged."""
    with local_aws.serve(port=0) as server:
        athena, s3 = (boto3.client(name, endpoint_url=server.url) for name in ("athena", "s3"))
        there, exports = ClinicalLake(athena, s3), _exports()

        def merge(number: int) -> None:
            when = datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=number)
            there.merge(
                [(f"{when:%Y-%m-%dT%H:%M:%SZ}", f"landing/fhir/bundles/{number}.ndjson", next(exports))]
            )

        return merging(f"an export of {PEOPLE} people, {{}} earlier", athena, EARLIER, merge)


def run() -> list[dict[str, Any]]:
    """Rows of the three pipelines."""
    return [*accreditation(), *staffing(), *clinical()]


if __name__ == "__main__":
    for row in globals()[sys.argv[1]]() if sys.argv[1:] else run():
        print(row)
