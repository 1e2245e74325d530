"""The pages as the real service serves them: with their policies in the headers."""

from __future__ import annotations

from pathlib import Path

import pytest
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.learning import report
from label_studio_sam2.learning.curve import Mark
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Point
from playwright.sync_api import Browser

from demo_model.scenes import draw_scene
from tests.fakes.settings import settings
from tests.fakes.tuned_versions import saved

STYLED = "getComputedStyle(document.body).maxWidth"
SHOWN = "[...document.images].every((image) => image.complete && image.naturalWidth > 0)"


@pytest.mark.slow
def test_the_page_and_a_report_are_shown_whole_under_their_policies(browser: Browser, tmp_path: Path) -> None:
    drawn = draw_scene(1, width=80, height=60)
    mask = drawn.masks[0]
    shot = report.Shot(drawn.image, mask, mask, mask, Point(9, 9))
    verdict = Verdict(True, "Used.", {"held_out": {"one click": {"before": 0.5, "after": 0.6}}})
    subject = report.Subject("Project 1", "demo", [Mark(1, 0.4, 0.5, True), Mark(2, 0.5, 0.6, True)])
    versions = Versions(tmp_path / "versions")
    versions.add_report(saved(versions), report.page(subject, verdict, {"training": 3}, [shot]))
    page, complaints = browser.new_page(), list[str]()
    page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    with running(settings(model_cache=tmp_path)) as address:
        page.goto(address)
        page.get_by_role("button", name="Sample picture").click()
        page.locator("#veil").wait_for(state="hidden", timeout=30_000)
        assert page.evaluate(SHOWN.replace("document.images", "document.querySelectorAll('#picture')"))
        page.goto(f"{address}/reports/1/1")
        assert page.evaluate(SHOWN)
        assert page.evaluate("document.images.length") == 2  # before and after
        assert page.evaluate(STYLED) == "992px"
    page.close()
    assert complaints == []
