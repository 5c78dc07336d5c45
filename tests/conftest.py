"""What all tests share: dummy AWS credentials, and no way to the real AWS."""

from __future__ import annotations

import os
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from xdist.scheduler import LoadScopeScheduling

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

# Airflow reads these when it is first imported. Each process of the tests has an Airflow of its own.
ROOT = Path(__file__).parents[1]
os.environ |= {
    "AIRFLOW_HOME": tempfile.mkdtemp(prefix="airflow-home-"),
    "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
}

from local_aws import Server  # noqa: E402  # after the environment is clean
from medlaunch.aws.objects import CLIENT_CONFIG  # noqa: E402

pytest_plugins = ["local_aws.fixtures"]

# What takes longest begins first, so that the processes of the tests end together.
_FIRST = ("with_scheduler", "end_to_end/", "laptop/test_commands", "faults/", "security/test_permissions")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(
        key=lambda item: next((n for n, part in enumerate(_FIRST) if part in item.nodeid), len(_FIRST))
    )


class _ByFile(LoadScopeScheduling):
    """The tests of a file go to one process, where they share their fixtures.

    Those with Airflow's own scheduler share one stack, and so a process.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0]
        return "with_scheduler" if "with_scheduler" in file else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _ByFile(config, log)


@pytest.fixture(scope="session")
def aws_url(local_aws_server: Server) -> str:
    """One local AWS for all tests of a process; tests keep apart by their buckets and databases."""
    # The keys that tests are given are no keys of IAM: with these, all is allowed.
    return local_aws_server.url


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
