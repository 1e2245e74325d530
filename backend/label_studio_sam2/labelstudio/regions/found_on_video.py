"""What words found on a frame of a video, as the region that its track is answered in: as if somebody had drawn it."""

from __future__ import annotations

from hashlib import blake2b

from label_studio_sam2.errors import LabelConfigError
from label_studio_sam2.geometry import pixels_to_percent
from label_studio_sam2.labelstudio.config.controls import Control, LabelingConfig, ObjectTag
from label_studio_sam2.labelstudio.regions.video_regions import VideoRegion
from label_studio_sam2.types import Box, Size

DECIMALS = 4


def control_of(config: LabelingConfig, tag: ObjectTag) -> Control:
    """The tag that tracks of a video are answered on. Raises LabelConfigError where there is none."""
    for control in config.outputs(tag.name):
        if control.tag.object == "Video":
            return control
    raise LabelConfigError(
        f'No tag can show on "{tag.name}" what words find. Add <VideoRectangle name="box" toName="{tag.name}"/> to the '
        "labeling config."
    )


def labels_of(label: str | None, config: LabelingConfig, tag: ObjectTag) -> tuple[str, ...]:
    """What the words say, else what `model_label` does, else the only one there is."""
    named = label or config.options(tag.name).label
    of_tag = config.labels_tag(tag.name)
    known = of_tag.labels if of_tag else ()
    return (named,) if named else known if len(known) == 1 else ()


def region(  # noqa: PLR0917  each is what a region needs
    box: Box, size: Size, number: int, config: LabelingConfig, tag: ObjectTag, label: str | None, name: str
) -> VideoRegion:
    """The object with this box on the editor's frame `number`. Its id is the same wherever the `name`, of what found it
    and where, is."""
    control, labels = control_of(config, tag), labels_of(label, config, tag)
    (x, y), far = pixels_to_percent([(box.x0, box.y0), (box.x1, box.y1)], size).round(DECIMALS).tolist()
    seed = repr((name, number, tag.name, control.name, labels))
    keyframe = {
        "frame": number,
        "enabled": True,
        "rotation": 0,
        "x": x,
        "y": y,
        "width": round(far[0] - x, DECIMALS),
        "height": round(far[1] - y, DECIMALS),
    }
    value = {"sequence": [keyframe], **({"labels": list(labels)} if labels else {})}
    return VideoRegion.parse(
        {
            "id": blake2b(seed.encode(), digest_size=6).hexdigest(),
            "from_name": control.name,
            "to_name": tag.name,
            "type": control.tag.region_type,
            "value": value,
        }
    )
