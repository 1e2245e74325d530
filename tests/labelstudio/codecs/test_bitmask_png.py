from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from label_studio_sam2.labelstudio.codecs.bitmask_png import encode
from label_studio_sam2.labelstudio.regions.values import mask_from_value
from label_studio_sam2.types import Bitmap, Size
from PIL import Image

from tests.fakes.regions import disc

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
    png = encode(bitmap)
    rgba = np.where(bitmap[..., None], np.uint8(255), np.uint8([0, 0, 0, 0]))
    with Image.open(io.BytesIO(png)) as image:
        image.verify()  # the sums of its chunks
    with Image.open(io.BytesIO(png)) as image:
        assert np.array_equal(np.array(image.convert("RGBA")), rgba)
    value = {"imageDataURL": "data:image/png;base64," + base64.b64encode(png).decode()}
    assert np.array_equal(mask_from_value(value, Size(*bitmap.shape)), bitmap)


def test_rows_of_every_width_are_written() -> None:
    for width in range(1, 200):
        bitmap = np.zeros((4, width), np.bool_)
        bitmap[1] = bitmap[2, : width // 2] = bitmap[3, -1] = True
        with Image.open(io.BytesIO(encode(bitmap))) as image:
            assert np.array_equal(np.array(image.convert("RGBA"))[..., 3] > 0, bitmap)


def test_it_is_no_larger_than_what_opencv_writes() -> None:
    gray = disc() * np.uint8(255)
    assert len(encode(disc())) < len(cv2.imencode(".png", cv2.merge([gray] * 4))[1])


def test_a_view_is_written_as_it_looks() -> None:
    view = disc()[::2, 100:500:3]
    assert encode(view) == encode(view.copy())
