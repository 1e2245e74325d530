"""The real editor's video side: boxes on a timeline, of which a click on a label asks for the track."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Response

from tests.e2e.editor import Editor, Place

Box = tuple[float, float, float, float]
"""Left, top, width and height in percent of the frame."""

DRAWN = "() => Htx.annotationStore.selected.regions.length > 0"
SELECT = """() => { const annotation = Htx.annotationStore.selected;
    annotation.selectArea(annotation.regions[0]) }"""
SELECTED = "() => Htx.annotationStore.selected.regions[0].selected"
UNLABELLED = "() => Htx.annotationStore.selected.regions[0].labels.length === 0"
TRACKED = """([frames, x]) => { const sequence = Htx.annotationStore.selected.regions[0].sequence;
    return sequence.length === frames && Math.abs(sequence.at(-1).x - x) < 1e-6 }"""
SHAPE = """(frame) => { const shape = Htx.annotationStore.selected.regions[0].getShape(frame);
    return shape && [shape.x, shape.y, shape.width, shape.height] }"""
SEEK = "(frame) => Htx.annotationStore.selected.objects[0].setFrame(frame)"
AT_FRAME = "(frame) => Htx.annotationStore.selected.objects[0].frame === frame"
CORRECT = """([frame, box]) => { const [x, y, width, height] = box;
    Htx.annotationStore.selected.regions[0].updateShape({ x, y, width, height, rotation: 0 }, frame) }"""
"""What the editor's own handles call when a box is dragged or resized."""


@dataclass(frozen=True)
class Timeline:
    """One object of a video that is open in the editor. Frames count from 1, as the editor shows them."""

    editor: Editor

    def draw(self, top_left: Place, bottom_right: Place) -> None:
        """Draws the object's box on the frame that is shown, and selects it."""
        self.editor.draw(top_left, bottom_right)
        self.editor.page.wait_for_function(DRAWN)
        self.editor.page.evaluate(SELECT)
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
        """Takes the label away and gives it again, as an annotator asks for the track anew."""
        self.editor.page.evaluate(SELECT)
        self.editor.label(label)
        self.editor.page.wait_for_function(UNLABELLED)
        return self.track(label)

    def seek(self, frame: int) -> None:
        self.editor.page.evaluate(SEEK, frame)
        self.editor.page.wait_for_function(AT_FRAME, arg=frame)

    def shape(self, frame: int) -> Box | None:
        """The box that the editor draws on a frame."""
        found = self.editor.page.evaluate(SHAPE, frame)
        return tuple(found) if found else None

    def correct(self, frame: int, box: Box) -> None:
        """Moves the box on a frame."""
        self.seek(frame)
        self.editor.page.evaluate(CORRECT, [frame, list(box)])


def _asks_for(response: Response, label: str) -> bool:
    return "/interactive-annotating" in response.url and f'"labels":["{label}"]' in (
        response.request.post_data or ""
    )
