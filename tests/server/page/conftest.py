"""One Chromium for all tests of the page, a fresh context for each, and the services it talks to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Error, Page, ViewportSize, expect

from tests.fakes import chromium
from tests.fakes.chromium import DESKTOP, OpenPage
from tests.fakes.fake_service import FakeService, fake_service

expect.set_options(timeout=10_000)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium.running() as browser:
        yield browser


@pytest.fixture(scope="session")
def pages(browser: Browser) -> Iterator[dict[str, Page]]:
    """Pages by their size and options: a page that is there already opens an address faster than a new one."""
    pages: dict[str, Page] = {}
    yield pages
    for page in pages.values():
        page.context.close()


@pytest.fixture
def open_page(browser: Browser, pages: dict[str, Page]) -> Iterator[OpenPage]:
    """Opens an address; any error of the page's own code fails the test."""
    errors: list[str] = []
    opened: list[Page] = []

    def note(error: Error) -> None:
        errors.append(str(error))

    def open_(url: str, size: tuple[int, int] = DESKTOP, **options: Any) -> Page:
        key = f"{size} {options}"
        if key not in pages:
            viewport = ViewportSize(width=size[0], height=size[1])
            pages[key] = browser.new_context(viewport=viewport, **options).new_page()
            pages[key].set_default_timeout(10_000)
        page = pages[key]
        opened.append(page)
        page.on("pageerror", note)
        page.goto(url)
        return page

    yield open_
    for page in opened:
        page.unroute_all(behavior="ignoreErrors")
        page.goto("about:blank")
        page.remove_listener("pageerror", note)
    assert not errors


@pytest.fixture(scope="session")
def fake() -> Iterator[FakeService]:
    with fake_service() as service:
        yield service


@pytest.fixture
def service(fake: FakeService) -> FakeService:
    fake.reset()
    return fake
