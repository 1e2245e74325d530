"""The description of the routes for people, as the real service shows it."""

from __future__ import annotations

import pytest
from label_studio_sam2.server.openapi.document import document
from playwright.sync_api import Browser


@pytest.mark.slow
def test_every_route_is_shown_with_its_call(address: str, browser: Browser) -> None:
    page, complaints = browser.new_page(), list[str]()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(f"{address}/docs")
    page.locator("#post_predict pre").first.wait_for()
    assert page.locator("section").count() == sum(map(len, document()["paths"].values()))
    assert "curl -s" in page.locator("#post_predict pre").first.inner_text()
    assert complaints == []
    page.close()
