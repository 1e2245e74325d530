"""The use case: annotations of pictures become a folder of one of the formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from label_studio_sam2.errors import ServiceError
from label_studio_sam2.exports import folder
from label_studio_sam2.exports.categories import UNLABELLED, Categories
from label_studio_sam2.exports.colours import GOLDEN
from label_studio_sam2.exports.format import Format
from label_studio_sam2.exports.pictures import coco, masks, overlay, voc, yolo
from label_studio_sam2.exports.pictures.doubles import Drawn
from label_studio_sam2.exports.pictures.instance import Instance
from label_studio_sam2.exports.pictures.objects import objects_in
from label_studio_sam2.exports.pictures.picture import TRAIN, VAL, File, LabelledPicture, Target
from label_studio_sam2.exports.pictures.places import Place, places_of
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.sources import Sources
from label_studio_sam2.exports.submitted import Annotations, Submitted
from label_studio_sam2.labelstudio.config.categories import categories

Write = Callable[[Iterable[LabelledPicture], Target, Report], None]
"""Writes pictures into an empty folder, and counts in the report what it wrote."""


class Form(NamedTuple):
    """`images` is where a format has its pictures, a folder a side where `{side}` stands in it."""

    write: Write
    images: str = "images"


FORMS: Mapping[Format, Form] = {
    Format.COCO: Form(coco.write),
    Format.COCO_POLYGONS: Form(coco.write_polygons),
    Format.YOLO: Form(yolo.write, "images/{side}"),
    Format.YOLO_BOX: Form(yolo.write_boxes, "images/{side}"),
    Format.YOLO_OBB: Form(yolo.write_turned_boxes, "images/{side}"),
    Format.VOC: Form(voc.write, "JPEGImages"),
    Format.PNG: Form(masks.write_each),
    Format.SEMANTIC: Form(masks.write_semantic),
    Format.OVERLAY: Form(overlay.write),
}


@dataclass(frozen=True)
class Wish:
    """What is wanted: `images` also writes the pictures themselves, `val` is the share of tasks (0 to 1) that is set
    apart, `label_config` what the project's editor shows, where it is at hand."""

    form: Format
    label_config: str | None = None
    val: float = 0.0
    images: bool = False

    @property
    def sides(self) -> tuple[str, ...]:
        return (TRAIN, VAL) if self.val else (TRAIN,)


def write(
    submitted: Annotations,
    out: Path,
    wish: Wish,
    sources: Sources,
    *,
    report: Report,
    watch: Callable[[int, int], None] = lambda _done, _of: None,
) -> None:
    """Writes into `out`, a folder that is made or empty; without a picture to write, it stays empty.

    Raises RequestError where the folder holds something, LabelConfigError where the labeling config can't be read.
    """
    known = categories(wish.label_config) if wish.label_config is not None else {}
    target = Target(folder.empty(out), Categories(known), wish.sides)
    reading = Reading(wish, sources, target, report)

    def pictures() -> Iterator[LabelledPicture]:
        for number, one in enumerate(submitted):
            watch(number, len(submitted))
            yield from reading.pictures(one, number)
        watch(len(submitted), len(submitted))

    FORMS[wish.form].write(pictures(), target, report)
    if not report.pictures:
        folder.clear(out)
    for side in set(target.sides) - reading.sides if wish.val else ():
        report.lack(Lack.NO_SIDE, side)


@dataclass
class Reading:
    """Annotations to pictures, one after the other."""

    wish: Wish
    sources: Sources
    target: Target
    report: Report
    taken: set[str] = field(default_factory=set)
    sides: set[str] = field(default_factory=set)

    def pictures(self, submitted: Submitted, number: int) -> Iterator[LabelledPicture]:
        task = number if submitted.task is None else submitted.task
        side = VAL if task * GOLDEN % 1 < self.wish.val else TRAIN
        for place in places_of(submitted, self.wish.label_config, self.report):
            picture = self._picture(place, submitted, side)
            if picture is not None:
                self.sides.add(side)
                yield picture

    def _picture(self, place: Place, submitted: Submitted, side: str) -> LabelledPicture | None:
        where = f"task {submitted.task}, annotation {submitted.id}"
        file = self._file(place, submitted.task)
        size = place.declared or (file.shown.size if file else None)
        if size is None:
            self.report.lack(Lack.NO_SIZE, where)
            return None
        if file is not None and file.shown.size != size:
            self.report.lack(Lack.OTHER_PICTURE, f"{where}: {file.shown.size} instead of {size}")
            file = None
        if file is None and self.wish.form is Format.OVERLAY:
            return None
        objects = objects_in(place.regions, size, place.config, self.report, where)
        name = self._name(place.address, file, submitted)
        if file is not None and self.wish.images and self.wish.form is not Format.OVERLAY:
            file.write(self.target.out / FORMS[self.wish.form].images.format(side=side) / name)
        instances = [self._instance(one, where) for one in objects]
        return LabelledPicture(name, side, size, instances, file, submitted.task, submitted.id, place.address)

    def _file(self, place: Place, task: int | None) -> File | None:
        if not self.sources.any:
            return None
        try:
            return File.of(place.address, task, self.sources)
        except ServiceError as error:
            self.report.lack(Lack.NO_PICTURE, f"task {task}: {error.detail}")
            return None

    def _name(self, address: str, file: File | None, submitted: Submitted) -> str:
        own = folder.media_name(address)
        own = folder.without_upload_prefix(own) if "/upload/" in address else own
        suffix = file.suffix if file else PurePosixPath(own).suffix.lower() or ".jpg"
        return folder.free_name(own, (submitted.task, submitted.id), self.taken) + suffix

    def _instance(self, one: Drawn, where: str) -> Instance:
        region, named = one.region, f"{where}, region {one.region.id}"
        self.report.lack(Lack.NO_LABEL, named, times=not region.labels)
        self.report.lack(Lack.SEVERAL_LABELS, named, times=len(region.labels) > 1)
        label = region.labels[0] if region.labels else UNLABELLED
        category = self.target.categories.of(label)
        return Instance(region.id, category, one.mask, one.rings, region.score, region.crowd)
