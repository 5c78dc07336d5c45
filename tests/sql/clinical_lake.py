"""A lake with the clinical tables on the local Athena: uploads in, measures out, by the product's own statements."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from medlaunch import lake
from medlaunch.athena import statements
from medlaunch.aws.objects import list_objects
from tests.clinical_uploads import load_bytes
from tests.sql.lake import Athena

DAG = "clinical_quality"
SLICES = ["all"]
STAY_CLASSES = ["IMP", "ACUTE", "NONAC"]
KINDS = ("patient", "encounter", "condition")
GOLD = ("gold_stays", "gold_infection_events", "gold_clinical_measures")


class ClinicalLake:
    """Runs the statements as the operator does, in a database and a bucket of its own."""

    def __init__(self, client: Any, s3: Any):
        self.s3 = s3
        self.bucket = f"test-{uuid.uuid4().hex[:12]}"
        s3.create_bucket(Bucket=self.bucket)
        self._athena = Athena(client, s3, self.bucket)
        self.database = self._athena.database
        self.render, self.query = self._athena.render, self._athena.select
        for name in [
            "common/database/database.sql",
            "common/tables/run_uploads.sql",
            *statements.statements(f"{DAG}/tables"),
        ]:
            self.query(self.render(name))
        self._runs = 0
        self.counts: Counter[str] = Counter()

    def run(self, name: str, **values: Any) -> list[dict[str, str]]:
        return self.query(self.render(f"{DAG}/{name}", **values))

    def unload(self, name: str, run: str, **values: Any) -> None:
        prefix = f"{lake.staging_prefix(DAG, run)}{Path(name).stem}/"
        for one in self.s3.list_objects_v2(Bucket=self.bucket, Prefix=prefix).get("Contents", ()):
            self.s3.delete_object(Bucket=self.bucket, Key=one["Key"])
        self.run(name, run=run, target=lake.s3_uri(self.bucket, prefix), **values)

    def merge(self, uploads: list[tuple[str, str, bytes]]) -> str:
        """Load uploads, (uploaded_at, key, content), and merge them into silver; returns the run."""
        run = self.stage(uploads)
        for kind in KINDS:
            self.run(f"merge/silver_{kind}.sql", run=run, slices=SLICES)
        return run

    def stage(self, uploads: list[tuple[str, str, bytes]]) -> str:
        """Load uploads, and stage what is new in them; returns the run."""
        run = self.new_run()
        listed = []
        for number, (uploaded_at, key, content) in enumerate(uploads):
            upload_id = f"{run}-{number}"
            counts, bronze, _ = load_bytes(key, content, upload_id)
            self.counts["lines"] += counts.lines
            self.counts.update(counts.rejected_by_reason)
            folder = key.split("fhir/", 1)[1].split("/", 1)[0]
            if bronze.data:
                self._put(f"bronze/fhir/{folder}/slice=all/run={run}/{upload_id}-00000.jsonl", bronze.data)
            listed.append(
                {
                    "slice": "all",
                    "dataset": f"fhir/{folder}",
                    "upload_id": upload_id,
                    "upload_order": number,
                    "uploaded_at": uploaded_at.replace("T", " ").removesuffix("Z"),
                    "source_key": key,
                }
            )
        body = b"".join(json.dumps(one).encode() + b"\n" for one in listed)
        self._put(f"{lake.staging_prefix(DAG, run)}uploads/uploads.jsonl", body)
        for kind in KINDS:
            self.unload(f"extract/silver_{kind}.sql", run, slices=SLICES)
        return run

    def new_run(self) -> str:
        self._runs += 1
        return f"run{self._runs}"

    def compute(
        self,
        *,
        run: str | None = None,
        stay_classes: list[str] | None = None,
        data_end: str = "",
        zone: str = "",
    ) -> str:
        """Compute the gold tables of a run, into staging; returns the run."""
        run = run or self.new_run()
        dates = {"dates_from": "instant" if zone else "written", "facility_timezone": zone or "UTC"}
        self.unload(
            "extract/gold_stays.sql",
            run,
            stay_classes=",".join(stay_classes or STAY_CLASSES),
            data_end=data_end,
            **dates,
        )
        self.unload("extract/gold_infection_events.sql", run, **dates)
        self.unload("extract/gold_clinical_measures.sql", run)
        return run

    def publish(self, run: str) -> None:
        """Copy the gold tables of a run to the prod prefix, and show them to readers."""
        for table in GOLD:
            self.query(f"ALTER TABLE {table} DROP IF EXISTS PARTITION (slice = 'all')")
            staged = f"{lake.staging_prefix(DAG, run)}{table}/slice=all/"
            published = lake.version_prefix(table, "slice", "all", run)
            for one in list_objects(self.s3, self.bucket, staged):
                self.s3.copy_object(
                    Bucket=self.bucket,
                    Key=published + one.key.removeprefix(staged),
                    CopySource={"Bucket": self.bucket, "Key": one.key},
                )
            location = lake.s3_uri(self.bucket, published)
            self.query(f"ALTER TABLE {table} ADD PARTITION (slice = 'all') LOCATION '{location}'")

    def empty_silver(self) -> None:
        for kind in KINDS:
            self.query(f"DELETE FROM silver_{kind}")

    def _put(self, key: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)
