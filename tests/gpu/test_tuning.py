from __future__ import annotations

from pathlib import Path
from time import monotonic

import torch
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning.measuring import Example, measure, one_click
from label_studio_sam2.engine.tuning.tune import tune
from label_studio_sam2.engine.tuning.version import Verdict
from label_studio_sam2.engine.tuning.versions import Versions
from label_studio_sam2.types import Picture

from demo_model.scenes import draw_scene

STEPS = 40


def examples(seeds: range, side: int) -> list[Example]:
    made = []
    for seed in seeds:
        scene = draw_scene(seed, width=320, height=240)
        picture = Picture(f"s{seed}", lambda scene=scene: scene.image)  # type: ignore[misc]
        made += [Example.of(picture, mask, side, str(seed)) for mask in scene.masks]
    return [example for example in made if example is not None]


def test_a_decoder_is_tuned_stored_and_read_back_on_the_device(segmenter: Segmenter, tmp_path: Path) -> None:
    base, side = segmenter.model, segmenter.model.image_size
    checked = examples(range(10, 12), side)
    tuned = tune(
        segmenter,
        examples(range(4), side),
        checked,
        examples(range(4, 8), side),
        deadline=monotonic() + 120,
        most_steps=STEPS,
        report=lambda *_: None,
    )
    assert tuned.steps == STEPS
    versions = Versions(tmp_path)
    with versions.training(1):
        version = versions.save(1, base, tuned.decoder, Verdict(True, "", {}), {})
    read = versions.load(base, version)
    weights = list(read.decoder.parameters())
    assert {weight.device for weight in weights} == {weight.device for weight in base.decoder.parameters()}
    assert all(bool(torch.isfinite(weight).all()) for weight in weights)
    before, after = (measure(segmenter, model, checked, (one_click,)).mean() for model in (base, read))
    assert after > before - 0.2
