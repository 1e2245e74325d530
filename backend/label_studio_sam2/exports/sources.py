"""The files behind an export's tasks: in a folder, by their names, or fetched as the service fetches them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from label_studio_sam2.errors import MediaUnavailable, RequestError, ServiceError
from label_studio_sam2.exports.folder import media_name, without_upload_prefix
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.labelstudio.media.media_store import MediaFile, MediaStore
from label_studio_sam2.media_files.videos import MAX_PIXELS, Video


@dataclass(frozen=True)
class Sources:
    """Where media may be: in `folder` and below it, and, if `media` is given, wherever their tasks say."""

    folder: Path | None = None
    media: MediaStore | None = None
    max_pixels: int = MAX_PIXELS
    _held: list[MediaFile] = field(default_factory=list)
    """What was fetched last, so that it stays while it is read: one file is converted after the other."""

    def video(self, address: str, task: int | None, report: Report) -> Video | None:
        """None where it isn't at hand, with the reason in the report."""
        if not self.any:
            return None
        try:
            return Video.open(self.path(address, task), max_pixels=self.max_pixels)
        except ServiceError as error:
            report.lack(Lack.NO_VIDEO, f"task {task}: {error.detail}")
            return None

    @property
    def any(self) -> bool:
        return self.folder is not None or self.media is not None

    def path(self, address: str, task: int | None) -> Path:
        """Of the file at a task's address. Raises MediaError and what else the media store raises."""
        path = self._in_folder(media_name(address))
        if path is not None:
            return path
        if self.media is not None:
            self._held[:] = [self.media.fetch(address, task_id=task)]
            return self._held[0].path
        raise MediaUnavailable(f"{media_name(address) or 'its file'} isn't in {self.folder}.")

    def _in_folder(self, name: str) -> Path | None:
        """The file of this name, or of the name that it had before it was uploaded."""
        found = self._files.get(name) or self._files.get(without_upload_prefix(name)) or []
        if len(found) > 1:
            raise RequestError(f"Several files are named {found[0].name}: {found[0]} and {found[1]}.")
        return found[0] if found else None

    @cached_property
    def _files(self) -> dict[str, list[Path]]:
        files = defaultdict(list)
        for path in sorted(self.folder.rglob("*")) if self.folder else []:
            if path.is_file():
                files[path.name].append(path)
        return files
