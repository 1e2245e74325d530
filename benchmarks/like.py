"""What `predict --like` finds with the demo detector: five accepted examples of a drawn class, and other pictures.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.like [--pictures 20] [--classes 26]

For each shape and each colour a project: five pictures with one accepted box each around a thing of the class, and
others that nobody has done. "Found" is the share of the class's things there that a mask covers with an IoU of at least
0.5, "right" the share of masks that cover one; what might be called so or not counts neither way. Held-out pictures.
Mean over the classes, and its standard error.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Iterator, Sequence
from itertools import count, islice
from typing import Any, NamedTuple

import cv2
import numpy as np
from label_studio_sam2.commands import predict
from label_studio_sam2.geometry import iou
from label_studio_sam2.labelstudio.codecs import brush_rle
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import DEMO, Settings
from label_studio_sam2.types import Size
from pydantic import SecretStr

from demo_model.detector.scenes import Scene, draw_scene
from demo_model.detector.vocabulary import COLOURS, SHAPES, Query, colour_query, shape_query
from demo_model.metrics import Estimate, box_of
from tests.fakes.project_server import PROJECT, ProjectServer
from tests.fakes.servers import LEGACY, serving

EXAMPLES = 5
COVERED = 0.5
LABEL = "Thing"
CONFIG = f"""<View><Image name="image" value="$image"/><TextArea name="prompt" toName="image"/>
  <BrushLabels name="brush" toName="image" smart="false"><Label value="{LABEL}"/></BrushLabels></View>"""


class Figures(NamedTuple):
    """Of one class, 0 to 1; `right` is None where there was no mask."""

    found: float
    right: float | None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--pictures", type=int, default=20, help="that nobody has done, for each class")
    parser.add_argument("--classes", type=int, default=len(SHAPES) + len(COLOURS))
    arguments = parser.parse_args()
    kinds = {"shapes": [*map(shape_query, SHAPES)], "colours": [*map(colour_query, COLOURS)]}
    for kind, queries in kinds.items():
        rows = {query.text: measured(query, arguments.pictures) for query in queries[: arguments.classes]}
        for text, row in rows.items():
            print(
                f"{text:>12}  found {row.found:.2f}  right {'–' if row.right is None else f'{row.right:.2f}'}"
            )
        found = Estimate.of([row.found for row in rows.values()])
        right = Estimate.of([row.right for row in rows.values() if row.right is not None])
        print(f"{kind}: found {found}, right {right}\n")


def measured(query: Query, pictures: int) -> Figures:
    """One project of the class."""
    scenes = list(islice(_with(query), EXAMPLES + pictures // 2))
    others = [draw_scene(seed) for seed in range(5000, 5000 + pictures - pictures // 2)]
    shown, undone = scenes[:EXAMPLES], [*scenes[EXAMPLES:], *others]
    with serving(ProjectServer(CONFIG)) as label_studio:
        for scene in shown:
            (task,) = label_studio.add(_address(scene))
            label_studio.tasks[task]["annotations"] = [{"id": task, "result": [_example(query, scene)]}]
        numbers = label_studio.add(*map(_address, undone))
        settings = Settings().model_copy(
            update={
                "model": DEMO,
                "redis_url": "",
                "label_studio_url": label_studio.url,
                "label_studio_api_key": SecretStr(LEGACY),
            }
        )
        with running(settings) as address:
            predict.run(settings, PROJECT, address, like=True)
        answers = [label_studio.predictions(number) for number in numbers]
    return _figures(query, undone, [stored[0]["result"] if stored else [] for stored in answers])


def _with(query: Query) -> Iterator[Scene]:
    """Held-out scenes that have a thing of the class."""
    return (scene for seed in count() if any(map(query.fits, (scene := draw_scene(seed)).things)))


def _address(scene: Scene) -> str:
    png = cv2.imencode(".png", cv2.cvtColor(scene.image, cv2.COLOR_RGB2BGR))[1].tobytes()
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _example(query: Query, scene: Scene) -> dict[str, Any]:
    """An accepted box around the largest thing of the class."""
    fitting = [mask for mask, thing in zip(scene.masks, scene.things, strict=True) if query.fits(thing)]
    left, top, right, bottom = box_of(max(fitting, key=np.count_nonzero))
    height, width = scene.image.shape[:2]
    value = {
        "x": 100 * left / width,
        "y": 100 * top / height,
        "width": 100 * (right - left) / width,
        "height": 100 * (bottom - top) / height,
        "rectanglelabels": [LABEL],
    }
    return {"id": "a", "type": "rectanglelabels", "from_name": "box", "to_name": "image", "value": value}


def _figures(query: Query, scenes: Sequence[Scene], answers: Sequence[list[dict[str, Any]]]) -> Figures:
    found: list[bool] = []
    right: list[bool] = []
    for scene, answer in zip(scenes, answers, strict=True):
        size = Size(*scene.image.shape[:2])
        masks = [brush_rle.decode(one["value"]["rle"], size) for one in answer if "rle" in one["value"]]
        fits = [query.fits(thing) for thing in scene.things]
        overlaps = np.array([[iou(mask, thing) for thing in scene.masks] for mask in masks])
        overlaps = overlaps.reshape(len(masks), len(scene.masks)) >= COVERED
        found += [bool(overlaps[:, place].any()) for place, fit in enumerate(fits) if fit]
        for row in overlaps:
            met = [fit for fit, covered in zip(fits, row, strict=True) if covered]
            if None not in met:
                right.append(True in met)
    return Figures(float(np.mean(found)), float(np.mean(right)) if right else None)


if __name__ == "__main__":
    main()
