from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.words.boxes import FoundBox, Rated, distinct
from label_studio_sam2.engine.words.finder import Finder, Question
from label_studio_sam2.engine.words.tokens import Tokens
from label_studio_sam2.types import Box, Picture, Size

from tests.clicks.test_words import painted
from tests.fakes.detectors import ColourDetector
from tests.fakes.networks import demo_model

SIZE = Size(300, 400)
BEST, SHIFTED, ASIDE = (0, 0, 100, 100), (0, 0, 100, 90), (0, 0, 100, 60)
"""The second has an IoU of 0.9 with the first, the third of 0.6."""


@pytest.fixture
def finder() -> Iterator[Finder]:
    segmenter = Segmenter(demo_model(), EmbeddingCache(1 << 26), Lane())
    yield Finder(ColourDetector(), segmenter)
    segmenter.close()


@pytest.mark.parametrize(
    ("boxes", "questions", "kept"),
    [
        ([BEST, SHIFTED], [0, 0], [BEST]),
        ([BEST, SHIFTED], [0, 1], [BEST]),
        ([BEST, ASIDE], [0, 0], [BEST]),
        ([BEST, ASIDE], [0, 1], [BEST, ASIDE]),
        ([(-20, -20, 50, 50)], [0], [(0, 0, 50, 50)]),
        ([(-20, -20, -1, -1)], [0], []),
        ([], [], []),
    ],
)
def test_each_object_is_found_once_by_the_best_of_what_claims_it(
    boxes: list[Box], questions: list[int], kept: list[Box]
) -> None:
    """They are rated lower and lower."""
    count = len(boxes)
    rows = np.array(boxes, np.float32).reshape(count, 4)
    found = Rated(rows, np.arange(count), np.linspace(0.9, 0.5, count, dtype=np.float32))
    assert [one.box for one in distinct(found, np.array(questions, np.int64), SIZE)] == kept


def test_two_boxes_whose_masks_are_one_objects_give_one_mask(finder: Finder) -> None:
    pixels, _ = painted(red=(150, 150), blue=(300, 80))
    picture = Picture("p", lambda: pixels)
    looking = Looking(finder.segmenter, demo_model(), picture, finder.segmenter.embed(picture))
    boxes = [
        FoundBox(Box(*box), n, 0.9 - n / 10)
        for n, box in enumerate([(104, 104, 196, 196), (90, 104, 196, 215)])
    ]
    ((mask, found),) = finder.objects(looking, boxes, most=9)
    assert (found, mask.score) == (boxes[0], 0.9)


def test_an_example_is_answered_with_itself_first(finder: Finder) -> None:
    pixels, _ = painted(red1=(80, 80), red2=(300, 80), blue=(80, 220))
    looked = finder.look(Picture("p", lambda: pixels))
    example = Box(36, 36, 124, 124)
    first, *others = finder.boxes(looked, [Question(boxes=(example,))])
    assert first == FoundBox(example, 0, 1.0)
    assert [round(one.box.x0) for one in others] == [254]


def test_what_is_kept_takes_as_much_as_is_said(finder: Finder) -> None:
    looked = finder.look(Picture("p", lambda: painted(red=(80, 80), blue=(300, 80))[0]))
    tokens, numbers = Tokens.of(looked.embedding).looks.shape
    detector = finder.detector
    assert isinstance(detector, ColourDetector)
    assert looked.embedding.nbytes * detector.shape[0] == finder.side_bytes() * tokens
    assert numbers == detector.shape[1]
