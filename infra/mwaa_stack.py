"""Amazon MWAA for one environment, in a network that has no route to the internet unless the environment wants one.

Optional: the lake works without it.

MWAA's requirements: https://docs.aws.amazon.com/mwaa/latest/userguide/vpc-vpe-create-access.html for the network and
https://docs.aws.amazon.com/mwaa/latest/userguide/mwaa-create-role.html for the role.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, CfnCondition, CfnOutput, CfnParameter, Duration, Fn, RemovalPolicy, Stack
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from aws_cdk import aws_mwaa as mwaa
from constructs import Construct

from infra.findings import acknowledge_wildcard
from infra.lake_stack import LakeStack, pascal, tag
from medlaunch import permissions

AIRFLOW = "3.3.1"

# Services that MWAA's containers and the pipelines call; S3 goes through the gateway.
ENDPOINTS = {
    "Logs": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_LOGS,
    "Monitoring": ec2.InterfaceVpcEndpointAwsService.CLOUDWATCH_MONITORING,
    "EcrApi": ec2.InterfaceVpcEndpointAwsService.ECR,
    "EcrDocker": ec2.InterfaceVpcEndpointAwsService.ECR_DOCKER,
    "Kms": ec2.InterfaceVpcEndpointAwsService.KMS,
    "Sqs": ec2.InterfaceVpcEndpointAwsService.SQS,
    "Sns": ec2.InterfaceVpcEndpointAwsService.SNS,
    "Athena": ec2.InterfaceVpcEndpointAwsService.ATHENA,
    "Glue": ec2.InterfaceVpcEndpointAwsService.GLUE,
    "AirflowApi": ec2.InterfaceVpcEndpointAwsService("airflow.api"),
    "AirflowEnv": ec2.InterfaceVpcEndpointAwsService("airflow.env"),
}


class MwaaStack(Stack):
    """MWAA for a lake, with the role of its workers."""

    def __init__(self, scope: Construct, lake: LakeStack, role: iam.Role, **kwargs: Any) -> None:
        environment = lake.environment_
        name = f"{environment.prefix}-mwaa"
        super().__init__(
            scope,
            name,
            description=f"MedLaunch {environment.name}: Amazon MWAA {AIRFLOW} and its network",
            termination_protection=environment.protected,
            suppress_template_indentation=True,  # CloudFormation accepts 51,200 characters without a bucket
            **kwargs,
        )
        self.lake, self.role = lake, role
        self.airflow_name = environment.prefix
        tag(self, environment)

        # By name: a reference to the lake's stack would have another name in each environment's findings.
        self.code_arn = f"arn:{Aws.PARTITION}:s3:::{lake.code_name}"
        self.key = self._key()
        self.vpc, self.group = self._network()
        policy = self._policy()
        self.environment_ = mwaa.CfnEnvironment(
            self,
            "Airflow",
            name=self.airflow_name,
            airflow_version=AIRFLOW,
            environment_class=environment.mwaa_class,
            min_workers=1,
            max_workers=environment.mwaa_max_workers,
            schedulers=environment.mwaa_schedulers,
            execution_role_arn=role.role_arn,
            kms_key=self.key.key_arn,
            source_bucket_arn=self.code_arn,
            dag_s3_path="dags",
            plugins_s3_path="plugins.zip",
            plugins_s3_object_version=self._version("Plugins", "plugins.zip"),
            requirements_s3_path="requirements.txt",
            requirements_s3_object_version=self._version("Requirements", "requirements.txt"),
            startup_script_s3_path="startup.sh",
            startup_script_s3_object_version=self._version("Startup", "startup.sh"),
            webserver_access_mode="PRIVATE_ONLY",  # the mode for a network without a route to the internet
            endpoint_management="SERVICE",
            weekly_maintenance_window_start="SUN:03:00",
            network_configuration=mwaa.CfnEnvironment.NetworkConfigurationProperty(
                security_group_ids=[self.group.security_group_id],
                subnet_ids=self.vpc.select_subnets(subnet_group_name="airflow").subnet_ids,
            ),
            logging_configuration=mwaa.CfnEnvironment.LoggingConfigurationProperty(
                **{
                    part: mwaa.CfnEnvironment.ModuleLoggingConfigurationProperty(
                        enabled=True, log_level=level
                    )
                    for part, level in {
                        "task_logs": "INFO",
                        "scheduler_logs": "INFO",
                        "dag_processing_logs": "INFO",
                        "worker_logs": "INFO",
                        "webserver_logs": "WARNING",
                    }.items()
                }
            ),
        )
        # MWAA checks the role when it creates the environment.
        self.environment_.node.add_dependency(policy)
        self._alarms()
        CfnOutput(self, "MwaaEnvironment", value=self.environment_.ref)
        CfnOutput(self, "MwaaWebserver", value=self.environment_.attr_webserver_url)

    def _version(self, what: str, file: str) -> str:
        """The object version of a file that MWAA reads: a parameter, which `make deploy` sets.

        A stack owns it, because each update of the environment sends all its properties.
        """
        parameter = CfnParameter(
            self,
            f"{what}Version",
            default="",
            description=f"Version of {file} in the code bucket. `make deploy` sets it; empty: as MWAA finds it",
        )
        given = CfnCondition(
            self,
            f"Has{what}Version",
            expression=Fn.condition_not(Fn.condition_equals(parameter.value_as_string, "")),
        )
        return Fn.condition_if(given.logical_id, parameter.value_as_string, Aws.NO_VALUE).to_string()

    def _key(self) -> kms.Key:
        key = kms.Key(
            self,
            "Key",
            alias=f"{self.airflow_name}-mwaa",
            description=f"Encrypts the data of MWAA for {self.airflow_name}: metadata, logs, its queue",
            enable_key_rotation=True,
            removal_policy=RemovalPolicy.RETAIN
            if self.lake.environment_.keep_data
            else RemovalPolicy.DESTROY,
        )
        key.add_to_resource_policy(
            iam.PolicyStatement(
                sid="AllowLogs",
                principals=[iam.ServicePrincipal(f"logs.{Aws.REGION}.amazonaws.com")],
                # https://docs.aws.amazon.com/mwaa/latest/userguide/custom-keys-certs.html
                actions=[
                    "kms:Encrypt*",
                    "kms:Decrypt*",
                    "kms:ReEncrypt*",
                    "kms:GenerateDataKey*",
                    "kms:Describe*",
                ],
                resources=["*"],  # in a key's policy: this key
                conditions={
                    "ArnLike": {
                        "kms:EncryptionContext:aws:logs:arn": (
                            f"arn:{Aws.PARTITION}:logs:{Aws.REGION}:{Aws.ACCOUNT_ID}:*"
                        )
                    }
                },
            )
        )
        return key

    # ----------------------------------------------------------------------------------------- network

    def _network(self) -> tuple[ec2.Vpc, ec2.SecurityGroup]:
        flow_logs = logs.LogGroup(
            self,
            "FlowLogs",
            log_group_name=f"/medlaunch/{self.airflow_name}/flow-logs",
            encryption_key=self.key,
            retention=logs.RetentionDays.THREE_MONTHS,
            removal_policy=RemovalPolicy.DESTROY,
        )
        internet = self.lake.environment_.internet
        private = ec2.SubnetType.PRIVATE_WITH_EGRESS if internet else ec2.SubnetType.PRIVATE_ISOLATED
        subnets = [ec2.SubnetConfiguration(name="airflow", subnet_type=private, cidr_mask=24)]
        if internet:
            subnets.append(
                ec2.SubnetConfiguration(
                    name="out",
                    subnet_type=ec2.SubnetType.PUBLIC,
                    cidr_mask=28,
                    map_public_ip_on_launch=False,  # the NAT gateway alone has an address
                )
            )
        vpc = ec2.Vpc(
            self,
            "Vpc",
            vpc_name=self.airflow_name,
            ip_addresses=ec2.IpAddresses.cidr("10.20.0.0/22"),
            max_azs=2,  # MWAA requires exactly two subnets
            nat_gateways=1 if internet else 0,
            restrict_default_security_group=False,  # would add a Lambda function; nothing uses that group
            subnet_configuration=subnets,
            flow_logs={
                "all": ec2.FlowLogOptions(
                    destination=ec2.FlowLogDestination.to_cloud_watch_logs(flow_logs),
                    traffic_type=ec2.FlowLogTrafficType.ALL,
                )
            },
            gateway_endpoints={
                "S3": ec2.GatewayVpcEndpointOptions(service=ec2.GatewayVpcEndpointAwsService.S3)
            },
        )
        self._zones(vpc)
        group = ec2.SecurityGroup(
            self,
            "Group",
            vpc=vpc,
            description="Containers of MWAA, with each other and to AWS",
            allow_all_outbound=False,
        )
        # https://docs.aws.amazon.com/mwaa/latest/userguide/vpc-security.html: MWAA requires a group that allows itself.
        group.add_ingress_rule(group, ec2.Port.all_traffic(), "between containers of MWAA")
        group.add_egress_rule(
            group, ec2.Port.all_traffic(), "between containers of MWAA, and to the endpoints"
        )
        group.add_egress_rule(
            ec2.Peer.any_ipv4(),
            ec2.Port.HTTPS,
            "S3 through its gateway; a NAT gateway is the only other way out",
        )
        for id_, service in ENDPOINTS.items():
            vpc.add_interface_endpoint(
                id_,
                service=service,
                private_dns_enabled=True,
                security_groups=[group],
                open=False,
                subnets=ec2.SubnetSelection(subnet_group_name="airflow"),
            )
        return vpc, group

    def _zones(self, vpc: ec2.Vpc) -> None:
        """Make the zones of the subnets parameters: not every endpoint's service is in every zone.

        Empty: the first two zones of the region. A later change replaces the subnets, which MWAA does not allow.
        """
        zones = []
        for number in range(2):
            parameter = CfnParameter(
                self,
                f"Zone{number + 1}",
                default="",
                allowed_pattern=r"^$|^[a-z]{2}(-[a-z0-9]+)+[a-z]$",
                description="Availability zone of the network's first or second subnet, such as us-east-1a; empty: the "
                "region's. `make preflight` says which zones have every endpoint. Cannot be changed later",
            )
            given = CfnCondition(
                self,
                f"HasZone{number + 1}",
                expression=Fn.condition_not(Fn.condition_equals(parameter.value_as_string, "")),
            )
            default = Fn.select(number, Fn.get_azs())
            zones.append(Fn.condition_if(given.logical_id, parameter.value_as_string, default))
        for subnets in (vpc.isolated_subnets, vpc.private_subnets, vpc.public_subnets):
            for subnet, zone in zip(subnets, zones, strict=False):
                child = subnet.node.default_child
                assert isinstance(child, ec2.CfnSubnet)
                child.add_property_override("AvailabilityZone", zone)

    # -------------------------------------------------------------------------------------- permissions

    def _policy(self) -> iam.ManagedPolicy:
        """The permissions that MWAA itself needs, in addition to those of the pipelines.

        AWS's sample for a customer managed key, action by action. Its denial of ``s3:ListAllMyBuckets`` is left out,
        because nothing here allows that. https://docs.aws.amazon.com/mwaa/latest/userguide/mwaa-create-role.html
        """
        region, account, partition = Aws.REGION, Aws.ACCOUNT_ID, Aws.PARTITION
        code = f"{self.code_arn}/*"
        log_groups = f"arn:{partition}:logs:{region}:{account}:log-group:airflow-{self.airflow_name}-*"
        celery = f"arn:{partition}:sqs:{region}:*:airflow-celery-*"

        def allow(sid: str, actions: list[str], resource: str, **conditions: Any) -> iam.PolicyStatement:
            return iam.PolicyStatement(sid=sid, actions=actions, resources=[resource], conditions=conditions)

        policy = iam.ManagedPolicy(
            self,
            "EnvironmentPolicy",
            managed_policy_name=f"{self.airflow_name}-mwaa-environment-{region}",
            description="Permissions that Amazon MWAA itself needs",
            roles=[self.role],
            statements=[
                allow(
                    "Heartbeat",
                    ["airflow:PublishMetrics"],
                    f"arn:{partition}:airflow:{region}:{account}:environment/{self.airflow_name}",
                ),
                allow("FindCode", ["s3:GetBucket*", "s3:List*"], self.code_arn),
                allow("ReadCode", ["s3:GetObject*", "s3:List*"], code),
                allow("CheckPublicAccessBlock", ["s3:GetAccountPublicAccessBlock"], "*"),
                allow(
                    "WriteLogs",
                    [
                        "logs:CreateLogStream",
                        "logs:CreateLogGroup",
                        "logs:PutLogEvents",
                        "logs:GetLogEvents",
                        "logs:GetLogRecord",
                        "logs:GetLogGroupFields",
                        "logs:GetQueryResults",
                    ],
                    log_groups,
                ),
                allow("FindLogs", ["logs:DescribeLogGroups"], "*"),
                allow("PutMetrics", ["cloudwatch:PutMetricData"], "*"),
                allow(
                    "UseCeleryQueue",
                    [
                        "sqs:ChangeMessageVisibility",
                        "sqs:DeleteMessage",
                        "sqs:GetQueueAttributes",
                        "sqs:GetQueueUrl",
                        "sqs:ReceiveMessage",
                        "sqs:SendMessage",
                    ],
                    celery,
                ),
                allow(
                    "UseMwaaKey",
                    ["kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKey*", "kms:Encrypt"],
                    self.key.key_arn,
                    StringLike={
                        "kms:ViaService": [f"{service}.{region}.amazonaws.com" for service in ("sqs", "s3")]
                    },
                ),
            ],
        )
        for resource, reason in {
            code: "The code bucket contains only code, and the workers run all of it.",
            log_groups: "The environment's own five log groups; MWAA names their streams.",
            celery: "The queue is in MWAA's own account, and MWAA generates its name.",
            "*": "Three actions without resource-level permissions: the account's public access block, which MWAA "
            "checks, the list of log groups, and metrics, for which AWS's sample names no namespace.",
        }.items():
            acknowledge_wildcard(policy, resource, reason)
        for action in ("s3:GetBucket*", "s3:GetObject*", "s3:List*", "kms:GenerateDataKey*"):
            acknowledge_wildcard(
                policy, action, "As in AWS's sample: MWAA chooses which it uses.", of="Action"
            )
        return policy

    # ------------------------------------------------------------------------------------------ alarms

    def _alarms(self) -> None:
        """https://docs.aws.amazon.com/mwaa/latest/userguide/access-metrics-cw.html"""

        def metric(name: str, statistic: str, **dimensions: str) -> cloudwatch.Metric:
            return cloudwatch.Metric(
                namespace="AmazonMWAA",
                metric_name=name,
                statistic=statistic,
                period=Duration.minutes(5),
                dimensions_map={"Environment": self.airflow_name, **dimensions},
            )

        for dag_id in permissions.dag_ids():
            self._alarm(
                f"{pascal(dag_id)}Failed",
                metric("DAGDurationFailed", "SampleCount", DAG=dag_id),
                f"A run of {dag_id} failed, whether or not its alert was delivered.",
            )
        heartbeat = cloudwatch.Alarm(
            self,
            "SchedulerSilent",
            alarm_name=f"{self.airflow_name}-SchedulerSilent",
            alarm_description="No scheduler has sent a heartbeat for 15 minutes.",
            metric=metric("SchedulerHeartbeat", "Sum", Function="Scheduler"),
            threshold=1,
            evaluation_periods=3,
            comparison_operator=cloudwatch.ComparisonOperator.LESS_THAN_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.BREACHING,
        )
        self._notify(heartbeat)

    def _alarm(self, id_: str, metric: cloudwatch.IMetric, why: str) -> None:
        self._notify(
            cloudwatch.Alarm(
                self,
                id_,
                alarm_name=f"{self.airflow_name}-{id_}",
                alarm_description=why,
                metric=metric,
                threshold=1,
                evaluation_periods=1,
                comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
        )

    def _notify(self, alarm: cloudwatch.Alarm) -> None:
        action = actions.SnsAction(self.lake.alarms)
        alarm.add_alarm_action(action)
        alarm.add_ok_action(action)
