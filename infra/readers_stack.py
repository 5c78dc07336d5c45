"""Readers of an environment: a policy for analysts, a role for the dashboard, and a workgroup that limits their queries.

The permissions are those of :func:`medlaunch.permissions.of_readers`: published tables and views, nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from aws_cdk import Aws, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_athena as athena
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.access_stack import AccessStack
from infra.findings import acknowledge_wildcard
from infra.lake_stack import tag
from medlaunch import lake, permissions

SQL = Path(__file__).resolve().parents[1] / "include/sql"


class ReadersStack(Stack):
    """The readers of a lake."""

    def __init__(self, scope: Construct, access: AccessStack, **kwargs: Any) -> None:
        self.lake, self.access = access.lake, access
        environment = self.lake.environment_
        super().__init__(
            scope,
            f"{environment.prefix}-readers",
            description=f"MedLaunch {environment.name}: readers, their workgroup and the dashboard's role",
            termination_protection=environment.protected,
            suppress_template_indentation=True,
            **kwargs,
        )
        self.prefix = environment.prefix
        tag(self, environment)
        self._workgroup()
        policy = self._policy()
        role = self._role(policy)
        CfnOutput(self, "ReadersPolicyArn", value=policy.managed_policy_arn)
        CfnOutput(self, "DashboardRoleArn", value=role.role_arn)
        CfnOutput(self, "DashboardWorkgroup", value=f"{self.prefix}-readers")

    def _workgroup(self) -> None:
        results = lake.s3_uri(self.lake.bucket.bucket_name, f"{lake.READERS_RESULTS}/")
        environment = self.lake.environment_
        workgroup = athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=f"{self.prefix}-readers",
            description="Queries of analysts and of the dashboard",
            state="ENABLED",
            recursive_delete_option=not environment.keep_data,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                requester_pays_enabled=False,
                bytes_scanned_cutoff_per_query=environment.readers_scan_limit_bytes,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=results,
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_KMS", kms_key=self.lake.key.key_arn
                    ),
                    expected_bucket_owner=Aws.ACCOUNT_ID,
                ),
            ),
        )
        workgroup.apply_removal_policy(
            RemovalPolicy.RETAIN if environment.keep_data else RemovalPolicy.DESTROY
        )

    def _policy(self) -> iam.ManagedPolicy:
        arns, statements = self.access.arns(), permissions.of_readers(SQL)
        policy = iam.ManagedPolicy(
            self,
            "Policy",
            managed_policy_name=f"{self.prefix}-readers-{Aws.REGION}",
            description="Published tables and views, through Athena; declared in medlaunch.permissions",
            document=iam.PolicyDocument.from_json(permissions.policy(statements, arns)),
        )
        for statement in statements:
            for resource in statement.document(arns)["Resource"]:
                if resource.endswith("*"):
                    acknowledge_wildcard(policy, resource, f"{statement.sid}: {statement.why}")
        return policy

    def _role(self, policy: iam.ManagedPolicy) -> iam.Role:
        return iam.Role(
            self,
            "DashboardRole",
            role_name=f"{self.prefix}-dashboard-{Aws.REGION}",
            description="The dashboard's container, on Amazon ECS",
            assumed_by=iam.ServicePrincipal(
                "ecs-tasks.amazonaws.com",
                conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
            ),
            managed_policies=[policy],
        )
