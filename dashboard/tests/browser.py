"""The application in a real browser: a server over a lake, and Chromium."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

ROOT = Path(__file__).parents[2]
#: What the foot of each page says: the page is complete.
FOOT = "Since the dashboard started"


@contextmanager
def server(environment: dict[str, str], secrets: Path | None = None, auth: str = "") -> Iterator[str]:
    """The application with these variables, on a free port; gives its address.

    ``auth``: the section of that name of Streamlit's ``secrets``, with ``{url}`` where the address belongs.
    """
    with serving(environment, secrets, auth) as (url, _):
        yield url


@contextmanager
def serving(
    environment: dict[str, str], secrets: Path | None = None, auth: str = ""
) -> Iterator[tuple[str, int]]:
    """The application as :func:`server` starts it; gives its address and its process id."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shell = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "DASHBOARD_"))}
    keys = {
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "NO_PROXY": "127.0.0.1,localhost",
        "PYTHONPATH": str(ROOT),
    }
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, "-m", "streamlit", "run", str(ROOT / "dashboard/app.py")]
    command += ["--server.port", str(port), "--server.address", "127.0.0.1"]
    if secrets is not None:
        secrets.write_text(f"[auth]\n{auth.format(url=url)}")
        command += ["--secrets.files", str(secrets)]
    log = ROOT / "build/dashboard-server.log"
    log.parent.mkdir(exist_ok=True)
    with (
        log.open("wb") as out,
        subprocess.Popen(
            command,
            env=shell | keys | environment,
            stdout=out,
            stderr=out,
        ) as process,
    ):
        try:
            _wait_for(f"{url}/_stcore/health", process, log)
            yield url, process.pid
        finally:
            process.terminate()


def _wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert process.poll() is None, f"The dashboard has ended: {log}"
        try:
            with opener.open(url, timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise TimeoutError(f"The dashboard does not answer: {log}")


@contextmanager
def chromium() -> Iterator[Browser]:
    """Debian's Chromium; ``CHROMIUM`` names another one."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    assert path, "There is no Chromium: apt-get install chromium, or name one with CHROMIUM"
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        try:
            yield browser
        finally:
            browser.close()


def open_page(page: Page, url: str) -> Page:
    """Go to a page and wait until it is complete."""
    page.goto(url)
    return wait(page)


def wait(page: Page) -> Page:
    """Wait until the application has run to its end and charts are drawn."""
    page.get_by_text(FOOT).wait_for(timeout=120_000)
    page.wait_for_function(
        "() => !document.querySelector('[data-testid=stStatusWidget]')"
        " && document.querySelector('[data-testid=stApp]')?.dataset.testScriptState === 'notRunning'",
        timeout=120_000,
    )
    for chart in page.locator("[data-testid=stVegaLiteChart]:visible").all():
        chart.locator("canvas, svg").first.wait_for(timeout=60_000)
    return page
