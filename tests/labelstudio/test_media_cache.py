from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from label_studio_sam2.errors import MediaUnavailable
from label_studio_sam2.labelstudio.media_cache import (
    ABANDONED_SECONDS,
    GRACE_SECONDS,
    Draft,
    Entry,
    MediaCache,
    Validators,
)


@dataclass
class Clock:
    time: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time

    def later(self) -> None:
        self.time += GRACE_SECONDS + 1


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keep(cache: MediaCache, key: str, content: bytes) -> Entry:
    def fill(draft: Draft) -> Validators:
        draft.write(content)
        return "", ""

    return cache.store(key, fill)


def bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.iterdir() if path.suffix != ".json")


def test_the_folder_stays_within_its_bound(tmp_path: Path, clock: Clock) -> None:
    cache = MediaCache(tmp_path, 1000, now=clock)
    for number in range(50):
        keep(cache, f"key{number}", bytes(100))
        clock.later()
    assert 900 <= bytes_in(tmp_path) <= 1000
    assert len(list(tmp_path.iterdir())) == 2 * bytes_in(tmp_path) // 100


def test_what_was_used_least_recently_goes_first(tmp_path: Path, clock: Clock) -> None:
    cache = MediaCache(tmp_path, 300, now=clock)
    for key in "abc":
        keep(cache, key, key.encode() * 100)
        clock.later()
    assert cache.get("a")
    clock.later()
    keep(cache, "d", bytes(100))
    assert [key for key in "abcd" if cache.get(key)] == ["a", "c", "d"]


def test_what_was_just_used_is_spared_even_beyond_the_bound(tmp_path: Path, clock: Clock) -> None:
    cache = MediaCache(tmp_path, 100, now=clock)
    used = keep(cache, "a", bytes(100))
    for number in range(9):
        keep(cache, f"key{number}", bytes(100))
    assert used.path.exists()


def test_a_full_disk_makes_room_and_tries_again(tmp_path: Path, clock: Clock) -> None:
    cache = MediaCache(tmp_path, 10_000, now=clock)
    old = keep(cache, "old", bytes(100))
    clock.later()

    def full_at_first(draft: Draft) -> Validators:
        if old.path.exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        draft.write(b"new")
        return "", ""

    assert cache.store("new", full_at_first).path.read_bytes() == b"new"
    assert cache.get("old") is None


def test_a_disk_that_stays_full_is_named_and_no_half_file_is_left(tmp_path: Path) -> None:
    def full(draft: Draft) -> Validators:
        draft.write(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(MediaUnavailable, match="is full"):
        MediaCache(tmp_path, 1000).store("key", full)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MediaUnavailable, match="can't be written"):
        keep(MediaCache(tmp_path / "file" / "folder", 1000), "key", b"x")


def test_an_open_file_outlives_its_eviction(tmp_path: Path, clock: Clock) -> None:
    cache = MediaCache(tmp_path, 1000, now=clock)
    entry = keep(cache, "a", b"video")
    with entry.path.open("rb") as reader:
        clock.later()
        cache.shrink(0)
        assert not entry.path.exists()
        assert reader.read() == b"video"


def test_what_crashes_left_is_cleared_away(tmp_path: Path, clock: Clock) -> None:
    cache = MediaCache(tmp_path, 1000, now=clock)
    for name, age in (("draft-old", ABANDONED_SECONDS + 1), ("draft-new", 0), ("orphan.json", 0)):
        (tmp_path / name).write_bytes(b"x")
        os.utime(tmp_path / name, (clock.time - age, clock.time - age))
    cache.shrink(1000)
    assert [path.name for path in tmp_path.iterdir()] == ["draft-new"]


def test_a_renewed_entry_counts_as_fetched_now(tmp_path: Path, clock: Clock) -> None:
    cache = MediaCache(tmp_path, 1000, now=clock)
    entry = keep(cache, "a", b"x")
    clock.later()
    renewed = cache.renew("a", entry)
    assert renewed.facts.fetched == clock.time
    assert cache.get("a") == renewed
