from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from medlaunch.pipelines import PIPELINES
from tests.invented.meters import WATER_METERS
from tests.pipeline import ROOT, Pipeline

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def include(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's include/ with the SQL of the invented pipeline in it."""
    folder = tmp_path_factory.mktemp("invented") / "include"
    shutil.copytree(ROOT / "include", folder)
    shutil.copytree(HERE / "sql", folder / "sql", dirs_exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def dags(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository's DAGs and the invented one."""
    folder = tmp_path_factory.mktemp("invented") / "dags"
    shutil.copytree(ROOT / "dags", folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(HERE / "dags", folder, dirs_exist_ok=True)
    return folder


@pytest.fixture
def meters(aws: Any, aws_url: str, include: Path, dags: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """A lake with the invented pipeline over it, and the operators' tools, which know it."""
    monkeypatch.setitem(PIPELINES, WATER_METERS.dag_id, WATER_METERS)
    return Pipeline(aws, aws_url, dags=dags, settings={"MEDLAUNCH_INCLUDE_DIR": str(include)})
