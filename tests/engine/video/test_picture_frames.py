"""Pictures as the tracker's frames: of any size, from the embeddings that clicks use, and some that can't be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache, Source
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.errors import MediaUnreadable, ServiceError
from label_studio_sam2.geometry import iou, tight_box
from label_studio_sam2.types import FrameMask, Picture, Pixels, Prompt, Size

from tests.fakes.asking_list import COUNT, GONE, SMALL, SMALL_SIZE, picture, truth
from tests.fakes.networks import demo_model


@dataclass
class Drawn:
    """The list's pictures, of which some are `broken`; `loaded` are those that were decoded."""

    broken: frozenset[int] = frozenset()
    loaded: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return COUNT

    def __getitem__(self, place: int) -> Picture:
        def load() -> Pixels:
            if place in self.broken:
                raise MediaUnreadable(f"{place} is damaged.")
            self.loaded.append(place)
            return picture(place)

        return Picture(f"drawn-{place}", load)


@pytest.fixture
def segmenter() -> Iterator[Segmenter]:
    opened = Segmenter(demo_model(), EmbeddingCache(1 << 28), Lane())
    yield opened
    opened.close()


def follow(
    segmenter: Segmenter, pictures: Drawn, span: range, unreadable: dict[int, ServiceError] | None = None
) -> dict[int, FrameMask]:
    targets = {"a": Target({span[0]: Prompt(box=tight_box(truth(span[0])))}, span)}
    unreadable = {} if unreadable is None else unreadable
    tracked = segmenter.track_pictures(segmenter.model, pictures, targets, unreadable)
    return {mask.frame: mask for masks in tracked for mask in masks}


@pytest.mark.parametrize("span", [range(2, COUNT), range(COUNT - 1, -1, -1)])
def test_an_object_is_followed_through_pictures_of_different_sizes_both_ways(
    segmenter: Segmenter, span: range
) -> None:
    found = follow(segmenter, Drawn(), span)
    assert list(found) == list(span)
    assert [place for place, mask in found.items() if not mask.present] == [p for p in span if p in GONE]
    assert Size(*found[SMALL].bitmap.shape) == SMALL_SIZE
    assert np.mean([iou(found[place].bitmap, truth(place)) for place in span if place not in GONE]) > 0.9


def test_a_prompt_on_the_smaller_picture_is_in_its_own_pixels(segmenter: Segmenter) -> None:
    found = follow(segmenter, Drawn(), range(SMALL, COUNT))
    assert iou(found[SMALL].bitmap, truth(SMALL)) > 0.9
    assert iou(found[COUNT - 1].bitmap, truth(COUNT - 1)) > 0.9


def test_pictures_are_encoded_once_whether_followed_or_clicked_on(segmenter: Segmenter) -> None:
    pictures = Drawn()
    assert segmenter.embed(pictures[4]).source is Source.ENCODED
    follow(segmenter, pictures, range(1, 5))
    follow(segmenter, pictures, range(4, 0, -1))
    assert sorted(pictures.loaded) == [1, 2, 3, 4]
    assert segmenter.embed(pictures[3]).source is Source.MEMORY


def test_what_cannot_be_read_is_passed_over_and_told_until_it_can_be(segmenter: Segmenter) -> None:
    unreadable: dict[int, ServiceError] = {}
    found = follow(segmenter, Drawn(frozenset({3, 7})), range(2, COUNT), unreadable)
    assert sorted(found) == [place for place in range(2, COUNT) if place not in {3, 7}]
    assert {place: error.detail for place, error in unreadable.items()} == {
        3: "3 is damaged.",
        7: "7 is damaged.",
    }
    assert iou(found[COUNT - 1].bitmap, truth(COUNT - 1)) > 0.9
    assert sorted(follow(segmenter, Drawn(), range(2, COUNT), unreadable)) == list(range(2, COUNT))
    assert unreadable == {}
