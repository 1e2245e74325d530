from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from label_studio_sam2.engine.checkpoints import CHECKPOINTS, Checkpoint, download, verify
from label_studio_sam2.errors import CheckpointError

from tests.fakes.servers import Exchange, Site, serving

CONTENT = bytes(range(256)) * 4000


class Mirror(Site):
    """Serves the checkpoint, with ranges unless told not to; may hang up in the middle."""

    def __init__(self) -> None:
        super().__init__(self.send)
        self.ranges = True
        self.cut: int | None = None

    def send(self, exchange: Exchange) -> None:
        asked = exchange.headers.get("Range") if self.ranges else None
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        part = CONTENT[start:]
        exchange.start(206 if asked else 200, {"Content-Length": str(len(part))})
        exchange.wfile.write(part[: self.cut])
        if self.cut is not None:
            exchange.hang_up()


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with serving(Mirror()) as site:
        yield site


def checkpoint(mirror: Mirror, content: bytes = CONTENT) -> Checkpoint:
    return Checkpoint("model", len(content), hashlib.sha256(content).hexdigest(), mirror.url + "/")


def test_a_download_arrives_whole_and_tells_how_far_it_is(mirror: Mirror, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    path = download(checkpoint(mirror), tmp_path / "new", lambda done, total: told.append((done, total)))
    assert path.read_bytes() == CONTENT
    assert told[-1] == (len(CONTENT), len(CONTENT))
    assert [one.name for one in path.parent.iterdir()] == ["model.pt"]


def test_what_is_there_is_not_downloaded_again(mirror: Mirror, tmp_path: Path) -> None:
    download(checkpoint(mirror), tmp_path)
    download(checkpoint(mirror), tmp_path)
    assert len(mirror.seen) == 1


@pytest.mark.parametrize("ranges", [True, False])
def test_an_interrupted_download_goes_on_where_it_stopped(
    mirror: Mirror, tmp_path: Path, ranges: bool
) -> None:
    mirror.cut = 300_000
    with pytest.raises(CheckpointError, match="MODEL=demo"):
        download(checkpoint(mirror), tmp_path)
    mirror.cut, mirror.ranges = None, ranges
    assert download(checkpoint(mirror), tmp_path).read_bytes() == CONTENT
    assert mirror.seen[-1].headers.get("range") == "bytes=300000-"


def test_two_that_want_it_at_once_download_it_once(mirror: Mirror, tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as threads:
        paths = list(threads.map(lambda _: download(checkpoint(mirror), tmp_path), range(2)))
    assert paths[0] == paths[1]
    assert len(mirror.seen) == 1


def test_one_that_waits_for_another_whose_try_fails_tries_itself(mirror: Mirror, tmp_path: Path) -> None:
    send, refused = mirror.send, []

    def fails_first(exchange: Exchange) -> None:
        if not refused:
            refused.append(exchange)
            exchange.reply(404)
        else:
            send(exchange)

    mirror.reply_with = fails_first
    with ThreadPoolExecutor(2) as threads:
        tries = [threads.submit(download, checkpoint(mirror), tmp_path) for _ in range(2)]
    assert sorted(type(one.exception()).__name__ for one in tries) == ["CheckpointError", "NoneType"]
    assert [one.name for one in tmp_path.iterdir()] == ["model.pt"]


def test_a_file_of_the_wrong_hash_is_never_used_and_the_next_try_starts_anew(
    mirror: Mirror, tmp_path: Path
) -> None:
    other = checkpoint(mirror, CONTENT[:-1] + b"!")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="SHA-256"):
            download(other, tmp_path)
    assert not (tmp_path / "model.pt").exists()
    assert [seen.headers.get("range") for seen in mirror.seen] == [None, None]


def test_a_file_that_is_too_long_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="SHA-256"):
        download(checkpoint(mirror, CONTENT[:1000]), tmp_path)


def test_a_server_that_has_it_not_is_named_with_what_to_do(mirror: Mirror, tmp_path: Path) -> None:
    mirror.reply_with = lambda exchange: exchange.reply(404)
    with pytest.raises(CheckpointError, match="can't be downloaded"):
        download(checkpoint(mirror), tmp_path)
    assert list(tmp_path.iterdir()) == [], "nothing came, so nothing stays"


def test_a_folder_that_can_not_be_written_names_its_variable(mirror: Mirror, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(CheckpointError, match="MODEL_CACHE"):
        download(checkpoint(mirror), tmp_path / "file" / "folder")


def test_verify_names_the_file_that_differs(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    path.write_bytes(b"something else")
    with pytest.raises(CheckpointError, match=r"model\.pt is not the published"):
        verify(path, CHECKPOINTS["sam2.1_hiera_tiny"])
