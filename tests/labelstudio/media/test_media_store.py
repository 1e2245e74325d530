from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import os
import zlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from threading import Barrier, Event

import pytest
from label_studio_sam2.errors import (
    Busy,
    MediaRefused,
    MediaUnavailable,
    MediaUnreadable,
    RequestError,
    ServiceError,
    TooLarge,
)
from label_studio_sam2.labelstudio.api.client import LabelStudioClient
from label_studio_sam2.labelstudio.media.media_store import FRESH_SECONDS, MediaStore
from label_studio_sam2.labelstudio.media.network import Limits, resolve

from tests.fakes.eventually import eventually
from tests.fakes.servers import LEGACY, PERSONAL, Exchange, LabelStudio, Site, serving

PICTURE = bytes(range(256)) * 8
UPLOAD = "/data/upload/1/0a1b2c3d-cat.png"
LOCAL = "/data/local-files/?d=a%20b%2Fc.png"
CLOUD = "s3://bucket/folder/a b.png"
HURRIED = Limits(connect=2, read=5, patience=0.1, slowest=1e6, total=0.2)


@dataclass
class Clock:
    time: float = 1_700_000_000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def label_studio() -> Iterator[LabelStudio]:
    with serving(LabelStudio()) as site:
        site.files = {UPLOAD: PICTURE, LOCAL: PICTURE}
        yield site


@dataclass
class Desk:
    """Makes media stores on one folder, and closes what they hold."""

    folder: Path
    clients: list[LabelStudioClient] = field(default_factory=list)
    clock: Clock = field(default_factory=Clock)

    def store(self, url: str = "", key: str = LEGACY, **options: object) -> MediaStore:
        client = LabelStudioClient(url, key)
        self.clients.append(client)
        return MediaStore(self.folder, client, now=self.clock, **options)  # type: ignore[arg-type]

    @property
    def names(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir()) if self.folder.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path / "media")
    yield desk
    for client in desk.clients:
        client.close()


def digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=32).hexdigest()


def message(error: pytest.ExceptionInfo[ServiceError]) -> str:
    return error.value.detail


# Label Studio's own files


@pytest.mark.parametrize("key", [LEGACY, PERSONAL])
@pytest.mark.parametrize("path", [UPLOAD, LOCAL])
def test_label_studios_files_are_fetched_with_either_kind_of_key(
    label_studio: LabelStudio, desk: Desk, key: str, path: str
) -> None:
    file = desk.store(label_studio.url, key).fetch(path)
    assert file.path.read_bytes() == PICTURE
    assert file.digest == digest(PICTURE)
    assert label_studio.requests("/data")[0].path == path


def test_a_personal_access_token_itself_is_never_sent_as_authorization(
    label_studio: LabelStudio, desk: Desk
) -> None:
    desk.store(label_studio.url, PERSONAL).fetch(UPLOAD)
    assert not any(PERSONAL in seen.headers.get("authorization", "") for seen in label_studio.seen)


def test_an_access_token_that_is_refused_is_renewed_once(label_studio: LabelStudio, desk: Desk) -> None:
    store = desk.store(label_studio.url, PERSONAL)
    store.fetch(UPLOAD)
    label_studio.expire_access_tokens()
    assert store.fetch(LOCAL).digest == digest(PICTURE)
    assert label_studio.issued == 2


def test_an_absolute_address_of_label_studios_origin_gets_the_key(
    label_studio: LabelStudio, desk: Desk
) -> None:
    desk.store(label_studio.url).fetch(label_studio.url + LOCAL)
    assert label_studio.seen[0].headers["authorization"] == f"Token {LEGACY}"


@pytest.mark.parametrize(
    "calls_it", ["http://localhost:1", "https://label.example", "http://label.example:81"]
)
def test_label_studio_is_recognised_by_the_names_that_task_data_call_it(
    label_studio: LabelStudio, desk: Desk, calls_it: str
) -> None:
    store = desk.store(label_studio.url, aliases=["https://label.example"])
    store.recognise("http://label.example:81/")
    assert store.fetch(calls_it + LOCAL).digest == digest(PICTURE)
    assert store.fetch(calls_it + UPLOAD).digest == digest(PICTURE)


@pytest.mark.parametrize("path", [UPLOAD, "/studio" + UPLOAD])
def test_a_path_prefix_of_label_studios_is_added_once(
    label_studio: LabelStudio, desk: Desk, path: str
) -> None:
    label_studio.files = {"/studio" + UPLOAD: PICTURE}
    assert desk.store(label_studio.url + "/studio/").fetch(path).digest == digest(PICTURE)


# Cloud storages


def test_a_cloud_uri_is_resolved_by_its_task_and_the_key_stays_behind(
    label_studio: LabelStudio, desk: Desk
) -> None:
    with serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as bucket:
        label_studio.storage[CLOUD] = f"{bucket.url}/object?signature=sesame"
        file = desk.store(label_studio.url, allowed_hosts=[bucket.host]).fetch(CLOUD, task_id=7)
    assert file.digest == digest(PICTURE)
    assert label_studio.seen[0].path.startswith("/tasks/7/resolve/?fileuri=")
    assert "authorization" in label_studio.seen[0].headers
    assert "authorization" not in bucket.seen[0].headers
    assert file.url == CLOUD


def test_a_proxied_answer_that_is_cut_short_is_continued_range_by_range(
    label_studio: LabelStudio, desk: Desk
) -> None:
    content = PICTURE[:61]
    label_studio.storage[CLOUD] = content
    label_studio.cut_proxied_at = 20
    assert desk.store(label_studio.url).fetch(CLOUD, task_id=7).digest == digest(content)
    ranges = [seen.headers.get("range") for seen in label_studio.requests("/tasks")]
    assert ranges == [None, *(f"bytes={start}-" for start in range(20, 61, 8))]


def test_a_first_answer_of_206_is_continued(desk: Desk) -> None:
    def in_halves(exchange: Exchange) -> None:
        start = int(exchange.seen.headers.get("range", "bytes=0-")[6:-1])
        part = PICTURE[start : start + 1024]
        place = f"bytes {start}-{start + len(part) - 1}/{len(PICTURE)}"
        exchange.reply(206, part, {"Content-Range": place})

    with serving(Site(in_halves)) as site:
        file = desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert file.digest == digest(PICTURE)
    assert len(site.seen) == 2


def test_a_file_that_changes_between_two_parts_is_not_pieced_together(desk: Desk) -> None:
    def changing(exchange: Exchange) -> None:
        start = int(exchange.seen.headers.get("range", "bytes=0-")[6:-1])
        place = f"bytes {start}-{start + 9}/{len(PICTURE)}"
        exchange.reply(206, PICTURE[:10], {"Content-Range": place, "ETag": f'"{start}"'})

    with serving(Site(changing)) as site, pytest.raises(MediaUnavailable, match="changed while"):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert desk.names == []


def test_a_cloud_uri_without_a_task_is_refused_with_what_is_missing(
    label_studio: LabelStudio, desk: Desk
) -> None:
    with pytest.raises(RequestError, match="send the task's id"):
        desk.store(label_studio.url).fetch(CLOUD)


def part(exchange: Exchange, content: bytes, step: int, total: str) -> None:
    start = int(exchange.seen.headers.get("range", "bytes=0-")[6:-1])
    if start >= len(content):
        exchange.reply(416, headers={"Content-Range": f"bytes */{len(content)}"})
        return
    end = min(start + step, len(content))
    exchange.reply(206, content[start:end], {"Content-Range": f"bytes {start}-{end - 1}/{total}"})


@pytest.mark.parametrize("step", [100, 512, len(PICTURE), len(PICTURE) + 1])
def test_parts_of_a_medium_whose_size_is_not_told_are_fetched_until_there_are_no_more(
    desk: Desk, step: int
) -> None:
    with serving(Site(lambda exchange: part(exchange, PICTURE, step, "*"))) as site:
        file = desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert file.digest == digest(PICTURE)


def test_an_end_that_is_not_where_the_parts_ended_is_none(desk: Desk) -> None:
    def shorter(exchange: Exchange) -> None:
        if "range" in exchange.seen.headers:
            exchange.reply(416, headers={"Content-Range": "bytes */9999"})
        else:
            exchange.reply(206, PICTURE, {"Content-Range": f"bytes 0-{len(PICTURE) - 1}/*"})

    with serving(Site(shorter)) as site, pytest.raises(MediaUnavailable, match="416"):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert desk.names == []


@pytest.mark.parametrize("place", ["bytes 0-9/" + "9" * 4500, "bytes 0-" + "9" * 4500 + "/*", "bytes ٣-٤/٥"])
def test_a_content_range_that_is_no_number_of_bytes_is_no_error_of_ours(desk: Desk, place: str) -> None:
    def odd(exchange: Exchange) -> None:
        exchange.reply(206, PICTURE, {"Content-Range": place.encode().decode("latin-1")})

    with serving(Site(odd)) as site, pytest.raises(MediaUnavailable, match=r"broke off|changed"):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")


# Hosts that are busy


@dataclass
class BusyAtFirst:
    """Answers the first requests with a status, then with the picture."""

    status: int
    times: int
    retry_after: str | None = "0"

    def __call__(self, exchange: Exchange) -> None:
        if len(exchange.server.seen) > self.times:
            exchange.reply(200, PICTURE)
        else:
            exchange.reply(
                self.status, b"later", {"Retry-After": self.retry_after} if self.retry_after else {}
            )


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
@pytest.mark.parametrize("own", [True, False])
def test_a_host_that_is_busy_for_a_moment_is_asked_again(desk: Desk, status: int, own: bool) -> None:
    with serving(Site(BusyAtFirst(status, times=2))) as site:
        store = desk.store(site.url) if own else desk.store(allowed_hosts=[site.host])
        assert store.fetch(site.url + (UPLOAD if own else "/a.png")).digest == digest(PICTURE)
    assert len(site.seen) == 3


@pytest.mark.parametrize("retry_after", [None, "Thu, 01 Jan 2015 00:00:00 GMT", "soon", "-3"])
def test_a_host_that_names_no_time_is_asked_again_soon(desk: Desk, retry_after: str | None) -> None:
    with serving(Site(BusyAtFirst(503, times=1, retry_after=retry_after))) as site:
        assert desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a").digest == digest(PICTURE)


@pytest.mark.parametrize("retry_after", ["0", "3600", "9" * 400, "Fri, 01 Jan 2100 00:00:00 GMT"])
@pytest.mark.parametrize("status", [408, 429, 503, 504])
def test_a_host_that_stays_busy_is_called_busy(desk: Desk, status: int, retry_after: str) -> None:
    with (
        serving(Site(BusyAtFirst(status, times=99, retry_after=retry_after))) as site,
        pytest.raises(Busy, match=rf"127\.0\.0\.1 is busy \({status} .*try again soon"),
    ):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert len(site.seen) == (4 if retry_after == "0" else 1)


def test_a_host_that_always_fails_is_not_called_busy(desk: Desk) -> None:
    with serving(Site(BusyAtFirst(500, 99))) as site, pytest.raises(MediaUnavailable, match=r"500.*own log"):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")


def test_nobody_is_waited_for_longer_than_the_download_may_take(desk: Desk) -> None:
    with serving(Site(BusyAtFirst(503, 99, "5"))) as site, pytest.raises(Busy):
        desk.store(allowed_hosts=[site.host], limits=HURRIED).fetch(site.url + "/a.png")
    assert len(site.seen) == 1


def test_clicks_on_a_slow_host_do_not_wait_for_one_another_and_other_hosts_go_on(desk: Desk) -> None:
    let_go = Event()

    def slow(exchange: Exchange) -> None:
        let_go.wait(20)
        exchange.reply(200, exchange.path.encode())

    with serving(Site(slow)) as site, serving(LabelStudio()) as fast, ThreadPoolExecutor(8) as pool:
        fast.files[UPLOAD] = PICTURE
        store = desk.store(fast.url, allowed_hosts=[site.host.replace("127.0.0.1", "localhost")], downloads=3)
        slow_url = site.url.replace("127.0.0.1", "localhost")
        clicks = [pool.submit(store.fetch, f"{slow_url}/{number % 4}") for number in range(8)]
        eventually(lambda: sum(click.done() for click in clicks) == 5)
        assert store.fetch(UPLOAD).digest == digest(PICTURE)
        let_go.set()
        refused = [click.exception() for click in clicks if click.exception()]
        assert len(refused) == 5
        assert all(isinstance(error, Busy) and "localhost is slow" in error.detail for error in refused)
        assert store.fetch(f"{slow_url}/9").path.read_bytes() == b"/9"


# Web and data addresses


def test_a_key_goes_to_no_other_host(label_studio: LabelStudio, desk: Desk) -> None:
    with serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as site:
        desk.store(label_studio.url, allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert "authorization" not in site.seen[0].headers


def test_a_redirect_back_to_label_studio_gets_no_key(label_studio: LabelStudio, desk: Desk) -> None:
    with serving(Site(lambda exchange: exchange.redirect(label_studio.url + UPLOAD))) as site:
        store = desk.store(label_studio.url, allowed_hosts=[site.host])
        with pytest.raises(MediaUnavailable):
            store.fetch(site.url + "/a.png")
    assert "authorization" not in label_studio.seen[0].headers


def test_a_redirect_within_label_studio_keeps_the_key(label_studio: LabelStudio, desk: Desk) -> None:
    label_studio.storage[CLOUD] = UPLOAD
    assert desk.store(label_studio.url).fetch(CLOUD, task_id=1).digest == digest(PICTURE)


@pytest.mark.parametrize(
    "address",
    [
        "data:application/octet-stream;base64," + base64.b64encode(PICTURE).decode(),
        "DATA:;base64," + base64.b64encode(PICTURE).decode().rstrip("="),
        "data:;base64," + base64.b64encode(PICTURE).decode().replace("+", "%2B").replace("/", "%2F"),
        "data:," + "".join(f"%{byte:02x}" for byte in PICTURE),
    ],
)
def test_data_addresses_are_read_in_every_spelling(desk: Desk, address: str) -> None:
    file = desk.store().fetch(address)
    assert file.path.read_bytes() == PICTURE
    assert len(file.url) < 60


def test_a_damaged_data_address_is_unreadable(desk: Desk) -> None:
    with pytest.raises(MediaUnreadable, match="base64"):
        desk.store().fetch("data:image/png;base64,!!!!")
    assert desk.names == []


def test_a_large_data_address_is_refused(desk: Desk) -> None:
    with pytest.raises(TooLarge):
        desk.store(max_bytes=10).fetch("data:;base64," + base64.b64encode(PICTURE).decode())


@pytest.mark.parametrize(
    ("encoding", "encode"),
    [
        ("aws-chunked", bytes),
        ("", bytes),
        ("identity", bytes),
        ("identity, aws-chunked", bytes),
        ("AWS-Chunked ,", bytes),
        ("gzip, aws-chunked", gzip.compress),
        ("aws-chunked,gzip", gzip.compress),
        ("Gzip", gzip.compress),
        ("deflate, gzip", lambda content: gzip.compress(zlib.compress(content))),
    ],
)
def test_what_content_encoding_names_is_undone_and_what_codes_nothing_is_passed_over(
    desk: Desk, encoding: str, encode: Callable[[bytes], bytes]
) -> None:
    def coded(exchange: Exchange) -> None:
        exchange.reply(200, encode(PICTURE), {"Content-Encoding": encoding})

    with serving(Site(coded)) as site:
        assert desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a").digest == digest(PICTURE)


@pytest.mark.parametrize("encode", [gzip.compress, zlib.compress])
def test_a_compressed_answer_is_unpacked(desk: Desk, encode: Callable[[bytes], bytes]) -> None:
    name = "gzip" if encode is gzip.compress else "deflate"

    def packed(exchange: Exchange) -> None:
        exchange.reply(200, encode(PICTURE), {"Content-Encoding": name})

    with serving(Site(packed)) as site:
        assert desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a").digest == digest(PICTURE)


def test_a_redirect_that_sets_a_cookie_and_looks_for_it_is_followed(desk: Desk) -> None:
    def wants_cookie(exchange: Exchange) -> None:
        if "session=a=b" in exchange.seen.headers.get("cookie", ""):
            exchange.reply(200, PICTURE)
        else:
            exchange.reply(
                302, headers={"Location": exchange.path, "Set-Cookie": "session=a=b; Path=/; HttpOnly"}
            )

    with serving(Site(wants_cookie)) as site:
        store = desk.store(allowed_hosts=[site.host])
        assert store.fetch(site.url + "/a.png").digest == digest(PICTURE)
        assert store.fetch(site.url + "/b.png").digest == digest(PICTURE)
    assert [seen.headers.get("cookie") for seen in site.seen] == [None, "session=a=b"] * 2


def test_a_cookie_goes_to_no_other_origin(desk: Desk) -> None:
    with serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as other:
        target = {"Location": other.url + "/b.png", "Set-Cookie": "session=1"}
        with serving(Site(lambda exchange: exchange.reply(302, headers=target))) as site:
            desk.store(allowed_hosts=[site.host, other.host]).fetch(site.url + "/a.png")
    assert "cookie" not in other.seen[0].headers


@pytest.mark.parametrize(
    "path", ["/logout", "/api/users/", "/data/upload/%2e%2e/%2e%2e/admin/", "/admin/x.png"]
)
def test_the_key_stays_behind_on_label_studios_other_paths(desk: Desk, path: str) -> None:
    with serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as site:
        desk.store(site.url).fetch(path)
    assert "authorization" not in site.seen[0].headers


@pytest.mark.parametrize("path", ["/logout", "/api/users/", "/data/upload/%2e%2e/%2e%2e/admin/"])
def test_the_key_does_not_follow_a_redirect_to_label_studios_other_paths(desk: Desk, path: str) -> None:
    def leads_on(exchange: Exchange) -> None:
        exchange.redirect(path) if exchange.path == UPLOAD else exchange.reply(200, PICTURE)

    with serving(Site(leads_on)) as site:
        desk.store(site.url).fetch(UPLOAD)
    assert ["authorization" in seen.headers for seen in site.seen] == [True, False]


def test_hostnames_of_strangers_push_out_neither_what_was_set_nor_who_comes_again(
    label_studio: LabelStudio, desk: Desk
) -> None:
    store = desk.store(label_studio.url, aliases=["https://set.example"])
    for number in range(100):
        store.recognise(f"https://stranger{number}.example")
    store.recognise("https://label.example")
    for calls_it in (label_studio.url, "https://set.example", "https://label.example"):
        assert store.fetch(calls_it + LOCAL).digest == digest(PICTURE)


# What is not fetched


@pytest.mark.parametrize(
    "address",
    [
        "file:///etc/passwd",
        "ftp://host/a.png",
        "cat.png",
        "C:\\cat.png",
        "",
        "  ",
        "javascript:1",
    ],
)
def test_an_address_of_another_kind_is_refused(label_studio: LabelStudio, desk: Desk, address: str) -> None:
    with pytest.raises(MediaRefused, match="use http"):
        desk.store(label_studio.url).fetch(address)
    assert label_studio.seen == []


@pytest.mark.parametrize("value", [None, {"url": "http://a/b"}, ["http://a/b"], 3])
def test_what_is_no_text_is_refused_with_where_to_look(desk: Desk, value: object) -> None:
    with pytest.raises(RequestError, match="labeling config's value attribute"):
        desk.store().fetch(value)


PRIVATE = [
    "127.0.0.1",
    "0x7f.1",
    "2130706433",
    "10.1.2.3",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.100.100.200",
    "0.0.0.0",
    "[::1]",
    "[::ffff:127.0.0.1]",
    "[fe80::1]",
    "[fd00:ec2::254]",
    "localhost",
]


@pytest.mark.parametrize("host", PRIVATE)
def test_a_private_address_is_refused_and_nothing_is_sent(desk: Desk, host: str) -> None:
    with (
        serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as site,
        pytest.raises(MediaRefused, match="MEDIA_ALLOWED_HOSTS"),
    ):
        desk.store().fetch(f"http://{host}:{site.server_port}/a.png")
    assert site.seen == []


@pytest.mark.parametrize("host", PRIVATE)
def test_a_redirect_to_a_private_address_is_refused(desk: Desk, host: str) -> None:
    with serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as inside:
        target = f"http://{host}:{inside.server_port}/latest/meta-data"
        with serving(Site(lambda exchange: exchange.redirect(target))) as site, pytest.raises(MediaRefused):
            desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
        assert inside.seen == []
    assert desk.names == []


def test_other_ports_of_label_studios_host_are_refused(label_studio: LabelStudio, desk: Desk) -> None:
    with (
        serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as neighbour,
        pytest.raises(MediaRefused),
    ):
        desk.store(label_studio.url).fetch(neighbour.url + "/a.png")
    assert neighbour.seen == []


def test_a_name_that_turns_private_between_two_lookups_gains_nothing(desk: Desk) -> None:
    looked_up: list[str] = []

    def rebinding(host: str, port: int) -> list[str]:
        looked_up.append(host)
        return ["127.0.0.1"] if looked_up.count(host) > 1 else resolve("127.0.0.1", port)

    with serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as site:
        store = desk.store(resolve=rebinding)
        with pytest.raises(MediaRefused):
            store.fetch(f"http://rebinding.example:{site.server_port}/a.png")
        assert site.seen == []
    assert looked_up == ["rebinding.example"]


def test_the_connection_goes_to_the_address_that_was_checked(desk: Desk) -> None:
    with serving(Site(lambda exchange: exchange.reply(200, PICTURE))) as site:
        store = desk.store(allowed_hosts=["minio"], resolve=lambda host, port: ["127.0.0.1"])
        assert store.fetch(f"http://minio:{site.server_port}/a.png").digest == digest(PICTURE)
        assert site.seen[0].headers["host"] == f"minio:{site.server_port}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_loop_ends(desk: Desk, status: int) -> None:
    with (
        serving(Site(lambda exchange: exchange.redirect("/again", status))) as site,
        pytest.raises(MediaUnavailable, match="redirects more than"),
    ):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert len(site.seen) == 6


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://[", "http://xn--0/", "data:,hello"]
)
def test_a_redirect_to_something_else_than_http_is_refused(desk: Desk, target: str) -> None:
    with (
        serving(Site(lambda exchange: exchange.redirect(target))) as site,
        pytest.raises((MediaRefused, MediaUnavailable)),
    ):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")


# Servers that misbehave


def endless(exchange: Exchange) -> None:
    exchange.start(200, {"Transfer-Encoding": "chunked"})
    while not exchange.server.over.is_set():
        exchange.wfile.write(b"400\r\n" + b"x" * 1024 + b"\r\n")


def lying_high(exchange: Exchange) -> None:
    exchange.start(200, {"Content-Length": str(1 << 40)})


def bomb(exchange: Exchange) -> None:
    exchange.reply(200, gzip.compress(bytes(10 << 20)), {"Content-Encoding": "gzip"})


@pytest.mark.parametrize("behaviour", [endless, lying_high, bomb])
def test_what_is_too_large_is_cut_off(desk: Desk, behaviour: Callable[[Exchange], None]) -> None:
    with serving(Site(behaviour)) as site, pytest.raises(TooLarge, match="MAX_MEDIA_MB"):
        desk.store(allowed_hosts=[site.host], max_bytes=1 << 20).fetch(site.url + "/a.png")
    assert desk.names == []


def broken_off(exchange: Exchange) -> None:
    exchange.start(200, {"Content-Length": "100"})
    exchange.wfile.write(b"x" * 50)
    exchange.hang_up()


def damaged_gzip(exchange: Exchange) -> None:
    exchange.reply(200, gzip.compress(PICTURE)[:-20], {"Content-Encoding": "gzip"})


def garbage(exchange: Exchange) -> None:
    exchange.wfile.write(b"SSH-2.0-OpenSSH_9.6\r\n\r\n")
    exchange.hang_up()


def silent(exchange: Exchange) -> None:
    exchange.hang_up()


def unasked_304(exchange: Exchange) -> None:
    exchange.reply(304)


def brotli(exchange: Exchange) -> None:
    exchange.reply(200, PICTURE, {"Content-Encoding": "br"})


@pytest.mark.parametrize("behaviour", [broken_off, damaged_gzip, garbage, silent, brotli, unasked_304])
def test_a_broken_answer_is_unavailable_and_leaves_nothing(
    desk: Desk, behaviour: Callable[[Exchange], None]
) -> None:
    with serving(Site(behaviour)) as site, pytest.raises(MediaUnavailable):
        desk.store(allowed_hosts=[site.host]).fetch(site.url + "/a.png")
    assert desk.names == []


def dripping_body(exchange: Exchange) -> None:
    exchange.start(200, {"Content-Length": "1000000"})
    exchange.drip(b"x")


def dripping_headers(exchange: Exchange) -> None:
    exchange.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    exchange.drip(b"x")


def no_answer(exchange: Exchange) -> None:
    exchange.drip(b"")


@pytest.mark.parametrize("behaviour", [dripping_body, dripping_headers, no_answer])
def test_a_slow_server_is_cut_off(desk: Desk, behaviour: Callable[[Exchange], None]) -> None:
    with serving(Site(behaviour)) as site, pytest.raises(MediaUnavailable, match="too slowly"):
        desk.store(allowed_hosts=[site.host], limits=HURRIED).fetch(site.url + "/a.png")
    assert desk.names == []


# What is wrong, in words


def test_a_missing_url_is_named(desk: Desk) -> None:
    for address in (UPLOAD, CLOUD, "http://localhost:8080" + UPLOAD):
        with pytest.raises(MediaUnavailable, match="set LABEL_STUDIO_URL"):
            desk.store().fetch(address, task_id=1)


def test_a_missing_key_is_named(label_studio: LabelStudio, desk: Desk) -> None:
    with pytest.raises(MediaUnavailable, match="set LABEL_STUDIO_API_KEY"):
        desk.store(label_studio.url, "").fetch(UPLOAD)


@pytest.mark.parametrize("key", ["f" * 40, "not.the.one"])
def test_a_wrong_key_is_named_but_not_shown(label_studio: LabelStudio, desk: Desk, key: str) -> None:
    with pytest.raises(MediaUnavailable, match="refuses the key in LABEL_STUDIO_API_KEY") as error:
        desk.store(label_studio.url, key).fetch(UPLOAD)
    assert key not in message(error)


def test_a_legacy_token_where_they_are_off_is_told_from_a_wrong_one(
    label_studio: LabelStudio, desk: Desk
) -> None:
    label_studio.legacy_allowed = False
    with pytest.raises(MediaUnavailable, match="personal access token"):
        desk.store(label_studio.url).fetch(UPLOAD)


def test_a_redirect_to_the_sign_in_page_is_a_matter_of_the_key(desk: Desk) -> None:
    with (
        serving(Site(lambda exchange: exchange.redirect("/user/login/?next=/"))) as site,
        pytest.raises(MediaUnavailable, match="LABEL_STUDIO_API_KEY"),
    ):
        desk.store(site.url).fetch(UPLOAD)


def test_a_label_studio_that_redirects_to_its_other_address_is_named(desk: Desk) -> None:
    with (
        serving(Site(lambda exchange: exchange.redirect("https://127.0.0.1" + UPLOAD))) as site,
        pytest.raises(MediaUnavailable, match="set LABEL_STUDIO_URL to that"),
    ):
        desk.store(site.url).fetch(UPLOAD)


def test_a_deleted_file_is_named(label_studio: LabelStudio, desk: Desk) -> None:
    with pytest.raises(MediaUnavailable, match=r"/data/upload/1/gone.png \(404\)"):
        desk.store(label_studio.url).fetch("/data/upload/1/gone.png")


def test_an_unreachable_label_studio_on_localhost_hints_at_containers(desk: Desk) -> None:
    with serving(LabelStudio()) as gone:
        url = gone.url
    with pytest.raises(MediaUnavailable, match=r"LABEL_STUDIO_URL.*host\.docker\.internal"):
        desk.store(url).fetch(UPLOAD)


def test_an_unreachable_host_is_named(desk: Desk) -> None:
    def nowhere(host: str, port: int) -> list[str]:
        raise OSError

    with pytest.raises(MediaUnavailable, match=r"images\.example can't be reached"):
        desk.store(resolve=nowhere).fetch("http://images.example/a.png")


@pytest.mark.parametrize("status", [401, 403, 404, 410, 501])
def test_an_error_of_another_host_is_passed_on_without_secrets(desk: Desk, status: int) -> None:
    with (
        serving(Site(lambda exchange: exchange.reply(status, b"why"))) as site,
        pytest.raises(MediaUnavailable, match=f"answers {status}") as error,
    ):
        desk.store(allowed_hosts=[site.host]).fetch(f"http://user:pass@{site.host}/a.png?signature=sesame#x")
    assert "sesame" not in message(error)
    assert "pass@" not in message(error)


def test_no_secret_is_logged_or_shown(
    label_studio: LabelStudio, desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, logger="label_studio_sam2")
    store = desk.store(label_studio.url, PERSONAL, allowed_hosts=["127.0.0.1"])
    label_studio.files["/data/upload/1/b.png?signature=sesame"] = PICTURE
    file = store.fetch("/data/upload/1/b.png?signature=sesame")
    told = caplog.text + repr(file) + repr(desk.clients[0].key)
    assert not any(secret in told for secret in ("sesame", PERSONAL, "Bearer"))


# The cache


def test_ten_at_once_download_once(label_studio: LabelStudio, desk: Desk) -> None:
    store, together = desk.store(label_studio.url), Barrier(10)

    def click(_: int) -> str:
        together.wait()
        return store.fetch(UPLOAD).digest

    with ThreadPoolExecutor(10) as pool:
        assert set(pool.map(click, range(10))) == {digest(PICTURE)}
    assert len(label_studio.requests(UPLOAD)) == 1


def test_those_who_wait_for_a_download_get_its_error(desk: Desk) -> None:
    arrived = Barrier(4)

    def late(exchange: Exchange) -> None:
        exchange.server.over.wait(0.05)
        exchange.reply(404)

    with serving(Site(late)) as site:
        store = desk.store(allowed_hosts=[site.host])

        def click(_: int) -> str:
            arrived.wait()
            with pytest.raises(MediaUnavailable) as error:
                store.fetch(site.url + "/a.png")
            return message(error)

        with ThreadPoolExecutor(4) as pool:
            assert len(set(pool.map(click, range(4)))) == 1
    assert len(site.seen) < 4


def test_a_click_within_the_time_asks_nobody(label_studio: LabelStudio, desk: Desk) -> None:
    store = desk.store(label_studio.url)
    first = store.fetch(LOCAL)
    desk.clock.time += FRESH_SECONDS - 1
    assert store.fetch(LOCAL) == first
    assert len(label_studio.seen) == 1


def test_after_the_time_the_origin_is_asked_and_nothing_is_sent_again(
    label_studio: LabelStudio, desk: Desk
) -> None:
    store = desk.store(label_studio.url)
    first = store.fetch(LOCAL)
    desk.clock.time += FRESH_SECONDS + 1
    assert store.fetch(LOCAL) == first
    assert store.fetch(LOCAL) == first
    assert [seen.headers.get("if-none-match") is None for seen in label_studio.seen] == [True, False]


def test_after_the_time_a_changed_file_is_fetched(label_studio: LabelStudio, desk: Desk) -> None:
    store = desk.store(label_studio.url)
    before = store.fetch(LOCAL)
    label_studio.files[LOCAL] = b"another"
    desk.clock.time += FRESH_SECONDS + 1
    after = store.fetch(LOCAL)
    assert after.path.read_bytes() == b"another"
    assert before.path.read_bytes() == PICTURE


def test_an_upload_is_never_asked_for_again(label_studio: LabelStudio, desk: Desk) -> None:
    store = desk.store(label_studio.url)
    store.fetch(UPLOAD)
    desk.clock.time += 1e7
    store.fetch(UPLOAD)
    assert len(label_studio.seen) == 1


def test_another_process_uses_what_is_in_the_folder(label_studio: LabelStudio, desk: Desk) -> None:
    first = desk.store(label_studio.url).fetch(UPLOAD)
    assert desk.store(label_studio.url).fetch(UPLOAD) == first
    assert len(label_studio.seen) == 1


@pytest.mark.parametrize("damage", ["", "no JSON", "{}", "[]", "null", '{"digest": 3}'])
def test_damaged_facts_are_a_miss(label_studio: LabelStudio, desk: Desk, damage: str) -> None:
    store = desk.store(label_studio.url)
    file = store.fetch(UPLOAD)
    file.path.with_suffix(".json").write_text(damage)
    assert store.fetch(UPLOAD) == file
    assert len(label_studio.seen) == 2


def test_a_file_cut_short_by_a_crash_is_fetched_again(label_studio: LabelStudio, desk: Desk) -> None:
    store = desk.store(label_studio.url)
    file = store.fetch(UPLOAD)
    os.truncate(file.path, 10)
    assert store.fetch(UPLOAD).path.read_bytes() == PICTURE


def test_two_tasks_with_the_same_cloud_file_download_it_once(label_studio: LabelStudio, desk: Desk) -> None:
    label_studio.storage[CLOUD] = PICTURE
    store = desk.store(label_studio.url)
    assert store.fetch(CLOUD, task_id=1) == store.fetch(CLOUD, task_id=2)
    assert len(label_studio.seen) == 1


def test_one_who_waits_too_long_is_told_to_come_back(desk: Desk) -> None:
    with serving(Site(dripping_body)) as site, ThreadPoolExecutor(1) as pool:
        limits = Limits(patience=0.3, total=0.3)
        store = desk.store(allowed_hosts=[site.host], limits=limits, wait_seconds=0.01)
        first = pool.submit(store.fetch, site.url + "/a.png")
        eventually(lambda: bool(site.seen))
        with pytest.raises(Busy, match="still being downloaded"):
            store.fetch(site.url + "/a.png")
        assert isinstance(first.exception(), MediaUnavailable)


def test_many_at_once_on_a_folder_that_is_too_small_never_get_a_wrong_file(desk: Desk) -> None:
    def numbered(exchange: Exchange) -> None:
        exchange.reply(200, exchange.path.encode() * 100)

    with serving(Site(numbered)) as site:
        stores = [desk.store(allowed_hosts=[site.host], cache_bytes=2000) for _ in range(2)]

        def click(number: int) -> bool:
            path = f"/{number % 7}"
            file = stores[number % 2].fetch(site.url + path)
            return file.path.read_bytes() == path.encode() * 100

        with ThreadPoolExecutor(8) as pool:
            assert all(pool.map(click, range(100)))
