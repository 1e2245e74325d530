"""What a task says about where its medium is, read into the one address that is fetched.

Label Studio hands task data on as they were imported (its own paths, cloud URIs, web and `data:`
addresses), and a machine learning backend has to know each kind. Protocol notes, section 8.
"""

from __future__ import annotations

import base64
import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import httpx

from label_studio_sam2.errors import MediaRefused, MediaUnavailable, RequestError
from label_studio_sam2.labelstudio.media.hosts import OWN_PATHS, LabelStudioHost, origin, with_host

UPLOADS = "/data/upload/"
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1", "host.docker.internal"})
SHOWN_CHARACTERS = 200
REMEMBERED_CHARACTERS = 4096


@dataclass(frozen=True, slots=True)
class Address:
    """Where a medium is.

    `url` is what is requested, http, https or data, and may hold secrets; `shown` is for people and logs,
    and holds none. `identity` is the same for the same medium whatever task asks for it. Label Studio's key
    goes along only where `authorised`. What is `immutable` never has to be asked for again: an upload's
    name holds a hash.
    """

    url: str = field(repr=False)
    identity: str = field(repr=False)
    shown: str
    authorised: bool = False
    immutable: bool = False


class Sought(NamedTuple):
    """What a task says, and what it takes to understand it."""

    text: str
    host: LabelStudioHost
    task_id: int | None


def parse(value: object, host: LabelStudioHost, task_id: int | None = None) -> Address:
    """Read a task's value; RequestError or MediaRefused where it is nothing that is fetched."""
    if not isinstance(value, str):
        raise RequestError(
            f"The task's medium must be an address as text, and is {_kind(value)}: "
            "check which key of the task's data the labeling config's value attribute names."
        )
    sought = Sought(value.strip(), host, task_id)
    return _remembered(sought) if len(value) < REMEMBERED_CHARACTERS else _parse(sought)


def _parse(sought: Sought) -> Address:
    text = sought.text
    scheme, colon, _ = text.partition(":")
    read = _KINDS.get(scheme.lower()) if colon else None
    if text.startswith("//"):
        read = _of_the_pages_scheme
    elif text.startswith("/"):
        read = _root_relative
    if read is None:
        raise MediaRefused(
            f"{redacted(text)!r} isn't an address that media are fetched from: use http(s)://, s3://, gs://, "
            "azure-blob://, data:, or a path of Label Studio's such as /data/upload/…"
        )
    return read(sought)


_remembered = functools.lru_cache(4096)(_parse)
"""A click's address was parsed when its picture was opened; parsing costs more than finding the file."""


def redacted(url: str) -> str:
    """An address without what may be secret in it: user, password, query and fragment."""
    if url[:5].lower() == "data:":
        return url[:40].partition(",")[0] + ",…"
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    path = rest.partition("?")[0].partition("#")[0]
    authority, slash, tail = path.partition("/")
    return _cut(scheme + separator + authority.rpartition("@")[2] + slash + tail)


def _root_relative(sought: Sought) -> Address:
    _need_label_studio(sought)
    url = _url(sought.host.at(sought.text))
    if origin(url) != sought.host.origin:
        raise MediaRefused(f"{redacted(sought.text)} isn't a path of Label Studio's.")
    return _own(url, sought.host)


def _of_the_pages_scheme(sought: Sought) -> Address:
    """As the editor shows it, in a page of Label Studio's."""
    scheme = sought.host.origin[0] if sought.host.origin else "https"
    return _web(sought._replace(text=f"{scheme}:{sought.text}"))


def _web(sought: Sought) -> Address:
    url = _url(sought.text)
    if not url.host:
        raise MediaRefused(f"{redacted(sought.text)} names no host.")
    if sought.host.url and origin(url) == sought.host.origin:
        return _own(url, sought.host)
    if url.host in LOOPBACK and any(path in url.path for path in OWN_PATHS):
        _need_label_studio(sought)
    path = _path_under_alias(url, sought.host)
    if path:
        return _own(_url(sought.host.at(path)), sought.host)
    plain = url.copy_with(userinfo=b"", fragment=None)
    return Address(str(plain), str(plain), redacted(sought.text))


def _need_label_studio(sought: Sought) -> None:
    if not sought.host.url:
        raise MediaUnavailable(
            f"{redacted(sought.text)} is fetched from Label Studio: set LABEL_STUDIO_URL to where it "
            "answers, and LABEL_STUDIO_API_KEY to one of its keys."
        )


def _path_under_alias(url: httpx.URL, host: LabelStudioHost) -> str:
    """The path where an address calls Label Studio by another name (localhost, an alias), else ""."""
    if not host.url or (url.host not in LOOPBACK and origin(url) not in host.aliases):
        return ""
    raw = url.raw_path.decode("ascii")
    return next((raw[raw.index(path) :] for path in OWN_PATHS if path in raw.partition("?")[0]), "")


def _own(url: httpx.URL, host: LabelStudioHost) -> Address:
    plain = str(url.copy_with(userinfo=b"", fragment=None))
    shown = plain if "/data/local-files/" in url.path else redacted(plain)
    own = host.serves_media_at(url)
    return Address(plain, plain, _cut(shown), authorised=own, immutable=own and UPLOADS in url.path)


def _cloud(sought: Sought) -> Address:
    _need_label_studio(sought)
    if sought.task_id is None:
        raise RequestError(
            f"{redacted(sought.text)} is fetched through its task: send the task's id with it."
        )
    uri = base64.urlsafe_b64encode(sought.text.encode()).decode()
    url = str(_url(sought.host.at(f"/tasks/{sought.task_id}/resolve/")).copy_set_param("fileuri", uri))
    return Address(url, sought.text, redacted(sought.text), authorised=True)


def _inline(sought: Sought) -> Address:
    text = "data:" + sought.text.partition(":")[2]
    return Address(text, text, redacted(text), immutable=True)


_KINDS: dict[str, Callable[[Sought], Address]] = {
    "http": _web,
    "https": _web,
    "s3": _cloud,
    "gs": _cloud,
    "azure-blob": _cloud,
    "data": _inline,
}


def _url(text: str) -> httpx.URL:
    try:
        return with_host(httpx.URL(text))
    except httpx.InvalidURL as problem:
        raise RequestError(f"{redacted(text)} isn't a valid address ({problem}).") from problem


def _kind(value: object) -> str:
    kinds = {"NoneType": "missing", "dict": "an object", "list": "a list"}
    return kinds.get(type(value).__name__, "a number")


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN_CHARACTERS else text[:SHOWN_CHARACTERS] + "…"
