"""A lake with sample data, in a process of the repository's own environment, and the application over it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import streamlit as st
from playwright.sync_api import Browser, Page
from streamlit.testing.v1 import AppTest

from dashboard.tests import browser as chromium

ROOT = Path(__file__).parents[2]
APP = ROOT / "dashboard/app.py"


@pytest.fixture(scope="session")
def lake() -> Iterator[dict[str, Any]]:
    """What ``tests.dashboard_lake`` published: the dashboard's environment, and what the samples contain.

    ``DASHBOARD_LAKE`` names a file with what one that runs already has printed, which saves its start.
    """
    if file := os.environ.get("DASHBOARD_LAKE"):
        yield json.loads(Path(file).read_text(encoding="utf-8"))
        return
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "STREAMLIT_"))
    }
    paths = os.pathsep.join([str(ROOT), str(ROOT / "plugins")])
    command = [str(ROOT / ".venv/bin/python"), "-m", "tests.dashboard_lake"]
    log = ROOT / "build/dashboard-lake.log"
    log.parent.mkdir(exist_ok=True)
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment | {"PYTHONPATH": paths},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
        ) as process,
    ):
        assert process.stdin
        assert process.stdout
        line = process.stdout.readline()
        assert line, f"{' '.join(command)} ended before it was ready: {log}"
        try:
            yield json.loads(line)
        finally:
            process.stdin.close()


@pytest.fixture
def environment(lake: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The dashboard's environment for the lake; a test may change it. Nothing is remembered from earlier tests."""
    for name in [one for one in os.environ if one.startswith(("AWS_", "DASHBOARD_"))]:
        monkeypatch.delenv(name)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "NO_PROXY": "127.0.0.1,localhost",
        **lake["environment"],
    }.items():
        monkeypatch.setenv(name, value)
    st.cache_resource.clear()
    return monkeypatch


@pytest.fixture
def page(environment: pytest.MonkeyPatch) -> Callable[..., AppTest]:
    """Opens a page of the application with a query in its URL."""

    def open_page(name: str = "", **query: str) -> AppTest:
        app = AppTest.from_file(str(APP), default_timeout=120)
        if name:
            # The first run makes the application know its pages.
            app.run()
            app.switch_page(f"views/{name}.py")
        for key, value in query.items():
            app.query_params[key] = value
        return app.run()

    return open_page


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, for the tests that are marked with ``browser``."""
    with chromium.chromium() as started:
        yield started


@pytest.fixture
def tab(browser: Browser) -> Iterator[Page]:
    """A page of a browser that knows nothing of earlier tests."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    context.set_default_timeout(60_000)
    try:
        yield context.new_page()
    finally:
        context.close()
