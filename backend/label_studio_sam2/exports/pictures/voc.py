"""Pascal VOC: a box an object in XML, and its pixels in two pictures of numbers.

Annotations/NAME.xml             its boxes count pixels from 1, both corners inside, as VOC's do
SegmentationClass/NAME.png       the category of each pixel, 0 for none (labels.txt has the others' names, from 1 on)
SegmentationObject/NAME.png      the object of each pixel, in the order of the XML
ImageSets/Main, …/Segmentation   the names of each side's pictures
JPEGImages/                      the pictures, where they were asked for
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from xml.etree.ElementTree import Element, ElementTree, SubElement, indent

from label_studio_sam2.exports.pictures.instance import Instance
from label_studio_sam2.exports.pictures.masks import number_picture
from label_studio_sam2.exports.pictures.picture import LabelledPicture, Target
from label_studio_sam2.exports.report import Lack, Report

MOST_OBJECTS = 254
"""In a picture of numbers: VOC's 255 is for pixels that don't count."""

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(pictures: Iterable[LabelledPicture], target: Target, report: Report) -> None:
    for folder in ("Annotations", "SegmentationClass", "SegmentationObject"):
        (target.out / folder).mkdir()
    names: dict[str, list[str]] = {side: [] for side in target.sides}
    for picture in pictures:
        ElementTree(_xml(picture)).write(
            target.out / "Annotations" / f"{picture.stem}.xml", encoding="utf-8", xml_declaration=True
        )
        _numbers(picture, target.out, report)
        names[picture.side].append(picture.stem)
        report.drew(len(picture.instances))
    for kind in ("Main", "Segmentation"):
        (target.out / "ImageSets" / kind).mkdir(parents=True)
        for side, stems in names.items():
            (target.out / "ImageSets" / kind / f"{side}.txt").write_text(_lines(stems), encoding="utf-8")
    (target.out / "labels.txt").write_text(_lines(target.categories.names()), encoding="utf-8")


def _lines(texts: Iterable[str]) -> str:
    return "".join(f"{text}\n" for text in texts)


def _numbers(picture: LabelledPicture, out: Path, report: Report) -> None:
    instances = picture.instances[:MOST_OBJECTS]
    report.lack(Lack.TOO_MANY, picture.name, len(picture.instances) - len(instances))
    objects = dict(enumerate(instances, start=1))
    number_picture(picture, objects.items(), out / "SegmentationObject" / f"{picture.stem}.png", report)
    classes = [(one.category.place + 1, one) for one in instances if one.category.place < MOST_OBJECTS]
    number_picture(picture, classes, out / "SegmentationClass" / f"{picture.stem}.png", Report())


def _xml(picture: LabelledPicture) -> Element:
    root = Element("annotation")
    _texts(root, folder="JPEGImages", filename=picture.name)
    _texts(SubElement(root, "source"), database="Label Studio", annotation=str(picture.annotation))
    _texts(SubElement(root, "size"), width=picture.size.width, height=picture.size.height, depth=3)
    _texts(root, segmented=1)
    for instance in picture.instances:
        _object(SubElement(root, "object"), instance)
    indent(root)
    return root


def _object(element: Element, instance: Instance) -> None:
    """A crowd is VOC's `difficult`: neither right nor wrong to find."""
    left, top, right, bottom = map(int, instance.mask.box)
    _texts(element, name=instance.label, pose="Unspecified", truncated=0, difficult=int(instance.crowd))
    _texts(SubElement(element, "bndbox"), xmin=left + 1, ymin=top + 1, xmax=right, ymax=bottom)


def _texts(element: Element, **texts: str | int) -> None:
    for name, text in texts.items():
        SubElement(element, name).text = NOT_XML.sub("�", str(text))
