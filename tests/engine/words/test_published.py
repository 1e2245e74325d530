from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from label_studio_sam2.engine.words.published import SETTING_UP, WEIGHTS, Published, fetch, locate
from label_studio_sam2.errors import CheckpointError

from tests.fakes.servers import Exchange, Site, serving

CONTENT = bytes(range(256)) * 40


class Hub(Site):
    """Has one revision of one repository; `lacks` names a file that it can't give."""

    def __init__(self) -> None:
        super().__init__(self.send)
        self.lacks = ""

    def send(self, exchange: Exchange) -> None:
        path, _, file = exchange.path.rpartition("/")
        assert path == "/somebody/detector/resolve/0123abcd"
        if file == self.lacks:
            exchange.reply(404)
        else:
            exchange.reply(200, CONTENT if file == WEIGHTS else b"{}")


@pytest.fixture
def hub() -> Iterator[Hub]:
    with serving(Hub()) as site:
        yield site


def published(hub: Hub, content: bytes = CONTENT) -> Published:
    sha256 = hashlib.sha256(content).hexdigest()
    return Published("detector", "somebody/detector", "0123abcd", len(content), sha256, hub.url)


def test_a_detector_arrives_whole_in_a_folder_of_its_own_and_once(hub: Hub, tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    folder = fetch(published(hub), tmp_path, lambda done, total: told.append((done, total)))
    assert folder == tmp_path / "detector"
    assert sorted(path.name for path in folder.iterdir()) == sorted([WEIGHTS, *SETTING_UP])
    assert told[-1] == (len(CONTENT), len(CONTENT))
    asked = len(hub.seen)
    assert fetch(published(hub), tmp_path) == folder
    assert len(hub.seen) == asked


def test_other_weights_than_the_published_ones_are_refused(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is not the published"):
        fetch(published(hub, CONTENT[::-1]), tmp_path)


@pytest.mark.parametrize("lacking", [WEIGHTS, "vocab.json"])
def test_what_cant_be_had_is_said_and_had_with_the_next_try(lacking: str, hub: Hub, tmp_path: Path) -> None:
    hub.lacks = lacking
    with pytest.raises(CheckpointError, match=r"(?s)can't be .*404.*Try again"):
        fetch(published(hub), tmp_path)
    hub.lacks = ""
    assert (fetch(published(hub), tmp_path) / lacking).is_file()


def test_a_folder_without_a_model_is_refused_with_the_names_that_are_known(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="owlv2_base, owlv2_large"):
        locate(str(tmp_path), tmp_path)
