"""Each permission, taken away, makes a step fail that its statement names. `make test-permissions` runs it.

Which stage of a pipeline's life needs a permission is not written down here: a life with all permissions is
recorded first, and the stage in which a permission was first used is lived again without it.
"""

from __future__ import annotations

from typing import Any

import pytest

from medlaunch import permissions
from tests.security.enforced import STAGES, EnforcedPipeline, failed_tasks, live, without

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]

PERMISSIONS = [
    pytest.param(dag_id, one, action, id=f"{dag_id}-{one.sid}-{action}")
    for dag_id in permissions.dag_ids()
    for one in permissions.of(dag_id)
    for action in one.actions
]


@pytest.fixture(scope="module")
def first_used(aws: Any, aws_url: str) -> dict[tuple[str, str, str], str]:
    """(DAG, Sid, action) -> the stage that needs it first."""
    pipeline = EnforcedPipeline(aws, aws_url)
    first: dict[tuple[str, str, str], str] = {}
    try:
        for name, used in live(pipeline).items():
            stage = STAGES[name]
            for use in used:
                for sid in use["allowed_by"] or [stage.missing[0] if stage.missing else ""]:
                    first.setdefault((stage.dag_id, sid, use["action"]), name)
    finally:
        pipeline.close()
    return first


@pytest.fixture
def pipeline(aws: Any, aws_url: str) -> Any:
    made = EnforcedPipeline(aws, aws_url)
    yield made
    made.close()


@pytest.mark.parametrize(("dag_id", "statement", "action"), PERMISSIONS)
def test_without_it_a_named_step_fails(
    dag_id: str,
    statement: permissions.Statement,
    action: str,
    first_used: dict[tuple[str, str, str], str],
    pipeline: EnforcedPipeline,
) -> None:
    name = first_used[(dag_id, statement.sid, action)]
    stage = STAGES[name]
    for earlier in stage.after:
        pipeline.allow(permissions.of(STAGES[earlier].dag_id))
        assert STAGES[earlier].happens(pipeline).state == "success"
    missing = without(permissions.of(dag_id), statement.sid, action)
    if "alert" in statement.steps and stage.missing:  # there is an alert only of a run that fails
        missing = without(missing, *stage.missing)
    pipeline.allow(missing)
    if stage.is_run:
        run = stage.happens(pipeline)
        assert run.state == "failed"
        failed = failed_tasks(run)
        named = [task for task in failed for step in statement.steps if f"{task}.".startswith(f"{step}.")]
        assert named, f"{statement.sid} names {statement.steps}, but {failed} failed"
    else:
        with pytest.raises(Exception, match=r"AccessDenied|not authorized"):
            stage.happens(pipeline)
    assert action in {use["action"] for use in pipeline.ledger() if not use["allowed_by"]}
