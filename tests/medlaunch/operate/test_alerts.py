"""What an alert says, and that it fits into an SNS message whatever happened."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from laptop.airflow_stack import prepare
from laptop.aws import bootstrap, read_alerts
from laptop.stack import Stack
from medlaunch.operate import alerts


class Ti:
    """As much of a task instance as the callback needs."""

    task_id, map_index, try_number, log_url = "load", 3, 2, "http://localhost/log"

    def __init__(self) -> None:
        self.pushed: dict[str, Any] = {}

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


def remembered(error: BaseException | None) -> dict[str, Any]:
    ti = Ti()
    context: dict[str, Any] = {"ti": ti} | ({} if error is None else {"exception": error})
    alerts.store_error(context)  # type: ignore[arg-type]
    return ti.pushed


def test_the_error_of_a_task_is_remembered() -> None:
    assert remembered(AirflowFailException("s3://lake/landing/x is gone")) == {
        "error": {
            "task": "load",
            "map_index": 3,
            "try": 2,
            "what": "raised",
            "error": {"type": "AirflowFailException", "text": "s3://lake/landing/x is gone"},
            "log_url": "http://localhost/log",
        }
    }
    assert remembered(AirflowTaskTimeout("Timeout"))["error"]["what"] == "timed_out"


def test_without_an_error_nothing_is_pushed() -> None:
    # In the dag processor, which hangs when something is pushed.
    assert remembered(None) == {}


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (ValueError("invalid literal for int() with base 10: 'Jane Doe'"), "invalid literal for int() with base 10: '…'"),
        (KeyError("Jane"), "'…'"),
        (RuntimeError('no "x" and no `y`, it can\'t'), "no '…' and no '…', it can't"),
        (ValueError("[type=int, input_value=Jane, input_type=str]"), "[type=int, input_value='…' input_type=str]"),
        (AirflowException("HIVE_BAD_DATA: Error parsing field value 'Jane' for field 3"), "HIVE_BAD_DATA: Error parsing field value '…' for field 3"),
        (AirflowException("s3://b/'quoted key' changed"), "s3://b/'quoted key' changed"),
        (RuntimeError(""), "(no text)"),
    ],
)  # fmt: skip
def test_values_of_records_stay_out(error: BaseException, text: str) -> None:
    assert alerts.describe(error) == text


def test_errors_of_aws_are_whole() -> None:
    error = ClientError({"Error": {"Code": "AccessDenied", "Message": "not 'authorized'"}}, "GetObject")
    assert alerts.describe(error).endswith("not 'authorized'")


@given(st.text(max_size=5000))
def test_texts_are_bounded(text: str) -> None:
    assert 0 < len(alerts.describe(AirflowException(text))) <= 2000


def test_failed_tasks_are_told_from_others() -> None:
    states = {
        "claim": "success",
        "load_0": "failed",
        "load_1": "success",
        "load_12": "failed",
        "step_2": "failed",
        "group.extract": "failed",
        "publish": "upstream_failed",
        "skipped": "skipped",
        "waiting": None,
        "alert": "failed",
    }
    tasks = ["claim", "load", "step", "step_2", "group.extract", "publish", "skipped", "waiting", "alert"]
    assert alerts.failed_instances(states, tasks) == [
        ("group.extract", -1),
        ("load", 0),
        ("load", 12),
        ("step_2", -1),
    ]


def message(text: str, keys: list[str]) -> dict[str, Any]:
    failure = {"task": "t", "map_index": -1, "try": 1, "what": "raised", "log_url": "http://x"}
    return {
        "summary": "p failed",
        "pipeline": "p",
        "environment": "test",
        "severity": "error",
        "failed_tasks": [failure | {"error": {"type": "X", "text": text}} for _ in range(20)],
        "uploads": {"bucket": "b", "count": len(keys), "keys": keys},
    }


@pytest.mark.parametrize("letter", ["x", '"', "\\", "é", "☂", "\U0001f3e5", "\x00"])
def test_a_message_fits_whatever_it_holds(letter: str) -> None:
    keys = [f"{letter * (1000 // len(letter.encode()))}{number}" for number in range(20)]
    text = alerts.fit(message(letter * 2000, keys))
    # As the hook sends it, and as SNS delivers it.
    assert len(json.dumps({"default": text}).encode()) < 256 * 1024
    assert len(text.encode()) < 256 * 1024
    whole = json.loads(text)
    assert whole["uploads"]["count"] == 20
    assert len(whole["failed_tasks"]) == 20
    assert all(one["error"]["text"].startswith(letter) for one in whole["failed_tasks"])


def test_a_message_that_fits_is_left_alone() -> None:
    original = message("é" * 500, ["k"] * 20)
    assert json.loads(alerts.fit(json.loads(json.dumps(original)))) == original


@given(st.text(max_size=300))
def test_subjects_are_what_sns_takes(text: str) -> None:
    subject = alerts.subject({"environment": "prod", "summary": text})
    assert subject.startswith("[prod]")
    assert len(subject) <= 100
    assert subject.isascii()
    assert subject.isprintable()


FAILING_DAG = """
    from datetime import timedelta

    from airflow.sdk import DAG, task

    from medlaunch.operate import alerts

    with DAG(
        "fails",
        schedule=None,
        default_args={"on_failure_callback": alerts.store_error},
        on_failure_callback=alerts.alert_fallback,
    ) as dag:

        @task
        def part(number: int) -> None:
            if number:
                raise ConnectionError(f"part {number} is lost")

        part.expand(number=[0, 1, 2]) >> alerts.alert()

    if __name__ == "__main__":
        print("state:", dag.test().state)
"""


def test_one_alert_in_dag_test_too(aws_url: str, tmp_path: Path) -> None:
    """``dag.test()`` runs everything in one process, the callback of the DAG included."""
    dags = tmp_path / "dags"
    dags.mkdir()
    file = dags / "fails.py"
    file.write_text(textwrap.dedent(FAILING_DAG))
    topic = f"arn:aws:sns:us-east-1:123456789012:alerts-{tmp_path.name}"
    stack = Stack(
        home=tmp_path / "home",
        aws_port=int(aws_url.rsplit(":", 1)[1]),
        dags_folder=dags,
        overrides={
            "MEDLAUNCH_ALERTS_TOPIC_ARN": topic,
            "MEDLAUNCH_BUCKET": f"alerts-{tmp_path.name}".replace("_", "-"),
        },
    )
    bootstrap(stack)
    prepare(stack)
    read_alerts(stack, delete=True)
    run = subprocess.run(
        [sys.executable, str(file)], env=stack.environment(), capture_output=True, text=True, check=False
    )
    assert "state: failed" in run.stdout, run.stdout[-3000:] + run.stderr[-3000:]
    (envelope,) = read_alerts(stack, delete=True)
    told = json.loads(envelope["Message"])
    assert [(one["task"], one["map_index"]) for one in told["failed_tasks"]] == [("part", 1), ("part", 2)]
    assert told["sent_by"] == "task"


def test_nobody_is_told_of_successes_unless_a_topic_is_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert alerts.on_success() is None
    config = alerts.settings().model_copy(
        update={"success_topic_arn": "arn:aws:sns:eu-west-1:123456789012:good"}
    )
    monkeypatch.setattr(alerts, "settings", lambda: config)
    assert alerts.on_success() is alerts.notify_success


@pytest.mark.parametrize(("report", "told"), [(None, 0), ({"outcome": "nothing_to_publish", "key": "k"}, 0),
                                              ({"outcome": "published", "key": "reports/x.json"}, 1)])  # fmt: skip
def test_a_success_is_told_if_something_was_published(
    monkeypatch: pytest.MonkeyPatch, report: dict[str, str] | None, told: int
) -> None:
    said = "Published 2026-11-01 (3 facilities). 3 lines in 1 file."
    monkeypatch.setattr(alerts, "_pull", lambda *key: {"report": report, "return_value": said}[key[-1]])
    sent: list[dict[str, Any]] = []
    monkeypatch.setattr(alerts, "publish", lambda message, *_: sent.append(message))
    dag = type("Dag", (), {"dag_id": "facility_accreditation", "task_ids": ["write_report", "alert"]})
    alerts.notify_success({"dag": dag, "run_id": "r"})  # type: ignore[typeddict-item]
    assert len(sent) == told
    for message in sent:
        assert message["summary"] == "facility_accreditation: Published 2026-11-01 (3 facilities)"
        assert (message["text"], message["reports"]) == (said, ["s3://medlaunch-local/reports/x.json"])


def test_the_plugin_and_the_alert_mean_the_same_variable() -> None:
    import medlaunch_plugin

    assert medlaunch_plugin.PAUSES_VARIABLE == alerts.PAUSES_VARIABLE
