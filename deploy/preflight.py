"""``make preflight``: what would stop a deployment, found before anything is made. Reads only.

Names, services and counts come from the templates of ``make synth``; what is already deployed is left out. A check that
the caller may not make is reported as unknown, and the others go on.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from botocore.exceptions import BotoCoreError, ClientError

STACKS = ("boundary", "lake", "access", "mwaa")
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation", "AccessDeniedError", "403"}
_MISSING = {
    "404", "NoSuchEntity", "NoSuchBucket", "NotFoundException", "EntityNotFoundException", "ResourceNotFoundException",
    "NotFound", "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "InvalidRequestException",
}  # fmt: skip


class Level(StrEnum):
    """PROBLEM stops a deployment or breaks it later, WARNING needs a decision, UNKNOWN could not be looked at."""

    PROBLEM = "problem"
    WARNING = "warning"
    UNKNOWN = "unknown"


class Finding(NamedTuple):
    """What was found, and what to do about it."""

    level: Level
    check: str
    text: str
    way_out: str


#: What makes a resource of each type of the templates. A test compares the types.
ACTIONS: dict[str, tuple[str, ...]] = {
    "AWS::Athena::WorkGroup": ("athena:CreateWorkGroup",),
    "AWS::Budgets::Budget": ("budgets:ModifyBudget",),
    "AWS::CloudWatch::Alarm": ("cloudwatch:PutMetricAlarm",),
    "AWS::EC2::EIP": ("ec2:AllocateAddress",),
    "AWS::EC2::FlowLog": ("ec2:CreateFlowLogs",),
    "AWS::EC2::InternetGateway": ("ec2:CreateInternetGateway",),
    "AWS::EC2::NatGateway": ("ec2:CreateNatGateway",),
    "AWS::EC2::Route": ("ec2:CreateRoute",),
    "AWS::EC2::RouteTable": ("ec2:CreateRouteTable",),
    "AWS::EC2::SecurityGroup": ("ec2:CreateSecurityGroup",),
    "AWS::EC2::SecurityGroupEgress": ("ec2:AuthorizeSecurityGroupEgress",),
    "AWS::EC2::SecurityGroupIngress": ("ec2:AuthorizeSecurityGroupIngress",),
    "AWS::EC2::Subnet": ("ec2:CreateSubnet",),
    "AWS::EC2::SubnetRouteTableAssociation": ("ec2:AssociateRouteTable",),
    "AWS::EC2::VPC": ("ec2:CreateVpc", "ec2:ModifyVpcAttribute"),
    "AWS::EC2::VPCEndpoint": ("ec2:CreateVpcEndpoint",),
    "AWS::EC2::VPCGatewayAttachment": ("ec2:AttachInternetGateway",),
    "AWS::Glue::DataCatalogEncryptionSettings": ("glue:PutDataCatalogEncryptionSettings",),
    "AWS::Glue::Database": ("glue:CreateDatabase",),
    "AWS::IAM::ManagedPolicy": ("iam:CreatePolicy",),
    "AWS::IAM::Policy": ("iam:PutRolePolicy",),
    "AWS::IAM::Role": ("iam:CreateRole", "iam:AttachRolePolicy"),
    "AWS::KMS::Alias": ("kms:CreateAlias",),
    "AWS::KMS::Key": ("kms:CreateKey", "kms:PutKeyPolicy", "kms:EnableKeyRotation"),
    "AWS::Logs::LogGroup": ("logs:CreateLogGroup", "logs:PutRetentionPolicy"),
    "AWS::MWAA::Environment": ("airflow:CreateEnvironment", "airflow:GetEnvironment"),
    "AWS::S3::Bucket": ("s3:CreateBucket", "s3:PutEncryptionConfiguration", "s3:PutBucketNotification"),
    "AWS::S3::BucketPolicy": ("s3:PutBucketPolicy",),
    "AWS::SNS::Subscription": ("sns:Subscribe",),
    "AWS::SNS::Topic": ("sns:CreateTopic",),
    "AWS::SNS::TopicPolicy": ("sns:SetTopicAttributes",),
    "AWS::SQS::Queue": ("sqs:CreateQueue",),
    "AWS::SQS::QueuePolicy": ("sqs:SetQueueAttributes",),
}
_DEPLOY = (
    "cloudformation:CreateChangeSet",
    "cloudformation:ExecuteChangeSet",
    "cloudformation:DescribeStacks",
)


class Preflight:
    """The checks of one environment.

    Args:
        name: of the environment.
        templates: folder that `make synth` wrote.
        client: makes a boto3 client of a service, in the region of the deployment.
        zones: the two zones of MWAA's network, if they are chosen; else those that CloudFormation would take.
    """

    def __init__(self, name: str, templates: Path, client: Callable[[str], Any], zones: Sequence[str] = ()):
        self.name, self.client, self._zones = name, client, list(zones)
        self.templates: dict[str, dict[str, Any]] = {}
        for stack in STACKS:
            file = templates / f"medlaunch-{name}-{stack}.template.json"
            if not file.is_file():
                raise FileNotFoundError(f"{file} is not there. Write it: make synth")
            self.templates[stack] = json.loads(file.read_text(encoding="utf-8"))

    def run(self) -> Iterator[tuple[str, list[Finding]]]:
        """Make each check; gives its name and what it found."""
        for check in (
            self.boundary, self.permissions, self.names, self.zones, self.quotas, self.lake_formation, self.catalog_key, self.budget,
        ):  # fmt: skip
            name = check.__name__.replace("_", " ")
            findings: list[Finding] = []
            try:
                findings += check()
            except (ClientError, BotoCoreError) as error:
                findings.append(_unknown(name, error))
            yield name, findings

    # ------------------------------------------------------------------------------- what is known

    @cached_property
    def caller(self) -> str:
        """The ARN of who asks."""
        return str(self.client("sts").get_caller_identity()["Arn"])

    @property
    def _partition(self) -> str:
        return self.caller.split(":")[1]

    @property
    def _account(self) -> str:
        return self.caller.split(":")[4]

    @cached_property
    def _region(self) -> str:
        return str(self.client("ec2").meta.region_name)

    @cached_property
    def deployed(self) -> set[str]:
        """The stacks that exist."""
        found = set()
        for stack in STACKS:
            try:
                (one,) = self.client("cloudformation").describe_stacks(
                    StackName=f"medlaunch-{self.name}-{stack}"
                )["Stacks"]
            except ClientError as error:
                if "does not exist" not in str(error):
                    raise
            else:
                if one["StackStatus"] not in ("REVIEW_IN_PROGRESS", "DELETE_COMPLETE"):
                    found.add(stack)
        return found

    def _new(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Type and properties of each resource that is still to be made."""
        for stack, template in self.templates.items():
            if stack not in self.deployed:
                yield from (
                    (one["Type"], one.get("Properties", {})) for one in template["Resources"].values()
                )

    def _text(self, value: Any) -> str | None:
        """A value of a template, if it is known before the stack is made."""
        known = {
            "AWS::AccountId": self._account,
            "AWS::Region": self._region,
            "AWS::Partition": self._partition,
        }
        match value:
            case str():
                return value
            case {"Ref": name}:
                return known.get(name)
            case {"Fn::Join": [separator, parts]}:
                texts = [self._text(one) for one in parts]
                return None if None in texts else str(separator).join(str(one) for one in texts)
        return None

    # -------------------------------------------------------------------------------------- checks

    def boundary(self) -> Iterator[Finding]:
        """Roles are made with the permissions boundary, which an administrator deploys first."""
        if "boundary" not in self.deployed:
            yield Finding(
                Level.WARNING, "boundary", f"medlaunch-{self.name}-boundary is not deployed, and every role needs it.",
                f"As an administrator, before the others: make deploy-infra ENV={self.name} STACK=boundary",
            )  # fmt: skip

    def permissions(self) -> Iterator[Finding]:
        """Whether the caller may make what is to be made, by IAM's own simulation."""
        _, _, resource = self.caller.rpartition(":")
        iam = self.client("iam")
        if resource == "root":
            yield Finding(
                Level.WARNING, "permissions", "The caller is the account's root user, whom no policy limits.",
                "Use a role: https://docs.aws.amazon.com/IAM/latest/UserGuide/root-user-best-practices.html",
            )  # fmt: skip
            return
        source = self.caller
        if resource.startswith("assumed-role/"):
            # The session's ARN has no path; the role's may.
            source = iam.get_role(RoleName=resource.split("/")[1])["Role"]["Arn"]
        kinds = {kind for kind, _ in self._new()}
        wanted = sorted({*_DEPLOY, *(action for kind in kinds for action in ACTIONS.get(kind, ()))})
        region, account, partition = self._region, self._account, self._partition
        role = f"arn:{partition}:iam::{account}:role/medlaunch-{self.name}-worker-{region}"
        policy = f"arn:{partition}:iam::{account}:policy/medlaunch-{self.name}-worker-1-{region}"
        boundary = f"arn:{partition}:iam::{account}:policy/medlaunch-boundary-{self.name}-{region}"
        given = {
            "ContextKeyName": "iam:PermissionsBoundary",
            "ContextKeyValues": [boundary],
            "ContextKeyType": "string",
        }
        passed = {
            "ContextKeyName": "iam:PassedToService", "ContextKeyValues": ["airflow.amazonaws.com"], "ContextKeyType": "string",
        }  # fmt: skip
        questions = [
            ([one for one in wanted if not one.startswith("iam:")], "*", []),
            ([one for one in wanted if one.startswith("iam:") and "Role" in one], role, [given]),
            ([one for one in wanted if one == "iam:CreatePolicy"], policy, []),
            (["iam:PassRole"] if "AWS::MWAA::Environment" in kinds else [], role, [passed]),
        ]
        denied = []
        for actions, on, context in questions:
            if actions:
                pages = iam.get_paginator("simulate_principal_policy").paginate(
                    PolicySourceArn=source, ActionNames=actions, ResourceArns=[on], ContextEntries=context
                )
                results = [one for page in pages for one in page["EvaluationResults"]]
                denied += [one["EvalActionName"] for one in results if one["EvalDecision"] != "allowed"]
        if denied:
            yield Finding(
                Level.PROBLEM, "permissions", f"{source} may not: {', '.join(sorted(denied))}.",
                "Deploy with the role of docs/deploy.md (With GitHub Actions), or as an administrator. A policy that allows "
                "an action on named resources only is not seen here.",
            )  # fmt: skip

    def names(self) -> Iterator[Finding]:
        """Names that something else has, or that a deleted stack has kept."""
        for kind, properties in self._new():
            if kind not in _NAMED:
                continue
            name = self._text(_NAMED[kind].name(properties))
            if name is None:
                continue
            try:
                found = _NAMED[kind].find(self.client, name, self)
            except ClientError as error:
                if _is(error, _MISSING):
                    continue
                # S3 says 403 of a bucket that is there and belongs to another account.
                if kind != "AWS::S3::Bucket" or not _is(error, {"403"}):
                    if not _is(error, _DENIED):
                        raise
                    yield _unknown("names", error)
                    continue
                found = True
            if found:
                yield Finding(
                    Level.PROBLEM, "names", f"{kind} {name} exists, and no stack of {self.name} made it.",
                    "Delete it, if nobody needs it; one that a deleted stack has kept (prod keeps its data) can be imported: "
                    "aws cloudformation create-change-set --change-set-type IMPORT",
                )  # fmt: skip

    def zones(self) -> Iterator[Finding]:
        """Whether each endpoint's service is in both zones of MWAA's network."""
        if "mwaa" in self.deployed:
            return
        ec2 = self.client("ec2")
        services = {
            str(self._text(one["ServiceName"]))
            for kind, one in self._new()
            if kind == "AWS::EC2::VPCEndpoint" and one.get("VpcEndpointType") == "Interface"
        }
        found = {
            one["ServiceName"]: set(one["AvailabilityZones"])
            for page in ec2.get_paginator("describe_vpc_endpoint_services").paginate()
            for one in page["ServiceDetails"]
            if one["ServiceName"] in services
        }
        if absent := sorted(services - found.keys()):
            yield Finding(
                Level.PROBLEM, "zones", f"{self._region} does not offer: {', '.join(absent)}.",
                "Choose another region: AWS_REGION",
            )  # fmt: skip
        every = set.intersection(*found.values()) if found else set()
        chosen = self._zones or self._default_zones()
        wrong = [zone for zone in chosen if zone not in every]
        if wrong:
            lacking = "; ".join(
                f"{zone} lacks {', '.join(sorted(name for name, has in found.items() if zone not in has))}"
                for zone in wrong
            )
            enough = sorted(every)
            yield Finding(
                Level.PROBLEM, "zones", f"MWAA's network would be in {' and '.join(chosen)}, and {lacking}.",
                f'make deploy-infra ENV={self.name} STACK=mwaa PARAMETERS="Zone1={enough[0]} Zone2={enough[1]}"'
                if len(enough) > 1
                else "No two zones of the region have every service: choose another region",
            )  # fmt: skip

    def _default_zones(self) -> list[str]:
        """The two that Fn::GetAZs gives: those with a default subnet, or all if there is none, by name.

        https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-getavailabilityzones.html
        """
        ec2 = self.client("ec2")
        subnets = ec2.describe_subnets(Filters=[{"Name": "default-for-az", "Values": ["true"]}])["Subnets"]
        zones = {one["AvailabilityZone"] for one in subnets}
        if not zones:
            all_of_it = ec2.describe_availability_zones(
                Filters=[{"Name": "zone-type", "Values": ["availability-zone"]}]
            )
            zones = {one["ZoneName"] for one in all_of_it["AvailabilityZones"]}
        return sorted(zones)[:2]

    def quotas(self) -> Iterator[Finding]:
        """Whether the account's quotas have room for what is to be made."""
        new = Counter(kind for kind, _ in self._new())
        endpoints = sum(
            one.get("VpcEndpointType") == "Interface"
            for kind, one in self._new()
            if kind == "AWS::EC2::VPCEndpoint"
        )
        ec2, iam = self.client("ec2"), self.client("iam").get_account_summary()["SummaryMap"]
        needs: list[tuple[str, int, int, int | None]] = [
            ("IAM roles", iam["Roles"], new["AWS::IAM::Role"], iam["RolesQuota"]),
            ("IAM policies", iam["Policies"], new["AWS::IAM::ManagedPolicy"], iam["PoliciesQuota"]),
        ]
        if new["AWS::S3::Bucket"]:
            buckets = len(self.client("s3").list_buckets()["Buckets"])
            needs.append(("S3 buckets", buckets, new["AWS::S3::Bucket"], self._quota("s3", "L-DC2B2D3D")))
        if new["AWS::EC2::VPC"]:
            vpcs = sum(len(page["Vpcs"]) for page in ec2.get_paginator("describe_vpcs").paginate())
            needs.append(("VPCs of the region", vpcs, 1, self._quota("vpc", "L-F678F1CE")))
            needs.append(("interface endpoints of a VPC", 0, endpoints, self._quota("vpc", "L-29B6F2EB")))
        if new["AWS::EC2::EIP"]:
            used = len(ec2.describe_addresses()["Addresses"])
            needs.append(
                ("Elastic IP addresses", used, new["AWS::EC2::EIP"], self._quota("ec2", "L-0263D0A3"))
            )
        if new["AWS::MWAA::Environment"]:
            used = sum(
                len(page["Environments"])
                for page in self.client("mwaa").get_paginator("list_environments").paginate()
            )
            needs.append(("MWAA environments", used, 1, self._quota_named("airflow", "environments")))
        for what, used, more, quota in needs:
            if quota is None:
                yield Finding(
                    Level.UNKNOWN, "quotas", f"Service Quotas lists no quota for {what}; {used} are used.",
                    "Look it up in the console of Service Quotas",
                )  # fmt: skip
            elif more and used + more > quota:
                yield Finding(
                    Level.PROBLEM, "quotas", f"{what}: {used} of {quota} are used, and {more} more are needed.",
                    "Ask for more in Service Quotas (aws service-quotas request-service-quota-increase), or delete some",
                )  # fmt: skip

    def _quota(self, service: str, code: str) -> int | None:
        quotas = self.client("service-quotas")
        for ask in (quotas.get_service_quota, quotas.get_aws_default_service_quota):
            try:
                return int(ask(ServiceCode=service, QuotaCode=code)["Quota"]["Value"])
            except ClientError as error:
                if not _is(error, {"NoSuchResourceException"}):
                    raise
        return None

    def _quota_named(self, service: str, word: str) -> int | None:
        """The quota whose name begins with a word: of MWAA, AWS documents names and no codes."""
        pages = (
            self.client("service-quotas").get_paginator("list_service_quotas").paginate(ServiceCode=service)
        )
        found = (one for page in pages for one in page["Quotas"] if one["QuotaName"].lower().startswith(word))
        return next((int(one["Value"]) for one in found), None)

    def lake_formation(self) -> Iterator[Finding]:
        """Whether Lake Formation, rather than IAM alone, decides on the lake's location and the new database.

        A location in hybrid access mode is a problem too: creating tables and partitions needs permissions there.
        https://docs.aws.amazon.com/lake-formation/latest/dg/hybrid-access-mode.html
        """
        client = self.client("lakeformation")
        bucket = f"arn:{self._partition}:s3:::medlaunch-{self.name}-lake-{self._account}"
        request: dict[str, Any] = {}
        while True:
            page = client.list_resources(**request)
            for one in page.get("ResourceInfoList", []):
                if one["ResourceArn"].rstrip("/*") == bucket or one["ResourceArn"].startswith(f"{bucket}/"):
                    yield Finding(
                        Level.PROBLEM, "lake formation", f"{one['ResourceArn']} is registered with Lake Formation: Athena then "
                        "asks it and not IAM, and has no DDL on Iceberg tables there, which the pipelines need.",
                        f"aws lakeformation deregister-resource --resource-arn {one['ResourceArn']}",
                    )  # fmt: skip
            if not page.get("NextToken"):
                break
            request = {"NextToken": page["NextToken"]}
        settings = client.get_data_lake_settings()["DataLakeSettings"]
        for kind in ("CreateDatabaseDefaultPermissions", "CreateTableDefaultPermissions"):
            principals = [
                one["Principal"].get("DataLakePrincipalIdentifier") for one in settings.get(kind, [])
            ]
            if "IAM_ALLOWED_PRINCIPALS" not in principals:
                yield Finding(
                    Level.PROBLEM, "lake formation", f"{kind} does not include IAM_ALLOWED_PRINCIPALS: IAM's permissions alone do "
                    "not suffice for what is created.",
                    "In Lake Formation's console, Data Catalog settings: use only IAM access control for new databases and "
                    "tables; or grant the roles what docs/deploy.md lists",
                )  # fmt: skip

    def catalog_key(self) -> Iterator[Finding]:
        """Whether the account's Glue catalog is encrypted with a key that the roles may not use."""
        glue = self.client("glue")
        at_rest = glue.get_data_catalog_encryption_settings()["DataCatalogEncryptionSettings"].get(
            "EncryptionAtRest", {}
        )
        key = at_rest.get("SseAwsKmsKeyId")
        if at_rest.get("CatalogEncryptionMode", "DISABLED") == "DISABLED":
            return
        owns = any(kind == "AWS::Glue::DataCatalogEncryptionSettings" for kind, _ in self._new())
        if owns:
            yield Finding(
                Level.PROBLEM, "catalog key", f"The Glue catalog is encrypted already, with {key or 'the key of AWS'}, and this "
                "environment would replace the setting for the whole account.",
                "Set encrypt_catalog=False in infra/environments.py: one environment per account owns it",
            )  # fmt: skip
        elif "lake" not in self.deployed and key and "alias/aws/" not in key:
            yield Finding(
                Level.WARNING, "catalog key", f"The Glue catalog is encrypted with {key}.",
                f"Allow kms:Decrypt, kms:Encrypt and kms:GenerateDataKey in its policy to medlaunch-{self.name}-* roles",
            )  # fmt: skip

    def budget(self) -> Iterator[Finding]:
        """Whether budgets can be read at all, and whether a smaller one of the account would alert first."""
        ours = [
            float(one["Budget"]["BudgetLimit"]["Amount"])
            for kind, one in self._new()
            if kind == "AWS::Budgets::Budget"
        ]
        pages = self.client("budgets").get_paginator("describe_budgets").paginate(AccountId=self._account)
        for one in (budget for page in pages for budget in page.get("Budgets", [])):
            limit = one.get("BudgetLimit", {})
            smaller = limit.get("Unit") == "USD" and ours and float(limit["Amount"]) < ours[0]
            if one["TimeUnit"] == "MONTHLY" and smaller and not one.get("CostFilters"):
                yield Finding(
                    Level.WARNING, "budget", f"The account's budget {one['BudgetName']} is {float(limit['Amount']):g} USD per month; "
                    f"{self.name} expects up to {ours[0]:g}.",
                    "Raise it, or delete MWAA's stack when nobody needs it: docs/deploy.md, What it costs",
                )  # fmt: skip


# --- names -----------------------------------------------------------------------------------------


class _Named(NamedTuple):
    """How a name of a template is looked up; a missing one may raise one of ``_MISSING``."""

    name: Callable[[Mapping[str, Any]], Any]
    find: Callable[[Callable[[str], Any], str, Preflight], Any]


def _alias(client: Callable[[str], Any], name: str, _: Preflight) -> bool:
    pages = client("kms").get_paginator("list_aliases").paginate()
    return any(one["AliasName"] == name for page in pages for one in page["Aliases"])


def _log_group(client: Callable[[str], Any], name: str, _: Preflight) -> bool:
    groups = client("logs").describe_log_groups(logGroupNamePrefix=name)["logGroups"]
    return any(one["logGroupName"] == name for one in groups)


def _topic(client: Callable[[str], Any], name: str, of: Preflight) -> Any:
    return client("sns").get_topic_attributes(
        TopicArn=f"arn:{of._partition}:sns:{of._region}:{of._account}:{name}"
    )


def _policy(client: Callable[[str], Any], name: str, of: Preflight) -> Any:
    return client("iam").get_policy(PolicyArn=f"arn:{of._partition}:iam::{of._account}:policy/{name}")


_NAMED: dict[str, _Named] = {
    "AWS::S3::Bucket": _Named(lambda p: p.get("BucketName"), lambda c, n, _: c("s3").head_bucket(Bucket=n)),
    "AWS::SQS::Queue": _Named(
        lambda p: p.get("QueueName"), lambda c, n, _: c("sqs").get_queue_url(QueueName=n)
    ),
    "AWS::SNS::Topic": _Named(lambda p: p.get("TopicName"), _topic),
    "AWS::KMS::Alias": _Named(lambda p: p.get("AliasName"), _alias),
    "AWS::Glue::Database": _Named(
        lambda p: p["DatabaseInput"].get("Name"), lambda c, n, _: c("glue").get_database(Name=n)
    ),
    "AWS::Athena::WorkGroup": _Named(
        lambda p: p.get("Name"), lambda c, n, _: c("athena").get_work_group(WorkGroup=n)
    ),
    "AWS::IAM::Role": _Named(lambda p: p.get("RoleName"), lambda c, n, _: c("iam").get_role(RoleName=n)),
    "AWS::IAM::ManagedPolicy": _Named(lambda p: p.get("ManagedPolicyName"), _policy),
    "AWS::Logs::LogGroup": _Named(lambda p: p.get("LogGroupName"), _log_group),
    "AWS::MWAA::Environment": _Named(
        lambda p: p.get("Name"), lambda c, n, _: c("mwaa").get_environment(Name=n)
    ),
    "AWS::Budgets::Budget": _Named(
        lambda p: p["Budget"].get("BudgetName"),
        lambda c, n, of: c("budgets").describe_budget(AccountId=of._account, BudgetName=n),
    ),
    "AWS::CloudWatch::Alarm": _Named(
        lambda p: p.get("AlarmName"),
        lambda c, n, _: c("cloudwatch").describe_alarms(AlarmNames=[n])["MetricAlarms"],
    ),
}


def _is(error: ClientError, codes: set[str]) -> bool:
    return error.response["Error"]["Code"] in codes


def _unknown(check: str, error: ClientError | BotoCoreError) -> Finding:
    if isinstance(error, ClientError) and _is(error, _DENIED):
        return Finding(
            Level.UNKNOWN,
            check,
            f"The caller may not call {error.operation_name}.",
            "Allow it, or have somebody run make preflight who may",
        )
    return Finding(
        Level.UNKNOWN,
        check,
        f"{error}",
        "Run make preflight again; if it stays, look at the service in the console",
    )


def show(preflight: Preflight) -> bool:
    """Print the findings of every check; returns whether a problem is among them."""
    problems = 0
    print(
        f"{preflight.caller}, {preflight._region}; deployed: {', '.join(sorted(preflight.deployed)) or 'nothing'}"
    )
    for name, findings in preflight.run():
        if not findings:
            print(f"ok       {name}")
        for one in findings:
            print(f"{one.level:<8} {name}: {one.text}\n         way out: {one.way_out}")
        problems += sum(one.level == Level.PROBLEM for one in findings)
    return problems > 0
