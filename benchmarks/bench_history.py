"""What one new upload costs when the lake already holds 1, 10 and 100 earlier snapshots: it should be flat.

Counts what the DAG's tasks ask of S3 (keys listed, bytes read) in this process, and what Athena scans.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from typing import Any
from unittest.mock import patch

os.environ["AIRFLOW__LOGGING__LOGGING_LEVEL"] = "ERROR"

import tests.conftest  # noqa: F401  # Airflow's environment, before Airflow is imported
import boto3
from botocore.httpsession import URLLib3Session

import local_aws
from tests.pipeline import Pipeline

RECORDS = 200
EARLIER = (1, 10, 100)


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


def run() -> list[dict[str, Any]]:
    """Rows of what the new upload cost, with each number of earlier snapshots."""
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
                {
                    "what": f"one upload, {earlier} earlier snapshots: {name}",
                    "plain": f"{base[name]:,} with {EARLIER[0]}",
                    "ours": f"{value:,}",
                    "ratio": value / base[name] if base[name] else 1.0,
                    "goal": "flat",
                }
                for name, value in cost.items()
            ]
    return rows


if __name__ == "__main__":
    for row in run():
        print(row)
