"""Every DAG file loads, says who owns it and what to do when it fails, and alerts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.sdk import DAG

ROOT = Path(__file__).parents[2]
# File -> its DAGs. A new file is added here, or the count fails.
DAG_FILES = {
    "check_freshness.py": {"check_freshness"},
    "fetch_cms_files.py": {"fetch_cms_files"},
    "clinical_quality.py": {"clinical_quality"},
    "facility_accreditation.py": {"facility_accreditation"},
    "maintain_tables.py": {"maintain_tables"},
    "nurse_staffing.py": {"nurse_staffing"},
    "replay_uploads.py": {"replay_uploads"},
    "rollback_publication.py": {"rollback_publication"},
}
TAGS = {"accreditation", "staffing", "clinical", "athena", "medlaunch", "operations"}
# Waiting and deciding what is left to do are not results; nothing to alert about is no failure.
SECTIONS = ("**Params**", "**Outputs**", "**Permissions**", "**When it fails**")


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(dag_folder=ROOT / "dags")


@pytest.fixture(scope="module", params=sorted(name for names in DAG_FILES.values() for name in names))
def dag(request: pytest.FixtureRequest, bag: DagBag) -> DAG:
    return bag.dags[request.param]


def test_every_dag_file_is_known_and_loads(bag: DagBag) -> None:
    assert bag.import_errors == {}
    assert {path.name for path in (ROOT / "dags").glob("*.py")} == set(DAG_FILES)
    found: dict[str, set[str]] = {}
    for dag in bag.dags.values():
        found.setdefault(Path(dag.fileloc).name, set()).add(dag.dag_id)
    assert found == DAG_FILES


def test_a_broken_dag_is_caught(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("from airflow.sdk import DAG\nDAG('x', schedule='@nonsense')\n")
    broken = DagBag(dag_folder=tmp_path)
    assert list(broken.import_errors) or not broken.dags


def test_documents(dag: DAG) -> None:
    assert dag.doc_md
    assert dag.description
    for section in SECTIONS:
        assert section in dag.doc_md, f"{dag.dag_id} does not tell its {section}"
    runbook = ROOT / f"docs/runbooks/{dag.dag_id}_failed.md"
    assert runbook.is_file()
    assert runbook.name in dag.doc_md
    for task in dag.tasks:
        assert task.doc_md or task.doc, f"{dag.dag_id}.{task.task_id} has no doc_md"


def test_owner_tags_and_runs(dag: DAG) -> None:
    assert dag.tags
    assert set(dag.tags) <= TAGS
    assert dag.max_active_runs == 1
    assert not dag.catchup
    assert dag.dagrun_timeout is not None
    assert dag.max_consecutive_failed_dag_runs > 0
    for task in dag.tasks:
        assert task.owner == "data-platform"


def test_params_are_typed_and_explained(dag: DAG) -> None:
    for name in dag.params:
        schema = dag.params.get_param(name).schema
        assert schema.get("type"), f"{name} has no type"
        assert dag.params.get_param(name).description, f"{name} has no description"


@pytest.mark.parametrize("bad", ["2026-11-31", "20261120", "today", "2026-W46-6"])
def test_a_bad_as_of_is_refused_or_fails_at_once(bag: DagBag, bad: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    dag = bag.dags["facility_accreditation"]
    claim: Any = dag.get_task("claim_uploads")
    with pytest.raises(AirflowFailException, match=bad):
        claim.python_callable(params={"as_of": bad, "expiry_window": "P6M"})


@pytest.mark.parametrize("bad", ["six months", "P6H", "-P6M", "P", "", "PT5M", "P6M; DROP TABLE x"])
def test_a_bad_window_is_refused(bag: DagBag, bad: str) -> None:
    from airflow.sdk.exceptions import AirflowFailException

    dag = bag.dags["facility_accreditation"]
    claim: Any = dag.get_task("claim_uploads")
    with pytest.raises(AirflowFailException, match=r"window|duration"):
        claim.python_callable(params={"as_of": "2026-11-20", "expiry_window": bad})


def test_retries(dag: DAG) -> None:
    for task in dag.tasks:
        # A deferrable task needs them for the race between its trigger and its executor event.
        assert (task.retries or 0) >= 2, f"{task.task_id} has {task.retries} retries"


def test_alerts_are_wired(dag: DAG) -> None:
    assert dag.on_failure_callback
    alert = dag.get_task("alert")
    assert alert.trigger_rule == "all_done"
    upstream = alert.get_flat_relatives(upstream=True)
    assert {task.task_id for task in upstream} == {task.task_id for task in dag.tasks} - {"alert"}
    # Waits for everything that can fail side by side, so that one alert names all.
    parallel = {
        task.task_id for task in dag.tasks if task.is_mapped or (task.task_group and task.task_group.group_id)
    }
    direct = set(alert.upstream_task_ids)
    for task_id in parallel:
        task = dag.get_task(task_id)
        assert task_id in direct or any(
            one.task_id in direct for one in task.get_flat_relatives(upstream=False)
        )
    for task in dag.tasks:
        if task.task_id != "alert":
            assert task.on_failure_callback, f"{task.task_id} does not remember its error"


def test_parsing_does_not_touch_the_network(tmp_path: Path) -> None:
    """With a hook that ends the process at the first connection or name look-up."""
    program = """
import os, sys
def no_network(event, args):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname"):
        print("network:", event, args, flush=True)
        os._exit(3)
import airflow  # its own start-up is not ours to judge
sys.addaudithook(no_network)
from airflow.dag_processing.dagbag import DagBag
bag = DagBag(dag_folder=sys.argv[1])
print(sorted(bag.dags), bag.import_errors)
sys.exit(0 if bag.dags and not bag.import_errors else 4)
"""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    run = subprocess.run(
        [sys.executable, "-c", program, str(ROOT / "dags")],
        env=clean | {"PYTHONPATH": str(ROOT / "plugins"), "AIRFLOW_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr
