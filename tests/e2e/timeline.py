"""The real editor's video side: boxes on a timeline, of which a click on a label asks for the track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Response

from tests.e2e.editor import NATURAL_SIZE, Editor, Place

Box = tuple[float, float, float, float]
"""Left, top, width and height in percent of the frame."""

Corners = tuple[Place, Place]
"""Top left and bottom right, in pixels of the frame."""

DRAWN = "() => Htx.annotationStore.selected.regions.length > 0"
SELECTED = "() => Htx.annotationStore.selected.regions[0].selected"
LABELS = "() => Htx.annotationStore.selected.regions[0].labels"
TRACKED = """([frames, x]) => { const sequence = Htx.annotationStore.selected.regions[0].sequence;
    return sequence.length === frames && Math.abs(sequence.at(-1).x - x) < 1e-6 }"""
SHAPE = """(frame) => { const shape = Htx.annotationStore.selected.regions[0].getShape(frame);
    return shape && [shape.x, shape.y, shape.width, shape.height] }"""
FRAME = "() => Htx.annotationStore.selected.objects[0].frame"
AT_FRAME = "(frame) => Htx.annotationStore.selected.objects[0].frame === frame"
RESHAPED = f"([frame, before]) => ({SHAPE})(frame).some((side, at) => side !== before[at])"


@dataclass(frozen=True)
class Timeline:
    """One object of a video that is open in the editor. Frames count from 1, as the editor shows them."""

    editor: Editor

    def draw(self, top_left: Place, bottom_right: Place) -> None:
        """Draws the object's box on the frame that is shown, and selects it."""
        self.editor.draw(top_left, bottom_right)
        self.editor.page.wait_for_function(DRAWN)
        self.editor.press(_middle(top_left, bottom_right))
        self.editor.page.wait_for_function(SELECTED)

    def track(self, label: str) -> dict[str, Any]:
        """Gives the object its label, which asks for its track: the region of the answer, once the editor has it."""
        with self.editor.page.expect_response(lambda response: _asks_for(response, label)) as expected:
            self.editor.label(label)
        answer = expected.value.json()
        assert "errors" not in answer, answer
        (region,) = answer["data"]["result"]
        sequence = region["value"]["sequence"]
        self.editor.page.wait_for_function(TRACKED, arg=[len(sequence), sequence[-1]["x"]])
        return dict(region)

    def track_again(self, label: str) -> dict[str, Any]:
        """Clicks the selected object's label off and on again, as an annotator asks for the track anew."""
        self.editor.label(label)
        self.editor.page.wait_for_function(f"{LABELS}.length === 0")
        return self.track(label)

    def labels(self) -> list[str]:
        """The object's, as the editor shows them."""
        return list(self.editor.page.evaluate(LABELS))

    def scrub(self, frame: int) -> None:
        """Drags the timeline's indicator, which is a frame wide, to the frame."""
        page = self.editor.page
        indicator = page.locator(".lsf-timeline-frames__indicator").bounding_box()
        assert indicator is not None
        x, y = indicator["x"] + indicator["width"] / 2, indicator["y"] + indicator["height"] / 4
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + (frame - page.evaluate(FRAME)) * indicator["width"], y, steps=6)
        page.mouse.up()
        page.wait_for_function(AT_FRAME, arg=frame)

    def shape(self, frame: int) -> Box | None:
        """The box that the editor draws on a frame."""
        found = self.editor.page.evaluate(SHAPE, frame)
        return tuple(found) if found else None

    def correct(self, frame: int, wanted: Corners) -> None:
        """Makes the selected object's box on a frame as large as another, by its handle, and drags it there."""
        self.scrub(frame)
        (x, y), handle = self._corners(frame)
        (left, top), (right, bottom) = wanted
        resized = x + right - left, y + bottom - top
        self._reshape(frame, handle, resized)
        self._reshape(frame, _middle((x, y), resized), _middle(*wanted))

    def _corners(self, frame: int) -> Corners:
        """Of the box that the editor draws on a frame."""
        width, height = self.editor.page.evaluate(NATURAL_SIZE)
        x, y, across, down = self.editor.page.evaluate(SHAPE, frame)
        return (x * width / 100, y * height / 100), ((x + across) * width / 100, (y + down) * height / 100)

    def _reshape(self, frame: int, begin: Place, end: Place) -> None:
        """A drag that changes the box."""
        was = self.editor.page.evaluate(SHAPE, frame)
        self.editor.draw(begin, end)
        self.editor.page.wait_for_function(RESHAPED, arg=[frame, was])


def _middle(one: Place, other: Place) -> Place:
    return (one[0] + other[0]) / 2, (one[1] + other[1]) / 2


def _asks_for(response: Response, label: str) -> bool:
    return "/interactive-annotating" in response.url and f'"labels":["{label}"]' in (
        response.request.post_data or ""
    )
