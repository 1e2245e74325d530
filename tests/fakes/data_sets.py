"""Small data sets as others write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from label_studio_sam2.labelstudio.codecs import coco_rle
from label_studio_sam2.types import Bitmap

from tests.fakes.annotated import SIZE, save


def coco(folder: Path, *objects: dict[str, Any], images: tuple[str, ...] = ("a.png", "b.png")) -> Path:
    """A file with these objects on the first picture, and none on the others."""
    folder.mkdir(exist_ok=True)
    for name in images:
        save(folder / Path(name).parent, Path(name).name)
    rows = [
        {"id": number, "file_name": name, "width": SIZE.width, "height": SIZE.height}
        for number, name in enumerate(images, start=10)
    ]
    annotations = [
        {"id": n, "image_id": 10, "iscrowd": 0, "bbox": [0, 0, 9, 9]} | one
        for n, one in enumerate(objects, start=1)
    ]
    categories = [{"id": 3, "name": "Van"}, {"id": 1, "name": "Car"}]
    path = folder / "instances.json"
    path.write_text(json.dumps({"images": rows, "annotations": annotations, "categories": categories}))
    return path


def rle(bitmap: Bitmap, category: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "category_id": category,
        "segmentation": {"size": list(SIZE), "counts": coco_rle.encode(bitmap)},
    } | more


def uncompressed(bitmap: Bitmap) -> dict[str, Any]:
    """As COCO writes its crowds: run lengths in numbers."""
    columns = bitmap.T.reshape(-1).astype(int)
    ends = np.flatnonzero(np.diff(columns)) + 1
    counts = np.diff(ends, prepend=0, append=columns.size).tolist()
    return {"size": list(SIZE), "counts": counts if not columns[0] else [0, *counts]}


def yolo(folder: Path, *lines: str) -> Path:
    """A data set whose one picture has these lines."""
    (folder / "images").mkdir(parents=True)
    save(folder / "images" / "train")
    labels = folder / "labels" / "train"
    labels.mkdir(parents=True)
    (labels / "street.txt").write_text("\n".join(lines))
    (folder / "data.yaml").write_text("train: images/train\nval: images/val\nnames:\n  0: Van\n  1: Car\n")
    return folder
