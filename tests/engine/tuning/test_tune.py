from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import CancelledError
from time import monotonic

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.image import decoding
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import FROZEN
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning import prompting
from label_studio_sam2.engine.tuning.measuring import KINDS, Example, agreement, measure, one_click
from label_studio_sam2.engine.tuning.session import TuningSession
from label_studio_sam2.engine.tuning.tune import Report, Tuned, between, tune
from label_studio_sam2.types import Picture

from demo_model.scenes import draw_scene
from tests.fakes.networks import demo_model

SIDE = demo_model().image_size


@pytest.fixture(scope="module")
def segmenter() -> Iterator[Segmenter]:
    segmenter = Segmenter(demo_model(), EmbeddingCache(1 << 26), Lane())
    yield segmenter
    segmenter.close()


def examples(seed: int) -> list[Example]:
    """The objects of a drawn scene."""
    scene = draw_scene(seed, width=160, height=120)
    made = [
        Example.of(Picture(f"s{seed}", lambda: scene.image), mask, SIDE, str(seed)) for mask in scene.masks
    ]
    return [example for example in made if example is not None]


def nothing(_step: int, _message: str) -> None:
    pass


def quick(segmenter: Segmenter, steps: int = 3, seconds: float = 60, report: Report = nothing) -> Tuned:
    return tune(
        segmenter,
        examples(1),
        examples(2)[:1],
        examples(3),
        deadline=monotonic() + seconds,
        most_steps=steps,
        report=report,
    )


def test_measuring_can_be_broken_off_between_two_examples(segmenter: Segmenter) -> None:
    calls = 0

    def go_on() -> bool:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise CancelledError
        return True

    with pytest.raises(CancelledError):
        measure(segmenter, demo_model(), examples(2) * 3, (one_click,), go_on=go_on)
    assert calls == 2


def test_measuring_ends_where_there_is_no_time_for_another_example(segmenter: Segmenter) -> None:
    some, whole = examples(2)[:2], examples(2)
    left = iter([True, True, False])
    found = measure(segmenter, demo_model(), whole, (one_click,), lambda: next(left))
    assert np.array_equal(found, measure(segmenter, demo_model(), some, (one_click,)))


def test_a_model_agrees_with_itself_wherever_it_is_asked(segmenter: Segmenter) -> None:
    models = demo_model(), demo_model()
    assert (agreement(segmenter, models, examples(2), tuple(KINDS.values())) == 1).all()


def test_what_was_rejected_is_rated_lower_and_the_masks_stay(segmenter: Segmenter) -> None:
    (shown, *_) = examples(7)
    embedding = segmenter.embed(shown.picture).embedding
    x, y = prompting.click(shown.mask.bitmap())[:2]
    asked = np.array([[x, y]], np.float32) * (embedding.size.width / SIDE, embedding.size.height / SIDE)
    session = TuningSession(demo_model(), seed=0)
    for step in range(60):
        session.step([shown], embedding, "rejected", step / 60)
    models = demo_model(), demo_model().tuned(session.kept(), "rejecting")
    with torch.inference_mode():
        (was, rated_before), (now, rated) = (
            decoding.decode_points(decoding.prepare(model, embedding), asked.astype(np.float32))
            for model in models
        )
    best = int(rated_before[0].argmax())
    assert rated[0, best] < rated_before[0, best] - 0.2
    assert ((was[0, best] > 0) == (now[0, best] > 0)).mean() > 0.97


def test_tuning_changes_a_copy_and_nothing_that_the_embedding_depends_on(segmenter: Segmenter) -> None:
    before = {name: tensor.clone() for name, tensor in demo_model().network.state_dict().items()}
    tuned = quick(segmenter).decoder.state_dict()
    assert all(
        torch.equal(tensor, before[name]) for name, tensor in demo_model().network.state_dict().items()
    )
    base = demo_model().decoder.state_dict()
    changed = {name for name in base if not torch.equal(base[name].half(), tuned[name].half())}
    assert changed
    assert not {name for name in changed if name.partition(".")[0] in FROZEN}


def test_what_is_kept_is_rounded_as_it_is_stored_and_wants_no_gradients(segmenter: Segmenter) -> None:
    for weight in quick(segmenter).decoder.parameters():
        assert torch.equal(weight, weight.half().float())
        assert not weight.requires_grad
        assert weight.grad is None


def test_tuning_is_the_same_for_the_same_seed(segmenter: Segmenter) -> None:
    one, other = (quick(segmenter).decoder.state_dict() for _ in range(2))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_tuning_stops_when_it_is_told_to_and_at_its_deadline(segmenter: Segmenter) -> None:
    told: list[int] = []

    def cancel(step: int, _message: str) -> None:
        told.append(step)
        raise CancelledError

    with pytest.raises(CancelledError):
        quick(segmenter, steps=9, report=cancel)
    assert told == [1]
    assert quick(segmenter, steps=9, seconds=0).steps == 0


def test_a_decoder_between_two_is_either_at_the_ends(segmenter: Segmenter) -> None:
    tuned = quick(segmenter).decoder
    base = demo_model().decoder.state_dict()
    for share, expected in ((0.0, base), (1.0, tuned.state_dict())):
        mixed = between(demo_model().decoder, tuned, share).state_dict()
        assert all(torch.equal(mixed[name].half(), expected[name].half()) for name in base)


def test_measuring_asks_as_a_click_does(segmenter: Segmenter) -> None:
    found = examples(5)
    ious = measure(segmenter, demo_model(), found, tuple(KINDS.values()))
    assert ious.shape == (len(found), 3)
    assert ious.mean() > 0.5
    assert np.array_equal(ious[:, :1], measure(segmenter, demo_model(), found, (one_click,)))


def test_all_masks_at_once_are_those_that_a_click_chooses_from(segmenter: Segmenter) -> None:
    embedding = segmenter.embed(examples(5)[0].picture).embedding
    points = torch.tensor([[[100.0, 80.0]], [[30.0, 60.0]]]), torch.ones(2, 1, dtype=torch.int)
    logits, ious, _ = decoding.decode_all(decoding.prepare(demo_model(), embedding), points, None)
    pixels = points[0][:, 0].numpy() * (embedding.size.width, embedding.size.height) / SIDE
    with torch.inference_mode():
        chosen, rated = decoding.decode_points(
            decoding.prepare(demo_model(), embedding), pixels.astype(np.float32)
        )
    np.testing.assert_allclose(logits[:, 1:].detach().numpy(), chosen, atol=1e-3)
    np.testing.assert_allclose(ious[:, 1:].detach().numpy(), rated, atol=1e-4)


def test_a_mask_that_vanishes_at_the_models_size_is_no_example() -> None:
    speck = np.zeros((2000, 2000), np.bool_)
    speck[5, 5] = True
    assert Example.of(Picture("p", lambda: np.zeros((1, 1, 3), np.uint8)), speck, SIDE, "1") is None
