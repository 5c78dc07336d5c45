"""What parsing this repository's DAGs costs over importing Airflow alone, each in fresh processes."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ROUNDS = 5
PROGRAMS = {
    "import airflow": "import airflow",
    "import airflow and its DagBag": "import airflow; from airflow.dag_processing.dagbag import DagBag",
    "and the Amazon operators": (
        "from airflow.dag_processing.dagbag import DagBag;"
        "import airflow.providers.amazon.aws.operators.athena, airflow.providers.amazon.aws.sensors.s3"
    ),
    "and parse dags/": (
        "from airflow.dag_processing.dagbag import DagBag;"
        f"bag = DagBag({str(ROOT / 'dags')!r});"
        "assert bag.dags and not bag.import_errors, bag.import_errors"
    ),
}


def run() -> list[dict[str, Any]]:
    """Seconds of each program, medians of interleaved rounds, and the ratio to ``import airflow``."""
    seconds: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    with tempfile.TemporaryDirectory() as home:
        env = os.environ | {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "PYTHONPATH": str(ROOT / "plugins"),
            "PYTHONDONTWRITEBYTECODE": "",
        }
        for number in range(ROUNDS + 1):
            for name, program in PROGRAMS.items():
                started = time.perf_counter()
                subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True)  # noqa: S603
                if number:  # the first round fills the file cache
                    seconds[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    base = medians["import airflow"]
    return [
        {
            "what": f"DAG parse: {name}",
            "plain": f"{base:.2f} s import airflow",
            "ours": f"{value:.2f} s",
            "ratio": value / base,
            "goal": "",
        }
        for name, value in medians.items()
    ]


if __name__ == "__main__":
    for row in run():
        print(row)
