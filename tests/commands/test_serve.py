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
from label_studio_sam2.cli import app
from label_studio_sam2.errors import NotReady
from label_studio_sam2.types import Size
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from demo_model.scenes import draw_scene
from tests.fakes import asking_video as video
from tests.fakes import servers as labelstudio_servers
from tests.fakes.accepted import answered_by, random_masks
from tests.fakes.asking import body, click, mask_of, regions_of
from tests.fakes.eventually import eventually
from tests.fakes.fit_server import FitServer
from tests.fakes.servers import LEGACY
from tests.fakes.service_process import answers, serving
from tests.fakes.tuning_service import reaches_tuning, started, trained

SIZE = Size(120, 160)
ROOT = Path(__file__).parents[2]
GRACE_SECONDS = 20
"""For what nobody waits for: the service itself gives its jobs 8."""


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
def test_a_service_that_is_told_to_stop_does_not_wait_for_a_slow_download_of_a_job() -> None:
    with slow_picture() as picture, serving(MEDIA_ALLOWED_HOSTS="127.0.0.1") as (address, process):
        asked = body(f"http://127.0.0.1:{picture.server_port}/a.png", None)
        assert httpx.post(address + "/predict", json=asked, trust_env=False).is_success
        tasks = [{"id": n, "data": {"image": f"http://127.0.0.1:{picture.server_port}/{n}"}} for n in (1, 2)]
        batch = asked | {"tasks": tasks, "params": {"context": None, "everything": True}}
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(address + "/predict", json=batch, timeout=0.5, trust_env=False)
        assert picture.asked.wait(20)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=GRACE_SECONDS) in (0, -signal.SIGTERM)
        picture.send.set()


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
            site.service = address
            reaches_tuning(client, started(client, project))
            process.kill()
            process.wait()
        with (
            serving(**environment) as (address, _),
            httpx.Client(base_url=address, timeout=60, trust_env=False) as client,
        ):
            site.service = address
            assert client.get("/versions").json()["tuned"] == []
            assert "+project" not in answered_by(client, project)
            assert trained(client, project)["version"].startswith(f"project{project}.v1-")


def serve(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["serve", "--host", "127.0.0.1", *arguments])


@pytest.mark.parametrize("port", ["99999", "65536", "-1"])
def test_a_port_that_there_isnt_is_refused_before_anything_is_loaded(port: str) -> None:
    done = serve("--port", port)
    assert isinstance(done.exception, ValidationError)
    assert "port" in str(done.exception)


@pytest.mark.parametrize(("host", "reason"), [("127.0.0.1", "in use"), ("192.0.2.1", "assign")])
def test_an_address_that_cant_be_listened_on_is_named(host: str, reason: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve("--port", str(port), "--host", host)
    assert isinstance(done.exception, NotReady)
    assert host in done.exception.detail
    assert str(port) in done.exception.detail
    assert reason in done.exception.detail


@pytest.mark.slow
def test_a_model_that_can_never_be_ends_the_service_in_one_sentence() -> None:
    command = [sys.executable, "-m", "label_studio_sam2", "serve", "--port", "0", "--model", "sam3_giant"]
    ended = subprocess.run(command, env={}, capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith(
        "MODEL=sam3_giant is neither a file nor a known checkpoint."
    )
    assert "Traceback" not in ended.stderr


def test_make_serve_leaves_no_service_behind_when_it_is_ended(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "label-studio-sam2"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec sleep 60\n")
    program.chmod(0o755)
    (tmp_path / ".installed").touch()
    with subprocess.Popen(["make", "serve", f"VENV={tmp_path}"], cwd=ROOT, stderr=subprocess.DEVNULL) as make:
        eventually(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text().strip().isdecimal())
        service = int((tmp_path / "pid").read_text())
        make.terminate()
    eventually(lambda: not Path(f"/proc/{service}/cmdline").exists())


@pytest.mark.parametrize("setting", ["PORT=many", "MEMORY_CACHE_MB=-1", "DEVICE=tpu"])
def test_a_wrong_setting_is_named_and_nothing_starts(setting: str) -> None:
    name, _, value = setting.partition("=")
    command = [sys.executable, "-m", "label_studio_sam2", "serve"]
    ended = subprocess.run(command, env={name: value}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert name in ended.stderr
    assert "Traceback" not in ended.stderr
