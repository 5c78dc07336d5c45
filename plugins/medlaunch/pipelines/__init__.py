"""The pipelines of this repository, one module each: plain data, without Airflow or boto3.

To add one: a declaration here, a domain package, its SQL and its DAG file.
"""

from __future__ import annotations

from medlaunch.declaration import Dataset, Pipeline
from medlaunch.pipelines.facility_accreditation import FACILITY_ACCREDITATION

#: All pipelines, by the id of their DAG.
PIPELINES: dict[str, Pipeline] = {one.dag_id: one for one in (FACILITY_ACCREDITATION,)}


def pipeline_of(dataset: str) -> tuple[Pipeline, Dataset]:
    """The pipeline that takes a dataset; KeyError if none does."""
    return next(
        (pipeline, one) for pipeline in PIPELINES.values() for one in pipeline.datasets if one.name == dataset
    )


__all__ = ["FACILITY_ACCREDITATION", "PIPELINES", "pipeline_of"]
