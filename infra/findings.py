"""Suppressed findings of cdk-nag: each one separately, with its reason."""

from __future__ import annotations

from typing import Any

from aws_cdk import Acknowledgment, Stack, Validations
from aws_cdk import aws_iam as iam

_WILDCARD = "AwsSolutions::AwsSolutions-IAM5"


def acknowledge_wildcard(
    policy: iam.ManagedPolicy, resource: str, reason: str, *, of: str = "Resource"
) -> None:
    """Allow one wildcard at the end of a resource (or of an action) in a policy, for the given reason."""
    if not resource.endswith("*"):
        raise ValueError(f"{resource} does not end with a wildcard")
    finding = _as_nag_writes_it(Stack.of(policy).resolve(resource))
    template = policy.node.default_child
    assert template is not None
    Validations.of(template).acknowledge(Acknowledgment(id=f"{_WILDCARD}[{of}::{finding}]", reason=reason))


def _as_nag_writes_it(value: Any) -> str:
    """A value of the template as cdk-nag writes it in a finding's name: ``<Lake.Arn>/prod/*``."""
    if isinstance(value, str):
        return value
    ((function, of),) = value.items()
    match function:
        case "Ref":
            return f"<{of}>"
        case "Fn::GetAtt":
            return f"<{'.'.join(of)}>"
        case "Fn::Join":
            separator, parts = of
            return str(separator).join(_as_nag_writes_it(part) for part in parts)
        case "Fn::ImportValue":
            return _as_nag_writes_it(of)
        case _:
            raise ValueError(f"How cdk-nag writes {function} is unknown: add it here")
