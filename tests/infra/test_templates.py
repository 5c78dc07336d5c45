"""Each promise of infra/, looked up in the templates of both environments. `make test-infra` runs it."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from deploy import environment as deployment
from deploy.mwaa import OBJECTS
from deploy.preflight import ACTIONS
from local_aws.iam.policies import Access, decide
from medlaunch import lake, permissions
from medlaunch.permissions import EnvironmentArns
from medlaunch.pipelines import by_dag
from medlaunch.publish import partitions
from medlaunch.settings import Settings
from tests.infra.templates import ACCOUNT, FOLDER, REGION, ROOT, of_type, template, text

STACKS = ("boundary", "lake", "access", "mwaa", "readers")

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("name", ["dev", "prod"])]


def the(found: dict[str, Any], kind: str, **properties: Any) -> dict[str, Any]:
    """The properties of the only resource of a type, or of the one that has these properties."""
    (one,) = [
        one["Properties"]
        for one in of_type(found, kind).values()
        if all(text(one["Properties"].get(key)) == value for key, value in properties.items())
    ]
    return one


def bucket(name: str, what: str) -> dict[str, Any]:
    return the(template(name, "lake"), "AWS::S3::Bucket", BucketName=f"medlaunch-{name}-{what}-{ACCOUNT}")


# --- buckets and their key


def test_the_lake_is_encrypted_with_a_rotating_key_of_its_own(name: str) -> None:
    found = template(name, "lake")
    ((key_id, key),) = of_type(found, "AWS::KMS::Key").items()
    assert key["Properties"]["EnableKeyRotation"] is True
    assert key["Properties"]["RotationPeriodInDays"] == 365
    (rule,) = bucket(name, "lake")["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert rule["BucketKeyEnabled"] is True
    assert rule["ServerSideEncryptionByDefault"] == {
        "SSEAlgorithm": "aws:kms",
        "KMSMasterKeyID": {"Fn::GetAtt": [key_id, "Arn"]},
    }


@pytest.mark.parametrize("what", ["lake", "logs", "mwaa"])
def test_no_bucket_is_public_and_all_keep_versions(what: str, name: str) -> None:
    found = bucket(name, what)
    assert set(found["PublicAccessBlockConfiguration"]) == {
        "BlockPublicAcls",
        "BlockPublicPolicy",
        "IgnorePublicAcls",
        "RestrictPublicBuckets",
    }
    assert all(value is True for value in found["PublicAccessBlockConfiguration"].values())
    assert found["VersioningConfiguration"] == {"Status": "Enabled"}
    assert found["OwnershipControls"]["Rules"] == [{"ObjectOwnership": "BucketOwnerEnforced"}]
    assert found["BucketEncryption"]["ServerSideEncryptionConfiguration"]


def test_buckets_topics_and_queues_are_spoken_to_by_tls_only(name: str) -> None:
    found = template(name, "lake")
    for secured, policy in (
        ("AWS::S3::Bucket", "AWS::S3::BucketPolicy"),
        ("AWS::SNS::Topic", "AWS::SNS::TopicPolicy"),
        ("AWS::SQS::Queue", "AWS::SQS::QueuePolicy"),
    ):
        refused = {
            text(target)
            for each in of_type(found, policy).values()
            for one in each["Properties"]["PolicyDocument"]["Statement"]
            if one["Effect"] == "Deny"
            and one["Principal"] in ("*", {"AWS": "*"})
            and one["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
            for target in listed(one["Resource"])
        }
        arns = {
            f"<{id_}>" if secured == "AWS::SNS::Topic" else f"<{id_}.Arn>" for id_ in of_type(found, secured)
        }
        if secured == "AWS::S3::Bucket":
            arns |= {f"{arn}/*" for arn in arns}
        assert refused == arns
    old_tls = json.dumps({"NumericLessThan": {"s3:TlsVersion": 1.2}})
    policies = of_type(found, "AWS::S3::BucketPolicy").values()
    assert all(old_tls in json.dumps(one["Properties"]["PolicyDocument"]) for one in policies)


@pytest.mark.parametrize("what", ["lake", "mwaa"])
def test_access_is_logged_to_a_bucket_that_lets_s3_write(what: str, name: str) -> None:
    found = template(name, "lake")
    logging = bucket(name, what)["LoggingConfiguration"]
    logs_id = logging["DestinationBucketName"]["Ref"]
    buckets = {
        text(one["Properties"]["BucketName"]): id_ for id_, one in of_type(found, "AWS::S3::Bucket").items()
    }
    assert buckets[f"medlaunch-{name}-logs-{ACCOUNT}"] == logs_id
    (written,) = [
        one
        for each in of_type(found, "AWS::S3::BucketPolicy").values()
        for one in each["Properties"]["PolicyDocument"]["Statement"]
        if one["Principal"] == {"Service": "logging.s3.amazonaws.com"}
        and text(one["Condition"]["ArnLike"]["aws:SourceArn"])
        == f"<{buckets[f'medlaunch-{name}-{what}-{ACCOUNT}']}.Arn>"
    ]
    assert (written["Effect"], written["Action"]) == ("Allow", "s3:PutObject")
    assert text(written["Resource"]) == f"<{logs_id}.Arn>/{logging['LogFilePrefix']}*"
    (kept,) = bucket(name, "logs")["LifecycleConfiguration"]["Rules"]
    assert kept["ExpirationInDays"] == {"dev": 30, "prod": 365}[name]


def test_lifecycle(name: str) -> None:
    rules = {one["Id"]: one for one in bucket(name, "lake")["LifecycleConfiguration"]["Rules"]}
    assert {one.pop("Status") for one in rules.values()} == {"Enabled"}
    prod = name == "prod"

    def expiring(prefix: str, days: int, noncurrent: int) -> dict[str, Any]:
        return {
            "Prefix": f"{prefix}/",
            "ExpirationInDays": days,
            "NoncurrentVersionExpiration": {"NoncurrentDays": noncurrent},
        }

    # All of them, so that nothing else expires: landing, archive, bronze, prod and reports stay until somebody
    # deletes them.
    assert {id_: {key: rule[key] for key in rule if key != "Id"} for id_, rule in rules.items()} == {
        "athena-results": expiring(lake.ATHENA_RESULTS, 7, 1),
        "staging": expiring(lake.STAGING, 14, 1),
        "quarantine": expiring(lake.QUARANTINE, 365 if prod else 30, 90 if prod else 7),
        # Published files go when they carry the tag that publishing gives them, and only then.
        "superseded-versions": {
            "Prefix": f"{lake.PROD}/",
            "TagFilters": [partitions.SUPERSEDED_TAG],
            "ExpirationInDays": 30 if prod else 7,
        },
        "noncurrent": {
            "NoncurrentVersionExpiration": {"NoncurrentDays": 90 if prod else 7},
            "ExpiredObjectDeleteMarker": True,
        },
        "incomplete-uploads": {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}},
    }


def test_tags(name: str) -> None:
    wanted = {
        "Application": "medlaunch",
        "Environment": name,
        "DataClass": "Confidential",
        "ContainsPHI": "false",
    }
    # Of what can be tagged; a type that is new here belongs into one of the two.
    untagged = {
        *("AWS::KMS::Alias", "AWS::S3::BucketPolicy", "AWS::SQS::QueuePolicy", "AWS::SNS::TopicPolicy"),
        *("AWS::SNS::Subscription", "AWS::Glue::DataCatalogEncryptionSettings", "AWS::Glue::Database"),
        *("AWS::IAM::ManagedPolicy", "AWS::IAM::Policy", "AWS::Budgets::Budget"),
        *("AWS::EC2::SubnetRouteTableAssociation", "AWS::EC2::SecurityGroupIngress"),
        "AWS::EC2::SecurityGroupEgress",
    }
    for stack in STACKS:
        for id_, one in template(name, stack)["Resources"].items():
            tags = one["Properties"].get("Tags", [])
            found = tags if isinstance(tags, dict) else {tag["Key"]: tag["Value"] for tag in tags}
            assert (wanted.items() <= found.items()) == (one["Type"] not in untagged), f"{stack}: {id_}"


# --- queue and topics


def test_each_pipeline_has_a_queue_for_the_events_of_its_landing_prefixes(name: str) -> None:
    found = template(name, "lake")
    ((key_id, _),) = of_type(found, "AWS::KMS::Key").items()
    queues = of_type(found, "AWS::SQS::Queue")
    assert {text(one["Properties"]["KmsMasterKeyId"]) for one in queues.values()} == {f"<{key_id}.Arn>"}
    lake_bucket = next(
        one
        for one in of_type(found, "AWS::S3::Bucket").values()
        if "NotificationConfiguration" in one["Properties"]
    )
    configured = lake_bucket["Properties"]["NotificationConfiguration"]["QueueConfigurations"]
    assert {one["Event"] for one in configured} == {"s3:ObjectCreated:*"}
    (url,) = [
        text(one["Value"]) for key, one in found["Outputs"].items() if key == "MedlaunchUploadsQueueUrl"
    ]
    host, _, queue_name = url.rpartition("/")
    assert host == f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}"
    policies = of_type(found, "AWS::SQS::QueuePolicy")
    watched: list[str] = []
    for dag_id, pipelines in by_dag().items():
        # The name that the DAG asks for.
        (queue_id,) = [
            id_
            for id_, one in queues.items()
            if one["Properties"]["QueueName"] == queue_name.replace("{dag_id}", dag_id)
        ]
        prefixes = [
            rule["Value"]
            for one in configured
            if one["Queue"] == {"Fn::GetAtt": [queue_id, "Arn"]}
            for rule in one["Filter"]["S3Key"]["Rules"]
            if rule["Name"] == "prefix"
        ]
        assert prefixes == [lake.landing_prefix(one.name) for each in pipelines for one in each.datasets]
        watched += prefixes
        uploads = queues[queue_id]["Properties"]
        dead = queues[uploads["RedrivePolicy"]["deadLetterTargetArn"]["Fn::GetAtt"][0]]["Properties"]
        assert dead["QueueName"] == f"{uploads['QueueName']}-dead-letters"
        assert dead["MessageRetentionPeriod"] > uploads["MessageRetentionPeriod"]
        assert uploads["RedrivePolicy"]["maxReceiveCount"] == 5
        # Only this bucket of this account may send, and it can: the policy is there before the bucket.
        (policy_id,) = [
            id_ for id_, one in policies.items() if one["Properties"]["Queues"] == [{"Ref": queue_id}]
        ]
        (allowed,) = [
            one
            for one in policies[policy_id]["Properties"]["PolicyDocument"]["Statement"]
            if one["Effect"] == "Allow"
        ]
        assert (allowed["Principal"], allowed["Action"]) == (
            {"Service": "s3.amazonaws.com"},
            "sqs:SendMessage",
        )
        assert text(allowed["Condition"]["ArnEquals"]["aws:SourceArn"]) == (
            f"arn:aws:s3:::medlaunch-{name}-lake-{ACCOUNT}"
        )
        assert text(allowed["Condition"]["StringEquals"]["aws:SourceAccount"]) == ACCOUNT
        assert policy_id in lake_bucket["DependsOn"]
    assert len(queues) == 2 * len(by_dag())
    assert len(configured) == len(watched)
    # S3 refuses two notifications of one event whose prefixes overlap.
    assert not [(a, b) for a in watched for b in watched if a is not b and a.startswith(b)]
    # The senders may use the key of the queues and the topics, for this account.
    users = {
        one["Principal"]["Service"]: one
        for one in the(found, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
        if "Service" in one["Principal"]
    }
    assert set(users) == {f"{one}.amazonaws.com" for one in ("s3", "cloudwatch", "budgets")}
    for one in users.values():
        assert one["Action"] == ["kms:Decrypt", "kms:GenerateDataKey*"]
        assert text(one["Condition"]["StringEquals"]["aws:SourceAccount"]) == ACCOUNT


def test_topics_are_encrypted_and_subscribed_by_parameters(name: str) -> None:
    found = template(name, "lake")
    topics = of_type(found, "AWS::SNS::Topic")
    assert {one["Properties"]["TopicName"] for one in topics.values()} == {
        f"medlaunch-{name}-{what}" for what in ("alerts", "notifications", "alarms")
    }
    ((key_id, _),) = of_type(found, "AWS::KMS::Key").items()
    assert {text(one["Properties"]["KmsMasterKeyId"]) for one in topics.values()} == {f"<{key_id}.Arn>"}
    subscriptions = of_type(found, "AWS::SNS::Subscription")
    ids = {one["Properties"]["TopicName"].rsplit("-", 1)[1]: id_ for id_, one in topics.items()}
    assert {
        (
            one["Properties"]["Endpoint"]["Ref"],
            one["Properties"]["Protocol"],
            one["Properties"]["TopicArn"]["Ref"],
        )
        for one in subscriptions.values()
    } == {
        (f"{topic.capitalize()}{protocol.capitalize()}", protocol, ids[topic])
        for topic in ("alerts", "notifications", "alarms")
        for protocol in ("email", "https")
    }
    for one in subscriptions.values():
        parameter = one["Properties"]["Endpoint"]["Ref"]
        assert found["Parameters"][parameter]["Default"] == ""
        assert found["Conditions"][one["Condition"]] == {
            "Fn::Not": [{"Fn::Equals": [{"Ref": parameter}, ""]}]
        }
    for parameter, one in found["Parameters"].items():
        assert bool(one.get("NoEcho")) == parameter.endswith("Https")
        assert re.fullmatch(one["AllowedPattern"], "")
        given = {"Email": "on-call@example.org", "Https": "https://example.org/hook"}
        for kind, address in given.items():
            assert bool(re.fullmatch(one["AllowedPattern"], address)) == parameter.endswith(kind)


# --- catalog, queries, role


def test_the_catalog_is_encrypted_only_for_its_owner_and_for_good(name: str, tmp_path: Path) -> None:
    found = template(name, "lake")
    assert the(found, "AWS::Glue::Database")["DatabaseInput"]["Name"] == f"medlaunch_{name}"
    # A setting of the whole account, in which other teams have catalogs too.
    assert not of_type(found, "AWS::Glue::DataCatalogEncryptionSettings")
    program = (
        "import sys; from dataclasses import replace; from aws_cdk import App; from infra import app\n"
        "one = App(outdir=sys.argv[1], context=app.FLAGS)\n"
        f"app.ENVIRONMENTS[{name!r}] = replace(app.ENVIRONMENTS[{name!r}], encrypt_catalog=True)\n"
        f"app.build(one, [{name!r}])\n"
        "one.synth()\n"
    )
    run = in_infra(program, tmp_path)
    assert run.returncode == 0, run.stderr
    owner = json.loads((tmp_path / f"medlaunch-{name}-lake.template.json").read_text(encoding="utf-8"))
    settings = the(owner, "AWS::Glue::DataCatalogEncryptionSettings")["DataCatalogEncryptionSettings"]
    assert settings["EncryptionAtRest"]["CatalogEncryptionMode"] == "SSE-KMS"
    ((key_id, key),) = of_type(owner, "AWS::KMS::Key").items()
    assert settings["EncryptionAtRest"]["SseAwsKmsKeyId"] == {"Fn::GetAtt": [key_id, "Arn"]}
    assert settings["ConnectionPasswordEncryption"]["ReturnConnectionPasswordEncrypted"] is True
    # Neither goes with the stack: the metadata could not be read any more.
    (encryption,) = of_type(owner, "AWS::Glue::DataCatalogEncryptionSettings").values()
    assert {one["DeletionPolicy"] for one in (encryption, key)} == {"Retain"}


def in_infra(program: str, *arguments: Path) -> subprocess.CompletedProcess[str]:
    """Run a program in the environment that has CDK."""
    return subprocess.run(
        [os.environ["INFRA_PYTHON"], "-c", program, *map(str, arguments)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": f"{ROOT}:{ROOT / 'plugins'}"},
        check=False,
    )


def test_the_workgroup_enforces_where_how_and_how_much(name: str) -> None:
    found = template(name, "lake")
    workgroup = the(found, "AWS::Athena::WorkGroup")
    assert (workgroup["Name"], workgroup["State"]) == (f"medlaunch-{name}", "ENABLED")
    enforced = workgroup["WorkGroupConfiguration"]
    assert enforced["EnforceWorkGroupConfiguration"] is True
    assert enforced["PublishCloudWatchMetricsEnabled"] is True
    assert enforced["BytesScannedCutoffPerQuery"] == {"dev": 50, "prod": 500}[name] * 1024**3
    results = enforced["ResultConfiguration"]
    lake_id = next(
        id_
        for id_, one in of_type(found, "AWS::S3::Bucket").items()
        if "NotificationConfiguration" in one["Properties"]
    )
    assert text(results["OutputLocation"]) == f"s3://<{lake_id}>/{lake.ATHENA_RESULTS}/"
    ((key_id, _),) = of_type(found, "AWS::KMS::Key").items()
    assert results["EncryptionConfiguration"] == {
        "EncryptionOption": "SSE_KMS",
        "KmsKey": {"Fn::GetAtt": [key_id, "Arn"]},
    }
    assert enforced["EngineVersion"] == {"SelectedEngineVersion": "Athena engine version 3"}


def test_the_role_has_the_permissions_that_the_tests_use(name: str) -> None:
    found = template(name, "access")
    ((role_id, role),) = of_type(found, "AWS::IAM::Role").items()
    trusted = role["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert {one["Principal"]["Service"] for one in trusted} == {
        "airflow.amazonaws.com",
        "airflow-env.amazonaws.com",
    }
    assert all(text(one["Condition"]["StringEquals"]["aws:SourceAccount"]) == ACCOUNT for one in trusted)
    assert "Policies" not in role["Properties"]
    lake_ = template(name, "lake")
    ((key_id, _),) = of_type(lake_, "AWS::KMS::Key").items()
    (export,) = [
        one["Export"]["Name"]
        for one in lake_["Outputs"].values()
        if "Export" in one and one["Value"] == {"Fn::GetAtt": [key_id, "Arn"]}
    ]
    place = EnvironmentArns.of(
        region=REGION,
        account=ACCOUNT,
        bucket=f"medlaunch-{name}-lake-{ACCOUNT}",
        database=f"medlaunch_{name}",
        workgroup=f"medlaunch-{name}",
        alerts_topic=f"arn:aws:sns:{REGION}:{ACCOUNT}:medlaunch-{name}-alerts",
        success_topic=f"arn:aws:sns:{REGION}:{ACCOUNT}:medlaunch-{name}-notifications",
        uploads_queues=f"arn:aws:sqs:{REGION}:{ACCOUNT}:medlaunch-{name}-uploads-",
        key=f"<{export}>",
    )
    policies = of_type(found, "AWS::IAM::ManagedPolicy").values()
    assert all(one["Properties"]["Roles"] == [{"Ref": role_id}] for one in policies)
    allowed = [one for each in policies for one in each["Properties"]["PolicyDocument"]["Statement"]]
    wanted = [
        one
        for dag_id in permissions.dag_ids()
        for one in permissions.policy(permissions.of(dag_id), place)["Statement"]
    ]

    def flat(statement: dict[str, Any]) -> str:
        def every(value: Any) -> list[str]:
            return sorted(text(one) for one in listed(value))

        condition = {
            operator: {key: every(values) for key, values in keys.items()}
            for operator, keys in statement.get("Condition", {}).items()
        }
        return json.dumps(
            [statement["Sid"], every(statement["Action"]), every(statement["Resource"]), condition]
        )

    # What several DAGs need is declared by each, and allowed once.
    assert sorted(map(flat, allowed)) == sorted(set(map(flat, wanted)))


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_every_role_is_bounded_and_the_boundary_allows_all_it_needs(name: str) -> None:
    boundary = the(template(name, "boundary"), "AWS::IAM::ManagedPolicy")
    arn = f"arn:aws:iam::{ACCOUNT}:policy/{text(boundary['ManagedPolicyName'])}"
    document = as_deployed(boundary["PolicyDocument"])
    roles = [role for stack in STACKS for role in of_type(template(name, stack), "AWS::IAM::Role").values()]
    assert roles
    assert {text(one["Properties"]["PermissionsBoundary"]) for one in roles} == {arn}
    needed = [
        (action, as_deployed(resource), statement.get("Condition", {}))
        for stack in STACKS[1:]
        for policy in of_type(template(name, stack), "AWS::IAM::ManagedPolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        for action in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    ]
    assert len(needed) > 100
    for action, resource, conditions in needed:
        context = tuple(
            (key, text(listed(values)[0])) for keys in conditions.values() for key, values in keys.items()
        )
        allowing, why = decide([json.dumps(document)], Access(action, resource, context))
        assert allowing, f"{action} on {resource}: {why}"
    for action, resource in (
        ("iam:CreateRole", f"arn:aws:iam::{ACCOUNT}:role/medlaunch-{name}-more"),
        ("iam:CreatePolicyVersion", arn),
        ("sts:AssumeRole", f"arn:aws:iam::{ACCOUNT}:role/administrator"),
        ("s3:GetObject", "arn:aws:s3:::another-teams-bucket/key"),
        ("glue:GetTable", f"arn:aws:glue:{REGION}:{ACCOUNT}:table/another_team/orders"),
        ("kms:Decrypt", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"),  # not through a service
        ("kms:PutKeyPolicy", f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1"),
    ):
        assert not decide([json.dumps(document)], Access(action, resource))[0], action


def as_deployed(value: Any) -> Any:
    """A part of a template with its texts as :func:`text` gives them, keys and other ARNs made up."""
    if isinstance(value, list):
        return [as_deployed(one) for one in value]
    if isinstance(value, dict) and not (len(value) == 1 and next(iter(value)) in ("Ref", *_FUNCTIONS)):
        return {key: as_deployed(one) for key, one in value.items()}
    found = text(value)
    return f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1" if re.fullmatch(r"<[^>]*Key[^>]*>", found) else found


_FUNCTIONS = ("Fn::Join", "Fn::GetAtt", "Fn::ImportValue")


# --- who is told, and what comes out


def test_alarms_and_budget_reach_the_topic_of_alarms(name: str) -> None:
    found = template(name, "lake")
    (topic,) = [
        id_
        for id_, one in of_type(found, "AWS::SNS::Topic").items()
        if one["Properties"]["TopicName"].endswith("-alarms")
    ]
    alarms = {
        one["Properties"]["AlarmName"].removeprefix(f"medlaunch-{name}-"): one["Properties"]
        for one in of_type(found, "AWS::CloudWatch::Alarm").values()
    }
    queues = {
        one["Properties"]["QueueName"]: f"<{id_}.QueueName>"
        for id_, one in of_type(found, "AWS::SQS::Queue").items()
    }
    alerts = next(
        f"<{id_}.TopicName>"
        for id_, one in of_type(found, "AWS::SNS::Topic").items()
        if one["Properties"]["TopicName"].endswith("-alerts")
    )
    of_queues: dict[str, tuple[str, str, str, int, int]] = {}
    for dag_id in by_dag():
        pascal = "".join(word.capitalize() for word in dag_id.split("_"))
        uploads = queues[f"medlaunch-{name}-uploads-{dag_id}"]
        dead = queues[f"medlaunch-{name}-uploads-{dag_id}-dead-letters"]
        of_queues |= {
            f"{pascal}UploadsWait": ("ApproximateAgeOfOldestMessage", uploads, "Maximum", 300, 3600),
            f"{pascal}UploadEventsDead": ("ApproximateNumberOfMessagesVisible", dead, "Maximum", 300, 1),
        }
    # Metric, of what, statistic, period in seconds, threshold.
    watched = {
        id_: (
            one["MetricName"],
            text(one["Dimensions"][0]["Value"]),
            one["Statistic"],
            one["Period"],
            one["Threshold"],
        )
        for id_, one in alarms.items()
    }
    assert watched == {
        "AlertsNotDelivered": ("NumberOfNotificationsFailed", alerts, "Sum", 300, 1),
        "AlertPublished": ("NumberOfMessagesPublished", alerts, "Sum", 300, 1),
        "AlertsRepeated": ("NumberOfMessagesPublished", alerts, "Sum", 3600, 3),
        **of_queues,
    }
    for one in alarms.values():
        assert one["ComparisonOperator"] == "GreaterThanOrEqualToThreshold"
        assert one["EvaluationPeriods"] == 1
        assert one["AlarmActions"] == one["OKActions"] == [{"Ref": topic}]
        assert one["AlarmDescription"]
    budget = the(found, "AWS::Budgets::Budget")
    limit = budget["Budget"]["BudgetLimit"]
    assert limit == {"Amount": {"dev": 550, "prod": 1000}[name], "Unit": "USD"}
    # An environment that costs what docs/deploy.md estimates raises no alarm.
    (totals,) = re.findall(
        r"\*\*about (\d+)\*\* \| \*\*about (\d+)\*\*", (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    )
    estimate = dict(zip(("dev", "prod"), map(int, totals), strict=True))[name]
    assert estimate <= 0.8 * limit["Amount"]
    assert (budget["Budget"]["BudgetType"], budget["Budget"]["TimeUnit"]) == ("COST", "MONTHLY")
    told = budget["NotificationsWithSubscribers"]
    assert [(one["Notification"]["NotificationType"], one["Notification"]["Threshold"]) for one in told] == [
        ("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100),
    ]  # fmt: skip
    assert all(one["Subscribers"] == [{"SubscriptionType": "SNS", "Address": {"Ref": topic}}] for one in told)
    (policy,) = [
        one["Properties"]["PolicyDocument"]
        for one in of_type(found, "AWS::SNS::TopicPolicy").values()
        if one["Properties"]["Topics"] == [{"Ref": topic}]
    ]
    publishers = {
        one["Principal"]["Service"]
        for one in policy["Statement"]
        if one["Effect"] == "Allow" and "Service" in one["Principal"]
    }
    assert publishers == {"cloudwatch.amazonaws.com", "budgets.amazonaws.com"}


def test_outputs_become_the_settings(name: str) -> None:
    outputs = {key: text(one["Value"]) for key, one in template(name, "lake")["Outputs"].items()}
    settings = deployment.from_outputs(outputs)
    assert deployment.missing(settings) == []
    assert "MEDLAUNCH_UPLOADS_QUEUE_URL" in settings
    assert settings["MEDLAUNCH_ENVIRONMENT"] == name
    known = {key: value for key, value in settings.items() if "<" not in value}
    Settings.from_environment(known)
    assert outputs["MwaaBucket"].startswith("<Code")


def test_only_prod_keeps_its_data_and_refuses_to_be_deleted(name: str) -> None:
    policies = {
        one[policy]
        for stack in STACKS
        for kind in ("AWS::S3::Bucket", "AWS::KMS::Key", "AWS::Glue::Database", "AWS::Athena::WorkGroup")
        for one in of_type(template(name, stack), kind).values()
        for policy in ("DeletionPolicy", "UpdateReplacePolicy")
    }
    assert policies == ({"Retain"} if name == "prod" else {"Delete"})
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))["artifacts"]
    for stack in STACKS:
        protected = manifest[f"medlaunch-{name}-{stack}"]["properties"].get("terminationProtection", False)
        assert protected == (name == "prod")


# --- MWAA


def test_mwaa_is_what_the_package_is_for(name: str) -> None:
    found = template(name, "mwaa")
    airflow = the(found, "AWS::MWAA::Environment")
    assert airflow["AirflowVersion"] == "3.3.1"
    # mw1.micro takes one scheduler, one worker and one web server; the other classes two schedulers or more.
    size = {one: airflow[one] for one in ("EnvironmentClass", "Schedulers", "MinWorkers", "MaxWorkers")}
    assert (
        size
        == {
            "dev": {"EnvironmentClass": "mw1.micro", "Schedulers": 1, "MinWorkers": 1, "MaxWorkers": 1},
            "prod": {"EnvironmentClass": "mw1.small", "Schedulers": 2, "MinWorkers": 1, "MaxWorkers": 5},
        }[name]
    )
    assert not {"MinWebservers", "MaxWebservers"} & set(airflow)
    assert airflow["WebserverAccessMode"] == "PRIVATE_ONLY"
    assert airflow["DagS3Path"] == "dags"
    assert (airflow["PluginsS3Path"], airflow["RequirementsS3Path"], airflow["StartupScriptS3Path"]) == (
        "plugins.zip",
        "requirements.txt",
        "startup.sh",
    )
    # Each update of the environment sends all its properties: the stack has the versions, and `make deploy` sets them.
    for parameter in OBJECTS.values():
        given = {"Fn::If": [f"Has{parameter}", {"Ref": parameter}, {"Ref": "AWS::NoValue"}]}
        assert (
            airflow[
                parameter.replace("StartupVersion", "StartupScriptVersion").replace(
                    "Version", "S3ObjectVersion"
                )
            ]
            == given
        )
        assert found["Parameters"][parameter]["Default"] == ""
    assert text(airflow["SourceBucketArn"]) == f"arn:aws:s3:::medlaunch-{name}-mwaa-{ACCOUNT}"
    assert len(airflow["LoggingConfiguration"]) == 5
    assert all(one["Enabled"] for one in airflow["LoggingConfiguration"].values())
    ((key_id, key),) = of_type(found, "AWS::KMS::Key").items()
    assert text(airflow["KmsKey"]) == f"<{key_id}.Arn>"
    assert key["Properties"]["EnableKeyRotation"] is True
    assert found["Outputs"]["MwaaEnvironment"]


#: https://docs.aws.amazon.com/mwaa/latest/userguide/mwaa-create-role.html, the sample for a customer managed key. For an
#: action with a wildcard, also some that it stands for.
ROLE_SAMPLE = {
    "environment": ["airflow:PublishMetrics"],
    "bucket": [
        *("s3:GetBucket*", "s3:List*", "s3:ListBucket", "s3:ListBucketVersions", "s3:GetBucketLocation"),
        *("s3:GetBucketVersioning", "s3:GetBucketPublicAccessBlock"),
    ],
    "object": [
        *("s3:GetObject*", "s3:List*", "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAttributes"),
        *("s3:GetObjectTagging", "s3:ListMultipartUploadParts"),
    ],
    "log group": [
        *("logs:CreateLogStream", "logs:CreateLogGroup", "logs:PutLogEvents", "logs:GetLogEvents"),
        *("logs:GetLogRecord", "logs:GetLogGroupFields", "logs:GetQueryResults"),
    ],
    "account": ["s3:GetAccountPublicAccessBlock", "logs:DescribeLogGroups", "cloudwatch:PutMetricData"],
    "queue": [
        *("sqs:ChangeMessageVisibility", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
        *("sqs:ReceiveMessage", "sqs:SendMessage"),
    ],
    "key": [
        *("kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey*", "kms:GenerateDataKey"),
        "kms:GenerateDataKeyWithoutPlaintext",
    ],
}
#: https://docs.aws.amazon.com/mwaa/latest/userguide/custom-keys-certs.html
KEY_SAMPLE = ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"]


def test_mwaa_may_do_all_that_awss_samples_allow(name: str) -> None:
    found = template(name, "mwaa")
    document = json.dumps(as_deployed(the(found, "AWS::IAM::ManagedPolicy")["PolicyDocument"]))
    boundary = as_deployed(the(template(name, "boundary"), "AWS::IAM::ManagedPolicy")["PolicyDocument"])
    code = f"arn:aws:s3:::medlaunch-{name}-mwaa-{ACCOUNT}"
    resources = {
        "environment": f"arn:aws:airflow:{REGION}:{ACCOUNT}:environment/medlaunch-{name}",
        "bucket": code,
        "object": f"{code}/plugins.zip",
        "log group": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:airflow-medlaunch-{name}-Task",
        "account": "*",
        "queue": f"arn:aws:sqs:{REGION}:210987654321:airflow-celery-0123",
        "key": f"arn:aws:kms:{REGION}:{ACCOUNT}:key/1",
    }
    for what, actions in ROLE_SAMPLE.items():
        for action in actions:
            for service in ("sqs", "s3"):
                context = (("kms:ViaService", f"{service}.{REGION}.amazonaws.com"),) if what == "key" else ()
                for policy in (document, json.dumps(boundary)):
                    allowing, why = decide([policy], Access(action, resources[what], context))
                    assert allowing, f"{action} on {resources[what]}: {why}"
    logs = next(
        one
        for one in the(found, "AWS::KMS::Key")["KeyPolicy"]["Statement"]
        if text(one["Principal"].get("Service")) == f"logs.{REGION}.amazonaws.com"
    )
    assert logs["Action"] == KEY_SAMPLE
    assert as_deployed(logs["Condition"]) == {
        "ArnLike": {"kms:EncryptionContext:aws:logs:arn": f"arn:aws:logs:{REGION}:{ACCOUNT}:*"}
    }


def test_mwaas_network_has_no_way_to_the_internet(name: str) -> None:
    found = template(name, "mwaa")
    assert len(the(found, "AWS::MWAA::Environment")["NetworkConfiguration"]["SubnetIds"]) == 2
    for kind in ("InternetGateway", "NatGateway", "EIP"):
        assert not of_type(found, f"AWS::EC2::{kind}")
    assert not any(
        one["Properties"]["MapPublicIpOnLaunch"] for one in of_type(found, "AWS::EC2::Subnet").values()
    )
    endpoints = {
        text(one["Properties"]["ServiceName"]).rsplit("us-east-1.", 1)[-1]
        for one in of_type(found, "AWS::EC2::VPCEndpoint").values()
    }
    assert endpoints == {
        *("s3", "logs", "monitoring", "kms", "sqs", "sns", "athena", "glue"),
        *("ecr.api", "ecr.dkr", "airflow.api", "airflow.env"),
    }
    ingress = of_type(found, "AWS::EC2::SecurityGroupIngress").values()
    assert all("SourceSecurityGroupId" in one["Properties"] for one in ingress)
    assert not any(
        "SecurityGroupIngress" in one["Properties"]
        for one in of_type(found, "AWS::EC2::SecurityGroup").values()
    )


def test_an_environment_that_fetches_files_has_one_way_out_and_none_in(name: str, tmp_path: Path) -> None:
    program = (
        "import sys; from dataclasses import replace; from aws_cdk import App; from infra import app\n"
        f"app.ENVIRONMENTS[{name!r}] = replace(app.ENVIRONMENTS[{name!r}], internet=True)\n"
        "one = App(outdir=sys.argv[1], context=app.FLAGS)\n"
        f"app.build(one, [{name!r}])\n"
        "app.synthesise(one)\n"
    )
    run = in_infra(program, tmp_path)
    assert run.returncode == 0, run.stdout + run.stderr
    file = tmp_path / f"medlaunch-{name}-mwaa.template.json"
    found = json.loads(file.read_text(encoding="utf-8"))
    assert file.stat().st_size < 51_200
    assert len(of_type(found, "AWS::EC2::NatGateway")) == 1
    assert not any(
        one["Properties"]["MapPublicIpOnLaunch"] for one in of_type(found, "AWS::EC2::Subnet").values()
    )
    nat = {
        one["Properties"]["RouteTableId"]["Ref"]
        for one in of_type(found, "AWS::EC2::Route").values()
        if "NatGatewayId" in one["Properties"]
    }
    tables = {
        one["Properties"]["SubnetId"]["Ref"]: one["Properties"]["RouteTableId"]["Ref"]
        for one in of_type(found, "AWS::EC2::SubnetRouteTableAssociation").values()
    }
    airflow = the(found, "AWS::MWAA::Environment")["NetworkConfiguration"]["SubnetIds"]
    assert {tables[one["Ref"]] for one in airflow} == nat
    assert all(
        "SourceSecurityGroupId" in one["Properties"]
        for one in of_type(found, "AWS::EC2::SecurityGroupIngress").values()
    )


def test_failed_runs_and_a_silent_scheduler_raise_an_alarm(name: str) -> None:
    alarms = of_type(template(name, "mwaa"), "AWS::CloudWatch::Alarm").values()
    failed = {
        dimension["Value"]
        for one in alarms
        if one["Properties"]["MetricName"] == "DAGDurationFailed"
        for dimension in one["Properties"]["Dimensions"]
        if dimension["Name"] == "DAG"
    }
    assert failed == set(permissions.dag_ids())
    assert any(one["Properties"]["MetricName"] == "SchedulerHeartbeat" for one in alarms)


# --- the templates as such


def test_one_code_two_environments(name: str) -> None:
    for stack in STACKS:
        found = template(name, stack)
        other = json.dumps(template("dev" if name == "prod" else "prod", stack))
        assert f"medlaunch-{name}" in json.dumps(found)
        assert f"medlaunch-{name}-" not in other
        kinds = sorted(one["Type"] for one in found["Resources"].values())
        assert kinds == sorted(one["Type"] for one in json.loads(other)["Resources"].values())


def test_templates_need_neither_code_nor_a_bucket(name: str) -> None:
    for stack in STACKS:
        file = FOLDER / f"medlaunch-{name}-{stack}.template.json"
        # https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
        assert file.stat().st_size < 51_200
        found = template(name, stack)
        assert not of_type(found, "AWS::Lambda::Function")
        assert "BootstrapVersion" not in found.get("Parameters", {})


def test_managed_policies_fit(name: str) -> None:
    # A role has ten at most, unless one asks for more.
    assert sum(len(of_type(template(name, stack), "AWS::IAM::ManagedPolicy")) for stack in STACKS) <= 10
    for stack in STACKS:
        for id_, one in of_type(template(name, stack), "AWS::IAM::ManagedPolicy").items():

            def resolved(value: Any) -> Any:
                if isinstance(value, list):
                    return [resolved(each) for each in value]
                if (
                    isinstance(value, dict)
                    and len(value) == 1
                    and next(iter(value)) in ("Ref", "Fn::Join", "Fn::GetAtt", "Fn::ImportValue")
                ):
                    # An ARN of a topic, queue or key has some 80 characters.
                    return text(value).replace("<", "x" * 40).replace(">", "x" * 20)
                if isinstance(value, dict):
                    return {key: resolved(each) for key, each in value.items()}
                return value

            document = json.dumps(resolved(one["Properties"]["PolicyDocument"]), separators=(",", ":"))
            assert len(document) <= 6144, f"{stack}: {id_} has {len(document)} characters"


def test_what_cdk_nag_finds_stops_the_synthesis(name: str, tmp_path: Any) -> None:
    """A bucket without anything is refused, and every finding that is let through is one wildcard with its reason."""
    program = (
        "import sys; from aws_cdk import App, Stack, aws_s3; from infra import app\n"
        "one = App(outdir=sys.argv[1], context=app.FLAGS)\n"
        f"app.build(one, [{name!r}])\n"
        "aws_s3.Bucket(one.node.children[0], 'Bare')\n"
        "app.synthesise(one)\n"
    )
    run = in_infra(program, tmp_path)
    assert run.returncode != 0
    assert "AwsSolutions-S1" in run.stdout + run.stderr
    assert "/Bare" in run.stdout + run.stderr
    acknowledged = [
        (stack, *pair)
        for stack in STACKS
        for entry in walk(
            json.loads((FOLDER / f"medlaunch-{name}-{stack}.metadata.json").read_text(encoding="utf-8"))
        )
        if entry["type"] == "aws:cdk:acknowledged-rules"
        for pair in entry["data"].items()
        # What CDK says of its own subnets and flow logs.
        if pair[0] not in {f"CloudFormation-Validate::{rule}" for rule in ("W3010", "F3002", "F3003")}
    ]
    assert acknowledged
    for stack, rule, reason in acknowledged:
        # The boundary grants nothing, so it may name whole services; MWAA's own permissions are AWS's sample.
        if found := re.match(r"AwsSolutions::AwsSolutions-IAM5\[Action::(.*)\]$", rule):
            sample = [one for actions in ROLE_SAMPLE.values() for one in actions]
            assert stack == "boundary" or (stack == "mwaa" and found[1] in sample)
        else:
            assert re.match(r"AwsSolutions::AwsSolutions-IAM5\[Resource::", rule)
        assert rule.endswith("*]")
        assert len(reason) > 20


def walk(value: Any) -> Any:
    """All entries of a stack's metadata."""
    if isinstance(value, dict):
        if "type" in value and "data" in value:
            yield value
        for one in value.values():
            yield from walk(one)
    elif isinstance(value, list):
        for one in value:
            yield from walk(one)


# --- preflight


def test_preflight_knows_the_permissions_for_every_type_of_resource(name: str) -> None:
    kinds = {one["Type"] for stack in STACKS for one in template(name, stack)["Resources"].values()}
    assert kinds <= ACTIONS.keys(), kinds - ACTIONS.keys()


def test_the_zones_of_the_network_are_parameters_with_the_regions_first_two_as_default(name: str) -> None:
    found = template(name, "mwaa")
    zones = [one["Properties"]["AvailabilityZone"] for one in of_type(found, "AWS::EC2::Subnet").values()]
    assert zones[:2] == [
        {"Fn::If": [f"HasZone{n + 1}", {"Ref": f"Zone{n + 1}"}, {"Fn::Select": [n, {"Fn::GetAZs": ""}]}]}
        for n in range(2)
    ]
    for parameter in ("Zone1", "Zone2"):
        assert found["Parameters"][parameter]["Default"] == ""
        allowed = found["Parameters"][parameter]["AllowedPattern"]
        assert all(
            re.fullmatch(allowed, one) for one in ("", "us-east-1a", "us-gov-west-1b", "us-west-2-lax-1a")
        )
        assert not any(
            re.fullmatch(allowed, one) for one in ("us-east-1", "use1-az1", "us-east-1a, us-east-1b")
        )
