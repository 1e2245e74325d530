"""Labeling configs that work as they are: smart tools only where Label Studio 1.23.2 has one that prompts.

The prompts come first, so that a smart tool is what the editor starts with, and `smartOnly` leaves no plain tool
beside it that would draw a point or a box and ask nobody. Outputs are `smart="false"`: their smart tools send nothing.

What is exported right decides where the labels stand. An accepted region takes on every label that is selected, so
that prompts with labels of their own leave a second result behind, and KeyPointLabels turn Label Studio's converter to
key points: outlines and boxes have one Labels tag for all tools. Its brush exports want BrushLabels, and ignore the
rest. A text field above the picture keeps clear of the tools, which would lie over its button.
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

    @property
    def counts_frames(self) -> bool:
        return "{frame_rate}" in self.config

    def with_labels(self, labels: Sequence[str] = LABELS, frame_rate: float = FRAME_RATE) -> str:
        """The labeling config with these labels in every control; a video's frames are counted at `frame_rate`."""
        tags = (
            f"<Label value={quoteattr(label)} background={quoteattr(COLOURS[number % len(COLOURS)])}/>"
            for number, label in enumerate(labels)
        )
        return self.config.replace("{labels}", "".join(tags)).replace("{frame_rate}", f"{frame_rate:g}")


BRUSH = """<View>
  <Image name="image" value="$image" zoom="true"/>
  <View style="display: flex; flex-wrap: wrap; gap: 2em">
    <View>
      <Header value="Click on it (Alt+click: not this)" size="6"/>
      <KeyPointLabels name="click" toName="image" smart="true" smartOnly="true">{labels}</KeyPointLabels>
    </View>
    <View>
      <Header value="Draw a box around it" size="6"/>
      <RectangleLabels name="box" toName="image" smart="true" smartOnly="true">{labels}</RectangleLabels>
    </View>
    <View>
      <Header value="Correct it with brush and eraser" size="6"/>
      <BrushLabels name="result" toName="image" smart="false">{labels}</BrushLabels>
    </View>
  </View>
</View>"""


def _named(outputs: str) -> Template:
    """One Labels tag names what every tool draws, so that a tool stays chosen from label to label."""
    return Template(
        f"""<View>
  <Header value="Choose a label, then click on it (Alt+click: not this) or draw a box around it" size="6"/>
  <Labels name="label" toName="image">{{labels}}</Labels>
  <Image name="image" value="$image" zoom="true"/>
  <KeyPoint name="click" toName="image" smart="true" smartOnly="true"/>
  <Rectangle name="box" toName="image" smart="true" smartOnly="true"/>
  {outputs}
</View>""",
    )


TEMPLATES: Mapping[str, Template] = {
    "brush": Template(BRUSH),
    "bitmask": _named('<Bitmask name="result" toName="image" smart="false"/>'),
    "polygon": _named(
        """<Header value="Draw an outline by hand" size="6"/>
  <PolygonLabels name="result" toName="image" smart="false">{labels}</PolygonLabels>"""
    ),
    "boxes": _named('<Rectangle name="result" toName="image" smart="false"/>'),
    "words": Template(
        """<View>
  <View style="margin-right: 7em">
    <Header value="Write what to find and press Add, or click on it (Alt+click: not this)" size="6"/>
    <TextArea name="words" toName="image" editable="true" rows="1" showSubmitButton="true"/>
  </View>
  <Image name="image" value="$image" zoom="true"/>
  <KeyPointLabels name="click" toName="image" smart="true" smartOnly="true">{labels}</KeyPointLabels>
  <BrushLabels name="result" toName="image" smart="false">{labels}</BrushLabels>
</View>""",
    ),
    "video": Template(
        """<View>
  <Header value="Draw a box around it, select the box, then choose its label: that starts the tracking" size="6"/>
  <Labels name="label" toName="video" allowEmpty="true">{labels}</Labels>
  <Video name="video" value="$video" framerate="{frame_rate}"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>""",
    ),
    "video-words": Template(
        """<View>
  <Header value="Write what to find and press Add; or draw a box, select it, then choose its label" size="6"/>
  <TextArea name="words" toName="video" editable="true" rows="1" maxSubmissions="1" showSubmitButton="true"/>
  <Labels name="label" toName="video" allowEmpty="true">{labels}</Labels>
  <Video name="video" value="$video" framerate="{frame_rate}"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>""",
    ),
}
