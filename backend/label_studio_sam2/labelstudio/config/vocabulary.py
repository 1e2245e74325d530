"""What a project's labels are called, and which of them a phrase means."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from label_studio_sam2.labelstudio.config.controls import Control, LabelingConfig, LabelsTag

WORD = re.compile(r"\w+")

SHORTEST_PLURAL = 4
"""Letters of a word whose last s is taken for a plural's."""


class Vocabulary(NamedTuple):
    """By label its words: its name, its alias, and what `predicted_values` says; in the config's order."""

    words: Mapping[str, tuple[str, ...]]

    @classmethod
    def of(cls, config: LabelingConfig, to_name: str) -> Vocabulary:
        """Of all labels that a region of this object may have."""
        tags: list[Control | LabelsTag] = [*config.controls.values(), *config.labels_tags]
        found: dict[str, tuple[str, ...]] = {}
        for tag in tags:
            for label, words in zip(tag.labels, tag.words, strict=True) if to_name in tag.to_names else ():
                found[label] = tuple(dict.fromkeys([*found.get(label, ()), *words]))
        return cls(found)

    def named(self, text: str) -> str | None:
        """The label that is called exactly this, whatever the capitals."""
        said = _simple(text)
        return next((label for label, said_too in self._simple_words() if said_too == said), None)

    def meant(self, phrase: str) -> str | None:
        """The label that a phrase means: one that is called so, else the longest that is called by a part of it, and
        of two the last: a "car wheel" is a wheel."""
        exact = self.named(phrase)
        if exact is not None:
            return exact
        said = _simple(phrase)
        places = (
            (len(words), at, label) for label, words in self._simple_words() for at in _inside(words, said)
        )
        return max(places, key=lambda place: place[:2], default=(0, 0, None))[2]

    def asked(self) -> Iterable[tuple[str, str]]:
        """Every word to find a label's objects by, with the label: what models call it, and the name that is shown
        where results hold an alias, which is often a code; the name alone where there is nothing else."""
        for label, words in self.words.items():
            for word in words[1:] or words:
                yield word, label

    def _simple_words(self) -> Iterable[tuple[str, tuple[str, ...]]]:
        return (
            (label, simple)
            for label, words in self.words.items()
            for word in words
            if (simple := _simple(word))
        )


@lru_cache(maxsize=8192)
def _simple(text: str) -> tuple[str, ...]:
    """Its words without capitals and plurals."""
    return tuple(
        word[:-1] if len(word) >= SHORTEST_PLURAL and word.endswith("s") else word
        for word in WORD.findall(text.casefold())
    )


def _inside(words: tuple[str, ...], said: tuple[str, ...]) -> Iterable[int]:
    return (at for at in range(len(said) - len(words) + 1) if said[at : at + len(words)] == words)
