from __future__ import annotations

import pytest
from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.labelstudio.config.labeling_config import parse
from label_studio_sam2.labelstudio.config.more_labels import with_more_labels
from label_studio_sam2.labelstudio.config.templates import TEMPLATES

SEPARATED = """<View>
  <!-- ours -->
  <Labels name="label" toName="image">
    <Label value="Car" background="red"/>
    <Label value="L&#39;auto"/>
  </Labels>
  <Brush name="brush" toName="image"/><KeyPoint name="click" toName="image" smart="true"/>
  <Choices name="kind" toName="image"><Choice value="day"/></Choices>
  <Image name="image" value="$image"/>
</View>"""


def test_only_the_new_label_is_written_and_all_else_stays_as_it_was() -> None:
    changed = with_more_labels(SEPARATED, ["Car", "Truck", "L'auto"])
    line = '\n    <Label value="Truck" background="#2ca02c"/>'
    assert changed == SEPARATED.replace('L&#39;auto"/>', 'L&#39;auto"/>' + line)
    assert with_more_labels(changed, ["Truck"]) == changed


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_template_takes_one_more(name: str) -> None:
    config = with_more_labels(TEMPLATES[name].with_labels(("Car",)), ["Truck"])
    assert config == TEMPLATES[name].with_labels(("Car", "Truck"))


def test_a_tag_that_lacks_a_label_which_others_have_gets_it() -> None:
    both = TEMPLATES["brush"].with_labels(("Car", "Truck"))
    lacking = both.replace('<Label value="Truck" background="#ff7f0e"/>', "", 1)
    assert with_more_labels(lacking, ["Truck"]) == both


def test_a_sign_that_closes_tags_may_stand_in_an_attribute() -> None:
    config = SEPARATED.replace('toName="image">\n', 'toName="image" title="a > b">\n')
    assert parse(with_more_labels(config, ["Truck"])).labels_tags[0].labels == ("Car", "L'auto", "Truck")


@pytest.mark.parametrize(
    "config",
    [
        '<View><Image name="image" value="$image"/></View>',
        '<View><Image name="i" value="$i"/><BrushLabels name="b" toName="i" value="$labels"/></View>',
    ],
)
def test_where_it_can_not_be_written_it_is_said(config: str) -> None:
    parse(config)
    with pytest.raises(LabelConfigError, match="Truck"):
        with_more_labels(config, ["Truck"])
