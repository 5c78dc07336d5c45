"""Deploys this commit to Amazon MWAA: check, package, upload in an order that is safe while it runs, update."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy import environment, package
from deploy.aws import Aws

ROOT = package.ROOT
PASSED = Path("build/checks-passed")  # .ci/run writes it: the commit that passed
# MWAA reads these when it creates or updates an environment, in the object versions that parameters of its stack give.
# The values are the names of the parameters.
OBJECTS = {
    "requirements.txt": "RequirementsVersion",
    "plugins.zip": "PluginsVersion",
    "startup.sh": "StartupVersion",
}
# Uploaded in this order, so that nothing is imported before its own imports are there.
LAYERS = ("include", "medlaunch")

_POLL_SECONDS = 30.0
_UPDATE_SECONDS = 3600.0


class DeployRefused(RuntimeError):
    """Nothing was deployed; the message says what to fix first."""


class DeployFailed(RuntimeError):
    """MWAA or CloudFormation rejected what was uploaded."""


@dataclass(frozen=True)
class Target:
    """Where a package goes: MWAA's bucket, and the stack of the environment that reads it, if there is one yet."""

    bucket: str
    stack: str | None = None


def deploy(
    name: str,
    outputs: Mapping[str, str],
    *,
    target: Target,
    checked: str | None = None,
    dry_run: bool = False,
    root: Path = ROOT,
    built: Path = package.DIST,
) -> None:
    """Deploy this commit to an environment.

    Args:
        name: of the environment, as in ``deploy/environments``.
        outputs: of its stacks.
        checked: a commit for which all checks have passed elsewhere (CI).
        dry_run: only print the commands; check, upload and update nothing.

    Raises:
        DeployRefused: for uncommitted changes, failing checks, or settings missing from the outputs.
        AwsFailed: with the failed command and its error.
        DeployFailed: if MWAA rejects what was uploaded.
    """
    settings = environment.settings_of(name, outputs)
    if absent := environment.missing(settings):
        raise DeployRefused(
            f"{', '.join(absent)} are missing: they are outputs of the stacks of {name}. Deploy the stacks first, "
            "or pass the outputs: OUTPUTS=file (cdk deploy --outputs-file)."
        )
    _refuse_uncommitted(root)
    _ensure_checked(root, checked, dry_run)
    package.build(settings, built, root)
    print(f"{built}: sha256 {package.digest(built)}", flush=True)
    aws = Aws(dry_run=dry_run)
    versions = {key: _put(aws, built / key, target.bucket, key) for key in OBJECTS}
    for layer in LAYERS:
        aws.do("s3", "sync", built / "dags" / layer, f"s3://{target.bucket}/dags/{layer}", "--no-progress")
    aws.do("s3", "sync", built / "dags", f"s3://{target.bucket}/dags", "--no-progress")
    # Deletions come last, when nothing imports the files any more.
    aws.do("s3", "sync", built / "dags", f"s3://{target.bucket}/dags", "--delete", "--no-progress")
    if target.stack:
        _update(aws, target.stack, versions)
    else:
        print("There is no MWAA environment yet. Its files are in place: deploy MWAA's stack.", flush=True)


def find_target(name: str, outputs: Mapping[str, str]) -> Target:
    """The target of the deployment to an environment, from the stacks' outputs.

    Raises:
        DeployRefused: if no stack has the output.
    """
    known = {name.lower(): value for name, value in outputs.items()}
    bucket = known.get("mwaabucket")
    if not bucket:
        raise DeployRefused(
            "No stack has the output MwaaBucket, the bucket that MWAA reads. Deploy infra/ first, or name it: "
            "CODE_BUCKET=bucket."
        )
    return Target(bucket, f"medlaunch-{name}-mwaa" if "mwaaenvironment" in known else None)


def first_versions(name: str, outputs: Mapping[str, str]) -> list[str]:
    """The parameters with which MWAA's stack is created: ``PluginsVersion=<version>`` and the others.

    Empty if the stack is there: CloudFormation keeps the values of parameters that an update does not name.

    Raises:
        DeployRefused: if a file is not in the bucket.
    """
    target, aws = find_target(name, outputs), Aws()
    if target.stack:
        return []
    found = []
    for key, parameter in OBJECTS.items():
        there = aws.ask("s3api", "head-object", "--bucket", target.bucket, "--key", key)
        if there is None:
            raise DeployRefused(
                f"s3://{target.bucket}/{key} is not there, and MWAA needs it: make deploy ENV={name}"
            )
        found.append(f"{parameter}={there['VersionId']}")
    return found


def stack_outputs(name: str) -> dict[str, str]:
    """The outputs of all stacks of an environment, from CloudFormation."""
    answer = Aws().ask("cloudformation", "describe-stacks")
    prefix = f"medlaunch-{name}-"
    stacks = [one for one in answer["Stacks"] if one["StackName"].lower().startswith(prefix)]
    if not stacks:
        raise DeployRefused(
            f"This account has no stack {prefix}*. Is it the right account and region? See docs/deploy.md."
        )
    return environment.read_outputs({"Stacks": stacks})


# --- before anything is uploaded --------------------------------------------------------------------


def _git(root: Path, *arguments: str) -> str:
    run = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    if run.returncode:
        raise DeployRefused(
            f"{root} is not a git work tree; only commits can be deployed: {run.stderr.strip()}"
        )
    return run.stdout.strip()


def _refuse_uncommitted(root: Path) -> None:
    if changed := _git(root, "status", "--porcelain", "--untracked-files=all"):
        raise DeployRefused(
            f"Only commits can be deployed, and these changes are not committed:\n{changed}\nCommit or stash them."
        )


def _ensure_checked(root: Path, checked: str | None, dry_run: bool) -> None:
    commit = _git(root, "rev-parse", "HEAD")
    if checked is not None and checked != commit:
        raise DeployRefused(f"CHECKED={checked} is not the checked-out commit {commit}.")
    file = root / PASSED
    if checked == commit or (file.is_file() and file.read_text(encoding="utf-8").strip() == commit):
        print(f"All checks have passed for {commit}", flush=True)
        return
    print(".ci/run", flush=True)
    if not dry_run and subprocess.run([root / ".ci" / "run"], cwd=root, check=False).returncode:
        raise DeployRefused(f"The checks of {commit} fail; see above. Nothing was uploaded.")


# --- upload and update ------------------------------------------------------------------------------


def _put(aws: Aws, file: Path, bucket: str, key: str) -> str | None:
    """Upload a file unless the bucket has the same bytes; returns the object's version."""
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    place = ("--bucket", bucket, "--key", key)
    there = None if aws.dry_run else aws.ask("s3api", "head-object", *place)
    if there and there.get("Metadata", {}).get("sha256") == digest:
        print(f"{key} is unchanged", flush=True)
    else:
        answer = aws.do(
            *("s3api", "put-object", *place, "--body", file, "--metadata", f"sha256={digest}"),
            *("--output", "json"),
        )
        if aws.dry_run:
            return None
        there = json.loads(answer)
    if "VersionId" not in there:
        raise DeployRefused(f"s3://{bucket} has no versioning, which MWAA needs to read {key}: enable it.")
    return there["VersionId"]


def _update(aws: Aws, stack: str, versions: Mapping[str, str | None]) -> None:
    """Set the stack's parameters to new versions of the objects, if any, and wait until the environment uses them."""
    if aws.dry_run:
        print(f"{stack}: would be updated if {', '.join(OBJECTS)} changed", flush=True)
        return
    given = {
        one["ParameterKey"]: one.get("ParameterValue") for one in _stack(aws, stack).get("Parameters", [])
    }
    wanted = {parameter: versions[key] for key, parameter in OBJECTS.items()}
    if all(given.get(parameter) == version for parameter, version in wanted.items()):
        print(f"{stack}: only DAGs changed; MWAA reads them within a minute", flush=True)
        return
    kept = [f"ParameterKey={one},UsePreviousValue=true" for one in given if one not in wanted]
    new = [f"ParameterKey={one},ParameterValue={version}" for one, version in wanted.items()]
    # The template stays: what else would change in the stack is for `make deploy-infra`.
    aws.do(
        *("cloudformation", "update-stack", "--stack-name", stack, "--use-previous-template"),
        *("--capabilities", "CAPABILITY_NAMED_IAM", "--parameters", *kept, *new),
    )
    deadline = time.monotonic() + _UPDATE_SECONDS
    while (status := _stack(aws, stack)["StackStatus"]) != "UPDATE_COMPLETE":
        if status.endswith(("_FAILED", "ROLLBACK_COMPLETE")):
            raise DeployFailed(f"{stack} is {status}: {_reason(aws, stack)}. See docs/deploy.md.")
        if time.monotonic() > deadline:
            raise DeployFailed(f"{stack} is still {status} after {_UPDATE_SECONDS / 60:.0f} minutes")
        time.sleep(_POLL_SECONDS)
    print(f"{stack}: MWAA uses the new versions", flush=True)


def _stack(aws: Aws, stack: str) -> dict[str, Any]:
    found: dict[str, Any] = aws.ask("cloudformation", "describe-stacks", "--stack-name", stack)["Stacks"][0]
    return found


def _reason(aws: Aws, stack: str) -> str:
    """Why the latest update failed: the first failure after its start."""
    reason = "no reason given"
    for event in aws.ask("cloudformation", "describe-stack-events", "--stack-name", stack)["StackEvents"]:
        if event["ResourceStatus"].endswith("_FAILED"):
            reason = event.get("ResourceStatusReason", reason)
        of_stack = event["PhysicalResourceId"] == event["StackId"]
        if of_stack and event["ResourceStatus"] == "UPDATE_IN_PROGRESS":
            break
    return reason
