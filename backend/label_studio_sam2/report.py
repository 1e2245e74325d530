"""The report of a tuning run: one HTML page with its figures and held-out examples before and after."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

import cv2
import numpy as np

from label_studio_sam2.types import Bitmap, Pixels

WIDTH = 320
"""Of one picture, in pixels."""

QUALITY = 85
ANSWER = (40, 120, 255)
TRUTH = (255, 255, 255)

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }}
table {{ border-collapse: collapse }} th, td {{ padding: .25rem 1rem .25rem 0; text-align: left }}
img {{ max-width: 100%; display: block; margin: .5rem 0 }}
</style>
<h1>{title}</h1>
<p><strong>{reason}</strong></p>
<table><tr><th>held-out IoU</th><th>before</th><th>after</th></tr>{rows}</table>
<p>Lost on generic scenes: {lost}. Tuned on {counts}.</p>
<h2>Held-out examples, one click: before and after</h2>
<p>Blue is the answer, the white line what was accepted.</p>
{pictures}
</html>"""


class Shot(NamedTuple):
    """A held-out example: the picture, and masks on the model's square."""

    pixels: Pixels
    truth: Bitmap
    before: Bitmap
    after: Bitmap


def page(
    title: str, reason: str, figures: Mapping[str, Any], counts: Mapping[str, Any], shots: Sequence[Shot]
) -> str:
    """The page, complete in itself."""
    rows = "".join(
        f"<tr><td>{escape(kind)}</td><td>{ious['before']:.3f}</td><td>{ious['after']:.3f}</td></tr>"
        for kind, ious in figures["held_out"].items()
    )
    pictures = "".join(
        f'<img alt="Held-out example {number}: before on the left, after on the right" src="{_data_url(shot)}">'
        for number, shot in enumerate(shots, start=1)
    )
    return PAGE.format(
        title=escape(title),
        reason=escape(reason),
        rows=rows,
        lost=f"{figures['generic_loss']:.3f}",
        counts=escape(json.dumps(counts)),
        pictures=pictures,
    )


def _data_url(shot: Shot) -> str:
    height = max(1, round(WIDTH * shot.pixels.shape[0] / shot.pixels.shape[1]))
    small = cv2.resize(shot.pixels, (WIDTH, height), interpolation=cv2.INTER_AREA)
    both = np.hstack([_drawn(small, shot.truth, shot.before), _drawn(small, shot.truth, shot.after)])
    jpeg = cv2.imencode(".jpg", both[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1]
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def _drawn(picture: Pixels, truth: Bitmap, answer: Bitmap) -> Pixels:
    drawn = picture.copy()
    filled, wanted = (
        cv2.resize(mask.astype(np.uint8), picture.shape[1::-1], interpolation=cv2.INTER_NEAREST)
        for mask in (answer, truth)
    )
    drawn[filled > 0] = (drawn[filled > 0] * 0.5 + np.array(ANSWER) * 0.5).astype(np.uint8)
    outline, _ = cv2.findContours(wanted, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, outline, -1, TRUTH, 1)
    return drawn
