"""Is Label Studio there, which is it, and does it take our key."""

from __future__ import annotations

from label_studio_sam2.doctor.check import Check, checked
from label_studio_sam2.errors import LabelStudioError
from label_studio_sam2.labelstudio.api import advice
from label_studio_sam2.labelstudio.api.client import LabelStudioClient

MEASURED = (1, 23)
"""The version whose editor and API this service was tested against; older editors send other requests."""


def server(client: LabelStudioClient) -> Check:
    """Whether it answers, and which version."""

    def release() -> str:
        said = client.get("/api/version")
        found = said.get("release") if isinstance(said, dict) else None
        if not isinstance(found, str) or not found:
            raise LabelStudioError(advice.not_label_studio(client.url, "it names no version"))
        return found

    found = checked("Label Studio", release)
    if found.state != "ok":
        return found
    sentence = f"Label Studio {found.sentence} answers at {client.url}."
    if _numbers(found.sentence) < MEASURED:
        wanted = ".".join(str(number) for number in MEASURED)
        return Check(
            found.name, "warning", sentence, f"Update it to {wanted} or newer: older ones were not tested."
        )
    return Check(found.name, "ok", sentence)


def key(client: LabelStudioClient) -> Check:
    """Whether it takes the key, and of which kind that is. Not whose: the page shows this to all who open it."""

    def whoami() -> str:
        client.get("/api/current-user/whoami")
        return f"The {client.key.kind} is accepted."

    return checked("key", whoami)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
