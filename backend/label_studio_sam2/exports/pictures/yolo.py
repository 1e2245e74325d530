"""Ultralytics' YOLO: a text file a picture with a line an object, coordinates as shares of width and height.

data.yaml                        the classes, from 0 on, in the order of their categories
images/train, images/val         the pictures, where they were asked for
labels/train, labels/val         `class x y x y …`, an outline; `class x y width height`, a box's centre and size; or
                                 `class x y x y x y x y`, the corners of a turned box
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import orjson
from numpy.typing import NDArray

from label_studio_sam2.exports.pictures.instance import Instance
from label_studio_sam2.exports.pictures.picture import TRAIN, VAL, LabelledPicture, Target
from label_studio_sam2.exports.report import Lack, Report

DECIMALS = 6

Numbers = NDArray[np.float64]


def write(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    """All of an object in one ring, since a line is an object: its parts are joined, as its holes are."""
    _write(pictures, target, report, lambda instance: _shares(instance.outline(), instance))


def write_boxes(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    _write(pictures, target, report, _box)


def write_turned_boxes(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    """The loader takes no corner outside of the picture: such a one is moved to its edge."""
    _write(pictures, target, report, lambda instance: _shares(instance.turned_box(), instance))


def _box(instance: Instance) -> Numbers:
    left, top, right, bottom = instance.mask.box
    centre_and_size = [((left + right) / 2, (top + bottom) / 2), (right - left, bottom - top)]
    return _shares(np.array(centre_and_size), instance)


def _shares(points: Numbers, instance: Instance) -> Numbers:
    return np.clip(points / instance.mask.size[::-1], 0, 1)


def _write(
    pictures: Iterable[LabelledPicture],
    target: Target,
    report: Report,
    numbers: Callable[[Instance], Numbers],
) -> None:
    for side in target.sides:
        (target.out / "labels" / side).mkdir(parents=True)
    for picture in pictures:
        objects = [instance for instance in picture.instances if not instance.crowd]
        report.lack(Lack.CROWD, picture.name, len(picture.instances) - len(objects))
        lines = (_line(instance, numbers(instance)) for instance in objects)
        (target.out / "labels" / picture.side / f"{picture.stem}.txt").write_text("".join(lines))
        report.drew(len(objects))
    (target.out / "data.yaml").write_text(_data(target), encoding="utf-8")


def _line(instance: Instance, numbers: Numbers) -> str:
    written = (f"{number:.{DECIMALS}f}" for number in numbers.reshape(-1))
    return " ".join((str(instance.category.place), *written)) + "\n"


def _data(target: Target) -> str:
    """A text in quotes means the same in YAML as in JSON."""
    val = VAL if VAL in target.sides else f"{TRAIN}  # no split was asked for"
    names = (
        f"  {place}: {orjson.dumps(name).decode()}" for place, name in enumerate(target.categories.names())
    )
    listed = ("names:", *names) if target.categories.names() else ("names: {}",)
    return "\n".join((f"train: images/{TRAIN}", f"val: images/{val}", *listed, ""))
