from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.labelstudio.config.task_values import value_of

DATA: dict[str, Any] = {
    "image": "a.png",
    "images": ["a.png", "b.png"],
    "pages": [{"url": "one.png"}, {"url": "two.png", "scans": ["x.png", "y.png"]}],
    "doc": {"pages": ["p.png", "q.png"], "name": "scan"},
    "number": 7,
    "whole": 7.0,
    "yes": True,
    "none": None,
    "my-key": "dashed.png",
    "a.b": "dotted.png",
    "a": {"b": "deeper.png"},
    "画像": "wide.png",
}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("$image", "a.png"),
        ("$images", ["a.png", "b.png"]),
        ("$images[0]", "a.png"),
        ("$images[1]", "b.png"),
        ("$images.1", "b.png"),
        ("$pages[1].url", "two.png"),
        ("$pages[1].scans[1]", "y.png"),
        ("$doc.pages", ["p.png", "q.png"]),
        ("$doc.pages[0]", "p.png"),
        ("$a.b", "dotted.png"),
        ("$my-key", "dashed.png"),
        ("$画像", "wide.png"),
        ("https://media/$image", "https://media/a.png"),
        ("https://media/$doc.name/$number/$image", "https://media/scan/7/a.png"),
        ("https://media/$whole/x", "https://media/7/x"),
        ("https://media/$pages[0].url?v=$number", "https://media/one.png?v=7"),
        ("https://media/plain.png", "https://media/plain.png"),
        ("", ""),
    ],
)
def test_a_value_is_what_the_editor_reads(text: str, found: object) -> None:
    assert value_of(text, DATA) == found


@pytest.mark.parametrize(
    "text",
    [
        "$nothing",
        "$images[2]",
        "$images[-1]",
        "$images[x]",
        "$images[99999999999999999999]",
        "$pages[{{idx}}].url",
        "$image.url",
        "$number.x",
        "$none",
        "https://media/$nothing/a.png",
        "https://media/$image.png",
        "https://media/$pages/x",
        "https://media/$none",
        "https://media/$yes",
    ],
)
def test_what_the_data_lacks_is_none_and_never_a_literal_name(text: str) -> None:
    assert value_of(text, DATA) is None


PARTS = st.sampled_from(["$", "a", "b", "[", "]", "0", "1", ".", "{}", "-", "/", "é"])


@given(
    st.lists(PARTS).map("".join), st.sampled_from([None, "text", 1.5, [], ["x", {"b": "y"}], {"a": ["z"]}])
)
def test_any_text_and_any_data_can_be_asked(text: str, inner: Any) -> None:
    value_of(text, {"a": inner, "b": [inner]})
