"""The permissions boundary of every role that the other stacks make: the most that such a role can ever do.

An administrator deploys it once per environment and region, before the others. The role that deploys the others may
make and change roles only with this boundary, and cannot change the boundary (docs/deploy.md): a merged commit can give
a role more permissions within the environment, and none outside it.
https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
"""

from __future__ import annotations

from typing import Any

from aws_cdk import Aws, CfnOutput, Stack
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.environments import Environment
from infra.findings import acknowledge_wildcard
from infra.lake_stack import tag


class BoundaryStack(Stack):
    """``policy`` is the boundary."""

    def __init__(self, scope: Construct, environment: Environment, **kwargs: Any) -> None:
        super().__init__(
            scope,
            f"{environment.prefix}-boundary",
            description=f"MedLaunch {environment.name}: the most that any of its roles may do",
            termination_protection=environment.protected,
            **kwargs,
        )
        tag(self, environment)
        resources = _resources(environment)
        self.policy = iam.ManagedPolicy(
            self,
            "Boundary",
            managed_policy_name=name_of(environment),
            description="Permissions boundary of all roles of the environment; changed by administrators only",
            statements=[
                iam.PolicyStatement(sid=sid, actions=actions, resources=on, conditions=conditions)
                for sid, actions, on, conditions in resources
            ],
        )
        wildcards = {resource for _, _, on, _ in resources for resource in on if resource.endswith("*")}
        for resource in sorted(wildcards):
            acknowledge_wildcard(
                self.policy, resource, "A boundary grants nothing; roles get single permissions."
            )
        for _, actions, _, _ in resources:
            for action in (one for one in actions if one.endswith("*")):
                acknowledge_wildcard(
                    self.policy,
                    action,
                    "A boundary grants nothing; roles get single permissions.",
                    of="Action",
                )
        CfnOutput(self, "BoundaryArn", value=self.policy.managed_policy_arn)


def name_of(environment: Environment) -> str:
    """Not ``medlaunch-<env>-…``: the deployment role may change policies of those names."""
    return f"medlaunch-boundary-{environment.name}-{Aws.REGION}"


def arn_of(environment: Environment) -> str:
    """By its name, so that the stacks that use it need no import from this one."""
    return f"arn:{Aws.PARTITION}:iam::{Aws.ACCOUNT_ID}:policy/{name_of(environment)}"


def _resources(environment: Environment) -> list[tuple[str, list[str], list[str], dict[str, Any] | None]]:
    """Sid, actions, resources and condition of each statement. Nothing of IAM or STS is in it."""
    here = f"{Aws.REGION}:{Aws.ACCOUNT_ID}"
    prefix, database = environment.prefix, environment.prefix.replace("-", "_")

    def arn(service: str, resource: str) -> str:
        return f"arn:{Aws.PARTITION}:{service}:{here}:{resource}"

    return [
        ("Buckets", ["s3:*"], [f"arn:{Aws.PARTITION}:s3:::{prefix}-*"], None),
        (
            "Catalog",
            ["glue:*"],
            [
                arn("glue", "catalog"),
                arn("glue", "database/default"),
                arn("glue", f"database/{database}"),
                arn("glue", f"table/{database}/*"),
            ],
            None,
        ),
        ("Workgroups", ["athena:*"], [arn("athena", f"workgroup/{prefix}*")], None),
        ("Topics", ["sns:*"], [arn("sns", f"{prefix}-*")], None),
        (
            "Queues",
            ["sqs:*"],
            [
                arn("sqs", f"{prefix}-*"),
                f"arn:{Aws.PARTITION}:sqs:{Aws.REGION}:*:airflow-celery-*",  # MWAA's, in its own account
            ],
            None,
        ),
        ("Secrets", ["secretsmanager:GetSecretValue"], [arn("secretsmanager", f"secret:{prefix}*")], None),
        (
            "Keys",
            ["kms:Decrypt", "kms:Encrypt", "kms:GenerateDataKey*", "kms:DescribeKey"],
            [arn("kms", "key/*")],
            {"StringLike": {"kms:ViaService": f"*.{Aws.REGION}.amazonaws.com"}},
        ),
        ("Airflow", ["airflow:PublishMetrics"], [arn("airflow", f"environment/{prefix}*")], None),
        ("Logs", ["logs:*"], [arn("logs", f"log-group:*{prefix}*")], None),
        # These have no permissions for single resources.
        (
            "Account",
            ["cloudwatch:PutMetricData", "logs:DescribeLogGroups", "s3:GetAccountPublicAccessBlock"],
            ["*"],
            None,
        ),
    ]
