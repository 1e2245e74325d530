"""The writer of each format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from label_studio_sam2.masklets import coco, davis, overlay, youtube_vos
from label_studio_sam2.masklets.clip import Clip
from label_studio_sam2.masklets.format import Format
from label_studio_sam2.masklets.report import Report

Step = Callable[[str, int, int], None]
"""Told a clip's name, how many of its frames are done, and of how many."""

Write = Callable[[Iterable[Clip], Path, Report, Step], None]
"""Writes clips into an empty folder, and counts in the report what it wrote."""


WRITERS: Mapping[Format, Write] = {
    Format.DAVIS: davis.write,
    Format.COCO: coco.write,
    Format.YOUTUBE_VOS: youtube_vos.write,
    Format.OVERLAY: overlay.write,
}
