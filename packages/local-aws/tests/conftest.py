"""Fixtures of local_aws' own tests: the session's server, its clients, queries, processes; and no way to the real AWS."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import local_aws
from local_aws import Server
from local_aws_tests.harness import Athena, Process, make_client

for _name in [name for name in os.environ if name.startswith("AWS_") and name != "AWS_CA_BUNDLE"]:
    del os.environ[_name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nothing listens there: a test names its own server
}

# Where processes find the package that is tested here: its source, or the installed one.
IMPORTED_FROM = str(Path(local_aws.__file__).parents[1])

pytest_plugins = ["local_aws.fixtures"]

# `make test-clients` runs these, in an environment of their own.
collect_ignore = ["clients"]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "supports(area, feature): a line of README.md's table, proven by the test"
    )


@pytest.fixture(scope="session")
def aws_url(local_aws_server: Server) -> str:
    """One server for all tests of a process; tests keep apart by their buckets and databases."""
    return local_aws_server.url


@pytest.fixture(scope="session")
def client(aws_url: str) -> Callable[[str], Any]:
    """boto3 clients of the session's server, one a service."""
    made: dict[str, Any] = {}

    def get(service: str) -> Any:
        if service not in made:
            made[service] = make_client(aws_url, service)
        return made[service]

    return get


@pytest.fixture
def lake(client: Callable[[str], Any]) -> str:
    """A new, empty bucket."""
    name = f"lake-{uuid.uuid4().hex[:12]}"
    client("s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def athena(client: Callable[[str], Any], lake: str) -> Athena:
    """Queries in a new database."""
    database = f"db_{uuid.uuid4().hex[:10]}"
    client("glue").create_database(DatabaseInput={"Name": database})
    return Athena(client("athena"), lake, database)


@pytest.fixture
def put(client: Callable[[str], Any], lake: str) -> Callable[..., None]:
    """Puts an object into the lake: text, bytes, or a list of JSON records."""

    def go(key: str, body: Any) -> None:
        if isinstance(body, list):
            body = "".join(json.dumps(record) + "\n" for record in body)
        client("s3").put_object(Bucket=lake, Key=key, Body=body)

    return go


@pytest.fixture
def start() -> Iterator[Callable[..., Process]]:
    """Starts servers of their own; what still runs at the end is killed."""
    running: list[subprocess.Popen[str]] = []

    def go(*arguments: str, **environment: str) -> Process:
        process = subprocess.Popen(
            [sys.executable, "-m", "local_aws", "--port", "0", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": IMPORTED_FROM, **environment},
        )
        running.append(process)
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        if not url:
            assert process.stderr is not None
            raise RuntimeError(f"exit {process.wait(10)}: {process.stderr.read()}")
        return Process(process, url)

    yield go
    for process in running:
        process.kill()
        process.wait(10)
        for stream in (process.stdout, process.stderr):
            if stream is not None:
                stream.close()
