"""Logging in by OpenID Connect, in Chromium, with a provider on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from oidc_provider_mock import User, run_server_in_thread
from playwright.sync_api import Page

from dashboard.tests import browser as chromium

pytestmark = pytest.mark.browser

#: Who the provider knows: who may see the dashboard, who may not, and who says to be somebody who may.
PEOPLE = {
    "ana": {"email": "ana@example.org", "email_verified": True},
    "bob": {"email": "bob@example.com", "email_verified": True},
    "eve": {"email": "eve@example.org", "email_verified": False},
}
AUTH = """
redirect_uri = "{{url}}/oauth2callback"
cookie_secret = "a secret of tests, which nothing else has for a key"  # pragma: allowlist secret
client_id = "dashboard"
client_secret = "of no account"  # pragma: allowlist secret
server_metadata_url = "http://localhost:{port}/.well-known/openid-configuration"
"""


@pytest.fixture(scope="module")
def url(lake: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    users = [User(sub=name, claims=claims) for name, claims in PEOPLE.items()]
    secrets: Path = tmp_path_factory.mktemp("secrets") / "secrets.toml"
    with run_server_in_thread(user_claims=users) as provider:
        environment = lake["environment"] | {"DASHBOARD_ALLOWED_EMAILS": "@example.org"}
        with chromium.server(environment, secrets, AUTH.format(port=provider.server_port)) as address:
            yield address


def log_in(page: Page, url: str, who: str) -> None:
    page.goto(f"{url}/staffing-states?state=TX")
    page.get_by_role("button", name="Log in").wait_for()
    assert page.locator("[data-testid=stMetric]").count() == 0
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("http://localhost:*/**")
    page.get_by_role("button", name=who, exact=True).first.click()
    page.wait_for_url(f"{url}/**")


def test_who_is_known_sees_the_dashboard_until_the_logout(tab: Page, url: str) -> None:
    log_in(tab, url, "ana")
    chromium.wait(tab)
    assert tab.locator("[data-testid=stMetric]").count()
    chromium.open_page(tab, f"{url}/accreditation-states")
    tab.get_by_role("button", name="Log out ana@example.org").click()
    # The provider asks, too, before it ends its session.
    tab.wait_for_url("http://localhost:*/**")
    tab.locator("button[type=submit]").first.click()
    tab.wait_for_url(f"{url}/**")
    tab.get_by_role("button", name="Log in").wait_for()
    assert tab.locator("[data-testid=stMetric]").count() == 0


@pytest.mark.parametrize(("who", "said"), [("bob", "Ask its owner"), ("eve", "has not verified")])
def test_others_are_told_that_they_may_not(tab: Page, url: str, who: str, said: str) -> None:
    log_in(tab, url, who)
    tab.get_by_text("may not see the dashboard").wait_for()
    assert said in tab.locator("[data-testid=stAlert]").inner_text()
    assert tab.locator("[data-testid=stMetric]").count() == 0


def test_who_is_denied_by_the_provider_sees_nothing(tab: Page, url: str) -> None:
    tab.goto(url)
    tab.get_by_role("button", name="Log in").click()
    tab.wait_for_url("http://localhost:*/**")
    tab.get_by_role("button", name="Deny").click()
    tab.wait_for_url(f"{url}/**")
    tab.get_by_role("button", name="Log in").wait_for()
    assert tab.locator("[data-testid=stMetric]").count() == 0
