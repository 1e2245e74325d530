"""What a service of its own holds in memory while a large batch goes through it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import httpx
import pytest
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes.asking import batch, box, results_of, task
from tests.fakes.servers import Exchange, Site, serving
from tests.fakes.service_process import serving as service

SIZE = Size(1500, 2000)
PICTURE_KIB = SIZE.height * SIZE.width * 3 >> 10
TASKS = 200
FIRST = 40


def peak_kib(pid: int) -> int:
    """The most that the process has had in memory so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.slow
def test_a_batch_of_two_hundred_large_pictures_takes_no_more_memory_than_its_first_forty(
    tmp_path: Path,
) -> None:
    drawn = cv2.resize(draw_scene(201, width=400, height=300).image, SIZE[::-1])
    jpeg = cv2.imencode(".jpg", drawn)[1].tobytes()

    def reply(exchange: Exchange) -> None:
        # What follows a JPEG isn't shown, but makes it another picture.
        exchange.reply(200, jpeg + exchange.path.encode())

    boxes = [{"id": 1, "result": [box(400, 400, 1200, 1200, SIZE)]}]
    settings = {
        "TMPDIR": str(tmp_path),
        "MEDIA_ALLOWED_HOSTS": "127.0.0.1",
        "MEMORY_CACHE_MB": "8",
        "PREDICT_BUDGET": "600",
        "LOG_LEVEL": "warning",
    }
    peaks: list[int] = []
    with (
        serving(Site(reply)) as site,
        service(**settings) as (address, process),
        httpx.Client(base_url=address, timeout=600, trust_env=False) as client,
        ThreadPoolExecutor() as threads,
    ):
        tasks = [task(n, f"{site.url}/{n}.jpg", annotations=boxes) for n in range(1, TASKS + 1)]
        asked = threads.submit(client.post, "/predict", json=batch(tasks))
        while not asked.done():
            done = max((job["progress"]["done"] for job in client.get("/jobs").json()["jobs"]), default=0)
            if FIRST <= done < TASKS // 2:
                peaks.append(peak_kib(process.pid))
        peaks.append(peak_kib(process.pid))
        assert all(results_of(asked.result()))
        assert client.get("/").json()["cache"]["encoded"] == TASKS
    assert len(peaks) > 1
    assert peaks[-1] - peaks[0] < 10 * PICTURE_KIB
