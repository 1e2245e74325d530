"""Labeling configs that work as they are: smart tools only where Label Studio 1.23.2 has one that prompts.

The prompts come first, so that a smart tool is what the editor starts with, and `smartOnly` leaves no plain tool
beside it that would draw a point or a box and ask nobody. Outputs are `smart="false"`: their smart tools send nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

LABELS = ("Object",)
DEFAULT = "brush"
FRAME_RATE = 25.0
COLOURS = ("#1f77ff", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#17becf", "#e377c2", "#bcbd22")


class Template(NamedTuple):
    """A config with `{labels}` and `{frame_rate}` where they go."""

    config: str

    def with_labels(self, labels: Sequence[str] = LABELS, frame_rate: float = FRAME_RATE) -> str:
        """The labeling config with these labels in every control; a video's frames are counted at `frame_rate`."""
        tags = (
            f"<Label value={quoteattr(label)} background={quoteattr(COLOURS[number % len(COLOURS)])}/>"
            for number, label in enumerate(labels)
        )
        return self.config.replace("{labels}", "".join(tags)).replace("{frame_rate}", f"{frame_rate:g}")


def _image(output: str, hint: str) -> Template:
    return Template(
        f"""<View>
  <Image name="image" value="$image" zoom="true"/>
  <View style="display: flex; flex-wrap: wrap; gap: 2em">
    <View>
      <Header value="Click on it (Alt+click: not this)" size="6"/>
      <KeyPointLabels name="click" toName="image" smart="true" smartOnly="true">{{labels}}</KeyPointLabels>
    </View>
    <View>
      <Header value="Draw a box around it" size="6"/>
      <RectangleLabels name="box" toName="image" smart="true" smartOnly="true">{{labels}}</RectangleLabels>
    </View>
    <View>
      <Header value="{hint}" size="6"/>
      <{output} name="result" toName="image" smart="false">{{labels}}</{output}>
    </View>
  </View>
</View>""",
    )


TEMPLATES: Mapping[str, Template] = {
    "brush": _image("BrushLabels", "Correct it with brush and eraser"),
    "bitmask": _image("BitmaskLabels", "Correct it with brush and eraser"),
    "polygon": _image("PolygonLabels", "Correct its corners"),
    "boxes": _image("RectangleLabels", "Correct its edges"),
    "video": Template(
        """<View>
  <Header value="Draw a box around it, select the box, then choose its label: that starts the tracking" size="6"/>
  <Labels name="label" toName="video" allowEmpty="true">{labels}</Labels>
  <Video name="video" value="$video" framerate="{frame_rate}"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>""",
    ),
}
