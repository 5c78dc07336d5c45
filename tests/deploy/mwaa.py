"""A package of MWAA, unpacked as MWAA does it, and processes that run in it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

from deploy import environment, package

ROOT = Path(__file__).parents[2]
DAG_IDS = {file.stem for file in (ROOT / "dags").glob("*.py")}  # each file has one DAG of the same name
OUTPUTS = {
    "MedlaunchBucket": "medlaunch-lake-dev",
    "MedlaunchDatabase": "medlaunch_dev",
    "MedlaunchWorkgroup": "medlaunch-dev",
    "MedlaunchAlertsTopicArn": "arn:aws:sns:eu-central-1:210987654321:medlaunch-alerts",
    "MedlaunchUploadsQueueUrl": "https://sqs.eu-central-1.amazonaws.com/210987654321/medlaunch-dev-uploads-{dag_id}",
    "Unrelated": "nobody's setting",
}


def install(folder: Path) -> Path:
    """Build the package and put it where MWAA puts it; returns the folder that is /usr/local/airflow there."""
    built = folder / "dist"
    package.build(environment.settings_of("dev", OUTPUTS), built)
    home = folder / "usr" / "local" / "airflow"
    home.mkdir(parents=True)
    (built / "dags").rename(home / "dags")
    with zipfile.ZipFile(built / "plugins.zip") as archive:
        archive.extractall(home / "plugins")
    for name in ("requirements.txt", "startup.sh"):
        (built / name).rename(home / name)
    return home


def started(home: Path) -> dict[str, str]:
    """The environment after ``startup.sh``, which MWAA sources in a bash of its own and then reads."""
    program = f'source {home / "startup.sh"} && exec {sys.executable} -c "import json, os; print(json.dumps(dict(os.environ)))"'
    clean = {"PATH": os.environ["PATH"], "HOME": str(home), "AIRFLOW_HOME": str(home)}
    run = subprocess.run(
        ["bash", "-c", program], env=clean, capture_output=True, text=True, timeout=250, check=True
    )
    return json.loads(run.stdout)


def probe(home: Path, python: str = sys.executable) -> dict[str, Any]:
    """What a process of MWAA finds there (see mwaa_probe.py)."""
    ours = [str(folder) for folder in (ROOT, ROOT / "plugins", ROOT / "dags")]
    run = subprocess.run(
        [python, str(Path(__file__).with_name("mwaa_probe.py")), *ours],
        env=started(home) | {"AIRFLOW__CORE__LOAD_EXAMPLES": "False", "AIRFLOW_CONN_AWS_DEFAULT": "aws://"},
        cwd=home,
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert run.returncode == 0, run.stdout[-2000:] + run.stderr[-4000:]
    return json.loads(run.stdout.splitlines()[-1])
