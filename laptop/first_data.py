"""A new lake with something in it: ``python -m laptop.first_data``, once, where containers start a stack.

Creates what the pipelines expect of the account that the environment's AWS variables lead to, and uploads
sample files unless anything was uploaded before. Running it again changes nothing.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import boto3

from laptop import account, uploads
from medlaunch.aws.objects import CLIENT_CONFIG
from medlaunch.lake import ARCHIVE, LANDING
from medlaunch.pipelines import FACILITY_ACCREDITATION
from medlaunch.settings import settings
from sample_data import facilities

DATASET = FACILITY_ACCREDITATION.datasets[0]


def main() -> int:
    """Create the account's resources, and upload; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m laptop.first_data", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--records", type=int, default=1_000, help="sample records per snapshot; 0 for none")
    options = parser.parse_args()
    config = settings()
    account.create(_client, config)
    print(f"s3://{config.bucket}: bucket, alerts topic, queues and workgroup are there", flush=True)
    s3 = _client("s3")
    if options.records and not _anything_uploaded(s3, config.bucket):
        with tempfile.TemporaryDirectory() as folder:
            facilities.write_uploads(folder, records=options.records)
            files = uploads.find_files(Path(folder), DATASET)
            for _ in uploads.upload(files, uploads.put_with(s3, config.bucket)):
                pass
        print(f"Uploaded {len(files)} sample files", flush=True)
    return 0


def _client(service: str) -> Any:
    """A client of the account that the environment names."""
    return boto3.client(service, config=CLIENT_CONFIG)  # type: ignore[call-overload]  # any service


def _anything_uploaded(s3: Any, bucket: str) -> bool:
    return any(
        s3.list_objects_v2(Bucket=bucket, Prefix=prefix, MaxKeys=1).get("KeyCount")
        for prefix in (f"{LANDING}/", f"{ARCHIVE}/")
    )


if __name__ == "__main__":
    raise SystemExit(main())
