from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.engine.image import zoom
from label_studio_sam2.types import Box, PackedMask, Point, Prompt, Size

SIDES = st.integers(300, 9000)


@st.composite
def small_boxes(draw: st.DrawFn) -> tuple[Size, Box]:
    size = Size(draw(SIDES), draw(SIDES))
    extent = max(size) / draw(st.floats(14, 400))
    x, y = draw(st.floats(0, size.width - 1)), draw(st.floats(0, size.height - 1))
    return size, Box(x, y, min(size.width, x + extent), min(size.height, y + extent))


@given(small_boxes(), st.sampled_from([256, 512, 1024]))
def test_a_window_lies_in_the_picture_and_holds_its_object_with_room(
    case: tuple[Size, Box], side: int
) -> None:
    size, box = case
    window = zoom.window_around(box, size, side, "auto")
    if window is None:
        assert max(size) / 4 < zoom.LEAST_SIDE * side or zoom.deepest(size, side, "true") < 2
        return
    assert 0 <= window.x0 < window.x1 <= size.width
    assert 0 <= window.y0 < window.y1 <= size.height
    assert zoom.holds(window, Prompt(box=box))
    assert max(window.size) >= zoom.LEAST_SIDE * side - 1
    assert max(window.size) <= max(size) / 4 + 1


@given(small_boxes())
def test_neighbours_share_their_window(case: tuple[Size, Box]) -> None:
    size, box = case
    window = zoom.window_around(box, size, 256, "auto")
    if window is not None and window.x0 and window.y0 and window.x1 < size.width and window.y1 < size.height:
        middle = Point((window.x0 + window.x1) / 2, (window.y0 + window.y1) / 2)
        nudge = max(window.size) / 10
        assert zoom.window_at(Point(middle.x + nudge, middle.y - nudge), window.layer, size) == window


@given(st.integers(300, 9000), st.integers(300, 9000), st.integers(1, 3))
def test_windows_side_by_side_cover_the_picture(height: int, width: int, layer: int) -> None:
    size = Size(height, width)
    covered = np.zeros((-(-height // 10), -(-width // 10)), np.bool_)
    for window in zoom.tiles(layer, size):
        covered[window.y0 // 10 : -(-window.y1 // 10), window.x0 // 10 : -(-window.x1 // 10)] = True
        assert max(window.size) <= -(-max(size) // 2**layer)
    assert covered.all()


def test_many_objects_share_windows_so_that_a_few_hold_them() -> None:
    size = Size(3000, 4000)
    boxes = [Box(x, y, x + 25, y + 25) for x in range(40, 4000, 300) for y in range(40, 3000, 300)]
    alone = [zoom.window_around(box, size, 256, "auto") for box in boxes]
    shared = zoom.windows_around(boxes, size, 256, "auto")
    few = {*shared} - {None}
    assert len({*alone}) > 80
    assert 8 < len(few) <= zoom.MOST_WINDOWS
    assert sum(window is not None for window in shared) > len(boxes) / 2
    assert all(
        zoom.holds(window, Prompt(box=box)) for box, window in zip(boxes, shared, strict=True) if window
    )
    assert zoom.windows_around(boxes[:9], size, 256, "auto") == alone[:9]


def test_what_is_large_or_not_to_be_looked_at_again_has_no_window() -> None:
    size = Size(3000, 4000)
    assert zoom.window_around(Box(0, 0, 700, 500), size, 1024, "auto") is None
    assert zoom.window_around(Box(0, 0, 40, 40), size, 1024, "false") is None
    assert zoom.window_around(Box(0, 0, 600, 500), size, 1024, "true") is not None
    assert zoom.window_around(Box(0, 0, 10, 10), Size(480, 640), 1024, "auto") is None
    assert zoom.deepest(Size(1080, 1920), 1024, "auto") == 0
    assert zoom.deepest(Size(1080, 1920), 1024, "true") == 2
    assert zoom.deepest(size, 1024, "false") == 0


def test_prompts_go_into_a_window_and_masks_come_out_of_it_at_their_place() -> None:
    size = Size(300, 400)
    window = zoom.window_at(Point(350, 40), 2, size)
    drawn = np.zeros(size, np.bool_)
    drawn[20:40, 330:360] = True
    prompt = Prompt(
        (Point(340, 30), Point(10, 290, positive=False)), Box(330, 20, 360, 40), PackedMask.of(drawn)
    )
    there = zoom.inside(prompt, window)
    assert there.points == (Point(340 - window.x0, 30 - window.y0),)
    assert there.box == Box(330 - window.x0, 20 - window.y0, 360 - window.x0, 40 - window.y0)
    assert there.mask is not None
    np.testing.assert_array_equal(zoom.pasted(there.mask.bitmap(), window, size), drawn)
