"""Thousands of requests that are nearly the recorded ones: none may break the service, hang, or stay in its memory.

`make fuzz` sends many times as many.
"""

from __future__ import annotations

import gc
import json
import logging
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from traceback import extract_tb

import cv2
import httpx
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.server.logs import request_id

from tests.fakes.detectors import with_words
from tests.fakes.mutations import mutated
from tests.fakes.servers import Exchange, Site, serving
from tests.fakes.settings import settings
from tests.server.test_traffic import drawn, reaching_us, recorded

SIDE_BY_SIDE = 4
PATIENCE_SECONDS = 30
MOST_BYTES = 400 << 20
"""That the process may have more after the run than after its first part: for what is bounded, but not full yet."""

ANSWERS = {200, 201, 202, 400, 401, 404, 405, 413, 415, 422, 502, 503}


class Broken(logging.Handler):
    """What nobody expected, by where it came from: the requests that met it, by their ids."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.seeds: defaultdict[str, list[str]] = defaultdict(list)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            ours = [
                frame for frame in extract_tb(error.__traceback__) if "label_studio_sam2" in frame.filename
            ]
            at = f"{Path(ours[-1].filename).name}:{ours[-1].lineno}" if ours else "elsewhere"
            self.seeds[f"{type(error).__name__} at {at}: {str(error)[:100]}"].append(request_id.get())


@pytest.fixture
def broken() -> Iterator[Broken]:
    handler = Broken()
    logging.getLogger().addHandler(handler)
    yield handler
    logging.getLogger().removeHandler(handler)


def resident() -> int:
    """Of this process, in bytes."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@pytest.mark.slow
def test_no_request_breaks_the_service_hangs_or_stays_in_its_memory(
    broken: Broken, pytestconfig: pytest.Config
) -> None:
    count = pytestconfig.getoption("fuzz")
    asked = [recorded(name)[number] for name, number in reaching_us()]
    asked = [one for one in asked if one["method"] == "POST"]
    picture = cv2.imencode(".png", cv2.cvtColor(drawn()[0], cv2.COLOR_RGB2BGR))[1].tobytes()
    clip = demo.SAMPLE_CLIP.read_bytes()

    def reply(exchange: Exchange) -> None:
        exchange.reply(200, clip if exchange.path.endswith((".mp4", ".webm")) else picture)

    with (
        serving(Site(reply)) as site,
        with_words(settings(label_studio_url=site.url, predict_budget=0.5, memory_cache_mb=64)) as address,
        httpx.Client(base_url=address, timeout=PATIENCE_SECONDS, trust_env=False) as client,
        ThreadPoolExecutor(SIDE_BY_SIDE) as threads,
    ):

        def wrong(seed: int) -> str:
            """What is wrong with the answer to a seed's request; empty where nothing is."""
            method, path, body = mutated(asked, seed)
            headers = {"Content-Type": "application/json", "X-Request-Id": f"{seed}"}
            try:
                answer = client.request(method, path, content=body, headers=headers)
                said = answer.json()
            except (httpx.HTTPError, json.JSONDecodeError) as error:
                return f"{seed}: {path}: {error!r}"
            shaped = answer.is_success or (set(said) == {"detail", "error"} and len(answer.content) < 5000)
            return "" if answer.status_code in ANSWERS and shaped else f"{seed}: {path}: {answer.text[:200]}"

        found = list(filter(None, threads.map(wrong, range(count // 4))))
        before = resident()
        found += filter(None, threads.map(wrong, range(count // 4, count)))
        grown = resident() - before
        assert client.get("/health").status_code == 200
    assert not broken.seeds, "\n".join(f"{at} (seeds {seeds[:3]})" for at, seeds in broken.seeds.items())
    assert not found, "\n".join(found)
    assert grown < MOST_BYTES
