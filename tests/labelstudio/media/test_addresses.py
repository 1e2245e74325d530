from __future__ import annotations

import base64
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from label_studio_sam2.errors import MediaRefused, RequestError, ServiceError
from label_studio_sam2.labelstudio.media.addresses import parse, redacted
from label_studio_sam2.labelstudio.media.hosts import LabelStudioHost

HOST = LabelStudioHost.of("https://studio.example/label/", ["http://outside.example:8080"])
PIECES = st.sampled_from(
    [
        *(
            "http",
            "https",
            "s3",
            "file",
            "data",
            ":",
            "//",
            "/",
            "\\",
            "@",
            "#",
            "?",
            "%2F",
            "..",
            " ",
            "\n",
            "\t",
        ),
        *(
            "studio.example",
            "outside.example:8080",
            "localhost",
            "evil.example",
            "127.0.0.1",
            "[::1]",
            "user:pass",
        ),
        *("data/upload/1/a.png", "data/local-files/?d=a", "ä", "\x00", "xn--", "443", ":443", "label"),
    ]
)
STARTS = st.sampled_from(
    ["", "/", "https://studio.example", "http://localhost", "http://outside.example:8080/"]
)
ANYTHING = st.tuples(STARTS, st.text(max_size=60) | st.lists(PIECES, max_size=8).map("".join)).map("".join)


@given(ANYTHING)
def test_any_text_is_an_address_or_a_clear_error(text: str) -> None:
    with suppress(ServiceError):
        assert parse(text, HOST, 1).url.startswith(("http://", "https://", "data:"))


@pytest.mark.parametrize("host", ["xn--", "XN--0", "studio.example@xn--0"])
def test_a_host_that_no_name_stands_behind_is_a_clear_error(host: str) -> None:
    with pytest.raises(RequestError, match="isn't a valid address"):
        parse(f"https://{host}/a.png", HOST, 1)
    assert HOST.known_as(f"https://{host}") == HOST


@given(ANYTHING)
def test_the_key_goes_to_label_studios_own_origin_only(text: str) -> None:
    try:
        address = parse(text, HOST, 1)
    except ServiceError:
        return
    if address.authorised:
        assert (urlsplit(address.url).scheme, urlsplit(address.url).netloc) == ("https", "studio.example")


@given(st.text(max_size=20), st.text(max_size=20))
def test_what_is_shown_holds_neither_password_nor_query(password: str, query: str) -> None:
    assume(not set(password) & set("/?#"))
    shown = redacted(f"https://user:{password}@images.example/a.png?{query}")
    assert shown == "https://images.example/a.png"


@given(st.text(min_size=1, max_size=40).filter(str.isprintable))
def test_a_cloud_uri_reaches_the_resolver_unchanged(name: str) -> None:
    uri = f"s3://bucket/{name}/x.png"
    address = parse(uri, HOST, 5)
    parts = urlsplit(address.url)
    assert parts.path == "/label/tasks/5/resolve/"
    assert base64.urlsafe_b64decode(parse_qs(parts.query)["fileuri"][0]).decode() == uri


@pytest.mark.parametrize("scheme", ["s3", "gs", "azure-blob", "S3"])
def test_every_cloud_scheme_is_resolved_by_label_studio(scheme: str) -> None:
    assert parse(f"{scheme}://bucket/a.png", HOST, 5).authorised


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("/data/upload/1/a.png", "https://studio.example/label/data/upload/1/a.png"),
        ("/label/data/upload/1/a.png", "https://studio.example/label/data/upload/1/a.png"),
        ("http://localhost:8080/data/upload/1/a.png", "https://studio.example/label/data/upload/1/a.png"),
        (
            "http://outside.example:8080/data/local-files/?d=a",
            "https://studio.example/label/data/local-files/?d=a",
        ),
        ("http://outside.example:8080/label/data/upload/1/a", "https://studio.example/label/data/upload/1/a"),
    ],
)
def test_label_studios_paths_lead_to_where_it_is(text: str, url: str) -> None:
    address = parse(text, HOST)
    assert (address.url, address.authorised) == (url, True)


@pytest.mark.parametrize(
    "text",
    [
        "http://outside.example:8080/other/a.png",
        "http://outside.example/data/upload/1/a.png",
        "http://studio.example/label/data/upload/1/a.png",
        "https://studio.example:8443/label/a.png",
        "https://studio.example@evil.example/data/upload/1/a.png",
        "https://evil.example/?x=/data/upload/1/a.png",
        "https://evil.example#@studio.example/data/upload/1/a.png",
    ],
)
def test_what_only_resembles_label_studio_gets_no_key(text: str) -> None:
    assert not parse(text, HOST).authorised


@pytest.mark.parametrize(
    "text",
    [
        "/data/upload/1/a.png",
        "/label/data/upload/1/a.png",
        "/data/local-files/?d=a.png",
        "https://studio.example/label/data/upload/1/a..png",
        "/tasks/7/resolve/?fileuri=czM6Ly9i",
        "/projects/7/presign/?fileuri=czM6Ly9i",
        "s3://bucket/a.png",
    ],
)
def test_label_studios_media_paths_get_the_key(text: str) -> None:
    assert parse(text, HOST, 1).authorised


@pytest.mark.parametrize(
    "text",
    [
        "/logout",
        "/api/users/",
        "/api/projects/1/export?exportType=JSON",
        "/label/api/token/",
        "/tasks/7/",
        "/tasks/7/resolver/",
        "/static/samples/sample.jpg",
        "/data/upload/../../admin/",
        "/data/upload/%2e%2e/%2E%2E/admin/",
        "/data/upload/..%2f..%2fadmin/",
        "/data/upload/.%2e/admin/",
        "/data/upload/..\\admin/",
        "/data/upload/%2e./%5cadmin/",
        "/label/../data/upload/1/a.png/../../../../api/users/",
        "https://studio.example/data/upload/1/a.png",
        "https://studio.example/other/label/data/upload/1/a.png",
        "https://studio.example/label/api/users/",
        "https://studio.example/labeldata/upload/1/a.png",
        "http://localhost:8080/data/upload/../../api/users/",
        "http://outside.example:8080/data/upload/%2e%2e/%2e%2e/api/users/",
    ],
)
def test_no_other_path_of_label_studios_gets_the_key(text: str) -> None:
    address = parse(text, HOST, 1)
    assert not address.authorised
    assert not address.immutable


@pytest.mark.parametrize(
    ("host", "url"),
    [
        (HOST, "https://images.example/x.jpg"),
        (LabelStudioHost.of("http://studio.example"), "http://images.example/x.jpg"),
        (LabelStudioHost.of(""), "https://images.example/x.jpg"),
    ],
)
def test_an_address_without_a_scheme_has_label_studios(host: LabelStudioHost, url: str) -> None:
    assert parse("//images.example/x.jpg", host).url == url


def test_an_address_of_label_studios_without_a_scheme_is_its_own() -> None:
    assert parse("//studio.example/label/data/upload/1/a.png", HOST).authorised


def test_an_upload_cannot_change_and_a_local_file_can() -> None:
    assert parse("/data/upload/1/0a1b2c3d-a.png", HOST).immutable
    assert not parse("/data/local-files/?d=a.png", HOST).immutable


def test_a_backslash_does_not_lead_astray() -> None:
    for text in ("/\\evil.example/a.png", "https://evil.example\\@studio.example/a.png"):
        try:
            address = parse(text, HOST)
        except (MediaRefused, RequestError):
            continue
        assert "@" not in urlsplit(address.url).netloc


def test_what_is_no_alias_is_passed_over() -> None:
    for text in ("", "not an origin", "localhost", "http://a:b:c"):
        assert HOST.known_as(text) == HOST
