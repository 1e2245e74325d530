"""Exports as Label Studio writes them, of tracks as the service answers them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from label_studio_sam2.labelstudio.regions.frame_map import FrameMap
from label_studio_sam2.labelstudio.regions.tracks import Tracked
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion, with_tracked
from label_studio_sam2.types import Bitmap, FrameMask, Size
from numpy.typing import NDArray

Json = dict[str, Any]

SIZE = Size(40, 64)
RATE = 25.0
FRAMES = 12
HIDDEN = range(5, 8)
"""Frames of the file on which the second object of `two_objects` is out of sight."""

ADDRESS = "/data/upload/4/08e54ecd-match.mp4"


def two_objects() -> NDArray[np.bool_]:
    """(frames, 2, H, W): a ring that moves right, and a bar that moves down, hides, and in the end crosses the ring."""
    rows, columns = np.mgrid[: SIZE.height, : SIZE.width]
    masks = np.zeros((FRAMES, 2, *SIZE), np.bool_)
    for frame in range(FRAMES):
        distance = np.hypot(rows - 20, columns - 14 - 2 * frame)
        masks[frame, 0] = (distance < 10) & (distance > 4)
        if frame not in HIDDEN:
            masks[frame, 1, 2 * frame : 2 * frame + 8, 44:60] = True
    return masks


def track(
    masks: NDArray[np.bool_] | Mapping[int, Bitmap],
    id: str = "ring",  # noqa: A002  Label Studio's name
    labels: Sequence[str] = ("Player",),
    *,
    frames: int = FRAMES,
    rate: float = RATE,
    times: NDArray[np.float64] | None = None,
    size: Size = SIZE,
) -> Json:
    """The region that answers a box which the annotator drew around the object's first mask.

    `masks` are by the file's frames, whose `times` are as the editor's where none are given; `frames` and `rate` are
    the editor's.
    """
    by_frame = dict(enumerate(masks)) if isinstance(masks, np.ndarray) else dict(masks)
    numbers = FrameMap(np.arange(frames) / rate if times is None else times, rate, frames)
    results = {
        frame: Tracked.of(FrameMask(frame, id, bitmap, bool(bitmap.any()), 0.9))
        for frame, bitmap in by_frame.items()
    }
    first = min(frame for frame, found in results.items() if found)
    found = results[first]
    assert found is not None
    x0, y0, x1, y1 = found.box
    drawn = {
        "frame": numbers.number(first),
        "enabled": True,
        "rotation": 0,
        "x": 100 * (x0 - 0.8) / size.width,
        "y": 100 * (y0 - 0.8) / size.height,
        "width": 100 * (x1 - x0 + 1.6) / size.width,
        "height": 100 * (y1 - y0 + 1.6) / size.height,
    }
    region = {
        "id": id,
        "from_name": "box",
        "to_name": "video",
        "type": "videorectangle",
        "origin": "manual",
        "value": {
            "framesCount": frames,
            "duration": frames / rate,
            "sequence": [drawn],
            "labels": list(labels),
        },
    }
    shown = [there for frame in results if (there := numbers.numbers(frame))]
    done = range(min(there.start for there in shown), max(there.stop for there in shown))
    return with_tracked(VideoRegion.parse(region), results, numbers, size, tracked=done)


def annotation(regions: Sequence[Json], number: int = 2, **more: Any) -> Json:
    return {
        "id": number,
        "completed_by": 1,
        "result": list(regions),
        "was_cancelled": False,
        "created_at": "2026-11-23T18:36:30.347188Z",
        "updated_at": f"2026-11-23T18:36:3{number}.347238Z",
        "lead_time": 60.15,
        **more,
    }


def task(*annotations: Json, number: int = 5, address: str = ADDRESS) -> Json:
    return {
        "id": number,
        "annotations": list(annotations),
        "predictions": [6],
        "data": {"note": "a/b", "video": address},
    }


def write(path: Path, *tasks: Json) -> Path:
    path.write_text(json.dumps(list(tasks)))
    return path
