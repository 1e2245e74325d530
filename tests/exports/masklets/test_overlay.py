"""Videos found by name or fetched, and drawn over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import Colorspace
from label_studio_sam2.exports.masklets.convert import Progress, convert
from label_studio_sam2.exports.masklets.format import Format
from label_studio_sam2.exports.report import Lack
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.types import Pixels, Size
from numpy.typing import NDArray

from tests.fakes.clips import write_clip
from tests.fakes.exports import ADDRESS, FRAMES, SIZE, annotation, task, track, two_objects, write
from tests.fakes.servers import LEGACY, LabelStudio, serving

VISIBLE = 20
"""Of 255: what a lossy codec stays below, and the overlay's colours are above."""

MILLISECONDS = [0, 40, 70, 130, 170, 200, 260, 300, 340, 390, 430, 450]


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    (tmp_path / "videos" / "day 1").mkdir(parents=True)
    return tmp_path / "videos"


def numbered_clip(path: Path, size: Size = SIZE, **how: Any) -> Path:
    return write_clip(path, frames=FRAMES, size=size[::-1], options={"crf": "1"}, **how)


def grey_clip(path: Path) -> Path:
    """Grey all over, so that a colour is the overlay's."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=25)
        stream.height, stream.width = SIZE
        for _ in range(FRAMES):
            file.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((*SIZE, 3), 128, np.uint8))))
        file.mux(stream.encode())
    return path


def export_of(tmp_path: Path, masks: NDArray[np.bool_], address: str = ADDRESS, **how: Any) -> Path:
    regions = [track(masks[:, 0], **how), track(masks[:, 1], "bar", **how)]
    return write(tmp_path / "export.json", task(annotation(regions), address=address))


def pictures(path: Path) -> list[Pixels]:
    video = Video.open(path)
    return list(video.frames(range(len(video))))


def changed(before: Pixels, after: Pixels) -> NDArray[np.bool_]:
    difference: NDArray[np.int16] = np.abs(before.astype(np.int16) - after).max(axis=2)
    return difference > VISIBLE


def test_an_overlay_differs_from_the_video_exactly_where_the_masks_are(tmp_path: Path, videos: Path) -> None:
    source = grey_clip(videos / "day 1" / "08e54ecd-match.mp4")
    masks = two_objects()
    report = convert(export_of(tmp_path, masks), tmp_path / "out", Format.OVERLAY, Sources(videos))
    before, after = pictures(source), pictures(tmp_path / "out" / "08e54ecd-match.mp4")
    assert len(after) == len(before) == FRAMES
    assert (report.clips, report.masks, report.lacks) == (1, np.count_nonzero(masks.any(axis=(2, 3))), {})
    for truth, one, other in zip(masks.any(axis=1), before, after, strict=True):
        # Colour is stored for blocks of 2 x 2 pixels: at a mask's rim the colours mix.
        inside = cv2.erode(truth.astype(np.uint8), np.ones((5, 5))) > 0
        outside = cv2.dilate(truth.astype(np.uint8), np.ones((5, 5))) == 0
        differs = changed(one, other)
        assert inside.any()
        assert differs[inside].all()
        assert not differs[outside].any()


def test_objects_have_colours_of_their_own_and_the_same_on_all_frames(tmp_path: Path, videos: Path) -> None:
    grey_clip(videos / "match.mp4")
    convert(export_of(tmp_path, two_objects()), tmp_path / "out", Format.OVERLAY, Sources(videos))
    after = pictures(tmp_path / "out" / "08e54ecd-match.mp4")
    hues = [
        [
            int(np.median(cv2.cvtColor(after[frame], cv2.COLOR_RGB2HSV)[two_objects()[frame, number]][:, 0]))
            for frame in (0, 3, 9)
        ]
        for number in range(2)
    ]
    assert all(max(of_one) - min(of_one) < 12 for of_one in hues)
    assert abs(hues[0][0] - hues[1][0]) > 30


def test_an_overlay_tells_players_how_its_colours_are_stored(tmp_path: Path, videos: Path) -> None:
    source = numbered_clip(videos / "match.mp4")
    convert(export_of(tmp_path, two_objects()), tmp_path / "out", Format.OVERLAY, Sources(videos))
    drawn = tmp_path / "out" / "08e54ecd-match.mp4"
    assert np.abs(pictures(source)[3][2, 2].astype(int) - pictures(drawn)[3][2, 2]).max() < 8
    with av.open(str(drawn)) as file:
        assert file.streams.video[0].codec_context.colorspace == Colorspace.ITU709


@pytest.mark.parametrize("size", [SIZE, Size(SIZE.height + 1, SIZE.width + 1)])
def test_an_overlay_keeps_the_videos_times_and_all_its_pixels(
    tmp_path: Path, videos: Path, size: Size
) -> None:
    source = Video.open(
        numbered_clip(videos / "match.mp4", size, milliseconds=MILLISECONDS, pixels="yuv444p")
    )
    masks = np.zeros((FRAMES, 2, *size), np.bool_)
    masks[:, :, 5:9, 5:9] = True
    path = export_of(tmp_path, masks, times=source.times, size=size)
    convert(path, tmp_path / "out", Format.OVERLAY, Sources(videos))
    drawn = Video.open(tmp_path / "out" / "08e54ecd-match.mp4")
    np.testing.assert_allclose(drawn.times, source.times, atol=0.001)
    assert drawn.size == tuple(edge + edge % 2 for edge in source.size)
    height, width = source.size
    assert not changed(source.frame(4), drawn.frame(4)[:height, :width])[12:].any()


def test_masks_are_placed_on_a_phones_video_as_it_is_seen(tmp_path: Path, videos: Path) -> None:
    source = numbered_clip(videos / "match.mp4", Size(SIZE.width, SIZE.height), rotation=90)
    masks = two_objects()
    convert(export_of(tmp_path, masks), tmp_path / "out", Format.OVERLAY, Sources(videos))
    before, after = pictures(source), pictures(tmp_path / "out" / "08e54ecd-match.mp4")
    assert after[0].shape == before[0].shape == (*SIZE, 3)
    inside = cv2.erode(masks[0, 0].astype(np.uint8), np.ones((3, 3))) > 0
    assert changed(before[0], after[0])[inside].all()


def test_a_video_is_fetched_from_label_studio_where_no_folder_has_it(tmp_path: Path, videos: Path) -> None:
    source = numbered_clip(tmp_path / "source.mp4")
    path = export_of(tmp_path, two_objects())
    with serving(LabelStudio()) as site, LabelStudioClient(site.url, LEGACY) as client:
        site.files[ADDRESS] = source.read_bytes()
        sources = Sources(videos, MediaStore(tmp_path / "cache", client))
        report = convert(path, tmp_path / "out", Format.OVERLAY, sources)
    assert (report.clips, report.lacks) == (1, {})
    assert (tmp_path / "out" / "08e54ecd-match.mp4").exists()


def test_without_the_video_an_overlay_is_not_drawn_and_data_sets_count_as_label_studio(
    tmp_path: Path, videos: Path
) -> None:
    path = export_of(tmp_path, two_objects())
    report = convert(path, tmp_path / "drawn", Format.OVERLAY, Sources(videos))
    assert (report.masks, report.lacks) == (0, {Lack.NO_VIDEO: 1})
    assert report.examples[Lack.NO_VIDEO] == f"task 5: 08e54ecd-match.mp4 isn't in {videos}."
    report = convert(path, tmp_path / "out", Format.COCO, Sources(videos))
    assert (report.clips, report.by_source, report.frames) == (1, 0, FRAMES)
    assert report.lacks == {Lack.NO_VIDEO: 1}


def test_a_video_that_cannot_be_told_or_read_is_named(tmp_path: Path, videos: Path) -> None:
    path = export_of(tmp_path, two_objects())
    (videos / "match.mp4").write_bytes(b"")
    report = convert(path, tmp_path / "empty", Format.OVERLAY, Sources(videos))
    assert "it is empty" in report.examples[Lack.NO_VIDEO]
    (videos / "day 1" / "match.mp4").write_bytes(b"")
    report = convert(path, tmp_path / "two", Format.OVERLAY, Sources(videos))
    assert "Several files are named match.mp4" in report.examples[Lack.NO_VIDEO]


def test_masks_of_another_size_than_the_video_are_not_stretched(tmp_path: Path, videos: Path) -> None:
    numbered_clip(videos / "match.mp4", Size(SIZE.height * 2, SIZE.width * 2))
    path = export_of(tmp_path, two_objects())
    report = convert(path, tmp_path / "out", Format.DAVIS, Sources(videos))
    masks = np.count_nonzero(two_objects().any(axis=(2, 3)))
    assert (report.masks, report.lacks) == (0, {Lack.OTHER_SIZE: masks, Lack.NO_MASKS: 2})


def test_progress_goes_through_every_frame_and_the_whole_export(tmp_path: Path, videos: Path) -> None:
    numbered_clip(videos / "match.mp4")
    path = export_of(tmp_path, two_objects())
    for form in Format:
        seen: list[Progress] = []
        convert(path, tmp_path / form, form, Sources(videos), watch=seen.append)
        assert seen[-1] == Progress(1.0, "08e54ecd-match", FRAMES, FRAMES)
        assert [progress.done for progress in seen] == sorted({progress.done for progress in seen})
