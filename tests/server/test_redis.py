from __future__ import annotations

import httpx
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import body, click, data_url, mask_of, regions_of
from tests.fakes.eventually import eventually
from tests.fakes.redis_server import RedisServer
from tests.fakes.settings import settings

SIZE = Size(120, 160)
PICTURE = data_url(draw_scene(11, width=SIZE.width, height=SIZE.height).image)


def ask(address: str, number: int) -> bytes:
    answer = httpx.post(address + "/predict", json=body(PICTURE, [click(20 + number, 60, SIZE)]), timeout=60)
    return mask_of(regions_of(answer)[0]).tobytes()


def hits(address: str) -> int:
    return int(httpx.get(address + "/").json()["cache"]["redis"])


def test_a_second_replica_finds_the_embedding_and_gives_the_same_mask(redis_server: RedisServer) -> None:
    with running(settings(redis_url=redis_server.url)) as first:
        one = ask(first, 0)
    with running(settings(redis_url=redis_server.url)) as second:
        assert ask(second, 0) == one
        assert hits(second) == 1


def test_a_redis_that_dies_in_the_middle_fails_no_click_and_is_used_again_when_it_is_back(
    redis_server: RedisServer,
) -> None:
    with running(settings(redis_url=redis_server.url, memory_cache_mb=0)) as address:
        before = ask(address, 0)
        redis_server.kill()
        assert [ask(address, 0) for _ in range(3)] == [before] * 3
        redis_server.start()
        known = hits(address)

        def used_again() -> bool:
            assert ask(address, 0) == before
            return hits(address) > known

        eventually(used_again)
