"""The CDK app: the stacks of all environments, or of one.

python -m infra.app [--env dev] [--out DIR]     writes the templates, and fails on findings of cdk-nag
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from aws_cdk import App, BootstraplessSynthesizer, Stack, Validations
from aws_cdk import aws_iam as iam
from cdk_nag import AwsSolutionsChecks

from infra.access_stack import AccessStack
from infra.boundary_stack import BoundaryStack, arn_of
from infra.environments import ENVIRONMENTS
from infra.lake_stack import LakeStack
from infra.mwaa_stack import MwaaStack
from infra.readers_stack import ReadersStack

# Feature flags of a new CDK app: https://docs.aws.amazon.com/cdk/v2/guide/featureflags.html
FLAGS = {
    "@aws-cdk/aws-s3:serverAccessLogsUseBucketPolicy": True,
    "@aws-cdk/aws-iam:minimizePolicies": False,  # one statement per need, with its Sid, is readable
    "@aws-cdk/core:enablePartitionLiterals": True,
    "@aws-cdk/aws-kms:aliasNameRef": True,
    "@aws-cdk/aws-kms:reduceCrossAccountRegionPolicyScope": True,
}
OUT = Path(__file__).resolve().parents[1] / "build" / "cdk"


def build(app: App, names: list[str]) -> None:
    """Add the stacks of these environments."""
    for name in names:
        environment = ENVIRONMENTS[name]
        # No assets and no lookups: CloudFormation alone deploys the stacks, in an account without CDK's bootstrap.
        BoundaryStack(app, environment, synthesizer=BootstraplessSynthesizer())
        lake = LakeStack(app, environment, synthesizer=BootstraplessSynthesizer())
        access = AccessStack(app, lake, synthesizer=BootstraplessSynthesizer())
        airflow = MwaaStack(app, lake, access.role, synthesizer=BootstraplessSynthesizer())
        readers = ReadersStack(app, access, synthesizer=BootstraplessSynthesizer())
        for stack in (lake, access, airflow, readers):
            bound(stack, arn_of(environment))


def bound(stack: Stack, boundary: str) -> None:
    """Give every role of a stack, also those to come, the environment's permissions boundary."""
    policy = iam.ManagedPolicy.from_managed_policy_arn(stack, "Boundary", boundary)
    iam.PermissionsBoundary.of(stack).apply(policy)


def synthesise(app: App) -> str:
    """Write the templates, and fail on findings of cdk-nag or CloudFormation's rules; returns the folder."""
    Validations.of(app).add_plugins(AwsSolutionsChecks(app))
    folder: str = app.synth().directory
    return folder


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m infra.app", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--env", choices=sorted(ENVIRONMENTS), help="only this environment")
    parser.add_argument("--out", type=Path, help=f"folder for the templates (default: {OUT})")
    options = parser.parse_args(arguments)
    # Without --out, CDK's command line may set the folder.
    app = App(outdir=str(options.out) if options.out else None, context=FLAGS)
    build(app, [options.env] if options.env else sorted(ENVIRONMENTS))
    print(synthesise(app))
    return 0


if __name__ == "__main__":
    sys.exit(main())
