"""What all tests share: dummy AWS credentials, and no way to the real AWS."""

from __future__ import annotations

import os

for name in [name for name in os.environ if name.startswith(("AWS_", "MEDLAUNCH_")) and name != "AWS_CA_BUNDLE"]:
    del os.environ[name]
os.environ |= {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:9",  # nothing listens there: a test names its own server
}
