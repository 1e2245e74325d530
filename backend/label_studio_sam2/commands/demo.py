"""`demo`: the main job on the shipped samples, over HTTP, with the demo model; answers are measured and drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import httpx
from rich.console import Console
from rich.table import Table

from label_studio_sam2.commands import sample_clip, sample_picture
from label_studio_sam2.commands.asking import DemoFailedError
from label_studio_sam2.commands.sample_clip import Clip
from label_studio_sam2.commands.sample_picture import IN_WORDS, LOOSE, PROMPTS, Shot
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import DEMO, Settings
from label_studio_sam2.types import Pixels

REQUIRED_IOU = 0.85


def run(out: Path) -> None:
    """Draws into `out`. Raises DemoFailedError where a mask is not right."""
    console = Console(highlight=False)
    settings = Settings().model_copy(update={"model": DEMO, "redis_url": "", "basic_auth_user": ""})
    with running(settings) as address, httpx.Client(base_url=address, timeout=100, trust_env=False) as client:
        console.print(f"A service with the demo model answers at {address}.")
        shots = sample_picture.click(client)
        console.print(_shots_table(shots))
        clip = sample_clip.track(client)
        console.print(_clip_table(clip))
    _draw(out, shots, clip)
    console.print(f"The pictures and the video are in {out}/.")
    _judge(shots, clip)


def _shots_table(shots: Sequence[Shot]) -> Table:
    table = Table("prompt", "object", "IoU with the truth", "answered in", title="The sample picture")
    firsts = {
        next(n for n, shot in enumerate(shots) if shot.kind == IN_WORDS): " (the first: loads the detector)",
        0: " (the first: encodes the picture)",
    }
    for number, shot in enumerate(shots):
        note = firsts.get(number, "")
        table.add_row(shot.kind, shot.prompt.name, f"{shot.iou:.3f}", f"{1000 * shot.seconds:.0f} ms{note}")
    return table


def _clip_table(clip: Clip) -> Table:
    frames = len(clip.video)
    table = Table(
        "object", "J with the truth", title=f"The sample clip: {frames} frames in {clip.seconds:.1f} s"
    )
    for number, masklet in enumerate(clip.masklets, 1):
        table.add_row(f"{number}, from a box on frame {masklet.prompted + 1}", f"{masklet.j:.3f}")
    return table


def _draw(out: Path, shots: Sequence[Shot], clip: Clip) -> None:
    out.mkdir(parents=True, exist_ok=True)
    for kind in PROMPTS:
        picture = sample_picture.overlay([shot for shot in shots if shot.kind == kind])
        _write(out / f"{kind.replace(' ', '-')}.png", picture)
    _write(out / "a-negative-click.png", sample_picture.mended(shots))
    _write(out / "masklets.png", sample_clip.strip(clip))
    sample_clip.write_video(out / "masklets.mp4", clip)


def _write(path: Path, picture: Pixels) -> None:
    if not cv2.imwrite(str(path), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR)):
        raise DemoFailedError(f"{path} can't be written. Give another folder with --out.")


def _judge(shots: Sequence[Shot], clip: Clip) -> None:
    """Raises DemoFailedError, which names the worst answer, unless all are right."""
    meant = [shot for shot in shots if shot.kind != LOOSE]
    worst = min(meant, key=lambda shot: shot.iou)
    if worst.iou < REQUIRED_IOU:
        raise DemoFailedError(
            f"{worst.kind} on {worst.prompt.name}: IoU {worst.iou:.2f}, less than {REQUIRED_IOU}."
        )
    for number, masklet in enumerate(clip.masklets, 1):
        if masklet.j < REQUIRED_IOU:
            raise DemoFailedError(
                f"The masklet of object {number}: J {masklet.j:.2f}, less than {REQUIRED_IOU}."
            )
