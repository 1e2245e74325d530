from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.labelstudio.config import config_xml
from label_studio_sam2.labelstudio.config.labeling_config import lint, parse

from tests.fakes.regions import BRUSH, CLICKS, labelled, pages

IMAGE = '<Image name="image" value="$image"/>'


DATA: dict[str, Any] = {"pages": [{"url": "one.png"}, {"url": "two.png"}, {"url": "three.png"}]}


@pytest.mark.parametrize(
    "attributes", [{}, {"indexFlag": "{{page}}"}, {"indexflag": "{{idx}}"}, {"mode": "list"}]
)
def test_a_repeater_shows_its_tags_once_for_each_item(attributes: dict[str, str]) -> None:
    config = parse(pages(**attributes), DATA)
    assert list(config.objects) == ["page_0", "page_1", "page_2"]
    assert [tag.address(DATA) for tag in config.objects.values()] == ["one.png", "two.png", "three.png"]
    assert [output.name for output in config.outputs("page_1")] == ["brush_1"]
    assert [prompt.name for prompt in config.prompts("page_2")] == ["click_2"]


def test_the_attribute_names_of_a_repeater_may_be_in_any_capitals() -> None:
    config = parse(
        pages().replace("on=", "ON=").replace("Repeater", "repeater").replace("toName", "toname"), DATA
    )
    assert [output.name for output in config.outputs("page_1")] == ["brush_1"]


def test_a_number_is_put_where_the_flag_stands_first_and_once_more_directly_in_the_repeater() -> None:
    """As `tagIntoObject` does: what lies deeper has it once."""
    twice = '<Image name="deep_{{idx}}" value="$x[{{idx}}][{{idx}}]"/>'
    deep, direct = (
        parse(f'<View><Repeater on="$x">{inside}</Repeater></View>', {"x": [["a", "b"], ["c", "d"]]})
        for inside in (f"<View>{twice}</View>", twice)
    )
    assert [tag.value for tag in deep.objects.values()] == ["$x[0][{{idx}}]", "$x[1][{{idx}}]"]
    assert [tag.value for tag in direct.objects.values()] == ["$x[0][0]", "$x[1][1]"]


def test_repeaters_stand_in_repeaters() -> None:
    page = '<Image name="i_{{d}}_{{p}}" value="$docs[{{d}}].pages[{{p}}]"/>'
    inner = f'<Repeater on="$docs[{{{{d}}}}].pages" indexFlag="{{{{p}}}}">{page}</Repeater>'
    config = f'<View><Repeater on="$docs" indexFlag="{{{{d}}}}">{inner}</Repeater></View>'
    data = {"docs": [{"pages": ["a"]}, {"pages": ["b", "c"]}]}
    found = parse(config, data).objects.values()
    assert [(tag.name, tag.address(data)) for tag in found] == [
        ("i_0_0", "a"),
        ("i_1_0", "b"),
        ("i_1_1", "c"),
    ]


def test_what_stands_beside_a_repeater_is_as_it_was() -> None:
    config = parse(pages().replace("<View><Repeater", f"<View>{IMAGE}{BRUSH}<Repeater"), DATA)
    assert list(config.objects) == ["image", "page_0", "page_1", "page_2"]
    assert config.outputs("image")[0].labels == ("Car", "Dog")


@pytest.mark.parametrize("data", [{}, {"pages": []}, {"pages": None}, {"pages": 5}, {"pages": {"url": "a"}}])
def test_a_task_without_the_repeater_s_list_is_refused_by_that_list(data: dict[str, Any]) -> None:
    with pytest.raises(LabelConfigError, match=r'no list under "\$pages"'):
        parse(pages(), data)


def test_lint_finds_nothing_wrong_with_a_repeater_that_works() -> None:
    assert lint(pages()) == []


@pytest.mark.parametrize(
    ("config", "sentence", "remedy"),
    [
        (pages(on="pages"), 'on="pages"', 'on="$pages"'),
        (pages(on=""), 'on=""', 'on="$pages"'),
        (pages('<Image name="same" value="$x"/>'), 'Image "same"', "{{idx}}"),
        (pages(indexFlag="{{n}}").replace('name="page_{{n}}"', 'name="page"'), 'Image "page"', "{{n}}"),
    ],
)
def test_lint_says_why_a_repeater_shows_one_page_or_none(config: str, sentence: str, remedy: str) -> None:
    errors = [problem for problem in lint(config) if problem.severity == "error"]
    assert any(sentence in problem.sentence and remedy in problem.remedy for problem in errors)


LARGE = {
    "characters": f"<View>{IMAGE}{BRUSH}{' ' * config_xml.LONGEST}</View>",
    "labels": f"<View>{IMAGE}{labelled('BrushLabels', 'b', *map(str, range(config_xml.MOST_ELEMENTS)))}</View>",
    "tags with a name": f"<View>{IMAGE}{BRUSH * config_xml.MOST_NAMED}</View>",
    "tags inside each other": "<View>" * 5_000 + IMAGE + "</View>" * 5_000,
    "never closed": "<View>" * 300_000,
}


@pytest.mark.parametrize("what", LARGE)
def test_a_config_beyond_its_bounds_is_refused_in_a_sentence(what: str) -> None:
    with pytest.raises(
        LabelConfigError, match=r"The labeling config has .*: at most \d+ are read\. Take out"
    ):
        parse(LARGE[what])
    (problem,) = lint(LARGE[what])
    assert problem.severity == "error"


@pytest.mark.parametrize(
    ("data", "inside"),
    [
        ({"pages": [{}] * 1_000_000}, ""),
        ({"pages": "x" * 1_000_000}, ""),
        ({"pages": [[0] * 1_000] * 1_000}, '<Repeater on="$pages[{{idx}}]"><View/></Repeater>'),
        ({"pages": [[0] * 1_000_000]}, '<Repeater on="$pages[{{idx}}]"></Repeater>'),
    ],
    ids=["a list", "a text", "lists in a list", "a list that shows nothing"],
)
def test_a_task_of_a_million_pages_is_refused_in_a_sentence(data: dict[str, Any], inside: str) -> None:
    with pytest.raises(LabelConfigError, match="at most"):
        parse(pages(inside), data)


def test_a_config_of_as_many_tags_as_may_be_is_read_and_checked_tag_by_tag() -> None:
    """Twice as many take about twice as long, however they hang together: nothing looks at all of them for each."""
    several = "".join(
        labelled(tag, f"{tag}{number}", f"L{number}")
        for number in range(1_000)
        for tag in ("BrushLabels", "KeyPointLabels")
    )
    config = parse(f"<View>{IMAGE}{several}</View>")
    assert len(config.outputs("image")) == 1_000
    assert lint(f"<View>{IMAGE}{several}</View>") == []


@pytest.mark.parametrize(
    "dtd",
    [
        "<!DOCTYPE View>",
        '<!DOCTYPE a [<!ENTITY x "y">]>',
        '<?pi?><!-- <View> --> <!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;">]>',
    ],
)
def test_a_dtd_is_refused_and_a_text_that_only_mentions_one_is_not(dtd: str) -> None:
    config = f"<View>{IMAGE}{BRUSH}{CLICKS}</View>"
    with pytest.raises(LabelConfigError, match="DTD"):
        parse(dtd + config)
    assert parse(
        config.replace("</View>", "<HyperText name='h'><![CDATA[<!DOCTYPE html>]]></HyperText></View>")
    )


@pytest.mark.parametrize(
    "odd", ['<?x name="a" toName="image"?>', '<?x name="a" value="$b"?>', '<!-- {"data": 5} -->']
)
def test_instructions_and_comments_are_passed_over(odd: str) -> None:
    assert list(parse(f"<View>{IMAGE}{BRUSH}{odd}</View>").controls) == ["brush"]


NAMES = st.sampled_from(["image", "a", "b", "", "a,b", "x,,", "{{idx}}", "$", "é"])
TAGS = st.sampled_from(
    [
        "View",
        "Image",
        "Video",
        "BrushLabels",
        "Brush",
        "Labels",
        "Label",
        "Choice",
        "Choices",
        "Repeater",
        "n:x",
    ]
) | st.sampled_from(
    ["KeyPointLabels", "RectangleLabels", "VideoRectangle", "Taxonomy", "Chat", "ReactCode", "Style"]
)
KEYS = st.sampled_from(
    ["name", "toName", "TONAME", "value", "valueList", "alias", "on", "indexFlag", "smart", "framerate"]
) | st.sampled_from(["perRegion", "whenTagName", "model_vertices", "model_x", "apiUrl"])
TEXTS = NAMES | st.sampled_from(["$image", "$images[0]", "$p[{{idx}}].u", "true", "1e9", "nan", "0"])
ATTRIBUTES = st.dictionaries(KEYS, TEXTS)
DATA_OF_TASKS = st.dictionaries(
    st.sampled_from(["p", "image", "images"]), st.lists(st.text(max_size=2)) | st.integers()
)


@st.composite
def elements(draw: st.DrawFn, deep: int = 3) -> str:
    tag = draw(TAGS)
    attributes = "".join(f' {key}="{value}"' for key, value in draw(ATTRIBUTES).items())
    inside = (
        "".join(draw(st.lists(elements(deep - 1), max_size=3)))
        if deep
        else draw(st.sampled_from(["", "text"]))
    )
    return f"<{tag}{attributes}>{inside}</{tag}>"


@pytest.mark.slow
@given(elements(), DATA_OF_TASKS)
def test_any_xml_is_a_config_or_refused_in_a_sentence(xml: str, data: dict[str, Any]) -> None:
    lint(xml)
    for given_ in (None, data):
        try:
            config = parse(f"<View>{IMAGE}{xml}</View>", given_)
        except LabelConfigError:
            continue
        for name in (*config.objects, None, 5, ["a", 5], {}, "image,a"):
            to_name = config.object(name).name
            config.outputs(to_name, None, ("Car",))
            config.prompts(to_name)
            config.options(to_name)
