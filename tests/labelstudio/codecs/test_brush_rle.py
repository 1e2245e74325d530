from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.codecs.brush_rle import decode, encode
from label_studio_sam2.types import Bitmap, Size
from label_studio_sdk.converter.brush import decode_rle, encode_rle, mask2rle

from tests.fakes.regions import disc, recorded


@st.composite
def bitmaps(draw: st.DrawFn) -> Bitmap:
    """Noise in blocks, so that runs of every class of length come up, also such that need several codes."""
    block = draw(st.sampled_from([1, 2, 3, 5, 17, 64, 70, 130]))
    rows, columns = draw(st.integers(1, 6)), draw(st.integers(1, 6))
    noise = draw(st.lists(st.booleans(), min_size=rows * columns, max_size=rows * columns))
    return np.kron(np.array(noise).reshape(rows, columns), np.ones((block, block), np.bool_))


@given(bitmaps())
@example(np.zeros((300, 400), np.bool_))
@example(np.ones((128, 128), np.bool_))
@example(np.ones((128, 129), np.bool_))
@example(np.ones((1, 1), np.bool_))
@example(disc())
def test_the_code_is_the_sdk_s_byte_for_byte(bitmap: Bitmap) -> None:
    assert encode(bitmap) == mask2rle(bitmap.astype(np.uint8) * 255)


@given(bitmaps())
def test_decoding_gives_the_mask_back(bitmap: Bitmap) -> None:
    assert np.array_equal(decode(encode(bitmap), Size(*bitmap.shape)), bitmap)


@given(st.lists(st.integers(0, 3), min_size=4, max_size=400).filter(lambda values: len(values) % 4 == 0))
def test_runs_that_end_within_a_pixel_are_read_as_the_sdk_reads_them(values: list[int]) -> None:
    rle = encode_rle(np.array(values))
    alpha = decode_rle(rle).reshape(-1, 4)[:, 3]
    assert np.array_equal(decode(rle, Size(1, len(values) // 4))[0], alpha > 0)


def test_values_written_one_by_one_are_read() -> None:
    bits = (
        f"{8:032b}00111"
        + "0010" * 4
        + "000"
        + "111"
        + "".join(f"{value:08b}" for value in [0, 0, 0, 9, 7, 7, 7, 0])
    )
    padded = bits.ljust(-(-len(bits) // 8) * 8, "0")
    rle = [int(padded[at : at + 8], 2) for at in range(0, len(padded), 8)]
    assert decode(rle, Size(1, 2)).tolist() == [[True, False]]


def test_a_mask_that_is_a_view_is_encoded_as_it_looks() -> None:
    whole = disc()
    view = whole[::2, 100:500:3]
    assert encode(view) == encode(view.copy())


@pytest.mark.parametrize("name", ["out_brush_accepted_result", "out_brush_maskDataURL_accepted"])
def test_what_the_browser_saved_is_encoded_alike(name: str) -> None:
    rle = recorded(name)[0]["value"]["rle"]
    assert encode(decode(rle, Size(600, 800))) == rle


RLE = encode(disc())


@pytest.mark.parametrize(
    "damaged",
    [
        RLE[: len(RLE) // 2],
        RLE[:7],
        RLE[:6],
        [],
        [*RLE[:4], 0, *RLE[5:]],
        [*RLE[:-9], 256],
        [-1],
        ["a"],
        [0.5],
        "text",
        None,
        7.5,
    ],
)
def test_damaged_code_is_refused(damaged: list[int]) -> None:
    with pytest.raises(PromptError, match="RLE"):
        decode(damaged, Size(600, 800))


def test_the_mask_of_a_picture_of_another_size_is_refused() -> None:
    with pytest.raises(PromptError, match=r"holds 480000 pixels, but the picture has 800 x 601"):
        decode(RLE, Size(601, 800))


@given(st.lists(st.integers(0, 255), max_size=60))
def test_noise_is_decoded_or_refused_and_never_crashes(noise: list[int]) -> None:
    header = RLE[:6]
    try:
        assert decode(header + noise, Size(600, 800)).shape == (600, 800)
    except PromptError as error:
        assert "RLE" in error.detail  # noqa: PT017  either outcome is right
