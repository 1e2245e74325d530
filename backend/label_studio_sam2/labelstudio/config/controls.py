"""A labeling config as values: what can be prompted with, what is answered, with which options.

Tags are one table, `TAGS`: supporting another one is adding a row here and its shape in results.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from label_studio_sam2.errors import RequestError
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.config.task_values import value_of
from label_studio_sam2.labelstudio.config.text_field import TextField

Shape = Literal["brush", "bitmask", "polygon", "rectangle", "ellipse", "vector", "keypoint", "videorectangle"]
Kind = Literal["Image", "Video"]


class Tag(NamedTuple):
    """What a control tag is good for. `prompts`: the editor has a smart tool for it that works (1.23.2)."""

    name: str
    shape: Shape
    object: Kind = "Image"
    prompts: bool = False
    output: bool = True

    @property
    def region_type(self) -> str:
        """The `type` of its regions, and for a labelled tag the key of the labels in their value."""
        return self.name.lower()

    @property
    def labelled(self) -> bool:
        """Holds its labels itself, rather than taking them from a separate Labels tag."""
        return self.name.endswith("Labels")


TAGS: Mapping[str, Tag] = {
    tag.region_type: tag
    for tag in (
        Tag("BrushLabels", "brush"),
        Tag("Brush", "brush"),
        Tag("BitmaskLabels", "bitmask"),
        Tag("Bitmask", "bitmask"),
        Tag("PolygonLabels", "polygon"),
        Tag("Polygon", "polygon"),
        Tag("RectangleLabels", "rectangle", prompts=True),
        Tag("Rectangle", "rectangle", prompts=True),
        Tag("EllipseLabels", "ellipse"),
        Tag("Ellipse", "ellipse"),
        Tag("VectorLabels", "vector"),
        Tag("Vector", "vector"),
        Tag("KeyPointLabels", "keypoint", prompts=True, output=False),
        Tag("KeyPoint", "keypoint", prompts=True, output=False),
        Tag("VideoRectangle", "videorectangle", object="Video", prompts=True),
    )
}

DEFAULT_FRAME_RATE = 24.0
"""What the editor counts a video's frames by where its tag has no framerate."""

MOST_FRAME_RATE = 1000.0
"""The editor can't seek more finely than that."""

LABELS = "labels"
"""The type of a separate Labels tag's items, and the key of the labels in their value."""


@dataclass(frozen=True, slots=True)
class ObjectTag:
    """An Image or Video tag. `value` is its `value` or `valueList`: usually `$` and a key of the task's data.

    `framerate` is a Video tag's attribute as it stands there, which may name task data too.
    """

    name: str
    kind: Kind
    value: str
    is_list: bool = False
    framerate: str = ""

    @property
    def given_frame_rate(self) -> float | None:
        """What the tag itself says; None where that is nothing, or in the task's data."""
        return _frame_rate(self.framerate)

    def frame_rate(self, data: Mapping[str, Any]) -> float | None:
        """Frames a second by which the editor counts a task's video; None where nothing says it."""
        if self.framerate.startswith("$"):
            return _frame_rate(value_of(self.framerate, data))
        return self.given_frame_rate

    def address(self, data: Mapping[str, Any], item_index: int | None = None) -> str:
        """Where a task's picture or video is: a URL, path or URI as it stands in the task's data.

        Raises RequestError where the data has none.
        """
        found = value_of(self.value, data)
        if isinstance(found, list):
            found = found[item_index or 0] if (item_index or 0) in range(len(found)) else None
        if not isinstance(found, str) or not found:
            at = f" at position {item_index or 0}" if self.is_list else ""
            raise RequestError(
                f'The task\'s data has no address under "{self.value.removeprefix("$")}"{at}, which the '
                f'{self.kind} tag "{self.name}" shows. Import the task again with that key, or change the tag\'s value.'
            )
        return found

    def places(self, data: Mapping[str, Any]) -> Sequence[int | None]:
        """The places of the pictures that it shows: those of a list, or None alone for the only one."""
        found = value_of(self.value, data) if self.is_list else None
        return range(len(found)) if isinstance(found, list) else (None,)


def _frame_rate(said: Any) -> float | None:
    """A number of frames a second, or below 1 the seconds between two, as the editor takes it (Video.js of Label
    Studio 1.23.2); None where it is no positive number."""
    try:
        rate = float(said)
    except (TypeError, ValueError, OverflowError):
        return None
    if isinstance(said, bool) or not 1 / MOST_FRAME_RATE <= rate <= MOST_FRAME_RATE:
        return None
    return rate if rate >= 1 else 1 / rate


@dataclass(frozen=True, slots=True)
class Control:
    """One control tag. `smart` is None where the config doesn't say; the editor then takes it for true. `words` are
    those for each of its labels."""

    name: str
    tag: Tag
    to_names: tuple[str, ...]
    labels: tuple[str, ...] = ()
    smart: bool | None = None
    options: Options = field(default_factory=Options)
    words: tuple[tuple[str, ...], ...] = ()

    def knows(self, labels: tuple[str, ...]) -> bool:
        """True where the labels may be its own: also where it has none, or takes them from the task's data."""
        return not self.labels or not labels or any(label in self.labels for label in labels)


@dataclass(frozen=True, slots=True)
class LabelsTag:
    """A separate Labels tag, which names regions that other tags draw."""

    name: str
    to_names: tuple[str, ...]
    labels: tuple[str, ...] = ()
    words: tuple[tuple[str, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Repeater:
    """A tag that shows others once for each item of the list `on`, with the item's number for `index`. `same` are
    those whose name would be the same each time."""

    on: str
    index: str
    same: tuple[str, ...]


@dataclass(frozen=True)
class LabelingConfig:
    """A parsed labeling config; objects and controls in the order they stand in it."""

    objects: Mapping[str, ObjectTag]
    controls: Mapping[str, Control]
    labels_tags: tuple[LabelsTag, ...] = ()
    repeaters: tuple[Repeater, ...] = ()
    text_fields: tuple[TextField, ...] = ()

    def object(self, name: Any = None) -> ObjectTag:
        """The tag that a region's `to_name` means; for a foreign name, or none, the first that a smart tool or an
        output draws on: Label Studio sends what the caller of its API sent, so that must not lose the answer.
        """
        return self.known(name) or self.objects[self._first]

    def known(self, name: Any) -> ObjectTag | None:
        """The tag of this name, or of the first known one where it is a list, or names with commas between them."""
        names = [name, *name.split(",")] if isinstance(name, str) else name if isinstance(name, list) else ()
        return next(
            (self.objects[one] for one in names if isinstance(one, str) and one in self.objects), None
        )

    @cached_property
    def _first(self) -> str:
        return next((name for name in self._by_object if name in self.objects), next(iter(self.objects)))

    def prompts(self, to_name: str) -> tuple[Control, ...]:
        """Controls whose smart tool the editor offers on this object."""
        return tuple(c for c in self._on(to_name) if c.tag.prompts and c.smart is not False)

    def outputs(
        self, to_name: str, prompt: Control | None = None, labels: tuple[str, ...] = ()
    ) -> tuple[Control, ...]:
        """The controls to answer a prompt with, all at once.

        A smart rectangle is a tool to prompt with, and the control that was used gets no echo of itself; either is
        answered only where nothing else can be. Among several, those that have the label.
        """
        able = [control for control in self._on(to_name) if control.tag.output]
        meant = [c for c in able if c is not prompt and not (c.tag.prompts and c.smart is not False)]
        chosen = meant or [control for control in able if control is not prompt] or able
        return tuple([control for control in chosen if control.knows(labels)] or chosen)

    def labels_tag(self, to_name: str, labels: tuple[str, ...] = ()) -> LabelsTag | None:
        """The separate Labels tag that names this object's regions, if there is one."""
        tags = [tag for tag in self.labels_tags if to_name in tag.to_names]
        knowing = (tag for tag in tags if any(label in tag.labels for label in labels))
        return next(knowing, tags[0] if tags else None)

    def asking_fields(self, to_name: str) -> tuple[TextField, ...]:
        """The text fields of an object that send what is added; the first is the one that asks for objects."""
        return tuple(one for one in self.text_fields if one.asks and to_name in one.to_names)

    def options(self, to_name: str) -> Options:
        """The options on all of an object's controls together; of one that stands on several, the first."""
        return self._options.get(to_name) or Options()

    @cached_property
    def _options(self) -> Mapping[str, Options]:
        return {
            to_name: Options.merged(control.options for control in controls)
            for to_name, controls in self._by_object.items()
        }

    def _on(self, to_name: str) -> Sequence[Control]:
        return self._by_object.get(to_name, ())

    @cached_property
    def _by_object(self) -> Mapping[str, Sequence[Control]]:
        """The controls of each name in a toName, in their order."""
        found: dict[str, dict[str, Control]] = {}
        for control in self.controls.values():
            for to_name in control.to_names:
                found.setdefault(to_name, {})[control.name] = control
        return {to_name: tuple(controls.values()) for to_name, controls in found.items()}
