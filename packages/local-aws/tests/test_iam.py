"""IAM: policies are decided as AWS decides them, and hold for requests and for what queries read and write."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from local_aws.iam import Access, decide

GET = Access(
    "s3:GetObject", "arn:aws:s3:::lake/in/a.json", (("kms:ViaService", "s3.us-east-1.amazonaws.com"),)
)


def policy(*statements: dict[str, Any]) -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **one} for one in statements]}
    )


ALL = {"Action": "*", "Resource": "*"}


@pytest.mark.parametrize(
    ("statements", "allowed"),
    [
        ([], False),
        ([ALL], True),
        ([{"Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/in/*"}], True),
        ([{"Action": ["S3:getobject"], "Resource": ["arn:aws:s3:::lake/*"]}], True),
        ([{"Action": "s3:Get*", "Resource": "arn:aws:s3:::lake/in/?.json"}], True),
        ([{"Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/IN/*"}], False),
        ([{"Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake"}], False),
        ([{"Action": "s3:GetObject", "Resource": "arn:aws:s3:::lake/in/[a].json"}], False),
        ([{"Action": "s3:GetObjec", "Resource": "*"}], False),
        ([{"NotAction": "s3:PutObject", "Resource": "*"}], True),
        ([{"NotAction": "s3:*", "Resource": "*"}], False),
        ([{"Action": "*", "NotResource": "arn:aws:s3:::lake/out/*"}], True),
        ([{"Action": "*", "NotResource": "arn:aws:s3:::lake/in/*"}], False),
        ([ALL, {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::lake/in/*"}], False),
        ([ALL, {"Effect": "Deny", "Action": "s3:*", "Resource": "arn:aws:s3:::lake/out/*"}], True),
        ([{**ALL, "Condition": {"StringLike": {"KMS:viaservice": ["sns.*", "s3.*"]}}}], True),
        ([{**ALL, "Condition": {"StringEquals": {"kms:ViaService": "s3"}}}], False),
        ([{**ALL, "Condition": {"StringNotEquals": {"kms:ViaService": "s3"}}}], True),
        ([{**ALL, "Condition": {"StringNotLike": {"kms:ViaService": "s3.*"}}}], False),
        ([{**ALL, "Condition": {"StringLike": {"s3:prefix": "*"}}}], False),
        ([{**ALL, "Condition": {"StringLikeIfExists": {"s3:prefix": "x"}}}], True),
        ([{**ALL, "Condition": {"Null": {"s3:prefix": "true"}}}], True),
        ([{**ALL, "Condition": {"Null": {"kms:ViaService": "true"}}}], False),
        # A deny whose condition does not hold denies nothing.
        ([ALL, {"Effect": "Deny", **ALL, "Condition": {"Bool": {"aws:SecureTransport": False}}}], True),
    ],
)
def test_decisions(statements: list[dict[str, Any]], allowed: bool) -> None:
    sids, why = decide([policy(*statements)], GET)
    assert (bool(sids), not why) == (allowed, allowed)


def test_a_condition_that_is_not_known_is_an_error() -> None:
    with pytest.raises(ValueError, match="DateLessThan"):
        decide([policy({**ALL, "Condition": {"DateLessThan": {"kms:ViaService": "2020-01-01"}}})], GET)


Client = Callable[[str], Any]


@pytest.fixture
def s3(client: Client) -> Any:
    return client("s3")


@pytest.fixture
def bucket(s3: Any, lake: str) -> str:
    """A new bucket with versioning."""
    s3.put_bucket_versioning(Bucket=lake, VersioningConfiguration={"Status": "Enabled"})
    return lake


@pytest.fixture
def user(client: Client, aws_url: str) -> Callable[..., Client]:
    """Makes clients of a new IAM user with a policy of these statements."""

    def make(*statements: dict[str, Any]) -> Client:
        name, iam = f"user-{uuid.uuid4().hex[:8]}", client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(*statements))
        key = iam.create_access_key(UserName=name)["AccessKey"]
        session = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
        return lambda service: session.client(service, endpoint_url=aws_url)  # type: ignore[call-overload]

    return make


def code(error: pytest.ExceptionInfo[ClientError]) -> str:
    return error.value.response["Error"]["Code"]


@pytest.mark.supports(
    "IAM",
    "With --enforce-iam: identity-based policies of users and assumed roles, on S3, Glue, Athena, SNS and SQS",
)
def test_a_user_may_do_what_its_policy_says_and_nothing_else(
    s3: Any, bucket: str, user: Callable[..., Client]
) -> None:
    s3.put_object(Bucket=bucket, Key="in/a", Body=b"a")
    mine = user({"Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/in/*"})("s3")
    assert mine.get_object(Bucket=bucket, Key="in/a")["Body"].read() == b"a"
    for call in (
        lambda: mine.put_object(Bucket=bucket, Key="in/a", Body=b"b"),
        lambda: mine.copy_object(Bucket=bucket, Key="in/b", CopySource={"Bucket": bucket, "Key": "in/a"}),
        lambda: mine.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "in/a"}]}),
        lambda: mine.list_objects_v2(Bucket=bucket),
        lambda: mine.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"}),
    ):
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "AccessDenied"
    assert s3.get_object(Bucket=bucket, Key="in/a")["Body"].read() == b"a"


@pytest.mark.supports("IAM", "S3 answers 403 instead of 404 to who may not list")
def test_who_may_not_list_is_not_told_what_is_missing(
    s3: Any, bucket: str, user: Callable[..., Client]
) -> None:
    read = {"Action": "s3:GetObject", "Resource": "*"}
    with pytest.raises(ClientError) as error:
        user(read)("s3").get_object(Bucket=bucket, Key="none")
    assert code(error) == "AccessDenied"
    with pytest.raises(ClientError) as error:
        user(read, {"Action": "s3:ListBucket", "Resource": "*"})("s3").get_object(Bucket=bucket, Key="none")
    assert code(error) == "NoSuchKey"
    # A condition on the prefix of a listing does not hold for a read.
    some = {"Action": "s3:ListBucket", "Resource": "*", "Condition": {"StringLike": {"s3:prefix": "*"}}}
    mine = user(read, some)("s3")
    mine.list_objects_v2(Bucket=bucket, Prefix="x")
    with pytest.raises(ClientError) as error:
        mine.get_object(Bucket=bucket, Key="none")
    assert code(error) == "AccessDenied"


def test_what_is_not_known_is_refused(user: Callable[..., Client]) -> None:
    mine = user({"Action": "*", "Resource": "*"})
    assert mine("sts").get_caller_identity()["Arn"].startswith("arn:aws:iam::")
    with pytest.raises(ClientError, match="does not know which permissions"):
        mine("dynamodb").list_tables()


def test_a_role_with_another_token_is_refused(client: Client, aws_url: str) -> None:
    trust = policy({"Principal": "*", "Action": "sts:AssumeRole"})
    role = client("iam").create_role(RoleName=f"r-{uuid.uuid4().hex[:8]}", AssumeRolePolicyDocument=trust)[
        "Role"
    ]
    given = client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="session")["Credentials"]
    mine = boto3.client(
        "s3",
        endpoint_url=aws_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token="another",
    )
    with pytest.raises(ClientError) as error:
        mine.list_buckets()
    assert code(error) == "InvalidClientTokenId"


ATHENA = {
    "Action": ["athena:StartQueryExecution", "athena:GetQueryExecution"],
    "Resource": "arn:aws:athena:us-east-1:123456789012:workgroup/primary",
}
GLUE = {"Action": ["glue:GetDatabase", "glue:GetTable", "glue:GetPartitions"], "Resource": "*"}


def finished(client: Any, bucket: str, database: str, sql: str) -> dict[str, Any]:
    query = client.start_query_execution(
        QueryString=sql,
        QueryExecutionContext={"Database": database},
        ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"},
    )["QueryExecutionId"]
    while True:
        status: dict[str, Any] = client.get_query_execution(QueryExecutionId=query)["QueryExecution"][
            "Status"
        ]
        if status["State"] in ("SUCCEEDED", "FAILED", "CANCELLED"):
            return status
        time.sleep(0.01)


@pytest.mark.supports("IAM", "A query reads and writes the catalog and S3 with its caller's permissions")
def test_a_query_may_do_what_its_caller_may(
    client: Client, aws_url: str, s3: Any, bucket: str, user: Callable[..., Client]
) -> None:
    database = f"db_{uuid.uuid4().hex[:8]}"
    s3.put_object(Bucket=bucket, Key="data/a.json", Body=b'{"n": 1}\n')
    for sql in (
        f"CREATE DATABASE {database}",
        f"CREATE EXTERNAL TABLE t (n int) ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe' LOCATION 's3://{bucket}/data/'",
    ):
        assert finished(client("athena"), bucket, database, sql)["State"] == "SUCCEEDED"
    arn = f"arn:aws:s3:::{bucket}"
    results = {
        "Action": ["s3:PutObject", "s3:ListMultipartUploadParts", "s3:AbortMultipartUpload"],
        "Resource": f"{arn}/results/*",
    }
    listing = {
        "Action": ["s3:ListBucket", "s3:GetBucketLocation", "s3:ListBucketMultipartUploads"],
        "Resource": arn,
    }
    reading = {"Action": "s3:GetObject", "Resource": f"{arn}/data/*"}
    everything = [ATHENA, GLUE, results, listing, reading]
    assert finished(user(*everything)("athena"), bucket, database, "SELECT n FROM t")["State"] == "SUCCEEDED"
    for missing, reason in (
        (GLUE, "glue:GetDatabase on resource: arn:aws:glue:us-east-1:123456789012:catalog"),
        (results, "Access denied when writing output to url"),
        (reading, f"Access denied on operation: GetObject on s3://{bucket}/data/a.json"),
    ):
        left = [one for one in everything if one is not missing]
        status = finished(user(*left)("athena"), bucket, database, "SELECT n FROM t")
        assert status["State"] == "FAILED"
        assert reason in status["StateChangeReason"]
    for missing, reason in ((listing, "s3:GetBucketLocation"), (ATHENA, "athena:StartQueryExecution")):
        left = [one for one in everything if one is not missing]
        with pytest.raises(ClientError, match=reason):
            finished(user(*left)("athena"), bucket, database, "SELECT 1")
    used = httpx.get(f"{aws_url}/_local_aws/permissions").json()["used"]
    assert {"action": "s3:GetObject", "resource": f"{arn}/data/a.json", "allowed_by": []}.items() <= next(
        one for one in used if one["resource"] == f"{arn}/data/a.json" and not one["allowed_by"]
    ).items()
