from __future__ import annotations

from pathlib import Path

import pytest
from label_studio_sam2.errors import MediaUnreadable, TooLarge
from label_studio_sam2.media_files.indexed_videos import IndexedVideos

from tests.fakes.clips import number_of, write_clip


def test_a_file_is_read_once_and_its_frames_come_from_where_it_lies_now(tmp_path: Path) -> None:
    videos = IndexedVideos()
    before = write_clip(tmp_path / "before.mp4", frames=20)
    first = videos.open("digest", before)
    second = videos.open("digest", tmp_path / "nowhere.mp4")  # isn't looked at
    assert second.times is first.times
    after = before.rename(tmp_path / "after.mp4")
    assert number_of(videos.open("digest", after).frame(7)) == 7


def test_other_bytes_are_another_video(tmp_path: Path) -> None:
    videos = IndexedVideos()
    path = write_clip(tmp_path / "clip.mp4", frames=20)
    assert len(videos.open("one", path)) == 20
    write_clip(path, frames=7)
    assert len(videos.open("other", path)) == 7


def test_what_could_not_be_read_is_read_again(tmp_path: Path) -> None:
    videos, path = IndexedVideos(max_pixels=96 * 64), tmp_path / "clip.mp4"
    path.write_bytes(b"")
    with pytest.raises(MediaUnreadable):
        videos.open("digest", path)
    assert len(videos.open("digest", write_clip(path, frames=5))) == 5
    with pytest.raises(TooLarge):
        videos.open("large", write_clip(path, frames=2, size=(128, 64)))
