"""The ways out as one value, and an httpx client that goes them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any

import httpx

from label_studio_sam2.outgoing.certificates import Named, private, tls_context
from label_studio_sam2.outgoing.proxies import Proxies, Proxy
from label_studio_sam2.settings import Settings


@dataclass(frozen=True, slots=True)
class Outgoing:
    """Without arguments: no proxy, and the authorities that are known everywhere."""

    proxies: Proxies = field(default_factory=Proxies)
    certificates: Named = ()
    offline: bool = False
    """Whether nothing may be downloaded that a model needs."""

    @classmethod
    def of(cls, settings: Settings) -> Outgoing:
        """As the settings say. Raises SettingError."""
        named = (
            ("SSL_CERT_FILE", settings.ssl_cert_file),
            ("REQUESTS_CA_BUNDLE", settings.requests_ca_bundle),
            ("CURL_CA_BUNDLE", settings.curl_ca_bundle),
        )
        proxies = Proxies.of(settings.http_proxy, settings.https_proxy, settings.no_proxy)
        return cls(proxies, tuple(one for one in named if one[1]), settings.hf_hub_offline)

    @property
    def tls(self) -> ssl.SSLContext:
        return tls_context(self.certificates)

    @property
    def authorities(self) -> str:
        """The private ones' certificates, as PEM, for what makes its own connections."""
        return private(self.certificates)

    def client(self, **more: Any) -> httpx.Client:
        """A client that looks at every request's own address, also after a redirect; `more` as for httpx.Client."""
        return httpx.Client(transport=_Transport(self), trust_env=False, **more)


DIRECT = Outgoing()


class _Transport(httpx.BaseTransport):
    def __init__(self, outgoing: Outgoing) -> None:
        self._proxies = outgoing.proxies
        self._ways: dict[Proxy | None, httpx.HTTPTransport] = {
            way: httpx.HTTPTransport(verify=outgoing.tls, proxy=way and _to_httpx(way), trust_env=False)
            for way in (None, *outgoing.proxies.by_scheme.values())
        }

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        return self._ways[self._proxies.way_to(request.url)].handle_request(request)

    def close(self) -> None:
        for way in self._ways.values():
            way.close()


def _to_httpx(proxy: Proxy) -> httpx.Proxy:
    return httpx.Proxy(proxy.url, auth=proxy.auth)
