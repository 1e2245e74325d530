"""What the next click on a picture begins with: the picture made ready, and what earlier clicks were answered.

A prompt of several clicks is decoded with the logits of the prompt that it extends, which are looked up or decoded
again, never taken from whoever clicked last: so answers depend on (picture, prompt, model version) alone.
"""

from __future__ import annotations

from collections.abc import Hashable
from contextlib import suppress
from hashlib import blake2b
from threading import Lock
from typing import TypeVar

import torch
from cachetools import LRUCache

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.image import decoding
from label_studio_sam2.engine.image.decoding import Decoded, Prepared
from label_studio_sam2.engine.model import Model
from label_studio_sam2.types import Prompt

DECODED_BYTES = 128 << 20
"""Of decoded prompts kept for the clicks that extend them: three candidates are 768 KiB at 1024 px."""

PREPARED_BYTES = 208 << 20
"""Of pictures kept ready for the next click on them: eight at 1024 px, of 26 MiB each."""

PREPARED_SHARE = 16
"""The part of a GPU's memory for them, if that is more: a sixteenth of 24 GB are 57 pictures."""

FED_BACK = 16
"""Clicks whose logits are fed on one after the other; a longer prompt continues from its first sixteen."""

T = TypeVar("T")


def prepared_bytes(device: torch.device) -> int:
    """For pictures that are kept ready on this device."""
    if device.type != "cuda":
        return PREPARED_BYTES
    _, total = torch.cuda.mem_get_info(device)
    return max(PREPARED_BYTES, total // PREPARED_SHARE)


class ClickMemory:
    """Used on the device's threads. What is asked for with `remember=False` is made, but not kept."""

    def __init__(self, prepared_bytes: int = PREPARED_BYTES) -> None:
        self._prepared: LRUCache[Hashable, Prepared] = LRUCache(prepared_bytes, lambda one: one.nbytes)
        self._decoded: LRUCache[Hashable, Decoded] = LRUCache(DECODED_BYTES, lambda one: one.nbytes)
        self._lock = Lock()

    def prepared(self, model: Model, digest: str, embedding: Embedding, *, remember: bool) -> Prepared:
        """The picture with this digest, ready for prompts to this model."""
        key = (model.version, digest)
        found = self._get(self._prepared, key) or decoding.prepare(model, embedding)
        return self._keep(self._prepared, key, found) if remember else found

    def decoded(self, prepared: Prepared, digest: str, prompt: Prompt, *, remember: bool) -> Decoded:
        key = (prepared.model.version, digest, _key(prompt))
        found = self._get(self._decoded, key)
        if found is None:
            extended = _extended(prompt)
            before = (
                None
                if extended is None
                else self.decoded(prepared, digest, extended, remember=remember).logits[0]
            )
            found = decoding.decode(prepared, prompt, before)
        return self._keep(self._decoded, key, found) if remember else found

    def forget_prepared(self) -> bool:
        """Gives the device's memory back; whether there was any of it here."""
        with self._lock:
            found = bool(self._prepared)
            self._prepared.clear()
        return found

    def _get(self, memory: LRUCache[Hashable, T], key: Hashable) -> T | None:
        with self._lock:
            return memory.get(key)

    def _keep(self, memory: LRUCache[Hashable, T], key: Hashable, value: T) -> T:
        with self._lock, suppress(ValueError):  # one that is larger than the whole memory
            memory[key] = value
        return value


def _extended(prompt: Prompt) -> Prompt | None:
    """The prompt whose logits this one is decoded with."""
    if len(prompt.points) > FED_BACK:
        return Prompt(prompt.points[:FED_BACK], prompt.box, prompt.mask)
    return prompt.previous


def _key(prompt: Prompt) -> Hashable:
    """The prompt by what it says; of a mask, which can be megabytes, its hash."""
    mask = prompt.mask and (prompt.mask.size, blake2b(prompt.mask.bits, digest_size=16).digest())
    return prompt.points, prompt.box, mask
