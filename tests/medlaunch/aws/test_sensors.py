from __future__ import annotations

import asyncio
from typing import Any

import pytest

from medlaunch.aws.sensors import AnyS3KeySensor
from medlaunch_triggers import AnyS3KeyTrigger


def sensor(keys: Any) -> AnyS3KeySensor:
    return AnyS3KeySensor(
        task_id="wait", bucket_name="lake", bucket_key=keys, wildcard_match=True, deferrable=True
    )


@pytest.mark.parametrize(
    ("present", "found"), [(set(), False), ({"a"}, True), ({"b"}, True), ({"a", "b"}, True)]
)
def test_any_key_will_do(present: set[str], found: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sensor(["a", "b"])
    monkeypatch.setattr(one, "_check_key", lambda key, context: key in present)
    assert one.poke({}) is found
    trigger = AnyS3KeyTrigger(bucket_name="lake", bucket_key=["a", "b"])

    async def check(client: Any, bucket: str, wildcard: bool, key: str, *rest: Any) -> bool:
        return key in present

    monkeypatch.setattr(trigger.hook, "_check_key_async", check)
    assert asyncio.run(trigger.hook.check_key_async(None, "lake", ["a", "b"], True)) is found


def test_it_defers_to_a_trigger_that_the_triggerer_can_import() -> None:
    """By a module at the top of the plugins folder; with one key to the provider's own."""
    from airflow.sdk.exceptions import TaskDeferred

    for keys, module in (
        (["a", "b"], "medlaunch_triggers"),
        ("a", "airflow.providers.amazon.aws.triggers.s3"),
    ):
        with pytest.raises(TaskDeferred) as deferred:
            sensor(keys)._defer()
        trigger = deferred.value.trigger
        path, arguments = trigger.serialize()
        assert path.rpartition(".")[0] == module
        assert arguments["bucket_key"] == keys
