"""A sensor that waits for any of several prefixes."""

from __future__ import annotations

from airflow.sdk import DAG

from medlaunch.aws.clients import client_options
from medlaunch.aws.sensors import AnyS3KeySensor
from medlaunch.operate import schedules
from medlaunch.settings import settings

with DAG("sensor_any_key", schedule=None, catchup=False, default_args=schedules.task_defaults()):
    AnyS3KeySensor(
        task_id="wait",
        bucket_name=settings().bucket,
        bucket_key=["sensor-cases/a/*", "sensor-cases/b/*"],
        wildcard_match=True,
        deferrable=True,
        poke_interval=1,
        timeout=600,
        botocore_config=client_options(),
    )
