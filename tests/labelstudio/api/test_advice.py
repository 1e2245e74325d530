"""Each way in which Label Studio can't be reached gets its own sentence and its own remedy."""

from __future__ import annotations

import ssl
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from label_studio_sam2.doctor import label_studio
from label_studio_sam2.doctor.check import Check
from label_studio_sam2.errors import LabelStudioError
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.outgoing.ways import Outgoing

from tests.fakes.label_studio_server import ProjectServer
from tests.fakes.servers import LEGACY, Exchange, Site, serving


def server(url: str) -> Check:
    with LabelStudioClient(url, LEGACY) as client:
        return label_studio.server(client)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A self-signed one, with its key, for another host."""
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    subject = ["-subj", "/CN=label-studio", "-addext", "subjectAltName=DNS:label-studio"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*command, "-keyout", path, "-out", f"{path}.crt"], check=True, capture_output=True)
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


@contextmanager
def https(certificate: Path) -> Iterator[str]:
    site = Site(lambda exchange: exchange.reply(200))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    site.socket = context.wrap_socket(site.socket, server_side=True)
    with serving(site):
        yield f"https://localhost:{site.server_port}"


def test_a_certificate_that_is_not_trusted_names_the_variable_that_holds_the_issuers(
    certificate: Path,
) -> None:
    with https(certificate) as url:
        found = server(url)
    assert "its certificate isn't trusted here" in found.sentence
    assert "SSL_CERT_FILE" in found.remedy


def test_a_certificate_for_another_name_asks_for_that_name(
    certificate: Path,
) -> None:
    trusting = Outgoing(certificates=(("SSL_CERT_FILE", str(certificate)),))
    with https(certificate) as url, LabelStudioClient(url, LEGACY, outgoing=trusting) as client:
        found = label_studio.server(client)
    assert "its certificate is for another name" in found.sentence


def test_https_where_none_is_spoken_and_http_where_https_is(certificate: Path) -> None:
    with serving(Site(lambda exchange: exchange.reply(200))) as site:
        found = server(site.url.replace("http:", "https:"))
    assert "doesn't speak HTTPS" in found.sentence
    assert "http://" in found.remedy
    with https(certificate) as url:
        found = server(url.replace("https:", "http:"))
    assert "hangs up" in found.sentence
    assert "https://" in found.remedy


def test_a_port_on_which_nothing_listens_is_told_from_a_name_that_is_unknown() -> None:
    found = server("http://127.0.0.1:1")
    assert found.sentence == "Label Studio can't be reached at http://127.0.0.1:1: nothing listens there."
    assert found.remedy.startswith("Start Label Studio, or correct LABEL_STUDIO_URL; from inside a container")
    found = server("http://label-studio.invalid:8080")
    assert "doesn't know that name" in found.sentence
    assert "container" not in found.remedy


def own_error(exchange: Exchange) -> None:
    exchange.json(404, {"detail": "Not Found. The README lists the routes.", "error": "NotFound"})


def own_refusal(exchange: Exchange) -> None:
    exchange.json(401, {"detail": "Send the user and password.", "error": "Unauthorized"})


@pytest.mark.parametrize("behaviour", [own_error, own_refusal])
def test_the_backends_own_address_is_recognised(behaviour: Callable[[Exchange], None]) -> None:
    with serving(Site(behaviour)) as site:
        found = server(site.url)
    assert "this service itself" in found.sentence
    assert found.remedy.startswith("Set it to where Label Studio answers")


@pytest.mark.parametrize("status", [200, 404])
def test_a_path_of_a_page_is_to_be_left_out(status: int) -> None:
    with serving(Site(lambda exchange: exchange.reply(status, b"<!doctype html>"))) as site:
        found = server(site.url + "/projects/1/data")
        assert f"Set LABEL_STUDIO_URL to {site.url}, without the path" in found.remedy
        assert "isn't Label Studio's API" in server(site.url).sentence


@pytest.mark.parametrize("answer", [[], {}, {"release": None}, {"status": "UP"}])
def test_something_that_names_no_version_is_not_label_studio(answer: object) -> None:
    with serving(Site(lambda exchange: exchange.json(200, answer))) as site:
        assert "isn't Label Studio's API" in server(site.url).sentence


def test_a_project_that_there_isnt_is_named_by_its_number() -> None:
    with (
        serving(ProjectServer()) as site,
        LabelStudioClient(site.url, LEGACY) as client,
        pytest.raises(LabelStudioError, match=r"no project 12 .*\(404\)"),
    ):
        client.project(12)
