"""A lake on a running local_aws, for the benchmarks of the local Athena."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3

BUCKET = "lake"


class Lake:
    """One bucket, and statements in one database, which the first of them may have to create.

    ``poll_seconds``: between two looks at a running query; each takes the processor for some milliseconds.
    """

    def __init__(self, url: str, database: str = "default", poll_seconds: float = 0.1) -> None:
        def client(service: str) -> Any:
            return boto3.client(
                service,  # type: ignore[call-overload]
                endpoint_url=url,
                region_name="us-east-1",
                aws_access_key_id="bench",
                aws_secret_access_key="bench",  # noqa: S106
            )

        self.athena, self.s3 = client("athena"), client("s3")
        self._database, self._poll_seconds = database, poll_seconds
        self.s3.create_bucket(Bucket=BUCKET)

    def run(self, text: str, poll_seconds: float | None = None) -> str:
        """Run a statement to its end; returns its id.

        Raises:
            RuntimeError: with Athena's reason, if it does not succeed.
        """
        started: str = self.athena.start_query_execution(
            QueryString=text,
            QueryExecutionContext={"Database": self._database},
            ResultConfiguration={"OutputLocation": f"s3://{BUCKET}/results/"},
        )["QueryExecutionId"]
        while True:
            status = self.athena.get_query_execution(QueryExecutionId=started)["QueryExecution"]["Status"]
            if status["State"] == "SUCCEEDED":
                return started
            if status["State"] in ("FAILED", "CANCELLED"):
                raise RuntimeError(f"{text}: {status['StateChangeReason']}")
            time.sleep(self._poll_seconds if poll_seconds is None else poll_seconds)

    def download(self, prefix: str, folder: Path) -> list[str]:
        """Copies of the objects below a prefix."""
        paths = []
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix):
            for one in page.get("Contents", ()):
                path = folder / one["Key"].replace("/", "-")
                self.s3.download_file(BUCKET, one["Key"], str(path))
                paths.append(str(path))
        return paths


def timed(work: Callable[[], Any]) -> tuple[float, float, Any]:
    """Seconds by the clock, seconds of this process's processor time, and what ``work`` returned."""
    clock, cpu = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - clock, time.process_time() - cpu, result
