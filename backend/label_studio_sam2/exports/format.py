"""What can be written, of pictures and of videos, and which of a task's annotations, by their names on the command
line."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    COCO = "coco"
    COCO_POLYGONS = "coco-polygons"
    YOLO = "yolo"
    YOLO_BOX = "yolo-box"
    YOLO_OBB = "yolo-obb"
    VOC = "voc"
    PNG = "png"
    SEMANTIC = "semantic"
    DAVIS = "davis"
    YOUTUBE_VOS = "youtube-vos"
    OVERLAY = "overlay"


OF_VIDEOS = frozenset({Format.DAVIS, Format.YOUTUBE_VOS, Format.COCO, Format.OVERLAY})
OF_PICTURES = frozenset(Format) - {Format.DAVIS, Format.YOUTUBE_VOS}


class Choice(StrEnum):
    """Of the submitted annotations of one task: skipped ones are never taken."""

    LAST = "last"
    FIRST = "first"
    ALL = "all"
    GROUND_TRUTH = "ground-truth"
