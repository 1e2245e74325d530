"""A labeling config with further labels, all else as somebody wrote it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from html import unescape
from xml.sax.saxutils import quoteattr

from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.labelstudio.config.controls import LABELS, TAGS
from label_studio_sam2.labelstudio.config.labeling_config import parse
from label_studio_sam2.labelstudio.config.templates import COLOURS

HOLDER = re.compile(
    r"(?P<open><(?P<tag>\w*labels)\b[^>]*(?<!/)>)(?P<inside>.*?)(?P<close></(?P=tag)\s*>)",
    re.DOTALL | re.IGNORECASE,
)
LABEL = re.compile(r"""<Label\b[^>]*?\bvalue\s*=\s*(["'])(?P<value>.*?)\1""", re.DOTALL | re.IGNORECASE)
LAST_INDENT = re.compile(r"(\s*)<Label\b[^<]*\Z", re.IGNORECASE)


def with_more_labels(config: str, labels: Sequence[str]) -> str:
    """The config with these labels in every tag that holds labels and lacks them; the same text where none does.

    Raises LabelConfigError where it has no such tag, or one that can't be found in the text.
    """
    changed = HOLDER.sub(lambda found: _filled(found, labels), config)
    held = _held(changed)
    if not held or not all(set(labels) <= set(one) for one in held):
        raise LabelConfigError(
            f"The project's labeling config doesn't let {', '.join(labels)} be added by itself. Add it under Settings, "
            "Labeling Interface."
        )
    return changed


def _held(config: str) -> list[tuple[str, ...]]:
    """The labels of each tag that holds some."""
    parsed = parse(config)
    held = (
        *(control.labels for control in parsed.controls.values()),
        *(tag.labels for tag in parsed.labels_tags),
    )
    return [labels for labels in held if labels]


def _filled(found: re.Match[str], labels: Sequence[str]) -> str:
    tag = found["tag"].lower()
    there = [unescape(label["value"]) for label in LABEL.finditer(found["inside"])]
    missing = [label for label in labels if label not in there]
    if tag not in {LABELS, *TAGS} or not missing:
        return found[0]
    inside = found["inside"].rstrip()
    indent = last[1] if (last := LAST_INDENT.search(inside)) else ""
    added = "".join(
        f"{indent}<Label value={quoteattr(label)} background={quoteattr(COLOURS[number % len(COLOURS)])}/>"
        for number, label in enumerate(missing, start=len(there))
    )
    return found["open"] + inside + added + found["inside"][len(inside) :] + found["close"]
