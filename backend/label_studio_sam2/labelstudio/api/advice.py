"""What to change where Label Studio can't be reached, or refuses us: sentences that name the variable to set."""

from __future__ import annotations

from typing import NamedTuple

import httpx

from label_studio_sam2.labelstudio.api.tokens import AccessKey
from label_studio_sam2.outgoing.proxies import Proxy

LEGACY_DISABLED = "legacy token authentication has been disabled"
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1", "0.0.0.0"})  # noqa: S104  compared with, not bound to


def refusal(key: AccessKey, status: int, body: str, what: str) -> str:
    """After 401 or 403 to a request for `what`."""
    if not key:
        return f"Label Studio wants a key for {what}: set LABEL_STUDIO_API_KEY to a personal access token."
    if LEGACY_DISABLED in body:
        return (
            "Label Studio has legacy tokens switched off, and LABEL_STUDIO_API_KEY holds one: set it to "
            "a personal access token (in Label Studio under Account & Settings)."
        )
    if status == 403:
        return (
            f"Label Studio's user whose key is in LABEL_STUDIO_API_KEY has no access to {what}: "
            "add the user to the project, or set another user's key."
        )
    return (
        "Label Studio refuses the key in LABEL_STUDIO_API_KEY (expired, revoked or another server's): "
        "set a new personal access token."
    )


class Trouble(NamedTuple):
    """Why no connection comes about: words of the system's message, what they mean, and what to do."""

    said: tuple[str, ...]
    meaning: str
    remedy: str


TROUBLES = (
    Trouble(
        ("hostname mismatch", "ip address mismatch"),
        "its certificate is for another name",
        "Set LABEL_STUDIO_URL to a name that the certificate holds",
    ),
    Trouble(
        ("certificate has expired",),
        "its certificate has expired",
        "Have it renewed",
    ),
    Trouble(
        ("certificate verify failed",),
        "its certificate isn't trusted here",
        "Set SSL_CERT_FILE to a file that holds the issuer's certificate, or the server's own where it is self-signed",
    ),
    Trouble(
        ("ssl",),
        "it doesn't speak HTTPS there",
        "Write http:// in LABEL_STUDIO_URL, or give the port that speaks HTTPS",
    ),
    Trouble(
        ("timed out", "timeout"),
        "no answer comes in time",
        "See whether it is overloaded, and whether a firewall lets this machine through to that port",
    ),
    Trouble(
        ("refused",),
        "nothing listens there",
        "Start Label Studio, or correct LABEL_STUDIO_URL",
    ),
    Trouble(
        ("name or service", "name resolution", "nodename", "getaddrinfo", "no address associated"),
        "this machine doesn't know that name",
        "Correct LABEL_STUDIO_URL, or have the name resolved here",
    ),
    Trouble(
        ("disconnected", "reset"),
        "it hangs up without an answer",
        "Correct LABEL_STUDIO_URL, and write https:// where that port speaks HTTPS",
    ),
)


def unreachable(url: str, problem: Exception, proxy: Proxy | None = None) -> str:
    """Where no connection comes about; `proxy` is what it would go through."""
    words = f"{type(problem).__name__} {problem}".lower()
    trouble = next((one for one in TROUBLES if any(said in words for said in one.said)), None)
    meaning, remedy = trouble[1:] if trouble else (str(problem) or "no connection", "Check LABEL_STUDIO_URL")
    host = httpx.URL(url)
    if proxy is not None and "certificate" not in meaning:
        said = meaning if trouble else str(problem) or "no connection"
        return (
            f"Label Studio can't be reached at {url} through {proxy.shown}: {said}. {past(proxy, host.host)}"
        )
    container = (
        f"; from inside a container, where {host.host} is the container itself, use "
        f"http://host.docker.internal:{host.port or 80} or the name of Label Studio's service"
        if host.host in LOOPBACK_NAMES and "nothing listens" in meaning
        else ""
    )
    return f"Label Studio can't be reached at {url}: {meaning}. {remedy}{container}."


def behind(proxy: Proxy, url: str, status: int) -> str:
    """Where an error comes that Label Studio's API doesn't give."""
    return f"Through {proxy.shown}, {url} answers {status} and no JSON. {past(proxy, httpx.URL(url).host)}"


def past(proxy: Proxy, host: str) -> str:
    return (
        f"Add {host} to NO_PROXY if it is on your own network; else correct {proxy.variable}, which may hold a "
        "user and a password, or have the proxy let it through."
    )


def is_backend(body: object) -> bool:
    """Whether an answer has the form of this service's own errors, which Label Studio's have not."""
    return isinstance(body, dict) and body.keys() == {"detail", "error"}


def own_address(url: str) -> str:
    """Where this service answers instead of Label Studio."""
    return (
        f"LABEL_STUDIO_URL is {url}, and what answers there is this service itself, or another of its kind. Set it to "
        "where Label Studio answers, http://localhost:8080 unless it was given another port."
    )


def not_label_studio(url: str, what: str) -> str:
    """Where a web page comes back instead of the API's JSON."""
    parsed = httpx.URL(url)
    root = str(parsed.copy_with(path="/")).rstrip("/")
    if parsed.path.strip("/"):
        return (
            f"Label Studio's API doesn't answer below {url} ({what}). Set LABEL_STUDIO_URL to {root}, without the path "
            "of a page; with a path only where all of Label Studio lies below it."
        )
    return (
        f"What answers at {url} isn't Label Studio's API ({what}). Set LABEL_STUDIO_URL to its own address."
    )


def no_project(number: int) -> str:
    return (
        f"Label Studio has no project {number} that the key's user may see (404). Take the number from its address, "
        "/projects/N, or add the user to it."
    )
