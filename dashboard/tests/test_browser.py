"""What people do, in Chromium: filter, share, download, follow a rate to its stays; on a phone, in the dark, by keyboard."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from dashboard import app
from dashboard.tests import browser as chromium

pytestmark = pytest.mark.browser
PATHS = [path for pages in app.PAGES.values() for *_, path in pages]


@pytest.fixture(scope="session")
def url(lake: dict[str, Any]) -> Iterator[str]:
    with chromium.server(lake["environment"]) as address:
        yield address


def choose(page: Page, label: str, text: str) -> None:
    """Choose an option of a filter by typing."""
    box = page.get_by_role("combobox", name=label)
    box.click()
    box.fill(text)
    page.get_by_role("option", name=text).first.click()
    chromium.wait(page)


def metric(page: Page, label: str) -> str:
    one = page.locator("[data-testid=stMetric]").filter(has_text=label).first
    return one.locator("[data-testid=stMetricValue]").inner_text().strip()


def cells(page: Page) -> list[list[str]]:
    """The rows of the first table that are in view, as assistive technology reads them."""
    grid = page.locator("[data-testid=stDataFrame]").first
    grid.locator("[role=grid] [role=row]").nth(1).wait_for(state="attached")
    rows = grid.locator("[role=grid] [role=row]").all()
    return [[cell.inner_text() for cell in row.locator("[role=gridcell]").all()] for row in rows[1:]]


def download(page: Page, kind: str) -> tuple[str, bytes]:
    with page.expect_download() as wanted:
        page.get_by_role("button", name=kind, exact=True).first.click()
    return wanted.value.suggested_filename, Path(wanted.value.path()).read_bytes()


def test_a_filtered_view_can_be_shared(tab: Page, browser: Browser, url: str) -> None:
    chromium.open_page(tab, f"{url}/accreditation-states")
    everywhere = metric(tab, "Facilities")
    choose(tab, "State", "Texas (TX)")
    tab.wait_for_url("**state=TX**")
    texas = metric(tab, "Facilities")
    assert texas != everywhere
    other = browser.new_context().new_page()
    chromium.open_page(other, tab.url)
    assert metric(other, "Facilities") == texas
    other.context.close()
    tab.get_by_role("link", name="Expiring accreditations").click()
    tab.wait_for_url("**/accreditation-expiring?*state=TX*")


def test_the_back_button_brings_the_filter_back(tab: Page, url: str) -> None:
    chromium.open_page(tab, f"{url}/accreditation-states?state=TX")
    texas = metric(tab, "Facilities")
    choose(tab, "State", "California (CA)")
    tab.wait_for_url("**state=CA**")
    chromium.open_page(tab, f"{url}/accreditation-states?state=TX")
    assert metric(tab, "Facilities") == texas


def test_a_download_is_the_table(tab: Page, url: str, lake: dict[str, Any]) -> None:
    chromium.open_page(tab, f"{url}/accreditation-states?snapshot=2026-11-01")
    name, body = download(tab, "CSV")
    frame = pd.read_csv(io.BytesIO(body))
    expected = lake["accreditation"]["snapshots"]["2026-11-01"]
    assert dict(zip(frame["state_code"], frame["facilities"], strict=True)) == expected["facilities_by_state"]
    assert name.startswith("facility_accreditation_states_2026-11-01_")
    seen = cells(tab)
    assert len(seen) >= 5
    for shown, row in zip(seen, frame.itertuples(), strict=False):
        assert shown[:4] == [
            row.state_code,
            row.state_name,
            str(row.accredited_facilities),
            str(row.facilities),
        ]
    name, body = download(tab, "Parquet")
    assert name.endswith(".parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(body)), frame, check_dtype=False)


def test_from_a_rate_to_its_stays(tab: Page, url: str) -> None:
    chromium.open_page(tab, f"{url}/clinical-readmission")
    tab.get_by_role("link", name="The stays behind").first.click()
    tab.wait_for_url("**/clinical-stays?*")
    chromium.wait(tab)
    asked = parse_qs(urlsplit(tab.url).query)
    assert asked["measure"] == ["readmission_30d"]
    text = tab.get_by_text("95 % interval").first.inner_text()
    numerator = int(text.split(" of ")[0].replace(",", ""))
    _, body = download(tab, "CSV")
    assert len(pd.read_csv(io.BytesIO(body))) == numerator


def test_from_data_to_the_report_of_its_run(tab: Page, url: str, lake: dict[str, Any]) -> None:
    chromium.open_page(tab, f"{url}/accreditation-states")
    tab.get_by_role("link", name="Run report").last.click()
    tab.wait_for_url("**/run?*")
    chromium.wait(tab)
    assert metric(tab, "Lines read") == f"{lake['accreditation']['totals']['lines']:,}"


def test_a_definition_is_one_click_away(tab: Page, url: str) -> None:
    chromium.open_page(tab, f"{url}/staffing-states")
    tab.get_by_role("button", name="Definition").first.click()
    tab.get_by_text("Denominator: residents of these days").wait_for()


def test_filters_work_by_keyboard(tab: Page, url: str) -> None:
    chromium.open_page(tab, f"{url}/accreditation-states")
    box = tab.get_by_role("combobox", name="State")
    box.focus()
    tab.keyboard.type("Ohio")
    tab.get_by_role("option", name="Ohio").wait_for()  # nobody presses Enter before the list has followed
    tab.keyboard.press("Enter")
    tab.wait_for_url("**state=OH**")


def test_broken_athena_says_what_to_do(tab: Page, lake: dict[str, Any]) -> None:
    broken = lake["environment"] | {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}
    with chromium.server(broken) as address:
        chromium.open_page(tab, f"{address}/accreditation-states")
        tab.get_by_text("Athena does not answer.").wait_for()
        assert "Traceback" not in tab.content()


def test_an_empty_lake_says_what_to_do(tab: Page, lake: dict[str, Any]) -> None:
    with chromium.server(lake["environment"] | {"DASHBOARD_DATABASE": "nowhere"}) as address:
        chromium.open_page(tab, address)
        tab.get_by_text("has no table for this page yet").wait_for()


@pytest.mark.parametrize("path", PATHS)
def test_a_page_is_accessible_and_fits_a_phone(browser: Browser, url: str, path: str) -> None:
    """axe finds no violation of WCAG 2.1 A and AA, in light and dark; the page asks nobody else for anything."""
    context = browser.new_context(color_scheme="light", viewport={"width": 1280, "height": 900})
    page = context.new_page()
    asked: set[str] = set()
    errors: list[str] = []
    page.on("request", lambda request: asked.add(urlsplit(request.url).hostname or ""))
    page.on("pageerror", lambda error: errors.append(str(error)))
    chromium.open_page(page, f"{url}/{path}")
    said = violations(page, "light")
    page.emulate_media(color_scheme="dark")
    chromium.wait(page)
    said += violations(page, "dark")
    page.set_viewport_size({"width": 390, "height": 844})
    chromium.wait(page)
    wide = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
    context.close()
    assert asked <= {"127.0.0.1", ""}
    assert errors == []
    assert not said, "\n".join(said)
    assert wide <= 0, "a phone would have to scroll sideways"


def violations(page: Page, scheme: str) -> list[str]:
    found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]})
    return [
        f"{scheme}: {one['id']} ({one['impact']}): {node['html'][:200]}"
        for one in found.response["violations"]
        for node in one["nodes"]
        # Streamlit's own navigation has sections between the items of its list.
        if not (one["id"] in ("list", "listitem") and "stSidebarNav" in str(node["target"]) + node["html"])
        and not (one["id"] == "listitem" and _in_navigation(page, node["target"]))
    ]


def _in_navigation(page: Page, target: list[str]) -> bool:
    return bool(
        page.locator(target[0]).first.evaluate("node => !!node.closest('[data-testid=stSidebarNav]')")
    )
