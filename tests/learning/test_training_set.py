from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.background.jobs import Job
from label_studio_sam2.context import Context
from label_studio_sam2.errors import NotReady
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.learning.training_set import collect, side_of
from pydantic import SecretStr

from tests.fakes import asking_video as video
from tests.fakes.clips import number_of, write_clip
from tests.fakes.eventually import eventually
from tests.fakes.fit_server import FitServer
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings


def test_of_eight_tasks_in_a_row_two_are_held_out_and_one_checks() -> None:
    for first in range(0, 800, 8):
        sides = Counter(side_of(task) for task in range(first, first + 8))
        assert sides == {"held out": 2, "checking": 1, "training": 5}


def test_a_tasks_side_is_the_same_in_every_release() -> None:
    """A version's held-out figures say nothing of tasks that an earlier one was trained on."""
    held_out = [2, 6, 12, 14, 17, 18, 25, 29, 34, 39]
    assert [task for task in range(1, 41) if side_of(task) == "held out"] == held_out
    assert [task for task in range(1, 41) if side_of(task) == "checking"] == [4, 9, 23, 28, 38]


@pytest.fixture(scope="module")
def site() -> Iterator[FitServer]:
    with serving(FitServer()) as site:
        yield site


@pytest.fixture(scope="module")
def context(site: FitServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    context = Context(
        settings(
            model_cache=tmp_path_factory.mktemp("models"),
            label_studio_url=site.url,
            label_studio_api_key=SecretStr(LEGACY),
            media_allowed_hosts=frozenset({"127.0.0.1"}),
        )
    )
    context.open()
    try:
        eventually(lambda: is_open(context), seconds=60)
        yield context
    finally:
        context.close()


def is_open(context: Context) -> bool:
    try:
        context.segmenter()
    except NotReady:
        return False
    return True


FRAMES = (1, 8, 31, 57)
"""Keyframes of a clip of 30 frames a second."""


def tracked(number: int) -> dict[str, Any]:
    mask = np.zeros((64, 96), np.bool_)
    mask[16:48, 24:72] = True
    box = {"x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0}
    rle = {"size": [64, 96], "counts": coco_rle.encode(mask)}
    return {"frame": number, "enabled": True, "auto": True, "rle": rle, **box}


@pytest.mark.parametrize(
    ("framerate", "counted"),
    [
        ("$fps", {"framesCount": 60, "duration": 2.0}),
        ("$fps", {}),
        ("$clip.fps", {}),
        ("0.0333333333", {}),
        ("24", {"framesCount": 60, "duration": 2.0}),  # changed since the annotation
        ("", {"framesCount": 60, "duration": 2.0}),
    ],
)
def test_an_accepted_mask_is_paired_with_the_frame_that_the_annotator_saw(
    site: FitServer, context: Context, tmp_path: Path, framerate: str, counted: dict[str, Any]
) -> None:
    """Whose number can be read in its picture."""
    config = video.CONFIG.replace('framerate="12"', f'framerate="{framerate}"')
    project = site.make(config)
    clip = write_clip(tmp_path / "clip.mp4", rate=30, options={"bf": "2"})
    value = {**counted, "sequence": [tracked(number) for number in FRAMES]}
    region = video.region("a") | {"value": value}
    task = site.add(project, "video", clip.read_bytes(), {"result": [region]})
    task["data"] |= {"fps": 30, "clip": {"fps": "30"}}
    found = collect(project, context, Job("fit", project, turn=project), monotonic() + 60)
    examples = [example for side in found.examples.values() for example in side]
    assert [number_of(example.picture.load()) for example in examples] == [number - 1 for number in FRAMES]
    assert found.unusable == 0
