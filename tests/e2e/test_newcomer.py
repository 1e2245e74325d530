"""A newcomer's way from a checkout to a mask in Label Studio, by the README's own lines."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent

from label_studio_sam2 import demo

from tests.e2e.editor import Editor
from tests.e2e.label_studio import LEGACY_TOKEN, POLL_SECONDS, LabelStudio, answers, free_port
from tests.e2e.pictures import brush_mask, iou
from tests.fakes.eventually import eventually

ROOT = Path(__file__).parents[2]
GOOD = 0.8
START_SECONDS = 300
RING, *_ = demo.sample_prompts()


def lines() -> tuple[str, str, str]:
    """Those of the README's steps: what is exported, what serves, what connects."""
    steps = (ROOT / "README.md").read_text().partition("\n## Use it in Label Studio\n")[2]
    _, serving, connecting, *_ = [
        dedent(block).strip() for block in re.findall(r"^ *```\n(.*?)```", steps, re.DOTALL | re.MULTILINE)
    ]
    exported, serve = serving.splitlines()
    return exported, serve, connecting


@contextmanager
def served(line: str, url: str, environment: dict[str, str]) -> Iterator[None]:
    """The service that a shell's line starts in the checkout, until the block ends."""
    process = subprocess.Popen(["bash", "-c", line], cwd=ROOT, env=environment, start_new_session=True)
    try:
        eventually(lambda: answers(url + "/ready"), START_SECONDS, every=POLL_SECONDS)
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(60)


def test_the_readmes_steps_end_at_a_mask_in_label_studio(
    label_studio: LabelStudio, editor: Editor, tmp_path: Path
) -> None:
    exported, serve, connect = lines()
    port = free_port()
    names = [word.partition("=")[0] for word in shlex.split(exported)[1:]]
    assert names == ["LABEL_STUDIO_URL", "LABEL_STUDIO_API_KEY"]
    environment = {
        "PATH": os.defpath,
        "HOME": str(tmp_path),
        "TMPDIR": str(tmp_path),
        "PORT": str(port),
        **dict(zip(names, (label_studio.url, LEGACY_TOKEN), strict=True)),
    }
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "scene.jpg").write_bytes(demo.SAMPLE_IMAGE.read_bytes())
    on_any_machine = re.sub(r"MODEL=\S+", "MODEL=demo", serve)
    with served(on_any_machine, f"http://localhost:{port}", environment):
        done = subprocess.run(
            ["bash", "-c", connect.replace(" photos/", f" {tmp_path}/photos/")],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        (project,) = re.findall(r"/projects/(\d+)/data", done.stdout)
        (task,) = label_studio.tasks(int(project))
        editor.open(int(project), task["id"])
        editor.label("Car")
        editor.smart_tool("key-point-tool")
        editor.click(RING.click)
        editor.accept()
        editor.submit()
    (region,) = [
        one for one in label_studio.annotations(task["id"])[0]["result"] if one["from_name"] == "result"
    ]
    assert region["value"]["brushlabels"] == ["Car"]
    assert iou(brush_mask(region), demo.sample_masks()[RING.object]) >= GOOD
