"""The commands of the laptop, as a person runs them: processes, exit statuses, and what is left afterwards."""

from __future__ import annotations

import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from laptop import aws, lifecycle
from laptop.airflow_stack import Airflow
from laptop.stack import ROOT, Stack
from tests.factories import facility, lines
from tests.staffing_uploads import PBJ_HEADER, PROVIDER_HEADER, as_csv, pbj_row, provider_row

DAG = "facility_accreditation"
SECONDS = 150


def processes_of(folder: Path) -> list[psutil.Process]:
    """Processes that were told of a folder, by their arguments or their environment."""
    found = []
    for process in psutil.process_iter():
        try:
            told = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            continue
        if process.pid != os.getpid() and any(str(folder) in text for text in told):
            found.append(process)
    return found


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home of the stack"
    yield folder
    lifecycle.down(Stack(home=folder), timeout_seconds=1)


def test_a_stack_that_is_stopped_comes_back_with_its_lake(home: Path, tmp_path: Path) -> None:
    ports = {"LOCAL_AWS_PORT": str(lifecycle.free_port()), "AIRFLOW_PORT": str(lifecycle.free_port())}
    stack = Stack(home, int(ports["LOCAL_AWS_PORT"]), int(ports["AIRFLOW_PORT"]))

    def laptop(*command: str, status: int = 0) -> str:
        run = subprocess.run(
            [sys.executable, "-m", "laptop", "--home", str(home), *command],
            cwd=ROOT,
            env=os.environ | ports,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert run.returncode == status, run.stdout + run.stderr
        return run.stdout

    def select() -> list[dict[str, str | None]]:
        return aws.select(stack, "SELECT facility_id, employee_count FROM facility_metrics ORDER BY 1")

    def lake() -> dict[str, str]:
        listing = aws.client(stack, "s3").list_objects_v2(Bucket=stack.settings.bucket)
        return {one["Key"]: one["ETag"] for one in listing["Contents"]}

    says = laptop("up")
    assert stack.airflow_url in says
    assert stack.aws_url in says
    assert "running already" in laptop("up")
    assert "unhealthy" not in laptop("status")

    file = tmp_path / "it's 100% a+b.jsonl.gz"
    file.write_bytes(gzip.compress(lines(facility(1), facility(2), b"broken\n")))
    assert f"landing/facilities/2026-11-01/{file.name}" in laptop(
        "upload", "--file", str(file), "--snapshot", "2026-11-01"
    )
    with Airflow(stack) as airflow:
        run_id = airflow.wait_for(
            lambda: [run["dag_run_id"] for run in airflow.runs(DAG) if run["state"] == "success"],
            "a run that takes the upload",
            SECONDS,
        )[0]
    assert laptop("alerts") == "No alert was published.\n"
    rows = select()
    shown = laptop("sql", "SELECT count(*) AS n FROM facility_metrics")
    assert shown.startswith("n\n-\n2\n1 row, ")
    range_of = '{"slice_from": "2026-11-01", "slice_to": "2026-11-01"}'
    shown = laptop("trigger", "replay_uploads", "--conf", range_of)
    assert "It ended as success.\n\n**Dry run: would restore 1 upload of 1 snapshot" in shown
    before = lake()  # with what the queries have left
    assert [row["facility_id"] for row in rows] == ["FAC00001", "FAC00002"]

    assert "none is left" in laptop("down")
    assert processes_of(home) == []
    assert "No stack is running" in laptop("status", status=1)

    laptop("up")
    assert lake() == before
    assert select() == rows
    with Airflow(stack) as airflow:
        assert airflow.run(DAG, run_id)["state"] == "success"
    laptop("down")
    assert processes_of(home) == []


def demo(build: Path, *options: str, command: str = "demo") -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "laptop", command, "--build", str(build), *options],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def write(folder: Path, files: dict[str, bytes]) -> Path:
    """Write files, each a minute later than the one before."""
    for number, (name, body) in enumerate(files.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (1_700_000_000 + 60 * number,) * 2)
    return folder


def test_the_demonstration_on_ones_own_files(tmp_path: Path) -> None:
    files = {
        "2026-11-01/z first.jsonl": lines(facility(1, employee_count=10), facility(2), b"broken\n"),
        "2026-11-01/a corrected.json": lines(facility(1, employee_count=11)),
        "2026-10-01/only.ndjson.gz": gzip.compress(lines(facility(3, "2026-12-01"))),
        "2026-10-01/notes.txt": b"no data",
    }
    build = tmp_path / "build"
    command = demo(
        build,
        "--uploads",
        str(write(tmp_path / "up loads", files)),
        "--as-of",
        "2026-11-20",
        "--expiry-window",
        "P30D",
    )
    out, err = command.communicate(timeout=SECONDS)
    assert command.returncode == 0, out + err + (build / "demo.log").read_text()[-3000:]
    text = " ".join(out.split())
    for part in (
        "Lines read 5",
        "accepted 3",
        "superseded by a later line 1",
        "rejected 1",
        "malformed_json 1",
        "notes.txt unknown_extension",
        "MI Michigan 1 of 1 2 of 2",
        "2026-10-01 1 1 1",
        "Every line is accounted for",
    ):
        assert part in text, f"{part!r} is not in:\n{out}"
    prod = build / "demo" / "prod"
    (metrics,) = prod.glob("accredited_facilities_by_state_csv/snapshot_date=2026-11-01/version=*/*.csv")
    header, row = metrics.read_text(encoding="utf-8").split()
    assert header == "state_code,state_name,accredited_facilities,facilities,snapshot_date,as_of"
    assert row == "MI,Michigan,2,2,2026-11-01,2026-11-20"
    (soon,) = prod.glob("expiring_soon/snapshot_date=2026-10-01/version=*/*.csv")
    assert "FAC00003" in soon.read_text(encoding="utf-8")
    (rejects,) = (build / "demo" / "quarantine").rglob("*_rejects.jsonl")
    assert json.loads(rejects.read_text(encoding="utf-8"))["reject_reason"] == "malformed_json"
    (report,) = (build / "demo" / "reports" / DAG).glob("run=*.json")
    assert json.loads(report.read_text(encoding="utf-8"))["params"]["expiry_window"] == "P30D"
    published = {path.name.split(".")[0] for path in (build / "demo" / "publications" / DAG).iterdir()}
    assert published == {"2026-10-01", "2026-11-01"}
    # The correction came later, though its name comes before.
    (metrics_file,) = prod.glob("facility_metrics/snapshot_date=2026-11-01/version=*/*")
    import pyarrow.parquet as parquet

    employees = {
        one["facility_id"]: one["employee_count"] for one in parquet.read_table(metrics_file).to_pylist()
    }
    assert employees == {"FAC00001": 11, "FAC00002": 10}
    assert {path.name for path in build.iterdir()} == {"demo", "demo.log", ".demo.lock"}
    assert processes_of(build) == []


def test_the_demonstration_of_staffing_on_ones_own_files(tmp_path: Path) -> None:
    files = {
        "pbj/z first.csv": as_csv(
            PBJ_HEADER, [pbj_row("015009", "2024-04-01", 10, rn="20"), pbj_row("", "2024-04-01"), ["x"]]
        ),
        "pbj/a corrected.csv": as_csv(PBJ_HEADER, [pbj_row("015009", "2024-04-01", 10, rn="21")]),
        "pbj/notes.txt": b"no data",
        "provider_info/2024/may.csv": as_csv(
            PROVIDER_HEADER, [provider_row("015009", "2024-05-01", beds=20)]
        ),
    }
    build = tmp_path / "build"
    uploads = str(write(tmp_path / "up loads", files))
    command = demo(build, "--uploads", uploads, command="demo-staffing")
    out, err = command.communicate(timeout=2 * SECONDS)
    assert command.returncode == 0, out + err + (build / "demo-staffing.log").read_text()[-3000:]
    results = build / "demo-staffing"
    assert json.loads((results / "summary.json").read_text()) == {
        "pbj": {
            "read": 4,
            "accepted": 1,
            "superseded": 1,
            "rejected": {"ccn_invalid": 1, "wrong_field_count": 1},
        },
        "provider_info": {"read": 1, "accepted": 1, "superseded": 0, "rejected": {}},
    }
    views = {path.stem for path in (ROOT / "include/sql/nurse_staffing/views").glob("*.sql")}
    assert {path.name for path in (results / "views").iterdir()} == {f"{view}.csv" for view in views}
    with (results / "views/v_hprd_state_quarter.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["state"], row["quarter"], row["resident_days"]) == ("RI", "2024Q2", "10")
    # The correction came later, though its name comes before.
    assert (row["total_hours"], row["total_hprd"], row["rank_in_quarter"]) == ("21.00", "2.10000", "1")
    with (results / "views/v_bed_utilization_facility_month.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["month"], row["beds"], row["beds_from_later_snapshot"], row["occupancy"]) == (
        "2024-04",
        "20",
        "true",
        "0.50000",
    )
    text = " ".join(out.split())
    for part in ("notes.txt unknown_extension", "1 RI 1 10 2.10000", "Every line is accounted for"):
        assert part in text, f"{part!r} is not in:\n{out}"
    assert processes_of(build) == []


def test_the_demonstration_of_clinical_quality_on_ones_own_files(tmp_path: Path) -> None:
    def stay(status: str, end: str) -> bytes:
        period = (
            f'"period": {{"start": "2026-01-01", "end": "{end}"}}, "subject": {{"reference": "Patient/p"}}'
        )
        return f'{{"resourceType": "Encounter", "id": "e", "status": "{status}", "class": {{"code": "EMER"}}, {period}}}\n'.encode()

    files = {
        "encounters/z first.ndjson": stay("in-progress", "2026-01-02") + b"broken\n",
        "bundles/a later.json": stay("finished", "2026-01-04"),
        "patients/notes.txt": b"no data",
    }
    build = tmp_path / "build"
    uploads = str(write(tmp_path / "up loads", files))
    command = demo(
        build,
        "--uploads",
        uploads,
        "--stay-classes",
        "IMP,EMER",
        "--data-end",
        "2026-03-31",
        command="demo-clinical",
    )
    out, err = command.communicate(timeout=SECONDS)
    copied = build / "demo-clinical"
    assert command.returncode == 0, out + err + (build / "demo-clinical.log").read_text()[-3000:]
    assert "Every line is accounted for" in out
    assert json.loads((copied / "summary.json").read_text()) == {
        "fhir": {"read": 3, "accepted": 1, "superseded": 1, "rejected": {"malformed_json": 1}}
    }
    with (copied / "views/gold_clinical_measures.csv").open(newline="", encoding="utf-8") as file:
        rows = {(one["measure"], one["org_id"]): one for one in csv.DictReader(file)}
    assert list(rows["alos", "ALL"].values()) == [
        "alos",
        "ALL",
        "2026-01",
        "3",
        "1",
        "3.00000",
        "{}",
        "2026-03-31",
    ]
    assert rows["mortality_30d", "unknown"]["exclusions"] == '{"vital_status_unknown":1}'
    views = {path.stem for path in (ROOT / "include/sql/clinical_quality/views").glob("*.sql")}
    assert {path.stem for path in (copied / "views").iterdir()} == views | {
        "gold_clinical_measures", "gold_stays", "gold_infection_events"
    }  # fmt: skip


def test_the_demonstration_fails_where_its_run_does(tmp_path: Path) -> None:
    uploads = write(tmp_path / "uploads", {"2026-11-01/a.jsonl": lines(facility(1))})
    command = demo(tmp_path / "build", "--uploads", str(uploads), "--as-of", "2026-11-31")
    out, err = command.communicate(timeout=SECONDS)
    assert command.returncode == 1
    assert "2026-11-31" in out + err
    assert "Traceback" not in err
    assert processes_of(tmp_path) == []


@pytest.mark.parametrize(
    ("how", "when"), [(signal.SIGINT, "Running the DAG"), (signal.SIGKILL, "Running the DAG")]
)
def test_nothing_is_left_of_a_demonstration_that_is_stopped(
    how: signal.Signals, when: str, tmp_path: Path
) -> None:
    uploads = write(tmp_path / "uploads", {"2026-11-01/a.jsonl": lines(facility(1))})
    command = demo(tmp_path / "build", "--uploads", str(uploads))
    assert command.stdout
    for line in command.stdout:
        if when in line:
            break
    assert len(processes_of(tmp_path)) > 2
    os.killpg(command.pid, how)  # as a terminal does
    command.communicate(timeout=30)
    assert command.returncode == (130 if how == signal.SIGINT else -signal.SIGKILL)
    # Nobody is told of a SIGKILL; the others see that their standard input has ended.
    deadline = time.monotonic() + 15
    while processes_of(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert processes_of(tmp_path) == []
    if how == signal.SIGINT:
        assert not (tmp_path / "build" / ".demo").exists()
