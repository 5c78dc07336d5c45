"""One run of a DAG: its client, its bucket, and its documents in staging.

Tasks hand each other documents on S3 under fixed names below the run's own prefix, so that XCom stays
small and a retried task finds what its predecessors wrote.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, TypeVar

from medlaunch import lake
from medlaunch.aws.objects import get_json, put_json

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from medlaunch.declaration import Pipeline

T = TypeVar("T")


@dataclass(frozen=True)
class Run:
    """A run of the pipeline or tool ``name`` in the lake ``bucket``."""

    s3: S3Client
    bucket: str
    name: str
    run_id: str
    environment: str

    @cached_property
    def key(self) -> str:
        """The run id as a part of S3 keys."""
        return lake.run_key(self.run_id)

    def path(self, name: str) -> str:
        """The key of something of this run in staging."""
        return f"{lake.staging_prefix(self.name, self.key)}{name}"

    def put(self, name: str, value: object) -> None:
        """Write a document of the run."""
        put_json(self.s3, self.bucket, self.path(name), value)

    def get(self, name: str, kind: type[T]) -> T:
        """Read a document of the run.

        Raises:
            FileNotFoundError: naming the document that is missing.
        """
        return get_json(self.s3, self.bucket, self.path(name), kind)


def current_run(pipeline: Pipeline | None = None) -> Run:
    """The run of a pipeline, or of the tool whose DAG this is, whose task is executing now.

    With the client of the environment's Airflow connection.
    """
    from airflow.sdk import get_current_context

    from medlaunch.aws.clients import s3_client
    from medlaunch.settings import settings

    context, config = get_current_context(), settings()
    return Run(
        s3=s3_client(config.aws_conn_id),
        bucket=config.bucket,
        name=pipeline.name if pipeline else context["dag"].dag_id,
        run_id=context["run_id"],
        environment=config.environment,
    )
