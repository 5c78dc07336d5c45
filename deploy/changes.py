"""Shows what a deployment of the stacks would change: creates change sets, prints and deletes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from deploy.aws import Aws
from deploy.package import ROOT

TEMPLATES = ROOT / "build" / "cdk"  # where `make synth` writes them
_CHANGE_SET = re.compile(r"arn:aws[\w-]*:cloudformation:\S+:changeSet/\S+")


def show(name: str, templates: Path) -> int:
    """Print the changes to each stack of an environment; returns their number.

    Args:
        name: of the environment.
        templates: folder with ``medlaunch-<name>-<stack>.template.json``.

    Raises:
        AwsFailed: if CloudFormation rejects a template.
        FileNotFoundError: if there is no template.
    """
    files = sorted(templates.glob(f"medlaunch-{name}-*.template.json"))
    if not files:
        raise FileNotFoundError(f"No templates of {name} in {templates}. Write them: make synth")
    count = 0
    for file in files:
        stack = file.name.removesuffix(".template.json")
        lines = list(_changes(Aws(), stack, file))
        print(f"{stack}: {len(lines) or 'no'} changes")
        for line in lines:
            print(f"  {line}")
        count += len(lines)
    return count


def _changes(aws: Aws, stack: str, template: Path) -> Iterator[str]:
    said = aws.run(
        *("cloudformation", "deploy", "--stack-name", stack, "--template-file", template),
        *("--capabilities", "CAPABILITY_NAMED_IAM", "--no-execute-changeset", "--no-fail-on-empty-changeset"),
    )
    found = _CHANGE_SET.search(said)
    if not found:
        return
    place = ("--change-set-name", found[0])
    try:
        for change in aws.ask("cloudformation", "describe-change-set", *place)["Changes"]:
            yield _words(change["ResourceChange"])
    finally:
        aws.run("cloudformation", "delete-change-set", *place)


def _words(change: dict[str, Any]) -> str:
    replaced = change.get("Replacement", "False") != "False"
    return f"{change['Action']} {change['ResourceType']} {change['LogicalResourceId']}" + (
        f" (replacement: {change['Replacement']})" if replaced else ""
    )
