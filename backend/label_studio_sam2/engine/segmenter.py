"""What the use cases ask of the engine: masks for prompts on a picture, with the embedding cache on the one seam.

Results are pure functions of (picture, prompt, model version): a prompt of several clicks is decoded with the
logits of the prompt that it extends, which are looked up or decoded again, never taken from whoever clicked last.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextvars import copy_context
from functools import cache
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from label_studio_sam2.engine import everything, image, video
from label_studio_sam2.engine.cache import EmbeddingCache, Source, embedding_key
from label_studio_sam2.engine.embedding import Embedding
from label_studio_sam2.engine.everything import Found
from label_studio_sam2.engine.frame_features import remembering
from label_studio_sam2.engine.grid import Grid, Window
from label_studio_sam2.engine.image import Decoded, Prepared
from label_studio_sam2.engine.lane import Lane, Priority
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.recent import Recent
from label_studio_sam2.engine.upsampling import upsample
from label_studio_sam2.engine.video import Frames, Target
from label_studio_sam2.timing import stage
from label_studio_sam2.types import FrameMask, Mask, Picture, Point, Prompt, Size

REMEMBERED_PROMPTS = 512
"""Decoded prompts kept for the clicks that extend them: 256 KiB each at 1024 px."""

PREPARED_PICTURES = 8
"""Pictures kept ready for the next click on them: 26 MiB each at 1024 px."""

FED_BACK = 16
"""Clicks whose logits are fed on one after the other; a longer prompt continues from its first sixteen."""

POINTS_AT_ONCE = {"cuda": 64}
OTHERWISE_AT_ONCE = 4
"""Clicks of everything mode decoded in one turn on the device. On a CPU each costs the same in any number, and a
user's click may wait for a turn."""

T = TypeVar("T")
Points = NDArray[np.float32]


class Embedded(NamedTuple):
    """A picture's embedding, by the picture's digest, and where it came from."""

    digest: str
    embedding: Embedding
    source: Source

    @property
    def size(self) -> Size:
        """Of the upright picture."""
        return self.embedding.size


class Segmenter:
    """One model on one device, its lane and its cache. Safe to share between threads."""

    def __init__(
        self,
        model: Model,
        cache: EmbeddingCache,
        lane: Lane,
        *,
        autocast: torch.dtype | None = None,
        store: type[np.floating[Any]] = np.float16,
    ) -> None:
        self.model = model
        self.cache = cache
        self.lane = lane
        self._autocast = autocast
        self._store = store
        self._remembered = Recent[Decoded](REMEMBERED_PROMPTS)
        self._prepared = Recent[Prepared](PREPARED_PICTURES)

    def embed(self, picture: Picture, priority: Priority = Priority.CLICK_ENCODE) -> Embedded:
        """The picture's embedding, from the cache or encoded with this priority."""
        key = embedding_key(picture.digest, self.model.fingerprint)

        def encode() -> Embedding:
            with stage("load"):
                pixels = picture.load()
            with stage("encode"):
                return self._run(
                    priority, lambda: image.encode(self.model, pixels, self._autocast, self._store), key=key
                )

        with stage("embedding"):
            self.lane.boost(key, priority)
            return Embedded(picture.digest, *self.cache.get_or_encode(key, encode))

    def await_click(self, embedded: Embedded, model: Model) -> None:
        """Does what the first click on a picture would begin with, when nothing more urgent is left to do."""
        self._run(Priority.PREWARM, lambda: self._prepare(model, embedded, remember=True))

    def segment(
        self,
        embedded: Embedded,
        prompts: Sequence[Prompt],
        *,
        model: Model | None = None,
        candidates: int = 1,
        supersedes: Hashable | None = None,
        since: float | None = None,
        priority: Priority = Priority.CLICK_DECODE,
    ) -> list[list[Mask]]:
        """For each prompt its masks, the best first: one, or up to `candidates` for a single ambiguous click.

        `model` is a tuned version of this segmenter's model. `supersedes` names whose click this is: a newer one of
        moot, which then raises Superseded. `since` is when the click came in (`time.monotonic`).
        """
        chosen = model or self.model
        # No next click comes to a batch's pictures and prompts, and they would push out those to which one does.
        remember = priority == Priority.CLICK_DECODE

        def decode() -> list[Decoded]:
            prepared = self._prepare(chosen, embedded, remember=remember)
            return [self._decode(prepared, embedded.digest, prompt, remember=remember) for prompt in prompts]

        with stage("decode"):
            decoded = self._run(priority, decode, supersede=supersedes, since=since)
        with stage("upsample"):
            return [_masks(answer, embedded.size, candidates) for answer in decoded]

    def track(
        self, frames: Frames, digest: str, targets: Mapping[str, Target], *, model: Model | None = None
    ) -> Iterator[tuple[FrameMask, ...]]:
        """Follows objects through the video with this digest (see `video.track`), giving way to clicks between frames.

        `model` is a tuned version of this segmenter's model.
        """

        def run(work: Callable[[], T]) -> T:
            return self.lane.run(Priority.VIDEO_FRAME, work)

        chosen = model or self.model
        dtype = self._autocast if self.model.device.type == "cuda" else None
        encode = remembering(self.cache, chosen, digest, frames.size, span=video.span_of(targets), run=run)
        return video.track(chosen.network, frames, targets, run=run, encode=encode, dtype=dtype)

    def warm_up(self) -> None:
        """Runs encoder and decoder once, past every cache: kernels and memory are there before the first click."""
        pixels = np.zeros((self.model.image_size, self.model.image_size, 3), np.uint8)
        embedding = self._run(
            Priority.CLICK_ENCODE, lambda: image.encode(self.model, pixels, self._autocast, self._store)
        )
        click = Prompt((Point(1, 1),))
        self._run(Priority.CLICK_DECODE, lambda: image.decode(image.prepare(self.model, embedding), click))

    def everything(
        self,
        picture: Picture,
        embedded: Embedded,
        *,
        model: Model | None = None,
        grid: Grid | None = None,
        priority: Priority = Priority.BATCH,
        before_each_turn: Callable[[], None] = lambda: None,
    ) -> list[Found]:
        """Every object of an embedded picture, the best rated first.

        The device is asked for a few clicks at a time, so that everything more urgent goes in between;
        `before_each_turn` may raise to break off.
        """
        chosen = model or self.model
        at_once = POINTS_AT_ONCE.get(chosen.device.type, OTHERWISE_AT_ONCE)
        load = cache(picture.load)

        def prepare(window: Window) -> Prepared:
            embedding = embedded.embedding
            if window.layer:
                before_each_turn()
                part = load()[window.y0 : window.y1, window.x0 : window.x1]
                embedding = self._run(
                    priority, lambda: image.encode(self.model, part, self._autocast, self._store)
                )
            return self._run(priority, lambda: image.prepare(chosen, embedding))

        def decode(prepared: Prepared, clicks: Points) -> tuple[Points, Points]:
            before_each_turn()
            return self._run(priority, lambda: image.decode_points(prepared, clicks))

        grid = grid or Grid.of(embedded.size, chosen)
        with stage("everything"):
            return everything.find(embedded.size, grid, prepare, decode, points_at_once=at_once)

    def embedding_bytes(self) -> int:
        """Of one picture's embedding: the same for every picture."""
        return self.model.embedding_values * np.dtype(self._store).itemsize

    def device_memory(self) -> int:
        """Bytes that torch holds on a GPU; 0 on a CPU."""
        device = self.model.device
        return torch.cuda.memory_allocated(device) if device.type == "cuda" else 0

    def close(self) -> None:
        """Finishes what runs on the device; what comes later is refused."""
        self.lane.close()
        self.cache.close()

    def _decode(self, prepared: Prepared, digest: str, prompt: Prompt, *, remember: bool) -> Decoded:
        key = (prepared.model.version, digest, prompt)
        remembered = self._remembered.get(key)
        if remembered is None:
            extended = _extended(prompt)
            before = None if extended is None else self._decode(prepared, digest, extended, remember=remember)
            previous = None if before is None else before.logits[0]
            remembered = image.decode(prepared, prompt, previous)
            if remember:
                self._remembered.put(key, remembered)
        return remembered

    def _prepare(self, model: Model, embedded: Embedded, *, remember: bool) -> Prepared:
        key = (model.version, embedded.digest)
        prepared = self._prepared.get(key)
        if prepared is None:
            prepared = image.prepare(model, embedded.embedding)
            if remember:
                self._prepared.put(key, prepared)
        return prepared

    def _run(
        self,
        priority: Priority,
        work: Callable[[], T],
        *,
        supersede: Hashable | None = None,
        since: float | None = None,
        key: Hashable | None = None,
    ) -> T:
        context = copy_context()  # so that the stages timed on the lane's thread reach this request
        return self.lane.run(priority, lambda: context.run(work), supersede=supersede, since=since, key=key)


def _extended(prompt: Prompt) -> Prompt | None:
    """The prompt whose logits this one is decoded with."""
    if len(prompt.points) > FED_BACK:
        return Prompt(prompt.points[:FED_BACK], prompt.box, prompt.mask)
    return prompt.previous


def _masks(decoded: Decoded, size: Size, candidates: int) -> list[Mask]:
    return [
        Mask(upsample(logits, size), float(score))
        for logits, score in zip(decoded.logits[:candidates], decoded.scores, strict=False)
    ]
