"""What the pipelines expect of a local AWS account, whoever runs it: bucket, topic, queues, workgroup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from botocore.exceptions import ClientError

from medlaunch.lake import ATHENA_RESULTS, LANDING
from medlaunch.objects import error_code
from medlaunch.settings import Settings

ALERTS_QUEUE = "medlaunch-alerts"
SUCCESSES_QUEUE = "medlaunch-successes"


def create(client: Callable[[str], Any], config: Settings) -> None:
    """Create what is not there yet; what exists is left as it is.

    Args:
        client: makes a boto3 client of a service of the account.
        config: names of the things; an uploads queue is made, and told of uploads, if one is named.
    """
    s3 = client("s3")
    try:
        s3.head_bucket(Bucket=config.bucket)
    except ClientError as error:
        if error_code(error) not in ("404", "NoSuchBucket"):
            raise
        s3.create_bucket(Bucket=config.bucket)
    s3.put_bucket_versioning(Bucket=config.bucket, VersioningConfiguration={"Status": "Enabled"})
    s3.put_public_access_block(
        Bucket=config.bucket,
        PublicAccessBlockConfiguration={
            "BlockPublicAcls": True,
            "IgnorePublicAcls": True,
            "BlockPublicPolicy": True,
            "RestrictPublicBuckets": True,
        },
    )
    _topic(client("sns"), client("sqs"), config.alerts_topic_arn, ALERTS_QUEUE)
    if config.success_topic_arn:
        _topic(client("sns"), client("sqs"), config.success_topic_arn, SUCCESSES_QUEUE)
    if config.uploads_queue_url:
        _notify_of_uploads(s3, client("sqs"), config.bucket, config.uploads_queue_url.rsplit("/", 1)[1])
    _workgroup(client("athena"), config)


def _topic(sns: Any, sqs: Any, arn: str, queue_name: str) -> None:
    """A topic, and a queue that keeps what is published to it."""
    topic = sns.create_topic(Name=arn.rsplit(":", 1)[1])["TopicArn"]
    queue = _queue(sqs, queue_name, sender="sns.amazonaws.com", source=topic)
    # Subscribing the same endpoint again returns the subscription that is there.
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)


def _notify_of_uploads(s3: Any, sqs: Any, bucket: str, name: str) -> None:
    """A queue that receives a message for each object that is put into landing."""
    queue = _queue(sqs, name, sender="s3.amazonaws.com", source=f"arn:aws:s3:::{bucket}")
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [
                {
                    "Id": "uploads",
                    "QueueArn": queue,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": f"{LANDING}/"}]}},
                }
            ]
        },
    )


def _queue(sqs: Any, name: str, *, sender: str, source: str) -> str:
    """A queue to which one source may send; returns its ARN."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": sender},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": source}},
            }
        ],
    }
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": json.dumps(policy)})
    return arn


def _workgroup(athena: Any, config: Settings) -> None:
    known = {one["Name"] for page in _pages(athena.list_work_groups, "WorkGroups") for one in page}
    if config.workgroup not in known:
        athena.create_work_group(
            Name=config.workgroup,
            Configuration={
                "ResultConfiguration": {"OutputLocation": f"s3://{config.bucket}/{ATHENA_RESULTS}/"},
                "EnforceWorkGroupConfiguration": True,
            },
        )


def _pages(call: Any, member: str) -> Iterator[list[dict[str, Any]]]:
    token: dict[str, str] = {}
    while True:
        answer = call(**token)
        yield answer.get(member, [])
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}
