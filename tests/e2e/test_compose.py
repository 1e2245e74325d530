"""What docker compose starts, by the README's own lines, as far as it goes without a container engine: the same
programs in the environments that the compose file gives them, by the addresses that they then have here."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from playwright.sync_api import Browser, expect

from tests.e2e import label_studio as label_studios
from tests.e2e.backend import Backend
from tests.e2e.label_studio import answers
from tests.e2e.pictures import Picture

ROOT = Path(__file__).parents[2]
OF_THE_CONTAINER = {"LABEL_STUDIO_HOST", "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"}
COPIED = ("docker-compose.yml", ".env.example", "deploy")


def readme_lines() -> list[str]:
    """The block with the three lines that give all of it."""
    (block,) = re.findall(r"```\n(deploy/new-env\n.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    return block.splitlines()


def composed(folder: Path) -> dict[str, Any]:
    """The services in `folder`, whose .env has been written."""
    command = ["docker-compose", "--profile", "label-studio", "config"]
    path = {"PATH": os.defpath + ":/usr/local/bin"}
    done = subprocess.run(command, cwd=folder, env=path, capture_output=True, text=True, check=True)
    services: dict[str, Any] = yaml.safe_load(done.stdout)["services"]
    return services


def given(service: dict[str, Any]) -> dict[str, str]:
    return {name: value for name, value in service["environment"].items() if value}


def test_the_readmes_lines_end_at_an_address_that_a_browser_opens_with_a_project_that_answers_clicks(
    request: pytest.FixtureRequest, tmp_path: Path, browser: Browser
) -> None:
    new_env, up, connect = readme_lines()
    for name in COPIED:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)
    subprocess.run(shlex.split(new_env), cwd=tmp_path, env={"PATH": os.defpath}, check=True)
    services = composed(tmp_path)
    assert "--profile label-studio up" in up
    environment: Path = request.config.getoption("--label-studio")
    theirs = {
        name: value for name, value in given(services["label-studio"]).items() if name not in OF_THE_CONTAINER
    }
    with label_studios.running(environment.absolute(), tmp_path / "studio", **theirs) as studio:
        health = services["label-studio"]["healthcheck"]["test"]
        port = studio.url.rpartition(":")[2]
        probe = [part.replace("8080", port) for part in health[1:]]
        subprocess.run([sys.executable, *probe[1:]], check=True)
        ours = given(services["backend"]) | {"MODEL": "demo", "REDIS_URL": "", "SSL_CERT_FILE": ""}
        names = {"http://label-studio:8080": studio.url, "http://localhost:8080": f"http://localhost:{port}"}
        ours = {name: names.get(value, value) for name, value in ours.items()}
        backend = Backend(tmp_path / "backend", {name: value for name, value in ours.items() if value})
        backend.start()
        try:
            _, _, rest = connect.partition("exec backend label-studio-sam2 ")
            asked = shlex.split(rest.replace("http://backend:9090", backend.url))
            said = subprocess.run(
                [sys.executable, "-m", "label_studio_sam2", *asked],
                env=backend.environment,
                capture_output=True,
                text=True,
                check=True,
            ).stdout
            address = said.split()[-1]
            assert address == f"http://localhost:{port}/projects/1/data"
            page = browser.new_page()
            page.goto(address)
            page.locator("input[name=email]").fill(theirs["LABEL_STUDIO_USERNAME"])
            page.locator("input[name=password]").fill(theirs["LABEL_STUDIO_PASSWORD"])
            page.locator("input[name=password]").press("Enter")
            expect(page).to_have_url(re.compile(re.escape(address)), timeout=60_000)
            page.close()
            assert clicked(studio.url, theirs["LABEL_STUDIO_USER_TOKEN"])
            assert answers(backend.url + "/ready")
        finally:
            backend.stop()


def clicked(url: str, key: str) -> list[dict[str, Any]]:
    """The regions that Label Studio hands on from the backend for a click on a new task of project 1."""
    headers = {"Authorization": f"Token {key}"}
    with httpx.Client(base_url=url, headers=headers, timeout=120, trust_env=False) as http:
        files = {"file": ("picture.png", Picture.draw(8, 160, 120).png())}
        http.post("/api/projects/1/import", files=files).raise_for_status()
        (task,) = http.get("/api/tasks/", params={"project": 1}).json()["tasks"]
        (backend,) = http.get("/api/ml/", params={"project": 1}).json()
        click = {
            "id": "a",
            "type": "keypointlabels",
            "from_name": "click",
            "to_name": "image",
            "is_positive": True,
            "original_width": 160,
            "original_height": 120,
            "value": {"x": 50, "y": 50, "width": 1, "keypointlabels": ["Car"]},
        }
        body = {"task": task["id"], "context": {"result": [click]}}
        answer = http.post(f"/api/ml/{backend['id']}/interactive-annotating", json=body)
        answer.raise_for_status()
        return list(answer.json()["data"]["result"])
