"""A video, from one box to exported masklets, in the real editor with the demo model and the shipped clip."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import numpy as np
from label_studio_sam2.demo import SAMPLE_CLIP, sample_clip_masks
from label_studio_sam2.labelstudio.config.templates import TEMPLATES
from PIL import Image

from tests.e2e.backend import Backend
from tests.e2e.editor import Editor
from tests.e2e.label_studio import LabelStudio
from tests.e2e.pictures import Bitmap, Subject, iou, painted
from tests.e2e.timeline import Box, Timeline

GOOD = 0.8
MASKS = sample_clip_masks()
FRAMES, _, HEIGHT, WIDTH = MASKS.shape
FIRST, SECOND = MASKS[:, 1], MASKS[:, 0]
"""The object that is tracked, and the one to which its box is moved in the middle."""

SHOWN, CORRECTED = 25, 31
"""Counted from 1, as Label Studio counts frames."""


def test_a_box_is_tracked_scrubbed_corrected_submitted_exported_and_turned_into_masklets(
    label_studio: LabelStudio, backend: Backend, editor: Editor, screenshots: Path, tmp_path: Path
) -> None:
    config = TEMPLATES["video"].with_labels(("Player", "Ball"), frame_rate=12)
    project = label_studio.create_project("video", config)
    (task,) = label_studio.upload(project, sample_mp4=SAMPLE_CLIP.read_bytes())
    label_studio.connect(project, backend.url)
    editor.open(project, task)
    timeline = Timeline(editor)
    timeline.scrub(SHOWN)
    bare = editor.picture()
    timeline.scrub(1)
    timeline.draw(*Subject(FIRST[0]).corners)

    tracked = timeline.track("Player")

    assert len(tracked["value"]["sequence"]) == FRAMES
    timeline.scrub(SHOWN)
    assert _box_iou(timeline.shape(SHOWN), FIRST[SHOWN - 1]) >= GOOD
    assert painted(bare, editor.picture(), Subject(FIRST[SHOWN - 1]).box) >= GOOD
    editor.screenshot(screenshots / "video.png")
    before = [timeline.shape(frame) for frame in range(1, CORRECTED)]
    timeline.correct(CORRECTED, Subject(SECOND[CORRECTED - 1]).corners)

    timeline.track_again("Player")

    assert timeline.labels() == ["Player"]
    assert [timeline.shape(frame) for frame in range(1, CORRECTED)] == before
    editor.submit()
    (annotation,) = label_studio.annotations(task)
    (region,) = annotation["result"]
    assert region["value"]["labels"] == ["Player"]
    assert all("rle" in keyframe for keyframe in region["value"]["sequence"])
    written = _masklets(label_studio, backend, project, tmp_path)
    truth = [*FIRST[: CORRECTED - 1], *SECOND[CORRECTED - 1 :]]
    assert len(written) == FRAMES
    assert fmean(iou(mask, true) for mask, true in zip(written, truth, strict=True)) >= GOOD


def _masklets(label_studio: LabelStudio, backend: Backend, project: int, folder: Path) -> list[Bitmap]:
    """The only object's masks, frame by frame, as `masklets` writes them from Label Studio's JSON export."""
    (folder / "export.json").write_text(json.dumps(label_studio.export(project)))
    done = backend.run(
        "masklets", str(folder / "export.json"), str(folder / "out"), "--format", "davis", "--fetch"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    frames = sorted((folder / "out").rglob("Annotations/**/*.png"))
    return [np.array(Image.open(frame)) > 0 for frame in frames]


def _percent(mask: Bitmap) -> Box:
    (left, top), (right, bottom) = Subject(mask).corners
    return 100 * left / WIDTH, 100 * top / HEIGHT, 100 * (right - left) / WIDTH, 100 * (bottom - top) / HEIGHT


def _box_iou(shown: Box | None, mask: Bitmap) -> float:
    if shown is None:
        return 0.0
    x, y, width, height = shown
    true_x, true_y, true_width, true_height = _percent(mask)
    across = max(0.0, min(x + width, true_x + true_width) - max(x, true_x))
    down = max(0.0, min(y + height, true_y + true_height) - max(y, true_y))
    shared = across * down
    return shared / (width * height + true_width * true_height - shared)
