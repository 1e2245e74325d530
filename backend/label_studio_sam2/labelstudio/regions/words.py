"""What an annotator wrote, as phrases that each mean a label; and boxes that are examples.

A text field's item of a request holds all that was added to it so far: all of it is asked for, since all of it is still
shown, and a new answer takes the place of the one before.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from label_studio_sam2.errors import PromptError
from label_studio_sam2.labelstudio.api.protocol import Region
from label_studio_sam2.labelstudio.config.controls import LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.config.text_field import TEXT
from label_studio_sam2.labelstudio.config.vocabulary import Vocabulary
from label_studio_sam2.labelstudio.regions.drawn import Drawn, by_id, drawn_in, known_type
from label_studio_sam2.labelstudio.regions.prompts import RegionPrompt
from label_studio_sam2.types import Box, Size

BETWEEN = re.compile(r"[,;\n\r，、；]")
LINES = re.compile(r"[\n\r]")

MOST_PHRASES = 1000
LONGEST = 200
"""Characters of a phrase that are read; a detector reads fewer words."""


class Phrase(NamedTuple):
    """Words to look for, and the label of what they find; `lacking` says why there is none."""

    words: str
    label: str | None
    lacking: str = ""


class Wanted(NamedTuple):
    """What is looked for on an object's pictures; of a list on the picture `item_index`, or on all of them. `written`
    is the item that asks for it, to be answered along."""

    on: ObjectTag
    item_index: int | None
    phrases: tuple[Phrase, ...]
    written: Region


def possible(config: LabelingConfig, to_name: str) -> bool:
    """Whether an object's pictures may be asked for words or examples."""
    options = config.options(to_name)
    return bool(config.asking_fields(to_name) or options.find or options.similar)


def is_text(item: Any) -> bool:
    return isinstance(item, dict) and known_type(item) == TEXT


def from_regions(regions: Sequence[Any], config: LabelingConfig) -> list[Wanted]:
    """What the text fields of a request ask for: the field that asks on its object, and any that the config doesn't
    have, for callers of the API. Raises PromptError where that is too much."""
    return [
        Wanted(on, _index(item), tuple(phrases), _echo(item))
        for item in filter(is_text, regions)
        if _asks(item, config)
        and (phrases := parse(_texts(item), config, (on := config.object(item.get("to_name"))).name))
    ]


def examples_in(regions: Sequence[Any], config: LabelingConfig) -> list[Drawn]:
    """Boxes that were drawn with a smart rectangle whose config says model_similar."""
    if not any(_similar(name, config) for name in config.controls):  # most clicks needn't be read for it
        return []
    drawn, _ = drawn_in([region for region in regions if not is_text(region)], config)
    return [one for one in drawn if one.shape == "rectangle" and _similar(one.from_name, config)]


def without(regions: Sequence[Any], config: LabelingConfig) -> list[Any]:
    """What is left to be answered as clicks and boxes."""
    taken = {id_ for one in examples_in(regions, config) for id_ in one.ids}
    groups = ([item for item in group if not is_text(item)] for group in by_id(regions))
    return [item for group in groups for item in group if not _named(item) & taken]


def parse(texts: Iterable[str], config: LabelingConfig, to_name: str) -> list[Phrase]:
    """The phrases of texts, each once: commas, semicolons and line breaks are between them. `Label: words` says the
    label of its words and of those that follow on the line; otherwise the words mean it. Raises PromptError."""
    vocabulary = Vocabulary.of(config, to_name)
    given = config.options(to_name).label
    found: dict[tuple[str, str | None], Phrase] = {}
    for line in (line for text in texts for line in LINES.split(text)):
        said: Phrase | None = None
        for part in BETWEEN.split(line):
            head, colon, after = part.partition(":")
            words = " ".join((after if colon else part).split())[:LONGEST]
            if colon and head.strip():
                said = _said(head.strip(), vocabulary)
                words = words or said.label or ""
            if words:
                phrase = said._replace(words=words) if said else _meant(words, vocabulary, given)
                found.setdefault((words.casefold(), phrase.label), phrase)
    return _bounded(list(found.values()))


def of_labels(config: LabelingConfig, to_name: str) -> list[Phrase]:
    """A project's labels as phrases. Raises PromptError where they are too many."""
    return _bounded([Phrase(word[:LONGEST], label) for word, label in Vocabulary.of(config, to_name).asked()])


def written(phrases: Sequence[Phrase], config: LabelingConfig, to_name: str) -> Region | None:
    """The phrases as an item of the object's text field, which reads as them again; None where it has no such field."""
    fields = config.asking_fields(to_name)
    if not fields:
        return None
    labels: dict[str | None, list[str]] = {}
    for phrase in phrases:
        labels.setdefault(phrase.label, []).append(phrase.words)
    lines = [
        ", ".join(words) if label is None or words == [label] else f"{label}: {', '.join(words)}"
        for label, words in labels.items()
    ]
    text = (", " if lines == [*labels] else "\n").join(lines)
    number = blake2b(repr((fields[0].name, text)).encode(), digest_size=6).hexdigest()
    return {
        "id": number,
        "from_name": fields[0].name,
        "to_name": to_name,
        "type": TEXT,
        "value": {"text": [text]},
    }


def prompt(  # noqa: PLR0917  each is what a region needs
    box: Box,
    size: Size,
    on: ObjectTag,
    item_index: int | None,
    label: str | None,
    config: LabelingConfig,
    name: str,
) -> RegionPrompt:
    """The box that a detector drew, as the prompt that its region answers. `name` is of what found it. Raises
    LabelConfigError where nothing can show a mask."""
    value = {
        "x": 100 * box.x0 / size.width,
        "y": 100 * box.y0 / size.height,
        "width": 100 * (box.x1 - box.x0) / size.width,
        "height": 100 * (box.y1 - box.y0) / size.height,
    }
    labels = () if label is None else (label,)
    area = Drawn((name,), "rectangle", value, True, labels, "", on.name, item_index, 0, None)
    return RegionPrompt.answerable(config, on, labels=labels, item_index=item_index, area=area)


def _bounded(phrases: list[Phrase]) -> list[Phrase]:
    if len(phrases) > MOST_PHRASES:
        raise PromptError(
            f"At most {MOST_PHRASES} phrases are looked for at once, not {len(phrases)}. Ask for fewer, or for some "
            "after the others."
        )
    return phrases


def _asks(item: Mapping[str, Any], config: LabelingConfig) -> bool:
    name, on = item.get("from_name"), config.object(item.get("to_name")).name
    known = any(field.name == name for field in config.text_fields)
    return not known or name in [field.name for field in config.asking_fields(on)[:1]]


def _similar(name: str, config: LabelingConfig) -> bool:
    control = config.controls.get(name)
    return control is not None and control.options.similar


def _named(item: Any) -> set[str]:
    found = item.get("id") if isinstance(item, dict) else None
    return {str(found)} if isinstance(found, str | int | float) else set()


def _texts(item: Mapping[str, Any]) -> list[str]:
    value = item.get("value")
    found = value.get("text") if isinstance(value, dict) else None
    texts = [found] if isinstance(found, str) else found if isinstance(found, list) else []
    return [text for text in texts if isinstance(text, str)]


def _index(item: Mapping[str, Any]) -> int | None:
    found = item.get("item_index")
    return found if isinstance(found, int) and not isinstance(found, bool) and found >= 0 else None


def _echo(item: Mapping[str, Any]) -> Region:
    kept = ("id", "from_name", "to_name", "type", "item_index")
    return {key: item[key] for key in kept if key in item} | {"value": {"text": _texts(item)}}


def _said(head: str, vocabulary: Vocabulary) -> Phrase:
    """What stands before a colon."""
    label = vocabulary.named(head) if vocabulary.words else head
    known = ", ".join([*vocabulary.words][:10])
    lacking = "" if label else f'There is no label "{head:.40}". The labels are: {known}.'
    return Phrase("", label, lacking)


def _meant(words: str, vocabulary: Vocabulary, given: str | None) -> Phrase:
    label = vocabulary.meant(words)
    if label is not None or given or len(vocabulary.words) < 2:
        return Phrase(words, label)
    known = ", ".join([*vocabulary.words][:10])
    return Phrase(
        words,
        None,
        f'"{words:.40}" names none of the labels ({known}), so what it finds has none. Write the label before it, for '
        f'example "{next(iter(vocabulary.words))}: {words:.40}", or the words into the Label\'s predicted_values.',
    )
