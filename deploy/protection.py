"""Termination protection of stacks.

No template can contain it: it is a setting of the deployed stack. CDK writes it to the manifest beside the templates, for
its own command line, which is not used here.
"""

from __future__ import annotations

import json
from pathlib import Path

from deploy.aws import Aws


def protect(name: str, stack: str, templates: Path) -> bool:
    """Protect a deployed stack, if its environment requires it; returns whether it does.

    A stack that was protected by hand stays protected.

    Args:
        name: of the environment.
        stack: ``boundary``, ``lake``, ``access`` or ``mwaa``.
        templates: folder that `make synth` wrote.

    Raises:
        AwsFailed: if CloudFormation refuses.
        FileNotFoundError: if the manifest does not list the stack.
    """
    full = f"medlaunch-{name}-{stack}"
    manifest = templates / "manifest.json"
    artifacts = json.loads(manifest.read_text(encoding="utf-8"))["artifacts"] if manifest.is_file() else {}
    if full not in artifacts:
        raise FileNotFoundError(f"{manifest} has no stack {full}. Write it: make synth")
    if not artifacts[full]["properties"].get("terminationProtection"):
        return False
    Aws().do(
        *("cloudformation", "update-termination-protection", "--stack-name", full),
        "--enable-termination-protection",
    )
    return True
