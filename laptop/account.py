"""What the pipelines expect of a local AWS account, whoever runs it: bucket, topic, queues, workgroup."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from medlaunch.aws.objects import error_code
from medlaunch.lake import ATHENA_RESULTS, landing_prefix
from medlaunch.pipelines import by_dag
from medlaunch.settings import Settings

ALERTS_QUEUE = "medlaunch-alerts"
SUCCESSES_QUEUE = "medlaunch-successes"


def create(client: Callable[[str], Any], config: Settings) -> None:
    """Create what is not there yet; what exists is left as it is.

    Args:
        client: makes a boto3 client of a service of the account.
        config: names of the things; queues of uploads are made, and receive their events, if a URL is set.
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
    queues = {dag_id: url for dag_id in by_dag() if (url := config.uploads_queue(dag_id)) is not None}
    if queues:
        _notify_of_uploads(s3, client("sqs"), config.bucket, queues)
    _workgroup(client("athena"), config)


def _topic(sns: Any, sqs: Any, arn: str, queue_name: str) -> None:
    """A topic, and a queue that keeps what is published to it."""
    topic = sns.create_topic(Name=arn.rsplit(":", 1)[1])["TopicArn"]
    queue = _queue(sqs, queue_name, sender="sns.amazonaws.com", source=topic)
    # Subscribing the same endpoint again returns the subscription that is there.
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)


def _notify_of_uploads(s3: Any, sqs: Any, bucket: str, queues: Mapping[str, str]) -> None:
    """A queue per pipeline, that receives a message for each object that is put into one of its landing prefixes.

    ``queues``: URLs by the id of the pipeline's DAG.
    """
    notifications = []
    for dag_id, url in queues.items():
        queue = _queue(sqs, url.rsplit("/", 1)[1], sender="s3.amazonaws.com", source=f"arn:aws:s3:::{bucket}")
        for dataset in (dataset for one in by_dag()[dag_id] for dataset in one.datasets):
            rule = {"Name": "prefix", "Value": landing_prefix(dataset.name)}
            notifications.append(
                {
                    "Id": f"{dag_id}-{dataset.name.replace('/', '-')}",
                    "QueueArn": queue,
                    "Events": ["s3:ObjectCreated:*"],
                    "Filter": {"Key": {"FilterRules": [rule]}},
                }
            )
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": notifications}
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
