"""The package for Amazon MWAA: the same bytes each time, complete, and DAGs that load from it alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement

from deploy import environment, package
from medlaunch.settings import SettingsError
from tests.deploy import mwaa

ROOT = Path(__file__).parents[2]
SETTINGS = environment.settings_of("dev", mwaa.OUTPUTS)

# https://docs.aws.amazon.com/mwaa/latest/userguide/configuring-dag-import-plugins.html: below 1 GB.
PLUGINS_BYTES = 1024**3
# Airflow's dagbag_import_timeout, which MWAA leaves as it is; MWAA's workers have fewer cores than a laptop.
PARSE_SECONDS = 30
# A worker of mw1.small has 2 GB for five tasks and what runs beside them; mw1.micro 3 GB for three and the scheduler.
TASK_MEGABYTES = 300
# https://docs.aws.amazon.com/mwaa/latest/userguide/using-startup-script.html: five minutes.
STARTUP_SECONDS = 300


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mwaa.install(tmp_path_factory.mktemp("mwaa"))


@pytest.fixture(scope="module")
def found(home: Path) -> dict[str, Any]:
    return mwaa.probe(home)


def tracked(*folders: str) -> set[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", *folders],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {name for name in listed.stdout.splitlines() if (ROOT / name).is_file()}


def test_every_dag_loads_from_the_layout(found: dict[str, Any]) -> None:
    assert found["import_errors"] == {}
    assert set(found["dags"]) == mwaa.DAG_IDS
    assert all(found["dags"].values())


def test_the_dag_processor_reads_dag_files_only(found: dict[str, Any]) -> None:
    assert {Path(name).stem for name in found["parsed"]} == mwaa.DAG_IDS


def test_library_and_include_come_from_the_dags_folder(home: Path, found: dict[str, Any]) -> None:
    assert len(found["library"]) > 10
    assert {file for file in found["library"] if not file.startswith(f"{home}/dags/medlaunch/")} == set()
    assert found["include"] == str(home / "dags" / "include")
    assert found["statements"] > 5


def test_the_plugin_loads_without_the_library(found: dict[str, Any]) -> None:
    assert "medlaunch" in found["plugins"]
    assert found["plugin_errors"] == {}
    assert not found["library_needed_by_plugins"]


def test_limits_of_mwaa(home: Path, found: dict[str, Any], tmp_path: Path) -> None:
    assert found["seconds"] < PARSE_SECONDS
    assert found["megabytes"] < TASK_MEGABYTES
    package.build(SETTINGS, tmp_path)
    assert (tmp_path / "plugins.zip").stat().st_size < PLUGINS_BYTES
    began = time.monotonic()
    mwaa.started(home)
    assert time.monotonic() - began < STARTUP_SECONDS


def test_the_startup_script_exports_the_settings_of_the_environment(
    home: Path, found: dict[str, Any]
) -> None:
    exported = {name: value for name, value in mwaa.started(home).items() if name.startswith("MEDLAUNCH_")}
    assert exported == SETTINGS
    assert exported["MEDLAUNCH_ENVIRONMENT"] == "dev"
    assert found["bucket"] == "medlaunch-lake-dev"


def test_values_reach_the_shell_as_they_are(tmp_path: Path) -> None:
    nasty = {"MEDLAUNCH_RUNBOOK_URL": "https://x/$(touch hacked)?a='b'&c=\"d\" `id`"}
    file = tmp_path / "startup.sh"
    file.write_text(environment.startup_script(nasty))
    program = f'. {file}; printf %s "$MEDLAUNCH_RUNBOOK_URL"'
    run = subprocess.run(["sh", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert run.stdout == nasty["MEDLAUNCH_RUNBOOK_URL"]
    assert not (tmp_path / "hacked").exists()


def test_the_same_bytes_whoever_builds(tmp_path: Path) -> None:
    """Another time zone, umask, hash seed, locale and age of the files: the same package."""
    copy = tmp_path / "copy"
    for name in tracked("dags", "plugins", "include", "requirements.txt"):
        target = copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes((ROOT / name).read_bytes())
        target.chmod(0o777)
        os.utime(target, (1e9, 1e9))
    (copy / "dags" / "__pycache__").mkdir()
    (copy / "dags" / "__pycache__" / "x.pyc").write_bytes(b"junk")
    (copy / "include" / ".DS_Store").write_bytes(b"junk")
    package.build(SETTINGS, tmp_path / "here")
    program = (
        "import json, os, sys; from pathlib import Path; os.umask(0o077); from deploy import package;"
        "package.build(json.loads(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]))"
    )
    subprocess.run(
        [sys.executable, "-c", program, json.dumps(SETTINGS), str(tmp_path / "there"), str(copy)],
        env={**os.environ, "TZ": "Asia/Kolkata", "PYTHONHASHSEED": "7", "LC_ALL": "C", "PYTHONPATH": str(ROOT)},
        check=True,
    )  # fmt: skip
    assert package.files(tmp_path / "here") == package.files(tmp_path / "there")
    for file in package.files(tmp_path / "here"):
        assert (tmp_path / "here" / file).read_bytes() == (tmp_path / "there" / file).read_bytes(), file
    assert package.digest(tmp_path / "here") == package.digest(tmp_path / "there")
    (tmp_path / "there" / "startup.sh").write_text("other")
    assert package.digest(tmp_path / "here") != package.digest(tmp_path / "there")


def test_everything_that_belongs_in_it_is_in_it(tmp_path: Path) -> None:
    package.build(SETTINGS, tmp_path)
    library = {name.removeprefix("plugins/") for name in tracked("plugins/medlaunch")}
    dags = {name.removeprefix("dags/") for name in tracked("dags")}
    built = {path.relative_to(tmp_path / "dags").as_posix() for path in (tmp_path / "dags").rglob("*.*")}
    assert {name for name in built if not (tmp_path / "dags" / name).is_dir()} == dags | library | tracked(
        "include"
    ) | {".airflowignore"}
    with zipfile.ZipFile(tmp_path / "plugins.zip") as archive:
        assert set(archive.namelist()) == {
            Path(name).name for name in tracked("plugins") if name.count("/") == 1 and name.endswith(".py")
        }


def test_what_is_gone_from_the_repository_is_gone_from_the_package(tmp_path: Path) -> None:
    package.build(SETTINGS, tmp_path)
    (tmp_path / "dags" / "old.py").write_text("x = 1\n")
    package.build(SETTINGS, tmp_path)
    assert not (tmp_path / "dags" / "old.py").exists()


def test_requirements_are_what_the_project_declares_under_mwaas_constraints() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    constraint, blank, *lines = package.requirements().splitlines()
    assert constraint == "--constraint /usr/local/airflow/.local/etc/airflow_constraints.txt"
    assert not blank
    wanted = [Requirement(line) for line in lines if not line.startswith("#")]
    assert {str(one) for one in wanted} == {str(Requirement(one)) for one in declared}
    # Each pinned: MWAA installs them at every start of a container.
    assert all(str(one.specifier).startswith("==") for one in wanted)
    airflow = next(one for one in wanted if one.name == "apache-airflow")
    assert f"/constraints-{airflow.specifier}/".replace("==", "") in package.CONSTRAINTS_SOURCE


def test_an_unknown_environment_or_setting_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(environment.EnvironmentUnknown, match="ENV='staging' is none of: dev, prod"):
        environment.read("staging")
    monkeypatch.setattr(environment, "HERE", tmp_path)
    (tmp_path / "qa.env").write_text("# ours\nMEDLAUNCH_BUKET=x\n")
    with pytest.raises(environment.EnvironmentUnknown, match=r"qa\.env:2: 'MEDLAUNCH_BUKET=x'"):
        environment.read("qa")


def test_an_output_that_is_no_valid_setting_is_refused() -> None:
    with pytest.raises(SettingsError, match="MEDLAUNCH_ALERTS_TOPIC_ARN='nonsense'"):
        environment.settings_of("dev", {"MedlaunchAlertsTopicArn": "nonsense"})


def test_outputs_are_read_as_cdk_and_cloudformation_write_them(tmp_path: Path) -> None:
    wanted = {"MEDLAUNCH_BUCKET": "lake"}
    cdk = {"Lake-dev": {"MedlaunchBucket": "lake"}, "Mwaa-dev": {"Url": "https://x"}}
    cloudformation = {"Stacks": [{"Outputs": [{"OutputKey": "MedlaunchBucket", "OutputValue": "lake"}]}, {}]}
    for number, document in enumerate((cdk, cloudformation)):
        file = tmp_path / f"{number}.json"
        file.write_text(json.dumps(document))
        assert environment.from_outputs(environment.load_outputs(file)) == wanted
    (tmp_path / "bad.json").write_text("[1]")
    with pytest.raises(environment.EnvironmentUnknown, match=r"bad\.json does not contain stack outputs"):
        environment.load_outputs(tmp_path / "bad.json")


def test_settings_that_only_the_stacks_know_are_missed() -> None:
    assert environment.missing(environment.settings_of("dev", {})) == [
        "MEDLAUNCH_BUCKET", "MEDLAUNCH_DATABASE", "MEDLAUNCH_WORKGROUP", "MEDLAUNCH_ALERTS_TOPIC_ARN",
    ]  # fmt: skip
    assert environment.missing(SETTINGS) == []
