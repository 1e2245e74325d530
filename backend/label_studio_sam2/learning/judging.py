"""Measures what was tuned: on held-out tasks, on other tasks' pictures, and on what it must not forget."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from time import monotonic
from typing import TypeVar

from torch import nn

from label_studio_sam2.engine.model import Model
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.tuning.measuring import KINDS, Example, GoOn, IoUs, Kind, agreement, measure
from label_studio_sam2.engine.turn import Priority, Turn
from label_studio_sam2.learning import forgetting
from label_studio_sam2.learning.elsewhere import ASKED_WITH
from label_studio_sam2.learning.forgetting import World
from label_studio_sam2.learning.gate import Limits, Measured
from label_studio_sam2.learning.scenes import Part
from label_studio_sam2.learning.training_set import Parted, Side, chance
from label_studio_sam2.settings import DEMO

T = TypeVar("T")

LEAST = 12
"""Examples that are measured however long it takes."""

SURE_LOSS = 0.006
"""In IoU on the drawn scenes that choose: what two dozen of them tell is off by some thousandths on others, and a
version that is much better for its project isn't to be refused by that."""

HELD_OUT_SHARE, ELSEWHERE_SHARE = 5, 20
"""The parts of the time that measuring one model may take on what was held out and elsewhere: the first is done with
two models and a half, the second with up to twelve."""


@dataclass(frozen=True)
class Judging:
    """One run's: what it is measured on, within about so many seconds; `go_on` may raise to break off. `scenes` is how
    many drawn scenes a demo model is measured on besides: its own world."""

    segmenter: Segmenter
    held_out: Sequence[Example]
    elsewhere: Parted
    limits: Limits
    go_on: GoOn
    seconds: float
    scenes: int

    def moved(self, decoder: nn.Module, own: Mapping[str, nn.Module]) -> Model:
        """The base with as much of a tuned decoder, and of each label's own, as what it must not forget bears."""
        parts = {label: self._moved(part).decoder for label, part in own.items()}
        return self._base.tuned(self._moved(decoder).decoder, "candidate", parts)

    def _moved(self, decoder: nn.Module) -> Model:
        worlds = [World(partial(self._changed, "checking"), 1 - self.limits.agreement)]
        if self._drawn:
            worlds.append(World(partial(self._forgotten, "choosing"), SURE_LOSS))
        return forgetting.bearable(self._base, decoder, worlds, self.on_device)

    def measured(self, live: Model, new: Model) -> Measured:
        """The new version against what is in use, on as many held-out examples as there is time for."""
        examples = sorted(self.held_out, key=lambda example: chance(int(example.group)))
        before = self._iou(live, examples, self._until(HELD_OUT_SHARE))
        examples = examples[: len(before)]
        has_elsewhere = bool(self.elsewhere["held out"])
        return Measured(
            list(KINDS),
            [example.group for example in examples],
            before,
            self._iou(new, examples),
            self._iou(new, _misplaced(examples), kinds=tuple(KINDS.values())[:1]),
            1 - self._changed("held out", new) if has_elsewhere else None,
            self._forgotten("judging", new) if self._drawn else None,
        )

    def on_device(self, work: Callable[[], T]) -> T:
        return self.segmenter.lane.run(Turn(Priority.TUNING), work, grad=True)

    @property
    def _base(self) -> Model:
        return self.segmenter.model

    @property
    def _drawn(self) -> bool:
        return self._base.name == DEMO

    @cached_property
    def _counts(self) -> dict[str, int]:
        """Of how many examples a side is measured on: the same for every model."""
        return {}

    @cached_property
    def _of_base(self) -> dict[Part, IoUs]:
        """What the base does on drawn scenes."""
        return {}

    def _changed(self, side: Side, model: Model) -> float:
        """How far (1 - IoU) a model answers elsewhere otherwise than the base; 0 where nothing is there."""
        examples = self.elsewhere[side]
        if not examples:
            return 0.0
        return max(self._changed_by(part, side, examples) for part in _parts(model))

    def _changed_by(self, part: Model, side: Side, examples: Sequence[Example]) -> float:
        known = self._counts.get(side)
        go_on = self._until(ELSEWHERE_SHARE) if known is None else self.go_on
        same = agreement(self.segmenter, (self._base, part), examples[:known], ASKED_WITH, go_on)
        self._counts[side] = len(same)
        return 1 - float(same.mean())

    def _forgotten(self, scenes: Part, model: Model) -> float:
        examples = forgetting.examples(scenes, self._base.image_size, self.scenes)

        def measured(part: Model, examples: Sequence[Example]) -> IoUs:
            if part is not self._base:
                return self._iou(part, examples)
            if scenes not in self._of_base:  # for all shares that are tried
                self._of_base[scenes] = self._iou(part, examples)
            return self._of_base[scenes]

        return max(forgetting.lost(self._base, part, examples, measured) for part in _parts(model))

    def _iou(
        self,
        model: Model,
        examples: Sequence[Example],
        go_on: GoOn | None = None,
        kinds: Sequence[Kind] = tuple(KINDS.values()),
    ) -> IoUs:
        return measure(self.segmenter, model, examples, kinds, go_on or self.go_on)

    def _until(self, share: int) -> GoOn:
        """Goes on for a part of the time, and for the least number of examples."""
        end, done = monotonic() + self.seconds / share, iter(range(LEAST))

        def go_on() -> bool:
            return self.go_on() and (next(done, None) is not None or monotonic() < end)

        return go_on


def _parts(model: Model) -> list[Model]:
    """Its common decoder and those of its labels: none of them may forget."""
    return [model, *model.labelled.values()]


def _misplaced(examples: Sequence[Example]) -> list[Example]:
    """Each asked for on another task's picture, where it isn't."""

    def other(place: int) -> Iterable[Example]:
        following = [*examples[place + 1 :], *examples[:place]]
        return (one for one in following if one.group != examples[place].group)

    return [replace(one, picture=next(iter(other(place)), one).picture) for place, one in enumerate(examples)]
