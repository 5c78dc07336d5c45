"""Pictures of the pages for docs and README: ``make screenshots``."""

from __future__ import annotations

from typing import Any

import pytest

from dashboard.tests import browser as chromium

pytestmark = pytest.mark.browser
IMAGES = chromium.ROOT / "docs/images"
PICTURES = {
    "dashboard-accreditation": ("accreditation-states", "light", 1000),
    "dashboard-expiring": ("accreditation-expiring", "dark", 1000),
    "dashboard-staffing": ("staffing-facility", "light", 1000),
    "dashboard-occupancy": ("staffing-occupancy", "dark", 1000),
    "dashboard-infections": ("clinical-infections", "light", 1000),
    "dashboard-length-of-stay": ("clinical-length-of-stay", "light", 1000),
}


def test_pictures(lake: dict[str, Any]) -> None:
    with chromium.server(lake["environment"]) as url, chromium.chromium() as browser:
        for name, (path, scheme, height) in PICTURES.items():
            context = browser.new_context(
                color_scheme=scheme,
                viewport={"width": 1280, "height": height},
                reduced_motion="reduce",
            )
            page = chromium.open_page(context.new_page(), f"{url}/{path}")
            page.mouse.move(1270, 5)
            page.wait_for_timeout(1_500)  # the picture, not a test, waits for animations
            page.screenshot(path=IMAGES / f"{name}.png")
            context.close()
