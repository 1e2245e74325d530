"""What a project sets for itself: `model_...` attributes on its control tags."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, NamedTuple, TypeVar, get_args

from label_studio_sam2.types import Zoom

PREFIX = "model_"

Number = TypeVar("Number", int, float)


class OptionError(NamedTuple):
    """An attribute that isn't understood: its name, its value, and in a sentence what to write instead."""

    attribute: str
    value: str
    remedy: str


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


FLAG = Reader(_flag, '"true" or "false"')
SHARE = Reader(_share, "a number from 0 to 1")
SECONDS = Reader(lambda text: _within(float(text), 0, 86_400), "a number of seconds from 0 to 86400")
LABEL = Reader(_text, "the name of a label")


def _zoom(text: str) -> str:
    return str(get_args(Zoom)[get_args(Zoom).index(text.lower())])


ZOOM = Reader(_zoom, '"true", "false" or "auto"')


def _option(default: Any, reader: Reader) -> Any:
    return field(default=default, metadata={"reader": reader})


@dataclass(frozen=True, slots=True)
class Options:
    """Options with their defaults, each with what reads it; adding one is adding a row.

    score_threshold: masks that the model itself rates lower are not answered
    everything: a request without prompts is answered with every object that is found
    regions: of all that is found on a picture without a prompt for each, at most so many of the best rated are answered
    masks: keyframes of a video carry their mask
    backward: a new object of a video is also tracked back to the first frame
    frames: a track goes at most so many of the editor's frames from where the object was drawn; 0: any number
    track: an object on one picture of a list is followed through all of them
    zoom: whether a small object of a large picture gets a second look: "true", "false", or "auto" where it pays
    candidates: how many readings of one ambiguous click are answered
    label: the label of regions that no prompt names
    vertices: about how many corners a mask's polygons or vectors may have altogether
    fit_every: after so many submitted annotations the model is tuned to the project; 0: only when asked
    fit_gain: a tuned version is used from so much more held-out IoU on
    fit_agreement: a tuned version is used where it answers away from accepted objects as the base does to this IoU
    find_every: words on a video are looked for again every so many seconds; 0: on its first frame only
    find: a request without prompts is answered with every object that the labels name
    similar: on a smart rectangle, a box is an example that asks for every object like it

    `given` names those that the config sets, `errors` those it sets wrongly.
    """

    score_threshold: float = _option(0.0, SHARE)
    everything: bool = _option(False, FLAG)
    regions: int = _option(200, _whole(1, 10_000))
    masks: bool = _option(True, FLAG)
    backward: bool = _option(False, FLAG)
    frames: int = _option(0, _whole(0, 1_000_000))
    track: bool = _option(False, FLAG)
    zoom: Zoom = _option("auto", ZOOM)  # noqa: RUF009  as the others
    candidates: int = _option(1, _whole(1, 3))
    label: str | None = _option(None, LABEL)
    vertices: int = _option(100, _whole(3, 10_000))
    fit_every: int = _option(0, _whole(0, 100_000))
    fit_gain: float = _option(0.01, SHARE)
    fit_agreement: float = _option(0.95, SHARE)
    find: bool = _option(False, FLAG)
    find_every: float = _option(5.0, SECONDS)
    similar: bool = _option(False, FLAG)
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


READERS: Mapping[str, Reader] = {
    row.name: row.metadata["reader"] for row in fields(Options) if "reader" in row.metadata
}
"""By the name after `model_`."""
