"""What annotators accepted: the masks in a task's submitted annotations, as Label Studio's API answers them.

Predictions, drafts and skipped (cancelled) annotations are left out. A mask is told by its value's keys: an accepted
region comes back a second time under its prompt's type. A rectangle is no mask, it only prompted one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from label_studio_sam2.errors import PromptError, RequestError
from label_studio_sam2.labelstudio.api.protocol import Task
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag, Shape
from label_studio_sam2.labelstudio.regions.drawn import by_id, labels_of
from label_studio_sam2.labelstudio.regions.frame_map import Counted
from label_studio_sam2.labelstudio.regions.keyframes import Keyframe, parse_sequence
from label_studio_sam2.labelstudio.regions.values import mask_from_value, shape_of
from label_studio_sam2.types import Bitmap, Size

MASK_SHAPES: frozenset[Shape] = frozenset({"brush", "bitmask", "polygon", "vector", "ellipse"})

KEYFRAMES = 4
"""Of one object of a video, besides those that the annotator corrected: neighbours show the same again."""

CHANGED = "prediction-changed"
"""The origin that the editor gives a suggestion which the annotator changed before accepting it."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """One accepted mask, still as it stands in its region; `keyframe` is None on a picture. `counted` is what the
    region of a video says of the editor's count of its frames, `corrected` whether the annotator changed what was
    suggested."""

    tag: ObjectTag
    item_index: int | None
    keyframe: Keyframe | None
    counted: Counted
    value: Mapping[str, Any]
    called: str
    corrected: bool = False
    labels: tuple[str, ...] = ()

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
        result = list(_listed(annotation.get("result")))
        labels = {str(items[0].get("id")): labels_of(items) for items in by_id(result)}
        for place, region in enumerate(result):
            name = f"without id {place}" if region.get("id") is None else str(region["id"])
            for one in _masks(region, task, annotation, config):
                key = (name, one.keyframe.frame if one.keyframe else None)
                if key not in seen:
                    seen.add(key)
                    found.append(replace(one, labels=labels.get(name, ())))
    return found


def rejected(task: Task, config: LabelingConfig) -> list[Accepted]:
    """The masks on pictures of each prediction that an annotation was begun from. Which of them the annotator threw
    away is told by what isn't among the accepted ones: the editor gives regions new ids."""
    begun_from = {
        annotation["parent_prediction"]
        for annotation in _listed(task.annotations)
        if isinstance(annotation.get("parent_prediction"), int) and not annotation.get("was_cancelled")
    }
    return [
        one
        for prediction in _listed(task.predictions)
        if prediction.get("id") in begun_from
        for region in _listed(prediction.get("result"))
        for one in _masks(region, task, prediction, config)
        if one.keyframe is None
    ]


def _masks(
    region: Mapping[str, Any], task: Task, whose: Mapping[str, Any], config: LabelingConfig
) -> Iterator[Accepted]:
    value = region.get("value")
    shape = shape_of(value) if isinstance(value, dict) else None
    name = f'Task {task.id}, annotation {whose.get("id")}, region "{region.get("id")}"'
    tag = config.known(region.get("to_name"))
    index = region.get("item_index")
    if tag is None or not isinstance(value, dict):
        return
    if shape in MASK_SHAPES and tag.kind == "Image":
        changed = region.get("origin") == CHANGED
        yield Accepted(tag, index if isinstance(index, int) else None, None, Counted(), value, name, changed)
    elif shape == "videorectangle" and tag.kind == "Video":
        for keyframe in _chosen(_masked_keyframes(value)):
            by_hand = not keyframe.auto
            yield Accepted(tag, None, keyframe, Counted.of(value), keyframe.value, name, by_hand)


def _masked_keyframes(value: Mapping[str, Any]) -> list[Keyframe]:
    try:
        keyframes = parse_sequence(value["sequence"])
    except PromptError:  # a sequence that is none holds no mask either
        return []
    return [keyframe for keyframe in keyframes if isinstance(keyframe.value.get("rle"), dict)]


def _chosen(keyframes: list[Keyframe]) -> list[Keyframe]:
    """A few of the tracked ones, evenly, and as many of those that the annotator gave, in their order."""
    given = [keyframe for keyframe in keyframes if not keyframe.auto]
    tracked = [keyframe for keyframe in keyframes if keyframe.auto]
    return sorted([*_spread(given), *_spread(tracked)], key=lambda keyframe: keyframe.frame)


def _spread(keyframes: list[Keyframe]) -> list[Keyframe]:
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
