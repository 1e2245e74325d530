from __future__ import annotations

import pytest
from label_studio_sam2.errors import LabelConfigError, RequestError
from label_studio_sam2.labelstudio.config.controls import DEFAULT_FRAME_RATE
from label_studio_sam2.labelstudio.config.labeling_config import lint, parse
from label_studio_sam2.labelstudio.config.options import Options
from label_studio_sam2.labelstudio.config.templates import TEMPLATES

from tests.fakes.regions import BOXES, BRUSH, CLICKS, USUAL, config, labelled, predict_bodies

IMAGE = '<Image name="image" value="$image"/>'
VIDEO = '<Video name="video" value="$video" framerate="25.0"/>'
TRACKS = '<Labels name="lab" toName="video"><Label value="Car"/></Labels><VideoRectangle name="box" toName="video"/>'


def test_controls_come_with_their_labels_and_objects() -> None:
    parsed = parse(predict_bodies("ui_keypoint_positive_1")[0]["label_config"])
    assert list(parsed.controls) == ["tag", "tag2", "tag3"]
    assert parsed.controls["tag"].labels == ("Airplane", "Car")
    assert parsed.controls["tag"].smart is None
    assert parsed.controls["tag2"].smart is True
    assert parsed.object().address({"image": "/data/upload/1/a.png"}) == "/data/upload/1/a.png"


def test_capitals_of_tags_and_attributes_do_not_matter() -> None:
    parsed = config('<brushlabels name="b" toName="image" Smart="FALSE"><Label value="Car"/></brushlabels>')
    assert parsed.controls["b"].tag.name == "BrushLabels"
    assert parsed.controls["b"].smart is False


def test_an_alias_is_the_label_s_name() -> None:
    tag = '<BrushLabels name="b" toName="image"><View><Label value="Car" alias="c"/></View></BrushLabels>'
    assert config(tag).controls["b"].labels == ("c",)


def test_a_parsed_config_is_remembered() -> None:
    assert parse(f"<View>{IMAGE}{BRUSH}</View>") is parse(f"<View>{IMAGE}{BRUSH}</View>")


@pytest.mark.parametrize(
    ("rate", "counted"),
    [
        ('framerate="25.0"', 25.0),
        ('frameRate="29.97"', 29.97),
        ('framerate="0.04"', 25.0),
        ("", 24.0),
        ('framerate="x"', 24.0),
        ('framerate="-1"', 24.0),
    ],
)
def test_a_video_is_counted_by_its_framerate_or_its_seconds_a_frame_or_by_24(
    rate: str, counted: float
) -> None:
    parsed = parse(f'<View><Video name="v" value="$video" {rate}/></View>')
    assert (parsed.object("v").given_frame_rate or DEFAULT_FRAME_RATE) == counted
    assert parsed.object("v").kind == "Video"


@pytest.mark.parametrize(
    ("attributes", "data", "index", "address"),
    [
        ('value="$image"', {"image": "a.png"}, None, "a.png"),
        ('value="$image"', {"image": ["a.png", "b.png"]}, 1, "b.png"),
        ('valueList="$images"', {"images": ["a.png", "b.png"]}, 1, "b.png"),
        ('valueList="$images"', {"images": ["a.png", "b.png"]}, None, "a.png"),
        ('value="$meta.image"', {"meta": {"image": "a.png"}}, None, "a.png"),
        ('value="$meta.image"', {"meta.image": "a.png"}, None, "a.png"),
        ('value="https://example.com/a.png"', {}, None, "https://example.com/a.png"),
    ],
)
def test_an_object_finds_its_address_in_the_task(
    attributes: str, data: dict[str, object], index: int | None, address: str
) -> None:
    parsed = config(BRUSH, image=f'<Image name="image" {attributes}/>')
    assert parsed.object("image").address(data, index) == address


@pytest.mark.parametrize(
    "data", [{}, {"image": None}, {"image": ""}, {"image": 5}, {"image": []}, {"picture": "a.png"}]
)
def test_a_task_without_the_object_s_key_is_refused_by_that_key(data: dict[str, object]) -> None:
    with pytest.raises(RequestError, match='"image"'):
        USUAL.object("image").address(data)


@pytest.mark.parametrize("index", [2, -1])
def test_a_position_beyond_the_list_is_refused(index: int) -> None:
    parsed = config(BRUSH, image='<Image name="image" valueList="$images"/>')
    with pytest.raises(RequestError, match=f"position {index}"):
        parsed.object().address({"images": ["a.png", "b.png"]}, index)


def test_options_are_typed_and_the_first_of_several_counts() -> None:
    parsed = config(
        labelled(
            "BrushLabels", "b", model_score_threshold="0.5", model_candidates="3", Model_Everything="True"
        ),
        labelled("PolygonLabels", "p", model_vertices="50", model_candidates="2", model_masks="false"),
    )
    options = parsed.options("image")
    assert (options.score_threshold, options.candidates, options.everything) == (0.5, 3, True)
    assert (options.vertices, options.masks, options.label) == (50, False, None)
    assert parsed.controls["b"].options.vertices == Options().vertices


@pytest.mark.parametrize(
    "wrong", [None, "", "  ", "<View>", "text", "<View/>", '<?xml version="1.0" encoding="utf-8"?><a/>']
)
def test_a_config_that_can_not_be_used_is_refused_and_says_what_to_do(wrong: str | None) -> None:
    with pytest.raises(LabelConfigError, match="labeling config"):
        parse(wrong)
    (problem,) = lint(wrong)
    assert problem.severity == "error"
    assert problem.remedy


def test_an_entity_of_another_file_is_not_read() -> None:
    with pytest.raises(LabelConfigError):
        parse(
            '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/hostname">]><View><Image name="i" value="&x;"/></View>'
        )


@pytest.mark.parametrize(
    ("controls", "severity", "sentence", "remedy"),
    [
        ([], "error", "No tag that we know draws", "KeyPointLabels"),
        ([labelled("SuperMagic", "s")], "error", "No tag that we know draws", "BrushLabels"),
        ([CLICKS], "error", "No tag can show a mask", "BrushLabels"),
        ([BRUSH], "error", "No smart tag can prompt", "KeyPointLabels"),
        (
            [BRUSH, labelled("KeyPointLabels", "k", smart="false")],
            "error",
            "No smart tag can prompt",
            'smart="true"',
        ),
        (
            [CLICKS, labelled("PolygonLabels", "p", "Car", "Dog", smart="true")],
            "warning",
            "PolygonLabels",
            "false",
        ),
        ([CLICKS, BRUSH, labelled("BrushLabels", "b", to="img")], "warning", '"img"', "toName"),
        ([CLICKS, labelled("BrushLabels", "b", "Car")], "warning", "label Dog", '"b"'),
        ([CLICKS, '<Brush name="b" toName="image"/>'], "warning", "no labels", "<Labels"),
        (
            [CLICKS, labelled("BrushLabels", "b", "Car", "Dog", model_x="1")],
            "warning",
            "model_x",
            "model_vertices",
        ),
        (
            [CLICKS, labelled("BrushLabels", "b", "Car", "Dog", model_vertices="2")],
            "warning",
            "model_vertices",
            "3 to",
        ),
        (
            [CLICKS, labelled("BrushLabels", "b", "Car", "Dog", model_candidates="x")],
            "warning",
            "candidates",
            "1 to 3",
        ),
        (
            [CLICKS, labelled("BrushLabels", "b", "Car", "Dog", model_masks="maybe")],
            "warning",
            "masks",
            "true",
        ),
        (
            [CLICKS, labelled("BrushLabels", "b", "Car", "Dog", model_score_threshold="nan")],
            "warning",
            "score_threshold",
            "0 to 1",
        ),
        (
            [CLICKS, labelled("BrushLabels", "b", "Car", "Dog", model_label="Bus")],
            "warning",
            "Bus",
            "Car, Dog",
        ),
    ],
)
def test_lint_names_what_is_wrong_and_what_to_do(
    controls: list[str], severity: str, sentence: str, remedy: str
) -> None:
    problems = lint("<View>" + IMAGE + "".join(controls) + "</View>")
    found = [problem for problem in problems if sentence in problem.sentence]
    assert [problem.severity for problem in found] == [severity]
    assert remedy in found[0].remedy


def test_lint_puts_errors_first() -> None:
    problems = lint(f"<View>{IMAGE}{labelled('BrushLabels', 'b', smart='true')}</View>")
    assert [problem.severity for problem in problems] == ["error", "warning"]


def test_lint_asks_for_a_video_s_frame_rate() -> None:
    (problem,) = lint(f'<View><Video name="video" value="$video"/>{TRACKS}</View>')
    assert "framerate" in problem.remedy


@pytest.mark.parametrize(
    "label_config",
    [
        f"<View>{IMAGE}{CLICKS}{BOXES}{BRUSH}</View>",
        f"<View>{VIDEO}{TRACKS}</View>",
        predict_bodies("ui_keypoint_positive_1")[0]["label_config"],
        predict_bodies("ui_sep_brush_only_request")[0]["label_config"],
        predict_bodies("ui_video_two_keyframes")[0]["label_config"],
    ],
)
def test_lint_finds_nothing_wrong_with_a_right_config(label_config: str) -> None:
    assert lint(label_config) == []


@pytest.mark.parametrize("name", TEMPLATES)
def test_the_templates_have_nothing_wrong(name: str) -> None:
    assert lint(TEMPLATES[name].with_labels(("Car", "Person"))) == []


def test_labels_come_with_their_words() -> None:
    tag = """<BrushLabels name="b" toName="image"><Label value="Car" predicted_values=" jeep, Car,"/>
      <Label value="B-7" alias="bin"/></BrushLabels>"""
    assert config(tag).controls["b"].words == (("Car", "jeep"), ("bin", "B-7"))


@pytest.mark.parametrize(
    ("fields", "sentences"),
    [
        ('<TextArea name="a" toName="image"/>', []),
        ('<TextArea name="a" toName="image"/><TextArea name="b" toName="image"/>', ['"b"']),
        ('<TextArea name="a" toName="image"/><TextArea name="b" toName="image" smart="false"/>', []),
        ('<TextArea name="a" toName="image"/><TextArea name="b" toName="image" perRegion="true"/>', []),
        ('<TextArea name="a" toName="image" smart="false"/>', ["No smart tag"]),
    ],
)
def test_a_text_field_prompts_and_a_second_one_that_would_is_named(fields: str, sentences: list[str]) -> None:
    found = [problem.sentence for problem in lint(f"<View>{IMAGE}{BRUSH}{fields}</View>")]
    assert len(found) == len(sentences)
    assert all(part in sentence for part, sentence in zip(sentences, found, strict=True))


@pytest.mark.parametrize(
    ("fields", "sentences"),
    [
        ('<TextArea name="a" toName="video"/>', []),
        ('<TextArea name="a" toName="video"/><TextArea name="b" toName="video"/>', ['"b"']),
        ('<TextArea name="a" toName="video" smart="false"/>', ["No smart tag"]),
    ],
)
def test_a_text_field_of_a_video_prompts_where_its_boxes_dont(fields: str, sentences: list[str]) -> None:
    boxes = TRACKS.replace("<VideoRectangle", '<VideoRectangle smart="false" model_find_every="2.5"')
    found = [problem.sentence for problem in lint(f"<View>{VIDEO}{boxes}{fields}</View>")]
    assert len(found) == len(sentences)
    assert all(part in sentence for part, sentence in zip(sentences, found, strict=True))


@pytest.mark.parametrize("every", ["-1", "often", "nan", "1e9"])
def test_what_isnt_a_number_of_seconds_is_named(every: str) -> None:
    boxes = TRACKS.replace("<VideoRectangle", f'<VideoRectangle model_find_every="{every}"')
    (problem,) = lint(f"<View>{VIDEO}{boxes}</View>")
    assert f'model_find_every="{every}"' in problem.sentence
    assert "a number of seconds" in problem.remedy


def test_an_example_has_to_be_a_smart_rectangle() -> None:
    similar = BRUSH.replace("<BrushLabels", '<BrushLabels model_similar="true"')
    (problem,) = lint(f"<View>{IMAGE}{similar}{CLICKS}</View>")
    assert 'model_similar="true"' in problem.sentence


def test_only_a_list_of_pictures_can_be_followed() -> None:
    followed = BRUSH.replace("<BrushLabels", '<BrushLabels model_track="true"')
    (problem,) = lint(f"<View>{IMAGE}{followed}{CLICKS}</View>")
    assert 'model_track="true"' in problem.sentence
    listed = '<Image name="image" valueList="$images"/>'
    assert lint(f"<View>{listed}{followed}{BOXES}</View>") == []


def test_a_list_that_label_studio_could_not_export_is_named() -> None:
    listed = '<Image name="image" valueList="$images"/>'
    (problem,) = lint(f"<View>{listed}{BRUSH}{CLICKS}</View>")
    assert "fails to export" in problem.sentence
    assert lint(f"<View>{listed}{BRUSH}{CLICKS}{BOXES}</View>") == []
    assert lint(f"<View>{IMAGE}{BRUSH}{CLICKS}</View>") == []
