"""The sensor that waits for uploads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.amazon.aws.sensors.s3 import S3KeySensor

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseTrigger


class AnyS3KeySensor(S3KeySensor):
    """An ``S3KeySensor`` that waits for any key of a list; the provider's waits for all of them.

    It does not wait in a run whose param ``refresh`` is on: that needs no uploads.
    """

    def execute(self, context: Context) -> Any:
        if context["params"].get("refresh"):
            self.log.info("The run computes what is published anew, and does not wait for uploads")
            return None
        return super().execute(context)

    def poke(self, context: Context) -> bool:
        keys = [self.bucket_key] if isinstance(self.bucket_key, str) else self.bucket_key
        return any(self._check_key(key, context=context) for key in keys)

    def defer(self, *, trigger: BaseTrigger, **kwargs: Any) -> NoReturn:
        # With one key the provider's own trigger does.
        if not isinstance(self.bucket_key, str):
            from medlaunch_triggers import AnyS3KeyTrigger

            trigger = AnyS3KeyTrigger(**trigger.serialize()[1])
        super().defer(trigger=trigger, **kwargs)
