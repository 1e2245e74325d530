"""The report of a tuning run: one HTML page with its figures and held-out examples before and after."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import cv2
import numpy as np

from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.geometry import iou
from label_studio_sam2.learning import curve
from label_studio_sam2.learning.curve import Mark
from label_studio_sam2.media_files.painting import paint
from label_studio_sam2.types import Bitmap, Pixels, Point

WIDTH = 360
"""Of one picture, in pixels."""

QUALITY = 88
ANSWER = (40, 120, 255)
TRUTH = (255, 255, 255)
CLICK = (22, 163, 74)
SHADOW = (0, 0, 0)
"""Under the white line, so that it is seen on white too."""

COUNTED = {
    "tasks": "tasks with accepted masks",
    "groups": "of them different (near-duplicates count as one)",
    "annotations": "submitted annotations of the project",
    "masks": "accepted masks",
    "training": "masks trained on",
    "checking": "masks that decided when to stop",
    "held_out": "masks held out, which the figures are of",
    "unusable": "tasks that could not be used",
    "corrected": "masks that annotators corrected, which count twice",
    "rejected": "suggestions that annotators rejected, which teach what not to suggest",
    "elsewhere": "objects apart from accepted ones, which had to stay as they were",
    "own_decoders": "labels with a decoder of their own",
    "steps": "steps of training that were kept",
    "steps_tried": "steps of training that were tried",
}
"""What a run counts, in words."""

CHECKED = {
    "gain": "gained on held-out tasks",
    "noise": "of which so much may be chance",
    "follows": "better on an object's own picture than on another task's",
    "agreement": "as the base answers, apart from accepted objects",
    "generic_loss": "lost on drawn scenes, the demo model's own world",
}
"""Figures, all in IoU, in words."""

PAGE = Path(__file__).with_name("report.html")
"""Complete in itself, so that it can be kept or sent; `$names` are filled in."""

COMMAND = re.compile("`([^`]+)`")

PAIR = """<li><h3>Example {number}: IoU {before:.3f} before, {after:.3f} after</h3><div class="pair">
<figure><img src="{was}" alt="Example {number}, the answer before"><figcaption>Before: {old}</figcaption></figure>
<figure><img src="{now}" alt="Example {number}, the answer after"><figcaption>After: this version</figcaption></figure>
</div></li>"""


class Shot(NamedTuple):
    """A held-out example: the picture, and masks and the click on the model's square."""

    pixels: Pixels
    truth: Bitmap
    before: Bitmap
    after: Bitmap
    click: Point


class Subject(NamedTuple):
    """What a report is of: its title, what was in use before, and the project's versions so far."""

    title: str
    before: str
    versions: Sequence[Mark]


def page(subject: Subject, verdict: Verdict, counts: Mapping[str, Any], shots: Sequence[Shot]) -> str:
    """The page, complete in itself."""
    figures = verdict.figures
    rows = (
        _row(kind, f"{ious['before']:.3f}", f"{ious['after']:.3f}")
        for kind, ious in figures["held_out"].items()
    )
    made_of = (_row(COUNTED.get(name, name), str(count)) for name, count in counts.items())
    return Template(PAGE.read_text()).substitute(
        title=escape(subject.title),
        reason=COMMAND.sub(r"<code>\1</code>", escape(verdict.reason)),
        rows="".join(rows),
        checks="".join(_checks(figures)),
        counts="".join(made_of),
        curve=_curve(subject.versions),
        pictures="".join(_pairs(shots, escape(subject.before))),
    )


def _curve(versions: Sequence[Mark]) -> str:
    drawn = curve.svg(versions)
    return (
        f"<h2>One click on held-out tasks, version by version</h2><p>Filled: used.</p>{drawn}"
        if drawn
        else ""
    )


def _checks(figures: Mapping[str, Any]) -> Iterator[str]:
    """What was looked at besides, in words, as far as there was something to look at."""
    for name, what in CHECKED.items():
        if (value := figures.get(name)) is not None:
            yield _row(what, f"{value:.3f}")


def _row(head: str, *cells: str) -> str:
    inner = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
    return f'<tr><th scope="row">{escape(head)}</th>{inner}</tr>'


def _pairs(shots: Sequence[Shot], was_in_use: str) -> Iterator[str]:
    for number, shot in enumerate(shots, start=1):
        small = _small(shot.pixels)
        yield PAIR.format(
            number=number,
            before=iou(shot.before, shot.truth),
            after=iou(shot.after, shot.truth),
            was=_data_url(_drawn(small, shot.truth, shot.before, shot.click)),
            now=_data_url(_drawn(small, shot.truth, shot.after, shot.click)),
            old=was_in_use,
        )


def _small(pixels: Pixels) -> Pixels:
    height = max(1, round(WIDTH * pixels.shape[0] / pixels.shape[1]))
    small: Pixels = cv2.resize(pixels, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return small


def _data_url(picture: Pixels) -> str:
    jpeg = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def _drawn(picture: Pixels, truth: Bitmap, answer: Bitmap, click: Point) -> Pixels:
    drawn = picture.copy()
    filled, wanted = (
        cv2.resize(mask.astype(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        for mask in (answer, truth)
    )
    paint(drawn, filled > 0, ANSWER, opacity=0.4)
    for mask, colour, width in ((filled, ANSWER, 2), (wanted, SHADOW, 3), (wanted, TRUTH, 1)):
        outline, _ = cv2.findContours(mask, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(drawn, outline, -1, colour, width, cv2.LINE_AA)
    height, width = truth.shape
    at = round(click.x / width * picture.shape[1]), round(click.y / height * picture.shape[0])
    for radius, colour in ((6, TRUTH), (4, CLICK)):
        cv2.circle(drawn, at, radius, colour, cv2.FILLED, cv2.LINE_AA)
    return drawn
