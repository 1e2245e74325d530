from __future__ import annotations

import errno
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from label_studio_sam2.errors import MediaUnavailable
from label_studio_sam2.labelstudio.media.media_cache import (
    ABANDONED_SECONDS,
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
        self.time += 1


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
    old = keep(cache, "old", bytes(100)).path

    def full_at_first(draft: Draft) -> Validators:
        if old.exists():
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


def test_what_somebody_needs_stays_however_long_ago_it_was_fetched_and_goes_afterwards(
    tmp_path: Path, clock: Clock
) -> None:
    cache = MediaCache(tmp_path, 1000, now=clock)
    stored, read = keep(cache, "a", b"video"), keep(cache, "b", b"picture")
    found = cache.get("b")
    del read
    clock.time += 1e6
    for other in (cache, MediaCache(tmp_path, 1000, now=clock)):
        other.shrink(0)
    assert (stored.path.read_bytes(), found and found.path.read_bytes()) == (b"video", b"picture")
    del stored, found
    cache.shrink(0)
    assert list(tmp_path.iterdir()) == []


def test_what_another_process_needs_stays_until_it_ends(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, 1000)
    path = keep(cache, "a", b"video").path
    holds = (
        "import sys, pathlib, label_studio_sam2.labelstudio.media.holds as holds;"
        "kept = holds.Hold(pathlib.Path(sys.argv[1])); print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", holds, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        assert other.stdout.readline() == b"held\n"
        cache.shrink(0)
        assert path.exists()
        other.kill()
    cache.shrink(0)
    assert not path.exists()


def test_what_is_fetched_again_unchanged_is_still_held_by_those_who_had_it(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, 1000)
    before = keep(cache, "a", b"video")
    del_me = keep(cache, "a", b"video")
    del del_me
    cache.shrink(0)
    assert before.path.read_bytes() == b"video"


def test_many_uses_of_one_file_open_it_once(tmp_path: Path) -> None:
    cache = MediaCache(tmp_path, 1000)
    kept = [keep(cache, "a", b"picture"), *(cache.get("a") for _ in range(50))]
    assert len({id(entry.hold) for entry in kept if entry}) == 1


def test_a_full_disk_makes_room_at_once_for_everything_that_is_not_in_use(
    tmp_path: Path, clock: Clock
) -> None:
    cache = MediaCache(tmp_path, 10_000, now=clock)
    held = keep(cache, "held", bytes(100))
    for number in range(20):
        keep(cache, f"key{number}", bytes(100))

    def fits_five(draft: Draft) -> Validators:
        if bytes_in(tmp_path) > 500:
            raise OSError(errno.ENOSPC, "No space left on device")
        draft.write(bytes(100))
        return "", ""

    for number in range(20):
        assert cache.store(f"new{number}", fits_five).facts.size == 100
    assert held.path.exists()


def test_a_clock_that_is_set_back_neither_stops_the_bound_nor_makes_anything_fresh(
    tmp_path: Path, clock: Clock
) -> None:
    cache = MediaCache(tmp_path, 1000, now=clock)
    facts = keep(cache, "before", bytes(100)).facts
    assert cache.age(facts) == 0
    clock.time -= 365 * 86400
    assert cache.age(facts) == float("inf")
    for number in range(50):
        keep(cache, f"key{number}", bytes(100))
        clock.later()
    assert bytes_in(tmp_path) <= 1000
    assert cache.get("before") is None
    assert cache.get("key49")


def test_a_draft_that_is_being_written_outlives_a_clock_that_is_set_back(
    tmp_path: Path, clock: Clock
) -> None:
    cache = MediaCache(tmp_path, 1000, now=clock)

    def slow(draft: Draft) -> Validators:
        clock.time -= 365 * 86400
        cache.shrink(0)
        draft.write(b"video")
        return "", ""

    assert cache.store("a", slow).path.read_bytes() == b"video"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a folder to somebody else")
@pytest.mark.parametrize("in_the_way", ["folder", "link"])
def test_a_folder_of_another_user_is_neither_used_nor_believed(tmp_path: Path, in_the_way: str) -> None:
    folder = tmp_path / "media"
    keep(MediaCache(folder, 1000), "a", b"planted")
    if in_the_way == "link":
        folder.rename(tmp_path / "elsewhere")
        folder.symlink_to(tmp_path / "elsewhere")
    os.chown(folder, 54321, 54321, follow_symlinks=False)
    cache = MediaCache(folder, 1000)
    assert cache.get("a") is None
    with pytest.raises(MediaUnavailable, match=r"belongs to another user.*set MEDIA_CACHE"):
        keep(cache, "b", b"x")


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
