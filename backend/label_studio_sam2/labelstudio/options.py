"""What a project sets for itself: `model_...` attributes on its control tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

PREFIX = "model_"

Number = TypeVar("Number", int, float)


class OptionError(NamedTuple):
    """An attribute that isn't understood: its name, its value, and in a sentence what to write instead."""

    attribute: str
    value: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Options:
    """Options with their defaults; `given` names those that the config sets, `errors` those it sets wrongly.

    score_threshold: masks that the model itself rates lower are not answered
    everything: a request without prompts is answered with every object that is found
    regions: of everything that is found on a picture, at most so many of the best rated are answered
    masks: keyframes of a video carry their mask
    backward: a new object of a video is also tracked back to the first frame
    candidates: how many readings of one ambiguous click are answered
    label: the label of regions that no prompt names
    vertices: about how many corners a mask's polygons or vectors may have altogether
    fit_every: after so many submitted annotations the model is tuned to the project; 0: only when asked
    """

    score_threshold: float = 0.0
    everything: bool = False
    regions: int = 200
    masks: bool = True
    backward: bool = False
    candidates: int = 1
    label: str | None = None
    vertices: int = 100
    fit_every: int = 0
    given: frozenset[str] = frozenset()
    errors: tuple[OptionError, ...] = ()

    @classmethod
    def parse(cls, attributes: Mapping[str, str]) -> Options:
        """From a tag's attributes. A wrong or unknown one is kept in `errors` and otherwise has no effect."""
        values: dict[str, Any] = {}
        errors: list[OptionError] = []
        for attribute, text in attributes.items():
            name = attribute.lower().removeprefix(PREFIX)
            if not attribute.lower().startswith(PREFIX):
                continue
            reader = READERS.get(name)
            if reader is None:
                known = ", ".join(PREFIX + option for option in READERS)
                errors.append(OptionError(attribute, text, f"Remove it, or use one of {known}."))
                continue
            try:
                values[name] = reader.read(text.strip())
            except ValueError:
                errors.append(OptionError(attribute, text, f"It must be {reader.expected}."))
        return cls(**values, given=frozenset(values), errors=tuple(errors))

    def __or__(self, other: Options) -> Options:
        """These, and where the other gives one, that."""
        return Options.merged((other, self))

    @classmethod
    def merged(cls, several: Iterable[Options]) -> Options:
        """All that are given; of one that is given several times, the first."""
        values: dict[str, Any] = {}
        for options in several:
            for name in options.given:
                values.setdefault(name, getattr(options, name))
        return cls(**values, given=frozenset(values))


class Reader(NamedTuple):
    """Reads an attribute's text, raising ValueError unless it is what was expected."""

    read: Callable[[str], Any]
    expected: str


def _flag(text: str) -> bool:
    return ("false", "true").index(text.lower()) == 1


def _share(text: str) -> float:
    return _within(float(text), 0, 1)


def _text(text: str) -> str:
    if not text:
        raise ValueError
    return text


def _whole(least: int, most: int) -> Reader:
    return Reader(lambda text: _within(int(text), least, most), f"a whole number from {least} to {most}")


def _within(value: Number, least: int, most: int) -> Number:
    if not least <= value <= most:
        raise ValueError
    return value


READERS: Mapping[str, Reader] = {
    "score_threshold": Reader(_share, "a number from 0 to 1"),
    "everything": Reader(_flag, '"true" or "false"'),
    "regions": _whole(1, 10_000),
    "masks": Reader(_flag, '"true" or "false"'),
    "backward": Reader(_flag, '"true" or "false"'),
    "candidates": _whole(1, 3),
    "label": Reader(_text, "the name of a label"),
    "vertices": _whole(3, 10_000),
    "fit_every": _whole(0, 100_000),
}
"""By the name after `model_`; adding an option is adding a row here and a field to Options."""
