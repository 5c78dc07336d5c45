"""Where a stack on a laptop keeps its things, on which ports it listens, and the environment of its processes."""

from __future__ import annotations

import json
import os
import secrets
import sys
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from medlaunch.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[1]
DEFAULT_HOME = ROOT / ".local"
LOCAL_AWS_PORT = 4566
AIRFLOW_PORT = 8080
REGION = "us-east-1"


@dataclass(frozen=True)
class Stack:
    """One stack: its folder, its ports, its DAGs, and what differs from the defaults (``overrides``)."""

    home: Path = DEFAULT_HOME
    aws_port: int = LOCAL_AWS_PORT
    airflow_port: int = AIRFLOW_PORT
    dags_folder: Path = ROOT / "dags"
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def aws_url(self) -> str:
        return f"http://127.0.0.1:{self.aws_port}"

    @property
    def airflow_url(self) -> str:
        return f"http://localhost:{self.airflow_port}"

    @property
    def aws_state(self) -> Path:
        return self.home / "aws"

    @property
    def airflow_home(self) -> Path:
        return self.home / "airflow"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @cached_property
    def settings(self) -> Settings:
        """The pipeline's settings in this stack."""
        return Settings.from_environment(self.environment())

    def aws_environment(self) -> dict[str, str]:
        """What makes any AWS client speak to this stack."""
        return {
            "AWS_ENDPOINT_URL": self.aws_url,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",  # local AWS takes any
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def airflow_environment(self) -> dict[str, str]:
        """What makes Airflow be this stack's."""
        keys = self._secrets()
        return {
            "AIRFLOW_HOME": str(self.airflow_home),
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW_CONN_MEDLAUNCH_PSEUDONYMS": json.dumps(
                {"conn_type": "generic", "password": keys["pseudonyms"]}
            ),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{self.airflow_home / 'airflow.db'}",
            "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
            "AIRFLOW__CORE__PARALLELISM": "4",
            # How long the scheduler sleeps when it has found nothing to do; 1 s by default, which each task waits for.
            "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.2",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.dags_folder),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(ROOT / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
            "AIRFLOW__CORE__FERNET_KEY": keys["fernet"],
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.airflow_url}/execution/",
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__PORT": str(self.airflow_port),
            "AIRFLOW__API__BASE_URL": self.airflow_url,
            "AIRFLOW__API__WORKERS": "1",
            # The processes are started one by one, so they need the same secrets.
            "AIRFLOW__API__SECRET_KEY": keys["api"],
            "AIRFLOW__API_AUTH__JWT_SECRET": keys["jwt"],
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "10",
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(self.logs / "tasks"),
            "AIRFLOW__LOGGING__DAG_PROCESSOR_CHILD_PROCESS_LOG_DIRECTORY": str(self.logs / "dag_processor"),
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    def pipeline_environment(self) -> dict[str, str]:
        """The pipeline's settings that suit a laptop: short waits, since everything is near."""
        return {
            f"{PREFIX}SENSOR_POKE_SECONDS": "3",
            f"{PREFIX}ATHENA_POLL_SECONDS": "0.3",
            f"{PREFIX}RETRY_DELAY_SECONDS": "5",
        }

    def environment(self) -> dict[str, str]:
        """The whole environment of this stack's processes.

        What the shell has for AWS is left out: nothing of a laptop's stack may reach a real account. The
        shell's ``MEDLAUNCH_*`` and Airflow settings win over the stack's, ``overrides`` over both.
        """
        shell = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "BOTO_")) and name not in ("AIRFLOW_HOME", "PYTHONPATH")
        }
        paths = [str(ROOT), str(ROOT / "plugins")]
        # Proxies are for the world outside, and macOS asks the system for them in a way that forks do not survive.
        local = {"NO_PROXY": "*", "no_proxy": "*"} if sys.platform == "darwin" else _no_proxy(shell)
        return {
            **self.pipeline_environment(),
            **shell,
            **local,
            **self.aws_environment(),
            **self.airflow_environment(),
            "PYTHONPATH": os.pathsep.join(paths),
            "PYTHONUNBUFFERED": "1",
            **self.overrides,
        }

    def _secrets(self) -> dict[str, str]:
        file = self.home / "secrets.json"
        if not file.exists():
            self.home.mkdir(parents=True, exist_ok=True)
            keys = {name: secrets.token_hex(32) for name in ("api", "jwt", "pseudonyms")}
            keys["fernet"] = urlsafe_b64encode(secrets.token_bytes(32)).decode()
            file.touch(mode=0o600)
            file.write_text(json.dumps(keys), encoding="utf-8")
        return json.loads(file.read_text(encoding="utf-8"))


def _no_proxy(shell: Mapping[str, str]) -> dict[str, str]:
    known = shell.get("no_proxy") or shell.get("NO_PROXY") or ""
    value = ",".join(filter(None, [known, "localhost", "127.0.0.1"]))
    return {"NO_PROXY": value, "no_proxy": value}
