"""What is followed: the frames of a video's file, or pictures one after the other, as the network looks at them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import torch

from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.turn import OnDevice
from label_studio_sam2.engine.video.frame_input import Frames, prepared, squared
from label_studio_sam2.engine.video.tracking_network import Features, TrackingNetwork
from label_studio_sam2.errors import MediaError, RequestError, ServiceError, TooLarge
from label_studio_sam2.types import Picture, Pixels, Size

UNREADABLE = (MediaError, TooLarge, RequestError)
"""What is wrong with one picture, and not with the service."""


class Seen(NamedTuple):
    """A frame as the network looks at it: its size in pixels, and its features for who needs them."""

    size: Size
    features: Callable[[], Features]


class Source(Protocol):
    """Frames that count from 0. Their sizes may differ."""

    def __len__(self) -> int: ...

    def at(self, frame: int) -> Seen:
        """One frame, whenever it is asked for."""

    def along(self, span: range) -> Iterator[tuple[int, Seen]]:
        """Those of a span in its order, each prepared while the one before it is tracked; what can't be read is passed
        over."""


class Encode(Protocol):
    """A frame's features, computed as told or from a cache."""

    def __call__(self, frame: int, compute: Callable[[], Features], /) -> Features: ...


@dataclass(frozen=True)
class VideoFrames:
    """The frames of a video, all of one size. `encode` gives a frame's features, `on_device` is where they are
    computed."""

    video: Frames
    network: TrackingNetwork
    on_device: OnDevice
    encode: Encode

    def __len__(self) -> int:
        return len(self.video)

    def at(self, frame: int) -> Seen:
        return self._seen(frame, lambda: squared(self.video.frame(frame), self.network.side))

    def along(self, span: range) -> Iterator[tuple[int, Seen]]:
        for frame, square in prepared(self.video, span, self.network.side):
            yield frame, self._seen(frame, lambda square=square: square)  # type: ignore[misc]

    def _seen(self, frame: int, square: Callable[[], Pixels]) -> Seen:
        def encoded() -> Features:
            pixels = square()
            return self.network.compute(self.on_device, lambda: self.network.encoded(pixels))

        return Seen(self.video.size, lambda: self.encode(frame, encoded))


class Pictures(Protocol):
    """Pictures in their order, each of its own size. Raises ServiceErrors for one that can't be had."""

    def __len__(self) -> int: ...
    def __getitem__(self, place: int, /) -> Picture: ...


@dataclass(frozen=True)
class PictureFrames:
    """Pictures as frames. Their features are the embeddings that clicks are answered from, so that each is encoded
    once, whoever asks first. `unreadable` fills with what is wrong with those that were passed over."""

    pictures: Pictures
    embed: Callable[[Picture], Embedding]
    unreadable: dict[int, ServiceError] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pictures)

    def at(self, frame: int) -> Seen:
        embedding = self.embed(self.pictures[frame])
        return Seen(embedding.size, lambda: from_embedding(embedding))

    def along(self, span: range) -> Iterator[tuple[int, Seen]]:
        with ThreadPoolExecutor(1, "pictures") as pool:
            coming = [pool.submit(self._readable, frame) for frame in span[:1]]
            for frame, following in zip(span, [*span[1:], None], strict=True):
                seen = coming.pop().result()
                coming += [pool.submit(self._readable, following)] if following is not None else []
                if seen is not None:
                    yield frame, seen

    def _readable(self, frame: int) -> Seen | None:
        try:
            seen = self.at(frame)
        except UNREADABLE as error:
            self.unreadable[frame] = error
            return None
        self.unreadable.pop(frame, None)
        return seen


def from_embedding(embedding: Embedding) -> Features:
    """What a kept embedding holds, as the network's steps take it."""
    return tuple(torch.from_numpy(array)[None] for array in reversed(embedding.features))
