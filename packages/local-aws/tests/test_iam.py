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

from local_aws.iam.policies import Access, decide

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
GLUE = {
    "Action": ["glue:GetDatabase", "glue:CreateDatabase", "glue:GetTable", "glue:GetPartitions"],
    "Resource": "*",
}


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


ROOT = "arn:aws:glue:us-east-1:123456789012"
# Each statement with the permissions that it needs, as "Examples of database and table-level permissions" has them
# (https://docs.aws.amazon.com/athena/latest/ug/fine-grained-access-to-glue-resources.html; MSCK REPAIR TABLE there
# names CreateDatabase too, which belongs to `default`), in an order in which they can run.
DATABASE = ("{root}:catalog", "{root}:database/{db}")
TABLE = (*DATABASE, "{root}:table/{db}/test")
TABLES = (*DATABASE, "{root}:table/{db}/*")
STATEMENTS: list[tuple[str, list[tuple[str, tuple[str, ...]]]]] = [
    ("CREATE DATABASE {db}", [("GetDatabase", DATABASE), ("CreateDatabase", DATABASE)]),
    (
        "ALTER DATABASE {db} SET DBPROPERTIES ('a' = 'b')",
        [("GetDatabase", DATABASE), ("UpdateDatabase", DATABASE)],
    ),
    ("SHOW DATABASES", [("GetDatabases", ("{root}:catalog", "{root}:database/*"))]),
    (
        "CREATE EXTERNAL TABLE test (a int) PARTITIONED BY (p int) STORED AS PARQUET LOCATION 's3://{bucket}/t/'",
        [
            ("GetDatabase", DATABASE),
            ("GetDatabases", DATABASE),
            *((action, TABLE) for action in ("GetTables", "GetTable", "GetPartitions", "CreateTable")),
        ],
    ),
    ("SHOW TABLES", [("GetDatabase", DATABASE), ("GetTables", TABLES)]),
    (
        "MSCK REPAIR TABLE test",
        [
            ("GetDatabase", DATABASE),
            *(
                (action, TABLE)
                for action in ("GetTable", "GetPartitions", "GetPartition", "BatchCreatePartition")
            ),
        ],
    ),
    (
        "DROP TABLE test",
        [
            *((action, TABLE) for action in ("GetTable", "DeleteTable", "GetPartitions", "GetPartition")),
            ("DeletePartition", TABLE),
        ],
    ),
    (
        "DROP DATABASE {db}",
        [
            ("GetDatabase", DATABASE),
            ("GetTables", TABLES),
            ("DeleteDatabase", (*TABLES, "{root}:userDefinedFunction/{db}/*")),
        ],
    ),
]


class Team:
    """An IAM user whose policy is replaced, with all of S3 and the workgroup `primary`."""

    def __init__(self, client: Client, aws_url: str) -> None:
        self.iam, self.name = client("iam"), f"user-{uuid.uuid4().hex[:8]}"
        self.iam.create_user(UserName=self.name)
        key = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        session = boto3.session.Session(key["AccessKeyId"], key["SecretAccessKey"], region_name="us-east-1")
        self.athena: Any = session.client("athena", endpoint_url=aws_url)

    def allow(self, *statements: dict[str, Any]) -> None:
        given = policy(ATHENA, {"Action": "s3:*", "Resource": "*"}, *statements)
        self.iam.put_user_policy(UserName=self.name, PolicyName="p", PolicyDocument=given)


@pytest.fixture
def team(client: Client, aws_url: str) -> Team:
    return Team(client, aws_url)


LOOK_AT_DEFAULT = {
    "Action": ["glue:GetDatabase"],
    "Resource": [f"{ROOT}:catalog", f"{ROOT}:database/default"],
}


@pytest.fixture
def default_database(client: Client) -> None:
    glue = client("glue")
    if "default" not in [d["Name"] for d in glue.get_databases()["DatabaseList"]]:
        glue.create_database(DatabaseInput={"Name": "default"})


@pytest.mark.supports(
    "IAM", "Each DDL statement needs of the Glue catalog what Athena's guide says, and no less"
)
def test_ddl_needs_the_documented_permissions(
    bucket: str, s3: Any, team: Team, default_database: None
) -> None:
    db = f"db_{uuid.uuid4().hex[:8]}"
    names = {"root": ROOT, "db": db, "bucket": bucket}
    s3.put_object(Bucket=bucket, Key="t/p=1/empty", Body=b"")
    for sql, needs in STATEMENTS:
        given = [
            {"Action": f"glue:{action}", "Resource": [one.format(**names) for one in on]}
            for action, on in needs
        ]
        for missing in needs:
            # GetDatabase on the catalog and on `default` is there: what is missing is the resource of the statement.
            team.allow(
                LOOK_AT_DEFAULT, *[one for one, need in zip(given, needs, strict=True) if need != missing]
            )
            status = finished(team.athena, bucket, db, sql.format(**names))
            assert status["State"] == "FAILED", (sql, missing)
            assert f"glue:{missing[0]} on resource: {ROOT}" in status["StateChangeReason"], (sql, missing)
        team.allow(LOOK_AT_DEFAULT, *given)
        status = finished(team.athena, bucket, db, sql.format(**names))
        assert status["State"] == "SUCCEEDED", (sql, status)


@pytest.mark.supports(
    "IAM", "Every statement needs glue:GetDatabase on `default`, and CreateDatabase where there is none"
)
def test_every_statement_looks_at_the_default_database(
    client: Client, bucket: str, team: Team, default_database: None
) -> None:
    glue = client("glue")
    for sql in ("SELECT 1", "SHOW DATABASES"):
        team.allow({"Action": "glue:*", "Resource": [f"{ROOT}:catalog", f"{ROOT}:database/d*b"]})
        status = finished(team.athena, bucket, "default", sql)
        assert status["State"] == "FAILED"
        assert f"glue:GetDatabase on resource: {ROOT}:database/default" in status["StateChangeReason"]
    team.allow(LOOK_AT_DEFAULT)
    assert finished(team.athena, bucket, "default", "SELECT 1")["State"] == "SUCCEEDED"
    glue.delete_database(Name="default")
    status = finished(team.athena, bucket, "default", "SELECT 1")
    assert f"glue:CreateDatabase on resource: {ROOT}:catalog" in status["StateChangeReason"]
    team.allow({**LOOK_AT_DEFAULT, "Action": ["glue:GetDatabase", "glue:CreateDatabase"]})
    assert finished(team.athena, bucket, "default", "SELECT 1")["State"] == "SUCCEEDED"
    assert glue.get_database(Name="default")["Database"]["Name"] == "default"
    team.allow(LOOK_AT_DEFAULT)
    assert finished(team.athena, bucket, "default", "SELECT 1")["State"] == "SUCCEEDED"


@pytest.mark.supports(
    "IAM", "PREPARE, EXECUTE and DEALLOCATE need the actions of prepared statements on the workgroup"
)
def test_prepared_statements_need_their_actions(bucket: str, team: Team, default_database: None) -> None:
    name = f"p_{uuid.uuid4().hex[:8]}"
    for sql, action in (
        (f"PREPARE {name} FROM SELECT ?", "CreatePreparedStatement"),
        (f"PREPARE {name} FROM SELECT ? + 1", "UpdatePreparedStatement"),
        (f"EXECUTE {name} USING 1", "GetPreparedStatement"),
        (f"DEALLOCATE PREPARE {name}", "DeletePreparedStatement"),
    ):
        team.allow(LOOK_AT_DEFAULT)
        status = finished(team.athena, bucket, "default", sql)
        assert f"athena:{action} on resource: {ATHENA['Resource']}" in status["StateChangeReason"]
        team.allow(LOOK_AT_DEFAULT, {"Action": f"athena:{action}", "Resource": ATHENA["Resource"]})
        assert finished(team.athena, bucket, "default", sql)["State"] == "SUCCEEDED", sql


@pytest.mark.supports("IAM", "Athena's operations: on workgroups, on data catalogs, or on no resource")
def test_what_athenas_operations_are_on(
    client: Client, bucket: str, team: Team, default_database: None
) -> None:
    catalog = f"catalog_{uuid.uuid4().hex[:8]}"
    client("athena").create_data_catalog(Name=catalog, Type="GLUE", Parameters={"catalog-id": "123456789012"})
    named = client("athena").create_named_query(Name="n", Database="d", QueryString="SELECT 1")[
        "NamedQueryId"
    ]
    query = client("athena").start_query_execution(
        QueryString="SELECT 1", ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"}
    )["QueryExecutionId"]
    account = "arn:aws:athena:us-east-1:123456789012"
    primary, on_catalog = f"{account}:workgroup/primary", f"{account}:datacatalog/{catalog}"
    for action, resource, call in (
        ("GetWorkGroup", primary, lambda: team.athena.get_work_group(WorkGroup="primary")),
        ("GetNamedQuery", primary, lambda: team.athena.get_named_query(NamedQueryId=named)),
        ("BatchGetNamedQuery", primary, lambda: team.athena.batch_get_named_query(NamedQueryIds=[named])),
        ("GetQueryResults", primary, lambda: team.athena.get_query_results(QueryExecutionId=query)),
        (
            "ListPreparedStatements",
            primary,
            lambda: team.athena.list_prepared_statements(WorkGroup="primary"),
        ),
        ("ListTagsForResource", primary, lambda: team.athena.list_tags_for_resource(ResourceARN=primary)),
        ("ListWorkGroups", "*", lambda: team.athena.list_work_groups()),
        ("ListDataCatalogs", "*", lambda: team.athena.list_data_catalogs()),
        ("GetDataCatalog", on_catalog, lambda: team.athena.get_data_catalog(Name=catalog)),
        (
            "GetDatabase",
            on_catalog,
            lambda: team.athena.get_database(CatalogName=catalog, DatabaseName="default"),
        ),
        (
            "GetDataCatalog",
            on_catalog,
            lambda: team.athena.start_query_execution(
                QueryString="SELECT 1",
                QueryExecutionContext={"Catalog": catalog},
                ResultConfiguration={"OutputLocation": f"s3://{bucket}/results/"},
            ),
        ),
    ):
        team.allow(LOOK_AT_DEFAULT)
        with pytest.raises(ClientError) as error:
            call()
        assert code(error) == "AccessDeniedException"
        assert f"athena:{action} on resource: {resource}" in str(error.value)
        team.allow(LOOK_AT_DEFAULT, {"Action": f"athena:{action}", "Resource": resource})
        assert call()["ResponseMetadata"]["HTTPStatusCode"] == 200
    # Operations on metadata read the catalog with the caller's permissions, and results are objects on S3.
    team.allow({"Action": "athena:*", "Resource": "*"})
    with pytest.raises(ClientError, match="glue:GetDatabase on resource"):
        team.athena.get_database(CatalogName="AwsDataCatalog", DatabaseName="default")
    team.allow(
        {"Action": "athena:*", "Resource": "*"}, {"Effect": "Deny", "Action": "s3:GetObject", "Resource": "*"}
    )
    with pytest.raises(
        ClientError, match=f"s3:GetObject on resource: arn:aws:s3:::{bucket}/results/{query}.csv"
    ):
        team.athena.get_query_results(QueryExecutionId=query)


@pytest.mark.supports("IAM", "SimulatePrincipalPolicy and SimulateCustomPolicy, by the same evaluation")
def test_policies_are_simulated(client: Client, user: Callable[..., Client]) -> None:
    iam = client("iam")
    name, group, role = (f"{kind}-{uuid.uuid4().hex[:8]}" for kind in ("user", "group", "role"))
    source = iam.create_user(UserName=name)["User"]["Arn"]
    read = {"Sid": "Read", "Action": "s3:Get*", "Resource": "arn:aws:s3:::lake/*"}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(read))
    iam.create_group(GroupName=group)
    condition = {"StringEquals": {"iam:PassedToService": "airflow.amazonaws.com"}}
    passed = {"Action": "iam:PassRole", "Resource": "*", "Condition": condition}
    no = {"Effect": "Deny", "Action": "s3:GetObjectAcl", "Resource": "*"}
    iam.put_group_policy(GroupName=group, PolicyName="p", PolicyDocument=policy(passed, no))
    iam.add_user_to_group(GroupName=group, UserName=name)

    def decisions(source: str, *actions: str, **more: Any) -> list[str]:
        pages = iam.get_paginator("simulate_principal_policy").paginate(
            PolicySourceArn=source, ActionNames=list(actions), **more
        )
        return [one["EvalDecision"] for page in pages for one in page["EvaluationResults"]]

    lake = ["arn:aws:s3:::lake/a"]
    asked = ("s3:GetObject", "s3:PutObject", "s3:GetObjectAcl")
    assert decisions(source, *asked, ResourceArns=lake) == ["allowed", "implicitDeny", "explicitDeny"]
    assert decisions(source, "s3:GetObject") == ["implicitDeny"]
    key = {
        "ContextKeyName": "iam:PassedToService",
        "ContextKeyValues": ["airflow.amazonaws.com"],
        "ContextKeyType": "string",
    }
    assert decisions(source, "iam:PassRole") == ["implicitDeny"]
    assert decisions(source, "iam:PassRole", ContextEntries=[key]) == ["allowed"]
    trust = policy({"Principal": "*", "Action": "sts:AssumeRole"})
    made = iam.create_role(RoleName=role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    managed = iam.create_policy(PolicyName=role, PolicyDocument=policy({"Action": "*", "Resource": "*"}))
    iam.attach_role_policy(RoleName=role, PolicyArn=managed["Policy"]["Arn"])
    assert decisions(made, "athena:StartQueryExecution") == ["allowed"]
    administrator = client("sts").get_caller_identity()["Arn"]
    assert decisions(administrator, "iam:CreateRole") == ["allowed"]
    custom = iam.simulate_custom_policy(
        PolicyInputList=[policy(read)], ActionNames=["s3:GetObject"], ResourceArns=lake
    )
    (result,) = custom["EvaluationResults"]
    assert (result["EvalDecision"], result["EvalActionName"]) == ("allowed", "s3:GetObject")
    with pytest.raises(ClientError) as error:
        decisions("arn:aws:iam::123456789012:role/none", "s3:GetObject")
    assert code(error) == "NoSuchEntity"
    with pytest.raises(ClientError) as error:
        user(read)("iam").simulate_principal_policy(PolicySourceArn=source, ActionNames=["s3:GetObject"])
    assert code(error) == "AccessDenied"
