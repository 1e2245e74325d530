"""The hand on the page's picture, and the eye on what is drawn over it."""

from __future__ import annotations

import base64
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from playwright.sync_api import Page, expect


def shown(page: Page) -> None:
    """Waits until a picture or clip can be pointed at."""
    expect(page.locator("#veil")).to_be_hidden()


def click(page: Page, x: float, y: float, **options: Any) -> None:
    """A click at shares of the picture's width and height."""
    box = page.locator("#overlay").bounding_box()
    assert box is not None
    page.locator("#overlay").click(
        position={"x": x * box["width"], "y": y * box["height"]}, force=True, **options
    )


def drag(page: Page, begin: tuple[float, float], end: tuple[float, float]) -> None:
    page.locator("#overlay").scroll_into_view_if_needed()
    box = page.locator("#overlay").bounding_box()
    assert box is not None
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in (begin, end)]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=3)
    page.mouse.up()


def overlay(page: Page) -> NDArray[np.bool_]:
    """Where the canvas over the picture is painted, (H, W) in the screen's pixels."""
    address = page.evaluate(
        """() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(
            () => done(document.getElementById('overlay').toDataURL()))))"""
    )
    png = np.frombuffer(base64.b64decode(address.partition(",")[2]), np.uint8)
    drawn = cv2.imdecode(png, cv2.IMREAD_UNCHANGED)
    assert drawn is not None
    return np.asarray(drawn[..., 3] > 0)
