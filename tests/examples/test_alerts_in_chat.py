"""The recipe of docs/alerts.md: what a failed run and a warning become on their way to Amazon Q."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cfnlint.decode import cfn_yaml
from jsonschema import validate

from tests.factories import DAY, facility, lines
from tests.pipeline import ROOT, Pipeline

TEMPLATE = ROOT / "examples/alerts-in-chat/template.yaml"
TEXT = {"type": "string", "minLength": 1}
#: https://docs.aws.amazon.com/chatbot/latest/adminguide/custom-notifs.html
NOTIFICATION = {
    "type": "object",
    "required": ["version", "source", "content"],
    "additionalProperties": False,
    "properties": {
        "version": {"const": "1.0"},
        "source": {"const": "custom"},
        "id": TEXT,
        "content": {
            "type": "object",
            "required": ["description"],
            "additionalProperties": False,
            "properties": {
                "textType": {"const": "client-markdown"},
                "title": TEXT,
                "description": TEXT,
                "nextSteps": {"type": "array", "items": TEXT},
                "keywords": {"type": "array", "items": TEXT},
            },
        },
        "metadata": {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "threadId": TEXT,
                "summary": TEXT,
                "eventType": TEXT,
                "relatedResources": {"type": "array", "items": TEXT},
                "additionalContext": {"type": "object", "additionalProperties": TEXT},
            },
        },
    },
}


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    return {name: one["Properties"] for name, one in cfn_yaml.load(str(TEMPLATE))["Resources"].items()}


def transformed(template: str, alert: dict[str, Any]) -> dict[str, Any]:
    """As EventBridge Pipes does it: paths between angle brackets, within the quotes of a text.

    https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html
    """

    def value(path: re.Match[str]) -> str:
        found = alert[path[1]]
        assert isinstance(found, str)
        # AWS does not say that it escapes these within a text.
        assert not re.search(r'["\\\x00-\x1f]', found), found
        return found

    message: dict[str, Any] = json.loads(re.sub(r"<\$\.body\.(\w+)>", value, template))
    return message


def test_an_alert_becomes_a_notification_that_amazon_q_shows(
    aws: Any, aws_url: str, resources: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pipeline = Pipeline(aws, aws_url)
    sqs = aws("sqs")
    queue = sqs.create_queue(QueueName=f"chat-{pipeline.database}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    subscription = resources["Subscription"]
    aws("sns").subscribe(
        TopicArn=pipeline.topic,
        Protocol=subscription["Protocol"],
        Endpoint=arn,
        Attributes={"RawMessageDelivery": json.dumps(subscription["RawMessageDelivery"])},
    )

    pipeline.upload(DAY, "a.jsonl", lines(facility(1)))
    pipeline.upload(DAY, "b.jsonl.gz", b"not gzip")
    pipeline.report()
    pipeline.upload(DAY, "c.jsonl", lines(facility(2)))
    aws("athena").delete_work_group(WorkGroup=pipeline.workgroup, RecursiveDeleteOption=True)
    assert pipeline.run().state == "failed"

    received = [
        json.loads(one["Body"])
        for _ in range(2)
        for one in sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
    ]
    assert [one["severity"] for one in received] == ["warning", "error"]
    template = resources["Pipe"]["TargetParameters"]["InputTemplate"]
    for alert in received:
        message = transformed(template, alert)
        validate(message, NOTIFICATION)
        assert message["content"]["title"] == f"[{alert['environment']}] {alert['summary']}"
        assert message["content"]["nextSteps"] == [f"Runbook: {alert['runbook']}"]


def test_every_kind_of_alert_has_what_the_pipe_reads(resources: dict[str, Any]) -> None:
    """The alert of silence too, whose runbook is added where it is sent."""
    read = set(re.findall(r"<\$\.body\.(\w+)>", resources["Pipe"]["TargetParameters"]["InputTemplate"]))
    source = (ROOT / "plugins/medlaunch/operate/freshness.py").read_text(encoding="utf-8")
    assert {one for one in read if f'"{one}":' not in source} == {"runbook"}


def test_the_template_is_valid() -> None:
    lint = Path(sys.executable).with_name("cfn-lint")
    # Warns of the empty ids of channels that are not wanted.
    run = subprocess.run(
        [lint, "--non-zero-exit-code", "error", TEMPLATE], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout
