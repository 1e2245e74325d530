"""Masks for prompts on a picture, with a second look at a window of it where what is asked for is small.

A box says itself how large its object is. For clicks the first mask does: what was decoded for the first click is
remembered, so all clicks on one object are answered from the same window, and the second costs what it costs without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import NamedTuple

from label_studio_sam2.engine.cache.embedded import Embedded
from label_studio_sam2.engine.image import certainty, zoom
from label_studio_sam2.engine.image.decoding import Decoded
from label_studio_sam2.engine.image.zoom import Window
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.turn import CLICK, Priority, Turn
from label_studio_sam2.types import Box, Mask, Picture, Point, Prompt, Zoom

TRUSTED = 0.6
"""Predicted IoU times stability below which a click's first mask says nothing of its object's size."""

BLIND_LAYERS = 2
"""That are skipped then."""

FILLED = 0.8
"""Of a window's side: a mask that takes more isn't seen whole there."""

MOST_LOOKS = 3


class Look(NamedTuple):
    """What a prompt was answered with in a window."""

    window: Window
    decoded: Decoded

    @property
    def trust(self) -> float:
        return float(self.decoded.scores[0]) * certainty.stability(self.decoded.logits[0])

    @property
    def box(self) -> Box | None:
        return zoom.found_box(self.decoded.logits[0], self.window)

    @property
    def whole(self) -> bool:
        """Whether it shows an object, and all of it."""
        box = self.box
        width, height = self.window.size.width, self.window.size.height
        return box is not None and max((box.x1 - box.x0) / width, (box.y1 - box.y0) / height) <= FILLED


@dataclass(frozen=True)
class Looking:
    """At one picture, whose embedding is there, for one model; `zoom` says whether more than once. `before_each_turn`
    may raise to break off before a window is encoded; `shared` are the windows of boxes that were expected."""

    segmenter: Segmenter
    model: Model
    picture: Picture
    embedded: Embedded
    zoom: Zoom = "auto"
    turn: Turn = CLICK
    before_each_turn: Callable[[], None] = lambda: None
    shared: Mapping[Box, Window | None] = field(default_factory=dict)

    def expecting(self, prompts: Sequence[Prompt]) -> Looking:
        """For all of these, a few at a time: their boxes share windows where they would need too many."""
        boxes = [zoom.box_of(prompt) for prompt in prompts if prompt.box is not None]
        windows = zoom.windows_around(boxes, self.embedded.size, self.model.image_size, self.zoom)
        return replace(self, shared=dict(zip(boxes, windows, strict=True)))

    def segment(self, prompts: Sequence[Prompt], candidates: int = 1) -> Iterator[list[Mask]]:
        """As `Segmenter.segment` does it, one prompt's masks after the other: those of large pictures are large."""
        if self._deepest:
            looks = map(self._look, prompts)
        else:
            decoded = self.segmenter.decode(self.model, self.embedded, prompts, turn=self.turn)
            looks = map(partial(Look, self._all), decoded)
        for look in looks:
            yield self._masks(look, candidates)

    def _masks(self, look: Look, candidates: int) -> list[Mask]:
        masks = self.segmenter.masks(look.decoded, look.window.size, candidates)
        if not look.window.layer:
            return masks
        size = self.embedded.size
        return [replace(mask, bitmap=zoom.pasted(mask.bitmap, look.window, size)) for mask in masks]

    def _look(self, prompt: Prompt) -> Look:
        if prompt.box is not None:
            return self._if_seen(self._window(zoom.box_of(prompt)), prompt) or self._in(self._all, prompt)
        first = next((point for point in prompt.points if point.positive), None)
        if first is None:
            return self._in(self._all, prompt)
        look = self._nearer(first)
        if prompt.ambiguous:
            return look
        if look.window.layer and zoom.holds(look.window, prompt):
            return self._in(look.window, prompt)
        look = self._in(self._all, prompt)
        window = look.box and self._window(zoom.box_of(prompt, also=look.box))
        return self._if_seen(window, prompt) or look

    def _if_seen(self, window: Window | None, prompt: Prompt) -> Look | None:
        look = self._in(window, prompt) if window else None
        return look if look and look.whole else None

    def _nearer(self, click: Point) -> Look:
        """The last look that paid at what one click means."""
        prompt = Prompt((click,))
        look = self._in(self._all, prompt)
        for _ in range(MOST_LOOKS):
            trusted = look.trust >= TRUSTED
            window = look.box and self._window(zoom.box_of(prompt, also=look.box))
            known = window is not None and window.layer > look.window.layer
            if not known and not trusted:
                layer = min(look.window.layer + BLIND_LAYERS, self._deepest)
                window = zoom.window_at(click, layer, self.embedded.size)
            if not window or window.layer <= look.window.layer:
                break
            nearer = self._in(window, prompt)
            if not nearer.whole or (not known and nearer.trust <= look.trust):
                break
            look = nearer
        return look

    def _in(self, window: Window, prompt: Prompt) -> Look:
        if not window.layer:
            return Look(window, self._decoded(self.embedded, prompt))
        self.before_each_turn()
        part = self.picture.part(window.area)
        priority = (
            Priority.CLICK_ENCODE if self.turn.priority == Priority.CLICK_DECODE else self.turn.priority
        )
        return Look(window, self._decoded(self.segmenter.embed(part, priority), zoom.inside(prompt, window)))

    def _decoded(self, embedded: Embedded, prompt: Prompt) -> Decoded:
        (decoded,) = self.segmenter.decode(self.model, embedded, [prompt], turn=self.turn)
        return decoded

    def _window(self, box: Box) -> Window | None:
        if box in self.shared:
            return self.shared[box]
        return zoom.window_around(box, self.embedded.size, self.model.image_size, self.zoom)

    @property
    def _all(self) -> Window:
        return Window(0, 0, 0, self.embedded.size.width, self.embedded.size.height)

    @property
    def _deepest(self) -> int:
        return zoom.deepest(self.embedded.size, self.model.image_size, self.zoom)
