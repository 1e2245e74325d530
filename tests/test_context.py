from __future__ import annotations

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import httpx
import pytest
from label_studio_sam2 import demo
from label_studio_sam2.context import media_folder
from label_studio_sam2.server.in_process import running
from label_studio_sam2.types import Size

from demo_model.scenes import draw_scene
from tests.fakes import asking_video as video
from tests.fakes.asking import body, click, data_url
from tests.fakes.settings import settings

SIZE = Size(120, 160)


def test_media_are_kept_where_it_is_set_and_else_in_a_folder_of_this_users_own(tmp_path: Path) -> None:
    assert media_folder(settings(media_cache=str(tmp_path))) == tmp_path
    assert media_folder(settings(media_cache="")).name.endswith(f"-{os.getuid()}")


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody without a name")
def test_it_starts_as_a_user_whom_the_system_has_no_name_for() -> None:
    code = (
        "import os\n"
        "from label_studio_sam2.context import Context, media_folder\n"
        "from label_studio_sam2.settings import Settings\n"
        "os.setuid(54321)\n"  # not before: such a user may not read the packages
        "Context(Settings(media_cache='')).close()\n"
        "print(media_folder(Settings(media_cache='')).name)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout == "label-studio-sam2-54321\n", done.stderr


@pytest.mark.slow
def test_a_tracks_video_stays_in_a_cache_that_keeps_nothing_until_it_is_tracked(tmp_path: Path) -> None:
    small = settings(media_cache=str(tmp_path), media_cache_mb=0, predict_budget=0.01)
    with running(small) as address, httpx.Client(base_url=address, timeout=60, trust_env=False) as client:
        region = video.region("a", video.keyframe(video.visible_frame(0, after=10), 0))
        video.ask(client, region)
        seeds = count(1)
        while any(job["state"] in {"queued", "running"} for job in client.get("/jobs").json()["jobs"]):
            click_on(client, next(seeds))
        (tracked,) = video.ask(client, region)
        click_on(client, next(seeds))
        click_on(client, next(seeds))
        kept = [path.stat().st_size for path in tmp_path.iterdir() if path.suffix != ".json"]
    assert tracked["meta"]["tracked"][1] == video.COUNT
    assert demo.SAMPLE_CLIP.stat().st_size not in kept
    assert next(seeds) > 4


def click_on(client: httpx.Client, seed: int) -> None:
    picture = draw_scene(seed, width=SIZE.width, height=SIZE.height).image
    client.post("/predict", json=body(data_url(picture), [click(80, 60, SIZE)])).raise_for_status()
