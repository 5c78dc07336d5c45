"""CloudFormation: what moto leaves out or makes wrongly, and local_aws mends."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_aws_tests.harness import Athena, Process

Client = Callable[[str], Any]


def resources(name: str, status: str = "Enabled") -> dict[str, Any]:
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "kms:*", "Resource": "*"}],
    }
    return {
        "Bucket": {
            "Type": "AWS::S3::Bucket",
            "Properties": {"BucketName": name, "VersioningConfiguration": {"Status": status}},
        },
        "Database": {
            "Type": "AWS::Glue::Database",
            "Properties": {
                "CatalogId": "123456789012",
                "DatabaseInput": {"Name": name.replace("-", "_"), "Description": status},
            },
        },
        "Key": {
            "Type": "AWS::KMS::Key",
            "Properties": {"KeyPolicy": policy, "Tags": [{"Key": "team", "Value": "lake"}]},
        },
    }


def template(name: str, status: str = "Enabled") -> str:
    outputs = {"Key": {"Value": {"Fn::GetAtt": ["Key", "Arn"]}}, "Database": {"Value": {"Ref": "Database"}}}
    return json.dumps({"Resources": resources(name, status), "Outputs": outputs})


def outputs(cloudformation: Any, name: str) -> dict[str, str]:
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    return {one["OutputKey"]: one["OutputValue"] for one in stack["Outputs"]}


@pytest.mark.supports(
    "CloudFormation", "Glue databases, versioning of buckets, KMS keys that can be described and used"
)
def test_a_stack_makes_what_it_says(client: Client) -> None:
    name = f"stack-{uuid.uuid4().hex[:8]}"
    cloudformation, glue, s3, kms = (client(one) for one in ("cloudformation", "glue", "s3", "kms"))
    cloudformation.create_stack(StackName=name, TemplateBody=template(name))
    made = outputs(cloudformation, name)
    assert glue.get_database(Name=made["Database"])["Database"]["Description"] == "Enabled"
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Enabled"
    assert kms.describe_key(KeyId=made["Key"])["KeyMetadata"]["Arn"] == made["Key"]
    assert kms.list_resource_tags(KeyId=made["Key"])["Tags"] == [{"TagKey": "team", "TagValue": "lake"}]
    secret = kms.encrypt(KeyId=made["Key"], Plaintext=b"x")["CiphertextBlob"]
    assert kms.decrypt(CiphertextBlob=secret)["Plaintext"] == b"x"
    athena = Athena(client("athena"), name, made["Database"])
    assert athena("SELECT 1 AS a").data == [["1"]]
    cloudformation.update_stack(StackName=name, TemplateBody=template(name, "Suspended"))
    assert s3.get_bucket_versioning(Bucket=name)["Status"] == "Suspended"
    assert glue.get_database(Name=made["Database"])["Database"]["Description"] == "Suspended"
    cloudformation.delete_stack(StackName=name)
    with pytest.raises(ClientError, match="EntityNotFoundException"):
        glue.get_database(Name=made["Database"])


@pytest.mark.supports("State", "What a stack made, and KMS keys of every kind, survive a stop")
def test_stacks_and_keys_are_kept(start: Callable[..., Process], tmp_path: Path) -> None:
    server = start("--state", str(tmp_path / "s"))
    kms, cloudformation = server.client("kms"), server.client("cloudformation")
    cloudformation.create_stack(StackName="lake", TemplateBody=template("lake"))
    made = outputs(cloudformation, "lake")
    server.client("s3").put_object(Bucket="lake", Key="a", Body=b"1")
    signatures = {}
    for spec, algorithm in (("RSA_2048", "RSASSA_PSS_SHA_256"), ("ECC_NIST_P256", "ECDSA_SHA_256")):
        key = kms.create_key(KeySpec=spec, KeyUsage="SIGN_VERIFY")["KeyMetadata"]["KeyId"]
        signed = kms.sign(KeyId=key, Message=b"text", SigningAlgorithm=algorithm)
        signatures[key] = {"Signature": signed["Signature"], "SigningAlgorithm": algorithm}
    secret = kms.encrypt(KeyId=made["Key"], Plaintext=b"x")["CiphertextBlob"]
    assert server.stop() == 0
    assert server.process.stderr is not None
    assert "state not saved" not in server.process.stderr.read()
    server = start("--state", str(tmp_path / "s"))
    kms = server.client("kms")
    for key, signed in signatures.items():
        assert kms.verify(KeyId=key, Message=b"text", **signed)["SignatureValid"]
    assert kms.decrypt(CiphertextBlob=secret)["Plaintext"] == b"x"
    assert server.client("s3").get_object(Bucket="lake", Key="a")["Body"].read() == b"1"
    assert server.client("s3").get_bucket_versioning(Bucket="lake")["Status"] == "Enabled"
    assert server.client("glue").get_database(Name=made["Database"])["Database"]["Name"] == "lake"


def test_a_change_set_gives_the_stack_its_outputs(client: Client) -> None:
    name = f"stack-{uuid.uuid4().hex[:8]}"
    cloudformation = client("cloudformation")
    for kind, status in (("CREATE", "Enabled"), ("UPDATE", "Suspended")):
        changes = {"StackName": name, "ChangeSetName": kind.lower()}
        cloudformation.create_change_set(ChangeSetType=kind, TemplateBody=template(name, status), **changes)
        cloudformation.execute_change_set(**changes)
        assert outputs(cloudformation, name)["Database"] == name.replace("-", "_")
        assert client("s3").get_bucket_versioning(Bucket=name)["Status"] == status


def test_a_stack_of_before_a_restart_is_deleted_with_all_that_it_made(
    start: Callable[..., Process], tmp_path: Path
) -> None:
    server = start("--state", str(tmp_path / "s"))
    cloudformation = server.client("cloudformation")
    cloudformation.create_stack(StackName="one", TemplateBody=template("one"))
    changes = {"StackName": "two", "ChangeSetName": "two"}
    cloudformation.create_change_set(ChangeSetType="CREATE", TemplateBody=template("two"), **changes)
    cloudformation.execute_change_set(**changes)
    for _ in range(2):
        assert server.stop() == 0
        server = start("--state", str(tmp_path / "s"))
        for stack in server.client("cloudformation").describe_stacks()["Stacks"]:
            server.client("cloudformation").delete_stack(StackName=stack["StackName"])
        assert server.client("glue").get_databases()["DatabaseList"] == []
        assert server.client("s3").list_buckets()["Buckets"] == []
