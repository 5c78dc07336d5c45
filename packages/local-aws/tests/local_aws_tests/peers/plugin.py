"""What a suite needs of pytest to run against local AWS. Loaded in the clients' environment, by `-p peers_plugin`."""

from __future__ import annotations

import os
from typing import Any

import pyarrow.fs

ENDPOINT = os.environ["AWS_ENDPOINT_URL"]


class LocalS3(pyarrow.fs.S3FileSystem):
    """Arrow's own S3 client is the one that does not read AWS_ENDPOINT_URL, and PyAthena cannot tell it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        scheme, _, address = ENDPOINT.partition("://")
        super().__init__(*arguments, **{"endpoint_override": address, "scheme": scheme, **options})


pyarrow.fs.S3FileSystem = LocalS3
