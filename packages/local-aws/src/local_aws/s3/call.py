"""One request to S3, as its operations see it."""

from __future__ import annotations

from dataclasses import dataclass

from moto.s3.models import FakeBucket

from local_aws.http import Request


@dataclass(frozen=True)
class Call:
    """A request, with the bucket, the key ('' for the bucket itself) and the query's parameters."""

    request: Request
    bucket: FakeBucket
    key: str
    query: dict[str, str]

    @property
    def headers(self) -> dict[str, str]:
        return self.request.headers
