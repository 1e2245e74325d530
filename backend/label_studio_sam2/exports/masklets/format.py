"""The formats that masklets are written in, by their names on the command line."""

from __future__ import annotations

from enum import StrEnum


class Format(StrEnum):
    DAVIS = "davis"
    COCO = "coco"
    YOUTUBE_VOS = "youtube-vos"
    OVERLAY = "overlay"
