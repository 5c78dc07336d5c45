"""What all tests share: dummy AWS credentials, and no way to the real AWS."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

for name in [
    name for name in os.environ if name.startswith(("AWS_", "MEDLAUNCH_")) and name != "AWS_CA_BUNDLE"
]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nothing listens there: a test names its own server
}

# Airflow reads these when it is first imported.
ROOT = Path(__file__).parents[1]
os.environ.setdefault("AIRFLOW_HOME", tempfile.mkdtemp(prefix="airflow-home-"))
os.environ |= {
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
}

import local_aws  # noqa: E402  # after the environment is clean
from medlaunch.objects import CLIENT_CONFIG  # noqa: E402


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    """One local AWS for all tests of a process; tests keep apart by their buckets and databases."""
    # The keys that tests are given are no keys of IAM: with these, all is allowed.
    with local_aws.serve(port=0, enforce_iam=True) as server:
        yield server.url


@pytest.fixture(scope="session")
def aws(aws_url: str) -> Callable[[str], Any]:
    """Makes a boto3 client of a service of the local AWS."""
    return lambda service: boto3.client(service, endpoint_url=aws_url, config=CLIENT_CONFIG)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def s3(aws: Callable[[str], Any]) -> Any:
    return aws("s3")


@pytest.fixture
def unversioned_bucket(s3: Any) -> str:
    """A new bucket of its own for a test."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def bucket(s3: Any, unversioned_bucket: str) -> str:
    """A new bucket with versioning, as the lake has it."""
    s3.put_bucket_versioning(Bucket=unversioned_bucket, VersioningConfiguration={"Status": "Enabled"})
    return unversioned_bucket
