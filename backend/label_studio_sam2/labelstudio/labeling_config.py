"""Reads a project's labeling config with label-studio-sdk's own parser, and says what is wrong with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from label_studio_sdk.label_interface.interface import LabelInterface, LabelStudioXMLSyntaxErrorSentryIgnored

from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.labelstudio.config_checks import Problem, problems
from label_studio_sam2.labelstudio.controls import (
    LABELS,
    TAGS,
    Control,
    Kind,
    LabelingConfig,
    LabelsTag,
    ObjectTag,
)
from label_studio_sam2.labelstudio.options import Options

__all__ = ["LabelingConfig", "ObjectTag", "Problem", "lint", "parse"]

KINDS: Mapping[str, Kind] = {"image": "Image", "video": "Video"}


def parse(label_config: str | None) -> LabelingConfig:
    """The controls of a labeling config. Raises LabelConfigError, which names what to change."""
    if not label_config or not label_config.strip():
        raise LabelConfigError(
            "The project has no labeling config. Add an Image or Video tag, a smart tag and an output tag under "
            "Settings, Labeling Interface."
        )
    return _parsed(label_config)


def lint(label_config: str | None) -> list[Problem]:
    """What is wrong with a labeling config, errors first; empty where nothing is."""
    try:
        return problems(parse(label_config))
    except LabelConfigError as error:
        sentence, _, remedy = error.detail.rpartition(". ")
        return [Problem(sentence + ".", remedy, "error")]


@lru_cache(maxsize=64)
def _parsed(label_config: str) -> LabelingConfig:
    interface = _read(label_config)
    objects = {tag.name: made for tag in interface.objects if (made := _object(tag)) is not None}
    if not objects:
        raise LabelConfigError(
            'The labeling config has no Image or Video tag. Add one, for example <Image name="image" value="$image"/>.'
        )
    controls = {tag.name: control for tag in interface.controls if (control := _control(tag)) is not None}
    labels = (
        LabelsTag(t.name, tuple(t.to_name), tuple(t.labels))
        for t in interface.controls
        if t.tag.lower() == LABELS
    )
    return LabelingConfig(objects, controls, tuple(labels))


def _read(label_config: str) -> Any:
    """The SDK's LabelInterface. It raises ValueError for an XML declaration, which Label Studio itself refuses too."""
    try:
        return LabelInterface(label_config)
    except (LabelStudioXMLSyntaxErrorSentryIgnored, ValueError) as error:
        raise LabelConfigError(
            f"The labeling config is not valid XML: {error}. Correct it under Settings, Labeling Interface."
        ) from error


def _object(tag: Any) -> ObjectTag | None:
    kind = KINDS.get(tag.tag.lower())
    if kind is None:
        return None
    is_list = "valueList" in tag.attr
    return ObjectTag(tag.name, kind, tag.value, is_list, _frame_rate(tag))


def _frame_rate(tag: Any) -> float | None:
    """The framerate attribute; None where there is none, or one that is no positive number. The editor takes one
    below 1 for the seconds between two frames (Video.js of Label Studio 1.23.2)."""
    try:
        rate = float(_attribute(tag, "framerate") or "")
    except ValueError:
        return None
    if not 0 < rate < math.inf:
        return None
    return rate if rate >= 1 else 1 / rate


def _control(tag: Any) -> Control | None:
    kind = TAGS.get(tag.tag.lower())
    if kind is None:
        return None
    smart = _attribute(tag, "smart")
    return Control(
        name=tag.name,
        tag=kind,
        to_names=tuple(name.strip() for name in tag.to_name),
        labels=tuple(tag.labels),
        smart=None if smart is None else smart.lower() != "false",
        options=Options.parse(tag.attr),
    )


def _attribute(tag: Any, name: str) -> str | None:
    """An attribute whatever its capitals: the editor ignores them."""
    return next((value.strip() for key, value in tag.attr.items() if key.lower() == name), None)
