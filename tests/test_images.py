from __future__ import annotations

import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_sam2 import images
from label_studio_sam2.errors import MediaUnavailable, MediaUnreadable, TooLarge
from label_studio_sam2.types import Pixels, Size
from PIL import Image, ImageOps

LIMIT = 1_000_000
ORIENTATION = 0x0112


def noise(height: int, width: int, channels: int = 3, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def saved(path: Path, picture: Image.Image, **options: object) -> Path:
    picture.save(path, **options)  # type: ignore[arg-type]
    return path


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[ORIENTATION] = orientation
    return tags


def truth(path: Path) -> Pixels:
    """What Pillow alone makes of a file without transparency."""
    with path.open("rb") as file, Image.open(file) as picture:
        return np.asarray(ImageOps.exif_transpose(picture).convert("RGB"))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "webp", "avif", "jp2"])
def test_every_orientation_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise(24, 37)), exif=exif(orientation))
    pixels = images.read(path, max_pixels=LIMIT)
    assert np.array_equal(pixels, truth(path))
    assert pixels.flags.c_contiguous
    assert images.size(path, LIMIT) == pixels.shape[:2]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(["1", "L", "P", "RGB", "CMYK", "YCbCr"]),
    suffix=st.sampled_from(["jpg", "png", "tiff", "bmp", "gif", "webp"]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    orientation=st.integers(0, 9),
    seed=st.integers(0, 99),
)
def test_any_opaque_picture_is_what_pillow_makes_of_it(
    tmp_path: Path, mode: str, suffix: str, height: int, width: int, orientation: int, seed: int
) -> None:
    picture = Image.fromarray(noise(height, width, seed=seed)).convert(mode)
    path = tmp_path / f"a.{suffix}"
    try:
        picture.save(path, exif=exif(orientation))
    except (OSError, ValueError):
        return  # this format has no such mode
    assert np.array_equal(images.read(path, max_pixels=LIMIT), truth(path))
    assert images.size(path, LIMIT) == truth(path).shape[:2]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA", "P"])
def test_transparency_lies_over_white(tmp_path: Path, mode: str) -> None:
    colours = Image.fromarray(noise(8, 8, 4))
    if mode == "P":
        picture = Image.fromarray(noise(8, 8)).convert("P")
        path = saved(tmp_path / "a.png", picture, transparency=bytes(range(256)))
    else:
        suffix = "tiff" if mode == "PA" else "png"
        path = saved(
            tmp_path / f"a.{suffix}",
            colours.convert("LA").convert(mode) if mode == "PA" else colours.convert(mode),
        )
    with Image.open(path) as picture:
        layers = picture.convert("RGBA")
    white = Image.new("RGBA", layers.size, "white")
    expected = np.asarray(Image.alpha_composite(white, layers).convert("RGB"))
    assert np.array_equal(images.read(path, max_pixels=LIMIT), expected)


def test_what_is_wholly_transparent_is_white(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGBA", (3, 2), (200, 10, 10, 0)))
    assert (images.read(path, max_pixels=LIMIT) == 255).all()


def test_16_bit_greys_keep_their_upper_8_bits(tmp_path: Path) -> None:
    grey = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    for suffix in ("png", "tiff"):
        path = saved(tmp_path / f"a.{suffix}", Image.fromarray(grey))
        assert np.array_equal(images.read(path, max_pixels=LIMIT)[..., 1], (grey >> 8).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_greys_are_stretched(tmp_path: Path, dtype: type[np.generic]) -> None:
    grey = np.linspace(-1000, 3000, 12, dtype=np.float64).reshape(3, 4).astype(dtype)
    pixels = images.read(saved(tmp_path / "a.tiff", Image.fromarray(grey)), max_pixels=LIMIT)
    assert (pixels[0, 0, 0], pixels[-1, -1, 2]) == (0, 255)
    assert (np.diff(pixels[..., 0].ravel().astype(int)) > 0).all()


def test_one_even_32_bit_grey_is_black(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", Image.fromarray(np.full((3, 4), 7.5, np.float32)))
    assert not images.read(path, max_pixels=LIMIT).any()


def test_of_several_frames_the_first_is_taken(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (4, 3), colour) for colour in ("red", "blue"))
    for suffix in ("gif", "tiff", "webp", "png"):
        options = {"lossless": True} if suffix == "webp" else {}
        path = saved(tmp_path / f"a.{suffix}", first, save_all=True, append_images=[second], **options)
        assert (images.read(path, max_pixels=LIMIT) == (255, 0, 0)).all()


def test_a_picture_taller_than_a_strip_is_put_together_rightly(
    tmp_path: Path,
) -> None:
    tall = np.tile(noise(50, 41), (images.STRIP_PIXELS // (50 * 41) + 30, 1, 1))
    path = saved(tmp_path / "a.bmp", Image.fromarray(tall))
    assert np.array_equal(images.read(path, max_pixels=2 * tall.size), tall)


# What is refused


def png_header(width: int, height: int) -> bytes:
    def chunk(name: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(1000)))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("side", [1001, 20_000, 60_000])
def test_a_bomb_is_too_large_before_it_is_decoded(tmp_path: Path, side: int) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(side, side))
    for refuse in (images.size, lambda path, limit: images.read(path, max_pixels=limit)):
        with pytest.raises(TooLarge, match="MAX_IMAGE_PIXELS"):
            refuse(path, LIMIT)


def test_a_limit_above_pillows_own_is_ours_to_set(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(20_000, 20_000))
    before = Image.MAX_IMAGE_PIXELS
    assert images.size(path, 400_000_000) == Size(20_000, 20_000)
    assert before == Image.MAX_IMAGE_PIXELS


def jpeg() -> bytes:
    content = BytesIO()
    Image.fromarray(noise(64, 64)).save(content, "JPEG")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"just some words\n", "it is text"),
        (b'{"detail": "Not found."}', "it is text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"%PDF-1.7", "PDF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "HEIC"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"\xff\xd8\xff", "damaged"),
        (bytes(range(256)), "isn't supported"),
        (jpeg()[:200], "cut short"),
        (jpeg()[: len(jpeg()) // 2], "cut short"),
        (jpeg()[:-30], "cut short"),
        (png_header(50, 50), "cut short"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is text"),
    ],
)
def test_what_is_no_whole_picture_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(MediaUnreadable, match=says) as error:
        images.read(path, max_pixels=LIMIT, name="http://images.example/a.png")
    assert error.value.detail.startswith("http://images.example/a.png ")
    assert str(path) not in error.value.detail


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.data(), suffix=st.sampled_from(["jpg", "png", "tiff", "gif", "webp", "bmp", "avif", "ppm", "ico"])
)
def test_a_damaged_file_is_a_picture_or_a_clear_error(
    tmp_path: Path, data: st.DataObject, suffix: str
) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise(16, 16)))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with suppress(MediaUnreadable, TooLarge):
        assert images.read(path, max_pixels=LIMIT).shape[2] == 3


def test_a_file_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(MediaUnavailable, match="no longer in the media cache"):
        images.read(tmp_path / "gone.png", max_pixels=LIMIT)
