"""What encrypted buckets and an encrypted catalog need of KMS."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from moto.glue.models import glue_backends
from moto.s3.models import s3_backends

from local_aws.iam.callers import ACCOUNT
from local_aws.iam.policies import Access


def use_key(action: str, key: str, region: str, service: str) -> Access:
    """An action on a key (id or ARN) that a service does for a caller."""
    arn = key if key.startswith("arn:") else f"arn:aws:kms:{region}:{ACCOUNT}:key/{key}"
    return Access(f"kms:{action}", arn, (("kms:ViaService", f"{service}.{region}.amazonaws.com"),))


def _bucket_key(bucket: str) -> str | None:
    """The KMS key that a bucket encrypts with by default; None if with none."""
    found: Any = s3_backends[ACCOUNT]["aws"].buckets.get(bucket)
    rules = (getattr(found, "encryption", None) or {}).get("Rule") or []
    for rule in rules if isinstance(rules, list) else [rules]:
        default = rule.get("ApplyServerSideEncryptionByDefault") or {}
        if default.get("SSEAlgorithm") in ("aws:kms", "aws:kms:dsse"):
            return default.get("KMSMasterKeyID") or None
    return None


def reading(bucket: str, region: str) -> Iterator[Access]:
    if key := _bucket_key(bucket):
        yield use_key("Decrypt", key, region, "s3")


def writing(bucket: str, region: str, *, multipart: bool = False) -> Iterator[Access]:
    if key := _bucket_key(bucket):
        yield use_key("GenerateDataKey", key, region, "s3")
        if multipart:  # S3 reads the parts again to put them together
            yield use_key("Decrypt", key, region, "s3")


def catalog(operation: str, region: str) -> Iterator[Access]:
    """What an encrypted catalog needs: https://docs.aws.amazon.com/glue/latest/dg/encrypt-glue-data-catalog.html"""
    known = glue_backends[ACCOUNT][region].data_catalog_encryption_settings
    # moto keeps them under the CatalogId of the request, which is optional.
    settings: dict[str, Any] = known.get(ACCOUNT) or known.get(None) or {}  # type: ignore[call-overload]
    at_rest = settings.get("EncryptionAtRest") or {}
    if at_rest.get("CatalogEncryptionMode") == "SSE-KMS" and (key := at_rest.get("SseAwsKmsKeyId")):
        yield use_key("Decrypt", key, region, "glue")
        if not operation.startswith("Get"):
            yield use_key("Encrypt", key, region, "glue")
            yield use_key("GenerateDataKey", key, region, "glue")
