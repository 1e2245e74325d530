"""What words, batches and everything mode share with clicks: the windows that they look at."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.image import zoom
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.types import Area, Box, Picture, Pixels, Prompt, Size, View

from demo_model.scenes import draw_scene
from tests.fakes.networks import demo_model

SIZE = Size(900, 1200)
LITTLE = Grid(points_per_side=4, zoom_layer=2, pred_iou_thresh=0.99)


@pytest.fixture
def segmenter() -> Iterator[Segmenter]:
    segmenter = Segmenter(demo_model(), EmbeddingCache(1 << 28), Lane())
    yield segmenter
    segmenter.close()


@dataclass
class Drawn:
    """A picture that knows which of its parts were decoded."""

    pixels: Pixels = field(default_factory=lambda: draw_scene(3, width=SIZE.width, height=SIZE.height).image)
    parts: list[Area | None] = field(default_factory=list)

    @property
    def picture(self) -> Picture:
        return Picture("drawn", lambda: self.pixels, view=self.view)

    def view(self, area: Area | None) -> View:
        self.parts.append(area)
        return Picture("drawn", lambda: self.pixels).viewed(area)


def test_everything_mode_decodes_what_clicks_have_left_and_leaves_nothing_itself(
    segmenter: Segmenter,
) -> None:
    drawn = Drawn()
    embedded = segmenter.embed(drawn.picture)
    one, *others = zoom.tiles(2, SIZE)
    x, y = zoom.middle(Box(*one.area))[:2]
    prompt = Prompt(box=Box(x - 30, y - 30, x + 30, y + 30))
    list(Looking(segmenter, demo_model(), drawn.picture, embedded).segment([prompt]))
    assert drawn.parts == [None, one.area]
    for _ in range(2):
        drawn.parts.clear()
        segmenter.everything(demo_model(), drawn.picture, embedded, grid=LITTLE)
        assert drawn.parts == [other.area for other in others]


def test_who_is_told_to_stop_encodes_no_further_window(segmenter: Segmenter) -> None:
    drawn = Drawn()

    def stop() -> None:
        raise KeyboardInterrupt

    looking = Looking(
        segmenter, demo_model(), drawn.picture, segmenter.embed(drawn.picture), before_each_turn=stop
    )
    with pytest.raises(KeyboardInterrupt):
        list(looking.segment([Prompt(box=Box(10, 10, 60, 60))]))
    assert drawn.parts == [None]


def test_many_small_boxes_that_are_expected_encode_few_windows(segmenter: Segmenter) -> None:
    drawn = Drawn()
    boxes = [Box(x, y, x + 20, y + 20) for x in range(20, 1200, 110) for y in range(20, 900, 110)]
    prompts = [Prompt(box=box) for box in boxes]
    looking = Looking(segmenter, demo_model(), drawn.picture, segmenter.embed(drawn.picture))
    masks = [one for few in (prompts[:40], prompts[40:]) for one in looking.expecting(prompts).segment(few)]
    assert len(masks) == len(prompts)
    assert {mask.bitmap.shape for (mask,) in masks} == {SIZE}
    assert 4 < len(drawn.parts) - 1 <= zoom.MOST_WINDOWS


def test_a_picture_of_which_only_a_smaller_version_is_decoded_is_answered_in_its_own_size(
    segmenter: Segmenter,
) -> None:
    scene = draw_scene(3, width=SIZE.width, height=SIZE.height)
    small = Picture("small", lambda: scene.image[::4, ::4], view=lambda _: View(scene.image[::4, ::4], SIZE))
    embedded = segmenter.embed(small)
    assert embedded.size == SIZE
    ((mask,),) = Looking(segmenter, demo_model(), small, embedded, "false").segment(
        [Prompt(box=Box(*map(float, (100, 100, 500, 500))))]
    )
    assert mask.bitmap.shape == SIZE
