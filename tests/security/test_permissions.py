"""The pipeline runs with exactly the permissions that are declared, and uses every one of them.

That each of them, taken away, makes a step fail is shown one by one in test_each_permission.py.
"""

from __future__ import annotations

import fnmatch
import json
from pathlib import Path
from typing import Any

import pytest

from medlaunch import permissions
from medlaunch.permissions import EnvironmentArns
from tests.pipeline import DAG_ID, ROOT
from tests.security.enforced import ACCOUNT, REGION, STAGES, EnforcedPipeline, live

PLACE = EnvironmentArns.of(
    region=REGION,
    account=ACCOUNT,
    bucket="medlaunch-prod-lake",
    database="medlaunch_prod",
    workgroup="medlaunch-prod",
    alerts_topic=f"arn:aws:sns:{REGION}:{ACCOUNT}:medlaunch-prod-alerts",
    success_topic=f"arn:aws:sns:{REGION}:{ACCOUNT}:medlaunch-prod-successes",
    uploads_queues=f"arn:aws:sqs:{REGION}:{ACCOUNT}:medlaunch-prod-uploads-",
    key=f"arn:aws:kms:{REGION}:{ACCOUNT}:key/11111111-2222-3333-4444-555555555555",
)


# Half a minute on an idle machine; a busy one should not fail for that.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def lived(aws: Any, aws_url: str) -> Any:
    """A pipeline that went through its life as the workers' role, and what it asked for in each stage."""
    pipeline = EnforcedPipeline(aws, aws_url)
    try:
        yield pipeline, live(pipeline)
    finally:
        pipeline.close()


def test_the_dags_run_with_exactly_the_declared_permissions(lived: Any) -> None:
    _, used = lived
    # A stage that lacks a permission fails for that, and for nothing else.
    assert {
        name: {use["action"] for use in uses if not use["allowed_by"]} for name, uses in used.items()
    } == {name: {stage.missing[1]} if stage.missing else set() for name, stage in STAGES.items()}


#: What only the first pipeline of an account or a lake asks for: those after it find the databases.
ASKED_ONCE = ("CreateDefaultDatabase: ", "PrepareDatabase: glue:CreateDatabase ")


@pytest.mark.parametrize("dag_id", permissions.dag_ids())
def test_no_declared_permission_is_idle_or_covered_by_another(dag_id: str, lived: Any) -> None:
    """Each action on each resource was asked for, and no other statement allows it: it would be missed."""
    pipeline, used = lived
    asked = [
        (
            stage.dag_id,
            use["action"],
            use["resource"],
            use["allowed_by"] or [stage.missing and stage.missing[0]],
        )
        for name, stage in STAGES.items()
        for use in used[name]
    ]
    idle = [
        f"{one.sid}: {action} on {resource}"
        for one in permissions.of(dag_id)
        for action in one.actions
        for resource in one.document(pipeline.place)["Resource"]
        if not any(
            (asked_action, by) == (action, [one.sid])
            and fnmatch.fnmatchcase(asked_resource, resource)
            and (asking == dag_id or f"{one.sid}: {action} ".startswith(ASKED_ONCE))
            for asking, asked_action, asked_resource, by in asked
        )
    ]
    assert idle == [], "\n".join(idle)


@pytest.mark.parametrize("dag_id", sorted(file.stem for file in Path(ROOT / "dags").glob("*.py")))
def test_every_dag_declares_its_permissions(dag_id: str) -> None:
    statements = permissions.of(dag_id)
    assert len({one.sid for one in statements}) == len(statements)
    for one in permissions.policy(statements, PLACE)["Statement"]:
        assert one["Effect"] == "Allow"
        assert one["Sid"].isalnum()
        for action in one["Action"]:
            service, _, name = action.partition(":")
            assert name
            assert "*" not in action, f"{one['Sid']} allows more than one action by {action}"
            assert service in {"s3", "athena", "glue", "sns", "sqs", "kms"}
        for resource in one["Resource"]:
            assert resource.startswith("arn:aws:")
            shared = (PLACE.catalog, PLACE.default_database, PLACE.key)
            assert "medlaunch" in resource or resource in shared, resource
            assert resource != f"{PLACE.bucket}/*", f"{one['Sid']} is about the whole lake"


def test_managed_policies_hold_every_statement_once_within_the_quotas_of_iam() -> None:
    """https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html"""
    declared = [one for dag_id in permissions.dag_ids() for one in permissions.of(dag_id)]
    policies = permissions.managed_policies(declared)
    assert len(policies) <= 9  # of ten on a role; Amazon MWAA's own needs are the tenth
    held = []
    for statements in policies:
        document = permissions.policy(statements, PLACE)
        assert len(json.dumps(document, separators=(",", ":"))) <= 6144  # white space aside
        assert len({one.sid for one in statements}) == len(statements)
        held += [json.dumps(one) for one in document["Statement"]]
    assert sorted(held) == sorted(
        {json.dumps(one) for one in permissions.policy(declared, PLACE)["Statement"]}
    )


@pytest.mark.parametrize("dag_id", permissions.dag_ids())
def test_steps_are_tasks_of_the_dag(dag_id: str) -> None:
    from airflow.dag_processing.dagbag import DagBag

    dag = DagBag(ROOT / "dags").dags[dag_id]
    places = {"triggerer", "dag processor"}
    for statement in permissions.of(dag_id):
        for step in statement.steps:
            assert step.split(":")[0] in {*dag.task_ids, *dag.task_group_dict, *places}, (
                f"{statement.sid}: {step}"
            )
    assert dag.doc_md is not None
    assert all(one.sid in dag.doc_md for one in permissions.of(dag_id))


def test_permissions_are_about_what_is_published() -> None:
    from medlaunch.pipelines import FACILITY_ACCREDITATION

    (pointing,) = [one for one in permissions.of(DAG_ID) if one.sid == "PointPartitions"]
    tables = [one.removeprefix("{tables}") for one in pointing.resources if one.startswith("{tables}")]
    assert tables == [one.table for one in FACILITY_ACCREDITATION.results if one.table]
    (marking,) = [one for one in permissions.of(DAG_ID) if one.sid == "MarkSupersededResults"]
    assert {one.split("/")[2] for one in marking.resources} == {
        one.name for one in FACILITY_ACCREDITATION.results
    }


def test_what_an_environment_has_not_needs_no_permission() -> None:
    plain = EnvironmentArns.of(
        region=REGION,
        account=ACCOUNT,
        bucket="b",
        database="d",
        workgroup="w",
        alerts_topic="arn:aws:sns:::t",
    )
    services = {
        action.split(":")[0]
        for one in permissions.policy(permissions.of(DAG_ID), plain)["Statement"]
        for action in one["Action"]
    }
    assert services == {"s3", "athena", "glue", "sns"}
