"""Every object of a picture: a grid of clicks is decoded, and of what comes out each sound mask is kept once.

The masks are those of `sam2.automatic_mask_generator.SAM2AutomaticMaskGenerator` with the same parameters (Segment
Anything, sections 4 and B). It upsamples all three masks of every click to the picture's size; here only those that
the model itself rates well are upsampled, and only the part of the picture that they cover.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from math import gcd

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torchvision.ops import nms

from label_studio_sam2.engine.image import zoom
from label_studio_sam2.engine.image.decoding import Prepared
from label_studio_sam2.engine.image.found_object import Edges, FoundObject
from label_studio_sam2.engine.image.grid import Grid, point_grid, windows
from label_studio_sam2.engine.image.zoom import Window
from label_studio_sam2.types import Bitmap, PackedMask, Point, Size

EDGE = 20.0
"""Pixels from a crop's edge within which a mask is taken for one that the crop cuts (sam2.utils.amg)."""

NEIGHBOURS = 8
"""Connectivity of small holes and islands (sam2.utils.amg.remove_small_regions)."""

Decode = Callable[[Prepared, NDArray[np.float32]], tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Clicks (B, 2) in pixels -> logits (B, 3, S, S) and predicted IoUs (B, 3): `image.decode_points` on the device."""


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A mask that passed the filters: its logits where they matter, and where that patch lies in the picture."""

    patch: NDArray[np.float32]
    size: Size
    x0: int
    y0: int
    edges: Edges
    score: float
    stability: float
    point: Point

    def bitmap(self) -> Bitmap:
        """Cut to the edges."""
        mask: Bitmap = _resized(self.patch, self.size) > 0
        x0, y0, x1, y1 = self.edges
        return mask[y0 - self.y0 : y1 + 1 - self.y0, x0 - self.x0 : x1 + 1 - self.x0]


def find(
    size: Size,
    grid: Grid,
    prepare: Callable[[Window], Prepared],
    decode: Decode,
    *,
    points_at_once: int,
) -> list[FoundObject]:
    """The objects of a picture, the best rated first.

    `prepare` gives a window of the picture, ready to be decoded, `decode` the masks of clicks on it; both may raise to
    break off.
    """
    candidates: list[_Candidate] = []
    areas: list[int] = []
    for window in windows(size, grid):
        prepared = prepare(window)
        here: list[_Candidate] = []
        clicks = point_grid(grid, window.layer) * (window.size.width, window.size.height)
        for at in range(0, len(clicks), points_at_once):
            batch = clicks[at : at + points_at_once].astype(np.float32)
            here += _sound(*decode(prepared, batch), batch, window=window, size=size, grid=grid)
        kept = [here[n] for n in _distinct([(c.edges, c.score) for c in here], grid.box_nms_thresh)]
        candidates += kept
        areas += [window.size.height * window.size.width] * len(kept)
    if grid.crop_n_layers or grid.zoom_layer:  # of one object's masks, that from the smallest crop
        rated = [(c.edges, 1 / area) for c, area in zip(candidates, areas, strict=True)]
        candidates = [candidates[n] for n in _distinct(rated, grid.crop_nms_thresh)]
    found: list[FoundObject] = []
    for one in sorted(_cleaned(candidates, grid), key=lambda one: -one.score):
        if grid.mask_nms_thresh == 1 or all(one.overlap(kept) <= grid.mask_nms_thresh for kept in found):
            found.append(one)
    return found


def without_small_regions(bitmap: Bitmap, area: int) -> Bitmap:
    """The mask without holes and islands of fewer pixels; of a mask that has only such islands, the largest."""
    holes, sizes = _regions(~bitmap)
    filled: Bitmap = bitmap | np.isin(holes, 1 + np.flatnonzero(sizes < area))
    islands, sizes = _regions(filled)
    if not (sizes < area).any():
        return filled
    large = 1 + np.flatnonzero(sizes >= area)
    return np.isin(islands, large if large.size else [1 + int(sizes.argmax())])


def _regions(bitmap: Bitmap) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """The number of each pixel's region, from 1, and the regions' sizes."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(bitmap.astype(np.uint8), connectivity=NEIGHBOURS)
    return labels, stats[1:, cv2.CC_STAT_AREA]


def _sound(
    logits: NDArray[np.float32],
    scores: NDArray[np.float32],
    clicks: NDArray[np.float32],
    *,
    window: Window,
    size: Size,
    grid: Grid,
) -> Iterable[_Candidate]:
    """Of a batch's masks those that are rated well, stable, and not cut by the crop."""
    for click, number in np.argwhere(scores > grid.pred_iou_thresh):
        patch = _patch(logits[click, number], window.size, grid.stability_score_offset)
        if patch is None:
            continue
        small, x0, y0, part = patch
        full = _resized(small, part)
        stability = _stability(full, grid.stability_score_offset)
        if stability < grid.stability_score_thresh:
            continue
        edges = Edges.of(full > 0, window.x0 + x0, window.y0 + y0)
        if edges is not None and not _seen_elsewhere(edges, window, size, grid):
            x, y = (float(place) for place in clicks[click])
            yield _Candidate(
                small,
                part,
                window.x0 + x0,
                window.y0 + y0,
                edges,
                float(scores[click, number]),
                stability,
                Point(window.x0 + x, window.y0 + y),
            )


def _patch(
    logits: NDArray[np.float32], size: Size, offset: float
) -> tuple[NDArray[np.float32], int, int, Size] | None:
    """The part of the logits (S, S) above the lower cutoff, where it begins in pixels, and its size in pixels.

    It begins and ends where low-resolution and full-resolution pixels begin together, and has a margin, so that
    resizing it gives what resizing everything would give. None where nothing is above the cutoff.
    """
    above = logits > -offset
    rows = _aligned(np.flatnonzero(above.any(axis=1)), logits.shape[0], size.height)
    columns = _aligned(np.flatnonzero(above.any(axis=0)), logits.shape[1], size.width)
    if rows is None or columns is None:
        return None
    (r0, r1, y0, y1), (c0, c1, x0, x1) = rows, columns
    return logits[r0:r1, c0:c1].copy(), x0, y0, Size(y1 - y0, x1 - x0)


def _aligned(used: NDArray[np.intp], low: int, full: int) -> tuple[int, int, int, int] | None:
    """Begin and end of the used indices with a margin of one, in low resolution and in full."""
    if not used.size:
        return None
    step = low // gcd(low, full)
    begin = max(0, int(used[0]) - 1) // step * step
    end = min(low, -(-(int(used[-1]) + 2) // step) * step)
    return begin, end, begin * full // low, end * full // low


def _resized(patch: NDArray[np.float32], size: Size) -> NDArray[np.float32]:
    full: NDArray[np.float32] = cv2.resize(patch, (size.width, size.height), interpolation=cv2.INTER_LINEAR)
    return full


def _stability(full: NDArray[np.float32], offset: float) -> float:
    """IoU of the masks above the higher and the lower cutoff; 0 where there is none."""
    lower = np.count_nonzero(full > -offset)
    return np.count_nonzero(full > offset) / lower if lower else 0.0


def _seen_elsewhere(edges: Edges, window: Window, size: Size, grid: Grid) -> bool:
    """Whether the crop cuts the mask, or is for what is smaller."""
    extent = 1 + max(edges.x1 - edges.x0, edges.y1 - edges.y0)
    large = window.layer > grid.crop_n_layers and zoom.ROOM * extent > max(window.size)
    return large or _cut(edges, window, size)


def _cut(edges: Edges, window: Window, size: Size) -> bool:
    """Whether the mask comes near an edge of the crop that isn't the picture's."""
    picture = (0, 0, size.width, size.height)
    return any(
        abs(edge - crop) <= EDGE < abs(edge - end)
        for edge, crop, end in zip(edges, window[1:], picture, strict=True)
    )


def _distinct(rated: Sequence[tuple[Edges, float]], overlap: float) -> list[int]:
    """Indices of the boxes that no better one overlaps by more, the best first."""
    if not rated:
        return []
    boxes = torch.tensor([edges for edges, _ in rated], dtype=torch.float32)
    kept: list[int] = nms(boxes, torch.tensor([score for _, score in rated]), overlap).tolist()
    return kept


def _cleaned(candidates: Sequence[_Candidate], grid: Grid) -> list[FoundObject]:
    """Full masks without small holes and islands; where that makes two alike, the one that needed it less goes on."""
    found, unchanged = [], []
    for candidate in candidates:
        before = candidate.bitmap()
        after = (
            without_small_regions(before, grid.min_mask_region_area) if grid.min_mask_region_area else before
        )
        edges = Edges.of(after, candidate.edges.x0, candidate.edges.y0)
        if edges is None:
            continue
        inner = after[
            edges.y0 - candidate.edges.y0 : edges.y1 + 1 - candidate.edges.y0,
            edges.x0 - candidate.edges.x0 : edges.x1 + 1 - candidate.edges.x0,
        ]
        found.append(
            FoundObject(PackedMask.of(inner), edges, candidate.score, candidate.stability, candidate.point)
        )
        unchanged.append(np.array_equal(before, after))
    if not grid.min_mask_region_area:
        return found
    # tuples of (unchanged, score) as one number: scores lie within 0 and 1
    rated = [(one.edges, same + one.score / 2) for one, same in zip(found, unchanged, strict=True)]
    return [found[n] for n in _distinct(rated, grid.box_nms_thresh)]
