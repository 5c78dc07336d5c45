"""GitHub's workflows: schema, linter, pinned actions, few permissions, and targets that exist."""

from __future__ import annotations

import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import yaml
from awscli.clidriver import create_clidriver

from local_aws.iam.policies import Access, decide

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / ".github"
WORKFLOWS = sorted((FOLDER / "workflows").glob("*.yml"))
PARSED: dict[str, dict[Any, Any]] = {file.name: yaml.safe_load(file.read_text()) for file in WORKFLOWS}

every_workflow = pytest.mark.parametrize("name", PARSED)


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [Path(sys.executable).with_name(name), *arguments], capture_output=True, text=True, check=False
    )


def jobs(name: str) -> Iterator[tuple[str, dict[str, Any]]]:
    yield from PARSED[name]["jobs"].items()


def steps(name: str) -> Iterator[dict[str, Any]]:
    for _, job in jobs(name):
        yield from job.get("steps", [])


def test_the_files_follow_githubs_schemas(tmp_path: Path) -> None:
    run = tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *WORKFLOWS)
    assert run.returncode == 0, run.stdout
    run = tool("check-jsonschema", "--builtin-schema", "vendor.dependabot", FOLDER / "dependabot.yml")
    assert run.returncode == 0, run.stdout
    misspelt = tmp_path / "bad.yml"
    misspelt.write_text(WORKFLOWS[0].read_text().replace("runs-on:", "run-on:"))
    assert tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", misspelt).returncode == 1


def test_the_linter_finds_nothing(tmp_path: Path) -> None:
    run = tool("zizmor", "--offline", "--no-progress", FOLDER)
    assert run.returncode == 0, run.stdout + run.stderr
    bad = tmp_path / ".github/workflows/bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(
        "on: issues\npermissions: {}\njobs:\n  x:\n    runs-on: ubuntu-24.04\n    steps:\n"
        "      - run: echo ${{ github.event.issue.title }}\n"
    )
    assert tool("zizmor", "--offline", "--no-progress", bad).returncode != 0


@every_workflow
def test_actions_are_pinned_by_commit_with_their_version(name: str) -> None:
    text = (FOLDER / "workflows" / name).read_text()
    used = re.findall(r"uses: (\S+)(.*)", text)
    assert used
    for action, comment in used:
        if action.startswith("./"):
            assert (ROOT / action).is_file()
            continue
        assert re.fullmatch(r"[\w.-]+/[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"{action} does not say its version"


def test_one_action_has_one_version() -> None:
    found: dict[str, set[str]] = {}
    for name in PARSED:
        for action, commit in re.findall(r"uses: (\S+)@(\w{40})", (FOLDER / "workflows" / name).read_text()):
            found.setdefault(action, set()).add(commit)
    assert all(len(commits) == 1 for commits in found.values()), found


@every_workflow
def test_permissions_are_minimal(name: str) -> None:
    assert PARSED[name]["permissions"] == {"contents": "read"}
    for job_name, job in jobs(name):
        extra = {right for right, how in job.get("permissions", {}).items() if how != "read"}
        assert extra <= ({"contents"} if (name, job_name) == ("release.yml", "release") else {"id-token"}), (
            job_name
        )
        # Who may assume a role is approved, or may only look.
        assert not extra or job.get("environment"), job_name
    assert "secrets." not in (FOLDER / "workflows" / name).read_text()
    assert "pull_request_target" not in PARSED[name].get(True, {})  # YAML reads `on` as true


def assuming() -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The jobs that assume a role, and the step that does."""
    for name in PARSED:
        for _, job in jobs(name):
            for step in job.get("steps", []):
                if "aws-actions/configure-aws-credentials@" in step.get("uses", ""):
                    yield job, step["with"]


def test_roles_are_assumed_by_openid_connect_for_as_long_as_the_job_may_take() -> None:
    for job, given in assuming():
        assert job["permissions"]["id-token"] == "write"
        assert set(given) <= {"role-to-assume", "aws-region", "role-duration-seconds"}, "no keys"
        assert re.fullmatch(r"\$\{\{ vars\.AWS_\w+_ROLE \}\}", given["role-to-assume"])
        # An hour, unless one asks for more.
        assert given.get("role-duration-seconds", 3600) >= job["timeout-minutes"] * 60


def test_the_documented_roles_are_those_that_the_workflows_assume(
    aws: Callable[[str], Any], aws_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """docs/deploy.md's commands, run as they stand: the shell's by a shell, the AWS CLI's in this process."""
    document = (ROOT / "docs/deploy.md").read_text(encoding="utf-8")
    (commands,) = [
        block
        for block in re.findall(r"^```bash\n(.*?)^```", document, re.DOTALL | re.MULTILINE)
        if "create-open-id-connect-provider" in block
    ]
    said = tmp_path / "said"
    account = "123456789012"  # what the only question asks for
    cli = f"cli() {{ printf '%s\\0' \"$@\" END >>{said}; echo {account}; }}\n"
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", cli + commands.replace(".venv/bin/aws", "cli")],
        capture_output=True,
        check=True,
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    for call in said.read_text().removesuffix("\0").removesuffix("END").split("\0END\0"):
        with redirect_stdout(io.StringIO()) as answer:
            assert create_clidriver().main(call.removesuffix("\0").split("\0")) == 0
        if call.startswith("sts"):
            assert answer.getvalue().strip() == account
    iam, issuer = aws("iam"), "token.actions.githubusercontent.com"
    trusted: dict[str, str] = {}
    for name in ("medlaunch-deploy-dev", "medlaunch-changes-dev"):
        role = iam.get_role(RoleName=name)["Role"]
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
        provider = iam.get_open_id_connect_provider(
            OpenIDConnectProviderArn=statement["Principal"]["Federated"]
        )
        assert (provider["Url"], provider["ClientIDList"]) == (issuer, ["sts.amazonaws.com"])
        only = statement["Condition"]["StringEquals"]
        assert set(only) == {f"{issuer}:aud", f"{issuer}:sub"}
        assert only[f"{issuer}:aud"] == "sts.amazonaws.com"
        repository, _, environment = only[f"{issuer}:sub"].partition(":environment:")
        assert repository == "repo:owner/medlaunch"
        trusted[environment] = name
        asked = [given.get("role-duration-seconds", 0) for _, given in assuming()]
        assert role["MaxSessionDuration"] >= max(asked)
    assert {job["environment"] for job, _ in assuming()} == {*trusted, "prod"}
    # A pull request may look, and do nothing else.
    changes = iam.get_role_policy(RoleName=trusted["dev-changes"], PolicyName=trusted["dev-changes"])
    actions = {action for one in changes["PolicyDocument"]["Statement"] for action in one["Action"]}
    assert actions == {
        f"cloudformation:{one}"
        for one in ("CreateChangeSet", "DescribeChangeSet", "DeleteChangeSet", "DescribeStacks")
    }
    deploys = iam.get_role_policy(RoleName=trusted["dev"], PolicyName=trusted["dev"])
    makes_no_administrator(json.dumps(deploys["PolicyDocument"]), f"arn:aws:iam::{account}")


def makes_no_administrator(document: str, iam: str) -> None:
    """The deployment role manages the environment's own roles, with the boundary, and neither the boundary nor itself."""
    own, others, itself = (
        f"{iam}:role/medlaunch-{one}" for one in ("dev-worker", "prod-worker", "deploy-dev")
    )
    boundary = f"{iam}:policy/medlaunch-boundary-dev-us-east-1"
    bounded = (("iam:PermissionsBoundary", boundary),)

    def may(action: str, resource: str, *context: tuple[str, str]) -> bool:
        return bool(decide([document], Access(f"iam:{action}", resource, context))[0])

    for action in ("CreateRole", "PutRolePolicy", "AttachRolePolicy", "PutRolePermissionsBoundary"):
        assert may(action, own, *bounded)
        assert not may(action, own), f"{action} without a boundary"
        assert not may(action, own, ("iam:PermissionsBoundary", f"{iam}:policy/medlaunch-dev-mine"))
        assert not may(action, others, *bounded)
        assert not may(action, itself, *bounded)
    assert not may("DeleteRolePermissionsBoundary", own, *bounded)
    assert may("PassRole", own, ("iam:PassedToService", "airflow.amazonaws.com"))
    assert not may("PassRole", own, ("iam:PassedToService", "ec2.amazonaws.com"))
    for action in ("CreatePolicyVersion", "SetDefaultPolicyVersion", "DeletePolicy"):
        assert may(action, f"{iam}:policy/medlaunch-dev-worker-1")
        assert not may(action, boundary)
    assert not may("CreateUser", f"{iam}:user/medlaunch-dev-me", *bounded)


@every_workflow
def test_jobs_end_and_leave_no_token_behind(name: str) -> None:
    for job_name, job in jobs(name):
        assert "uses" in job or 0 < job["timeout-minutes"] <= 120, job_name
    for step in steps(name):
        if "actions/checkout@" in step.get("uses", ""):
            assert step["with"]["persist-credentials"] is False


@every_workflow
def test_what_they_run_exists(name: str) -> None:
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named: set[str] = set()
    for _, job in jobs(name):
        named |= set(job.get("strategy", {}).get("matrix", {}).get("target", []))
        for step in job.get("steps", []):
            for words in re.findall(r"^make (.*)$", step.get("run", ""), re.MULTILINE):
                named |= {word for word in words.split() if re.fullmatch(r"[a-z][a-z-]*", word)}
    assert named <= targets, named - targets
    assert named or all("uses" in job for _, job in jobs(name))


def test_everything_that_is_pinned_is_looked_after() -> None:
    updates = yaml.safe_load((FOLDER / "dependabot.yml").read_text())["updates"]
    where = {
        (one["package-ecosystem"], folder)
        for one in updates
        for folder in one.get("directories", [one.get("directory")])
    }
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    kinds = {
        "requirements.in": "pip",
        "pyproject.toml": "pip",
        "Dockerfile": "docker",
        "docker-compose.yaml": "docker-compose",
    }
    pinned = {
        (kinds[file.name], f"/{file.parent.as_posix()}".removesuffix("/."))
        for file in map(Path, tracked)
        if file.name in kinds
    }
    assert where == {(kind, folder or "/") for kind, folder in pinned} | {("github-actions", "/")}


def test_what_is_promised_runs() -> None:
    checks = PARSED["checks.yml"]["jobs"]
    assert checks["test"]["strategy"]["matrix"]["python"] == ["3.11", "3.12", "3.13"]
    text = (FOLDER / "workflows/checks.yml").read_text()
    for target in ("lint", "test", "site", "test-package", "package", "test-compose", "test-infra"):
        assert re.search(rf"make [^\n]*\b{target}\b", text)
    deploy = PARSED["deploy.yml"]["jobs"]
    assert deploy["dev"]["needs"] == "checks"
    assert deploy["prod"]["needs"] == "dev"
    assert deploy["prod"]["environment"] == "prod"
    assert PARSED["deploy.yml"][True] == {"push": {"branches": ["main"]}}
    assert "make diff-infra" in (FOLDER / "workflows/changes.yml").read_text()
    # Each long proof that there is runs somewhere.
    proofs = re.findall(r"^(test-[a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    nightly = PARSED["nightly.yml"]["jobs"]["proofs"]["strategy"]["matrix"]["target"]
    by_hand = {"test-peers"}  # needs copies of other repositories
    assert {one for one in proofs if f"make {one}" not in text} - by_hand <= set(nightly)
    assert PARSED["nightly.yml"][True]["schedule"]
