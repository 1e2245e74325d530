"""The company's network: what goes through its proxy, what never does, and whose certificates are trusted."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from label_studio_sam2.doctor import label_studio
from label_studio_sam2.engine.checkpoints import Checkpoint, download
from label_studio_sam2.errors import LabelStudioError, MediaRefused, MediaUnavailable, SettingError
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import MediaStore
from label_studio_sam2.outgoing.proxies import Proxies
from label_studio_sam2.outgoing.ways import Outgoing
from label_studio_sam2.settings import Settings
from pydantic import SecretStr

from tests.fakes.forward_proxy import ForwardProxy, certificate, speaking_tls
from tests.fakes.label_studio_server import ProjectServer
from tests.fakes.servers import LEGACY, Site, serving
from tests.fakes.settings import settings

NAME = "label-studio.company.example"
MEDIA = "media.example.com"
PICTURE = bytes(range(256))


@pytest.fixture
def server() -> Iterator[ProjectServer]:
    with serving(ProjectServer()) as site:
        yield site


@pytest.fixture
def proxy(server: ProjectServer) -> Iterator[ForwardProxy]:
    with serving(ForwardProxy({NAME: server.server_port, MEDIA: server.server_port})) as site:
        yield site


def given(**more: object) -> Settings:
    nothing = {"http_proxy": "", "https_proxy": "", "no_proxy": frozenset()}
    nothing |= {"ssl_cert_file": "", "requests_ca_bundle": "", "curl_ca_bundle": ""}
    return settings(**nothing | {"label_studio_api_key": SecretStr(LEGACY)} | more)


@pytest.mark.parametrize(
    ("exempt", "url", "direct"),
    [
        ("", "http://a.example", False),
        ("a.example", "http://a.example", True),
        ("a.example", "http://b.a.example", True),
        (".a.example", "http://b.a.example", True),
        ("*.a.example", "http://b.a.example", True),
        ("a.example", "http://evil-a.example", False),
        ("A.example.", "http://a.EXAMPLE", True),
        ("a.example:8080", "http://a.example:8080", True),
        ("a.example:8080", "http://a.example", False),
        ("a.example:80", "http://a.example", True),
        ("https://a.example:443", "https://a.example", True),
        ("10.0.0.0/8", "http://10.1.2.3", True),
        ("10.0.0.0/8", "http://11.1.2.3", False),
        ("10.0.0.5", "http://10.0.0.5:8080", True),
        ("10.0.0.5:81", "http://10.0.0.5:80", False),
        ("fd00::/8", "http://[fd00::5]:80", True),
        ("[fd00::5]:80", "http://[fd00::5]", True),
        ("*", "https://a.example", True),
        ("", "http://localhost:9090", True),
        ("", "http://127.0.0.53", True),
        ("", "http://[::1]:9090", True),
        ("", "http://[::ffff:127.0.0.1]", True),
        ("", "http://localhost.a.example", False),
    ],
)
def test_no_proxy_is_read_as_other_programs_read_it_and_this_machine_is_never_asked_of_a_proxy(
    exempt: str, url: str, direct: bool
) -> None:
    proxies = Proxies.of("http://proxy:3128", "proxy:3128", [exempt])
    assert (proxies.way_to(httpx.URL(url)) is None) is direct


def test_the_variables_are_read_in_either_spelling(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://ls:p%40ss@proxy:3128/")
    monkeypatch.setenv("NO_PROXY", "minio, .company.example")
    proxies = Outgoing.of(Settings()).proxies
    found = proxies.way_to(httpx.URL("https://a.example"))
    assert found
    assert (found.url, found.auth) == ("http://proxy:3128/", ("ls", "p@ss"))
    assert "p@ss" not in found.shown + repr(Settings())
    assert proxies.way_to(httpx.URL("https://deep.company.example")) is None


@pytest.mark.parametrize("value", ["socks5://proxy:1080", "http://", "ftp://proxy"])
def test_what_is_no_http_proxy_is_said(value: str) -> None:
    with pytest.raises(SettingError, match="HTTPS_PROXY must be the address of an HTTP proxy"):
        Outgoing.of(given(https_proxy=value))


def test_label_studios_api_and_its_media_go_through_the_proxy(
    server: ProjectServer, proxy: ForwardProxy, tmp_path: Path
) -> None:
    server.files = {"/data/upload/1/0a1b2c3d-cat.png": PICTURE}
    asked = given(http_proxy=proxy.url, label_studio_url=f"http://{NAME}")
    with LabelStudioClient.of(asked) as client:
        assert label_studio.server(client).state == "ok"
        file = MediaStore.of(asked, tmp_path, client).fetch("/data/upload/1/0a1b2c3d-cat.png")
    assert file.path.read_bytes() == PICTURE
    assert proxy.asked == [NAME] * 2


def test_https_goes_through_a_tunnel_that_wants_a_password_to_a_certificate_of_a_private_authority(
    tmp_path: Path,
) -> None:
    own = certificate(tmp_path, NAME)
    wanted = "Basic " + base64.b64encode(b"ls:p@ss").decode()
    with (
        serving(speaking_tls(ProjectServer(), own)) as site,
        serving(ForwardProxy({NAME: site.server_port}, wanted)) as proxy,
    ):
        site.files = {"/data/upload/1/0a1b2c3d-cat.png": PICTURE}  # type: ignore[attr-defined]
        through = proxy.url.replace("http://", "http://ls:p%40ss@")
        for variable in ("ssl_cert_file", "requests_ca_bundle", "curl_ca_bundle"):
            asked = given(https_proxy=through, label_studio_url=f"https://{NAME}", **{variable: str(own)})
            with LabelStudioClient.of(asked) as client:
                assert label_studio.server(client).state == "ok"
                file = MediaStore.of(asked, tmp_path / variable, client).fetch(
                    "/data/upload/1/0a1b2c3d-cat.png"
                )
            assert file.path.read_bytes() == PICTURE
        with LabelStudioClient.of(given(https_proxy=through, label_studio_url=f"https://{NAME}")) as client:
            assert "certificate isn't trusted" in label_studio.server(client).sentence
        with LabelStudioClient.of(given(https_proxy=proxy.url, label_studio_url=f"https://{NAME}")) as client:
            found = label_studio.server(client)
            assert "407" in found.sentence + found.remedy
            assert "HTTPS_PROXY" in found.sentence + found.remedy


def test_media_of_the_internet_go_through_the_proxy_and_what_is_private_is_not_asked_of_it(
    server: ProjectServer, proxy: ForwardProxy, tmp_path: Path
) -> None:
    server.accepted = {""}
    server.files = {"/cat.png": PICTURE}
    known = {MEDIA: ["93.184.216.34"], "printer.company.example": ["10.0.0.9"]}

    def resolve(host: str, port: int) -> list[str]:
        if host.replace(".", "").isdigit():
            return [host]
        if host not in known:
            raise OSError("unknown")
        return known[host]

    asked = given(http_proxy=proxy.url, label_studio_url=f"http://{NAME}")
    with LabelStudioClient.of(asked) as client:
        store = MediaStore(tmp_path, client, resolve=resolve)
        assert store.fetch(f"http://{MEDIA}/cat.png").path.read_bytes() == PICTURE
        for private in ("printer.company.example", "printer", "x.internal", "169.254.169.254", "10.0.0.9"):
            with pytest.raises(MediaRefused, match="MEDIA_ALLOWED_HOSTS"):
                store.fetch(f"http://{private}/cat.png")
        assert proxy.asked == [MEDIA]
        with pytest.raises(MediaUnavailable, match="answers 403"):
            store.fetch("http://only.the-proxy-knows.example/cat.png")
    assert proxy.asked == [MEDIA, "only.the-proxy-knows.example"]


def test_checkpoints_are_downloaded_through_the_proxy(tmp_path: Path) -> None:
    with (
        serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as mirror,
        serving(ForwardProxy({MEDIA: mirror.server_port})) as proxy,
    ):
        checkpoint = Checkpoint("model", 256, hashlib.sha256(PICTURE).hexdigest(), f"http://{MEDIA}/")
        download(checkpoint, tmp_path, outgoing=Outgoing.of(given(http_proxy=proxy.url)))
        assert proxy.asked == [MEDIA]


def test_a_proxy_that_refuses_or_is_not_there_is_named_with_what_to_change(proxy: ForwardProxy) -> None:
    gone = "http://127.0.0.1:9"
    for through, why in ((proxy.url, "answers 403 and no JSON"), (gone, "nothing listens there")):
        asked = given(http_proxy=through, label_studio_url="http://elsewhere.example")
        with LabelStudioClient.of(asked) as client, pytest.raises(LabelStudioError) as error:
            client.get("/api/version")
        for part in (
            why,
            "(HTTP_PROXY)",
            through.removeprefix("http://"),
            "Add elsewhere.example to NO_PROXY",
        ):
            assert part in error.value.detail


@pytest.mark.parametrize(
    ("content", "said"), [(None, "can't be read"), ("no certificate", "holds no certificate")]
)
def test_a_file_that_holds_no_certificate_is_named(content: str | None, said: str, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    with pytest.raises(SettingError, match=f"REQUESTS_CA_BUNDLE names .*{said}"):
        LabelStudioClient.of(given(requests_ca_bundle=str(path)))


def test_an_empty_file_of_certificates_adds_none() -> None:
    with LabelStudioClient.of(given(ssl_cert_file="/dev/null")) as client:
        assert client.outgoing.authorities == ""
