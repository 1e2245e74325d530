"""A labeling config as values: what can be prompted with, what is answered, with which options.

Tags are one table, `TAGS`: supporting another one is adding a row here and its shape in results.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from label_studio_sam2.errors import RequestError
from label_studio_sam2.labelstudio.options import Options

Shape = Literal["brush", "bitmask", "polygon", "rectangle", "ellipse", "vector", "keypoint", "videorectangle"]
Kind = Literal["Image", "Video"]

DEFAULT_FRAME_RATE = 24.0
"""What the editor counts a video's frames by where its tag has no framerate."""


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

LABELS = "labels"
"""The type of a separate Labels tag's items, and the key of the labels in their value."""


@dataclass(frozen=True, slots=True)
class ObjectTag:
    """An Image or Video tag. `value` is its `value` or `valueList`: usually `$` and a key of the task's data."""

    name: str
    kind: Kind
    value: str
    is_list: bool = False
    given_frame_rate: float | None = None

    @property
    def frame_rate(self) -> float:
        """Frames a second that the editor counts a video by, whatever its file says."""
        return self.given_frame_rate or DEFAULT_FRAME_RATE

    @property
    def value_key(self) -> str:
        return self.value.removeprefix("$")

    def address(self, data: Mapping[str, Any], item_index: int | None = None) -> str:
        """Where a task's picture or video is: a URL, path or URI as it stands in the task's data.

        Raises RequestError where the data has none.
        """
        found = _value_at(data, self.value_key) if self.value.startswith("$") else self.value
        if isinstance(found, list):
            found = found[item_index or 0] if (item_index or 0) in range(len(found)) else None
        if not isinstance(found, str) or not found:
            at = f" at position {item_index or 0}" if self.is_list else ""
            raise RequestError(
                f'The task\'s data has no address under "{self.value_key}"{at}, which the {self.kind} tag '
                f'"{self.name}" shows. Import the task again with that key, or change the tag\'s value.'
            )
        return found


def _value_at(data: Mapping[str, Any], key: str) -> Any:
    """The key itself, or else, as the editor does, a path of keys with dots between them."""
    if key in data:
        return data[key]
    found: Any = data
    for step in key.split("."):
        found = found.get(step) if isinstance(found, dict) else None
    return found


@dataclass(frozen=True, slots=True)
class Control:
    """One control tag. `smart` is None where the config doesn't say; the editor then takes it for true."""

    name: str
    tag: Tag
    to_names: tuple[str, ...]
    labels: tuple[str, ...] = ()
    smart: bool | None = None
    options: Options = field(default_factory=Options)

    def knows(self, labels: tuple[str, ...]) -> bool:
        """True where the labels may be its own: also where it has none, or takes them from the task's data."""
        return not self.labels or not labels or any(label in self.labels for label in labels)


@dataclass(frozen=True, slots=True)
class LabelsTag:
    """A separate Labels tag, which names regions that other tags draw."""

    name: str
    to_names: tuple[str, ...]
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LabelingConfig:
    """A parsed labeling config; objects and controls in the order they stand in it."""

    objects: Mapping[str, ObjectTag]
    controls: Mapping[str, Control]
    labels_tags: tuple[LabelsTag, ...] = ()

    def object(self, name: str | None = None) -> ObjectTag:
        """The tag of this name; for another name, or none, the first that a smart tool or an output draws on.

        Label Studio sends what the caller of its API sent, so a foreign name must not lose the answer.
        """
        if name in self.objects:
            return self.objects[name or ""]
        used = [to_name for control in self.controls.values() for to_name in control.to_names]
        return next(
            (self.objects[to_name] for to_name in used if to_name in self.objects),
            next(iter(self.objects.values())),
        )

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

    def options(self, to_name: str) -> Options:
        """The options on all of an object's controls together; of one that stands on several, the first."""
        return Options.merged(control.options for control in self._on(to_name))

    def _on(self, to_name: str) -> list[Control]:
        return [control for control in self.controls.values() if to_name in control.to_names]
