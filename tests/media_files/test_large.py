from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_sam2.errors import MediaUnreadable, TooLarge
from label_studio_sam2.media_files import pictures
from label_studio_sam2.media_files.large import LOOKED_AT, PictureFile
from label_studio_sam2.media_files.recent import RecentPictures
from label_studio_sam2.types import Area, Pixels, Size
from PIL import Image

from tests.fakes.tiffs import AS_THEY_ARE, DEFLATE, repeated, tiled

LIMIT = 100_000
"""Pixels: the pictures here are small, but too large for it."""

SIZE = Size(500, 700)
AREAS = [Area(0, 0, 700, 500), Area(130, 250, 401, 399), Area(690, 490, 700, 500), Area(0, 499, 1, 500)]


def smooth(size: Size = SIZE) -> Pixels:
    noise = np.random.default_rng(0).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return np.asarray(cv2.resize(noise, (size.width, size.height), interpolation=cv2.INTER_CUBIC), np.uint8)


def kept(folder: Path, content: bytes) -> Path:
    path = folder / "picture"
    path.write_bytes(content)
    return path


def saved(folder: Path, picture: Image.Image, kind: str, **options: object) -> Path:
    content = BytesIO()
    picture.save(content, kind, **options)
    return kept(folder, content.getvalue())


def assert_parts_are_the_whole_picture_s(path: Path) -> None:
    whole = pictures.read(path, max_pixels=10**7)
    file = PictureFile(path, LIMIT)
    for area in AREAS:
        view = file.view(area)
        np.testing.assert_array_equal(view.pixels, whole[area.y0 : area.y1, area.x0 : area.x1])
        assert view.size == area.size
    pixels, size = file.view()
    np.testing.assert_array_equal(pixels, whole)
    assert size == SIZE


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("compression", [AS_THEY_ARE, DEFLATE])
@pytest.mark.parametrize("planes", [False, True])
def test_any_part_of_a_tiled_tiff_is_that_of_the_whole(
    tmp_path: Path, order: str, compression: int, planes: bool
) -> None:
    content = tiled(smooth(), 64, order=order, compression=compression, planes=planes)
    assert_parts_are_the_whole_picture_s(kept(tmp_path, content))


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "jpeg", "packbits", "tiff_adobe_deflate", "zstd"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
def test_any_part_of_a_tiff_in_strips_is_that_of_the_whole(
    tmp_path: Path, compression: str, mode: str
) -> None:
    picture = Image.fromarray(smooth()).convert(mode)
    assert_parts_are_the_whole_picture_s(saved(tmp_path, picture, "TIFF", compression=compression))


def test_sixteen_bits_black_and_white_and_palettes_are_read_in_parts_too(tmp_path: Path) -> None:
    grey = smooth()[..., 0].astype(np.uint16) * 200
    for picture in (Image.fromarray(grey), *(Image.fromarray(smooth()).convert(mode) for mode in "1P")):
        assert_parts_are_the_whole_picture_s(saved(tmp_path, picture, "TIFF", compression="tiff_lzw"))


def test_what_is_large_is_scaled_down_to_the_means_of_its_pixels(tmp_path: Path) -> None:
    side = 2 * LOOKED_AT + 100
    pixels = smooth(Size(300, side))
    pixels, size = PictureFile(kept(tmp_path, tiled(pixels, 128)), LIMIT).view()
    assert size == Size(300, side)
    assert pixels.shape == (150, side // 2, 3)
    means = smooth(size).reshape(150, 2, side // 2, 2, 3).mean(axis=(1, 3))
    assert np.abs(pixels - means).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_jpeg_is_decoded_at_a_part_of_its_size_and_upright(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = saved(tmp_path, Image.fromarray(smooth()), "JPEG", exif=exif, quality=95)
    whole = pictures.read(path, max_pixels=10**7)
    file = PictureFile(path, LIMIT)
    pixels, size = file.view()
    assert size == Size(*whole.shape[:2])
    assert pixels.shape[0] * pixels.shape[1] <= LIMIT
    area = Area(100, 40, 300, 420)
    part = file.view(area)
    for found, true in ((pixels, whole), (part.pixels, whole[40:420, 100:300])):
        again = cv2.resize(found, true.shape[1::-1], interpolation=cv2.INTER_LINEAR)
        assert np.abs(again.astype(int) - true).mean() < 3
    assert part.size == area.size


def test_what_is_small_enough_is_read_as_ever(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(smooth()), "PNG")
    file = PictureFile(path, 10**6)
    np.testing.assert_array_equal(file.view().pixels, smooth())
    np.testing.assert_array_equal(file.view(Area(5, 6, 70, 80)).pixels, smooth()[6:80, 5:70])


def test_the_next_part_of_a_picture_is_not_decoded_again(tmp_path: Path) -> None:
    path = saved(tmp_path, Image.fromarray(smooth()), "PNG")
    recent = RecentPictures(10**6)
    recent.view("digest", path, "it", Area(0, 0, 9, 9))
    path.write_bytes(b"")
    part = recent.view("digest", path, "it", Area(5, 6, 70, 80))
    np.testing.assert_array_equal(part.pixels, smooth()[6:80, 5:70])
    with pytest.raises(MediaUnreadable):
        recent.view("another", path, "it", Area(0, 0, 9, 9))


# What is refused


def assert_too_large(path: Path, says: str) -> None:
    for area in (None, AREAS[1]):
        with pytest.raises(TooLarge, match=says):
            PictureFile(path, LIMIT, "http://a/b").view(area)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", {}), ("JPEG", {"progressive": True}), ("JPEG2000", {})]
)
def test_what_can_only_be_decoded_whole_is_refused(
    tmp_path: Path, kind: str, options: dict[str, object]
) -> None:
    path = saved(tmp_path, Image.fromarray(smooth()), kind, **options)
    assert_too_large(path, r"^http://a/b has 700 x 500 = 350,000 .*MAX_IMAGE_PIXELS.*TIFFs.*baseline JPEGs")


def test_a_tiff_of_one_strip_that_is_too_large_for_it_is_refused(tmp_path: Path) -> None:
    wide = Image.new("L", (5000, 5000))
    path = saved(tmp_path, wide, "TIFF", tiffinfo={278: 5000}, compression="tiff_adobe_deflate")
    assert_too_large(path, "in strips of 5000 x 5000 pixels.*save it again in tiles")


def test_a_tiff_that_is_turned_or_has_no_agreed_white_is_refused(tmp_path: Path) -> None:
    assert_too_large(kept(tmp_path, tiled(smooth(), orientation=3)), "upright")
    floats = Image.fromarray(smooth()[..., 0].astype(np.float32))
    assert_too_large(saved(tmp_path, floats, "TIFF"), "MAX_IMAGE_PIXELS")


def test_a_bomb_of_more_pixels_than_are_read_in_parts_is_refused(tmp_path: Path) -> None:
    tile = np.zeros((1024, 1024, 3), np.uint8)
    assert_too_large(kept(tmp_path, repeated(17 * 1024, tile)), "Up to 268,435,456")


def test_a_bomb_whose_tiles_are_many_times_the_picture_is_refused(tmp_path: Path) -> None:
    thin = tiled(np.zeros((40_000, 4, 3), np.uint8), 2048)
    with pytest.raises(TooLarge, match="in tiles of 2048 x 2048"):
        PictureFile(kept(tmp_path, thin), LIMIT).view()


def test_tiles_that_claim_more_bytes_than_pixels_take_are_refused(tmp_path: Path) -> None:
    content = tiled(smooth(), 64)
    lengths = content.rindex((325).to_bytes(2, "little"))
    at = int.from_bytes(content[lengths + 8 : lengths + 12], "little")
    path = kept(tmp_path, content[:at] + b"\xff\xff\xff\x7f" * 20 + content[at + 80 :])
    with pytest.raises(MediaUnreadable, match="longer than their pixels"):
        PictureFile(path, LIMIT).view()


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), in_tiles=st.booleans())
def test_a_damaged_file_is_a_picture_or_a_clear_error(
    tmp_path: Path, data: st.DataObject, in_tiles: bool
) -> None:
    if in_tiles:
        content = bytearray(tiled(smooth(Size(90, 70)), 32))
    else:
        content = bytearray(saved(tmp_path, Image.fromarray(smooth(Size(90, 70))), "JPEG").read_bytes())
    places = st.integers(0, len(content) - 1) | st.integers(len(content) - 200, len(content) - 1)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(places)] = data.draw(st.integers(0, 255))
    path = kept(tmp_path, bytes(content[: data.draw(st.integers(1, len(content)))]))
    with suppress(MediaUnreadable, TooLarge):
        assert PictureFile(path, 1000).view(Area(5, 5, 20, 30)).pixels.shape[2] == 3


MEASURED = """
import resource, sys
from pathlib import Path
from label_studio_sam2.media_files.large import PictureFile
from label_studio_sam2.types import Area
def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
before = peak()
file = PictureFile(Path(sys.argv[1]), 100_000_000)
for area in (None, Area(0, 0, 4096, 4096), Area(9000, 9000, 10024, 10024)):
    file.view(area)
print(peak() - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "most"), [("TIFF", 200), ("JPEG", 450)])
def test_the_largest_picture_is_read_in_bounded_memory(tmp_path: Path, kind: str, most: int) -> None:
    """In MB; whole it has 768."""
    side = 1 << 14
    if kind == "TIFF":
        path = kept(tmp_path, repeated(side, smooth(Size(512, 512))))
    else:
        path = saved(tmp_path, Image.new("RGB", (side, side), "red"), "JPEG")
    found = subprocess.run(
        [sys.executable, "-c", MEASURED, str(path)], capture_output=True, text=True, check=True
    )
    assert int(found.stdout) < most
