from __future__ import annotations

import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_sam2.errors import Busy, MediaUnavailable, MediaUnreadable, TooLarge
from label_studio_sam2.media_files import pictures
from label_studio_sam2.media_files.rgb import STRIP_PIXELS
from label_studio_sam2.media_files.room import Room
from label_studio_sam2.types import Pixels
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
@pytest.mark.parametrize("suffix", ["jpg", "png", "tiff", "avif"])
def test_every_orientation_is_turned_upright(tmp_path: Path, suffix: str, orientation: int) -> None:
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(noise(24, 37)), exif=exif(orientation))
    pixels = pictures.read(path, max_pixels=LIMIT)
    assert np.array_equal(pixels, truth(path))
    assert pixels.flags.c_contiguous


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(["1", "L", "P", "RGB", "CMYK", "YCbCr"]),
    suffix=st.sampled_from(["jpg", "png", "tiff", "bmp", "gif"]),
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
    assert np.array_equal(pictures.read(path, max_pixels=LIMIT), truth(path))


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
    assert np.array_equal(pictures.read(path, max_pixels=LIMIT), expected)


def test_what_is_wholly_transparent_is_white(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.new("RGBA", (3, 2), (200, 10, 10, 0)))
    assert (pictures.read(path, max_pixels=LIMIT) == 255).all()


def test_16_bit_greys_keep_their_upper_8_bits(tmp_path: Path) -> None:
    grey = np.arange(0, 65536, 257, dtype=np.uint16).reshape(16, 16)
    for suffix in ("png", "tiff"):
        path = saved(tmp_path / f"a.{suffix}", Image.fromarray(grey))
        assert np.array_equal(pictures.read(path, max_pixels=LIMIT)[..., 1], (grey >> 8).astype(np.uint8))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_32_bit_greys_are_stretched(tmp_path: Path, dtype: type[np.generic]) -> None:
    grey = np.linspace(-1000, 3000, 12, dtype=np.float64).reshape(3, 4).astype(dtype)
    pixels = pictures.read(saved(tmp_path / "a.tiff", Image.fromarray(grey)), max_pixels=LIMIT)
    assert (pixels[0, 0, 0], pixels[-1, -1, 2]) == (0, 255)
    assert (np.diff(pixels[..., 0].ravel().astype(int)) > 0).all()


def test_one_even_32_bit_grey_is_black(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.tiff", Image.fromarray(np.full((3, 4), 7.5, np.float32)))
    assert not pictures.read(path, max_pixels=LIMIT).any()


def test_of_several_frames_the_first_is_taken(tmp_path: Path) -> None:
    first, second = (Image.new("RGB", (4, 3), colour) for colour in ("red", "blue"))
    for suffix in ("gif", "tiff", "webp", "png"):
        options = {"lossless": True} if suffix == "webp" else {}
        path = saved(tmp_path / f"a.{suffix}", first, save_all=True, append_images=[second], **options)
        assert (pictures.read(path, max_pixels=LIMIT) == (255, 0, 0)).all()


def test_a_picture_taller_than_a_strip_is_put_together_rightly(
    tmp_path: Path,
) -> None:
    tall = np.tile(noise(50, 41), (STRIP_PIXELS // (50 * 41) + 30, 1, 1))
    path = saved(tmp_path / "a.bmp", Image.fromarray(tall))
    assert np.array_equal(pictures.read(path, max_pixels=2 * tall.size), tall)


# What is wrapped around the pixels


def jpeg_of(pixels: Pixels, **options: object) -> bytes:
    content = BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", **options)  # type: ignore[arg-type]
    return content.getvalue()


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def tiff(kind: int, count: int, value: int, order: str = ">") -> bytes:
    """An EXIF block with one entry, the orientation; 3 is a SHORT."""
    start = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(f"{order}IH", 8, 1)
    packed = struct.pack(f"{order}B3x" if kind == 1 else f"{order}H2x" if kind == 3 else f"{order}I", value)
    return start + struct.pack(f"{order}HHI", 0x0112, kind, count) + packed + bytes(4)


XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
PIXELS = noise(24, 37)
BROWSERS = [
    ("a SHORT", tiff(3, 1, 6), True),
    ("a SHORT of the other byte order", tiff(3, 1, 6, "<"), True),
    ("a BYTE", tiff(1, 1, 6), False),
    ("a LONG", tiff(4, 1, 6, "<"), False),
    ("two SHORTs", tiff(3, 2, 6), False),
    ("no known value", tiff(3, 1, 9), False),
    ("garbage", b"garbage of no kind", False),
    ("nothing", b"", False),
    ("a directory beyond the end", b"MM\0*\xff\xff\xff\xff", False),
    ("more entries than there are", b"II*\0\x08\0\0\0\xff\xff\x12\x01", False),
]


@pytest.mark.parametrize(
    ("exif", "turned"), [case[1:] for case in BROWSERS], ids=[case[0] for case in BROWSERS]
)
def test_only_the_exif_that_browsers_follow_turns_a_jpeg_or_png(
    tmp_path: Path, exif: bytes, turned: bool
) -> None:
    plain = jpeg_of(PIXELS)
    jpg, png = tmp_path / "a.jpg", tmp_path / "a.png"
    jpg.write_bytes(plain[:2] + segment(0xE1, b"Exif\0\0" + exif) + plain[2:])
    png.write_bytes(png_of(PIXELS, chunk(b"eXIf", exif)))
    (tmp_path / "plain.jpg").write_bytes(plain)
    for path, pixels in ((jpg, truth(tmp_path / "plain.jpg")), (png, PIXELS)):
        expected = np.rot90(pixels, -1) if turned else pixels
        assert np.array_equal(pictures.read(path, max_pixels=LIMIT), expected)


def png_of(pixels: Pixels, ahead: bytes = b"", behind: bytes = b"") -> bytes:
    content = BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    whole = content.getvalue()
    return whole[:33] + ahead + whole[33:-12] + behind + whole[-12:]


def raw_profile() -> bytes:
    profile = (b"Exif\0\0" + tiff(3, 1, 6)).hex().encode()
    text = b"\nexif\n%8d\n" % (len(profile) // 2) + profile + b"\n"
    return chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(text))


MEGABYTES = chunk(b"zTXt", b"parameters\0\0" + zlib.compress(b"x" * (2 << 20)))
JPEG_WRAPPINGS = {
    "XMP": segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + XMP),
    "a broken Photoshop resource": segment(0xED, b"Photoshop 3.0\0" + b"8BIM\x04\x04"),
    "a broken profile": segment(0xE2, b"ICC_PROFILE\0"),
    "a broken multi-picture index": segment(0xE2, b"MPF\0MM\0*\0\0\0\x08\xff\xff"),
    "a second EXIF": segment(0xE1, b"Exif\0\0" + tiff(3, 1, 1)) + segment(0xE1, b"Exif\0\0" + tiff(3, 1, 6)),
    "a thumbnail": segment(0xE1, b"Exif\0\0" + jpeg_of(noise(8, 8))),
    "comments and fill bytes": segment(0xFE, b"\xff\xd9\xff\xda") + b"\xff\xff\xff" + segment(0xFE, b"")[1:],
}
PNG_WRAPPINGS = {
    "megabytes of text": (MEGABYTES, b""),
    "a text that can't be unpacked": (chunk(b"zTXt", b"a\0\0no zlib"), b""),
    "ImageMagick's profile": (raw_profile(), b""),
    "an eXIf behind the pixels": (b"", chunk(b"eXIf", tiff(3, 1, 6))),
    "XMP": (chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + XMP), b""),
    "a broken profile": (chunk(b"iCCP", b"no name"), b""),
    "a chunk with a wrong sum": (chunk(b"tEXt", b"a\0b")[:-1] + b"?", b""),
    "chunks that are too short": (chunk(b"pHYs", b"") + chunk(b"gAMA", b"") + chunk(b"cHRM", b"1"), b""),
    "an animation without frames": (chunk(b"acTL", bytes(8)), b""),
}


@pytest.mark.parametrize("wrapping", JPEG_WRAPPINGS.values(), ids=JPEG_WRAPPINGS)
@pytest.mark.parametrize("progressive", [False, True])
def test_what_is_wrapped_around_a_jpeg_neither_spoils_nor_turns_it(
    tmp_path: Path, wrapping: bytes, progressive: bool
) -> None:
    plain = jpeg_of(PIXELS, progressive=progressive)
    (tmp_path / "plain.jpg").write_bytes(plain)
    path = tmp_path / "a.jpg"
    path.write_bytes(plain[:2] + wrapping + plain[2:] + b"what a phone appends \xff\xda" * 9)
    assert np.array_equal(pictures.read(path, max_pixels=LIMIT), truth(tmp_path / "plain.jpg"))
    assert pictures.note(path) == ""


@pytest.mark.parametrize(("ahead", "behind"), PNG_WRAPPINGS.values(), ids=PNG_WRAPPINGS)
def test_what_is_wrapped_around_a_png_neither_spoils_nor_turns_it(
    tmp_path: Path, ahead: bytes, behind: bytes
) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_of(PIXELS, ahead, behind))
    assert np.array_equal(pictures.read(path, max_pixels=LIMIT), PIXELS)


@pytest.mark.parametrize("suffix", ["webp", "gif"])
def test_what_browsers_never_turn_is_not_turned(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True, "exif": exif(6), "xmp": XMP} if suffix == "webp" else {}
    path = saved(tmp_path / f"a.{suffix}", Image.fromarray(PIXELS).quantize(), **options)
    with Image.open(path) as stored:
        assert np.array_equal(pictures.read(path, max_pixels=LIMIT), np.asarray(stored.convert("RGB")))


@pytest.mark.parametrize("colours", ["CMYK", "YCbCr", "L"])
def test_colours_of_a_jpeg_are_read_with_what_says_which_they_are(tmp_path: Path, colours: str) -> None:
    path = saved(tmp_path / "a.jpg", Image.fromarray(PIXELS).convert(colours))
    assert np.array_equal(pictures.read(path, max_pixels=LIMIT), truth(path))


def test_of_an_animation_whose_default_picture_is_hidden_the_first_frame_is_shown(tmp_path: Path) -> None:
    hidden, first, second = (Image.new("RGB", (4, 3), colour) for colour in ("red", "blue", "lime"))
    path = saved(tmp_path / "a.png", hidden, save_all=True, default_image=True, append_images=[first, second])
    assert (pictures.read(path, max_pixels=LIMIT) == (0, 0, 255)).all()


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("left", [0.5, 0.9, 0.99, 1.0])
def test_a_jpeg_that_breaks_off_shows_what_came_and_says_so(
    tmp_path: Path, left: float, progressive: bool
) -> None:
    gradient = np.repeat(np.linspace(0, 255, 200, dtype=np.uint8)[:, None], 300, axis=1)
    whole = jpeg_of(np.stack([gradient] * 3, axis=-1), progressive=progressive)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    expected = truth(path).astype(int)
    start = whole.rindex(b"\xff\xda") if progressive else whole.index(b"\xff\xda")
    path.write_bytes(whole[: start + 20 + int(left * (len(whole) - 2 - start - 20))])
    shown = pictures.read(path, max_pixels=LIMIT).astype(int)
    assert shown.shape == expected.shape
    rows = 200 if progressive else int(200 * left) - 24
    assert np.abs(shown[:rows] - expected[:rows]).mean() < 3
    assert "breaks off" in pictures.note(path)


def test_a_jpeg_that_breaks_off_in_a_table_between_its_scans_shows_the_scans_before(tmp_path: Path) -> None:
    whole = jpeg_of(noise(64, 64), progressive=True)
    tables = [place for place in range(len(whole)) if whole[place : place + 2] == b"\xff\xc4"]
    path = tmp_path / "a.jpg"
    path.write_bytes(whole[: tables[-1] + 9])
    assert pictures.read(path, max_pixels=LIMIT).shape == (64, 64, 3)


def test_a_jpeg_of_very_many_scans_is_refused_and_of_the_usual_number_is_not(tmp_path: Path) -> None:
    whole = jpeg_of(np.full((2400, 2400, 3), 90, np.uint8), progressive=True)
    path = tmp_path / "a.jpg"
    path.write_bytes(whole)
    assert pictures.read(path, max_pixels=10_000_000).shape == (2400, 2400, 3)
    last = whole.rindex(b"\xff\xda")
    path.write_bytes(whole[:-2] + whole[last:-2] * 800 + whole[-2:])
    with pytest.raises(TooLarge, match=r"8\d\d scans.*baseline"):
        pictures.read(path, max_pixels=10_000_000)


# Memory


def test_pictures_beyond_the_room_wait_until_others_are_let_go(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(noise(100, 100)))
    room = Room(210_000, wait_seconds=30)
    held = [pictures.read(path, max_pixels=LIMIT, room=room) for _ in range(4)]
    with ThreadPoolExecutor(1) as pool:
        fifth = pool.submit(pictures.read, path, max_pixels=LIMIT, room=room)
        with pytest.raises(TimeoutError):
            fifth.result(timeout=0.1)
        held.pop()
        assert fifth.result(timeout=10).shape == (100, 100, 3)


def test_who_waits_too_long_for_room_is_told_to_come_back(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.png", Image.fromarray(noise(100, 100)))
    room = Room(100_000, wait_seconds=0.01)
    held = [pictures.read(path, max_pixels=LIMIT, room=room) for _ in range(2)]
    with pytest.raises(Busy, match=r"no memory left for http://a/b\.png"):
        pictures.read(path, max_pixels=LIMIT, room=room, name="http://a/b.png")
    half = held.pop()[:50]
    assert pictures.read(path, max_pixels=LIMIT, room=Room(1)).shape == (100, 100, 3)
    assert half.shape == (50, 100, 3)


# What is refused


def png_header(width: int, height: int) -> bytes:
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
    with pytest.raises(TooLarge, match="MAX_IMAGE_PIXELS"):
        pictures.read(path, max_pixels=LIMIT)


def test_a_limit_above_pillows_own_is_ours_to_set(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(png_header(20_000, 20_000))
    before = Image.MAX_IMAGE_PIXELS
    with pytest.raises(MediaUnreadable):  # it has no pixels: but it was not too large to look for them
        pictures.read(path, max_pixels=400_000_000)
    assert before == Image.MAX_IMAGE_PIXELS


def jpeg() -> bytes:
    content = BytesIO()
    Image.fromarray(noise(64, 64)).save(content, "JPEG")
    return content.getvalue()


HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty"),
        (b"just some words\n", "it is text"),
        (b'{"detail": "Not found."}', "it is text"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>', "SVG"),
        (b"%PDF-1.7", "PDF"),
        *((b"\0\0\0\x18ftyp" + brand + bytes(8), "HEIC or HEIF picture; convert it") for brand in HEIF),
        (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL picture; convert it"),
        (b"\xff\x0a\xfa\x1f", "JPEG XL picture; convert it"),
        (bytes(128) + b"DICM\2\0\0\0", "DICOM file; convert it"),
        (b"8BPS\0\1" + bytes(30), "Photoshop document; convert it"),
        (b"v/1\1\2\0\0\0", "OpenEXR picture; convert it"),
        (b"\0\0\0\x18ftypcrx \0\0\0\1", "camera's raw picture; convert it"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"\xff\xd8\xff", "damaged"),
        (bytes(range(256)), "isn't supported"),
        (jpeg()[:200], "cut short"),
        (jpeg()[: jpeg().index(b"\xff\xda") + 6], "damaged"),
        (jpeg()[: jpeg().index(b"\xff\xda") + 14], "damaged"),
        (png_header(50, 50), "cut short"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "it is text"),
    ],
)
def test_what_is_no_whole_picture_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(content)
    with pytest.raises(MediaUnreadable, match=says) as error:
        pictures.read(path, max_pixels=LIMIT, name="http://images.example/a.png")
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
        assert pictures.read(path, max_pixels=LIMIT).shape[2] == 3


def test_a_file_that_is_gone_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(MediaUnavailable, match="no longer in the media cache"):
        pictures.read(tmp_path / "gone.png", max_pixels=LIMIT)
