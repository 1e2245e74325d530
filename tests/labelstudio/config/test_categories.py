from __future__ import annotations

import pytest
from label_studio_sam2.labelstudio.config.categories import categories


def config(*labels: str, tag: str = "BrushLabels") -> str:
    inside = "".join(f"<Label {label}/>" for label in labels)
    return f'<View><Image name="i" value="$i"/><{tag} name="t" toName="i">{inside}</{tag}></View>'


@pytest.mark.parametrize(
    ("labels", "numbers"),
    [
        (('value="b"', 'value="a"'), {"b": 1, "a": 2}),
        (('value="b" category="2"', 'value="a"', 'value="c"'), {"b": 2, "a": 1, "c": 3}),
        (('value="b" category="0"', 'value="a" category="7"'), {"b": 0, "a": 7}),
        (('value="b" category="2"', 'value="a" category="2"'), {"b": 2, "a": 1}),
        (('value="b" category="first"', 'value="a" category="-1"'), {"b": 1, "a": 2}),
        (('value="Personenkraftwagen" alias="car"', 'background="red"'), {"car": 1}),
    ],
)
def test_labels_are_numbered_in_their_order_or_as_they_say(
    labels: tuple[str, ...], numbers: dict[str, int]
) -> None:
    assert categories(config(*labels)) == numbers
    assert list(categories(config(*labels, tag="Labels"))) == list(numbers)


def test_choices_are_no_categories() -> None:
    assert categories(config('value="blurred"', tag="Choices")) == {}
