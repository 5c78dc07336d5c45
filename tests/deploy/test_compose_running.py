"""docker-compose.yaml, started for real: ``make test-compose``. Takes about ten minutes.

In a copy of the work tree, so that DAGs and SQL can be edited while it runs, under a project name and on ports of
its own. It uses the machine's Docker engine and image registry where there are such, and makes do without
(deploy/containers/engine.py).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from deploy.containers import engine
from laptop import aws, lifecycle
from laptop.airflow_stack import Airflow
from laptop.stack import ROOT, Stack
from medlaunch import lake
from sample_data import facilities

pytestmark = [pytest.mark.docker, pytest.mark.timeout(1500)]

DAG = "facility_accreditation"
SAMPLES = 60
SERVICES = ("postgres", "local-aws", "api-server", "scheduler", "dag-processor", "triggerer")
SECONDS = 600


@dataclass
class Containers:
    """The stack, and how to speak to it from this machine."""

    folder: Path
    project: str
    stack: Stack
    airflow: Airflow

    def compose(self, *arguments: str, seconds: float = 900) -> str:
        command = ["docker", "compose", "--project-name", self.project, *arguments]
        ports = {
            "AIRFLOW_PORT": str(self.stack.airflow_port),
            "LOCAL_AWS_PORT": str(self.stack.aws_port),
            "SAMPLE_RECORDS": str(SAMPLES),
        }
        run = subprocess.run(
            command, cwd=self.folder, env={**os.environ, **ports},
            capture_output=True, text=True, timeout=seconds, check=False,
        )  # fmt: skip
        assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout[-3000:]}{run.stderr[-6000:]}"
        return run.stdout

    def up(self) -> None:
        self.compose("up", "--detach", "--wait", "--wait-timeout", "600", "--quiet-pull")

    def upload(self, day: str, file: str, *ids: int) -> str:
        """Put facilities into landing; returns the key."""
        text = "".join(json.dumps(facility(number)) + "\n" for number in ids)
        key = lake.landing_key("facilities", f"{day}/{file}")
        aws.client(self.stack, "s3").put_object(
            Bucket=self.stack.settings.bucket, Key=key, Body=text.encode()
        )
        return key

    def landing(self) -> list[str]:
        found = aws.client(self.stack, "s3").list_objects_v2(
            Bucket=self.stack.settings.bucket, Prefix=lake.landing_prefix("facilities")
        )
        return [one["Key"] for one in found.get("Contents", [])]

    def published(self, day: str) -> list[str]:
        """The facilities of a snapshot, as a reader of the tables sees them."""
        rows = aws.select(
            self.stack,
            f"SELECT facility_id FROM facility_metrics WHERE snapshot_date = DATE '{day}' ORDER BY 1",
        )
        return [str(row["facility_id"]) for row in rows]

    def task_log(self, run: str, task: str, map_index: int = -1) -> str:
        """The log of a task's first try, as the UI shows it."""
        place = f"/dags/{DAG}/dagRuns/{quote(run, safe='')}/taskInstances/{task}/logs/1"
        return json.dumps(self.airflow.get(place, map_index=map_index))

    def wait_until_published(self, day: str, *ids: int) -> None:
        wanted = {f"FAC{number:07d}" for number in ids}
        # Until the run has put away what it took: only then is it over.
        self.wait(lambda: not self.landing() and wanted <= set(self.published(day)), f"{day} with {wanted}")

    def wait(self, condition: Any, what: str, seconds: float = SECONDS) -> None:
        def holds() -> bool:
            try:
                return bool(condition())
            except Exception:  # whatever is being restarted does not answer
                return False

        self.airflow.wait_for(holds, what, seconds)

    def new_alerts(self) -> list[dict[str, Any]]:
        """The pipeline's alerts that have arrived since this was last asked."""
        arrived = [json.loads(one["Message"]) for one in aws.read_alerts(self.stack, delete=True)]
        return [one for one in arrived if one["pipeline"] == DAG]


def facility(number: int) -> dict[str, Any]:
    return {
        "facility_id": f"FAC{number:07d}",
        "facility_name": f"Clinic {number}",
        "employee_count": 10,
        "location": {"address": "1 Main St", "city": "Detroit", "state": "MI", "zip": "48201"},
        "services": ["Radiology"],
        "labs": [],
        "accreditations": [
            {"accreditation_body": "CAP", "accreditation_id": f"A{number}", "valid_until": "2027-01-31"}
        ],
    }


@pytest.fixture(scope="module")
def containers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Containers]:
    folder = tmp_path_factory.mktemp("clone")
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    # Read by other users in the containers.
    subprocess.run(["chmod", "-R", "a+rX", folder, folder.parent], check=True)
    stack = Stack(
        home=tmp_path_factory.mktemp("stack"),
        aws_port=lifecycle.free_port(),
        airflow_port=lifecycle.free_port(),
    )
    with engine.running(), Airflow(stack) as airflow:
        substitutes = engine.ensure_images()
        print(f"Substitutes: {substitutes or 'none'}", flush=True)
        found = Containers(folder, f"medlaunch-proof-{os.getpid()}", stack, airflow)
        try:
            yield found
        finally:
            found.compose("down", "--volumes", "--timeout", "5")


def test_up_brings_a_healthy_stack(containers: Containers) -> None:
    began = time.monotonic()
    containers.compose("build")
    built = time.monotonic()
    containers.up()
    print(f"build {built - began:.0f} s, up {time.monotonic() - built:.0f} s", flush=True)
    states = [json.loads(line) for line in containers.compose("ps", "--format", "json").splitlines()]
    assert {one["Service"]: one["Health"] for one in states} == dict.fromkeys(SERVICES, "healthy")
    containers.wait(containers.airflow.is_healthy, "Airflow to say that all of it is healthy")
    containers.wait(lambda: DAG in containers.airflow.dags(), "the DAG to be read")
    assert containers.airflow.import_errors() == {}


def test_nobody_is_root(containers: Containers) -> None:
    for service in SERVICES:
        assert containers.compose("exec", "--no-TTY", service, "id", "-u").strip() != "0"


def test_samples_are_published_without_a_click(containers: Containers) -> None:
    containers.wait(lambda: not containers.landing(), "the samples to be processed")
    for day in facilities.DEFAULT_SNAPSHOTS:
        assert len(containers.published(str(day))) > SAMPLES / 2


def test_the_logs_of_tasks_are_there_to_read(containers: Containers) -> None:
    """Written by the scheduler's container, read by the API server's."""

    def ended() -> list[str]:
        return [one["dag_run_id"] for one in containers.airflow.runs(DAG) if one["state"] == "success"]

    containers.wait(ended, "a run to end")
    run = ended()[0]
    for task in ("claim_uploads", "load_bronze", "publish_results"):
        number = 0 if task == "load_bronze" else -1  # mapped over groups of files
        log = containers.task_log(run, task, number)
        assert f'"step":"{task}"' in log.replace("\\", ""), log[-2000:]


def test_an_upload_is_published(containers: Containers) -> None:
    began = time.monotonic()
    containers.upload("2026-11-02", "one.jsonl", 1, 2)
    containers.wait_until_published("2026-11-02", 1, 2)
    print(f"upload to published {time.monotonic() - began:.0f} s", flush=True)
    assert containers.new_alerts() == []


def test_edits_show_at_once_and_a_failed_run_alerts_once(containers: Containers) -> None:
    """A statement is broken, and mended: both without a new image."""
    airflow = containers.airflow
    statement = containers.folder / "include/sql/facility_accreditation/count_lines.sql"
    whole = statement.read_text()
    before = {one["dag_run_id"] for one in airflow.runs(DAG)}
    statement.write_text(whole.replace("SELECT", "SELECT no_such_column,", 1))
    containers.upload("2026-11-03", "two.jsonl", 3)
    told: list[dict[str, Any]] = []

    def failed() -> list[str]:
        runs = [one for one in airflow.runs(DAG) if one["dag_run_id"] not in before]
        return [one["dag_run_id"] for one in runs if one["state"] == "failed"]

    def all_have_alerted() -> bool:
        told.extend(containers.new_alerts())
        return bool(failed()) and {one["run"]["id"] for one in told} >= set(failed())

    containers.wait(all_have_alerted, "a run to fail and to alert")
    assert "count_lines" in json.dumps(told[0])
    assert containers.landing(), "a failed run keeps its uploads"
    assert containers.published("2026-11-03") == []

    statement.write_text(whole)
    containers.upload("2026-11-03", "three.jsonl", 4)
    containers.wait_until_published("2026-11-03", 3, 4)
    # The sweep by the clock may have started a second run that failed too: one message for each, and no other.
    assert all_have_alerted()
    assert sorted(one["run"]["id"] for one in told) == sorted(failed())


def test_an_edited_dag_shows_without_a_new_image(containers: Containers) -> None:
    file = containers.folder / "dags/facility_accreditation.py"
    file.write_text(file.read_text().replace('"Facility accreditation"', '"Edited"'))
    containers.wait(lambda: containers.airflow.dags()[DAG]["dag_display_name"] == "Edited", "the edit")


@pytest.mark.parametrize("number", range(len(SERVICES)), ids=SERVICES)
def test_a_restart_of_each_service_keeps_working(containers: Containers, number: int) -> None:
    service, facility_number = SERVICES[number], 100 + number
    containers.compose("restart", service)
    containers.up()
    containers.upload("2026-11-04", f"after-{service}.jsonl", facility_number)
    containers.wait_until_published("2026-11-04", facility_number)


def test_what_is_started_again_keeps_its_data_and_uploads_nothing_anew(containers: Containers) -> None:
    before = containers.published("2026-11-04")
    containers.compose("down", "--timeout", "20")
    containers.up()
    assert containers.published("2026-11-04") == before
    assert containers.landing() == []
    assert containers.airflow.runs(DAG)


def test_down_leaves_nothing(containers: Containers) -> None:
    containers.compose("down", "--volumes", "--timeout", "20")
    label = f"label=com.docker.compose.project={containers.project}"
    for listing in (("ps", "--all"), ("volume", "ls"), ("network", "ls")):
        left = subprocess.run(
            ["docker", *listing, "--quiet", "--filter", label], capture_output=True, text=True, check=True
        )
        assert left.stdout == "", listing
