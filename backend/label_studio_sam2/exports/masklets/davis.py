"""DAVIS 2017: a folder of indexed PNG files for each video, objects numbered from 1, 0 for what is none of them.

Annotations/<video>/00000.png …    a picture a frame, with the data set's own palette
labels.json                        for each video its task, and for each number its label, its region, and
                                   the frames to look at, on which tracking may have lost it
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from PIL import Image

from label_studio_sam2.exports.colours import palette
from label_studio_sam2.exports.masklets.clip import Clip
from label_studio_sam2.exports.report import Lack, Report

MOST_OBJECTS = 255


def write(clips: Iterable[Clip], out: Path, report: Report, step: Callable[[str, int, int], None]) -> None:
    labels = {}
    for clip in clips:
        folder = out / "Annotations" / clip.name
        folder.mkdir(parents=True)
        report.lack(Lack.TOO_MANY, clip.name, max(0, len(clip.masklets) - MOST_OBJECTS))
        masks = 0
        for place, frame in enumerate(clip.frames, start=1):
            picture, drawn = _picture(clip, frame, report)
            masks += drawn
            _save(picture, folder / f"{frame:05}.png")
            step(clip.name, place, len(clip.frames))
        labels[clip.name] = _labels(clip)
        report.wrote(frames=len(clip.frames), masks=masks, by_source=clip.video is not None)
    (out / "labels.json").write_bytes(orjson.dumps(labels, option=orjson.OPT_INDENT_2))


def _picture(clip: Clip, frame: int, report: Report) -> tuple[NDArray[np.uint8], int]:
    """The objects' numbers by pixel (H, W), and how many objects there are."""
    picture = np.zeros(clip.size, np.uint8)
    masks = [(number, rle) for number, rle in clip.masks(frame) if number <= MOST_OBJECTS]
    for number, rle in reversed(masks):
        picture[rle.bitmap()] = number
    if np.count_nonzero(picture) < sum(rle.area for _, rle in masks):
        report.lack(Lack.OVERLAP, f"{clip.name}, frame {frame}")
    return picture, len(masks)


def _save(picture: NDArray[np.uint8], path: Path) -> None:
    image = Image.fromarray(picture)
    image.putpalette(palette())
    image.save(path)


def _labels(clip: Clip) -> dict[str, Any]:
    return {
        "task": clip.annotation.task,
        "annotation": clip.annotation.id,
        "address": clip.annotation.address,
        "numbered_by": clip.numbered_by,
        "rate": clip.rate,
        "length": clip.length,
        "objects": {
            str(number): {
                "label": masklet.label,
                "region": masklet.region,
                "look_at": sorted(masklet.look_at),
            }
            for number, masklet in enumerate(clip.masklets[:MOST_OBJECTS], start=1)
        },
    }
