"""Regions and configs as Label Studio writes them, and its recorded traffic."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.types import Bitmap, Size

TRAFFIC = Path(__file__).parent.parent / "traffic"
SIZE = Size(600, 800)

Region = dict[str, Any]


def recorded(name: str) -> Any:
    return json.loads((TRAFFIC / f"{name}.json").read_text())


def predict_bodies(name: str) -> list[dict[str, Any]]:
    """The bodies of the recorded requests to /predict."""
    return [one["body"] for one in recorded(name) if one["path"].endswith("/predict")]


def config(*controls: str, image: str = '<Image name="image" value="$image"/>') -> LabelingConfig:
    return labeling_config.parse("<View>" + image + "".join(controls) + "</View>")


def labelled(tag: str, name: str, *labels: str, to: str = "image", **attributes: str) -> str:
    extra = "".join(f' {key}="{value}"' for key, value in attributes.items())
    inner = "".join(f'<Label value="{label}"/>' for label in labels or ("Car",))
    return f'<{tag} name="{name}" toName="{to}"{extra}>{inner}</{tag}>'


def pages(inside: str = "", **attributes: str) -> str:
    """A document whose pages lie side by side."""
    index = attributes.get("indexFlag", "{{idx}}")
    said = {"on": "$pages", "mode": "pagination"} | attributes
    tags = "".join(
        labelled(tag, f"{name}_{index}", "Car", "Dog", to=f"page_{index}", smart=smart)
        for tag, name, smart in (("BrushLabels", "brush", "false"), ("KeyPointLabels", "click", "true"))
    )
    image = f'<Image name="page_{index}" value="$pages[{index}].url"/>'
    written = " ".join(f'{name}="{value}"' for name, value in said.items())
    return f"<View><Repeater {written}><View>{image}</View>{tags}{inside}</Repeater></View>"


CLICKS = labelled("KeyPointLabels", "kp", "Car", "Dog", smart="true")
BOXES = labelled("RectangleLabels", "rect", "Car", "Dog", smart="true")
BRUSH = labelled("BrushLabels", "brush", "Car", "Dog")
USUAL = config(CLICKS, BOXES, BRUSH)


def click(x: float, y: float, positive: bool = True, label: str = "Car", **more: Any) -> Region:
    value = {"x": x, "y": y, "width": 0.3, "labels": [label], "keypointlabels": [label]}
    return _region("keypointlabels", "kp", value) | {"is_positive": positive} | more


def box(
    x: float, y: float, width: float, height: float, rotation: float = 0, label: str = "Car", **more: Any
) -> Region:
    value = {
        "x": x,
        "y": y,
        "width": width,
        "height": height,
        "rotation": rotation,
        "rectanglelabels": [label],
    }
    return _region("rectanglelabels", "rect", value) | more


def _region(type_: str, from_name: str, value: dict[str, Any]) -> Region:
    return {
        "original_width": SIZE.width,
        "original_height": SIZE.height,
        "image_rotation": 0,
        "value": value,
        "from_name": from_name,
        "to_name": "image",
        "type": type_,
        "origin": "manual",
    }


def disc(size: Size = SIZE, x: float = 300, y: float = 250, radius: float = 90, hole: float = 0) -> Bitmap:
    """A disc, or a ring."""
    down, across = np.mgrid[: size.height, : size.width]
    distance = np.hypot(across + 0.5 - x, down + 0.5 - y)
    return (distance < radius) & (distance >= hole)


def unnamed(parsed: LabelingConfig) -> RegionPrompt:
    """What asks for an object of no label on the picture."""
    return RegionPrompt.answerable(parsed, parsed.object("image"))
