from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import cv2
import httpx
import pytest
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.eventually import eventually
from tests.fit_server import FitServer
from tests.http import test_video as video
from tests.http.asking import body, click, mask_of, regions_of
from tests.http.test_fit import answered_by, random_masks
from tests.labelstudio import servers as labelstudio_servers
from tests.labelstudio.servers import LEGACY
from tests.tuning_service import reaches_tuning, started, trained

SIZE = Size(120, 160)


class SlowPicture(ThreadingHTTPServer):
    """Sends a picture only when it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), SlowHandler)
        self.asked, self.send = threading.Event(), threading.Event()
        self.png = cv2.imencode(".png", draw_scene(5, width=SIZE.width, height=SIZE.height).image)[
            1
        ].tobytes()


class SlowHandler(BaseHTTPRequestHandler):
    server: SlowPicture

    def do_GET(self) -> None:
        self.server.asked.set()
        self.server.send.wait()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.server.png)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def slow_picture() -> Iterator[SlowPicture]:
    with SlowPicture() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def serving(**environment: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """`label-studio-sam2 serve` as a process of its own, once it is ready."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "label_studio_sam2", "serve", "--port", str(port), "--host", "127.0.0.1"]
    process = subprocess.Popen(command, env={"MODEL": "demo", "DEVICE": "cpu", **environment})
    address = f"http://127.0.0.1:{port}"
    try:
        eventually(lambda: answers(address + "/ready"), seconds=90)
        yield address, process
    finally:
        process.kill()
        process.wait()


def answers(url: str) -> bool:
    try:
        return httpx.get(url, trust_env=False).is_success
    except httpx.TransportError:
        return False


@pytest.mark.slow
def test_a_running_answer_is_finished_when_the_service_is_told_to_stop() -> None:
    with slow_picture() as picture, serving(MEDIA_ALLOWED_HOSTS="127.0.0.1") as (address, process):
        asked = body(f"http://127.0.0.1:{picture.server_port}/a.png", [click(80, 60, SIZE)])
        with ThreadPoolExecutor() as threads:
            answer = threads.submit(httpx.post, address + "/predict", json=asked, timeout=60, trust_env=False)
            picture.asked.wait()
            process.send_signal(signal.SIGTERM)
            eventually(lambda: not answers(address + "/health"))
            picture.send.set()
            regions = regions_of(answer.result())
        assert mask_of(regions[0]).shape == SIZE
        assert process.wait(timeout=60) in (0, -signal.SIGTERM)  # uvicorn raises it again when it is done


@pytest.mark.slow
def test_a_service_that_was_killed_while_it_tracked_tracks_the_rest_when_it_is_back(tmp_path: Path) -> None:
    with serving(PREDICT_BUDGET="0.3", TMPDIR=str(tmp_path)) as (address, process):
        with httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
            (first,) = video.ask(client, video.region("a", video.keyframe(1, 0)))
        process.kill()
        process.wait()
    with (
        serving(TMPDIR=str(tmp_path)) as (address, _),
        httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
    ):
        (second,) = video.ask(client, first)
    assert second["meta"]["tracked"] == [1, video.COUNT]
    assert video.mean_iou(second, 0) > 0.75


@pytest.mark.slow
def test_a_service_that_was_killed_while_it_tuned_has_no_version_and_tunes_when_it_is_back(
    tmp_path: Path,
) -> None:
    with labelstudio_servers.serving(FitServer()) as site:
        project = site.make()
        random_masks(site, project)
        environment = {
            "LABEL_STUDIO_URL": site.url,
            "LABEL_STUDIO_API_KEY": LEGACY,
            "MODEL_CACHE": str(tmp_path),
            "TMPDIR": str(tmp_path),
        }
        with (
            serving(**environment) as (address, process),
            httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
        ):
            reaches_tuning(client, started(client, project))
            process.kill()
            process.wait()
        with (
            serving(**environment) as (address, _),
            httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
        ):
            assert client.get("/versions").json()["tuned"] == []
            assert "+project" not in answered_by(client, project)
            assert trained(client, project)["version"] == f"project{project}.v1"


@pytest.mark.parametrize("setting", ["PORT=many", "MEMORY_CACHE_MB=-1", "DEVICE=tpu"])
def test_a_wrong_setting_is_named_and_nothing_starts(setting: str) -> None:
    name, _, value = setting.partition("=")
    command = [sys.executable, "-m", "label_studio_sam2", "serve"]
    ended = subprocess.run(command, env={name: value}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr
