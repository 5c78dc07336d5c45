"""The pipelines of this repository, as far as the operators' tools need to know them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from airflow.sdk import Asset

from medlaunch import lake
from medlaunch.publish import Result
from medlaunch.settings import settings


@dataclass(frozen=True)
class Pipeline:
    """A pipeline: its DAG, the uploads it takes, and what it publishes of each snapshot."""

    dag_id: str
    dataset: str
    results: Sequence[Result]

    def assets(self) -> dict[str, Asset]:
        """The tables that change when a snapshot is published or rolled back, by their names."""
        return {
            result.table: Asset(
                name=result.table,
                uri=lake.s3_uri(settings().bucket, f"{lake.PROD}/{result.name}/"),
                group="medlaunch",
            )
            for result in self.results
            if result.table
        }


FACILITY_ACCREDITATION = Pipeline(
    dag_id="facility_accreditation",
    dataset="facilities",
    results=[
        Result("facility_metrics", rows_of="facility_metrics", table="facility_metrics"),
        Result("facility_rejects", rows_of="facility_rejects", table="facility_rejects"),
        Result(
            "accredited_facilities_by_state",
            rows_of="accredited_facilities_by_state",
            table="accredited_facilities_by_state",
        ),
        Result("accredited_facilities_by_state_csv", rows_of="accredited_facilities_by_state"),
        Result("expiring_accreditations", rows_of="expiring_accreditations", table="expiring_accreditations"),
        Result("expiring_soon", rows_of="expiring_accreditations"),
        Result("expiring_facilities", rows_of="expiring_facilities", table="expiring_facilities"),
    ],
)

PIPELINES = {one.dag_id: one for one in [FACILITY_ACCREDITATION]}
