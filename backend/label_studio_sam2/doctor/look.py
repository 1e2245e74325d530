"""How far a look at the set-up may go."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from label_studio_sam2.doctor.check import Check
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.settings import Settings


@dataclass(frozen=True, slots=True)
class Look:
    """With `media`, a thorough one: it fetches media, and saves what Label Studio has as it is, to hear what Label
    Studio says to it. Without, it only reads, and what only a thorough one can find out stands as it was found
    `before`."""

    media: MediaStore | None = None
    before: Sequence[Check] = ()

    @property
    def thorough(self) -> bool:
        return self.media is not None

    def found_before(self, project: int, *names: str) -> list[Check]:
        """What the last thorough look said of these about a project."""
        return [check for check in self.before if check.project == project and check.name in names]


@contextmanager
def thorough(settings: Settings, client: LabelStudioClient) -> Iterator[Look]:
    """A thorough look outside of a running service, whose media are given up after it."""
    with TemporaryDirectory(prefix="label-studio-sam2-") as folder:
        yield Look(MediaStore.of(settings, Path(folder), client))
