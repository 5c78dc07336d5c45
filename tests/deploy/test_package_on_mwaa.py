"""The package in an environment that has what MWAA's image has, and nothing else: ``make test-package``.

It installs Airflow a second time, for Python 3.12 (about a minute from a warm cache).
``MWAA_CONSTRAINTS`` names a copy of the constraints where their address cannot be reached.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from deploy import package
from tests.deploy import mwaa

pytestmark = pytest.mark.slow

UV = Path(sys.executable).with_name("uv")

# What the image is made of: images/airflow/3.3.1/bootstrap/02-airflow/001-install-required-pip-packages.sh in
# https://github.com/aws/amazon-mwaa-docker-images. Left out are pycurl and psycopg2, which are compiled
# against system libraries, and the stubs.
IMAGE = [
    "apache-airflow-providers-amazon[aiobotocore]",
    "apache-airflow[celery,statsd]==3.3.1",
    "apache-airflow-core[gunicorn]==3.3.1",
    "apache-airflow-providers-postgres",
    "apache-airflow-providers-fab",
    "celery[sqs]",
    "watchtower",
    "fluent-logger",
    "virtualenv",
    "apache-airflow-providers-standard",
]
INSTALL_SECONDS = 9 * 60  # what MWAA gives the requirements


def uv(*arguments: str | Path) -> str:
    clean = {name: value for name, value in os.environ.items() if name != "VIRTUAL_ENV"}
    run = subprocess.run([UV, *arguments], env=clean, capture_output=True, text=True, check=False)
    assert run.returncode == 0, f"uv {' '.join(map(str, arguments))}\n{run.stderr[-4000:]}"
    return run.stdout + run.stderr


@pytest.fixture(scope="module")
def requirements(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package's requirements, with the constraints that MWAA's image has a copy of."""
    file = tmp_path_factory.mktemp("requirements") / "requirements.txt"
    copy = os.environ.get("MWAA_CONSTRAINTS")
    constraints = str(Path(copy).resolve()) if copy else package.CONSTRAINTS_SOURCE
    file.write_text(package.requirements().replace(package.CONSTRAINTS, constraints))
    return file


@pytest.fixture(scope="module")
def constraints(requirements: Path) -> str:
    return requirements.read_text().splitlines()[0].split(" ", 1)[1]


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory, constraints: str) -> Path:
    """The Python of an environment like MWAA's image."""
    folder = tmp_path_factory.mktemp("image") / "venv"
    uv("venv", "-q", "--python", package.MWAA_PYTHON, folder)
    uv("pip", "install", "-q", "--python", folder / "bin/python", "-c", constraints, *IMAGE)
    return folder / "bin" / "python"


def test_requirements_resolve_for_mwaas_python(requirements: Path) -> None:
    resolved = uv(
        "pip", "compile", requirements, "--python-version", package.MWAA_PYTHON, "--no-header", "--no-annotate"
    )  # fmt: skip
    for line in package.requirements().splitlines():
        if line and not line.startswith(("#", "--")):
            name = re.sub(r"\[.*\]", "", line)
            assert re.search(rf"^{re.escape(name)}$", resolved, re.MULTILINE), f"{line} is not what resolves"


def test_the_image_has_everything_already(python: Path, requirements: Path) -> None:
    """So a container starts without a download, and a private network needs no way to PyPI."""
    began = time.monotonic()
    said = uv("pip", "install", "--dry-run", "--python", python, "-r", requirements)
    assert "Would make no changes" in said, said
    assert time.monotonic() - began < INSTALL_SECONDS


def test_every_dag_loads_with_what_the_image_has(python: Path, tmp_path: Path) -> None:
    found = mwaa.probe(mwaa.install(tmp_path), str(python))
    assert found["python"] == [3, 12]
    assert found["import_errors"] == {}
    assert found["plugin_errors"] == {}
    assert set(found["dags"]) == mwaa.DAG_IDS
    print(f"{found['seconds']:.1f} s to read the DAGs, {found['megabytes']:.0f} MB", file=sys.stderr)


def test_a_dag_that_needs_more_than_the_image_is_caught(python: Path, tmp_path: Path) -> None:
    home = mwaa.install(tmp_path)
    shutil.copy(home / "dags" / "facility_accreditation.py", home / "dags" / "other.py")
    with (home / "dags" / "other.py").open("a") as file:
        file.write("\nimport pandas  # dag, airflow\n")
    found = mwaa.probe(home, str(python))
    assert [Path(file).name for file in found["import_errors"]] == ["other.py"]
