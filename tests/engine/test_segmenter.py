from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import product
from threading import Event, current_thread

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.errors import DeviceFailed, NotReady, OutOfMemory, ServiceError
from label_studio_sam2.types import Picture, Pixels, Point, Prompt

from demo_model.scenes import draw_scene
from tests.fakes.eventually import eventually
from tests.fakes.faulty_networks import DEAD, FULL, too_small_for, with_decoder, with_encoder
from tests.fakes.networks import demo_model


def shifted_by(amount: float) -> Model:
    """Another decoder on the same network, as tuning makes one."""
    decoder = copy.deepcopy(demo_model().decoder)
    with torch.no_grad():
        for weight in decoder.transformer.layers[0].parameters():
            weight.add_(amount * weight.std())
    return demo_model().tuned(decoder, f"project{amount}.v1")


PREPARED_BYTES = 12 << 20
"""About half of what the pictures below take; 1.6 MiB each for the demo model."""


def test_a_cache_hit_leaves_no_boost_behind_for_a_later_batch() -> None:
    lane, go = Lane(), Event()
    segmenter = Segmenter(
        demo_model(), EmbeddingCache(0), lane
    )  # keeps nothing, so that all is encoded again
    cached = Segmenter(demo_model(), EmbeddingCache(1 << 26), lane)
    picture = Picture("p", lambda: np.zeros((32, 32, 3), np.uint8))
    with ThreadPoolExecutor() as threads:
        for _ in range(2):
            cached.embed(picture)
        held = threads.submit(lane.run, Turn(Priority.VIDEO_FRAME), lambda: go.wait(20))
        batch = threads.submit(segmenter.embed, picture, Priority.BATCH)
        eventually(lambda: lane.waiting()[Priority.BATCH] == 1)
        go.set()
        assert held.result()
        batch.result()
    segmenter.close()


def test_an_embedding_of_another_precision_is_another_embedding() -> None:
    halved = replace(demo_model(), encoder_dtype=torch.bfloat16)
    assert halved.fingerprint != demo_model().fingerprint
    assert halved.version == demo_model().version


def test_no_picture_and_no_version_is_answered_with_what_was_prepared_for_another() -> None:
    pictures = [
        Picture(f"p{n}", lambda n=n: draw_scene(n, width=160, height=120).image)  # type: ignore[misc]
        for n in range(8)
    ]
    asked = list(product(pictures, [demo_model(), shifted_by(0.1)]))
    lane, cache, rng = Lane(), EmbeddingCache(1 << 28), np.random.default_rng(0)

    def scores(segmenter: Segmenter, picture: Picture, model: Model, prompt: Prompt) -> list[float]:
        (masks,) = segmenter.segment(model, segmenter.embed(picture), [prompt], candidates=3)
        return [mask.score for mask in masks]

    shared = Segmenter(demo_model(), cache, lane, prepared_bytes=PREPARED_BYTES)
    for number in rng.permutation(np.arange(3 * len(asked)) % len(asked)):
        click = Prompt((Point(*rng.uniform(10, 100, 2).tolist()),))
        alone = Segmenter(demo_model(), cache, lane)
        assert scores(shared, *asked[number], click) == scores(alone, *asked[number], click)
    shared.close()


CLICK = Prompt((Point(60, 50),))


def drawn(seed: int = 3) -> Picture:
    pixels: Pixels = draw_scene(seed, width=160, height=120).image
    return Picture(f"drawn-{seed}", lambda: pixels)


@pytest.fixture
def failing() -> Iterator[Callable[[Model], Segmenter]]:
    """Opens a model's segmenter, which is closed at the end."""
    opened: list[Segmenter] = []

    def segmenter(model: Model) -> Segmenter:
        opened.append(Segmenter(model, EmbeddingCache(1 << 26), Lane()))
        return opened[-1]

    yield segmenter
    for one in opened:
        one.close()


@pytest.mark.slow
def test_everything_is_found_in_smaller_batches_where_memory_is_too_small(
    failing: Callable[[Model], Segmenter],
) -> None:
    small, faulty = with_decoder(too_small_for(1))
    found, expected = (
        [one.edges for one in segmenter.everything(segmenter.model, drawn(), segmenter.embed(drawn()))]
        for segmenter in map(failing, (small, demo_model()))
    )
    assert found
    assert found == expected
    assert set(faulty.batches) == {1}


def test_a_click_takes_the_memory_of_pictures_that_are_kept_ready_and_is_tried_again(
    failing: Callable[[Model], Segmenter],
) -> None:
    errors: list[Exception] = []
    model, _ = with_decoder(lambda _: errors.pop() if errors else None)
    segmenter = failing(model)
    embedded = segmenter.embed(drawn())
    ((first,),) = segmenter.segment(model, embedded, [CLICK])
    errors.append(FULL)
    other = Prompt((Point(20, 20),))
    assert len(segmenter.segment(model, embedded, [other])) == 1
    errors[:] = [FULL] * 2
    with pytest.raises(OutOfMemory):
        segmenter.segment(model, embedded, [Prompt((Point(90, 20),))])
    errors.clear()
    ((again,),) = segmenter.segment(model, embedded, [CLICK])
    assert np.array_equal(first.bitmap, again.bitmap)


@pytest.mark.parametrize(
    ("error", "kind"), [(FULL, OutOfMemory), (DEAD, DeviceFailed), (ValueError("a bug"), NotReady)]
)
def test_a_device_that_fails_is_found_out_and_one_that_recovers_too(
    failing: Callable[[Model], Segmenter], error: Exception, kind: type[ServiceError]
) -> None:
    errors: list[Exception] = []
    model, faulty = with_decoder(lambda _: errors[0] if errors else None)
    segmenter = failing(model)
    embedded = segmenter.embed(drawn())
    segmenter.check()
    assert not faulty.batches  # nothing failed: nothing is tried
    errors.append(error)
    with pytest.raises(type(error) if kind is NotReady else kind):
        segmenter.segment(model, embedded, [CLICK])
    with pytest.raises(kind):
        segmenter.check()
    errors.clear()
    segmenter.check()
    assert segmenter.lane.failures == 0


def test_an_error_of_the_request_says_nothing_of_the_device(failing: Callable[[Model], Segmenter]) -> None:
    segmenter = failing(demo_model())
    with pytest.raises(NotReady):
        segmenter.lane.run(Turn(Priority.BATCH), fails)
    assert segmenter.lane.failures == 0


def fails() -> None:
    raise NotReady("Not now.")


def test_a_picture_too_takes_the_memory_of_pictures_that_are_kept_ready(
    failing: Callable[[Model], Segmenter],
) -> None:
    errors: list[Exception] = []
    model, faulty = with_encoder(lambda _: errors.pop() if errors else None)
    segmenter = failing(model)
    segmenter.segment(model, segmenter.embed(drawn(1)), [CLICK])
    errors.append(FULL)
    segmenter.embed(drawn(2))
    assert faulty.batches == [1, 1]
    errors.append(FULL)
    with pytest.raises(OutOfMemory):
        segmenter.embed(drawn(4))


def test_a_picture_that_does_not_fit_says_so(failing: Callable[[Model], Segmenter]) -> None:
    model, _ = with_encoder(too_small_for(0))
    with pytest.raises(OutOfMemory, match="MODEL"):
        failing(model).embed(drawn())


def test_warming_up_takes_every_thread_of_the_device(failing: Callable[[Model], Segmenter]) -> None:
    threads: set[str] = set()
    model, faulty = with_decoder(lambda _: threads.add(current_thread().name))
    failing(model).warm_up()
    assert len(threads) == len(faulty.batches) == 2
