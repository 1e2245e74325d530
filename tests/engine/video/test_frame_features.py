from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
import torch
from label_studio_sam2 import demo
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.engine.video.tracking_network import KEPT_IN
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Bitmap, Prompt

from tests.fakes.networks import demo_model

FRAMES = 12
TRUTH = demo.sample_clip_masks()


@dataclass
class Encoder:
    """The network's own encoder, which counts how many pictures it was given."""

    network: Any = field(default_factory=lambda: demo_model().network)
    calls: int = 0

    def __call__(self, batch: Any) -> Any:
        self.calls += 1
        return self.network.forward_image(batch)


@contextmanager
def tracking(memory_bytes: int = 1 << 30) -> Iterator[tuple[Segmenter, Encoder]]:
    encoder, model = Encoder(), demo_model()
    network = copy.copy(model.network)
    network.forward_image = encoder
    segmenter = Segmenter(replace(model, network=network), EmbeddingCache(memory_bytes), Lane())
    try:
        yield segmenter, encoder
    finally:
        segmenter.close()


def follow(segmenter: Segmenter, things: dict[str, int], start: int = 0) -> dict[tuple[int, str], Bitmap]:
    """The masks of these objects from a frame on, prompted with their true boxes there."""
    span = range(start, FRAMES)
    boxes = {name: tight_box(TRUTH[start, thing]) for name, thing in things.items()}
    targets = {name: Target({start: Prompt(box=box)}, span) for name, box in boxes.items()}
    tracked = segmenter.track(segmenter.model, Video.open(demo.SAMPLE_CLIP), "clip", targets)
    return {(found.frame, found.object_id): found.bitmap for masks in tracked for found in masks}


def test_an_object_added_later_or_corrected_is_followed_without_encoding_a_frame_twice() -> None:
    with tracking() as (segmenter, encoder):
        follow(segmenter, {"first": 0})
        assert encoder.calls == FRAMES
        second = follow(segmenter, {"second": 1})
        corrected = follow(segmenter, {"first": 0}, start=5)
        assert encoder.calls == FRAMES
    with tracking() as (fresh, _):
        expected = follow(fresh, {"second": 1}) | follow(fresh, {"first": 0}, start=5)
    assert (second | corrected).keys() == expected.keys()
    for key, bitmap in (second | corrected).items():
        assert np.array_equal(bitmap, expected[key])


def test_objects_that_begin_on_the_same_frame_share_its_features() -> None:
    with tracking() as (segmenter, encoder):
        follow(segmenter, {"first": 0, "second": 1})
        assert encoder.calls == FRAMES


def test_of_a_track_that_is_longer_than_the_cache_the_beginning_is_kept() -> None:
    room = 4 * demo_model().embedding_values * 4
    with tracking(room) as (segmenter, encoder):
        follow(segmenter, {"first": 0})
        follow(segmenter, {"second": 1})
        assert encoder.calls == 2 * FRAMES - 4


def test_masks_do_not_depend_on_which_frames_are_kept_where_they_are_kept_in_half_precision(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(KEPT_IN, "cpu", torch.float16)  # as on a GPU
    with tracking() as (segmenter, encoder):
        first = follow(segmenter, {"first": 0})
        again = follow(segmenter, {"first": 0})
        assert encoder.calls == FRAMES
    with tracking(0) as (keeping_nothing, _):
        fresh = follow(keeping_nothing, {"first": 0})
    for key, bitmap in first.items():
        assert np.array_equal(bitmap, again[key])
        assert np.array_equal(bitmap, fresh[key])
