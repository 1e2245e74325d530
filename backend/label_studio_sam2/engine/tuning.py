"""Tunes a model's mask decoder to masks that annotators accepted; what the embedding depends on stays as it is.

The tuned decoder is a copy, so clicks go on with the old one. Each step is one piece of work on the device lane, of
lower priority than any click, and holds one picture's embedding: those come from the cache, not from memory of ours.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import cos, pi
from time import monotonic

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from label_studio_sam2.engine import image, prompting
from label_studio_sam2.engine.embedding import Embedding
from label_studio_sam2.engine.lane import Priority
from label_studio_sam2.engine.losses import candidates_loss
from label_studio_sam2.engine.measuring import Example, measure, one_click
from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.types import Bitmap

FROZEN = ("conv_s0", "conv_s1", "obj_score_token", "pred_obj_score_head")
"""The first two are part of the embedding (SAM2Base.forward_image); whether an object is there isn't taught."""

PROMPTS = 6
"""A step's prompts, all on one picture."""

RATE = 5e-4
WARM_UP, LAST = 20, 0.05
"""The rate rises for so many steps and falls on a cosine to this share: what was learnt settles with the rest."""

WEIGHT_DECAY = 0.01
CLIP = 1.0
AVERAGED = 0.95
"""Of the weights that are measured and kept: a moving average over the last twenty steps."""

REHEARSED = 0.67
"""The share of steps on generic scenes, so that generality isn't forgotten."""

CORRECTED = 0.4
"""The share of steps that go on with corrective clicks."""

CHECKED_EVERY = 40
AS_GOOD = 0.01
"""In IoU: of candidates about as good the latest is kept, for generality returns as the rate falls."""

PATIENCE = 4
"""Checks without a better result before tuning stops."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Tuning takes at most `steps` steps and ends `seconds` after the run began, of which reading and encoding may
    take `collecting`. Then it is measured on the held-out examples and twice so many generic scenes."""

    seconds: float = 240
    collecting: float = 100
    steps: int = 400
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
    *,
    deadline: float,
    most_steps: int,
    report: Report,
    seed: int = 0,
) -> Tuned:
    """A copy of the decoder, tuned until `checking` stops to improve, the steps are done, or `deadline` (of
    `time.monotonic`). A step may still be under way then, so it can take that much longer."""
    begun = monotonic()
    session = _Session(segmenter.model, seed)
    best, best_step, best_score, step = session.kept(), 0, -1.0, 0
    pictures = _pictures(training, rehearsal, np.random.default_rng(seed))
    while step < most_steps and monotonic() < deadline:
        examples = next(pictures)
        embedding = segmenter.embed(examples[0].picture, Priority.TUNING).embedding
        done = min(1.0, max(step / most_steps, (monotonic() - begun) / (deadline - begun)))
        segmenter.lane.run(Priority.TUNING, partial(session.step, examples, embedding, done), grad=True)
        step += 1
        if step % CHECKED_EVERY == 0 or step == most_steps:
            candidate = session.kept()
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
    mixed.load_state_dict({name: _half(first[name].lerp(second[name], share)) for name in first})
    return mixed


class _Session:
    """The decoder in training, its optimizer and its moving average. Used on the lane only, by one run."""

    def __init__(self, model: Model, seed: int) -> None:
        self.decoder = copy.deepcopy(model.decoder)
        self.model = replace(model, decoder=self.decoder, dense_positions=model.dense_positions.clone())
        for name, weight in self.decoder.named_parameters():
            weight.requires_grad_(name.partition(".")[0] not in FROZEN)
        self._weights = [weight for weight in self.decoder.parameters() if weight.requires_grad]
        self._average = [weight.detach().clone() for weight in self._weights]
        self._optimizer = torch.optim.AdamW(self._weights, lr=RATE, weight_decay=WEIGHT_DECAY, fused=True)
        self._steps = 0
        self._rng = np.random.default_rng(seed)

    def step(self, examples: Sequence[Example], embedding: Embedding, done: float) -> None:
        """One step of the optimizer on one picture's examples; `done` is the share of the run that is over."""
        chosen = [examples[i] for i in self._rng.permutation(np.resize(np.arange(len(examples)), PROMPTS))]
        self._steps += 1
        for group in self._optimizer.param_groups:
            group["lr"] = RATE * min(1, self._steps / WARM_UP, (1 + LAST + (1 - LAST) * cos(pi * done)) / 2)
        self._optimizer.zero_grad(set_to_none=True)
        self._loss(chosen, embedding).backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._weights, CLIP)
        self._optimizer.step()
        with torch.no_grad():
            keep = min(AVERAGED, self._steps / (self._steps + 1))
            torch._foreach_lerp_(self._average, self._weights, 1 - keep)

    def kept(self) -> nn.Module:
        """The averaged decoder, its weights rounded as they are stored."""
        decoder: nn.Module = copy.deepcopy(self.decoder)
        averaged = iter(self._average)
        for weight in decoder.parameters():
            weight.data = _half(next(averaged) if weight.requires_grad else weight.data)
        return decoder.eval().requires_grad_(False)

    def _loss(self, examples: Sequence[Example], embedding: Embedding) -> Tensor:
        model, side = self.model, self.model.image_size
        masks = [example.mask.bitmap() for example in examples]
        truth = torch.from_numpy(np.stack([_coarse(mask, side // 4) for mask in masks])).to(model.device)
        ambiguous = bool(self._rng.random() < 0.6)
        prompts = [_first(mask, ambiguous, self._rng) for mask in masks]
        logits, ious = self._decode(embedding, prompts, None)
        loss = candidates_loss(logits, ious, truth)
        rounds = int(self._rng.integers(1, 3)) if self._rng.random() < CORRECTED else 0
        for _ in range(rounds):
            fed = _answer(logits, ious, ambiguous).detach()
            answers = _bitmaps(fed, side)
            prompts = [_and_correction(*row, self._rng) for row in zip(prompts, masks, answers, strict=True)]
            ambiguous = False
            logits, ious = self._decode(embedding, prompts, fed.clamp(-image.LOGIT_BOUND, image.LOGIT_BOUND))
            loss = loss + candidates_loss(logits, ious, truth)
        return loss / (1 + rounds)

    def _decode(
        self, embedding: Embedding, prompts: Sequence[Points], fed: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        rows = torch.tensor(np.array(prompts), dtype=torch.float32, device=self.model.device)
        points = rows[..., :2], rows[..., 2].int()
        return image.decode_all(self.model, embedding, points, None if fed is None else fed[:, None])


Points = list[tuple[float, float, int]]
"""x and y in pixels of the model's square, and the prompt encoder's label."""


def _first(mask: Bitmap, ambiguous: bool, rng: np.random.Generator) -> Points:
    if ambiguous:
        at = prompting.click(mask, rng)
        return [(at.x, at.y, image.POSITIVE)]
    x0, y0, x1, y1 = prompting.box(mask, rng)
    return [(x0, y0, image.BOX_TOP_LEFT), (x1, y1, image.BOX_BOTTOM_RIGHT)]


def _and_correction(prompt: Points, mask: Bitmap, answered: Bitmap, rng: np.random.Generator) -> Points:
    at = prompting.correction(mask, answered, rng) or prompting.click(mask, rng)
    return [*prompt, (at.x, at.y, image.POSITIVE if at.positive else image.NEGATIVE)]


def _answer(logits: Tensor, ious: Tensor, ambiguous: bool) -> Tensor:
    """The logits (N, S, S) of the mask that would be answered."""
    if not ambiguous:
        return logits[:, 0]
    best = ious[:, 1:].argmax(1) + 1
    return logits[torch.arange(len(logits), device=logits.device), best]


def _bitmaps(logits: Tensor, side: int) -> list[Bitmap]:
    return [cv2.resize(one, (side, side)) > 0 for one in logits.cpu().numpy()]


def _coarse(mask: Bitmap, side: int) -> NDArray[np.float32]:
    shares: NDArray[np.float32] = cv2.resize(
        mask.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA
    )
    return shares


def _half(weight: Tensor) -> Tensor:
    return weight.half().to(weight.dtype)


def _pictures(
    training: Sequence[Example], rehearsal: Sequence[Example], rng: np.random.Generator
) -> Iterator[list[Example]]:
    """The examples of one picture at a time, for ever: the project's in random order, generic ones in between."""
    project, generic = _by_picture(training), _by_picture(rehearsal)
    while True:
        for index in rng.permutation(len(project)):
            while generic and rng.random() < REHEARSED:
                yield generic[int(rng.integers(len(generic)))]
            yield project[index]


def _by_picture(examples: Sequence[Example]) -> list[list[Example]]:
    found: dict[str, list[Example]] = {}
    for example in examples:
        found.setdefault(example.picture.digest, []).append(example)
    return list(found.values())
