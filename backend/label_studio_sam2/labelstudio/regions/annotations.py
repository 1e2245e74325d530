"""What annotators accepted: the masks in a task's submitted annotations, as Label Studio's API answers them.

Predictions, drafts and skipped (cancelled) annotations are left out. A mask is told by its value's keys: an accepted
region comes back a second time under its prompt's type. A rectangle is no mask, it only prompted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from label_studio_sam2.errors import PromptError, RequestError
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag, Shape
from label_studio_sam2.labelstudio.regions.frame_map import Counted
from label_studio_sam2.labelstudio.regions.keyframes import Keyframe, parse_sequence
from label_studio_sam2.labelstudio.regions.values import mask_from_value, shape_of
from label_studio_sam2.types import Bitmap, Size

MASK_SHAPES: frozenset[Shape] = frozenset({"brush", "bitmask", "polygon", "vector", "ellipse"})

KEYFRAMES = 4
"""Of one object of a video: neighbours show the same again."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted mask, still as it stands in its region; `keyframe` is None on a picture. `counted` is what the
    region of a video says of the editor's count of its frames."""

    tag: ObjectTag
    item_index: int | None
    keyframe: Keyframe | None
    counted: Counted
    value: Mapping[str, Any]
    called: str

    def bitmap(self, size: Size) -> Bitmap:
        """The mask on the picture or frame of this size. Raises PromptError, which names the region."""
        try:
            mask = mask_from_value(self.value, size) if self.keyframe is None else _of(self.keyframe, size)
        except (PromptError, RequestError) as error:
            raise PromptError(f"{self.called}: {error.detail}") from error
        if mask is None or not mask.any():
            raise PromptError(f"{self.called}: its mask holds no pixel.")
        return mask


def accepted(task: Task, config: LabelingConfig) -> list[Accepted]:
    """The accepted masks of a task with its annotations, each region of an annotation once."""
    found: list[Accepted] = []
    for annotation in _listed(task.annotations):
        if annotation.get("was_cancelled"):
            continue
        seen: set[tuple[str, int | None]] = set()
        for place, region in enumerate(_listed(annotation.get("result"))):
            name = f"without id {place}" if region.get("id") is None else str(region["id"])
            for one in _masks(region, task, annotation, config):
                key = (name, one.keyframe.frame if one.keyframe else None)
                if key not in seen:
                    seen.add(key)
                    found.append(one)
    return found


def _masks(
    region: Mapping[str, Any], task: Task, annotation: Mapping[str, Any], config: LabelingConfig
) -> Iterator[Accepted]:
    value = region.get("value")
    shape = shape_of(value) if isinstance(value, dict) else None
    name = f'Task {task.id}, annotation {annotation.get("id")}, region "{region.get("id")}"'
    tag = config.known(region.get("to_name"))
    index = region.get("item_index")
    if tag is None or not isinstance(value, dict):
        return
    if shape in MASK_SHAPES and tag.kind == "Image":
        yield Accepted(tag, index if isinstance(index, int) else None, None, Counted(), value, name)
    elif shape == "videorectangle" and tag.kind == "Video":
        for keyframe in _spread(_masked_keyframes(value)):
            yield Accepted(tag, None, keyframe, Counted.of(value), keyframe.value, name)


def _masked_keyframes(value: Mapping[str, Any]) -> list[Keyframe]:
    try:
        keyframes = parse_sequence(value["sequence"])
    except PromptError:  # a sequence that is none holds no mask either
        return []
    return [keyframe for keyframe in keyframes if isinstance(keyframe.value.get("rle"), dict)]


def _spread(keyframes: list[Keyframe]) -> list[Keyframe]:
    """A few of them, evenly."""
    step = max(1, -(-len(keyframes) // KEYFRAMES))
    return keyframes[::step]


def _of(keyframe: Keyframe, size: Size) -> Bitmap:
    prompt = keyframe.mask_prompt(size)
    if prompt is None or prompt.mask is None:
        raise PromptError(
            f"the mask on frame {keyframe.frame} isn't its box's: the box was moved after it was tracked, or the video "
            f"hasn't {size.width} x {size.height} pixels. Track the object again from there."
        )
    return prompt.mask.bitmap()


def _listed(found: object) -> Iterable[Mapping[str, Any]]:
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
