from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.background.jobs import Job
from label_studio_sam2.context import Context
from label_studio_sam2.errors import NotReady
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.learning import elsewhere
from label_studio_sam2.learning.accepted_masks import collect
from label_studio_sam2.learning.training_set import TrainingSet, side_of
from label_studio_sam2.types import Bitmap
from pydantic import SecretStr

from demo_model.scenes import draw_scene
from tests.fakes import asking_video as video
from tests.fakes.clips import number_of, write_clip
from tests.fakes.eventually import eventually
from tests.fakes.fit_server import FitServer, brush, png
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings


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


def job(project: int) -> Job:
    return Job("fit", project, turn=project)


def read(project: int, context: Context) -> TrainingSet:
    return collect(project, context, job(project), monotonic() + 60)


def scene(seed: int) -> tuple[bytes, Sequence[Bitmap]]:
    drawn = draw_scene(seed, width=160, height=120)
    return png(drawn.image), list(drawn.masks)


def begun_from(prediction: int, *regions: dict[str, Any]) -> dict[str, Any]:
    return {"result": list(regions), "parent_prediction": prediction}


def test_what_was_corrected_counts_twice_and_what_was_thrown_away_is_a_negative(
    site: FitServer, context: Context
) -> None:
    project = site.make()
    picture, (one, other, *_) = scene(11)
    changed = brush(one, "new") | {"origin": "prediction-changed"}
    task = site.add(project, "image", picture, begun_from(4, changed))
    task["predictions"] = [{"id": 4, "result": [brush(one, "a"), brush(other, "b")]}]
    ((kept, thrown),) = [(shown.accepted, shown.rejected) for shown in read(project, context).shown]
    assert [example.weight for example in kept] == [2.0]
    assert [iou(example.mask.bitmap(), kept[0].mask.bitmap()) < 0.1 for example in thrown] == [True]


@pytest.mark.parametrize("annotation", [{"parent_prediction": None}, {"parent_prediction": 5}, {}])
def test_suggestions_that_no_annotation_began_from_were_not_rejected(
    site: FitServer, context: Context, annotation: dict[str, Any]
) -> None:
    project = site.make()
    picture, (one, other, *_) = scene(12)
    task = site.add(project, "image", picture, {"result": [brush(one, "a")]} | annotation)
    task["predictions"] = [{"id": 4, "result": [brush(other, "b")]}]
    (shown,) = read(project, context).shown
    assert ([example.weight for example in shown.accepted], shown.rejected) == ([1.0], [])


def test_a_task_of_which_all_was_thrown_away_teaches_too_but_is_no_accepted_one(
    site: FitServer, context: Context
) -> None:
    project = site.make()
    while True:  # until it lies on training's side
        picture, masks = scene(13)
        task = site.add(project, "image", picture, begun_from(4))
        task["predictions"] = [{"id": 4, "result": [brush(mask, str(n)) for n, mask in enumerate(masks)]}]
        if side_of(task["id"]) == "training":
            break
        site.projects[project - 1].tasks.remove(task)
    found = read(project, context)
    assert (found.masks, len(found.rejected), found.counts()["tasks"]) == (0, len(masks), 0)


def test_a_masks_label_is_found_wherever_the_region_has_it(site: FitServer, context: Context) -> None:
    project = site.make()
    picture, (one, other, *_) = scene(14)
    bare = brush(other, "b")
    bare["type"] = "brush"
    del bare["value"]["brushlabels"]
    label = {"id": "b", "type": "labels", "from_name": "l", "to_name": "image", "value": {"labels": ["Leaf"]}}
    site.add(project, "image", picture, {"result": [brush(one, "a"), bare, label]})
    (shown,) = read(project, context).shown
    assert [example.label for example in shown.accepted] == ["Car", "Leaf"]


def test_the_same_picture_in_many_tasks_is_one_group_on_one_side(site: FitServer, context: Context) -> None:
    project = site.make()
    picture, masks = scene(15)
    for _ in range(9):
        site.add(project, "image", picture, {"result": [brush(masks[0], "a")]})
    found = read(project, context)
    assert sorted(map(len, found.examples.values())) == [0, 0, 9]
    assert (found.counts()["tasks"], found.counts()["groups"]) == (9, 1)
    assert {example.group for side in found.examples.values() for example in side} == {str(min(found.tasks))}


def test_what_must_stay_as_it_is_lies_apart_from_what_was_accepted(site: FitServer, context: Context) -> None:
    project = site.make()
    picture, (accepted, *others) = scene(16)
    task = site.add(project, "image", picture, {"result": [brush(accepted, "a")]})
    found = read(project, context)
    elsewhere.search(found, (), context, job(project), monotonic() + 60)
    side = found.elsewhere[side_of(task["id"])]
    assert side
    (kept,) = found.shown[0].accepted
    for example in side:
        assert (example.mask.bitmap() & kept.mask.bitmap()).sum() <= 0.1 * example.mask.bitmap().sum()
    assert sum(map(len, found.elsewhere.values())) == len(side) <= len(others) + 1


def test_pictures_of_other_projects_are_looked_at_as_far_as_they_are_this_services(
    site: FitServer, context: Context
) -> None:
    project, ours, foreign = (site.make() for _ in range(3))
    for number, seed in ((ours, 17), (ours, 18), (foreign, 19)):
        site.add(number, "image", scene(seed)[0])
    pictures = elsewhere.other_pictures(project, context, lambda other: other == ours)
    assert [task for task, _ in pictures] == [task["id"] for task in site.projects[ours - 1].tasks]


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
    found = read(project, context)
    examples = [example for side in found.examples.values() for example in side]
    assert [number_of(example.picture.load()) for example in examples] == [number - 1 for number in FRAMES]
    assert found.unusable == 0


def test_what_the_annotator_corrected_of_a_track_is_learnt_from_with_the_right_frames(
    site: FitServer, context: Context, tmp_path: Path
) -> None:
    project = site.make(video.CONFIG.replace('framerate="12"', 'framerate="$fps"'))
    clip = write_clip(tmp_path / "clip.mp4", rate=30, options={"bf": "2"})
    by_hand = tracked(22) | {"auto": False, "answered": [25, 25, 50, 50, 0, 1]}
    sequence = [*(tracked(number) for number in range(1, 22)), by_hand, *(tracked(n) for n in range(23, 60))]
    region = video.region("a") | {"value": {"framesCount": 60, "duration": 2.0, "sequence": sequence}}
    site.add(project, "video", clip.read_bytes(), {"result": [region]})["data"] |= {"fps": 30}
    found = [example for shown in read(project, context).shown for example in shown.accepted]
    weights = {number_of(example.picture.load()): example.weight for example in found}
    assert weights.pop(21) == 2.0
    assert len(weights) == 4
    assert set(weights.values()) == {1.0}
