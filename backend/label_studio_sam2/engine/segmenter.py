"""What the use cases ask of the engine: masks for prompts on a picture, with the embedding cache on the one seam.

Results are pure functions of (picture, prompt, model version): a prompt of several clicks is decoded with the
logits of the prompt that it extends, which are looked up or decoded again, never taken from whoever clicked last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextvars import copy_context
from typing import Any, TypeVar

import numpy as np

from label_studio_sam2.engine import device
from label_studio_sam2.engine.cache.embedded import Embedded
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.cache.redis_store import PATIENCE_SECONDS, EmbeddingKey
from label_studio_sam2.engine.image import certainty, decoding, encoding
from label_studio_sam2.engine.image.click_memory import PREPARED_BYTES, ClickMemory
from label_studio_sam2.engine.image.decoding import Decoded
from label_studio_sam2.engine.image.found_object import FoundObject
from label_studio_sam2.engine.image.grid import Grid
from label_studio_sam2.engine.image.picture_encoder import PictureEncoder
from label_studio_sam2.engine.image.searching import search
from label_studio_sam2.engine.image.upsampling import upsample
from label_studio_sam2.engine.image.zoom import Window
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.turn import CLICK, Priority, Turn
from label_studio_sam2.engine.video.following import through_pictures, through_video
from label_studio_sam2.engine.video.frame_features import RememberedFrames
from label_studio_sam2.engine.video.frame_input import Frames, Still
from label_studio_sam2.engine.video.source import Pictures
from label_studio_sam2.engine.video.targets import Target, Targets, span_of
from label_studio_sam2.engine.video.tracker import Tracker
from label_studio_sam2.errors import NotReady, OutOfMemory, ServiceError
from label_studio_sam2.request import asker
from label_studio_sam2.request.timing import stage
from label_studio_sam2.types import FrameMask, Mask, Picture, Point, Prompt, Size

FIRST_CLICK = Prompt((Point(1, 1),))

CLICK_PATIENCE = 10.0
"""Seconds that a click waits for another replica's encode: priorities don't reach there, and it may be a batch's."""

T = TypeVar("T")


class Segmenter:
    """One model on one device, its lane and its cache. Safe to share between threads.

    Pictures are encoded by `model` whoever asks; what decodes and tracks is `model` or a tuned version of it, and is
    named in each call.
    """

    def __init__(
        self,
        model: Model,
        cache: EmbeddingCache,
        lane: Lane,
        *,
        store: type[np.floating[Any]] = np.float16,
        prepared_bytes: int = PREPARED_BYTES,
    ) -> None:
        self.model = model
        self.cache = cache
        self.lane = lane
        self._store = store
        self._clicks = ClickMemory(prepared_bytes)
        self._encode = PictureEncoder(model, lane, store, self._clicks.forget_prepared)

    def embed(self, picture: Picture, priority: Priority = Priority.CLICK_ENCODE) -> Embedded:
        """The picture's embedding, from the cache or encoded with this priority."""
        key = self.key(picture)

        def encode() -> Embedding:
            asker.check()
            return self._encode(picture, Turn(priority), key)

        patience = CLICK_PATIENCE if priority <= Priority.CLICK_ENCODE else PATIENCE_SECONDS
        with stage("embedding"):
            found = self.cache.get_or_encode(key, encode, lambda: self.lane.boost(key, priority), patience)
        return Embedded(picture.digest, *found)

    def holds(self, picture: Picture) -> bool:
        """Whether the picture's embedding is kept, and stays so for a while."""
        return self.cache.holds(self.key(picture))

    def key(self, picture: Picture) -> EmbeddingKey:
        """By which a picture's embedding is kept."""
        return EmbeddingKey(self.model.fingerprint, picture.digest)

    def await_click(self, model: Model, embedded: Embedded) -> None:
        """Does what the first click on a picture would begin with, when nothing more urgent is left to do."""
        self.run(
            Turn(Priority.PREWARM),
            lambda: self._clicks.prepared(model, embedded.digest, embedded.embedding, remember=True),
        )

    def segment(
        self,
        model: Model,
        embedded: Embedded,
        prompts: Sequence[Prompt],
        *,
        candidates: int = 1,
        turn: Turn = CLICK,
    ) -> list[list[Mask]]:
        """For each prompt its masks, the best first: one, or up to `candidates` for a single ambiguous click.

        Raises Superseded where the turn is moot.
        """
        decoded = self.decode(model, embedded, prompts, turn=turn)
        return [self.masks(one, embedded.size, candidates) for one in decoded]

    def decode(
        self, model: Model, embedded: Embedded, prompts: Sequence[Prompt], *, turn: Turn = CLICK
    ) -> list[Decoded]:
        """What the decoder says to each prompt, at low resolution. Raises Superseded where the turn is moot."""
        # No next click comes to a batch's pictures and prompts, and they would push out those to which one does.
        remember = turn.priority == Priority.CLICK_DECODE

        def decode() -> list[Decoded]:
            digest, embedding, _ = embedded
            prepared = self._clicks.prepared(model, digest, embedding, remember=remember)
            return [self._clicks.decoded(prepared, digest, prompt, remember=remember) for prompt in prompts]

        with stage("decode"):
            return self.run(turn, decode)

    def masks(self, decoded: Decoded, size: Size, candidates: int = 1) -> list[Mask]:
        """Up to so many of its masks at a picture's size, the best first."""
        leads = [certainty.lead(decoded) if candidates == 1 else 1.0] * candidates
        with stage("upsample"):
            return [
                Mask(upsample(logits, size), float(score), certainty.stability(logits), lead)
                for logits, score, lead in zip(decoded.logits, decoded.scores, leads, strict=False)
            ]

    def check(self) -> None:
        """Raises where the device fails. It is only tried, with a click, where the last work failed unexpectedly."""
        if not self.lane.failures:
            return
        try:
            self.lane.run(CLICK, self._click_on_nothing)
        except ServiceError:
            raise
        except Exception as error:
            raise NotReady(f"The device fails ({type(error).__name__}); the log says more.") from error

    def track(
        self, model: Model, frames: Frames, digest: str, targets: Targets
    ) -> Iterator[tuple[FrameMask, ...]]:
        """Follows objects through the video with this digest (see `Tracker.follow`), giving way to clicks between
        frames."""
        return self.tracker(model, frames, digest, span_of(targets)).follow(targets)

    def tracker(self, model: Model, frames: Frames, digest: str, span: range) -> Tracker:
        """What does so in several calls, over parts of a span in their order."""
        encode = RememberedFrames(span, digest, frames.size, model, self.cache, self._frame_turn)
        return through_video(model, frames, encode, self._frame_turn)

    def track_pictures(
        self, model: Model, pictures: Pictures, targets: Targets, unreadable: dict[int, ServiceError]
    ) -> Iterator[tuple[FrameMask, ...]]:
        """Follows objects through pictures as through a video's frames. What is wrong with those that can't be read is
        put into `unreadable`, and they are passed over."""

        def embed(picture: Picture) -> Embedding:
            return self.embed(picture, Priority.VIDEO_FRAME).embedding

        return through_pictures(model, pictures, embed, unreadable, self._frame_turn).follow(targets)

    def warm_up(self) -> None:
        """Runs encoder and decoder once, past every cache: kernels and memory are there before the first click."""
        side = self.model.image_size
        self._encode.warm_up()
        self.lane.run_on_each(self._click_on_nothing)
        if self.model.device.type == "cuda" or self.model.compiled:
            still = Still(Size(side, side), 3)
            tracker = through_video(self.model, still, lambda _, compute: compute(), self._frame_turn)
            deque(tracker.follow({"": Target({0: FIRST_CLICK}, range(3))}), maxlen=0)

    def everything(
        self,
        model: Model,
        picture: Picture,
        embedded: Embedded,
        *,
        grid: Grid | None = None,
        priority: Priority = Priority.BATCH,
        before_each_turn: Callable[[], None] = lambda: None,
    ) -> list[FoundObject]:
        """Every object of an embedded picture, the best rated first.

        `before_each_turn` on the device may raise to break off.
        """
        turn = Turn(priority)

        def encode(window: Window) -> Embedding:
            """What clicks have left of it; windows that nobody clicked on would push pictures out."""
            part = picture.part(window.area)
            return self.embed(part, priority).embedding if self.holds(part) else self._encode(part, turn)

        with stage("everything"):
            return search(
                model,
                embedded.embedding,
                grid or Grid.of(embedded.size, model),
                encode=encode,
                on_device=lambda work: self.run(turn, work),
                before_each_turn=before_each_turn,
            )

    def run(self, turn: Turn, work: Callable[[], T], *, key: Hashable | None = None) -> T:
        """A turn on the device, and another where memory is too small and pictures kept ready give theirs back.
        Raises what `Lane.run` does."""
        context = copy_context()  # so that the stages timed on the lane's thread reach this request

        def in_context() -> T:
            return context.run(work)

        try:
            return self.lane.run(turn, in_context, key=key)
        except OutOfMemory:
            if not self._clicks.forget_prepared():
                raise
        return self.lane.run(turn, in_context, key=key)

    def embedding_bytes(self) -> int:
        """Of one picture's embedding: the same for every picture."""
        return self.model.embedding_values * np.dtype(self._store).itemsize

    def device_memory(self) -> dict[str, int]:
        """Bytes of a GPU's memory that are in use, held by torch, and free; nothing of a CPU's."""
        return device.memory(self.model.device)

    def close(self) -> None:
        """Finishes what runs on the device; what comes later is refused."""
        self.lane.close()
        self.cache.close()

    def _frame_turn(self, work: Callable[[], T], /) -> T:
        return self.lane.run(Turn(Priority.VIDEO_FRAME), work)

    def _click_on_nothing(self) -> None:
        decoding.decode(decoding.prepare(self.model, encoding.blank(self.model)), FIRST_CLICK)
