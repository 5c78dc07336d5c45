"""The trigger of :class:`medlaunch.aws.sensors.AnyS3KeySensor`.

It imports nothing of the library, and is at the top of the plugins folder: on Amazon MWAA the library travels with the
DAGs, and the triggerer has only the plugins folder on its path.
"""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import Any

from airflow.providers.amazon.aws.hooks.s3 import S3Hook
from airflow.providers.amazon.aws.triggers.s3 import S3KeyTrigger


class _AnyKeyHook(S3Hook):
    async def check_key_async(
        self, client: Any, bucket: str, bucket_keys: str | list[str], *args: Any, **kwargs: Any
    ) -> bool:
        keys = [bucket_keys] if isinstance(bucket_keys, str) else bucket_keys
        check = super().check_key_async
        return any(await asyncio.gather(*(check(client, bucket, key, *args, **kwargs) for key in keys)))


class AnyS3KeyTrigger(S3KeyTrigger):
    """An ``S3KeyTrigger`` that fires for any key of a list; the provider's fires for all of them."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return f"{__name__}.{type(self).__name__}", super().serialize()[1]

    @cached_property
    def hook(self) -> S3Hook:
        return _AnyKeyHook(
            aws_conn_id=self.aws_conn_id,
            region_name=self.region_name,
            verify=self.verify,
            config=self.botocore_config,
        )
