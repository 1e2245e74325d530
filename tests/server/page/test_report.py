"""The report of a tuning run, as a browser shows it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from label_studio_sam2.learning import report
from label_studio_sam2.learning.report import Shot
from playwright.sync_api import expect

from demo_model.scenes import draw_scene
from tests.fakes.chromium import DESKTOP, OpenPage
from tests.fakes.servers import Site, serving
from tests.server.page.test_accessibility import PHONE, violations

FIGURES = {"held_out": {"one click": {"before": 0.812, "after": 0.854}}, "generic_loss": 0.0012}
COUNTS = {"tasks": 24, "annotations": 26, "masks": 40, "unusable": 1, "training": 25, "checking": 5}


def shots() -> Iterator[Shot]:
    for seed in (3, 5):
        scene = draw_scene(seed, width=256, height=256)
        truth = scene.masks[0]
        yield Shot(scene.image, truth, np.roll(truth, 12, axis=1), truth)


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    page = report.page("Project 12, version 3", 'Used: <better> & "more".', FIGURES, COUNTS, list(shots()))
    with serving(
        Site(lambda exchange: exchange.reply(200, page.encode(), {"Content-Type": "text/html"}))
    ) as site:
        yield f"{site.url}/behind/a/path/reports/12/3"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_on_a_report_in_either_scheme(
    open_page: OpenPage, address: str, size: tuple[int, int], scheme: str
) -> None:
    page = open_page(address, size=size, color_scheme=scheme)
    assert violations(page) == []
    assert page.evaluate("() => document.documentElement.scrollWidth") <= size[0]
    ground = page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (ground == "rgb(14, 18, 23)") is (scheme == "dark")


def test_a_report_says_in_words_what_was_counted_and_what_each_picture_shows(
    open_page: OpenPage, address: str
) -> None:
    page = open_page(address)
    main = page.get_by_role("main")
    expect(main.get_by_text('Used: <better> & "more".')).to_be_visible()
    expect(main.get_by_role("row", name="masks trained on 25")).to_be_visible()
    expect(main.get_by_role("row", name="one click 0.812 0.854")).to_be_visible()
    assert "{" not in main.inner_text()
    expect(main.get_by_role("heading", name="Example 1: IoU 0.")).to_contain_text(", 1.000 after")
    expect(main.locator("figcaption")).to_have_text(["Before", "After"] * 2)


def test_a_report_leads_back_to_the_page_that_it_lies_below(open_page: OpenPage, address: str) -> None:
    link = open_page(address).get_by_role("link", name="Back to the status")
    assert link.evaluate("link => link.href") == address.removesuffix("reports/12/3")
