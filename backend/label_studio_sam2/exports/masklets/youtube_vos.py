"""YouTube-VOS as instance segmentation (YouTube-VIS): annotations.json with a list of masks for each object.

An object's `segmentations`, `bboxes` and `areas` have an entry for each of its video's `file_names`, null where the
object isn't visible; besides, `look_at` is true on frames on which tracking may have lost it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import orjson

from label_studio_sam2.exports.categories import Categories
from label_studio_sam2.exports.masklets.clip import Clip
from label_studio_sam2.exports.masklets.masklet import Masklet
from label_studio_sam2.exports.report import Report


def write(clips: Iterable[Clip], out: Path, report: Report, step: Callable[[str, int, int], None]) -> None:
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories = Categories()
    for video_id, clip in enumerate(clips, start=1):
        videos.append(_video(clip, video_id))
        for masklet in clip.masklets:
            ids = {
                "id": len(annotations) + 1,
                "video_id": video_id,
                "category_id": categories.number(masklet.label),
            }
            annotations.append(ids | _annotation(clip, masklet))
        step(clip.name, len(clip.frames), len(clip.frames))
        masks = sum(len(masklet.masks.keys() & set(clip.frames)) for masklet in clip.masklets)
        report.wrote(frames=len(clip.frames), masks=masks, by_source=clip.video is not None)
    whole = {"info": {}, "videos": videos, "annotations": annotations, "categories": categories.rows()}
    (out / "annotations.json").write_bytes(orjson.dumps(whole))


def _video(clip: Clip, video_id: int) -> dict[str, Any]:
    return {
        "id": video_id,
        "width": clip.size.width,
        "height": clip.size.height,
        "length": len(clip.frames),
        "file_names": [f"{clip.name}/{frame:05}.jpg" for frame in clip.frames],
        "numbered_by": clip.numbered_by,
        "task_id": clip.annotation.task,
        "annotation_id": clip.annotation.id,
    }


def _annotation(clip: Clip, masklet: Masklet) -> dict[str, Any]:
    masks = [masklet.masks.get(frame) for frame in clip.frames]
    return {
        "iscrowd": 0,
        "width": clip.size.width,
        "height": clip.size.height,
        "length": len(masks),
        "segmentations": [rle and rle.coco() for rle in masks],
        "bboxes": [rle and rle.coco_box() for rle in masks],
        "areas": [rle and rle.area for rle in masks],
        "look_at": [frame in masklet.look_at for frame in clip.frames],
    }
