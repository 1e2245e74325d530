"""Where everything mode clicks: a grid of points on the picture, and on crops of a large one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from label_studio_sam2.engine.image import zoom
from label_studio_sam2.engine.image.zoom import Window
from label_studio_sam2.engine.model import Model
from label_studio_sam2.settings import DEMO
from label_studio_sam2.types import Size, Zoom

CROPPED_FROM = 2
"""A picture whose shorter side is this many times the model's is searched in crops too, by default."""

DEMO_GRID: dict[str, Any] = {
    "points_per_side": 16,
    "stability_score_thresh": 0.8,
    "box_nms_thresh": 0.5,
    "mask_nms_thresh": 0.5,
}
"""The demo model's edges are softer than those of real checkpoints, and its small objects larger."""


@dataclass(frozen=True, slots=True)
class Grid:
    """How densely to click and what to keep. Names and defaults are SAM2AutomaticMaskGenerator's.

    `min_mask_region_area` (pixels): smaller holes are filled and smaller islands removed, after which duplicates
    are removed again; in the package this part needs its CUDA extension. 0: masks stay as they are.
    Ours are `mask_nms_thresh`: of two masks, not only boxes, that overlap by more, the better one is kept (1: both);
    and `zoom_layer`: small things are looked for in windows of that layer, side by side, as clicks look at them; it is
    deeper than any crop (0: they are not).
    """

    points_per_side: int = 32
    pred_iou_thresh: float = 0.8
    stability_score_thresh: float = 0.95
    stability_score_offset: float = 1.0
    box_nms_thresh: float = 0.7
    crop_n_layers: int = 0
    crop_nms_thresh: float = 0.7
    crop_overlap_ratio: float = 512 / 1500
    crop_n_points_downscale_factor: int = 1
    min_mask_region_area: int = 0
    mask_nms_thresh: float = 1.0
    zoom_layer: int = 0

    @classmethod
    def of(cls, size: Size, model: Model, look: Zoom = "auto") -> Grid:
        """What a model searches a picture of this size with: a large one in four crops besides, each with half the
        clicks a side; and one in which small things get a second look for those in its windows, with a quarter."""
        layer = zoom.PAYS_FROM["auto"]
        zoomed = zoom.deepest(size, model.image_size, look) >= layer
        large = min(size) >= CROPPED_FROM * model.image_size
        grid = cls(
            crop_n_layers=int(large),
            zoom_layer=layer if zoomed else 0,
            crop_n_points_downscale_factor=2,
            min_mask_region_area=100,
            mask_nms_thresh=0.7,
        )
        return replace(grid, **DEMO_GRID) if model.name == DEMO else grid


def windows(size: Size, grid: Grid) -> list[Window]:
    """The picture, for each crop layer n the 4**n overlapping crops that cover it, and the windows for small things."""
    cuts = [Window(0, 0, 0, size.width, size.height)]
    for layer in range(1, grid.crop_n_layers + 1):
        across = 2**layer
        overlap = int(grid.crop_overlap_ratio * min(size) * (2 / across))
        height, width = (ceil((overlap * (across - 1) + side) / across) for side in size)
        cuts += [
            Window(layer, x0, y0, min(x0 + width, size.width), min(y0 + height, size.height))
            for x0 in ((width - overlap) * n for n in range(across))
            for y0 in ((height - overlap) * n for n in range(across))
        ]
    return cuts + (zoom.tiles(grid.zoom_layer, size) if grid.zoom_layer else [])


def point_grid(grid: Grid, layer: int) -> NDArray[np.float64]:
    """(N, 2) places x, y between 0 and 1, row by row."""
    side = max(1, int(grid.points_per_side / grid.crop_n_points_downscale_factor**layer))
    steps = np.linspace(1 / (2 * side), 1 - 1 / (2 * side), side)
    return np.stack(np.meshgrid(steps, steps), axis=-1).reshape(-1, 2)
