"""Deploying to Amazon MWAA: what is refused, what is uploaded and in which order; with the real AWS CLI."""

from __future__ import annotations

import http.server
import io
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from awscli.clidriver import create_clidriver

from deploy import changes, mwaa, package, protection
from deploy.aws import Aws, AwsFailed
from tests.deploy.mwaa import OUTPUTS

ROOT = Path(__file__).parents[2]
Client = Callable[[str], Any]


@dataclass
class Clone:
    """A clone of the repository that can be changed, and a bucket for MWAA in local AWS."""

    folder: Path
    bucket: str
    url: str

    def write(self, name: str, text: str, mode: int = 0o644) -> None:
        (self.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (self.folder / name).write_text(text)
        (self.folder / name).chmod(mode)

    def git(self, *arguments: str) -> str:
        identity = ("-c", "user.name=test", "-c", "user.email=test@example.org")
        run = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, capture_output=True, text=True, check=True
        )
        return run.stdout.strip()

    def commit(self) -> str:
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")

    def deploy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "AWS_ENDPOINT_URL": self.url,
            "PYTHONPATH": os.pathsep.join([str(self.folder), str(self.folder / "plugins")]),
        }
        return subprocess.run(
            [sys.executable, "-m", "deploy", "mwaa", "--env", "dev", *arguments],
            cwd=self.folder, env=environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip


@pytest.fixture
def clone(tmp_path: Path, aws: Client, bucket: str, aws_url: str) -> Clone:
    found = Clone(tmp_path / "clone", bucket, aws_url)
    for folder in ("dags", "plugins", "include", "deploy"):
        shutil.copytree(ROOT / folder, found.folder / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("requirements.txt", ".gitignore"):
        shutil.copy(ROOT / name, found.folder)
    found.write(".ci/run", "#!/bin/sh\ntouch build-checked\n", 0o755)
    found.write(".gitignore", "build-checked\ndist/\n__pycache__/\n")
    found.write("outputs.json", json.dumps({"medlaunch-dev-lake": OUTPUTS | {"MwaaBucket": bucket}}))
    found.git("init", "--quiet")
    found.commit()
    return found


@pytest.fixture
def cli(monkeypatch: pytest.MonkeyPatch) -> None:
    """The AWS CLI in this process: a process for each command takes most of a second to start."""

    def run(_: Aws, *arguments: str | Path) -> str:
        words = [str(one) for one in arguments]
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            status = create_clidriver().main(words)
        if status:
            raise AwsFailed(f"aws {words}\n{err.getvalue()}")
        return out.getvalue()

    monkeypatch.setattr(Aws, "run", run)


def keys(aws: Client, bucket: str) -> set[str]:
    return {one["Key"] for one in aws("s3").list_objects_v2(Bucket=bucket).get("Contents", [])}


def versions(aws: Client, bucket: str, key: str) -> int:
    found = aws("s3").list_object_versions(Bucket=bucket, Prefix=key).get("Versions", [])
    return len([one for one in found if one["Key"] == key])


def test_what_is_not_committed_is_refused(clone: Clone, aws: Client) -> None:
    clone.write("dags/new.py", "x = 1\n")
    run = clone.deploy("--outputs", "outputs.json")
    assert run.returncode == 1
    assert "are not committed" in run.stderr
    assert "dags/new.py" in run.stderr
    assert keys(aws, clone.bucket) == set()


def test_failing_checks_are_refused(clone: Clone, aws: Client) -> None:
    clone.write(".ci/run", "#!/bin/sh\necho broken; exit 1\n", 0o755)
    commit = clone.commit()
    run = clone.deploy("--outputs", "outputs.json")
    assert run.returncode == 1
    assert f"The checks of {commit} fail" in run.stderr
    run = clone.deploy("--outputs", "outputs.json", "--checked", "0" * 40)
    assert f"CHECKED={'0' * 40} is not the checked-out commit {commit}" in run.stderr
    assert keys(aws, clone.bucket) == set()


def test_settings_that_no_stack_gave_are_refused(clone: Clone) -> None:
    clone.write("outputs.json", json.dumps({"x": {"MwaaBucket": clone.bucket}}))
    clone.commit()
    run = clone.deploy("--outputs", "outputs.json")
    assert run.returncode == 1
    assert "MEDLAUNCH_BUCKET, MEDLAUNCH_DATABASE" in run.stderr


def test_a_dry_run_shows_the_commands_and_does_nothing(clone: Clone, aws: Client) -> None:
    run = clone.deploy("--outputs", "outputs.json", "--dry-run")
    assert run.returncode == 0, run.stderr
    assert keys(aws, clone.bucket) == set()
    assert not (clone.folder / "build-checked").exists()
    shown = [line for line in run.stdout.splitlines() if line.startswith(("aws ", ".ci/run"))]
    order = [
        r"\.ci/run",
        *(rf"aws s3api put-object --bucket {clone.bucket} --key {name} " for name in mwaa.OBJECTS),
        rf"aws s3 sync \S+/include s3://{clone.bucket}/dags/include",
        rf"aws s3 sync \S+/medlaunch s3://{clone.bucket}/dags/medlaunch",
        rf"aws s3 sync \S+/dags s3://{clone.bucket}/dags --no-progress",
        rf"aws s3 sync \S+/dags s3://{clone.bucket}/dags --delete",
    ]
    assert len(shown) == len(order)
    for line, wanted in zip(shown, order, strict=True):
        assert re.match(wanted, line), line


def test_a_package_is_uploaded_and_then_what_changed(clone: Clone, aws: Client) -> None:
    commit = clone.git("rev-parse", "HEAD")
    run = clone.deploy("--outputs", "outputs.json")
    assert run.returncode == 0, run.stderr
    assert (clone.folder / "build-checked").exists()
    built = clone.folder / "dist/mwaa"
    assert keys(aws, clone.bucket) == {file.as_posix() for file in package.files(built)}
    for file in package.files(built):
        body = aws("s3").get_object(Bucket=clone.bucket, Key=file.as_posix())["Body"].read()
        assert body == (built / file).read_bytes(), file

    # A change that keeps the size, and a file that goes.
    dag = clone.folder / "dags/facility_accreditation.py"
    changed = dag.read_text().replace("Facility accreditation", "Facility AccreditatioN")
    dag.write_text(changed)
    gone = next((clone.folder / "include/sql/facility_accreditation/views").glob("*.sql"))
    gone.unlink()
    new = clone.commit()
    assert new != commit
    run = clone.deploy("--outputs", "outputs.json", "--checked", new)
    assert run.returncode == 0, run.stderr
    assert f"All checks have passed for {new}" in run.stdout
    there = aws("s3").get_object(Bucket=clone.bucket, Key="dags/facility_accreditation.py")["Body"].read()
    assert there.decode() == changed
    assert f"dags/{gone.relative_to(clone.folder).as_posix()}" not in keys(aws, clone.bucket)
    # What would be an update of the environment is uploaded again only if its bytes changed.
    assert {versions(aws, clone.bucket, name) for name in mwaa.OBJECTS} == {1}


@pytest.mark.usefixtures("cli")
def test_outputs_come_from_cloudformation(aws: Client, aws_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"e{uuid.uuid4().hex[:8]}"
    template = {
        "Resources": {"Topic": {"Type": "AWS::SNS::Topic"}},
        "Outputs": {"MedlaunchAlertsTopicArn": {"Value": {"Ref": "Topic"}}, "MwaaBucket": {"Value": "code"}},
    }
    for stack in (f"medlaunch-{name}-lake", f"other-{name}"):
        aws("cloudformation").create_stack(StackName=stack, TemplateBody=json.dumps(template))
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    outputs = mwaa.stack_outputs(name)
    assert outputs["MedlaunchAlertsTopicArn"].startswith("arn:aws:sns:us-east-1:")
    assert f"medlaunch-{name}-lake" in outputs["MedlaunchAlertsTopicArn"]
    assert mwaa.find_target(name, outputs) == mwaa.Target("code")
    stack = f"medlaunch-{name}-mwaa"
    assert mwaa.find_target(name, outputs | {"MwaaEnvironment": "env"}) == mwaa.Target("code", stack)
    with pytest.raises(mwaa.DeployRefused, match="no stack medlaunch-nowhere-"):
        mwaa.stack_outputs("nowhere")
    with pytest.raises(mwaa.DeployRefused, match="CODE_BUCKET"):
        mwaa.find_target(name, {})


@pytest.mark.usefixtures("cli")
def test_changes_of_stacks_are_shown_and_not_made(
    aws: Client,
    aws_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    name, sns = f"e{uuid.uuid4().hex[:8]}", aws("sns")
    template = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": name}}}}
    (tmp_path / f"medlaunch-{name}-lake.template.json").write_text(json.dumps(template))
    assert changes.show(name, tmp_path) == 1
    assert f"medlaunch-{name}-lake: 1 changes\n  Add AWS::SNS::Topic Topic\n" in capsys.readouterr().out
    assert not any(topic["TopicArn"].endswith(name) for topic in sns.list_topics()["Topics"])
    assert aws("cloudformation").list_change_sets(StackName=f"medlaunch-{name}-lake")["Summaries"] == []
    with pytest.raises(FileNotFoundError, match="make synth"):
        changes.show("nowhere", tmp_path)


@pytest.fixture
def protected(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The stacks that CloudFormation is told to protect. local AWS does not know the call."""
    told: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            sent = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
            assert sent["Action"] == ["UpdateTerminationProtection"]
            assert sent["EnableTerminationProtection"] == ["true"]
            told.extend(sent["StackName"])
            answer = (
                b"<UpdateTerminationProtectionResponse><UpdateTerminationProtectionResult><StackId>id</StackId>"
                b"</UpdateTerminationProtectionResult></UpdateTerminationProtectionResponse>"
            )
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("AWS_ENDPOINT_URL_CLOUDFORMATION", f"http://127.0.0.1:{server.server_port}")
        yield told
        server.shutdown()


@pytest.mark.usefixtures("cli")
def test_what_may_not_be_deleted_is_protected_after_its_deployment(
    protected: list[str], tmp_path: Path
) -> None:
    stacks = {
        f"medlaunch-{name}-lake": {"properties": {"terminationProtection": value}}
        for name, value in (("dev", False), ("prod", True))
    }
    (tmp_path / "manifest.json").write_text(json.dumps({"artifacts": stacks}))
    assert not protection.protect("dev", "lake", tmp_path)
    assert protected == []
    assert protection.protect("prod", "lake", tmp_path)
    assert protected == ["medlaunch-prod-lake"]
    for stack, folder in (("mwaa", tmp_path), ("lake", tmp_path / "nowhere")):
        with pytest.raises(FileNotFoundError, match=f"no stack medlaunch-prod-{stack}.*make synth"):
            protection.protect("prod", stack, folder)
    # The command that deploys is the one that protects.
    target = (ROOT / "Makefile").read_text().split("\ndeploy-infra:", 1)[1].split("\n\n", 1)[0]
    assert 'deploy protect --env "$(ENV)" --stack "$(STACK)"' in target


# --- the versions that MWAA reads

MWAA_TEMPLATE = {
    "Parameters": {
        **{one: {"Type": "String", "Default": ""} for one in mwaa.OBJECTS.values()},
        "Zone1": {"Type": "String", "Default": ""},
    },
    # Stands for the environment, which local AWS does not have: a resource with the versions in a property.
    "Resources": {
        "Airflow": {
            "Type": "AWS::SNS::Topic",
            "Properties": {
                "TopicName": {
                    "Fn::Join": ["-", [{"Ref": one} for one in ("AWS::StackName", *mwaa.OBJECTS.values())]]
                }
            },
        }
    },
    "Outputs": {"MwaaEnvironment": {"Value": {"Ref": "Airflow"}}},
}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, aws_url: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    monkeypatch.setattr(mwaa, "_POLL_SECONDS", 0.01)


def parameters(aws: Client, stack: str) -> dict[str, str]:
    (found,) = aws("cloudformation").describe_stacks(StackName=stack)["Stacks"]
    return {one["ParameterKey"]: one["ParameterValue"] for one in found["Parameters"]}


def environment_of(aws: Client, stack: str) -> str:
    (topic,) = (
        one["TopicArn"].rpartition(":")[2]
        for one in aws("sns").list_topics()["Topics"]
        if f":{stack}-" in one["TopicArn"]
    )
    return str(topic)


@pytest.mark.usefixtures("cli", "quick")
def test_only_the_stack_sets_versions_and_its_next_update_keeps_them(
    aws: Client, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    name = f"e{uuid.uuid4().hex[:8]}"
    stack, template = f"medlaunch-{name}-mwaa", json.loads(json.dumps(MWAA_TEMPLATE))
    file = tmp_path / f"{stack}.template.json"
    file.write_text(json.dumps(template))
    first = ["RequirementsVersion=r1", "PluginsVersion=p1", "StartupVersion=s1"]
    deploy = ("cloudformation", "deploy", "--stack-name", stack, "--template-file", file)
    Aws().run(*deploy, "--parameter-overrides", *first, "Zone1=us-east-1b")

    found = {"plugins.zip": "p1", "requirements.txt": "r2", "startup.sh": "s2"}
    mwaa._update(Aws(), stack, found)
    after = {
        "PluginsVersion": "p1",
        "RequirementsVersion": "r2",
        "StartupVersion": "s2",
        "Zone1": "us-east-1b",
    }
    assert parameters(aws, stack) == after
    assert environment_of(aws, stack) == f"{stack}-r2-p1-s2"
    mwaa._update(Aws(), stack, found)
    assert "only DAGs changed" in capsys.readouterr().out

    # The same template is no change, and another one changes what it says, with the versions as they are.
    # local AWS refuses such a change set; CloudFormation ends it as failed, which the CLI takes for no changes.
    with pytest.raises(AwsFailed, match="No updates are to be performed"):
        changes.show(name, tmp_path)
    template["Resources"]["Airflow"]["Properties"]["DisplayName"] = "more workers"
    file.write_text(json.dumps(template))
    assert changes.show(name, tmp_path) == 1
    assert "Modify AWS::SNS::Topic Airflow" in capsys.readouterr().out
    Aws().run(*deploy)
    assert parameters(aws, stack) == after
    assert environment_of(aws, stack) == f"{stack}-r2-p1-s2"


@pytest.mark.usefixtures("cli", "quick")
def test_a_new_stack_gets_the_versions_in_the_bucket(aws: Client, bucket: str) -> None:
    outputs = {"MwaaBucket": bucket}
    with pytest.raises(mwaa.DeployRefused, match=r"requirements\.txt is not there"):
        mwaa.first_versions("dev", outputs)
    wanted = [
        f"{parameter}={aws('s3').put_object(Bucket=bucket, Key=key, Body=b'x')['VersionId']}"
        for key, parameter in mwaa.OBJECTS.items()
    ]
    assert mwaa.first_versions("dev", outputs) == wanted
    assert mwaa.first_versions("dev", outputs | {"MwaaEnvironment": "there"}) == []


class FailedUpdate(Aws):
    """CloudFormation's answers while an update fails, in the form of its service model."""

    def __init__(self, *statuses: str):
        super().__init__()
        self.statuses = list(statuses)

    def run(self, *arguments: str | Path) -> str:
        if "describe-stack-events" in arguments:
            stack = {"StackId": "id", "PhysicalResourceId": "id"}
            environment = {"StackId": "id", "PhysicalResourceId": "medlaunch-dev"}
            failed = {"ResourceStatus": "UPDATE_FAILED"}
            events = [
                stack | {"ResourceStatus": "UPDATE_ROLLBACK_COMPLETE"},
                stack | failed | {"ResourceStatusReason": "cancelled"},
                environment | failed | {"ResourceStatusReason": "the startup script failed"},
                stack | {"ResourceStatus": "UPDATE_IN_PROGRESS"},
                environment | failed | {"ResourceStatusReason": "an older update"},
            ]
            return json.dumps({"StackEvents": events})
        if "describe-stacks" in arguments:
            return json.dumps({"Stacks": [{"StackStatus": self.statuses.pop(0)}]})
        return ""


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("end", ["UPDATE_ROLLBACK_COMPLETE", "UPDATE_ROLLBACK_FAILED"])
def test_an_update_that_fails_or_is_rolled_back_is_told(end: str) -> None:
    aws = FailedUpdate("CREATE_COMPLETE", "UPDATE_IN_PROGRESS", "UPDATE_ROLLBACK_IN_PROGRESS", end)
    with pytest.raises(mwaa.DeployFailed, match=f"is {end}: the startup script failed"):
        mwaa._update(aws, "medlaunch-dev-mwaa", dict.fromkeys(mwaa.OBJECTS, "new"))
    assert aws.statuses == []


@pytest.mark.usefixtures("cli")
def test_a_bucket_without_versions_is_refused(
    unversioned_bucket: str, aws_url: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", aws_url)
    (tmp_path / "startup.sh").write_text("#!/bin/sh\n")
    with pytest.raises(mwaa.DeployRefused, match="has no versioning"):
        mwaa._put(Aws(), tmp_path / "startup.sh", unversioned_bucket, "startup.sh")
