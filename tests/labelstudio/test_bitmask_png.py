from __future__ import annotations

import io

import cv2
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from label_studio_sam2.labelstudio.bitmask_png import encode
from label_studio_sam2.types import Bitmap
from PIL import Image

from tests.labelstudio.regions import disc

bitmaps = st.builds(
    lambda rows, columns, block, seed, share: np.kron(
        np.random.default_rng(seed).random((rows, columns)) < share, np.ones((block, block), np.bool_)
    ),
    st.integers(1, 6),
    st.integers(1, 6),
    st.sampled_from([1, 2, 5, 30, 64, 65, 130]),
    st.integers(0, 2**32),
    st.sampled_from([0.1, 0.5, 0.9]),
)


@given(bitmaps)
@example(np.zeros((1, 1), np.bool_))
@example(np.ones((1, 1), np.bool_))
@example(np.zeros((300, 200), np.bool_))
@example(np.ones((300, 200), np.bool_))
@example(disc())
def test_every_reader_sees_the_mask_in_the_alpha(bitmap: Bitmap) -> None:
    """Both check the sums that PNG and zlib carry."""
    png = encode(bitmap)
    rgba = np.repeat(bitmap[..., None] * np.uint8(255), 4, axis=2)
    with Image.open(io.BytesIO(png)) as image:
        assert image.mode == "RGBA"
        assert np.array_equal(np.array(image), rgba)
    assert np.array_equal(cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_UNCHANGED), rgba)


def test_runs_of_every_length_are_written() -> None:
    """Up to three whole phrases and every rest; odd lengths come from the rows' filter bytes."""
    for width in range(1, 200):
        bitmap = np.zeros((4, width), np.bool_)
        bitmap[1] = bitmap[2, : width // 2] = bitmap[3, -1] = True
        read = cv2.imdecode(np.frombuffer(encode(bitmap), np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(read[..., 3] > 0, bitmap)


def test_it_is_no_larger_than_what_opencv_writes() -> None:
    gray = disc() * np.uint8(255)
    assert len(encode(disc())) < len(cv2.imencode(".png", cv2.merge([gray] * 4))[1])


def test_a_view_is_written_as_it_looks() -> None:
    view = disc()[::2, 100:500:3]
    assert encode(view) == encode(view.copy())
