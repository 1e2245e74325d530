"""What keeps a labeling config from working, or will surprise, each with its remedy."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable

from label_studio_sam2.labelstudio.config import option_checks
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.config.problem import Problem, listed


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
        names = listed(f'"{name}"' for name in config.objects)
        videos = [name for name, tag in config.objects.items() if tag.kind == "Video"]
        yield Problem(
            f"No tag that we know draws on {names}.",
            f"Add {_rectangle(videos[0])}, and a Labels tag that names what it draws."
            if len(videos) == len(config.objects)
            else "Add a smart tag to prompt with (KeyPointLabels, RectangleLabels) and an output tag (BrushLabels); "
            "their toName must be the name of the Image tag.",
            "error",
        )


def _rectangle(name: str) -> str:
    return f'<VideoRectangle name="box" toName="{name}" smart="true"/>'


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
        if not config.asking_fields(name) and not config.prompts(name):
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
                    f"Set its toName to one of: {listed(config.objects)}.",
                    "warning",
                )


def _missing_labels(config: LabelingConfig) -> Iterable[Problem]:
    for name in _prompted(config):
        outputs = config.outputs(name)
        answering = {output.name for output in outputs}
        knowing = Counter(label for output in outputs for label in set(output.labels))
        of_any_label = sum(not output.labels for output in outputs)
        for prompt in config.prompts(name):
            itself = prompt.name in answering and len(outputs) > 1  # it gets no echo where another can answer
            missing = [label for label in prompt.labels if knowing[label] - itself <= 0]
            if outputs and missing and not of_any_label:
                other = next((output for output in outputs if output is not prompt), prompt)
                yield Problem(
                    f'No output tag on "{name}" has the label {listed(missing)} of "{prompt.name}".',
                    f'Add it to {other.tag.name} "{other.name}".',
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


def _second_text_field(config: LabelingConfig) -> Iterable[Problem]:
    for name in config.objects:
        first, *others = config.asking_fields(name) or (None,)
        if first is not None and others:
            called = listed(f'"{other.name}"' for other in others)
            yield Problem(
                f'What is added to the TextArea {called} of "{name}" is sent as well, but only "{first.name}" asks for '
                "objects.",
                'Write smart="false" on every TextArea that isn\'t meant to ask, captions for example.',
                "warning",
            )


def _words_in_vain(config: LabelingConfig) -> Iterable[Problem]:
    """Where anything can be shown at all: otherwise that is said."""
    videos = [name for name, tag in config.objects.items() if tag.kind == "Video" and _prompted(config)]
    for name in videos:
        drawn = any(c.tag.object == "Video" and name in c.to_names for c in config.controls.values())
        for field in config.asking_fields(name)[: 0 if drawn else 1]:
            yield Problem(
                f'What is added to the TextArea "{field.name}" of "{name}" asks for objects, but no tag can show them.',
                f'Add {_rectangle(name)}, or write smart="false" on the TextArea.',
                "warning",
            )


def _list_not_exported(config: LabelingConfig) -> Iterable[Problem]:
    tags = {control.tag.name for control in config.controls.values()}
    listed = any(tag.kind == "Image" and tag.is_list for tag in config.objects.values())
    if listed and "KeyPointLabels" in tags and "RectangleLabels" not in tags:
        yield Problem(
            "Label Studio 1.23.2 fails to export a project that shows a list of pictures and has KeyPointLabels but no "
            "RectangleLabels.",
            'Add RectangleLabels with the same labels, smart="true" for boxes as prompts.',
            "warning",
        )


def _repeater(config: LabelingConfig) -> Iterable[Problem]:
    for repeater in config.repeaters:
        if not repeater.on.startswith("$"):
            yield Problem(
                f'A Repeater has on="{repeater.on}", which is no list of the task\'s data, so that it shows nothing.',
                'Write on="$" and the name of the list, for example on="$pages".',
                "error",
            )
        if repeater.same:
            yield Problem(
                f"{listed(repeater.same)} in a Repeater has the same name on every page, so that only one page works.",
                f"Write {repeater.index} into its name, and into the toName of what draws on it.",
                "error",
            )


def _no_frame_rate(config: LabelingConfig) -> Iterable[Problem]:
    for tag in config.objects.values():
        if tag.kind == "Video" and tag.given_frame_rate is None and not tag.framerate.startswith("$"):
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
    _second_text_field,
    _words_in_vain,
    _list_not_exported,
    *option_checks.CHECKS,
    _repeater,
    _no_frame_rate,
)
