"""docker-compose.yaml keeps its promises, as far as that shows without a Docker engine."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.fernet import Fernet

from deploy.containers import engine, keys
from medlaunch.settings import Settings

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yaml"
COMPOSE = yaml.safe_load(FILE.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
ONCE = {"keys", "first-data", "migrate"}

every_service = pytest.mark.parametrize("name", SERVICES)


def check_schema(file: Path) -> subprocess.CompletedProcess[str]:
    tool = Path(sys.executable).with_name("check-jsonschema")
    return subprocess.run(
        [tool, "--builtin-schema", "vendor.compose-spec", file], capture_output=True, text=True, check=False
    )


def test_the_file_follows_the_compose_specification(tmp_path: Path) -> None:
    run = check_schema(FILE)
    assert run.returncode == 0, run.stdout
    misspelt = tmp_path / "docker-compose.yaml"
    misspelt.write_text(FILE.read_text().replace("healthcheck:", "healthchek:"))
    assert check_schema(misspelt).returncode == 1


def test_compose_itself_accepts_the_file() -> None:
    """Undefined services and wrong conditions, which a schema cannot see; needs the client, not an engine."""
    docker = shutil.which("docker")
    if (
        not docker
        or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode
    ):
        pytest.skip(
            "docker compose is not installed; its schema was checked, and `make test-compose` needs it"
        )
    run = subprocess.run(
        [docker, "compose", "--file", FILE, "config", "--quiet"], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert not run.stderr


@every_service
def test_what_every_service_has(name: str) -> None:
    service = SERVICES[name]
    limits = service["deploy"]["resources"]["limits"]
    assert float(limits["cpus"]) > 0
    assert re.fullmatch(r"\d+[MG]", limits["memory"])
    users = ("50000:0", "10001:10001", "postgres", "65534:65534", "472:0")
    assert service["user"] in users, "root"
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["cap_drop"] == ["ALL"]
    assert service["logging"]["options"]["max-size"]
    assert not service.get("privileged")
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)


@every_service
def test_nothing_starts_before_what_it_needs_is_healthy(name: str) -> None:
    for other, how in SERVICES[name].get("depends_on", {}).items():
        assert other in SERVICES
        wanted = "service_completed_successfully" if other in ONCE else "service_healthy"
        assert how["condition"] == wanted, other


def test_what_runs_once_is_waited_for() -> None:
    """`up --wait` takes a container that has ended for a failure, unless somebody waits for its success."""
    waited = {other for service in SERVICES.values() for other in service.get("depends_on", {})}
    assert waited >= ONCE


@every_service
def test_ports_are_open_to_this_machine_only(name: str) -> None:
    for port in SERVICES[name].get("ports", []):
        assert port.startswith("127.0.0.1:${")


def test_images_are_pinned_and_are_mwaas_airflow() -> None:
    found = engine.images()
    assert len(found) == 3
    for image in [*found, *(one["image"] for one in SERVICES.values() if "medlaunch/" not in one["image"])]:
        assert re.search(r":v?\d+\.\d+", image), image
    assert "apache-airflow==3.3.1" in (ROOT / "requirements.txt").read_text()
    assert "apache/airflow:3.3.1-python3.12" in found


def test_what_the_images_are_made_of_can_be_read_by_their_users() -> None:
    """Whatever the umask of the clone was: COPY keeps the modes of files."""
    copies = re.findall(r"^COPY (.*)$", (engine.HERE / "Dockerfile").read_text(), re.MULTILINE)
    assert len(copies) == 6
    assert all(re.match(r"--chmod=0(644|755) ", one) for one in copies)


def test_no_secret_stands_in_the_file() -> None:
    for name, service in SERVICES.items():
        for variable in service.get("environment", {}):
            # Where Airflow looks for secrets is none.
            if re.search(r"PASSWORD|SECRET|FERNET|SQL_ALCHEMY|_KEY", variable) and not variable.startswith(
                ("AWS_", "AIRFLOW__SECRETS__")
            ):
                assert variable.endswith(("_FILE", "_CMD")), f"{name}: {variable}"
        environment = service.get("environment", {})
        assert {
            environment.get("AWS_SECRET_ACCESS_KEY", "local"),
            environment.get("AWS_ACCESS_KEY_ID", "local"),
        } == {"local"}


def test_every_variable_is_explained_and_has_a_default() -> None:
    used = set(re.findall(r"\$\{(\w+)[^}]*\}", FILE.read_text()))
    assert set(re.findall(r"\$\{(\w+):-\d+\}", FILE.read_text())) == used
    explained = dict(re.findall(r"^#(\w+)=(\S+)$", (ROOT / ".env.example").read_text(), re.MULTILINE))
    assert used == {name for name in explained if not name.startswith("MEDLAUNCH_")}
    for name in used:
        assert f"${{{name}:-{explained[name]}}}" in FILE.read_text()


def test_edits_show_without_a_new_image() -> None:
    for name in ("api-server", "scheduler", "dag-processor", "triggerer"):
        mounts = dict(one.split(":")[:2] for one in SERVICES[name]["volumes"])
        for folder in ("dags", "plugins", "include"):
            assert (ROOT / folder).is_dir()
            assert mounts[f"./{folder}"] == f"/opt/airflow/{folder}"


def test_all_state_is_in_volumes_that_down_removes() -> None:
    named = {
        one.split(":")[0]
        for service in SERVICES.values()
        for one in service.get("volumes", [])
        if not one.startswith(".")
    }
    assert named == set(COMPOSE["volumes"])
    assert not any((volume or {}).get("external") for volume in COMPOSE["volumes"].values())


def test_keys_are_made_once_and_fit(tmp_path: Path) -> None:
    assert len(keys.write(tmp_path)) == 6
    made = {file.name: file.read_text() for file in tmp_path.iterdir()}
    assert set(made) == {
        "postgres_password",
        "sql_alchemy_conn",
        "fernet_key",
        "api_secret_key",
        "jwt_secret",
        "connections.json",
    }
    Fernet(made["fernet_key"])
    connections = json.loads(made["connections.json"])
    assert len(connections[Settings.model_fields["pseudonym_conn_id"].default]["password"]) >= 32
    assert f":{made['postgres_password']}@postgres/" in made["sql_alchemy_conn"]
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o444 for file in tmp_path.iterdir())
    assert keys.write(tmp_path) == []
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == made
    for name in made:
        assert f"/{name}" in FILE.read_text()


def test_healthy_means_that_airflow_says_so(tmp_path: Path) -> None:
    """Against a server that answers as Airflow's monitor does."""
    import http.server
    import json
    import threading

    health: dict[str, Any] = {"metadatabase": {"status": "healthy"}, "scheduler": {"status": "unhealthy"}}

    class Monitor(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(health).encode())

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with http.server.HTTPServer(("127.0.0.1", 0), Monitor) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"

        def ask(part: str, url: str = url) -> int:
            script = ROOT / "deploy/containers/healthy.py"
            return subprocess.run(
                [sys.executable, script, part],
                env={"AIRFLOW_HEALTH_URL": url},
                capture_output=True,
                check=False,
            ).returncode

        assert ask("metadatabase") == 0
        assert ask("scheduler") == 1
        assert ask("triggerer") == 1
        assert ask("metadatabase", "http://127.0.0.1:9/") == 1
        server.shutdown()
