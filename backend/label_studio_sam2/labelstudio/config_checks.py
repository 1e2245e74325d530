"""What keeps a labeling config from working, or will surprise, each with its remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, NamedTuple

from label_studio_sam2.labelstudio.controls import LabelingConfig


class Problem(NamedTuple):
    """Something wrong with a labeling config: what, what to do about it, and whether it keeps masks from appearing."""

    sentence: str
    remedy: str
    severity: Literal["error", "warning"]


def problems(config: LabelingConfig) -> list[Problem]:
    """What is wrong with a parsed labeling config, errors first."""
    found = [problem for check in CHECKS for problem in check(config)]
    return sorted(found, key=lambda problem: problem.severity != "error")


def _prompted(config: LabelingConfig) -> Iterable[str]:
    """The objects that have an Image or Video and at least one control."""
    used = {to_name for control in config.controls.values() for to_name in control.to_names}
    return [name for name in config.objects if name in used]


def _no_control(config: LabelingConfig) -> Iterable[Problem]:
    if not _prompted(config):
        names = ", ".join(f'"{name}"' for name in config.objects)
        yield Problem(
            f"No tag that we know draws on {names}.",
            "Add a smart tag to prompt with (KeyPointLabels, RectangleLabels) and an output tag (BrushLabels); "
            "their toName must be the name of the Image tag.",
            "error",
        )


def _no_output(config: LabelingConfig) -> Iterable[Problem]:
    for name in _prompted(config):
        if not config.outputs(name):
            yield Problem(
                f'No tag can show a mask on "{name}".',
                f'Add an output tag, for example <BrushLabels name="brush" toName="{name}" smart="false"> with the '
                "same labels.",
                "error",
            )


def _no_prompt(config: LabelingConfig) -> Iterable[Problem]:
    for name in _prompted(config):
        if not config.prompts(name):
            what = (
                "VideoRectangle"
                if config.objects[name].kind == "Video"
                else "KeyPointLabels or RectangleLabels"
            )
            yield Problem(
                f'No smart tag can prompt on "{name}", so that clicking asks for nothing.',
                f'Add {what} with toName="{name}" and smart="true".',
                "error",
            )


def _smart_in_vain(config: LabelingConfig) -> Iterable[Problem]:
    for control in config.controls.values():
        if control.smart and not control.tag.prompts:
            yield Problem(
                f'{control.tag.name} "{control.name}" says smart="true", but the editor can\'t prompt with it.',
                'Write smart="false" on it, and smart="true" on KeyPointLabels or RectangleLabels.',
                "warning",
            )


def _dangling(config: LabelingConfig) -> Iterable[Problem]:
    for control in config.controls.values():
        for name in control.to_names:
            if name not in config.objects:
                yield Problem(
                    f'{control.tag.name} "{control.name}" draws on "{name}", which is no Image or Video.',
                    "Set its toName to one of: " + ", ".join(config.objects) + ".",
                    "warning",
                )


def _missing_labels(config: LabelingConfig) -> Iterable[Problem]:
    for name in _prompted(config):
        for prompt in config.prompts(name):
            outputs = config.outputs(name, prompt)
            missing = [
                label for label in prompt.labels if not any(output.knows((label,)) for output in outputs)
            ]
            if outputs and missing:
                yield Problem(
                    f'No output tag on "{name}" has the label {", ".join(missing)} of "{prompt.name}".',
                    f'Add it to {outputs[0].tag.name} "{outputs[0].name}".',
                    "warning",
                )


def _unnamed(config: LabelingConfig) -> Iterable[Problem]:
    for name in _prompted(config):
        bare = [output for output in config.outputs(name) if not output.tag.labelled]
        if bare and config.labels_tag(name) is None:
            yield Problem(
                f'{bare[0].tag.name} "{bare[0].name}" has no labels, and there is no Labels tag for "{name}".',
                f'Add <Labels name="labels" toName="{name}"> with the labels.',
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
    for control in config.controls.values():
        label = control.options.label
        tags = [tag for name in control.to_names if (tag := config.labels_tag(name))]
        known = [*control.labels, *(known for tag in tags for known in tag.labels)]
        if label and known and label not in known:
            yield Problem(
                f'{control.tag.name} "{control.name}" has model_label="{label}", which is none of its labels.',
                "It must be one of: " + ", ".join(known) + ".",
                "warning",
            )


def _no_frame_rate(config: LabelingConfig) -> Iterable[Problem]:
    for tag in config.objects.values():
        if tag.kind == "Video" and tag.given_frame_rate is None:
            yield Problem(
                f'Video "{tag.name}" has no valid framerate, so that the editor counts 24 frames a second.',
                'Write the file\'s own rate on the tag, for example framerate="25".',
                "warning",
            )


CHECKS: tuple[Callable[[LabelingConfig], Iterable[Problem]], ...] = (
    _no_control,
    _no_output,
    _no_prompt,
    _smart_in_vain,
    _dangling,
    _missing_labels,
    _unnamed,
    _options,
    _foreign_label,
    _no_frame_rate,
)
