"""The pipelines of this repository, one module each: plain data, without Airflow or boto3.

To add one: a declaration here, a domain package, its SQL and its DAG file.
"""

from __future__ import annotations

from medlaunch.declaration import Dataset, IcebergResult, Pipeline
from medlaunch.pipelines.clinical_quality import CLINICAL_QUALITY
from medlaunch.pipelines.facility_accreditation import FACILITY_ACCREDITATION
from medlaunch.pipelines.nurse_staffing import PBJ, PROVIDER_INFO

#: All pipelines, by their names.
PIPELINES: dict[str, Pipeline] = {
    one.name: one for one in (FACILITY_ACCREDITATION, PBJ, PROVIDER_INFO, CLINICAL_QUALITY)
}


def by_dag() -> dict[str, tuple[Pipeline, ...]]:
    """The pipelines of each DAG, by its id."""
    ids = dict.fromkeys(one.dag_id for one in PIPELINES.values())
    return {dag_id: tuple(one for one in PIPELINES.values() if one.dag_id == dag_id) for dag_id in ids}


def pipeline_of(dataset: str) -> tuple[Pipeline, Dataset]:
    """The pipeline that takes a dataset; KeyError if none does."""
    return next(
        (pipeline, one) for pipeline in PIPELINES.values() for one in pipeline.datasets if one.name == dataset
    )


__all__ = [
    "CLINICAL_QUALITY",
    "FACILITY_ACCREDITATION",
    "PBJ",
    "PIPELINES",
    "PROVIDER_INFO",
    "by_dag",
    "iceberg_tables",
    "pipeline_of",
]


def iceberg_tables() -> list[str]:
    """The Iceberg tables of all pipelines, sorted."""
    results = [result for pipeline in PIPELINES.values() for result in pipeline.results]
    return sorted({one.table for one in results if isinstance(one, IcebergResult)})
