"""The role of the pipelines' workers and its permissions, which :mod:`medlaunch.permissions` declares.

A stack of its own, because a template that CloudFormation deploys without a bucket holds 51,200 characters, and the
statements need most of them.
"""

from __future__ import annotations

from typing import Any

from aws_cdk import ArnFormat, Aws, CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.findings import acknowledge_wildcard
from infra.lake_stack import LakeStack, tag
from medlaunch import permissions


class AccessStack(Stack):
    """``role`` is the role of the workers of a lake."""

    def __init__(self, scope: Construct, lake: LakeStack, **kwargs: Any) -> None:
        environment = lake.environment_
        super().__init__(
            scope,
            f"{environment.prefix}-access",
            description=f"MedLaunch {environment.name}: the workers' role and its permissions",
            termination_protection=environment.protected,
            suppress_template_indentation=True,  # CloudFormation accepts 51,200 characters without a bucket
            **kwargs,
        )
        self.lake = lake
        tag(self, environment)
        self.role = self._role()
        self._policies()
        CfnOutput(self, "WorkerRoleArn", value=self.role.role_arn)

    def _role(self) -> iam.Role:
        return iam.Role(
            self,
            "WorkerRole",
            role_name=f"{self.lake.environment_.prefix}-worker-{Aws.REGION}",
            description="The tasks of the pipelines; exactly the permissions in medlaunch.permissions",
            assumed_by=iam.CompositePrincipal(
                *(
                    iam.ServicePrincipal(
                        f"{service}.amazonaws.com",
                        conditions={"StringEquals": {"aws:SourceAccount": Aws.ACCOUNT_ID}},
                    )
                    for service in ("airflow", "airflow-env")
                )
            ),
            max_session_duration=Duration.hours(12),
        )

    def _policies(self) -> None:
        prefix, arns = self.lake.environment_.prefix, self.arns()
        declared = [one for dag_id in permissions.dag_ids() for one in permissions.of(dag_id)]
        for number, statements in enumerate(permissions.managed_policies(declared), 1):
            policy = iam.ManagedPolicy(
                self,
                f"Policy{number}",
                managed_policy_name=f"{prefix}-worker-{number}-{Aws.REGION}",
                description="Declared in medlaunch.permissions; docs/reference/dags.md says which step needs what",
                roles=[self.role],
                document=iam.PolicyDocument.from_json(permissions.policy(statements, arns)),
            )
            for statement in statements:
                for resource in statement.document(arns)["Resource"]:
                    if resource.endswith("*"):
                        acknowledge_wildcard(policy, resource, f"{statement.sid}: {statement.why}")

    def arns(self) -> permissions.EnvironmentArns:
        """By names, where the lake has chosen them: shorter than imports from its stack."""
        lake = self.lake

        def arn(service: str, resource: str, name: str | None = None) -> str:
            if name is None:
                return self.format_arn(
                    service=service, resource=resource, arn_format=ArnFormat.NO_RESOURCE_NAME
                )
            return self.format_arn(service=service, resource=resource, resource_name=name)

        return permissions.EnvironmentArns(
            region=Aws.REGION,
            bucket=f"arn:{Aws.PARTITION}:s3:::{lake.lake_name}",
            catalog=arn("glue", "catalog"),
            database=arn("glue", "database", lake.database_name),
            default_database=arn("glue", "database", "default"),
            tables=arn("glue", "table", f"{lake.database_name}/"),
            workgroup=arn("athena", "workgroup", lake.workgroup.name),
            readers_workgroup=arn("athena", "workgroup", f"{lake.environment_.prefix}-readers"),
            alerts_topic=arn("sns", lake.topic_name("alerts")),
            success_topic=arn("sns", lake.topic_name("notifications")),
            uploads_queues=arn("sqs", lake.queue_prefix),
            key=lake.key.key_arn,
        )
