"""Below a path and behind TLS, by the file that admins are given: deploy/nginx.conf. Label Studio too."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from label_studio_sam2.doctor import connect
from label_studio_sam2.doctor.connect import Wish
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.types import Size
from pydantic import SecretStr

from demo_model.scenes import draw_scene
from tests.fakes import nginx
from tests.fakes.asking import body, click, data_url, regions_of
from tests.fakes.forward_proxy import certificate
from tests.fakes.label_studio_server import ProjectServer
from tests.fakes.running_service import RunningService
from tests.fakes.servers import LEGACY, serving
from tests.fakes.settings import settings

CONFIG = (Path(__file__).parents[2] / "deploy" / "nginx.conf").read_text()
SIZE = Size(240, 320)
KEPT = "location /kept/ {{ proxy_pass http://{host}; proxy_set_header Host $http_host; }}"
LABEL_STUDIO = "location /label-studio/ {{ proxy_pass http://{host}/; }}"


@pytest.fixture(scope="module")
def label_studio() -> Iterator[ProjectServer]:
    with serving(ProjectServer()) as site:
        yield site


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return certificate(tmp_path_factory.mktemp("tls"), "localhost")


@pytest.fixture(scope="module")
def front(
    address: str, label_studio: ProjectServer, authority: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    port, host = nginx.free_port(), address.removeprefix("http://")
    server = CONFIG.replace("127.0.0.1:9090", host).replace("listen 443", f"listen {port}")
    server = re.sub(r"/etc/nginx/tls/\w+\.pem", str(authority), server)
    more = KEPT.format(host=host) + LABEL_STUDIO.format(host=label_studio.host)
    server = server.rstrip().removesuffix("}") + more + "}"
    with nginx.running(server, port, tmp_path_factory.mktemp("nginx")) as found:
        yield found


@pytest.fixture
def browser(front: str, authority: Path) -> Iterator[httpx.Client]:
    trusted = ssl.create_default_context(cafile=authority)
    with httpx.Client(base_url=front, verify=trusted, trust_env=False, timeout=60) as client:
        yield client


@pytest.mark.parametrize("prefix", ["/sam2", "/kept"])
def test_a_click_below_a_path_gives_a_mask_whether_the_path_is_kept_or_taken_away(
    prefix: str, browser: httpx.Client
) -> None:
    picture = data_url(draw_scene(3, width=SIZE.width, height=SIZE.height).image)
    answer = browser.post(prefix + "/predict", json=body(picture, [click(100, 100, SIZE)]))
    assert regions_of(answer)
    assert browser.post(prefix + "/setup", json={}).is_success
    assert browser.get(prefix + "/health").json()["status"] == "UP"


def test_the_page_finds_all_its_files_below_the_path(browser: httpx.Client) -> None:
    page = browser.get("/sam2/", headers={"Accept": "text/html"})
    files = re.findall(r'(?:src|href)="(?!http|#)([^"]+)"', page.text)
    files += [
        f"web/{name}" for name in re.findall(r'from "\./(\w+\.js)"', browser.get("/sam2/web/app.js").text)
    ]
    assert len(files) > 6
    for file in files:
        assert browser.get(str(page.url.join(file))).is_success, file


def test_the_page_behind_nginx_may_begin_something_and_another_sites_may_not(
    front: str, browser: httpx.Client
) -> None:
    for origin, status in ((front, 202), ("https://evil.example", 403)):
        assert browser.post("/sam2/checks", headers={"Origin": origin}).status_code == status


def test_a_label_studio_below_a_path_with_a_private_certificate_is_connected_and_its_media_fetched(
    front: str, label_studio: ProjectServer, authority: Path, tmp_path: Path
) -> None:
    given = settings(
        label_studio_url=f"{front}/label-studio",
        label_studio_api_key=SecretStr(LEGACY),
        requests_ca_bundle=str(authority),
    )
    picture = tmp_path / "a.png"
    picture.write_bytes(b"a picture")
    with serving(RunningService()) as service:
        done = connect.run(given, Wish(create="Cars", backend=service.localhost, files=(picture,)))
    assert done.address == f"{front}/label-studio/projects/1/data"
    (task,) = label_studio.projects[0].tasks
    with LabelStudioClient.of(given) as label_studio_client:
        store = MediaStore.of(given, tmp_path / "media", label_studio_client)
        assert store.fetch(task["data"]["image"]).path.read_bytes() == b"a picture"
