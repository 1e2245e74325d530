"""Label Studio's real editor in a headless Chromium, as an annotator uses it.

Places are pixels (x, y) of the upright image. Every wait is for a state of the page, never for a time.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from playwright.sync_api import Browser, Page, Response

from tests.e2e.label_studio import LabelStudio

PATIENCE_MS = 120_000
"""For anything that the page waits for; two cores may be shared with a training."""

Place = tuple[float, float]

PICTURE = "img[src^=blob]"
SHOWN = "img[src^=blob], video"
VIDEO = "Htx.annotationStore.selected.objects.find(object => object.type === 'video')?.ref?.current"
LAID_OUT = f"document.querySelector('{PICTURE}')?.getBoundingClientRect().width > 0"
"""False, too, while its size is being found, which is no number then."""

LOADED = f"""() => (document.querySelector('{PICTURE}')?.naturalWidth > 0 && {LAID_OUT})
    || ({VIDEO}?.videoDimensions.width > 0 && {VIDEO}.length > 1)"""
REPLACED = f"(before) => document.querySelector('{PICTURE}')?.src !== before"
NATURAL_SIZE = f"""() => {{
    const picture = document.querySelector('{PICTURE}') ?? {VIDEO}.videoDimensions;
    return [picture.naturalWidth ?? picture.width, picture.naturalHeight ?? picture.height] }}"""
VIDEO_SCALE = f"() => {VIDEO}.videoDimensions.ratio * {VIDEO}.zoom"
SMART_CHOSEN = """() => Htx.annotationStore.selected.objects.some(object =>
    Object.values(object.getToolsManager?.().tools ?? {}).some(tool => tool.selected && tool.dynamic))"""
SUGGESTED = """(id) => [...Htx.annotationStore.selected.suggestions.values(), ...Htx.annotationStore.selected.regions]
    .some(region => region.cleanId === id)"""
"""Where suggestions are accepted by themselves, it is a region at once."""
SUGGESTED_LABELS = "() => [...Htx.annotationStore.selected.suggestions.values()].map(region => region.labels)"
SETTLED = "() => Htx.annotationStore.selected.suggestions.size === 0"
REGIONS = """() => Htx.annotationStore.selected.regions.map(region => ({
    id: region.cleanId, type: region.type, labels: region.labels }))"""
KEEP_LABEL = "(keep) => Htx.settings.continuousLabeling === keep || Htx.settings.toggleContinuousLabeling()"
"""The setting "Keep label selected after creating a region"."""


@dataclass
class Editor:
    """One browser tab, logged in."""

    page: Page
    label_studio: LabelStudio
    answered_by: str = ""
    """The model version of the last answer."""

    def open(self, project: int, task: int, *, auto_accept: bool = False, keep_label: bool = True) -> None:
        """Shows a task with Auto-Annotation on and waits until its picture or video is there."""
        store = {"autoAnnotation": "true", "autoAcceptSuggestions": str(auto_accept).lower()}
        self.page.evaluate("(store) => Object.assign(localStorage, store)", store)
        self.page.goto(f"{self.label_studio.url}/projects/{project}/data?task={task}")
        self.page.wait_for_function("() => globalThis.Htx?.annotationStore?.selected?.objects?.length > 0")
        self.page.wait_for_selector(SHOWN, state="attached")
        self.page.wait_for_function(LOADED)
        # Label Studio asks the backend for its health before it offers the switch; what is clicked earlier is lost.
        self.page.get_by_test_id("bottombar-auto-annotation-toggle").wait_for(state="attached")
        self.page.evaluate(KEEP_LABEL, keep_label)

    def label(self, name: str, nth: int = 0) -> None:
        """Chooses a label; one that several tags have stands several times, in the config's order."""
        self.page.locator(".lsf-label", has_text=re.compile(rf"^{name}")).nth(nth).click()

    def smart_tool(self, name: str) -> None:
        """Chooses a smart tool by its accessible name; several share one button with a menu."""
        group = self.page.locator(".lsf-toolbar .lsf-tool_smart").first
        group.hover()
        inner = group.locator(f"[aria-label='{name}']")
        (inner if inner.count() else group).first.click()
        self.page.mouse.move(300, 80)
        self.page.wait_for_function(SMART_CHOSEN)

    def click(self, place: Place, *, alt: bool = False) -> list[dict[str, Any]]:
        """A click with the smart tool; returns the regions that Label Studio got for it, once they are shown."""
        with self._answer() as got, self._held("Alt", alt):
            self.press(place)
        return got

    def ask(self, words: str) -> list[dict[str, Any]]:
        """Adds words to the text field; returns the regions that Label Studio got for them, once they are shown."""
        field = self.page.get_by_test_id("textarea-control")
        field.get_by_role("textbox").fill(words)
        with self._answer() as got:
            field.get_by_role("button", name="Add").click()
        return got

    def delete_words(self) -> None:
        """Empties the text field, which asks for nothing."""
        self.page.get_by_test_id("htx-textbox-delete-button").first.click()
        self.page.get_by_test_id("htx-textbox-delete-button").wait_for(state="detached")

    def click_in_vain(self, place: Place) -> list[str]:
        """A click with the smart tool that is answered with errors: what Label Studio says of them. It shows none."""
        with self.page.expect_response(_is_answer) as expected:
            self.press(place)
        return list(expected.value.json()["errors"])

    def press(self, place: Place) -> None:
        """As `click`, where no answer is due."""
        x, y = self._on_page(place)
        self.page.mouse.move(x, y)
        self.page.mouse.down()
        self.page.mouse.up()

    def next_picture(self) -> None:
        """Of a task with several."""
        before = self.page.locator(PICTURE).first.get_attribute("src")
        self.page.locator(
            ".lsf-pagination__btn_arrow-right:not(.lsf-pagination__btn_arrow-right-double)"
        ).click()
        self.page.wait_for_function(REPLACED, arg=before)
        self.page.wait_for_function(LOADED)

    def drag(self, *places: Place) -> list[dict[str, Any]]:
        """Draws from place to place and returns the regions that Label Studio got for it, once they are shown."""
        with self._answer() as got:
            self.draw(*places)
        return got

    def click_through(self, *places: Place) -> list[dict[str, Any]]:
        """Clicks place after place, as the 3-point box is drawn."""
        with self._answer() as got:
            for place in places:
                self.page.mouse.move(*self._on_page(place), steps=4)
                self.page.mouse.down()
                self.page.mouse.up()
        return got

    def draw(self, *places: Place) -> None:
        """As `drag`, where no answer is due."""
        first, *others = places
        self.page.mouse.move(*self._on_page(first))
        self.page.mouse.down()
        for place in others:
            self.page.mouse.move(*self._on_page(place), steps=8)
        self.page.mouse.up()

    def accept(self) -> None:
        """The tick in the bottom bar: all suggestions become regions."""
        self.page.get_by_test_id("bottombar-accept-suggestions-button").click()
        self.page.wait_for_function(SETTLED)

    def submit(self) -> None:
        """Submits, and waits until Label Studio has stored the annotation."""
        with self.page.expect_response(_is_stored):
            self.page.get_by_test_id("bottombar-submit-button").click()

    def start_training(self, project: int, screenshots: Path) -> None:
        """Settings, Model, the backend's menu, Start Training; waits until Label Studio has passed it on."""
        self.page.goto(f"{self.label_studio.url}/projects/{project}/settings/ml")
        self.page.get_by_label("Machine learning model options").click()
        self.page.get_by_text("Start Training", exact=True).click()
        self.page.get_by_role("button", name="Start Training").click()
        self.page.get_by_text("Request Sent!").wait_for()
        self.screenshot(screenshots / "start_training.png")

    def regions(self) -> list[dict[str, Any]]:
        return list(self.page.evaluate(REGIONS))

    def suggested_labels(self) -> list[list[str]]:
        """The labels of each suggestion, which give it its colour."""
        return list(self.page.evaluate(SUGGESTED_LABELS))

    def picture(self) -> NDArray[np.uint8]:
        """What an annotator sees of the image and what is drawn on it, once it has come to rest: (H, W, 3) RGB."""
        last, now = None, self._picture_now()
        while last is None or not np.array_equal(last, now):
            last, now = now, self._picture_now()
        return now

    def screenshot(self, path: Path) -> None:
        self.page.screenshot(path=path)

    def _picture_now(self) -> NDArray[np.uint8]:
        x, y, width, height = self._picture_box()
        png = self.page.screenshot(clip={"x": x, "y": y, "width": width, "height": height})
        return np.array(Image.open(io.BytesIO(png)).convert("RGB"))

    @contextmanager
    def _answer(self) -> Iterator[list[dict[str, Any]]]:
        got: list[dict[str, Any]] = []
        with self.page.expect_response(
            lambda response: "/interactive-annotating" in response.url
        ) as expected:
            yield got
        answer = expected.value.json()
        assert "errors" not in answer, answer
        got += answer["data"]["result"]
        self.answered_by = answer["data"]["model_version"]
        if got:
            self.page.wait_for_function(SUGGESTED, arg=got[0]["id"])

    @contextmanager
    def _held(self, key: str, wanted: bool) -> Iterator[None]:
        if wanted:
            self.page.keyboard.down(key)
        yield
        if wanted:
            self.page.keyboard.up(key)

    def _on_page(self, place: Place) -> Place:
        x, y, width, height = self._picture_box()
        natural_width, natural_height = self.page.evaluate(NATURAL_SIZE)
        return x + place[0] * width / natural_width, y + place[1] * height / natural_height

    def _picture_box(self) -> tuple[float, float, float, float]:
        """Left, top, width and height of the picture or video on the page; a video lies in its canvas's middle."""
        if self.page.locator(PICTURE).count():
            box = self.page.locator(PICTURE).first.bounding_box()
            assert box is not None
            return box["x"], box["y"], box["width"], box["height"]
        box = self.page.locator(".konvajs-content").first.bounding_box()
        assert box is not None
        scale = self.page.evaluate(VIDEO_SCALE)
        width, height = (side * scale for side in self.page.evaluate(NATURAL_SIZE))
        return box["x"] + (box["width"] - width) / 2, box["y"] + (box["height"] - height) / 2, width, height


@contextmanager
def logged_in(browser: Browser, label_studio: LabelStudio) -> Iterator[Editor]:
    """A tab of its own, with nothing remembered from another one but the login."""
    context = browser.new_context(viewport={"width": 1500, "height": 1000}, locale="en-US")
    context.set_default_timeout(PATIENCE_MS)
    with label_studio.session() as http:
        cookies = [
            {"name": c.name, "value": c.value or "", "url": label_studio.url} for c in http.cookies.jar
        ]
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(label_studio.url + "/version")
    yield Editor(page, label_studio)
    context.close()


def _is_answer(response: Response) -> bool:
    return "/interactive-annotating" in response.url


def _is_stored(response: Response) -> bool:
    return response.request.method in {"POST", "PATCH"} and "/annotations" in response.url
