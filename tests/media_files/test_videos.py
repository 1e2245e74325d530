from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import accumulate
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from label_studio_sam2.errors import MediaUnreadable, TooLarge
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Size

from tests.fakes.clips import (
    cut_beginning,
    damage_packets,
    number_of,
    without_times,
    write_clip,
    write_sound,
    write_with_sound,
)

B_FRAMES = {"bf": "3", "g": "12", "b_strategy": "0"}
DAMAGED = Path(__file__).parent / "damaged"
UNEVEN = list(accumulate(range(10, 70)))

FILES: dict[str, dict[str, Any]] = {
    "h264.mp4": {"options": B_FRAMES},
    "every_frame_a_key.mp4": {"options": {"g": "1"}},
    "open_groups.mp4": {"options": {"x264-params": "open-gop=1:keyint=10:bframes=3:b-adapt=0"}},
    "hevc.mp4": {
        "codec": "libx265",
        "options": {"x265-params": "log-level=none:keyint=10:bframes=3:open-gop=1"},
    },
    "ntsc.mp4": {"rate": Fraction(30000, 1001), "options": B_FRAMES},
    "film.mkv": {"rate": Fraction(24000, 1001), "options": B_FRAMES},
    "hidden_frames.webm": {
        "codec": "libvpx",
        "options": {"auto-alt-ref": "1", "lag-in-frames": "16", "g": "20"},
    },
    "odd.webm": {
        "codec": "libvpx-vp9",
        "options": {"cpu-used": "8", "deadline": "realtime"},
        "size": (97, 65),
    },
    "odd.mp4": {"pixels": "yuv444p", "size": (97, 63)},
    "variable.mp4": {"milliseconds": UNEVEN, "options": B_FRAMES},
    "variable.mkv": {"milliseconds": UNEVEN, "options": B_FRAMES},
    "late.mp4": {"milliseconds": [2000 + 40 * n for n in range(60)], "options": {"bf": "2"}},
    "broadcast.ts": {"options": B_FRAMES},
    "no_times.h264": {"container": "h264", "options": B_FRAMES},
    "old.avi": {"options": B_FRAMES},
    "fragments.mp4": {
        "options": {"g": "10"},
        "container_options": {"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    },
}


@pytest.mark.parametrize("name", FILES)
def test_every_frame_is_found_by_its_number_forward_backward_and_at_random(tmp_path: Path, name: str) -> None:
    video = Video.open(write_clip(tmp_path / name, **FILES[name]))

    assert len(video) == 60
    assert [number_of(picture) for picture in video.frames(range(60))] == list(range(60))
    assert [number_of(picture) for picture in video.frames(range(59, -1, -1))] == list(range(59, -1, -1))
    assert [number_of(video.frame(index)) for index in (41, 3, 59, 12, 0, 30)] == [41, 3, 59, 12, 0, 30]
    assert [number_of(picture) for picture in video.frames(range(17, 25))] == list(range(17, 25))
    assert video.note == ""


@pytest.mark.parametrize(
    ("name", "rate"),
    [
        ("h264.mp4", 25),
        ("ntsc.mp4", 30000 / 1001),
        ("film.mkv", 24000 / 1001),
        ("old.avi", 25),
        ("broadcast.ts", 25),
    ],
)
def test_times_and_rate_are_the_files_own(tmp_path: Path, name: str, rate: float) -> None:
    video = Video.open(write_clip(tmp_path / name, **FILES[name]))

    assert video.rate == pytest.approx(rate, rel=1e-3)
    np.testing.assert_allclose(video.times, np.arange(60) / rate, atol=1e-3)
    assert video.duration == pytest.approx(60 / rate, abs=0.05)


@pytest.mark.parametrize(
    ("name", "begin", "duration"),
    [("late.mp4", 2.0, 2.4), ("late.webm", 2.0, 4.4), ("delayed.mp4", 0.08, 2.4)],
)
def test_a_file_that_begins_late_has_its_times_as_chromium_and_says_what_firefox_takes_from_them(
    tmp_path: Path, name: str, begin: float, duration: float
) -> None:
    """Measured in Chromium: `currentTime` 0.8 of the third shows its frame 18."""
    files = {
        "late.mp4": FILES["late.mp4"],
        "late.webm": {"codec": "libvpx", "milliseconds": FILES["late.mp4"]["milliseconds"]},
        "delayed.mp4": {"options": B_FRAMES, "container_options": {"use_editlist": "0"}},
    }
    video = Video.open(write_clip(tmp_path / name, **files[name]))

    np.testing.assert_allclose(video.times, begin + np.arange(60) / 25, atol=1e-3)
    assert video.begin == pytest.approx(begin, abs=1e-3)
    assert video.duration == pytest.approx(duration, abs=0.01)
    assert video.note == ""


def test_a_picture_that_begins_after_its_sound_is_shown_by_every_browser_when_it_begins(
    tmp_path: Path,
) -> None:
    path = write_with_sound(tmp_path / "clip.mp4", seconds=3, frames=20)
    video = Video.open(path)
    assert (video.begin, video.times[0]) == (0, 0)


def test_a_frame_of_a_variable_rate_begins_when_its_packet_says(tmp_path: Path) -> None:
    video = Video.open(write_clip(tmp_path / "variable.mp4", **FILES["variable.mp4"]))

    np.testing.assert_allclose(video.times, np.array(UNEVEN) / 1000, atol=1e-6)
    assert video.begin == pytest.approx(UNEVEN[0] / 1000)


def test_an_edit_list_leaves_out_the_frames_that_players_leave_out(tmp_path: Path) -> None:
    path = cut_beginning(write_clip(tmp_path / "trimmed.mp4", options={"bf": "0", "g": "12"}), seconds=0.4)

    video = Video.open(path)

    assert len(video) == 50
    assert video.times[0] == 0
    assert [number_of(picture) for picture in video.frames(range(50))] == list(range(10, 60))
    assert [number_of(picture) for picture in video.frames(range(49, -1, -1))] == list(range(59, 9, -1))


def test_a_long_group_of_pictures_goes_backward_in_bounded_memory(tmp_path: Path) -> None:
    video = Video.open(write_clip(tmp_path / "long.mp4", options={"g": "60"}))

    backward = video.frames(range(50, 2, -1), window=7 * 96 * 64 * 3)

    assert [number_of(picture) for picture in backward] == list(range(50, 2, -1))


@pytest.mark.parametrize(("rotation", "corner"), [(90, (10, 32)), (-90, (10, 32)), (180, (-10, 48))])
def test_a_phones_rotation_is_applied(tmp_path: Path, rotation: int, corner: tuple[int, int]) -> None:
    video = Video.open(write_clip(tmp_path / "phone.mp4", frames=3, rotation=rotation))

    picture = video.frame(1)

    assert picture.shape[:2] == video.size == (Size(96, 64) if abs(rotation) == 90 else Size(64, 96))
    red = (picture[..., 0] > 150) & (picture[..., 1] < 80)
    sides = {90: red[:, :16], -90: red[:, -16:], 180: red[-16:]}
    assert sides[rotation].mean() > 0.9
    assert red.mean() < 0.3


def test_a_cut_off_file_gives_what_can_be_decoded_and_says_so(tmp_path: Path) -> None:
    whole = write_clip(tmp_path / "whole.mkv", frames=200, size=(160, 120), options={"g": "10"})
    part = tmp_path / "part.mkv"
    part.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])

    video = Video.open(part)

    assert 50 < len(video) < 150
    assert "cut off" in video.note
    read = [number_of(picture) for picture in video.frames(range(len(video)))]
    assert read[:-1] == list(range(len(video) - 1))


def test_a_cut_off_mp4_says_how_many_frames_are_left(tmp_path: Path) -> None:
    whole = write_clip(
        tmp_path / "whole.mp4", options={"g": "10"}, container_options={"movflags": "faststart"}
    )
    part = tmp_path / "part.mp4"
    part.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])

    video = Video.open(part)

    assert video.note == f"The file was cut off: {len(video)} of its 60 frames can be read."
    assert len(list(video.frames(range(len(video))))) == len(video)


def absolute_clock(path: Path) -> Path:
    return write_clip(path, frames=20, milliseconds=[90_000_000 + 40 * number for number in range(20)])


def still_end(path: Path) -> Path:
    return write_clip(path, frames=20, milliseconds=[*range(0, 760, 40), 60_000])


def long_sound(path: Path) -> Path:
    return write_with_sound(path, frames=20, seconds=5)


def trimmed(path: Path) -> Path:
    """Whose edit list leaves out two groups of pictures, as trimming without encoding does."""
    return cut_beginning(write_clip(path, options={"bf": "0", "g": "12"}), seconds=1.0)


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "webm", "mov"])
@pytest.mark.parametrize("write", [absolute_clock, still_end, long_sound])
def test_no_whole_file_is_called_cut_off(tmp_path: Path, write: Callable[[Path], Path], suffix: str) -> None:
    if suffix == "webm":
        path = write(tmp_path / "clip.mkv").rename(tmp_path / "clip.webm")
    else:
        path = write(tmp_path / f"clip.{suffix}")
    video = Video.open(path)
    assert (len(video), video.note) == (20, "")


def test_frames_that_an_edit_list_leaves_out_are_not_called_cut_off(tmp_path: Path) -> None:
    video = Video.open(trimmed(tmp_path / "trimmed.mp4"))
    assert len(video) < 40
    assert video.note == ""


def test_a_stream_whose_length_nobody_knew_when_it_was_written_is_not_called_cut_off(tmp_path: Path) -> None:
    """As browsers record it: Matroska's size is unknown then."""
    path = write_clip(tmp_path / "live.mkv", container_options={"live": "1"})
    assert Video.open(path).note == ""


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("part.mp4", {"movflags": "faststart"}),
        ("part.mov", {"movflags": "faststart"}),
        ("part.mp4", {"movflags": "frag_keyframe+empty_moov+default_base_moof"}),
        ("part.mkv", {}),
        ("part.avi", {}),
    ],
)
def test_every_container_that_is_cut_off_is_said_to_be(
    tmp_path: Path, name: str, options: dict[str, str]
) -> None:
    path = write_clip(tmp_path / name, options={"g": "10"}, container_options=options)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * 0.7)])
    video = Video.open(path)
    assert f"The file was cut off: {len(video)} of its" in video.note
    assert len(list(video.frames(range(len(video))))) == len(video)


@pytest.mark.parametrize("name", ["seek.mxf", "convert.mov"])
def test_damage_that_only_a_seek_or_a_conversion_meets_leaves_every_frame(name: str) -> None:
    video = Video.open(DAMAGED / name)
    forward = list(video.frames(range(len(video))))
    backward = list(video.frames(range(len(video) - 1, -1, -1)))[::-1]
    alone = [video.frame(index) for index in range(len(video))]
    for pictures in (forward, backward, alone):
        assert len(pictures) == len(video) > 10
        assert {picture.shape for picture in pictures} == {(*video.size, 3)}
        assert len({picture.tobytes() for picture in pictures}) > len(video) / 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.avi", "a.ts", "a.mxf", "a.flv", "a.nut"])
def test_any_damage_is_read_past_or_named(tmp_path: Path, name: str) -> None:
    whole = write_clip(
        tmp_path / name, frames=15, codec="mpeg2video" if name == "a.mxf" else "libx264"
    ).read_bytes()
    random = Random(7)
    for _ in range(40):
        content = bytearray(whole)
        for _ in range(random.choice([1, 5, 40])):
            content[random.randrange(len(content))] = random.randrange(256)
        (tmp_path / f"spoilt-{name}").write_bytes(content)
        try:
            video = Video.open(tmp_path / f"spoilt-{name}")
            pictures = [video.frame(len(video) // 2), *video.frames(range(len(video) - 1, -1, -1))]
            assert {picture.shape for picture in pictures} == {(*video.size, 3)}
        except (MediaUnreadable, TooLarge):
            continue


def test_a_damaged_frame_shows_the_one_before_it_as_a_player_does(tmp_path: Path) -> None:
    path = damage_packets(write_clip(tmp_path / "damaged.mp4", options={"g": "1"}), {0, 1, 30, 31, 59})

    video = Video.open(path)

    shown = [2, 2, *range(2, 30), 29, 29, *range(32, 59), 58]
    assert [number_of(picture) for picture in video.frames(range(60))] == shown
    assert [number_of(picture) for picture in video.frames(range(59, -1, -1))] == shown[::-1]
    assert [number_of(video.frame(index)) for index in (0, 1, 31, 59)] == [2, 2, 29, 58]


def test_a_video_of_which_nothing_decodes_is_refused(tmp_path: Path) -> None:
    path = damage_packets(write_clip(tmp_path / "damaged.mp4", frames=4), {0, 1, 2, 3})

    with pytest.raises(MediaUnreadable, match="damaged"):
        Video.open(path)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("empty.mp4", b"", "empty"),
        ("text.txt", b"not a video\n" * 50, "another kind"),
        ("text.mp4", b"not a video\n" * 50, "another kind"),
        ("list.m3u8", b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nother.mp4\n", "another kind"),
        ("list.mp4", b"ffconcat version 1.0\nfile other.mp4\n", "another kind"),
    ],
)
def test_what_is_no_video_is_refused_in_a_sentence(
    tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    write_clip(tmp_path / "other.mp4", frames=3)
    path = tmp_path / name
    path.write_bytes(content)

    with pytest.raises(MediaUnreadable, match=says):
        Video.open(path)


def test_a_file_without_its_index_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "whole.mp4")
    path.write_bytes(path.read_bytes()[:-1500])

    with pytest.raises(MediaUnreadable, match="cut off before its index"):
        Video.open(path)


def test_sound_without_a_picture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadable, match="sound but no picture"):
        Video.open(write_sound(tmp_path / "sound.m4a"))


def test_a_codec_without_decoder_is_refused(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "unknown.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1", b"zzzz"))

    with pytest.raises(MediaUnreadable, match="no decoder"):
        Video.open(path)


def test_a_video_of_no_frames_a_second_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MediaUnreadable, match="0 frames a second"):
        Video.open(without_times(tmp_path / "still.mkv"))


def test_frames_larger_than_allowed_are_refused_before_decoding(tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="MAX_IMAGE_PIXELS"):
        Video.open(write_clip(tmp_path / "large.mp4", frames=2), max_pixels=96 * 64 - 1)


def test_frames_outside_of_the_video_are_an_error(tmp_path: Path) -> None:
    video = Video.open(write_clip(tmp_path / "short.mp4", frames=5))

    with pytest.raises(IndexError):
        video.frame(5)
    with pytest.raises(IndexError):
        video.frames(range(4, -2, -1))
    assert list(video.frames(range(3, 3))) == []
