"""The stacks of lake and access, deployed by local AWS's CloudFormation, and the pipeline run in them as the new role.

moto's CloudFormation ignores some types of resources and some properties of buckets; the test creates them through the
APIs, from the template. ``LEFT_OUT`` lists them; a test compares it with what is missing, and infra/README.md repeats it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote_plus

import httpx
import pytest

from deploy import environment as deployment
from medlaunch import permissions
from sample_data import facilities
from tests.infra.templates import ACCOUNT, REGION, of_type, template, text
from tests.pipeline import DAG_ID, ROOT, Pipeline

pytestmark = pytest.mark.slow

STACKS = ("lake", "access")
#: Types of resources that moto's CloudFormation does not make.
LEFT_OUT = {
    "AWS::Athena::WorkGroup",
    "AWS::Budgets::Budget",
    "AWS::CloudWatch::Alarm",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::Subscription",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}


class DeployedPipeline(Pipeline):
    """The pipeline in a lake that CloudFormation made, as the role that it made."""

    def __init__(self, aws: Any, url: str, outputs: dict[str, str]):
        self.url, self.aws, self.dags = url, aws, ROOT / "dags"
        self.s3, self.athena = aws("s3"), aws("athena")
        self.settings = deployment.settings_of("dev", outputs)
        self.bucket = self.settings["MEDLAUNCH_BUCKET"]
        self.database = self.settings["MEDLAUNCH_DATABASE"]
        self.workgroup = self.settings["MEDLAUNCH_WORKGROUP"]
        self.topic = self.settings["MEDLAUNCH_ALERTS_TOPIC_ARN"]
        given = aws("sts").assume_role(RoleArn=outputs["WorkerRoleArn"], RoleSessionName="worker")
        self.keys_of_role = {
            "AWS_ACCESS_KEY_ID": given["Credentials"]["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": given["Credentials"]["SecretAccessKey"],
            "AWS_SESSION_TOKEN": given["Credentials"]["SessionToken"],
        }

    @contextmanager
    def environment(self) -> Iterator[None]:
        values = {**self.settings, **self.keys_of_role, "MEDLAUNCH_TASK_RETRIES": "0"}
        with patch.dict("os.environ", values), super().environment():
            yield


def for_moto(found: dict[str, Any]) -> dict[str, Any]:
    """The template without what moto's CloudFormation stumbles over: it takes tags of keys for KMS's own."""
    simpler = json.loads(json.dumps(found))
    for key in of_type(simpler, "AWS::KMS::Key").values():
        del key["Properties"]["Tags"]
    return simpler


def queue_arn(found: dict[str, Any], id_: str) -> str:
    name = found["Resources"][id_]["Properties"]["QueueName"]
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def complete(aws: Any, found: dict[str, Any], outputs: dict[str, str]) -> None:
    """Do what the template says and moto's CloudFormation leaves out, as far as a run needs it."""
    s3 = aws("s3")
    by_output = {
        text(found["Outputs"][name]["Value"]).strip("<>"): outputs[name]
        for name in ("MedlaunchBucket", "MwaaBucket", "LogBucket")
    }
    for id_, bucket in of_type(found, "AWS::S3::Bucket").items():
        wanted = bucket["Properties"]
        s3.put_bucket_versioning(
            Bucket=by_output[id_], VersioningConfiguration=wanted["VersioningConfiguration"]
        )
        configured = wanted.get("NotificationConfiguration", {}).get("QueueConfigurations", [])
        if configured:
            s3.put_bucket_notification_configuration(
                Bucket=by_output[id_],
                NotificationConfiguration={
                    "QueueConfigurations": [
                        {
                            "QueueArn": queue_arn(found, one["Queue"]["Fn::GetAtt"][0]),
                            "Events": [one["Event"]],
                            "Filter": {"Key": {"FilterRules": one["Filter"]["S3Key"]["Rules"]}},
                        }
                        for one in configured
                    ]
                },
            )
    (workgroup,) = (one["Properties"] for one in of_type(found, "AWS::Athena::WorkGroup").values())
    configuration = workgroup["WorkGroupConfiguration"]
    aws("athena").create_work_group(
        Name=workgroup["Name"],
        Configuration={
            "EnforceWorkGroupConfiguration": configuration["EnforceWorkGroupConfiguration"],
            "BytesScannedCutoffPerQuery": configuration["BytesScannedCutoffPerQuery"],
            "ResultConfiguration": {
                "OutputLocation": text(configuration["ResultConfiguration"]["OutputLocation"]).replace(
                    next(f"<{id_}>" for id_, name in by_output.items() if name == outputs["MedlaunchBucket"]),
                    outputs["MedlaunchBucket"],
                )
            },
        },
    )
    aws("glue").put_data_catalog_encryption_settings(
        DataCatalogEncryptionSettings={
            "EncryptionAtRest": {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": outputs["KeyArn"]},
            "ConnectionPasswordEncryption": {"ReturnConnectionPasswordEncrypted": False},
        }
    )


@pytest.fixture(scope="module")
def deployed(aws: Any, aws_url: str) -> tuple[dict[str, str], DeployedPipeline]:
    cloudformation = aws("cloudformation")
    parameters = {"lake": [{"ParameterKey": "AlertsEmail", "ParameterValue": "on-call@example.org"}]}
    for stack in STACKS:
        cloudformation.create_stack(
            StackName=f"medlaunch-dev-{stack}",
            TemplateBody=json.dumps(for_moto(template("dev", stack))),
            Capabilities=["CAPABILITY_NAMED_IAM"],
            Parameters=parameters.get(stack, []),
        )
    stacks = cloudformation.describe_stacks()["Stacks"]
    assert [one["StackStatus"] for one in stacks] == ["CREATE_COMPLETE"] * len(STACKS)
    outputs = deployment.read_outputs({"Stacks": stacks})
    found = template("dev", "lake")
    complete(aws, found, outputs)
    return outputs, DeployedPipeline(aws, aws_url, outputs)


def test_what_the_emulator_leaves_out_is_known(aws: Any, deployed: Any) -> None:
    for stack in STACKS:
        made = aws("cloudformation").list_stack_resources(StackName=f"medlaunch-dev-{stack}")
        kinds = {one["Type"] for one in template("dev", stack)["Resources"].values()}
        missing = kinds - {one["ResourceType"] for one in made["StackResourceSummaries"]}
        assert missing == (LEFT_OUT if stack == "lake" else set())
    told = (ROOT / "infra" / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(AWS::\w+::\w+)`", told)) >= LEFT_OUT


def test_the_bucket_is_encrypted_and_tagged(aws: Any, deployed: Any) -> None:
    outputs, _ = deployed
    s3 = aws("s3")
    (rule,) = s3.get_bucket_encryption(Bucket=outputs["MedlaunchBucket"])[
        "ServerSideEncryptionConfiguration"
    ]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["KMSMasterKeyID"] == outputs["KeyArn"]
    tags = {
        one["Key"]: one["Value"] for one in s3.get_bucket_tagging(Bucket=outputs["MedlaunchBucket"])["TagSet"]
    }
    assert tags["DataClass"] == "Confidential"


def test_the_pipeline_runs_in_it_as_the_role_that_was_deployed(
    aws: Any, deployed: Any, tmp_path: Any
) -> None:
    outputs, pipeline = deployed
    facilities.write_uploads(tmp_path, records=300)
    for file in sorted(path for path in tmp_path.rglob("*") if path.is_file()):
        key = f"landing/facilities/{file.relative_to(tmp_path).as_posix()}"
        pipeline.s3.put_object(Bucket=pipeline.bucket, Key=key, Body=file.read_bytes())
    report = pipeline.report()
    assert report["outcome"] == "published"
    assert report["environment"] == "dev"
    (count,) = pipeline.select("SELECT count(*) AS n FROM facility_metrics")
    assert int(count["n"]) > 100
    used = httpx.get(f"{pipeline.url}/_local_aws/permissions").json()["used"]
    mine = [one for one in used if "assumed-role/medlaunch-dev-worker" in one["caller"]]
    assert mine
    assert [one for one in mine if not one["allowed_by"]] == []
    declared = {one.sid for dag_id in permissions.dag_ids() for one in permissions.of(dag_id)}
    assert {sid for one in mine for sid in one["allowed_by"]} <= declared
    messages = aws("sqs").receive_message(
        QueueUrl=outputs["MedlaunchUploadsQueueUrl"].replace("{dag_id}", DAG_ID), MaxNumberOfMessages=10
    )["Messages"]
    assert any("landing/facilities/" in unquote_plus(one["Body"]) for one in messages)
