"""COCO instances: annotations.json with an image a frame and an annotation a mask, as compressed RLE.

`video_id`, `frame_id`, `instance_id` (the object, the same on all its frames) and `look_at` (a frame on which tracking
may have lost it) are keys besides COCO's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import orjson

from label_studio_sam2.exports.categories import Categories
from label_studio_sam2.exports.masklets.clip import Clip
from label_studio_sam2.exports.report import Report


def write(clips: Iterable[Clip], out: Path, report: Report, step: Callable[[str, int, int], None]) -> None:
    videos: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories, instances = Categories(), count(1)
    for video_id, clip in enumerate(clips, start=1):
        objects = [(next(instances), categories.number(masklet.label)) for masklet in clip.masklets]
        before = len(annotations)
        for place, frame in enumerate(clip.frames, start=1):
            images.append(_image(clip, frame, len(images) + 1, video_id))
            for found in _annotations(clip, frame, objects):
                annotations.append(
                    {"id": len(annotations) + 1, "image_id": len(images), "video_id": video_id} | found
                )
            step(clip.name, place, len(clip.frames))
        videos.append(
            {"id": video_id, "name": clip.name, "length": clip.length, "numbered_by": clip.numbered_by}
            | {"task_id": clip.annotation.task, "annotation_id": clip.annotation.id}
        )
        report.wrote(
            frames=len(clip.frames), masks=len(annotations) - before, by_source=clip.video is not None
        )
    whole = {"info": {}, "licenses": [], "videos": videos, "images": images, "annotations": annotations}
    (out / "annotations.json").write_bytes(orjson.dumps(whole | {"categories": categories.rows()}))


def _image(clip: Clip, frame: int, number: int, video_id: int) -> dict[str, Any]:
    return {
        "id": number,
        "file_name": f"{clip.name}/{frame:05}.jpg",
        "width": clip.size.width,
        "height": clip.size.height,
        "video_id": video_id,
        "frame_id": frame,
    }


def _annotations(clip: Clip, frame: int, objects: list[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """`objects` are the objects' and their categories' ids."""
    for number, rle in clip.masks(frame):
        instance, category = objects[number - 1]
        yield {
            "category_id": category,
            "instance_id": instance,
            "segmentation": rle.coco(),
            "area": rle.area,
            "bbox": rle.coco_box(),
            "iscrowd": 0,
            "look_at": frame in clip.masklets[number - 1].look_at,
        }
