"""A small lake with the results of one run of the accreditation pipeline, in the local Athena."""

from __future__ import annotations

import csv
import io
import json
import time
import uuid
from functools import partial
from typing import Any

from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.pipelines.facility_accreditation_tasks import states

DAG = "facility_accreditation"
DAYS = ["2026-10-01", "2026-11-01"]
RUN = "manual__1"


def bronze_line(
    number: int, *, day: int = 1, state: str = "MI", valid: list[str | None] | None = None, **other: Any
) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number:05d}",
        "facility_name": f'Facility {number}, "quoted" ünïcode',
        "employee_count": number,
        "location": {"address": "1 Main St", "city": "Ann Arbor", "state": state, "zip": "02134"},
        "services": ["a", "b"],
        "labs": [{"lab_name": "L", "certifications": ["C"]}],
        "accreditations": [
            {"accreditation_body": "Joint Commission", "accreditation_id": f"J{n}", "valid_until": day}
            for n, day in enumerate(valid if valid is not None else ["2026-12-01"])
        ],
        "number_of_offered_services": 2,
        "snapshot_date_differs": False,
        "reject_reason": None,
        "reject_reasons": [],
        "source_key": "landing/facilities/x",
        "upload_id": "old",
        "line_number": number,
        "record_number": number,
        **other,
    }


class Athena:
    """Runs statements like the operator does, in a database of its own."""

    def __init__(self, client: Any, s3: Any, bucket: str):
        self.client, self.s3, self.bucket = client, s3, bucket
        self.database = f"db_{uuid.uuid4().hex[:8]}"

    def render(self, name: str, **values: Any) -> str:
        return statements.render(
            name,
            {
                "s3": partial(lake.s3_uri, self.bucket),
                "database": statements.Identifier(self.database),
                **values,
            },
        )

    def query(self, text: str) -> tuple[list[dict[str, str]], dict[str, Any]]:
        query_id = self.client.start_query_execution(
            QueryString=text,
            QueryExecutionContext={} if text.startswith("CREATE DATABASE") else {"Database": self.database},
            ResultConfiguration={"OutputLocation": f"s3://{self.bucket}/athena-results/"},
        )["QueryExecutionId"]
        while True:
            execution = self.client.get_query_execution(QueryExecutionId=query_id)["QueryExecution"]
            if execution["Status"]["State"] not in ("QUEUED", "RUNNING"):
                break
            time.sleep(0.01)
        assert execution["Status"]["State"] == "SUCCEEDED", execution["Status"].get("StateChangeReason")
        key = execution["ResultConfiguration"]["OutputLocation"].removeprefix(f"s3://{self.bucket}/")
        if not key.endswith(".csv"):
            return [], execution
        body = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read().decode()
        return list(csv.DictReader(io.StringIO(body))), execution

    def run(self, name: str, **values: Any) -> list[dict[str, str]]:
        return self.query(self.render(f"{DAG}/{name}", **values))[0]

    def unload(self, name: str, writes: str, **values: Any) -> None:
        target = lake.s3_uri(self.bucket, f"{lake.staging_prefix(DAG, RUN)}{writes}/")
        self.run(name, run=RUN, slices=DAYS, target=target, **values)

    def select(self, text: str) -> list[dict[str, str]]:
        return self.query(text)[0]

    def put_lines(self, key: str, rows: list[dict[str, Any]]) -> None:
        body = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)


def lake_with_results(aws: Any, s3: Any) -> Athena:
    """A lake in which two uploads of one snapshot and one of another have been loaded and extracted."""
    bucket = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=bucket)
    athena = Athena(aws("athena"), s3, bucket)
    athena.query(athena.render("common/database/database.sql"))
    for name in [*statements.statements("common/tables"), *statements.statements(f"{DAG}/tables")]:
        athena.query(athena.render(name))

    october, november = (f"bronze/facilities/snapshot_date={day}/" for day in DAYS)
    athena.put_lines(
        f"{november}old-00000.jsonl",
        [
            bronze_line(1, valid=["2026-11-20"]),
            bronze_line(1, record_number=1, line_number=2, facility_name="said earlier on that line"),
            bronze_line(
                1,
                valid=["2026-11-19"],
                record_number=2,
                line_number=2,
                facility_name="said later in the file",
            ),
            bronze_line(2, state="OH", valid=[None, "2027-01-01", "2026-12-24"]),
            bronze_line(3, valid=[]),
            bronze_line(4, state="OH", valid=["2026-11-19"]),
            bronze_line(
                9,
                reject_reason="state_invalid",
                reject_reasons=["state_invalid"],
                facility_id=None,
                location=None,
            ),
        ],
    )
    athena.put_lines(
        f"{november}new-00000.jsonl", [bronze_line(4, state="PR", upload_id="new", valid=["2026-11-20"])]
    )
    athena.put_lines(
        f"{november}orphan-00000.jsonl",
        [
            bronze_line(7, upload_id="orphan"),
            bronze_line(
                8, upload_id="orphan", reject_reason="state_invalid", reject_reasons=["state_invalid"]
            ),
        ],
    )
    athena.put_lines(f"{october}oct-00000.jsonl", [bronze_line(5, upload_id="oct")])
    athena.put_lines(
        f"{lake.staging_prefix(DAG, RUN)}uploads/uploads.jsonl",
        [
            {"slice": "2026-11-01", "upload_id": "old", "upload_order": 0},
            {"slice": "2026-11-01", "upload_id": "new", "upload_order": 1},
            {"slice": "2026-10-01", "upload_id": "oct", "upload_order": 0},
        ],
    )
    athena.unload("extract/facilities.sql", "facilities")
    athena.unload("extract/facility_metrics.sql", "facility_metrics")
    athena.unload("extract/facility_rejects.sql", "facility_rejects")
    athena.unload(
        "extract/accredited_facilities_by_state.sql",
        "accredited_facilities_by_state",
        as_of="2026-11-20",
        states=states(),
    )
    athena.unload(
        "extract/expiring_accreditations.sql",
        "expiring_accreditations",
        as_of="2026-11-20",
        window_end="2026-12-24",
    )
    return athena
