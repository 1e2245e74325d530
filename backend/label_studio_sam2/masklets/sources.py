"""The video files behind an export's tasks: in a folder, by their names, or fetched as the service fetches them."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from label_studio_sam2.engine.frames import MAX_PIXELS, Video
from label_studio_sam2.errors import MediaUnavailable, RequestError, ServiceError
from label_studio_sam2.labelstudio.media import MediaStore
from label_studio_sam2.masklets.clip import media_name, without_upload_prefix
from label_studio_sam2.masklets.export import Annotation
from label_studio_sam2.masklets.report import Lack, Report


@dataclass(frozen=True)
class Sources:
    """Where videos may be: in `folder` and below it, and, if `media` is given, wherever their tasks say."""

    folder: Path | None = None
    media: MediaStore | None = None
    max_pixels: int = MAX_PIXELS

    def video(self, annotation: Annotation, report: Report) -> Video | None:
        """None where it isn't at hand, with the reason in the report."""
        if self.folder is None and self.media is None:
            return None
        try:
            return Video.open(self._path(annotation), max_pixels=self.max_pixels)
        except ServiceError as error:
            report.lack(Lack.NO_VIDEO, f"task {annotation.task}: {error.detail}")
            return None

    def _path(self, annotation: Annotation) -> Path:
        """Raises MediaError and what else the media store raises."""
        path = self._in_folder(media_name(annotation.address))
        if path is not None:
            return path
        if self.media is not None:
            return self.media.fetch(annotation.address, task_id=annotation.task).path
        name = media_name(annotation.address) or "its video"
        raise MediaUnavailable(f"{name} isn't in {self.folder}.")

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
