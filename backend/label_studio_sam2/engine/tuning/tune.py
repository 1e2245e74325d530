"""Tunes a model's mask decoder to masks that annotators accepted.

Each step is one piece of work on the device lane, of lower priority than any click, and holds one picture's embedding:
those come from the cache, not from memory of ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from time import monotonic
from typing import TypeVar

import numpy as np
from torch import nn

from label_studio_sam2.engine.model import is_taught
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning.measuring import Example, measure, one_click
from label_studio_sam2.engine.tuning.session import Aim, TuningSession, rounded
from label_studio_sam2.engine.turn import Priority, Turn

T = TypeVar("T")

REHEARSED = 0.92
"""The share of steps that rehearse what the base answers elsewhere, so that it is not forgotten."""

REJECTED = 0.03
"""The share of steps on suggestions that were rejected, where there are any: a third of those on accepted masks."""

CHECKED_EVERY = 90
AS_GOOD = 0.05
"""In IoU, about what a few examples are sure to: of candidates as good as the best the latest is kept, for generality
returns as the rate falls."""

PATIENCE = 6
"""Checks without a result as good as the best before tuning stops."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Tuning takes at most `steps` steps and ends `seconds` after the run began, of which reading and encoding may
    take `collecting`, and looking for what else up to `pictures` pictures show `searching`. Decoders for single labels
    take `labels` seconds more. Then what came of it is measured for about `measuring` seconds; a demo model's on twice
    so many drawn `scenes`, too."""

    seconds: float = 240
    collecting: float = 100
    searching: float = 40
    labels: float = 120
    measuring: float = 240
    steps: int = 1800
    pictures: int = 64
    scenes: int = 24


LIMITS = Limits()


@dataclass(frozen=True)
class Tuned:
    """The decoder that did best on the examples kept aside, after how many steps, and how many were taken."""

    decoder: nn.Module
    step: int
    steps: int


Report = Callable[[int, str], None]
"""Told of the steps taken and in words how it goes; may raise to break off."""


def tune(
    segmenter: Segmenter,
    training: Sequence[Example],
    checking: Sequence[Example],
    rehearsal: Sequence[Example],
    rejected: Sequence[Example] = (),
    *,
    deadline: float,
    most_steps: int,
    report: Report,
    seed: int = 0,
) -> Tuned:
    """A copy of the decoder, tuned until `checking` gets worse, the steps are done, or `deadline` (of
    `time.monotonic`). A step may still be under way then, so it can take that much longer."""
    begun = monotonic()

    def on_device(work: Callable[[], T]) -> T:
        return segmenter.lane.run(Turn(Priority.TUNING), work, grad=True)

    session = on_device(partial(TuningSession, segmenter.model, seed))
    best, best_step, best_score, step = on_device(session.kept), 0, -1.0, 0
    pictures = _pictures(training, rehearsal, rejected, np.random.default_rng(seed))
    while step < most_steps and monotonic() < deadline:
        examples, aim = next(pictures)
        embedding = segmenter.embed(examples[0].picture, Priority.TUNING).embedding
        done = min(1.0, max(step / most_steps, (monotonic() - begun) / (deadline - begun)))
        on_device(partial(session.step, examples, embedding, aim, done))
        step += 1
        if step % CHECKED_EVERY == 0 or step == most_steps:
            candidate = on_device(session.kept)
            tuned = segmenter.model.tuned(candidate, "candidate")
            score = float(measure(segmenter, tuned, checking, (one_click,)).mean())
            if score >= best_score - AS_GOOD:
                best, best_step, best_score = candidate, step, max(score, best_score)
            if step - best_step >= PATIENCE * CHECKED_EVERY:
                break
        report(step, f"IoU {best_score:.2f}" if best_step else "")
    return Tuned(best, best_step, step)


def between(base: nn.Module, tuned: nn.Module, share: float) -> nn.Module:
    """A decoder whose weights lie between two others', at `share` of the way: what it gives up of the one is less
    than what it keeps of the other (Wortsman et al. 2022, Robust fine-tuning of zero-shot models)."""
    mixed = copy.deepcopy(tuned)
    first, second = base.state_dict(), tuned.state_dict()
    taught = {name: rounded(first[name].lerp(second[name], share)) for name in first if is_taught(name)}
    mixed.load_state_dict(first | taught)
    return mixed


def _pictures(
    training: Sequence[Example],
    rehearsal: Sequence[Example],
    rejected: Sequence[Example],
    rng: np.random.Generator,
) -> Iterator[tuple[list[Example], Aim]]:
    """The examples of one picture at a time, and what is to be learnt of them, for ever: the project's in random order
    with the others in between."""
    project = _by_picture(training)
    others: list[tuple[float, Aim, list[list[Example]]]] = [
        (REHEARSED, "kept", _by_picture(rehearsal)),
        (REJECTED, "rejected", _by_picture(rejected)),
    ]
    shares = [share if pictures else 0.0 for share, _, pictures in others]
    while True:
        for index in rng.permutation(len(project)):
            while (which := rng.choice(3, p=[*shares, 1 - sum(shares)])) < len(others):
                _, aim, pictures = others[which]
                yield pictures[int(rng.integers(len(pictures)))], aim
            yield project[index], "accepted"


def _by_picture(examples: Sequence[Example]) -> list[list[Example]]:
    found: dict[str, list[Example]] = {}
    for example in examples:
        found.setdefault(example.picture.digest, []).append(example)
    return list(found.values())
