from __future__ import annotations

import cv2
import numpy as np
from label_studio_sam2.learning.near_duplicates import joined, thumbnail
from label_studio_sam2.types import Pixels

from demo_model.scenes import draw_scene
from tests.fakes.ring_project import ring_picture


def again(pixels: Pixels) -> Pixels:
    """The picture as a camera's next shot and a stronger compression have it: moved a little, brighter."""
    height, width = pixels.shape[:2]
    moved = cv2.warpAffine(pixels, np.float32([[1, 0, 1], [0, 1, 0.5]]), (width, height), borderMode=1)
    jpeg = cv2.imencode(".jpg", np.clip(moved.astype(int) + 12, 0, 255).astype(np.uint8), [1, 60])[1]
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR), np.uint8)


def test_the_same_again_is_joined_with_the_first_and_what_is_of_a_kind_is_not() -> None:
    pictures = [ring_picture(seed).pixels for seed in range(12)]
    pictures += [draw_scene(seed, width=320, height=240).image for seed in range(12)]
    numbered = dict(enumerate(pictures, start=1)) | {90: again(pictures[0]), 91: again(pictures[20])}
    found = joined([(task, thumbnail(pixels)) for task, pixels in numbered.items()])
    assert found == {task: task for task in range(1, 25)} | {90: 1, 91: 21}


def test_what_is_like_one_that_is_like_another_is_of_one_group() -> None:
    steps = [(task, np.full((16, 16, 3), 0.5 * task, np.float32)) for task in (5, 3, 4, 9)]
    assert joined(steps) == {5: 3, 3: 3, 4: 3, 9: 9}


def test_pictures_of_one_task_are_one_group_and_none_is_no_group() -> None:
    task = [(7, np.zeros((16, 16, 3), np.float32)), (7, np.full((16, 16, 3), 9.0, np.float32))]
    assert joined(task) == {7: 7}
    assert joined([]) == {}
