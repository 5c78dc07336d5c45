"""pytest fixtures: one local_aws for a test session. Use them with

    pytest_plugins = ["local_aws.fixtures"]

in the top-level conftest.py, or with ``pytest -p local_aws.fixtures``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3.session
import pytest

if TYPE_CHECKING:
    from local_aws.server import Server

REGION = "us-east-1"


@pytest.fixture(scope="session")
def local_aws_server() -> Iterator[Server]:
    """local_aws in this process, empty, on a free port, for the whole session.

    Keys of IAM users and assumed roles may do what their policies allow; any other key may do everything.
    """
    import local_aws

    with local_aws.serve(enforce_iam=True) as server:
        yield server


@pytest.fixture(scope="session")
def local_aws_client(local_aws_server: Server) -> Callable[[str], Any]:
    """Makes boto3 clients of local_aws, by service, whatever the environment says."""
    session: Any = boto3.session.Session(
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106  # SDKs sign; local_aws takes any key
        region_name=REGION,
    )
    return lambda service: session.client(service, endpoint_url=local_aws_server.url)


@pytest.fixture
def local_aws_environment(local_aws_server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """Environment variables that send every SDK in the test to local_aws; gives its URL."""
    for name, value in {
        "AWS_ENDPOINT_URL": local_aws_server.url,
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    return local_aws_server.url
