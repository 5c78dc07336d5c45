"""The sensor that waits for any of several prefixes, with the real triggerer."""

from __future__ import annotations

from tests.end_to_end.conftest import Running

DAG = "sensor_any_key"
SECONDS = 150


def test_one_of_several_prefixes_is_enough(running: Running) -> None:
    airflow, s3 = running.airflow, running.client("s3")
    airflow.pause(DAG, paused=False)
    run_id = airflow.trigger(DAG)
    airflow.wait_for(
        lambda: airflow.task_states(DAG, run_id)["wait"] == "deferred", "the sensor to defer", SECONDS
    )
    s3.put_object(Bucket=running.bucket, Key="sensor-cases/elsewhere", Body=b"x")
    s3.put_object(Bucket=running.bucket, Key="sensor-cases/b/file", Body=b"x")
    assert airflow.wait_for_run(DAG, run_id, SECONDS) == "success"
    s3.delete_object(Bucket=running.bucket, Key="sensor-cases/b/file")
