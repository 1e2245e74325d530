"""Requests that are nearly those that were recorded: what a broken, an old or a hostile client might send."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from random import Random
from typing import Any, NamedTuple

NESTED = json.loads("[" * 120 + "]" * 120)
ODD: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 1, 0.5, 1e30, -1e308, 1e13, 2**53, 2**63, -(2**63), 10**18, 4711.25),
    *(
        "",
        " ",
        "0",
        "-1",
        "NaN",
        "1e999",
        "null",
        "$image",
        "\x00",
        "\ud7ff\ufffe",
        "é" * 50,
        "x" * 5000,
        "9" * 5000,
    ),
    *(
        "<View/>",
        "<View><Image name='i' value='$i'/></View>",
        "data:,",
        "data:image/png;base64,AAAA",
        "/data/../etc",
    ),
    *(
        "ANNOTATION_CREATED",
        "keypointlabels",
        "videorectangle",
        "brushlabels",
        "http://127.0.0.1:1/x.png",
        "//",
        "s3://a/b",
    ),
    *([], {}, [[]], [{}], [None], {"": None}, {"id": {}}, [1] * 1000, NESTED, {"a": NESTED}),
    *(
        [1e308, "x", None],
        {"size": [1e13, 2], "counts": "abc"},
        {"rle": [0, 0, 0, 255, 3, 3], "format": "rle"},
    ),
)


class Mutated(NamedTuple):
    method: str
    path: str
    body: bytes


def mutated(recorded: list[dict[str, Any]], seed: int) -> Mutated:
    """One of the recorded requests with one to four things changed; the same for the same seed."""
    random = Random(seed)
    one = random.choice(recorded)
    body = copy.deepcopy(one["body"])
    for _ in range(random.choice((1, 1, 1, 2, 3, 4))):
        body = _changed(body, random)
    content = json.dumps(body).encode()
    if random.random() < 0.03:
        content = _damaged(content, random)
    return Mutated(one["method"], one["path"], content)


def _changed(body: Any, random: Random) -> Any:
    places = list(_places(body))
    if not places:
        return random.choice(ODD)
    # Deep places are many and alike (a mask's bytes): by depth first, then by place.
    depth = random.choice(sorted({len(path) for path in places}))
    *way, last = random.choice([path for path in places if len(path) == depth])
    holder = body
    for step in way:
        holder = holder[step]
    random.choice(CHANGES)(holder, last, random)
    return body


def _places(body: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The ways to every value; of long lists only to the first ones and the last."""
    keys: list[Any] = []
    if isinstance(body, dict):
        keys = list(body)
    elif isinstance(body, list):
        keys = [*range(min(3, len(body))), *range(max(3, len(body) - 1), len(body))]
    for key in keys:
        yield (*path, key)
        if len(path) < 12:
            yield from _places(body[key], (*path, key))


def _replace(holder: Any, key: Any, random: Random) -> None:
    holder[key] = copy.deepcopy(random.choice(ODD))


def _remove(holder: Any, key: Any, _random: Random) -> None:
    del holder[key]


def _rename(holder: Any, key: Any, random: Random) -> None:
    if isinstance(holder, dict):
        holder[random.choice(("", "id", "value", "x", f"{key} "))] = holder.pop(key)


def _wrap(holder: Any, key: Any, random: Random) -> None:
    holder[key] = random.choice(([holder[key]], {"value": holder[key]}, [holder[key]] * 3))


def _as_text(holder: Any, key: Any, _random: Random) -> None:
    holder[key] = str(holder[key])


def _scale(holder: Any, key: Any, random: Random) -> None:
    value = holder[key]
    if isinstance(value, int | float) and not isinstance(value, bool):
        holder[key] = value * random.choice((-1, 0.001, 3, 1e4, 1e9)) + random.choice((0, 0.5, -100))
    elif isinstance(value, str):
        holder[key] = _cut(value, random)


def _cut(text: str, random: Random) -> str:
    """A part of it left out, doubled, or exchanged with odd characters."""
    start = random.randrange(len(text) + 1)
    part = text[start : start + random.choice((1, 3, 10, 40))]
    instead = random.choice(
        ("", part * 2, "&", "<", '"', "$", "é", "\x00", 'model_vertices="x" ', "<Label/>")
    )
    return text[:start] + instead + text[start + len(part) :]


CHANGES: tuple[Callable[[Any, Any, Random], None], ...] = (
    *(_replace, _replace, _replace),
    *(_remove, _rename, _wrap, _as_text, _scale, _scale),
)


def _damaged(content: bytes, random: Random) -> bytes:
    start = random.randrange(len(content) + 1)
    instead = random.choice((b"", b"\xff", b"[", b'"', b"\\ud800", bytes(3)))
    return content[:start] + instead + content[start + random.choice((0, 1, 20)) :]
