"""What each token of a picture is about, and what that makes of each query."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from demo_model.detector.network import GRID, PATCH
from demo_model.detector.vocabulary import SHAPES, Query, Thing
from demo_model.metrics import box_of
from demo_model.textures import Pixels

_OWNED = 0.3  # of a token's pixels that an object has, to be what the token is about
_TOUCHED = 0.04  # below this, a token has nothing to do with an object
NO, YES, EITHER = 0, 1, 2
OUTLINE = 8  # cells a side of an object's box
_CELLS = 4  # a side of a token
WINDOW = 3 * _CELLS  # cells a side of a token and its neighbours
_SHAPE_NUMBERS = {shape: number for number, shape in enumerate(SHAPES)}


@dataclass(frozen=True)
class Targets:
    """Of B pictures with T tokens. Objects are numbered through all pictures; the last number is nobody's."""

    owner: Tensor  # (B, T): the object that a token is about, or nobody
    touching: Tensor  # (B, T): the object that a token nobody owns shows a little of, or nobody
    boxes: Tensor  # (objects + 1, 4): centre x and y, width, height as shares of the side
    shapes: Tensor  # (objects + 1,): number of its shape; as many as there are for none
    outlines: Tensor  # (objects + 1, OUTLINE²): what each object fills of its box's cells, 0 to 1
    windows: Tensor  # (B, T, WINDOW²): which cells around a token its object fills, 0 or 1
    things: tuple[Thing, ...]

    @classmethod
    def of(cls, labels: Pixels, things: list[list[Thing]]) -> Targets:
        """From the labels (B, side, side) of pictures and what is in each."""
        every = tuple(thing for picture in things for thing in picture)
        nobody = len(every)
        owners, touching, boxes, outlines, first = [], [], [], [], 0
        for picture, inside in zip(labels, things, strict=True):
            owned, touched = _tokens(picture, len(inside))
            owners.append(np.where(owned >= 0, owned + first, nobody))
            touching.append(np.where(touched >= 0, touched + first, nobody))
            for number in range(1, len(inside) + 1):
                box, outline = _box_and_outline(picture == number)
                boxes.append(box)
                outlines.append(outline)
            first += len(inside)
        shapes = [_SHAPE_NUMBERS.get(thing.shape or "", len(SHAPES)) for thing in every]
        owner = torch.from_numpy(np.stack(owners))
        return cls(
            owner,
            torch.from_numpy(np.stack(touching)),
            torch.tensor([*boxes, (0.5, 0.5, 0.1, 0.1)]),
            torch.tensor([*shapes, len(SHAPES)]),
            torch.from_numpy(np.stack([*outlines, np.zeros(OUTLINE**2, np.float32)])),
            _windows(labels, [len(inside) for inside in things], owner),
            every,
        )

    def answers(self, queries: list[Query]) -> Tensor:
        """(B, T, queries): whether a token should say NO, YES or EITHER."""
        table = torch.tensor([[_ANSWERS[query.fits(thing)] for query in queries] for thing in self.things])
        table = torch.cat([table.view(-1, len(queries)), torch.zeros(1, len(queries), dtype=torch.long)])
        return torch.where(table[self.touching] != NO, EITHER, table[self.owner])


_ANSWERS = {False: NO, True: YES, None: EITHER}


def pixel_values(images: Pixels, mean: list[float], std: list[float]) -> Tensor:
    """(B, 3, H, W) normalised, from (B, H, W, 3) uint8."""
    values = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
    return (values - torch.tensor(mean).view(-1, 1, 1)) / torch.tensor(std).view(-1, 1, 1)


def _tokens(labels: Pixels, objects: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(T,) twice: the number from 0 of the object that owns a token, and that touches one that nobody owns; or -1."""
    blocks = labels.reshape(GRID, PATCH, GRID, PATCH).swapaxes(1, 2).reshape(GRID * GRID, PATCH * PATCH)
    numbered = np.arange(GRID * GRID)[:, None] * (objects + 1) + blocks
    counts = np.bincount(numbered.ravel(), minlength=GRID * GRID * (objects + 1)).reshape(GRID * GRID, -1)
    shares = counts[:, 1:] / PATCH**2
    if not objects:
        return np.full(GRID * GRID, -1), np.full(GRID * GRID, -1)
    most, largest = shares.argmax(1), shares.max(1)
    owned = np.where(largest >= _OWNED, most, -1)
    for number in set(range(objects)) - set(owned.tolist()):
        owned[shares[:, number].argmax()] = number  # the best that a thin or small one has
    return owned, np.where((owned < 0) & (largest >= _TOUCHED), most, -1)


def _box_and_outline(
    mask: NDArray[np.bool_],
) -> tuple[tuple[float, float, float, float], NDArray[np.float32]]:
    """Centre, width and height as shares of the side; and what is filled of each of the box's cells, (OUTLINE²,)."""
    left, top, right, bottom = box_of(mask)
    cells = cv2.resize(
        mask[top:bottom, left:right].astype(np.float32), (OUTLINE, OUTLINE), interpolation=cv2.INTER_AREA
    )
    side = len(mask)
    box = (left + right) / 2 / side, (top + bottom) / 2 / side, (right - left) / side, (bottom - top) / side
    return box, np.asarray(cells, np.float32).ravel()


def _windows(labels: Pixels, objects: list[int], owner: Tensor) -> Tensor:
    """(B, T, WINDOW²): 1 where the middle of a cell belongs to the token's owner."""
    step = PATCH // _CELLS
    firsts = torch.tensor([0, *objects[:-1]]).cumsum(0).view(-1, 1, 1)
    cells = torch.from_numpy(labels[:, step // 2 :: step, step // 2 :: step]).long()
    numbers = torch.where(cells > 0, cells - 1 + firsts, -1)
    padded = F.pad(numbers, (_CELLS,) * 4, value=-1)
    windows = padded.unfold(1, WINDOW, _CELLS).unfold(2, WINDOW, _CELLS)
    return (windows.reshape(*owner.shape, -1) == owner[..., None]).float()
