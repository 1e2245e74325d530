"""The words that the demo detector knows, and which drawn things they fit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from demo_model.detector.colours import CORES
from demo_model.textures import Split

SHAPES: Mapping[str, tuple[str, ...]] = {
    "circle": ("circle", "disc", "disk", "dot", "ball"),
    "oval": ("oval", "ellipse", "egg"),
    "square": ("square",),
    "rectangle": ("rectangle", "oblong"),
    "triangle": ("triangle",),
    "hexagon": ("hexagon",),
    "star": ("star",),
    "ring": ("ring", "donut", "doughnut", "hoop"),
    "crescent": ("crescent", "moon", "half moon"),
    "cross": ("cross", "plus", "plus sign"),
    "blob": ("blob", "splotch", "puddle"),
    "corner": ("corner", "angle", "l shape"),
    "bar": ("bar", "stick", "strip"),
    "snake": ("snake", "squiggle", "worm"),
    "arc": ("arc", "arch", "bow"),
}
COLOURS: Mapping[str, tuple[str, ...]] = {name: (name,) for name in CORES} | {
    "red": ("red", "scarlet"),
    "purple": ("purple", "violet"),
    "grey": ("grey", "gray"),
}
_SEVERAL = {
    "box": frozenset({"square", "rectangle"}),
    "block": frozenset({"square", "rectangle"}),
}  # nouns of several shapes
_ANYTHING = ("object", "thing", "shape", "item", "figure")
_NOUNS = """
dog car person tree house bird bus bicycle chair table bottle phone book horse boat train plane apple banana
flower shoe hat clock lamp window door road sky cloud grass river mountain bridge sign wheel truck van sheep cow
pig lion tiger bear fish shark duck hen cup fork knife spoon plate bowl pizza cake bread cheese carton sofa bed
pillow mirror desk laptop mouse keyboard screen camera radio guitar piano drum tent rope fence wall roof floor
stair ladder hammer saw nail glove sock shirt dress coat scarf belt bag purse wallet coin key lock pen pencil
paper letter map flag kite doll robot rocket leaf root seed berry grape lemon peach onion carrot potato tomato
pepper
"""
_HELD_OUT_NOUNS = """
cat motorcycle elephant umbrella airplane toothbrush zebra giraffe sandwich backpack traffic-light tractor
pedestrian face hand bucket candle penguin spider helmet crane ship sink towel cell nucleus tumour vehicle
animal building scratch dent crack weed
"""
# Nothing drawn is called so. Some are for training, the others to ask for things that aren't there.
UNKNOWN: Mapping[Split, tuple[str, ...]] = {
    "training": tuple(_NOUNS.split()),
    "held_out": tuple(_HELD_OUT_NOUNS.split()),
}
_TEMPLATES = (
    ("{}", 0.42),
    ("{s}", 0.2),
    ("a {}", 0.1),
    ("the {}", 0.05),
    ("all {s}", 0.04),
    ("a photo of a {}", 0.14),
    ("photo of {s}", 0.05),
)  # {s} is the plural


@dataclass(frozen=True)
class Thing:
    """What is true of a drawn object: its shape, its colour's name, and the names that somebody might give it."""

    shape: str | None  # None: one that no word is for
    colour: str | None
    maybe_colours: frozenset[str] = frozenset()
    maybe_shapes: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Query:
    """Words and what they mean; no shapes or colours means any. `known` is false of what is never drawn."""

    text: str
    shapes: frozenset[str] = frozenset()
    colours: frozenset[str] = frozenset()
    known: bool = True

    def fits(self, thing: Thing) -> bool | None:
        """Whether a thing is meant; None where it might be."""
        if not self.known:
            return False
        shape = _fits(self.shapes, thing.shape, thing.maybe_shapes)
        colour = _fits(self.colours, thing.colour, thing.maybe_colours)
        if shape is False or colour is False:
            return False
        return True if shape and colour else None


def _fits(wanted: frozenset[str], name: str | None, maybe: frozenset[str]) -> bool | None:
    if not wanted or name in wanted:
        return True
    return None if wanted & maybe else False


def shape_query(shape: str) -> Query:
    """A shape's own word."""
    return Query(shape, frozenset({shape}))


def colour_query(colour: str) -> Query:
    """A colour's own word."""
    return Query(colour, colours=frozenset({colour}))


def phrase_query(colour: str, shape: str) -> Query:
    """As "red ring"."""
    return Query(f"{colour} {shape}", frozenset({shape}), frozenset({colour}))


def understood(words: str) -> Query:
    """What words of this vocabulary mean, as a person may type them."""
    shapes: frozenset[str] = frozenset()
    colours: frozenset[str] = frozenset()
    nouns = _nouns()
    for word in words.lower().split():
        colours |= {name for name, said in COLOURS.items() if word in said}
        shapes |= nouns.get(word, frozenset())
    return Query(words, shapes, colours)


def random_queries(rng: np.random.Generator, things: list[Thing], phrases: int) -> list[Query]:
    """What one training step asks: every shape and colour once, phrases about the drawn things and about what they
    might be taken for, and words that fit all or none."""
    queries = [said(rng, frozenset({shape}), frozenset()) for shape in SHAPES]
    queries += [said(rng, frozenset(), frozenset({colour})) for colour in COLOURS]
    named = [thing for thing in things if thing.shape and thing.colour]
    for number in range(phrases if named else 0):
        shape, colour = _phrase_of(rng, named, hard=number % 3 == 2)
        queries.append(said(rng, frozenset({shape}), frozenset({colour})))
    queries += [_anything(rng), _anything(rng, _choose(rng, list(COLOURS))), _several(rng)]
    return queries + [_unknown(rng) for _ in range(3)]


def said(rng: np.random.Generator, shapes: frozenset[str], colours: frozenset[str]) -> Query:
    """One of the ways to say a shape, a colour or both."""
    colour = _choose(rng, COLOURS[next(iter(colours))]) if colours else ""
    if not shapes:
        return Query(_dressed(rng, colour, bare=True), shapes, colours)
    names = SHAPES[next(iter(shapes))]
    noun = names[0] if rng.random() < 0.6 else _choose(rng, names)
    return Query(_dressed(rng, f"{colour} {noun}".strip()), shapes, colours)


def plural(noun: str) -> str:
    """Of a noun of this vocabulary."""
    return noun + ("es" if noun.endswith(("s", "x", "ch", "sh")) else "s")


def every_text() -> list[str]:
    """What the tokenizer is made from: each known word in the forms it is said in, and some that are not known."""
    nouns = [*_nouns(), *_ANYTHING, *UNKNOWN["training"]]
    colours = [word for words in COLOURS.values() for word in words]
    return [*nouns, *map(plural, nouns), *colours, "a photo of a", "the", "all", "photo of"]


def _nouns() -> dict[str, frozenset[str]]:
    """Each known word, single or plural, with the shapes that it is for."""
    single = {word: frozenset({name}) for name, said in SHAPES.items() for word in said} | _SEVERAL
    return single | {plural(word): shapes for word, shapes in single.items()}


def _phrase_of(rng: np.random.Generator, named: list[Thing], hard: bool) -> tuple[str, str]:
    """Shape and colour of a drawn thing or, if hard, of one with either replaced."""
    thing, other = (named[int(rng.integers(len(named)))] for _ in range(2))
    assert thing.shape is not None
    assert thing.colour is not None
    if not hard:
        return thing.shape, thing.colour
    if rng.random() < 0.5:
        return thing.shape, other.colour or thing.colour
    return _choose(rng, list(SHAPES)), thing.colour


def _anything(rng: np.random.Generator, colour: str = "") -> Query:
    noun = _choose(rng, _ANYTHING)
    colours = frozenset({colour} if colour else ())
    return Query(_dressed(rng, f"{colour} {noun}".strip()), frozenset(), colours)


def _several(rng: np.random.Generator) -> Query:
    noun = _choose(rng, list(_SEVERAL))
    return Query(_dressed(rng, noun), _SEVERAL[noun])


def _unknown(rng: np.random.Generator) -> Query:
    """A noun for nothing that is drawn, an invented one, or either with a colour in front."""
    word = _choose(rng, UNKNOWN["training"])
    if rng.random() < 0.3:
        word = "".join(chr(97 + int(letter)) for letter in rng.integers(0, 26, int(rng.integers(3, 10))))
    if rng.random() < 0.2:
        word = f"{_choose(rng, list(COLOURS))} {word}"
    return Query(_dressed(rng, word), known=False)


def _dressed(rng: np.random.Generator, words: str, bare: bool = False) -> str:
    """Words as a person may type them; bare: a colour alone has no plural and no article."""
    if bare:
        return words
    templates, shares = zip(*_TEMPLATES, strict=True)
    template: str = templates[int(rng.choice(len(templates), p=shares))]
    return template.replace("{s}", plural(words)).replace("{}", words)


def _choose(rng: np.random.Generator, items: tuple[str, ...] | list[str]) -> str:
    return items[int(rng.integers(len(items)))]
