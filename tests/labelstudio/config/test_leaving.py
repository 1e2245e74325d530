"""What Label Studio's own exports make of a config. That it is so is seen in tests/e2e/test_exports.py."""

from __future__ import annotations

import pytest
from label_studio_sam2.labelstudio.config.labeling_config import parse
from label_studio_sam2.labelstudio.config.leaving import leaving
from label_studio_sam2.labelstudio.config.templates import TEMPLATES

LABELS = '<Label value="Car"/>'
BARE = """<KeyPoint name="click" toName="image" smart="true"/><Rectangle name="box" toName="image" smart="true"/>"""
LABELLED = f"""<KeyPointLabels name="click" toName="image" smart="true">{LABELS}</KeyPointLabels>
<RectangleLabels name="box" toName="image" smart="true">{LABELS}</RectangleLabels>"""
NAMED = f'<Labels name="label" toName="image">{LABELS}</Labels>{BARE}'
BOX = f'<RectangleLabels name="box" toName="image" smart="true">{LABELS}</RectangleLabels>'


def config(prompts: str, output: str) -> str:
    inside = LABELS if output.endswith("Labels") else ""
    return f"""<View><Image name="image" value="$image"/>{prompts}
<{output} name="result" toName="image" smart="false">{inside}</{output}></View>"""


@pytest.mark.parametrize(
    ("template", "right"),
    [
        ("brush", ("Brush labels to PNG", "Brush labels to NumPy", "Brush labels to COCO")),
        ("words", ("Brush labels to PNG", "Brush labels to NumPy", "Brush labels to COCO")),
        ("bitmask", ()),
        ("polygon", ("COCO", "YOLO", "YOLOv8 OBB")),
        ("boxes", ("COCO", "YOLO", "YOLOv8 OBB", "Pascal VOC")),
    ],
)
def test_each_template_is_known_for_what_leaves_it_right(template: str, right: tuple[str, ...]) -> None:
    assert leaving(parse(TEMPLATES[template].with_labels()), "image") == (right, ())


@pytest.mark.parametrize(
    ("prompts", "output", "right", "why", "remedy"),
    [
        (
            LABELLED,
            "PolygonLabels",
            (),
            'leave PolygonLabels "result" out: KeyPointLabels',
            "--template polygon",
        ),
        (LABELLED, "RectangleLabels", (), "KeyPointLabels turn them to key points", "or `boxes`"),
        (NAMED, "Polygon", (), "they want PolygonLabels", "--template polygon"),
        (NAMED, "RectangleLabels", (), 'each object of RectangleLabels "result" twice', "--template boxes"),
        (BOX, "RectangleLabels", (), "twice", "--template boxes"),
        (
            NAMED,
            "BrushLabels",
            ("Brush labels to COCO",),
            "PNG and NumPy write each object",
            "Labels tag out",
        ),
    ],
)
def test_a_config_whose_exports_go_wrong_is_told_with_what_to_do(
    prompts: str, output: str, right: tuple[str, ...], why: str, remedy: str
) -> None:
    found = leaving(parse(config(prompts, output)), "image")
    assert found.right == right
    ((sentence, what_to_do),) = found.surprises
    assert why in sentence
    assert remedy in what_to_do


@pytest.mark.parametrize(
    ("prompts", "output", "right"),
    [
        (NAMED, "Brush", ("Brush labels to PNG", "Brush labels to NumPy")),
        (NAMED, "Rectangle", ("COCO", "YOLO", "YOLOv8 OBB", "Pascal VOC")),
        (NAMED, "EllipseLabels", ()),
        (LABELLED, "BrushLabels", ("Brush labels to PNG", "Brush labels to NumPy", "Brush labels to COCO")),
    ],
)
def test_a_config_whose_exports_are_right_or_not_offered_is_no_surprise(
    prompts: str, output: str, right: tuple[str, ...]
) -> None:
    assert leaving(parse(config(prompts, output)), "image") == (right, ())


def test_of_several_output_tags_each_tells_its_own() -> None:
    both = config(LABELLED, "BrushLabels").replace(
        "</View>",
        f'<PolygonLabels name="outline" toName="image" smart="false">{LABELS}</PolygonLabels></View>',
    )
    found = leaving(parse(both), "image")
    assert found.right == ("Brush labels to PNG", "Brush labels to NumPy", "Brush labels to COCO")
    assert ['"outline"' in sentence for sentence, _ in found.surprises] == [True]
