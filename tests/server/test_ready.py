from __future__ import annotations

import httpx
import pytest
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import body, click, data_url, regions_of
from tests.fakes.faulty_networks import DEAD, FULL, Opened, with_decoder

SIZE = Size(120, 160)


@pytest.mark.parametrize(
    ("error", "name", "advice"), [(DEAD, "DeviceFailed", "restart"), (FULL, "OutOfMemory", "smaller MODEL")]
)
def test_a_device_that_dies_is_told_to_the_click_and_makes_the_service_unready_until_it_works_again(
    error: Exception, name: str, advice: str
) -> None:
    errors: list[Exception] = []
    model, _ = with_decoder(lambda _: errors[0] if errors else None)
    context = Opened(Segmenter(model, EmbeddingCache(1 << 26), Lane()))
    picture = data_url(draw_scene(3, width=SIZE.width, height=SIZE.height).image)
    asked, other = (body(picture, [click(x, 50, SIZE)]) for x in (60, 20))
    with (
        running(context.settings, context=context) as address,
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        assert regions_of(client.post("/predict", json=asked))
        errors.append(error)
        for answer in (client.post("/predict", json=other), client.get("/ready")):
            assert answer.status_code == 503
            assert answer.json()["error"] == name
            assert advice in answer.json()["detail"]
            assert int(answer.headers["Retry-After"]) > 0
        assert client.get("/health").status_code == 200
        errors.clear()
        assert client.get("/ready").status_code == 200
        assert regions_of(client.post("/predict", json=other))
