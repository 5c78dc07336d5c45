"""AWS clients of Airflow connections, with the retries, timeouts and pool of this repository."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from botocore.config import Config

from medlaunch.aws.objects import CLIENT_OPTIONS
from medlaunch.settings import settings

if TYPE_CHECKING:
    from mypy_boto3_athena import AthenaClient
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client


def client_options() -> dict[str, Any]:
    """The retries, timeouts and pool, as arguments of botocore's ``Config``."""
    return CLIENT_OPTIONS | {"read_timeout": settings().aws_read_timeout_seconds}


def client_config() -> Config:
    """:func:`client_options` as hooks want them."""
    return Config(**client_options())


# Made once in a process: reading a service's description takes longer than most requests.


@lru_cache(maxsize=4)
def s3_client(conn_id: str | None) -> S3Client:
    """The S3 client of an Airflow connection."""
    return _client("s3", conn_id)


@lru_cache(maxsize=4)
def glue_client(conn_id: str | None) -> GlueClient:
    """The Glue client of an Airflow connection."""
    return _client("glue", conn_id)


@lru_cache(maxsize=4)
def athena_client(conn_id: str | None) -> AthenaClient:
    """The Athena client of an Airflow connection."""
    return _client("athena", conn_id)


def _client(service: str, conn_id: str | None) -> Any:
    from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

    return AwsBaseHook(aws_conn_id=conn_id, client_type=service, config=client_config()).get_conn()
