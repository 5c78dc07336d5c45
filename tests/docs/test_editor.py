"""The devcontainer and the editor's settings name what this repository has."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((ROOT / name).read_text(encoding="utf-8"))
    return found


def test_the_devcontainer_sets_up_what_contributing_says_and_forwards_each_port() -> None:
    container = read(".devcontainer/devcontainer.json")
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for command in container["postCreateCommand"].split(" && "):
        assert command in contributing
    ports = re.findall(r"^\w+_PORT \?= (\d+)$", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert (
        sorted(map(str, container["forwardPorts"])) == sorted(ports) == sorted(container["portsAttributes"])
    )
    extensions = container["customizations"]["vscode"]["extensions"]
    assert extensions == read(".vscode/extensions.json")["recommendations"]


def test_the_editor_uses_the_environments_tools_on_folders_that_exist() -> None:
    settings = read(".vscode/settings.json")
    for key in ("python.defaultInterpreterPath", "sqlfluff.executablePath", "sqlfluff.config"):
        assert Path(settings[key].replace("${workspaceFolder}", str(ROOT))).exists(), key
    for folder in (*settings["python.analysis.extraPaths"], *settings["python.testing.pytestArgs"]):
        assert (ROOT / folder).is_dir(), folder
    assert f"line-length = {settings['editor.rulers'][0]}" in (ROOT / "pyproject.toml").read_text(
        encoding="utf-8"
    )
