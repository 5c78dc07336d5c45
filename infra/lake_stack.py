"""The lake of one environment: data, access and notifications.

One key, the lake's bucket with its logs, each pipeline's upload queues, the catalog, the workgroup, the topics, alarms and a
budget. No Lambda function and no assets, so that CloudFormation alone deploys it.
"""

from __future__ import annotations

import re
from typing import Any

from aws_cdk import (
    Aws,
    CfnCondition,
    CfnOutput,
    CfnParameter,
    Duration,
    Fn,
    RemovalPolicy,
    Stack,
    Tags,
)
from aws_cdk import aws_athena as athena
from aws_cdk import aws_budgets as budgets
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.environments import Environment
from medlaunch import lake
from medlaunch.pipelines import by_dag

#: Equals publish.SUPERSEDED_TAG, whose module imports Airflow; a test compares them.
SUPERSEDED_TAG = ("medlaunch-state", "superseded")


class LakeStack(Stack):
    """The lake of an environment; ``code`` is the bucket that MWAA reads."""

    def __init__(self, scope: Construct, environment: Environment, **kwargs: Any) -> None:
        name = f"{environment.prefix}-lake"
        super().__init__(
            scope,
            name,
            description=f"MedLaunch {environment.name}: lake, catalog, queries and topics",
            termination_protection=environment.protected,
            suppress_template_indentation=True,  # CloudFormation accepts 51,200 characters without a bucket
            **kwargs,
        )
        self.environment_ = environment
        self._keep = RemovalPolicy.RETAIN if environment.keep_data else RemovalPolicy.DESTROY
        tag(self, environment)

        # A fixed name instead of a generated one: the queue's policy and the bucket's notifications refer to each
        # other, and a name breaks the circle.
        self.lake_name = f"{environment.prefix}-lake-{Aws.ACCOUNT_ID}"
        self.database_name = environment.prefix.replace("-", "_")
        self.code_name = f"{environment.prefix}-mwaa-{Aws.ACCOUNT_ID}"
        self.key = self._key()
        self.logs = self._log_bucket()
        #: By the id of the pipeline's DAG: its upload events, and those that could not be processed.
        self.queues: dict[str, sqs.Queue] = {}
        self.dead_letters: dict[str, sqs.Queue] = {}
        for dag_id in by_dag():
            self._queues(dag_id)
        self.bucket = self._lake_bucket()
        self.code = self._code_bucket()
        self.alerts = self._topic("alerts", "One message per failed run")
        self.notifications = self._topic("notifications", "Successful runs")
        self.alarms = self._topic("alarms", "CloudWatch alarms and the budget")
        self._subscriptions()
        self._catalog()
        self.workgroup = self._workgroup()
        self._alarms()
        self._budget()
        self._outputs()

    # ------------------------------------------------------------------------------------------- key

    def _key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"{self.environment_.prefix}-lake",
            description=f"Encrypts the lake of {self.environment_.prefix}",
            enable_key_rotation=True,
            rotation_period=Duration.days(365),
            pending_window=Duration.days(30),
            # Without the key of the catalog's encryption, no team of the account could read its metadata.
            removal_policy=RemovalPolicy.RETAIN if self.environment_.encrypt_catalog else self._keep,
        )
        # S3 sends notifications to encrypted queues; CloudWatch and Budgets publish to an encrypted topic. The actions:
        # https://docs.aws.amazon.com/sns/latest/dg/sns-key-management.html
        for service in ("s3", "cloudwatch", "budgets"):
            key.add_to_resource_policy(
                iam.PolicyStatement(
                    sid=f"Allow{service.capitalize()}",
                    principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                    actions=["kms:Decrypt", "kms:GenerateDataKey*"],
                    resources=["*"],  # in a key's policy: this key
                    conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
                )
            )
        return key

    # ----------------------------------------------------------------------------------------- buckets

    def _bucket(self, id_: str, name: str, **kwargs: Any) -> s3.Bucket:
        return s3.Bucket(
            self,
            id_,
            bucket_name=name,
            block_public_access=s3.BlockPublicAccess.BLOCK_ALL,
            object_ownership=s3.ObjectOwnership.BUCKET_OWNER_ENFORCED,
            enforce_ssl=True,
            minimum_tls_version=1.2,
            versioned=True,
            removal_policy=self._keep,
            **kwargs,
        )

    def _log_bucket(self) -> s3.Bucket:
        return self._bucket(
            "Logs",
            f"{self.environment_.prefix}-logs-{Aws.ACCOUNT_ID}",
            # S3 delivers access logs only to buckets with S3-managed keys.
            encryption=s3.BucketEncryption.S3_MANAGED,
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="expire",
                    expiration=Duration.days(self.environment_.logs_days),
                    noncurrent_version_expiration=Duration.days(1),
                    abort_incomplete_multipart_upload_after=Duration.days(1),
                )
            ],
        )

    def _lake_bucket(self) -> s3.Bucket:
        environment = self.environment_
        bucket = self._bucket(
            "Lake",
            self.lake_name,
            encryption=s3.BucketEncryption.KMS,
            encryption_key=self.key,
            bucket_key_enabled=True,
            server_access_logs_bucket=self.logs,
            server_access_logs_prefix="lake/",
            lifecycle_rules=[
                _expiring("athena-results", f"{lake.ATHENA_RESULTS}/", days=7, noncurrent=1),
                _expiring("staging", f"{lake.STAGING}/", days=14, noncurrent=1),
                _expiring(
                    "quarantine",
                    f"{lake.QUARANTINE}/",
                    days=environment.quarantine_days,
                    noncurrent=environment.noncurrent_days,
                ),
                s3.LifecycleRule(
                    id="superseded-versions",
                    prefix=f"{lake.PROD}/",
                    tag_filters=dict([SUPERSEDED_TAG]),
                    expiration=Duration.days(environment.superseded_days),
                ),
                s3.LifecycleRule(
                    id="noncurrent",
                    noncurrent_version_expiration=Duration.days(environment.noncurrent_days),
                    expired_object_delete_marker=True,
                ),
                s3.LifecycleRule(
                    id="incomplete-uploads", abort_incomplete_multipart_upload_after=Duration.days(3)
                ),
            ],
        )
        template = bucket.node.default_child
        assert isinstance(template, s3.CfnBucket)
        # Not Bucket.add_event_notification, which adds a Lambda function.
        template.notification_configuration = s3.CfnBucket.NotificationConfigurationProperty(
            queue_configurations=[
                s3.CfnBucket.QueueConfigurationProperty(
                    event="s3:ObjectCreated:*",
                    queue=self.queues[dag_id].queue_arn,
                    filter=s3.CfnBucket.NotificationFilterProperty(
                        s3_key=s3.CfnBucket.S3KeyFilterProperty(
                            rules=[
                                s3.CfnBucket.FilterRuleProperty(
                                    name="prefix", value=lake.landing_prefix(dataset.name)
                                )
                            ]
                        )
                    ),
                )
                for dag_id, pipelines in by_dag().items()
                for pipeline in pipelines
                for dataset in pipeline.datasets
            ]
        )
        # S3 sends a test message when the notification is configured.
        for queue in self.queues.values():
            bucket.node.add_dependency(queue.node.find_child("Policy"))
        return bucket

    def _code_bucket(self) -> s3.Bucket:
        return self._bucket(
            "Code",
            self.code_name,
            encryption=s3.BucketEncryption.S3_MANAGED,
            server_access_logs_bucket=self.logs,
            server_access_logs_prefix="mwaa/",
            lifecycle_rules=[
                s3.LifecycleRule(
                    id="noncurrent",
                    noncurrent_version_expiration=Duration.days(90),
                    noncurrent_versions_to_retain=5,
                    abort_incomplete_multipart_upload_after=Duration.days(3),
                )
            ],
        )

    # ------------------------------------------------------------------------------------------ queues

    @property
    def queue_prefix(self) -> str:
        """The name of a pipeline's queue without the id of its DAG."""
        return f"{self.environment_.prefix}-uploads-"

    def _queues(self, dag_id: str) -> None:
        """A pipeline's queue of upload events, and its dead-letter queue.

        Each pipeline has its own: a shared queue would start only the DAG that polls first.
        """

        def queue(id_: str, name: str, keep: Duration, **kwargs: Any) -> sqs.Queue:
            return sqs.Queue(
                self,
                f"{pascal(dag_id)}{id_}",
                queue_name=f"{self.queue_prefix}{name}",
                encryption=sqs.QueueEncryption.KMS,
                encryption_master_key=self.key,
                data_key_reuse=Duration.minutes(5),
                enforce_ssl=True,
                retention_period=keep,
                **kwargs,
            )

        dead = queue("DeadLetters", f"{dag_id}-dead-letters", Duration.days(14))
        uploads = queue(
            "Uploads",
            dag_id,
            Duration.days(4),
            visibility_timeout=Duration.minutes(1),
            dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=5),
        )
        uploads.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowLakeNotifications",
                principals=[iam.ServicePrincipal("s3.amazonaws.com")],
                actions=["sqs:SendMessage"],
                resources=[uploads.queue_arn],
                conditions={
                    "ArnEquals": {"aws:SourceArn": f"arn:{Aws.PARTITION}:s3:::{self.lake_name}"},
                    "StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID},
                },
            )
        )
        self.queues[dag_id], self.dead_letters[dag_id] = uploads, dead

    # ------------------------------------------------------------------------------------------ topics

    def topic_name(self, name: str) -> str:
        return f"{self.environment_.prefix}-{name}"

    def _topic(self, name: str, what: str) -> sns.Topic:
        topic = sns.Topic(
            self,
            name.capitalize(),
            topic_name=self.topic_name(name),
            display_name=f"MedLaunch {self.environment_.name}: {what}"[:100],
            master_key=self.key,
            enforce_ssl=True,
        )
        if name == "alarms":
            for service in ("cloudwatch", "budgets"):
                topic.add_to_resource_policy(
                    iam.PolicyStatement(
                        sid=f"Allow{service.capitalize()}Publish",
                        principals=[iam.ServicePrincipal(f"{service}.amazonaws.com")],
                        actions=["sns:Publish"],
                        resources=[topic.topic_arn],
                        conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
                    )
                )
        return topic

    def _subscriptions(self) -> None:
        """Recipients are parameters of the stack: personal addresses do not belong in a repository."""
        for topic, id_ in (
            (self.alerts, "Alerts"),
            (self.notifications, "Notifications"),
            (self.alarms, "Alarms"),
        ):
            for kind, protocol, pattern in (
                ("Email", "email", r"^$|^[^@\s]+@[^@\s]+$"),
                ("Https", "https", r"^$|^https://\S+$"),
            ):
                parameter = CfnParameter(
                    self,
                    f"{id_}{kind}",
                    default="",
                    allowed_pattern=pattern,
                    no_echo=kind == "Https",  # such addresses contain keys
                    description=f"{kind} address that is subscribed to the topic {id_.lower()}; empty: none",
                )
                given = CfnCondition(
                    self,
                    f"Has{id_}{kind}",
                    expression=Fn.condition_not(Fn.condition_equals(parameter.value_as_string, "")),
                )
                subscription = sns.CfnSubscription(
                    self,
                    f"{id_}{kind}Subscription",
                    topic_arn=topic.topic_arn,
                    protocol=protocol,
                    endpoint=parameter.value_as_string,
                )
                subscription.cfn_options.condition = given

    # --------------------------------------------------------------------------------- catalog, queries

    def _catalog(self) -> None:
        environment = self.environment_
        if environment.encrypt_catalog:
            encryption = glue.CfnDataCatalogEncryptionSettings(
                self,
                "CatalogEncryption",
                catalog_id=Aws.ACCOUNT_ID,
                data_catalog_encryption_settings=glue.CfnDataCatalogEncryptionSettings.DataCatalogEncryptionSettingsProperty(
                    encryption_at_rest=glue.CfnDataCatalogEncryptionSettings.EncryptionAtRestProperty(
                        catalog_encryption_mode="SSE-KMS", sse_aws_kms_key_id=self.key.key_arn
                    ),
                    connection_password_encryption=glue.CfnDataCatalogEncryptionSettings.ConnectionPasswordEncryptionProperty(
                        return_connection_password_encrypted=True, kms_key_id=self.key.key_arn
                    ),
                ),
            )
            encryption.apply_removal_policy(RemovalPolicy.RETAIN)
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Aws.ACCOUNT_ID,
            database_input=glue.CfnDatabase.DatabaseInputProperty(
                name=self.database_name,
                description="Tables and views of MedLaunch, created by the pipelines",
            ),
        )
        database.apply_removal_policy(self._keep)

    def _workgroup(self) -> athena.CfnWorkGroup:
        workgroup = athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=self.environment_.prefix,
            description="Queries of the pipelines and of their readers",
            state="ENABLED",
            recursive_delete_option=not self.environment_.keep_data,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                requester_pays_enabled=False,
                bytes_scanned_cutoff_per_query=self.environment_.scan_limit_bytes,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=lake.s3_uri(self.bucket.bucket_name, f"{lake.ATHENA_RESULTS}/"),
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=self.key.key_arn
                    ),
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                ),
            ),
        )
        workgroup.apply_removal_policy(self._keep)
        return workgroup

    # ------------------------------------------------------------------------------------------ alarms

    def _alarms(self) -> None:
        hour = Duration.hours(1)
        self.alarm(
            "AlertsNotDelivered",
            self.alerts.metric_number_of_notifications_failed(period=Duration.minutes(5), statistic="Sum"),
            1,
            "An alert did not reach a subscriber of the topic.",
        )
        self.alarm(
            "AlertPublished",
            self.alerts.metric_number_of_messages_published(period=Duration.minutes(5), statistic="Sum"),
            1,
            "A run failed or skipped data, or nothing was published for too long. The alert names the runbook.",
        )
        self.alarm(
            "AlertsRepeated",
            self.alerts.metric_number_of_messages_published(period=hour, statistic="Sum"),
            3,
            "Three alerts within an hour: the cause is not transient.",
        )
        for dag_id in by_dag():
            self.alarm(
                f"{pascal(dag_id)}UploadsWait",
                self.queues[dag_id].metric_approximate_age_of_oldest_message(
                    period=Duration.minutes(5), statistic="Maximum"
                ),
                3600,
                f"No run of {dag_id} takes the upload events. Check that the triggerer runs and that the DAG is "
                "not paused.",
            )
            self.alarm(
                f"{pascal(dag_id)}UploadEventsDead",
                self.dead_letters[dag_id].metric_approximate_number_of_messages_visible(
                    period=Duration.minutes(5), statistic="Maximum"
                ),
                1,
                f"Upload events of {dag_id} failed five times. The sweep still finds the uploads; find the cause.",
            )

    def alarm(self, id_: str, metric: cloudwatch.IMetric, threshold: float, why: str) -> cloudwatch.Alarm:
        """An alarm at a threshold, which notifies the alarms topic when it starts and when it ends."""
        alarm = cloudwatch.Alarm(
            self,
            id_,
            alarm_name=f"{self.environment_.prefix}-{id_}",
            alarm_description=why,
            metric=metric,
            threshold=threshold,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        action = actions.SnsAction(self.alarms)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
        return alarm

    def _budget(self) -> None:
        def notification(kind: str, percent: int) -> budgets.CfnBudget.NotificationWithSubscribersProperty:
            return budgets.CfnBudget.NotificationWithSubscribersProperty(
                notification=budgets.CfnBudget.NotificationProperty(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                ),
                subscribers=[
                    budgets.CfnBudget.SubscriberProperty(
                        subscription_type="SNS", address=self.alarms.topic_arn
                    )
                ],
            )

        budget = budgets.CfnBudget(
            self,
            "Budget",
            budget=budgets.CfnBudget.BudgetDataProperty(
                budget_name=f"{self.environment_.prefix}-monthly",
                budget_type="COST",
                time_unit="MONTHLY",
                # For the whole account: a budget by tag is empty until the tag is activated.
                budget_limit=budgets.CfnBudget.SpendProperty(amount=self.environment_.budget_usd, unit="USD"),
            ),
            notifications_with_subscribers=[
                notification("ACTUAL", 80),
                notification("ACTUAL", 100),
                notification("FORECASTED", 100),
            ],
        )
        # Budgets checks the topic's policy when it creates the budget.
        budget.node.add_dependency(self.alarms.node.find_child("Policy"))

    # ----------------------------------------------------------------------------------------- outputs

    def _outputs(self) -> None:
        """``MedlaunchX`` becomes ``MEDLAUNCH_X`` when the code is deployed; see docs/configuration.md."""
        for name, value in {
            "MedlaunchEnvironment": self.environment_.name,
            "MedlaunchBucket": self.bucket.bucket_name,
            "MedlaunchDatabase": self.database_name,
            "MedlaunchWorkgroup": self.workgroup.name,
            "MedlaunchAlertsTopicArn": self.alerts.topic_arn,
            # One queue per pipeline; each DAG puts its id in the place of {dag_id}.
            "MedlaunchUploadsQueueUrl": f"https://sqs.{Aws.REGION}.{Aws.URL_SUFFIX}/{Aws.ACCOUNT_ID}/"
            f"{self.queue_prefix}{{dag_id}}",
            "NotificationsTopicArn": self.notifications.topic_arn,
            "AlarmsTopicArn": self.alarms.topic_arn,
            "KeyArn": self.key.key_arn,
            "LogBucket": self.logs.bucket_name,
            "MwaaBucket": self.code.bucket_name,
        }.items():
            CfnOutput(self, name, value=value)


def tag(stack: Stack, environment: Environment) -> None:
    """Tag everything in a stack."""
    Tags.of(stack).add("Application", "medlaunch")
    Tags.of(stack).add("Environment", environment.name)
    Tags.of(stack).add("DataClass", "Confidential")
    Tags.of(stack).add("ContainsPHI", "true" if environment.contains_phi else "false")


def pascal(name: str) -> str:
    """``facility_accreditation`` -> ``FacilityAccreditation``: logical ids hold letters and digits."""
    return "".join(word.capitalize() for word in re.split(r"[-_]", name))


def _expiring(id_: str, prefix: str, *, days: int, noncurrent: int) -> s3.LifecycleRule:
    return s3.LifecycleRule(
        id=id_,
        prefix=prefix,
        expiration=Duration.days(days),
        noncurrent_version_expiration=Duration.days(noncurrent),
    )
