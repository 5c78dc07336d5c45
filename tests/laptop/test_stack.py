"""A stack's processes speak to the stack, whatever the shell says, and to nobody else."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from laptop import lifecycle
from laptop.__main__ import main
from laptop.stack import Stack


def test_nothing_of_the_shells_aws_reaches_the_stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (
        "AWS_PROFILE",
        "AWS_SESSION_TOKEN",
        "AWS_ENDPOINT_URL_S3",
        "AWS_SECRET_ACCESS_KEY",
        "BOTO_CONFIG",
    ):
        monkeypatch.setenv(name, "real")
    monkeypatch.setenv("AIRFLOW_HOME", "/somewhere/else")
    environment = Stack(home=tmp_path, aws_port=1234).environment()
    assert "real" not in environment.values()
    assert environment["AWS_ENDPOINT_URL"] == "http://127.0.0.1:1234"
    assert environment["AIRFLOW_HOME"] == str(tmp_path / "airflow")


def test_local_addresses_go_through_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    environment = Stack(home=tmp_path).environment()
    assert environment["NO_PROXY"] == environment["no_proxy"] == "example.org,localhost,127.0.0.1"


def test_settings_of_the_shell_win_over_the_stacks_and_overrides_over_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDLAUNCH_SENSOR_POKE_SECONDS", "44")
    monkeypatch.setenv("MEDLAUNCH_BUCKET", "from-the-shell")
    stack = Stack(home=tmp_path, overrides={"MEDLAUNCH_BUCKET": "overridden"})
    assert stack.settings.sensor_poke_seconds == 44
    assert stack.settings.bucket == "overridden"


def test_secrets_are_kept_and_private(tmp_path: Path) -> None:
    first, second = Stack(home=tmp_path).airflow_environment(), Stack(home=tmp_path).airflow_environment()
    assert first == second
    assert (
        first["AIRFLOW__API_AUTH__JWT_SECRET"]
        != Stack(home=tmp_path / "b").airflow_environment()["AIRFLOW__API_AUTH__JWT_SECRET"]
    )
    assert stat.S_IMODE((tmp_path / "secrets.json").stat().st_mode) == 0o600


def test_a_port_that_is_taken_is_named_with_its_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(lifecycle.PortTaken, match=rf"Port {port} .* LOCAL_AWS_PORT="):
            lifecycle.up(Stack(home=tmp_path, aws_port=port))
        with pytest.raises(lifecycle.PortTaken, match=rf"Port {port} .* AIRFLOW_PORT="):
            lifecycle.up(Stack(home=tmp_path, aws_port=lifecycle.free_port(), airflow_port=port))
    assert lifecycle.running(Stack(home=tmp_path)) == []


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (["status"], "make up"),
        (["alerts"], "make up"),
        (["upload", "--file", __file__, "--snapshot", "2026-11-01"], "make up"),
        (["upload", "--file", __file__, "--snapshot", "2026-02-30"], "SNAPSHOT"),
        (["upload", "--file", "missing", "--snapshot", "2026-02-01"], "FILE"),
        (["demo", "--uploads", "missing"], "missing is not a folder"),
    ],
)
def test_what_goes_wrong_is_said_without_a_traceback(
    command: list[str], says: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--home", str(tmp_path), *command]) == 1
    out, err = capfd.readouterr()
    assert says in out + err
    assert "Traceback" not in err


@pytest.mark.parametrize("bad", ["0", "http", "70000", "-1"])
def test_a_port_that_is_none(
    bad: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AIRFLOW_PORT", bad)
    assert main(["--home", str(tmp_path), "up"]) == 1
    assert f"AIRFLOW_PORT='{bad}'" in capfd.readouterr().err


def test_down_without_a_stack_is_fine(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--home", str(tmp_path), "down"]) == 0
    assert "No stack is running" in capfd.readouterr().out


def test_the_environment_can_be_taken_into_a_shell(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    import subprocess

    assert main(["--home", str(tmp_path / "it's here"), "airflow-env"]) == 0
    script = capfd.readouterr().out + 'printf %s "$AIRFLOW_HOME|$AWS_ENDPOINT_URL"'
    shell = subprocess.run(["/bin/sh", "-c", script], capture_output=True, text=True, check=True)
    assert shell.stdout == f"{tmp_path}/it's here/airflow|http://127.0.0.1:4566"
