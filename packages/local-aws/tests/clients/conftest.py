"""Clients as they are published, in an environment of their own, against a server that runs in the project's.

``make test-clients`` runs these tests. They are no part of ``make test``: their environment has neither Airflow nor
local_aws, and other versions of what both need.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from local_aws_tests.harness import Athena, make_client


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "supports(area, feature): a line of README.md's table, proven by the test"
    )


@pytest.fixture(scope="session")
def aws_url() -> Iterator[str]:
    """A server in the project's environment, and the variables that send every client there."""
    # That of an environment in which the server runs: this one has the clients' versions.
    python = os.environ["LOCAL_AWS_PYTHON"]
    with subprocess.Popen(
        [python, "-m", "local_aws", "--port", "0", "--log-level", "WARNING"],
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None
            url = server.stdout.readline().strip()
            assert url, f"{python} -m local_aws ended with status {server.wait(10)}"
            yield url
        finally:
            server.terminate()


@pytest.fixture(scope="session", autouse=True)
def _environment(aws_url: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name in [n for n in os.environ if n.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in {
            "AWS_ENDPOINT_URL": aws_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }.items():
            patch.setenv(name, value)
        yield


@pytest.fixture
def lake(aws_url: str) -> str:
    """A new, empty bucket."""
    name = f"lake-{uuid.uuid4().hex[:12]}"
    make_client(aws_url, "s3").create_bucket(Bucket=name)
    return name


@pytest.fixture
def database(aws_url: str) -> str:
    """A new, empty database."""
    name = f"db_{uuid.uuid4().hex[:10]}"
    make_client(aws_url, "glue").create_database(DatabaseInput={"Name": name})
    return name


@pytest.fixture
def athena(aws_url: str, lake: str, database: str) -> Athena:
    """Queries in the new database, through boto3."""
    return Athena(make_client(aws_url, "athena"), lake, database)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs a command of this environment to its end. `fails`: whether it should."""

    def go(
        command: str, *arguments: str, fails: bool = False, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(Path(sys.executable).with_name(command)), *arguments],
            cwd=tmp_path,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert (done.returncode != 0) == fails, done.stdout + done.stderr
        return done

    return go
