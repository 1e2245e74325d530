"""What the use cases ask of the detector: the objects of a picture that words name, or that look like others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from threading import Lock
from typing import Any, NamedTuple, TypeVar

import numpy as np
from cachetools import LRUCache

from label_studio_sam2.engine.cache.embedded import Embedded
from label_studio_sam2.engine.cache.embedding import Embedding
from label_studio_sam2.engine.cache.redis_store import PATIENCE_SECONDS, EmbeddingKey
from label_studio_sam2.engine.image.decoding import points_at_once
from label_studio_sam2.engine.image.found_object import Cutout
from label_studio_sam2.engine.second_look import Looking
from label_studio_sam2.engine.segmenter import CLICK_PATIENCE, Segmenter
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.engine.words.boxes import FoundBox, Queries, Rated, distinct, rated
from label_studio_sam2.engine.words.detector import Detector
from label_studio_sam2.engine.words.tokens import Example, Floats, Tokens
from label_studio_sam2.request import asker
from label_studio_sam2.request.timing import stage
from label_studio_sam2.types import Box, Mask, Picture, Prompt, Size

READ_PHRASES = 4096
"""Queries that are remembered, 2 to 3 KiB each: a project's words are asked for again and again."""

READ_AT_ONCE = 8
"""Phrases read in one turn on the device: 0.2 s on a CPU."""

LIKE = 0.8
"""An object is like an example where it is rated at least this well beside the example itself. Looks are more alike
than looks and words are, so that what suits words would let almost everything through."""

SAME_OBJECT = 0.7
"""IoU from which two masks are one object's, whatever they were found by."""

QUESTION = Turn(Priority.CLICK_ENCODE)

T = TypeVar("T")


class Question(NamedTuple):
    """What to look for: what the words name, and what is like these boxes of the picture or an example of others."""

    words: str = ""
    boxes: tuple[Box, ...] = ()
    example: Example | None = None


class Finder:
    """One detector beside the segmenter whose device, lane and cache it shares. Safe to share between threads."""

    def __init__(
        self, detector: Detector, segmenter: Segmenter, *, store: type[np.floating[Any]] = np.float16
    ) -> None:
        self.detector = detector
        self.segmenter = segmenter
        self._store = store
        self._read: LRUCache[str, Floats] = LRUCache(READ_PHRASES)
        self._lock = Lock()

    def look(self, picture: Picture, priority: Priority = Priority.CLICK_ENCODE) -> Embedded:
        """The picture's side, from the cache or encoded with this priority."""
        key, lane = self.key(picture), self.segmenter.lane

        def encode() -> Embedding:
            asker.check()
            with stage("load"):
                pixels, size = picture.viewed()
            with stage("look"):
                prepared = self.detector.prepare(pixels)
                tokens = self.segmenter.run(Turn(priority), lambda: self.detector.look(prepared), key=key)
            return tokens.embedding(size, key.fingerprint, self._store)

        patience = CLICK_PATIENCE if priority <= Priority.CLICK_ENCODE else PATIENCE_SECONDS
        found = self.segmenter.cache.get_or_encode(key, encode, lambda: lane.boost(key, priority), patience)
        return Embedded(picture.digest, *found)

    def holds(self, picture: Picture) -> bool:
        """Whether the picture's side is kept, and stays so for a while."""
        return self.segmenter.cache.holds(self.key(picture))

    def side_bytes(self) -> int:
        """Of one picture's side: the same for every picture."""
        return Tokens.nbytes(*self.detector.shape, self._store)

    def key(self, picture: Picture) -> EmbeddingKey:
        """By which a picture's side is kept."""
        return EmbeddingKey(self.detector.fingerprint, picture.digest, "words")

    def boxes(
        self,
        looked: Embedded,
        questions: Sequence[Question],
        *,
        least: float | None = None,
        turn: Turn = QUESTION,
        before_each_turn: Callable[[], None] = lambda: None,
    ) -> list[FoundBox]:
        """The objects that answer the questions, each once, the best rated first; boxes answer their own with 1.

        What is rated lower than `least` (None: what suits words, or examples) is none; of a thing that two questions
        claim, the better rated answer counts.
        """
        with stage("ask"):
            tokens, size = Tokens.of(looked.embedding), looked.size
            drawn = [(box, n) for n, question in enumerate(questions) for box in question.boxes]
            queries = self._queries(tokens, size, questions, turn, before_each_turn)
            if least is None:
                in_words = any(question.words for question in questions)
                least = self.detector.threshold if in_words else LIKE
            found = rated(tokens, queries, size, least)
            given = np.array([box for box, _ in drawn], np.float32).reshape(-1, 4)
            every = Rated(
                np.concatenate([given, found.boxes]),
                found.query,
                np.concatenate([np.ones(len(given), np.float32), found.score]),
            )
            of = np.array([n for _, n in drawn], np.int64)
            return distinct(every, np.concatenate([of, queries.question[found.query]]), size)

    def objects(
        self,
        looking: Looking,
        boxes: Sequence[FoundBox],
        *,
        most: int,
    ) -> Iterator[tuple[Mask, FoundBox]]:
        """The masks of boxes, each object once, at most so many, one after the other: full masks are large. A mask's
        score is its box's. The device is asked for a few at a time, so that clicks go in between."""
        kept: list[Cutout] = []
        looking = looking.expecting([Prompt(box=one.box) for one in boxes])
        for few in _batched(boxes, points_at_once(looking.model)):
            looking.before_each_turn()
            masks = looking.segment([Prompt(box=one.box) for one in few])
            for (mask, *_), one in zip(masks, few, strict=True):
                cut = Cutout.of(mask.bitmap)
                if cut is None or any(cut.overlap(other) > SAME_OBJECT for other in kept):
                    continue
                kept.append(cut)
                yield Mask(mask.bitmap, one.score), one
                if len(kept) == most:
                    return

    def _queries(
        self,
        tokens: Tokens,
        size: Size,
        questions: Sequence[Question],
        turn: Turn,
        before_each_turn: Callable[[], None],
    ) -> Queries:
        read = self._reading(
            [question.words for question in questions if question.words], turn, before_each_turn
        )
        vectors: list[Floats] = []
        of: list[int] = []
        full: list[float] = []
        for number, question in enumerate(questions):
            if question.words:
                vectors, of, full = [*vectors, read[question.words]], [*of, number], [*full, 1.0]
            boxes = question.boxes if len(tokens.looks) else ()
            drawn = (Example.of([tokens.of_box(box, size)]) for box in boxes)
            given = () if question.example is None else (question.example,)
            for example in (*drawn, *given):
                vectors.append(example.looks)
                of.append(number)
                full.append(example.score)
        width = tokens.looks.shape[1]
        return Queries(
            np.array(vectors, np.float32).reshape(-1, width),
            np.array(of, np.int64),
            np.array(full, np.float32),
        )

    def _reading(
        self, phrases: Sequence[str], turn: Turn, before_each_turn: Callable[[], None]
    ) -> dict[str, Floats]:
        """The queries of phrases: those that were read before are remembered."""
        with self._lock:
            read = {phrase: known for phrase in phrases if (known := self._read.get(phrase)) is not None}
        for few in _batched(dict.fromkeys(phrase for phrase in phrases if phrase not in read), READ_AT_ONCE):
            before_each_turn()
            now = dict(zip(few, self.segmenter.run(turn, lambda: self.detector.read(few)), strict=True))  # noqa: B023  at once
            read |= now
            with self._lock:
                self._read.update(now)
        return read


def _batched(items: Iterable[T], most: int) -> Iterator[tuple[T, ...]]:
    """In groups of so many."""
    left = iter(items)
    while few := tuple(islice(left, most)):
        yield few
