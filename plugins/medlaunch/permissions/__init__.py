"""What the role of a pipeline's workers may do: one statement per need, with the task that needs it and why.

Those of a pipeline are built from its declaration (:mod:`medlaunch.permissions.pipeline`); each tool has a module, named
after its DAG, with ``STATEMENTS``. The DAG's documentation, the pages of ``docs/``, the
tests that run the pipeline with exactly these, and the role that is deployed are all made from them, so that a
permission is declared in one place. Pure: no Airflow and no boto3, because infrastructure code imports it too.
"""

from __future__ import annotations

import json
import pkgutil
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from importlib import import_module
from pathlib import Path
from typing import Any

from medlaunch.pipelines import by_dag

#: What a managed policy of IAM holds, white space aside.
POLICY_CHARACTERS = 6144
#: Where a DAG's documentation wants the table of its permissions.
MARKER = "{permissions}"


@dataclass(frozen=True, kw_only=True)
class EnvironmentArns:
    """The names of one environment, as ARNs. What an environment does not have is None, and statements about it are
    left out of its policy.

    ``tables`` is the ARN of a table of the database without the table's name, ``uploads_queues`` that of a queue
    without the id of its pipeline's DAG.
    """

    region: str
    bucket: str
    catalog: str
    database: str
    default_database: str
    tables: str
    workgroup: str
    alerts_topic: str
    success_topic: str | None = None
    uploads_queues: str | None = None
    key: str | None = None
    readers_workgroup: str | None = None

    @classmethod
    def of(
        cls,
        *,
        region: str,
        account: str,
        bucket: str,
        database: str,
        workgroup: str,
        alerts_topic: str,
        success_topic: str | None = None,
        uploads_queues: str | None = None,
        key: str | None = None,
        readers_workgroup: str | None = None,
        partition: str = "aws",
    ) -> EnvironmentArns:
        """From names, where AWS builds the ARN of a name; topics, queues and key are ARNs already."""
        glue = f"arn:{partition}:glue:{region}:{account}"
        workgroups = f"arn:{partition}:athena:{region}:{account}:workgroup/"
        return cls(
            region=region,
            bucket=f"arn:{partition}:s3:::{bucket}",
            catalog=f"{glue}:catalog",
            database=f"{glue}:database/{database}",
            default_database=f"{glue}:database/default",
            tables=f"{glue}:table/{database}/",
            workgroup=f"{workgroups}{workgroup}",
            alerts_topic=alerts_topic,
            success_topic=success_topic,
            uploads_queues=uploads_queues,
            key=key,
            readers_workgroup=f"{workgroups}{readers_workgroup}" if readers_workgroup else None,
        )


_ARN = "ap-southeast-2:123456789012"
#: An environment with longer names than any has: what fits there fits everywhere.
_LONG_NAMES = EnvironmentArns.of(
    region="ap-southeast-2",
    account="123456789012",
    bucket="medlaunch-production-lake-123456789012",
    database="medlaunch_production",
    workgroup="medlaunch-production",
    readers_workgroup="medlaunch-production-readers",
    alerts_topic=f"arn:aws:sns:{_ARN}:medlaunch-production-alerts",
    success_topic=f"arn:aws:sns:{_ARN}:medlaunch-production-notifications",
    uploads_queues=f"arn:aws:sqs:{_ARN}:medlaunch-production-uploads-",
    key=f"arn:aws:kms:{_ARN}:key/11111111-2222-3333-4444-555555555555",
)


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One need.

    ``resources`` and the values of ``condition`` are texts with the fields of :class:`EnvironmentArns` in braces:
    ``{bucket}/landing/<dataset>/*``. ``steps`` are ids of tasks or of groups of tasks, or where else in Airflow
    the need arises. ``only_with`` names fields of :class:`EnvironmentArns` without which there is no such need.
    """

    sid: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    steps: tuple[str, ...]
    why: str
    condition: Mapping[str, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    only_with: tuple[str, ...] = ()

    def places(self) -> set[str]:
        """The fields of :class:`EnvironmentArns` that the statement is about."""
        texts = [
            *self.resources,
            *(one for keys in self.condition.values() for vs in keys.values() for one in vs),
        ]
        named = {name for text in texts for _, name, _, _ in string.Formatter().parse(text) if name}
        return named | set(self.only_with)

    def document(self, place: EnvironmentArns) -> dict[str, Any]:
        """The statement as IAM reads it."""
        known = {one.name: getattr(place, one.name) for one in fields(place)}
        document: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Action": list(self.actions),
            "Resource": [one.format(**known) for one in self.resources],
        }
        if self.condition:
            document["Condition"] = {
                operator: {key: [one.format(**known) for one in values] for key, values in keys.items()}
                for operator, keys in self.condition.items()
            }
        return document


def of(dag_id: str) -> tuple[Statement, ...]:
    """The statements of a DAG of this repository.

    Raises:
        ModuleNotFoundError: if the needs of the DAG are not declared.
    """
    if pipelines := by_dag().get(dag_id):
        return import_module(f"{__name__}.pipeline").statements(*pipelines)
    statements: tuple[Statement, ...] = import_module(f"{__name__}.{dag_id}").STATEMENTS
    return statements


def of_readers(sql: Path) -> tuple[Statement, ...]:
    """The statements of readers: analysts and the dashboard. ``sql`` is the folder of statements, ``include/sql``."""
    statements: tuple[Statement, ...] = import_module(f"{__name__}._reader").statements(sql)
    return statements


def dag_ids() -> list[str]:
    """The DAGs whose permissions are declared, sorted."""
    tools = {one.name for one in pkgutil.iter_modules(__path__) if not one.name.startswith("_")} - {
        "pipeline"
    }
    return sorted(tools | by_dag().keys())


def policy(statements: Sequence[Statement], place: EnvironmentArns) -> dict[str, Any]:
    """The IAM policy that allows these statements in an environment, and nothing else."""
    absent = {one.name for one in fields(place) if getattr(place, one.name) is None}
    return {
        "Version": "2012-10-17",
        "Statement": [one.document(place) for one in statements if not one.places() & absent],
    }


def managed_policies(statements: Iterable[Statement]) -> list[list[Statement]]:
    """The statements in few managed policies, each small enough for IAM. What several DAGs need is in it once.

    A managed policy holds 6,144 characters, and a role ten such policies
    (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html).
    """
    policies: list[list[Statement]] = []
    seen: set[str] = set()
    for statement in statements:
        document = json.dumps(statement.document(_LONG_NAMES))
        if document in seen:
            continue
        seen.add(document)
        for found in policies:
            if statement.sid not in {one.sid for one in found} and _fits([*found, statement]):
                found.append(statement)
                break
        else:
            policies.append([statement])
    return policies


def _fits(statements: Sequence[Statement]) -> bool:
    return len(json.dumps(policy(statements, _LONG_NAMES), separators=(",", ":"))) <= POLICY_CHARACTERS


def documented(text: str | None, statements: Sequence[Statement]) -> str:
    """A DAG's documentation with the table of its permissions in the place of ``{permissions}``."""
    if not text or MARKER not in text:
        raise ValueError(
            f"The documentation of a DAG needs a place {MARKER} for its permissions: {(text or '')[:80]}"
        )
    return text.replace(MARKER, table(statements))


def table(statements: Sequence[Statement]) -> str:
    """The statements as a Markdown table."""
    lines = ["| statement | actions | on | needed by | why |", "|---|---|---|---|---|"]
    for one in statements:
        on = ", ".join(f"`{_readable(resource)}`" for resource in one.resources)
        actions = ", ".join(f"`{action}`" for action in one.actions)
        lines.append(
            f"| {one.sid} | {actions} | {on} | {', '.join(f'`{step}`' for step in one.steps)} | {one.why} |"
        )
    return "\n".join(lines)


def _readable(resource: str) -> str:
    return resource.replace("{bucket}/", "").replace("{", "<").replace("}", ">")
