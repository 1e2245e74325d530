from __future__ import annotations

import copy
from collections.abc import Iterator

import pytest
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning.measuring import Example, always
from label_studio_sam2.learning.gate import Limits
from label_studio_sam2.learning.judging import Judging
from label_studio_sam2.learning.training_set import parted
from label_studio_sam2.types import Picture
from torch import nn

from demo_model.scenes import draw_scene
from tests.fakes.networks import demo_model


@pytest.fixture(scope="module")
def judging() -> Iterator[Judging]:
    segmenter = Segmenter(demo_model(), EmbeddingCache(1 << 26), Lane())
    elsewhere = parted() | {"held out": shown(3), "checking": shown(4)}
    yield Judging(segmenter, shown(1) + shown(2), elsewhere, Limits(0.01, 0.95), always, 60, 1)
    segmenter.close()


def shown(seed: int) -> list[Example]:
    """The objects of a drawn scene."""
    scene = draw_scene(seed, width=160, height=120)
    picture, side = Picture(f"s{seed}", lambda: scene.image), demo_model().image_size
    made = (Example.of(picture, mask, side, str(seed)) for mask in scene.masks)
    return [example for example in made if example is not None]


def inverted() -> nn.Module:
    """A decoder that takes what lies around an object for it."""
    decoder: nn.Module = copy.deepcopy(demo_model().decoder)
    for mlp in decoder.output_hypernetworks_mlps:  # type: ignore[union-attr]
        mlp.layers[-1].weight.data *= -1
    return decoder


def test_the_base_itself_changes_nothing_and_its_answers_follow_the_pictures(judging: Judging) -> None:
    base = demo_model()
    measured = judging.measured(base, base)
    assert (measured.agreement, measured.lost, measured.gain.gain) == (1.0, 0.0, 0.0)
    assert measured.follows.gain > 0.2


def test_a_labels_own_decoder_must_not_forget_either(judging: Judging) -> None:
    base = demo_model()
    measured = judging.measured(base, base.tuned(base.decoder, "new", {"Dog": inverted()}))
    assert measured.agreement is not None
    assert measured.lost is not None
    assert (measured.agreement < 0.9, measured.lost > 0.05) == (True, True)
