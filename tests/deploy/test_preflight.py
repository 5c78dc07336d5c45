"""What would stop a deployment is found before: against the local AWS, and answers checked by the service models."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.stub import ANY, Stubber

from deploy.preflight import ACTIONS, STACKS, Finding, Level, Preflight, show

ACCOUNT, REGION = "123456789012", "us-east-1"
CALLER = {
    "Arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/deployer/me",
    "Account": ACCOUNT,
    "UserId": "AROAEXAMPLE:me",
}
ENDPOINTS = [f"com.amazonaws.{REGION}.{service}" for service in ("athena", "airflow.api")]


def joined(*parts: Any) -> dict[str, Any]:
    return {"Fn::Join": ["", list(parts)]}


def templates(folder: Path, name: str = "dev", **changes: dict[str, Any]) -> Path:
    """Templates with one resource of each kind that matters; ``changes`` adds properties by logical id."""
    account, region = {"Ref": "AWS::AccountId"}, {"Ref": "AWS::Region"}
    stacks: dict[str, dict[str, tuple[str, dict[str, Any]]]] = {
        "boundary": {"Boundary": ("AWS::IAM::ManagedPolicy", {"ManagedPolicyName": joined(f"b-{name}-", region)})},
        "lake": {
            "Lake": ("AWS::S3::Bucket", {"BucketName": joined(f"medlaunch-{name}-lake-", account)}),
            "Queue": ("AWS::SQS::Queue", {"QueueName": f"{name}-uploads"}),
            "Topic": ("AWS::SNS::Topic", {"TopicName": f"{name}-alerts"}),
            "Alias": ("AWS::KMS::Alias", {"AliasName": f"alias/{name}-lake"}),
            "Database": ("AWS::Glue::Database", {"DatabaseInput": {"Name": f"{name}_db"}}),
            "Workgroup": ("AWS::Athena::WorkGroup", {"Name": f"{name}-wg"}),
            "Alarm": ("AWS::CloudWatch::Alarm", {"AlarmName": f"{name}-alarm"}),
            "Budget": (
                "AWS::Budgets::Budget",
                {"Budget": {"BudgetName": f"{name}-monthly", "BudgetLimit": {"Amount": 700, "Unit": "USD"}}},
            ),
        },
        "access": {"Role": ("AWS::IAM::Role", {"RoleName": joined(f"{name}-worker-", region)})},
        "mwaa": {
            "Vpc": ("AWS::EC2::VPC", {}),
            "Logs": ("AWS::Logs::LogGroup", {"LogGroupName": f"/{name}/flow"}),
            "Airflow": ("AWS::MWAA::Environment", {"Name": name}),
            **{
                service.rsplit(".", 1)[-1]: (
                    "AWS::EC2::VPCEndpoint",
                    {
                        "ServiceName": joined("com.amazonaws.", region, service.split(REGION)[1]),
                        "VpcEndpointType": "Interface",
                    },
                )
                for service in ENDPOINTS
            },
        },
    }  # fmt: skip
    for stack in STACKS:
        resources = {
            id_: {"Type": kind, "Properties": properties | changes.get(id_, {})}
            for id_, (kind, properties) in stacks[stack].items()
        }
        file = folder / f"medlaunch-{name}-{stack}.template.json"
        file.write_text(json.dumps({"Resources": resources}), encoding="utf-8")
    return folder


class Account:
    """Clients whose answers are given in advance, and checked by botocore against the services' models."""

    def __init__(self) -> None:
        self._stubs: dict[str, tuple[Any, Stubber]] = {}
        self.answer("sts", "get_caller_identity", CALLER)

    def __call__(self, service: str) -> Any:
        return self._of(service)[0]

    def _of(self, service: str) -> tuple[Any, Stubber]:
        if service not in self._stubs:
            client = boto3.client(service, region_name=REGION)  # type: ignore[call-overload]
            self._stubs[service] = (client, Stubber(client))
            self._stubs[service][1].activate()
        return self._stubs[service]

    def answer(self, service: str, operation: str, body: dict[str, Any], wanted: Any = None) -> None:
        self._of(service)[1].add_response(operation, body, wanted)

    def refuse(
        self, service: str, operation: str, code: str = "AccessDeniedException", text: str = "no"
    ) -> None:
        self._of(service)[1].add_client_error(operation, code, text)

    def nothing_deployed(self) -> None:
        for stack in STACKS:
            self.refuse(
                "cloudformation",
                "describe_stacks",
                "ValidationError",
                f"Stack medlaunch-dev-{stack} does not exist",
            )

    def all_asked(self) -> None:
        for _, stub in self._stubs.values():
            stub.assert_no_pending_responses()


@pytest.fixture
def account() -> Account:
    made = Account()
    made.nothing_deployed()
    return made


def preflight(account: Any, folder: Path, zones: Sequence[str] = (), **changes: Any) -> Preflight:
    return Preflight("dev", templates(folder, **changes), account, zones)


# --- permissions


def decisions(*actions: str, decision: str = "allowed") -> dict[str, Any]:
    return {"EvaluationResults": [{"EvalActionName": one, "EvalDecision": decision} for one in actions]}


def test_what_the_caller_may_not_do_is_named(account: Account, tmp_path: Path) -> None:
    role = {
        "Path": "/ci/", "RoleName": "deployer", "RoleId": "AROAEXAMPLEEXAMPLE", "Arn": f"arn:aws:iam::{ACCOUNT}:role/ci/deployer",
        "CreateDate": "2026-01-01T00:00:00Z",
    }  # fmt: skip
    account.answer("iam", "get_role", {"Role": role}, {"RoleName": "deployer"})
    account.answer(
        "iam", "simulate_principal_policy",
        {**decisions("s3:CreateBucket"), "IsTruncated": True, "Marker": "m"},
        {"PolicySourceArn": role["Arn"], "ActionNames": ANY, "ResourceArns": ["*"], "ContextEntries": []},
    )  # fmt: skip
    account.answer("iam", "simulate_principal_policy", decisions("kms:CreateAlias", decision="implicitDeny"))
    boundary = f"arn:aws:iam::{ACCOUNT}:policy/medlaunch-boundary-dev-{REGION}"
    account.answer(
        "iam", "simulate_principal_policy", decisions("iam:CreateRole", decision="explicitDeny"),
        {
            "PolicySourceArn": role["Arn"], "ActionNames": ["iam:AttachRolePolicy", "iam:CreateRole"],
            "ResourceArns": [f"arn:aws:iam::{ACCOUNT}:role/medlaunch-dev-worker-{REGION}"],
            "ContextEntries": [
                {"ContextKeyName": "iam:PermissionsBoundary", "ContextKeyValues": [boundary], "ContextKeyType": "string"}
            ],
        },
    )  # fmt: skip
    for action in ("iam:CreatePolicy", "iam:PassRole"):
        account.answer("iam", "simulate_principal_policy", decisions(action))
    (found,) = preflight(account, tmp_path).permissions()
    assert found.level == Level.PROBLEM
    assert found.text == f"{role['Arn']} may not: iam:CreateRole, kms:CreateAlias."
    account.all_asked()


def test_a_check_that_the_caller_may_not_make_is_unknown_and_the_others_go_on(
    account: Account, tmp_path: Path
) -> None:
    account.refuse("iam", "get_role", "AccessDenied")
    looked = preflight(account, tmp_path)
    found = dict(zip(("boundary", "permissions"), (one for _, one in looked.run()), strict=False))
    assert [one.level for one in found["boundary"]] == [Level.WARNING]
    (unknown,) = found["permissions"]
    assert (unknown.level, unknown.text) == (Level.UNKNOWN, "The caller may not call GetRole.")


def test_a_check_that_fails_does_not_end_the_others(account: Account, tmp_path: Path) -> None:
    account.refuse("iam", "get_role", "ServiceFailure", "out of order")
    found = dict(zip(("boundary", "permissions"), preflight(account, tmp_path).run(), strict=False))
    (unknown,) = found["permissions"][1]
    assert unknown.level == Level.UNKNOWN
    assert "out of order" in unknown.text


# --- zones


def services(account: Account, **zones: str) -> None:
    details = [
        {
            "ServiceName": f"com.amazonaws.{REGION}.{name.replace('_', '.')}",
            "AvailabilityZones": [f"{REGION}{one}" for one in has],
        }
        for name, has in zones.items()
    ]
    account.answer(
        "ec2", "describe_vpc_endpoint_services", {"ServiceDetails": details},
        {},
    )  # fmt: skip


def default_subnets(account: Account, letters: str) -> None:
    account.answer(
        "ec2", "describe_subnets", {"Subnets": [{"AvailabilityZone": f"{REGION}{one}"} for one in letters]}
    )


def test_a_zone_without_a_service_is_found_with_zones_that_have_all(account: Account, tmp_path: Path) -> None:
    services(account, athena="abcd", airflow_api="acd")
    default_subnets(account, "dcba")
    (found,) = preflight(account, tmp_path).zones()
    assert found.text == (
        "MWAA's network would be in us-east-1a and us-east-1b, and us-east-1b lacks com.amazonaws.us-east-1.airflow.api."
    )
    assert found.way_out.endswith('PARAMETERS="Zone1=us-east-1a Zone2=us-east-1c"')


def test_chosen_zones_are_looked_at_instead(account: Account, tmp_path: Path) -> None:
    services(account, athena="abcd", airflow_api="acd")
    assert list(preflight(account, tmp_path, ["us-east-1c", "us-east-1d"]).zones()) == []
    account.all_asked()


def test_a_service_that_the_region_lacks_is_found(account: Account, tmp_path: Path) -> None:
    services(account, athena="ab")
    default_subnets(account, "ab")
    (found,) = preflight(account, tmp_path).zones()
    assert found.text == f"{REGION} does not offer: com.amazonaws.{REGION}.airflow.api."


# --- quotas


def quota(account: Account, value: float) -> None:
    account.answer("service-quotas", "get_service_quota", {"Quota": {"Value": value}})


@pytest.mark.parametrize(
    ("vpcs", "wrong"), [(4, []), (5, ["VPCs of the region: 5 of 5 are used, and 1 more are needed."])]
)
def test_quotas_have_room_or_are_named(account: Account, tmp_path: Path, vpcs: int, wrong: list[str]) -> None:
    summary = {"Roles": 10, "RolesQuota": 1000, "Policies": 1499, "PoliciesQuota": 1500}
    account.answer("iam", "get_account_summary", {"SummaryMap": summary})
    account.answer("s3", "list_buckets", {"Buckets": []})
    account.refuse("service-quotas", "get_service_quota", "NoSuchResourceException")
    account.answer("service-quotas", "get_aws_default_service_quota", {"Quota": {"Value": 10000.0}})
    account.answer("ec2", "describe_vpcs", {"Vpcs": [{} for _ in range(vpcs)]})
    quota(account, 5)
    quota(account, 50)
    account.answer("mwaa", "list_environments", {"Environments": ["other"]})
    quotas = [
        {"QuotaName": "Workers", "Value": 1.0},
        {"QuotaName": "Environments per account", "Value": 10.0},
    ]
    account.answer("service-quotas", "list_service_quotas", {"Quotas": quotas})
    looked = preflight(account, tmp_path)
    assert looked.caller == CALLER["Arn"]
    assert [one.text for one in looked.quotas()] == wrong
    account.all_asked()


# --- budget


def test_a_smaller_budget_of_the_account_is_named(account: Account, tmp_path: Path) -> None:
    budget = {
        "BudgetName": "all",
        "TimeUnit": "MONTHLY",
        "BudgetType": "COST",
        "BudgetLimit": {"Amount": "200", "Unit": "USD"},
    }
    account.answer("budgets", "describe_budgets", {"Budgets": [budget]})
    (found,) = preflight(account, tmp_path).budget()
    assert found.text == "The account's budget all is 200 USD per month; dev expects up to 700."


# --- against the local AWS


@pytest.fixture
def local(aws: Callable[[str], Any]) -> Callable[[str], Any]:
    return aws


def texts(findings: Any) -> list[str]:
    return [one.text for one in findings]


def test_names_that_are_taken_are_found_each_by_its_service(
    local: Callable[[str], Any], tmp_path: Path
) -> None:
    name = f"pre{uuid.uuid4().hex[:8]}"
    looked = Preflight(name, templates(tmp_path, name), _without_mwaa(local))
    assert list(looked.names()) == []
    local("s3").create_bucket(Bucket=f"medlaunch-{name}-lake-{ACCOUNT}")
    local("sqs").create_queue(QueueName=f"{name}-uploads")
    local("sns").create_topic(Name=f"{name}-alerts")
    key = local("kms").create_key()["KeyMetadata"]["KeyId"]
    local("kms").create_alias(AliasName=f"alias/{name}-lake", TargetKeyId=key)
    local("glue").create_database(DatabaseInput={"Name": f"{name}_db"})
    local("athena").create_work_group(Name=f"{name}-wg")
    local("iam").create_role(RoleName=f"{name}-worker-{REGION}", AssumeRolePolicyDocument="{}")
    statement = {"Effect": "Deny", "Action": "*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    local("iam").create_policy(PolicyName=f"b-{name}-{REGION}", PolicyDocument=document)
    local("logs").create_log_group(logGroupName=f"/{name}/flow")
    local("cloudwatch").put_metric_alarm(
        AlarmName=f"{name}-alarm", MetricName="m", Namespace="n", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
    )  # fmt: skip
    limit = {"Amount": "1", "Unit": "USD"}
    budget = {
        "BudgetName": f"{name}-monthly",
        "BudgetType": "COST",
        "TimeUnit": "MONTHLY",
        "BudgetLimit": limit,
    }
    local("budgets").create_budget(AccountId=ACCOUNT, Budget=budget)
    kinds = [text.split()[0] for text in texts(looked.names())]
    assert sorted(kinds) == sorted({kind for kind, _ in looked._new()} - {
        "AWS::EC2::VPC", "AWS::EC2::VPCEndpoint", "AWS::MWAA::Environment",
    })  # fmt: skip


def _without_mwaa(local: Callable[[str], Any]) -> Callable[[str], Any]:
    """Local AWS has no MWAA: one that has no such environment."""
    account = Account()
    for _ in range(2):
        account.refuse("mwaa", "get_environment", "ResourceNotFoundException")
    return lambda service: account(service) if service == "mwaa" else local(service)


def test_what_is_deployed_is_not_looked_for(local: Callable[[str], Any], tmp_path: Path) -> None:
    name = f"pre{uuid.uuid4().hex[:8]}"
    body = json.dumps({"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}})
    for stack in STACKS:
        local("cloudformation").create_stack(StackName=f"medlaunch-{name}-{stack}", TemplateBody=body)
    looked = Preflight(name, templates(tmp_path, name), local)
    assert looked.deployed == set(STACKS)
    for check in (looked.boundary, looked.names, looked.zones):
        assert list(check()) == []


def test_lake_formation_must_leave_the_lake_to_iam(local: Callable[[str], Any], tmp_path: Path) -> None:
    name = f"pre{uuid.uuid4().hex[:8]}"
    looked = Preflight(name, templates(tmp_path, name), local)
    client, arn = local("lakeformation"), f"arn:aws:s3:::medlaunch-{name}-lake-{ACCOUNT}"
    everyone = [
        {"Principal": {"DataLakePrincipalIdentifier": "IAM_ALLOWED_PRINCIPALS"}, "Permissions": ["ALL"]}
    ]
    kinds = ("CreateDatabaseDefaultPermissions", "CreateTableDefaultPermissions")
    client.put_data_lake_settings(DataLakeSettings=dict.fromkeys(kinds, everyone))
    assert list(looked.lake_formation()) == []
    client.register_resource(ResourceArn=arn, RoleArn=f"arn:aws:iam::{ACCOUNT}:role/x")
    client.put_data_lake_settings(DataLakeSettings={kinds[0]: everyone, kinds[1]: []})
    try:
        registered, settings = looked.lake_formation()
    finally:
        client.deregister_resource(ResourceArn=arn)
    assert registered.text.startswith(f"{arn} is registered")
    assert registered.way_out == f"aws lakeformation deregister-resource --resource-arn {arn}"
    assert settings.text.startswith("CreateTableDefaultPermissions does not include")


def test_a_key_of_the_catalog_is_named(account: Account, tmp_path: Path) -> None:
    key = f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"
    at_rest = {"CatalogEncryptionMode": "SSE-KMS", "SseAwsKmsKeyId": key}
    account.answer(
        "glue",
        "get_data_catalog_encryption_settings",
        {"DataCatalogEncryptionSettings": {"EncryptionAtRest": at_rest}},
    )
    (found,) = preflight(account, tmp_path).catalog_key()
    assert (found.level, found.text) == (Level.WARNING, f"The Glue catalog is encrypted with {key}.")


# --- the command


def test_every_finding_is_printed_with_its_way_out(
    account: Account, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    looked = preflight(account, tmp_path)
    for level, is_problem in ((Level.PROBLEM, True), (Level.WARNING, False), (Level.UNKNOWN, False)):
        found = [("zones", [Finding(level, "zones", "Text.", "Do this")]), ("budget", [])]
        monkeypatch.setattr(Preflight, "run", lambda _, found=found: iter(found))
        assert show(looked) is is_problem
        out = capsys.readouterr().out
        assert f"{level:<8} zones: Text.\n         way out: Do this\nok       budget\n" in out
        assert out.startswith(f"{CALLER['Arn']}, {REGION}; deployed: nothing\n")


def test_templates_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="Write it: make synth"):
        Preflight("dev", tmp_path, Account())


def test_actions_are_of_known_services() -> None:
    services = {action.split(":")[0] for actions in ACTIONS.values() for action in actions}
    assert services == {
        "athena", "budgets", "cloudwatch", "ec2", "glue", "iam", "kms", "logs", "airflow", "s3", "sns", "sqs",
    }  # fmt: skip
