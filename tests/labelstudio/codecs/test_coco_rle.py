from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from label_studio_sam2.errors import PromptError
from label_studio_sam2.geometry import tight_box
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.types import Bitmap, Size
from pycocotools import mask as pycocotools

noise = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=24))


@st.composite
def blocks(draw: st.DrawFn) -> Bitmap:
    """Objects of a few large parts, whose runs are long and go on from column to column."""
    height, width = draw(st.integers(1, 60)), draw(st.integers(1, 60))
    bitmap = np.zeros((height, width), np.bool_)
    for _ in range(draw(st.integers(0, 3))):
        top, left = draw(st.integers(0, height)), draw(st.integers(0, width))
        bitmap[top : draw(st.integers(top, height)), left : draw(st.integers(left, width))] ^= True
    return bitmap


@given(noise | blocks())
def test_counts_are_what_pycocotools_writes(bitmap: Bitmap) -> None:
    expected = pycocotools.encode(np.asfortranarray(bitmap.astype(np.uint8)))

    assert coco_rle.encode(bitmap) == expected["counts"].decode()


@given(noise | blocks())
def test_what_was_encoded_is_decoded(bitmap: Bitmap) -> None:
    counts, size = coco_rle.encode(bitmap), Size(*bitmap.shape)

    assert np.array_equal(coco_rle.decode(counts, size), bitmap)
    assert coco_rle.box(counts, size) == tight_box(bitmap)


def test_a_frame_of_full_size_is_encoded_as_pycocotools_does() -> None:
    rows, columns = np.mgrid[:1080, :1920]
    ring = np.abs(np.hypot(rows - 500, columns - 1500) - 300) < 40

    counts = coco_rle.encode(ring)

    assert counts == pycocotools.encode(np.asfortranarray(ring.astype(np.uint8)))["counts"].decode()
    assert np.array_equal(coco_rle.decode(counts, Size(1080, 1920)), ring)


@pytest.mark.parametrize("counts", ["", " ", "é", "0P", "P" * 9, "0" * 5, "o", "0A1"])
def test_damaged_counts_are_refused(counts: str) -> None:
    with pytest.raises(PromptError):
        coco_rle.decode(counts, Size(4, 4))
    with pytest.raises(PromptError):
        coco_rle.box(counts, Size(4, 4))


@given(st.text(max_size=12))
def test_any_text_is_a_mask_or_refused(counts: str) -> None:
    try:
        bitmap = coco_rle.decode(counts, Size(3, 5))
    except PromptError:
        return
    assert bitmap.shape == (3, 5)
