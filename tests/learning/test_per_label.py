from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx
import numpy as np
import pytest
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.tuning.measuring import Example, IoUs
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.learning.per_label import own_decoders
from label_studio_sam2.learning.training_set import Shown, TrainingSet, side_of
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import PackedMask, Picture, Pixels, Size
from torch import nn

from demo_model.scenes import draw_scene
from tests.fakes.asking import body, click, data_url, mask_of, regions_of
from tests.fakes.networks import demo_model
from tests.fakes.settings import settings
from tests.fakes.tuned_versions import decoder, told


def load() -> Pixels:
    return np.zeros((8, 8, 3), np.uint8)


def shown(task: int, labels: Sequence[str]) -> Shown:
    picture = Picture(str(task), load)
    mask = PackedMask.of(np.ones((8, 8), np.bool_))
    seen = np.random.default_rng(task).normal(0, 9, (16, 16, 3)).astype(np.float32)
    return Shown(task, picture, [Example(picture, mask, "", label=label) for label in labels], [], seen)


def training_set(labels: Sequence[str], tasks: int = 40) -> TrainingSet:
    return TrainingSet(shown=[shown(task, labels) for task in range(1, tasks + 1)])


class Studio:
    """Where tuning is quick: a decoder is told from others by a number, and the IoU of each is known by label."""

    def __init__(self, common: Mapping[str, float], own: Mapping[str, float], spread: float = 0.0) -> None:
        self._common, self._own, self._spread = common, own, spread
        self.tuned: list[str] = []

    def tune(self, training: Sequence[Example], checking: Sequence[Example], among: int) -> nn.Module:
        (label,) = {example.label for example in [*training, *checking]}
        self.tuned.append(label)
        assert {side_of(int(example.group)) for example in training} == {"training"}
        assert {side_of(int(example.group)) for example in checking} == {"checking"}
        return decoder(1.0)

    def one_click(self, model: Model, examples: Sequence[Example]) -> IoUs:
        known = self._own if told(model) == 1.0 else self._common
        chance = self._spread * np.resize([1.0, -1.0], len(examples))
        return np.array([[known[one.label] + by] for one, by in zip(examples, chance, strict=True)])


@pytest.mark.parametrize(
    ("own", "spread", "kept"),
    [
        ({"Cell": 0.9, "Nucleus": 0.9}, 0.0, ["Cell", "Nucleus"]),
        ({"Cell": 0.6, "Nucleus": 0.8}, 0.0, ["Nucleus"]),  # the common one suits the other as well
        ({"Cell": 0.62, "Nucleus": 0.52}, 0.0, []),  # not worth it
        ({"Cell": 0.5, "Nucleus": 0.4}, 0.0, []),
    ],
)
def test_a_label_has_a_decoder_of_its_own_where_that_is_clearly_better_on_tasks_that_neither_saw(
    own: dict[str, float], spread: float, kept: list[str]
) -> None:
    studio = Studio({"Cell": 0.6, "Nucleus": 0.5}, own, spread)
    found = own_decoders(training_set(["Cell", "Nucleus"]), demo_model(), studio.tune, studio.one_click)
    assert list(found) == kept
    assert studio.tuned == ["Cell", "Nucleus"]


@pytest.mark.parametrize(
    ("labels", "tasks", "common"),
    [
        (["Cell"], 40, 0.5),  # one label
        (["Cell", ""], 40, 0.5),  # and masks without one
        (["Cell", "Nucleus"], 7, 0.5),  # too few
        (["Cell", "Nucleus"], 40, 0.93),  # good already
    ],
    ids=["one", "one and none", "few", "good"],
)
def test_nothing_is_tried_for_labels_where_it_cant_pay(labels: list[str], tasks: int, common: float) -> None:
    studio = Studio(dict.fromkeys(labels, common), dict.fromkeys(labels, 1.0))
    assert own_decoders(training_set(labels, tasks), demo_model(), studio.tune, studio.one_click) == {}
    assert studio.tuned == []


def test_each_labels_clicks_are_answered_by_its_own_decoder_and_all_others_by_the_common_one(
    tmp_path: Path,
) -> None:
    base, versions = demo_model(), Versions(tmp_path / "versions")
    small = copy.deepcopy(base.decoder)
    for mlp in small.output_hypernetworks_mlps:  # it sees a little less of everything
        mlp.layers[-1].weight.data *= 0.6
        mlp.layers[-1].bias.data -= 0.2
    with versions.training(1):
        version = versions.save(1, base, base.decoder, Verdict(True, "", {}), {}, by_label={"Dog": small})
    versions.use(1, version.number)
    loaded = versions.load(base, version)
    assert list(loaded.labelled) == ["Dog"]
    drawn = draw_scene(5, width=160, height=120)
    address_of, size = data_url(drawn.image), Size(120, 160)
    with (
        running(settings(model_cache=tmp_path)) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):

        def seen(label: str, project: int) -> tuple[bytes, str]:
            asked = body(address_of, [click(80, 60, size, label=label)], project=f"{project}.1")
            answer = client.post("/predict", json=asked)
            return mask_of(regions_of(answer)[0]).tobytes(), answer.json()["results"][0]["model_version"]

        before, _ = seen("Car", 2)
        car, dog = seen("Car", 1), seen("Dog", 1)
        assert car == (before, f"{base.version}+{version.name}")
        assert (dog[0] != before, dog[1]) == (True, car[1])
        both = [click(80, 60, size, label="Dog"), click(80, 60, size, label="Car", name="other")]
        answer = client.post("/predict", json=body(address_of, both, project="1.1"))
        by_label = {one["value"]["brushlabels"][0]: mask_of(one).tobytes() for one in regions_of(answer)}
        assert by_label == {"Dog": dog[0], "Car": before}
