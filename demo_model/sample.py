"""Draw the sample picture and clip that ship with the demo model: `python -m demo_model.sample`."""

from __future__ import annotations

import json

import cv2
import numpy as np

from demo_model.clips import Clip
from demo_model.metrics import box_of, deepest
from demo_model.model import CONFIG
from demo_model.movies import write_movie
from demo_model.scenes import Scene, finish
from demo_model.shapes import Outline, circle_points
from demo_model.sprites import Canvas, Pose, Sprite
from demo_model.textures import Texture

_FOLDER = CONFIG.parent
_WIDTH, _HEIGHT = 1280, 960
_CLIP_SEED, _CLIP_FRAMES, _HIDDEN = 65, 48, (20, 5)


def _texture(
    family: str, first: tuple[int, int, int], second: tuple[int, int, int], frequency: float = 3.0
) -> Texture:
    colours = (np.array(first, np.float64), np.array(second, np.float64))
    return Texture(family, colours, frequency, angle=0.6, phase=1.0, seed=0)


def _star() -> Outline:
    points = circle_points(10)
    points[1::2] *= 0.55
    return Outline((points,))


def _rounded(height: float) -> Outline:
    unit = circle_points(96)
    return Outline((np.sign(unit) * np.abs(unit) ** 0.35 * np.array([0.9, 0.9 * height]),))


def _blob() -> Outline:
    angles = np.linspace(0, 2 * np.pi, 90, endpoint=False)
    radius = 0.82 + 0.12 * np.cos(3 * angles) + 0.06 * np.cos(2 * angles + 1)
    return Outline((np.stack([radius * np.cos(angles), radius * np.sin(angles)], axis=1),))


def _crescent() -> Outline:
    half = np.linspace(-0.75 * np.pi, 0.75 * np.pi, 60)
    outer = np.stack([np.cos(half + np.pi), np.sin(half + np.pi)], axis=1)
    return Outline((np.concatenate([outer, outer[::-1] * np.array([0.45, 0.8]) + np.array([0.12, 0.0])]),))


# Outline, surface, and where it lies in units of the height; the first six are plain and apart from each other.
_OBJECTS = (
    (Outline((circle_points(90), circle_points(90) * 0.5)), _texture("radial", (32, 74, 135), (60, 110, 170)),
     Pose(0.27, 0.30, 0.175)),
    (_star(), _texture("waves", (224, 82, 74), (240, 120, 95)), Pose(0.70, 0.22, 0.165, 0.3)),
    (_blob(), _texture("radial", (238, 180, 60), (225, 150, 40)), Pose(1.10, 0.27, 0.17, 0.5)),
    (_rounded(0.62), _texture("radial", (42, 140, 110), (30, 115, 95)), Pose(0.26, 0.74, 0.17, -0.25)),
    (Outline((circle_points(90, 1.0, 0.72),)), _texture("waves", (128, 84, 160), (150, 105, 180)),
     Pose(0.513, 0.66, 0.14, 1.2)),
    (_crescent(), _texture("waves", (40, 52, 70), (62, 76, 98)), Pose(0.80, 0.60, 0.14, 2.4)),
    (Outline((circle_points(6),)), _texture("bricks", (186, 92, 60), (222, 150, 110), 4), Pose(1.12, 0.66, 0.13, 0.2)),
    (Outline((circle_points(90, 1.0, 0.5),)), _texture("chevrons", (245, 240, 235), (90, 160, 190), 3),
     Pose(0.80, 0.86, 0.14, 0.15)),
)  # fmt: skip


def draw_sample() -> Scene:
    """The sample picture: shapes and surfaces of the held-out split, arranged by hand."""
    surface = _texture("radial", (246, 238, 222), (205, 216, 212)).paint(_WIDTH)
    labels = np.zeros((_HEIGHT, _WIDTH), np.uint8)
    canvas = Canvas(np.ascontiguousarray(surface[:_HEIGHT]), labels)
    for label, (outline, texture, pose) in enumerate(_OBJECTS, start=1):
        canvas.paint(Sprite(outline, texture, label, shadow=0.25), pose)
    return Scene(finish(np.random.default_rng(0), canvas.rgb, blur=0.6, noise=2), labels)


def sample_clip() -> Clip:
    """The sample clip: two objects of the held-out split; the first is hidden for a few frames."""
    return Clip(_CLIP_SEED, width=640, height=480, hide=_HIDDEN)


def _prompts(scene: Scene) -> list[dict[str, object]]:
    """For three objects a click in, a click out and a box, in pixels."""
    ring, _, _, green, violet, *_ = scene.masks
    ring_centre = (round(0.27 * _HEIGHT), round(0.30 * _HEIGHT))
    chosen = (
        ("ring", 1, ring, (ring_centre[0] + round(0.131 * _HEIGHT), ring_centre[1]), ring_centre),
        ("green", 4, green, deepest(green), deepest(violet)),
        ("violet", 5, violet, deepest(violet), deepest(green)),
    )
    found = []
    for name, number, mask, inside, outside in chosen:
        prompts = {"click": inside, "outside": outside, "box": box_of(mask)}
        found.append({"name": name, "object": number} | prompts)
    return found


def main() -> None:
    """Write all files of the sample."""
    scene = draw_sample()
    cv2.imwrite(str(_FOLDER / "sample.jpg"), scene.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    cv2.imwrite(str(_FOLDER / "sample_masks.png"), scene.labels)
    (_FOLDER / "sample_prompts.json").write_text(json.dumps(_prompts(scene), indent=2) + "\n")
    clip = sample_clip()
    frames = [clip.frame(index) for index in range(_CLIP_FRAMES)]
    write_movie(_FOLDER / "sample.mp4", (frame.image for frame in frames))
    masks = np.stack([frame.masks for frame in frames])
    np.savez_compressed(
        _FOLDER / "sample_clip_masks.npz", bits=np.packbits(masks), shape=np.array(masks.shape)
    )


if __name__ == "__main__":
    main()
