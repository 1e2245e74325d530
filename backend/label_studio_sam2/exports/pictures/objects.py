"""The objects among a picture's regions: each once, with its parts, without what only prompted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from label_studio_sam2.errors import PromptError
from label_studio_sam2.exports.pictures.doubles import Drawn, without_doubles
from label_studio_sam2.exports.pictures.prompting import Kind, kind_of, prompted, unanswered
from label_studio_sam2.exports.report import Lack, Report
from label_studio_sam2.exports.rle import Rle
from label_studio_sam2.labelstudio.config.controls import LabelingConfig
from label_studio_sam2.labelstudio.regions.depicted import Depicted
from label_studio_sam2.labelstudio.regions.values import mask_from_value, outline
from label_studio_sam2.types import Size


def objects_in(
    regions: Sequence[Depicted], size: Size, config: LabelingConfig | None, report: Report, where: str
) -> list[Drawn]:
    """In the order of the regions. `where` names the picture in the report, which is told what is missing."""
    kinds = {one.id: kind_of(one, regions, config) for one in regions}
    drawn = list(_drawn([one for one in regions if kinds[one.id] is not Kind.PROMPT], size, report, where))
    masks = [one for one in drawn if kinds[one.region.id] is Kind.OBJECT]
    perhaps = [one for one in drawn if kinds[one.region.id] is Kind.EITHER and not prompted(one, masks)]
    order = {one.id: place for place, one in enumerate(regions)}
    objects = sorted([*masks, *perhaps], key=lambda one: order[one.region.id])
    found = without_doubles(_with_parts(objects))
    for prompt in (one for one in regions if kinds[one.id] is Kind.PROMPT):
        report.lack(Lack.UNANSWERED, f"{where}, region {prompt.id}", times=unanswered(prompt, found, size))
    return found


def _drawn(regions: Sequence[Depicted], size: Size, report: Report, where: str) -> Iterator[Drawn]:
    for region in regions:
        try:
            bitmap = mask_from_value(region.value, size)
            ring = outline(region.value, size)
        except PromptError as error:
            report.lack(Lack.UNREADABLE, f"{where}, region {region.id}: {error.detail}")
            continue
        mask = None if bitmap is None else Rle.of(bitmap)
        report.lack(Lack.EMPTY, f"{where}, region {region.id}", times=mask is None)
        if mask is not None:
            yield Drawn(region, mask, () if ring is None else (ring,))


def _with_parts(drawn: Sequence[Drawn]) -> list[Drawn]:
    """A region that was put below another of the same label and shape, in the editor's list, is a part of that."""
    by_id = {one.region.id: one for one in drawn}
    parts: dict[str, list[Drawn]] = {}
    for one in drawn:
        parts.setdefault(_whole(one, by_id), []).append(one)
    return [_together(one, parts[one.region.id]) for one in drawn if one.region.id in parts]


def _whole(one: Drawn, by_id: Mapping[str, Drawn]) -> str:
    """The id of what a region is a part of, its own where it is none."""
    seen = [one.region.id]
    while (above := by_id.get(one.region.parent or "")) is not None:
        if (above.region.labels, above.region.shape) != (one.region.labels, one.region.shape):
            break
        if above.region.id in seen:
            return min(seen)
        seen.append(above.region.id)
        one = above
    return one.region.id


def _together(whole: Drawn, parts: Sequence[Drawn]) -> Drawn:
    if len(parts) == 1:
        return whole
    mask = Rle.of(np.logical_or.reduce([part.mask.bitmap() for part in parts]))
    assert mask is not None
    return Drawn(whole.region, mask, tuple(ring for part in parts for ring in part.rings))
