"""Reads a project's labeling config with label-studio-sdk's own parser, and says what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from xml.etree.ElementTree import Element, tostring

from label_studio_sdk.label_interface.interface import LabelInterface, LabelStudioXMLSyntaxErrorSentryIgnored

from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.labelstudio.config import config_xml
from label_studio_sam2.labelstudio.config.config_checks import problems
from label_studio_sam2.labelstudio.config.controls import (
    LABELS,
    TAGS,
    Control,
    Kind,
    LabelingConfig,
    LabelsTag,
    ObjectTag,
    Repeater,
)
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.config.problem import Problem
from label_studio_sam2.labelstudio.config.text_field import TEXT, TextField

__all__ = ["LabelingConfig", "ObjectTag", "Problem", "lint", "parse"]

PREDICTED = "predicted_values"
"""A Label's attribute: what models call it, separated by commas."""

KINDS: Mapping[str, Kind] = {"image": "Image", "video": "Video"}


REPEATER = re.compile("<repeater", re.IGNORECASE)


def parse(label_config: object, data: Mapping[str, Any] | None = None) -> LabelingConfig:
    """The controls of a labeling config; with a task's data those that the editor makes of it for the task, where it
    has Repeaters. Raises LabelConfigError, which names what to change."""
    if not isinstance(label_config, str) or not label_config.strip():
        raise LabelConfigError(
            "The project has no labeling config. Add an Image or Video tag, a smart tag and an output tag under "
            "Settings, Labeling Interface."
        )
    if data is None or REPEATER.search(label_config) is None:
        return _parsed(label_config)
    general = _parsed(label_config)
    try:
        return _parsed(config_xml.written_out(label_config, data))
    except NoObject as error:
        lists = ", ".join(f'"{repeater.on}"' for repeater in general.repeaters)
        raise LabelConfigError(
            f"The task's data has no list under {lists}, which the labeling config's Repeater shows. Import the task "
            "again with that list, or change the Repeater's on."
        ) from error


class NoObject(LabelConfigError):
    """Nothing that a mask could be drawn on."""


def lint(label_config: object) -> list[Problem]:
    """What is wrong with a labeling config, errors first; empty where nothing is."""
    try:
        return problems(parse(label_config))
    except LabelConfigError as error:
        sentence, _, remedy = error.detail.rpartition(". ")
        return [Problem(sentence + ".", remedy, "error")]


@lru_cache(maxsize=64)
def _parsed(label_config: str) -> LabelingConfig:
    root = config_xml.read(label_config)
    interface = _read(root)
    objects = {tag.name: made for tag in interface.objects if (made := _object(tag)) is not None}
    if not objects:
        raise NoObject(
            'The labeling config has no Image or Video tag. Add one, for example <Image name="image" value="$image"/>.'
        )
    controls = {tag.name: control for tag in interface.controls if (control := _control(tag)) is not None}
    labels = (
        LabelsTag(t.name, _names(t), tuple(t.labels), _words(t))
        for t in interface.controls
        if t.tag.lower() == LABELS
    )
    repeaters = tuple(_repeater(element) for element in config_xml.repeaters(root))
    fields = (_text_field(tag) for tag in interface.controls if tag.tag.lower() == TEXT)
    return LabelingConfig(objects, controls, tuple(labels), repeaters, tuple(fields))


def _repeater(element: Element) -> Repeater:
    index = config_xml.index_of(element.attrib)
    named = [tag for tag in element.iter() if tag is not element and tag.get("name")]
    same = tuple(f'{tag.tag} "{tag.get("name")}"' for tag in named if index not in tag.get("name", ""))
    return Repeater(element.get("on", ""), index, same)


def _read(root: Element) -> Any:
    """The SDK's LabelInterface."""
    try:
        return LabelInterface(tostring(root, encoding="unicode"))
    except (LabelStudioXMLSyntaxErrorSentryIgnored, ValueError) as error:
        raise LabelConfigError(
            f"The labeling config is not valid XML: {error}. Correct it under Settings, Labeling Interface."
        ) from error


def _object(tag: Any) -> ObjectTag | None:
    kind = KINDS.get(tag.tag.lower())
    if kind is None:
        return None
    is_list = "valueList" in tag.attr
    return ObjectTag(tag.name, kind, tag.value, is_list, _attribute(tag, "framerate") or "")


def _control(tag: Any) -> Control | None:
    kind = TAGS.get(tag.tag.lower())
    if kind is None:
        return None
    smart = _attribute(tag, "smart")
    return Control(
        name=tag.name,
        tag=kind,
        to_names=_names(tag),
        labels=tuple(tag.labels),
        smart=None if smart is None else smart.lower() != "false",
        options=Options.parse(tag.attr),
        words=_words(tag),
    )


def _text_field(tag: Any) -> TextField:
    of_regions, smart = _attribute(tag, "perregion") or "", _attribute(tag, "smart") or ""
    return TextField(tag.name, _names(tag), of_regions.lower() != "true" and smart.lower() != "false")


def _words(tag: Any) -> tuple[tuple[str, ...], ...]:
    """For each label what it is called: its name, what the editor shows instead, and a model's words for it."""
    written = ((label, tag.labels_attrs.get(label)) for label in tag.labels)
    attributes = ((label, one.attr if one else {}) for label, one in written)
    called = ((label, one.get("value", ""), *one.get(PREDICTED, "").split(",")) for label, one in attributes)
    return tuple(tuple(dict.fromkeys(word.strip() for word in words if word.strip())) for words in called)


def _names(tag: Any) -> tuple[str, ...]:
    """Those of its toName."""
    return tuple(name.strip() for name in tag.to_name)


def _attribute(tag: Any, name: str) -> str | None:
    """An attribute whatever its capitals: the editor ignores them."""
    return next((value.strip() for key, value in tag.attr.items() if key.lower() == name), None)
