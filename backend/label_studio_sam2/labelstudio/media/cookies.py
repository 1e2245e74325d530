"""Cookies for as long as one download takes: a redirect may hand one out and look for it at once."""

from __future__ import annotations

import httpx

from label_studio_sam2.labelstudio.media.hosts import Origin, origin

MOST = 20
LONGEST = 4096


class Cookies:
    """Each goes to the origin that set it, and to no other."""

    def __init__(self) -> None:
        self._values: dict[Origin, dict[str, str]] = {}

    def take(self, url: httpx.URL, headers: httpx.Headers) -> None:
        """What an answer from `url` sets."""
        kept = self._values.setdefault(origin(url), {})
        for line in headers.get_list("set-cookie"):
            name, equals, value = line.partition(";")[0].strip().partition("=")
            if equals and name and len(line) <= LONGEST and (name in kept or len(kept) < MOST):
                kept[name] = value

    def header(self, url: httpx.URL) -> dict[str, str]:
        """For a request to `url`."""
        kept = self._values.get(origin(url), {})
        return {"Cookie": "; ".join(f"{name}={value}" for name, value in kept.items())} if kept else {}
