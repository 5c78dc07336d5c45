"""The dashboard over a stack on a laptop."""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from pathlib import Path

from laptop.stack import ROOT, Stack

PORT = 8501
#: Its own environment, which bin/environment makes: Streamlit's versions and Airflow's never meet.
PYTHON = ROOT / ".venv-dashboard/bin/python"


class NoEnvironment(RuntimeError):
    """The dashboard's environment has not been made."""


def url(port: int) -> str:
    return f"http://localhost:{port}"


def command(port: int, python: Path = PYTHON) -> list[str]:
    """The command that runs the dashboard, for this machine only.

    Raises:
        NoEnvironment: with the command that makes it.
    """
    if not python.exists():
        raise NoEnvironment(f"{python} does not exist. Make it: make dashboard")
    module = [str(python), "-m", "streamlit", "run", str(ROOT / "dashboard/app.py")]
    return [*module, "--server.address", "127.0.0.1", "--server.port", str(port)]


def environment(stack: Stack) -> dict[str, str]:
    """The environment in which it reads what the stack publishes, and nothing of a real account."""
    settings = stack.settings
    shell = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "BOTO_"))}
    return {
        "DASHBOARD_DATABASE": settings.database,
        "DASHBOARD_WORKGROUP": settings.workgroup,
        "DASHBOARD_AIRFLOW_URL": stack.airflow_url,
        **shell,
        **stack.aws_environment(),
        "NO_PROXY": "localhost,127.0.0.1",
        "no_proxy": "localhost,127.0.0.1",
        "PYTHONPATH": str(ROOT),
    }


def answers(port: int) -> bool:
    """Whether a dashboard answers on this port of this machine."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://127.0.0.1:{port}/_stcore/health", timeout=1) as answer:
            return answer.read() == b"ok"
    except (OSError, urllib.error.URLError):
        return False
