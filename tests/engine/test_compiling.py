from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.compiling import padded
from label_studio_sam2.engine.image import decoding, encoding
from label_studio_sam2.engine.image.upsampling import upsample
from label_studio_sam2.engine.opening import open_segmenter
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.geometry import iou
from label_studio_sam2.types import Box, Prompt, Size

from demo_model.scenes import draw_scene
from tests.fakes.networks import demo_model
from tests.fakes.settings import settings


@pytest.mark.parametrize(("pictures", "size"), [(1, 1), (2, 2), (3, 4), (5, 8), (8, 8), (9, 9)])
def test_a_batch_is_padded_to_a_size_that_is_compiled(pictures: int, size: int) -> None:
    batch = torch.arange(pictures).float()[:, None, None, None].expand(-1, 3, 2, 2)
    found = padded(batch)
    assert len(found) == size
    assert torch.equal(found[:pictures], batch)


@pytest.fixture
def compiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Segmenter]:
    monkeypatch.delenv("TORCHINDUCTOR_CACHE_DIR", raising=False)
    monkeypatch.delenv("TRITON_CACHE_DIR", raising=False)
    segmenter = open_segmenter(settings(compile=True, model_cache=tmp_path))
    yield segmenter
    segmenter.close()
    torch._dynamo.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # the compiler's own
def test_a_compiled_model_answers_as_the_model_does_and_is_kept(compiled: Segmenter, tmp_path: Path) -> None:
    assert compiled.model.fingerprint != demo_model().fingerprint
    picture = draw_scene(3, width=320, height=240).image
    box = Prompt(box=Box(60, 40, 260, 200))
    with torch.inference_mode():
        mask, expected = (
            upsample(
                decoding.decode(
                    decoding.prepare(model, encoding.encode(model, picture, np.float32)), box
                ).logits[0],
                Size(240, 320),
            )
            for model in (compiled.model, demo_model())
        )
    assert iou(mask, expected) > 0.98
    assert any((tmp_path / "compiled").rglob("*"))
