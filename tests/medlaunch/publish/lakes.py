"""A lake in which runs publish uploads of a small pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from medlaunch.athena.queries import Queries
from medlaunch.aws.documents import Run
from medlaunch.aws.objects import get_json, list_objects
from medlaunch.declaration import Lines, PartitionedResult
from medlaunch.ingest.uploads import Upload
from medlaunch.publish import partitions, plan, publish, rollback
from medlaunch.publish.manifests import Action, Manifest, Publication, read_manifest
from medlaunch.publish.plan import SlicePlan
from medlaunch.publish.reconcile import Reconciliation, SliceReconciliation
from tests.factories import DAG, DAY, PARAMS, PIPELINE, batch, group, loaded

RESULTS = (
    PartitionedResult(name="facility_metrics", table="facility_metrics"),
    PartitionedResult(name="expiring_accreditations", table="expiring_accreditations"),
    PartitionedResult(name="expiring_soon", table=None, rows_of="expiring_accreditations"),
    PartitionedResult(name="counts_csv", table=None, rows_of="facility_metrics"),
)
SMALL = replace(PIPELINE, results=RESULTS)
ROWS = {"facility_metrics": 3, "expiring_accreditations": 2}
FILES = {
    "facility_metrics/20261120_abc": b"parquet 1",
    "facility_metrics/20261120_def": b"parquet 2",
    "facility_metrics/_SUCCESS": b"",
    "expiring_soon/expiring_soon.csv": b"a,b\r\n",
    "counts_csv/accredited_facilities_by_state.csv": b"c\r\n",
}


def manifest(**values: Any) -> Manifest:
    """A manifest of a version v1 of the day."""
    return Manifest(
        **{
            "pipeline": DAG,
            "environment": "test",
            "slice": DAY,
            "version": "v1",
            "previous_version": None,
            "run_id": "r",
            "run": "r",
            "params": PARAMS,
            "published_at": datetime(2026, 11, 3, tzinfo=UTC),
            "lines": Lines(),
            "measures": {},
            "results": {},
            "inputs": [],
            "publication": "v1",
            "action": Action.PUBLISH,
            "published_by": "r",
            **values,
        }
    )


class Lake:
    """A lake in which runs publish uploads."""

    def __init__(self, s3: Any, glue: Any, bucket: str, database: str):
        self.s3, self.glue, self.bucket, self.database = s3, glue, bucket, database

    def run(self, run_id: str) -> Run:
        return Run(s3=self.s3, bucket=self.bucket, name=DAG, run_id=run_id, environment="test")

    @property
    def target(self) -> publish.Target:
        return publish.Target(pipeline=SMALL, glue=self.glue, queries=self.queries, database=self.database)

    @property
    def queries(self) -> Queries:
        def connect() -> Any:
            raise AssertionError("no Iceberg result, no query")

        return Queries(
            connect, self.s3, database=self.database, workgroup="x", poll_seconds=0.01, timeout_seconds=1
        )

    def stage(self, run: Run, files: dict[str, bytes], days: Sequence[str] = (DAY,)) -> None:
        for day in days:
            for name, body in files.items():
                result, file = name.split("/")
                key = run.path(f"{result}/snapshot_date={day}/{file}")
                self.s3.put_object(Bucket=self.bucket, Key=key, Body=body)

    def plan(self, run_id: str, *uploads: Upload) -> list[SlicePlan]:
        return plan.plan(self.run(run_id), SMALL, [group(*(loaded(one) for one in uploads))])

    def publish_plans(self, run_id: str, plans: Sequence[SlicePlan]) -> list[Manifest]:
        run = self.run(run_id)
        slices = [
            SliceReconciliation(
                slice=one.slice,
                lines=Lines(read=len(one.inputs), accepted=len(one.inputs)),
                measures={},
                rows=ROWS,
                previous_accepted=one.previous_accepted,
            )
            for one in plans
        ]
        return publish.publish(
            run,
            self.target,
            batch=batch(run),
            plans=plans,
            reconciliation=Reconciliation(batch=Lines(), slices=slices),
        )

    def publish(self, run: Run, days: Sequence[str] = (DAY,)) -> list[Manifest]:
        """Publish what is staged, made of no upload at all."""
        plans = []
        for day in days:
            published = read_manifest(self.s3, self.bucket, DAG, day)
            plans.append(
                SlicePlan(
                    slice=day,
                    inputs=[],
                    batch_uploads=[],
                    previous_version=published.version if published else None,
                    previous_publication=published.publication if published else None,
                )
            )
        return self.publish_plans(run.run_id, plans)

    def process(self, run_id: str, *uploads: Upload) -> list[Manifest]:
        """Stage and publish what uploads say."""
        plans = self.plan(run_id, *uploads)
        return self.stage_and_publish(run_id, plans)

    def stage_and_publish(self, run_id: str, plans: Sequence[SlicePlan]) -> list[Manifest]:
        for one in plans:
            content = "+".join(source.upload.upload_id for source in one.inputs).encode()
            self.stage(self.run(run_id), dict.fromkeys(FILES, content), (one.slice,))
        return self.publish_plans(run_id, plans)

    def plan_rollback(
        self, run_id: str, reason: str = "was bad", to: str | None = None
    ) -> rollback.RollbackPlan:
        return rollback.plan_slice(self.run(run_id), SMALL, self.queries, DAY, reason, to)

    def roll_back(self, run_id: str, planned: rollback.RollbackPlan) -> list[Manifest]:
        return rollback.carry_out(self.run(run_id), self.target, planned)

    def current(self, day: str = DAY) -> Manifest:
        found = read_manifest(self.s3, self.bucket, DAG, day)
        assert found is not None
        return found

    def location(self, table: str, day: str = DAY) -> str:
        partition = self.glue.get_partition(
            DatabaseName=self.database, TableName=table, PartitionValues=[day]
        )
        location: str = partition["Partition"]["StorageDescriptor"]["Location"]
        return location

    def keys(self, prefix: str) -> list[str]:
        return [one.key for one in list_objects(self.s3, self.bucket, prefix)]

    def superseded(self, prefix: str = "prod/") -> set[str]:
        """The files that the lifecycle rule removes."""
        return {
            key
            for key in self.keys(prefix)
            if partitions.SUPERSEDED_TAG in self.s3.get_object_tagging(Bucket=self.bucket, Key=key)["TagSet"]
        }

    def records(self) -> list[Publication]:
        return sorted(
            (get_json(self.s3, self.bucket, key, Publication) for key in self.keys("publications/")),
            key=lambda one: (one.action, one.version),
        )
