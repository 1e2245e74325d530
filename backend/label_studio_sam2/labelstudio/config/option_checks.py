"""Options that can't be read, or that stand where they do nothing, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.config.problem import Problem, listed


def _similar_in_vain(config: LabelingConfig) -> Iterable[Problem]:
    for control in config.controls.values():
        if control.options.similar and (control.tag.shape != "rectangle" or control.smart is False):
            yield Problem(
                f'{control.tag.name} "{control.name}" has model_similar="true", but isn\'t a smart rectangle.',
                'Write it on a RectangleLabels with smart="true", whose boxes are to be examples.',
                "warning",
            )


def _track_in_vain(config: LabelingConfig) -> Iterable[Problem]:
    for control in config.controls.values():
        shown = [config.objects[name] for name in control.to_names if name in config.objects]
        if control.options.track and not any(tag.kind == "Image" and tag.is_list for tag in shown):
            yield Problem(
                f'{control.tag.name} "{control.name}" has model_track="true", but draws on no list of pictures.',
                'Show the pictures with valueList="$images" on the Image tag, or remove model_track.',
                "warning",
            )


def _options(config: LabelingConfig) -> Iterable[Problem]:
    for control in config.controls.values():
        for error in control.options.errors:
            yield Problem(
                f'{control.tag.name} "{control.name}" has {error.attribute}="{error.value}", which is not understood.',
                error.remedy,
                "warning",
            )


def _foreign_label(config: LabelingConfig) -> Iterable[Problem]:
    first = {name: tag for tag in reversed(config.labels_tags) for name in tag.to_names}
    for control in config.controls.values():
        label = control.options.label
        tags = [first[name] for name in control.to_names if name in first] if label else []
        known = [*control.labels, *(known for tag in tags for known in tag.labels)]
        if label and known and label not in known:
            yield Problem(
                f'{control.tag.name} "{control.name}" has model_label="{label}", which is none of its labels.',
                f"It must be one of: {listed(known)}.",
                "warning",
            )


CHECKS: tuple[Callable[[LabelingConfig], Iterable[Problem]], ...] = (
    _similar_in_vain,
    _track_in_vain,
    _options,
    _foreign_label,
)
