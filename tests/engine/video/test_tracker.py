from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeVar

import numpy as np
import pytest
import torch
from label_studio_sam2.engine.video.targets import Target, Targets
from label_studio_sam2.engine.video.tracker import Tracker
from label_studio_sam2.engine.video.tracking_network import Features
from label_studio_sam2.errors import PromptError
from label_studio_sam2.types import Bitmap, Box, FrameMask, PackedMask, Pixels, Point, Prompt, Size

from tests.fakes import networks
from tests.fakes.networks import demo_model
from tests.fakes.stock import Masks, initial_state, prompt_with, propagated

T = TypeVar("T")

COUNT = 18
Prompts = Mapping[str, Mapping[int, Prompt]]


@dataclass(frozen=True)
class Pictures:
    """A source of frames that are in memory."""

    pictures: tuple[Pixels, ...]

    @property
    def size(self) -> Size:
        return Size(*self.pictures[0].shape[:2])

    def __len__(self) -> int:
        return len(self.pictures)

    def frame(self, index: int) -> Pixels:
        return self.pictures[index]

    def frames(self, span: range) -> Iterator[Pixels]:
        return (self.pictures[index] for index in span)


@dataclass
class Counting:
    """An encode seam that counts what is computed and answers again from memory."""

    kept: dict[int, Features] = field(default_factory=dict)
    computed: list[int] = field(default_factory=list)

    def __call__(self, frame: int, compute: Callable[[], Features]) -> Features:
        if frame not in self.kept:
            self.computed.append(frame)
            self.kept[frame] = compute()
        return self.kept[frame]


@dataclass
class Always:
    """An encode seam that takes every frame for the first."""

    encode: Counting

    def __call__(self, _frame: int, compute: Callable[[], Features]) -> Features:
        return self.encode(0, compute)


class Scripted(torch.nn.Module):
    """An object score head that says what it is told to, one logit a call."""

    def __init__(self, logits: Sequence[float]) -> None:
        super().__init__()
        self.logits = iter(logits)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        return torch.full((len(tokens), 1), next(self.logits))


def masks_at(index: int) -> tuple[Bitmap, Bitmap]:
    """Two discs that pass each other."""
    rows, columns = np.mgrid[:120, :160]
    first = (rows - 50) ** 2 + (columns - 30 - 4 * index) ** 2 < 24**2
    second = (rows - 85 + index) ** 2 + (columns - 130 + 3 * index) ** 2 < 17**2
    return first & ~second, second


@cache
def video() -> Pictures:
    ground = np.random.default_rng(1).integers(60, 120, (120, 160, 3), np.uint8)
    pictures = []
    for index in range(COUNT):
        first, second = masks_at(index)
        picture = np.where(first[..., None], np.uint8((220, 60, 40)), ground)
        pictures.append(np.where(second[..., None], np.uint8((40, 90, 230)), picture))
    return Pictures(tuple(pictures))


@cache
def network(visible: float = 1.0) -> Any:
    """The demo network with the object score shifted: 1 sees the object everywhere, 0.2 here and there."""
    copied = copy.deepcopy(demo_model().network)
    head = copied.sam_mask_decoder.pred_obj_score_head.layers[-1]
    scores = [
        mask.score for masks in _tracked(copied, {"a": {0: mask(0)}}, range(1, COUNT)) for mask in masks
    ]
    logits = torch.logit(torch.tensor(scores).clamp(1e-6, 1 - 1e-6))
    head.bias.data += float(-logits.median() if visible < 1 else 5 - logits.min())
    copied.forward_image = once_each(copied.forward_image)
    return copied


def once_each(encode: Callable[[torch.Tensor], Any]) -> Callable[[torch.Tensor], Any]:
    """What the encoder makes of a frame, computed for the first test that has it: these tests are of what comes
    after."""
    kept: dict[bytes, Any] = {}

    def encoded(frames: torch.Tensor) -> Any:
        key = frames.numpy().tobytes()
        if key not in kept:
            kept[key] = encode(frames)
        return kept[key]

    return encoded


def mask(frame: int, number: int = 0) -> Prompt:
    return Prompt(mask=PackedMask.of(masks_at(frame)[number]))


def box(frame: int, number: int = 0) -> Prompt:
    rows, columns = np.nonzero(masks_at(frame)[number])
    return Prompt(box=Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))


def tracker(net: Any, source: Pictures | None = None, **seams: Any) -> Tracker:
    return networks.tracker(net, source or video(), **seams)


def targets(prompts: Prompts, span: range) -> Targets:
    return {name: Target(by, span) for name, by in prompts.items()}


def _tracked(net: Any, prompts: Prompts, span: range, **options: Any) -> Iterator[tuple[FrameMask, ...]]:
    return tracker(net, **options).follow(targets(prompts, span))


def masks_of(frames: Iterator[tuple[FrameMask, ...]]) -> dict[tuple[int, str], FrameMask]:
    return {(found.frame, found.object_id): found for masks in frames for found in masks}


def stock(net: Any, prompts: Prompts, source: Pictures | None = None, **where: Any) -> tuple[Masks, Any]:
    state = initial_state(net, (source or video()).pictures)
    prompt_with(net, state, prompts)
    return propagated(net, state, **where), state


def assert_equal(found: Mapping[tuple[int, str], FrameMask], expected: Masks) -> None:
    """Each mask but for single pixels on its edge: upsampling rounds in the last digit where a logit is nearly 0."""
    assert found.keys() == expected.keys()
    assert any(bitmap.any() for bitmap in expected.values())
    for key, bitmap in expected.items():
        assert np.count_nonzero(found[key].bitmap != bitmap) <= 2, key


CASES: dict[str, tuple[Prompts, range, dict[str, Any]]] = {
    "a box forward": ({"a": {0: box(0)}}, range(COUNT), {}),
    "a click forward": ({"a": {0: Prompt(points=(Point(80, 60),))}}, range(COUNT), {}),
    "clicks of both kinds": (
        {"a": {0: Prompt(points=(Point(80, 60), Point(20, 20, positive=False), Point(90, 50)))}},
        range(COUNT),
        {},
    ),
    "a box and a click": ({"a": {0: Prompt(points=(Point(80, 60),), box=box(0).box)}}, range(COUNT), {}),
    "a mask from the middle": ({"a": {11: mask(11)}}, range(11, COUNT), {"start_frame_idx": 11}),
    "backward from the middle": (
        {"a": {14: box(14)}},
        range(14, -1, -1),
        {"start_frame_idx": 14, "reverse": True},
    ),
    "several objects": ({"a": {0: box(0)}, "b": {0: mask(0, 1)}}, range(COUNT), {}),
    "several prompted frames": (
        {"a": {0: box(0), 13: mask(13), 7: box(7)}, "b": {0: mask(0, 1), 9: box(9, 1)}},
        range(COUNT),
        {},
    ),
    "several prompted frames backward": (
        {"a": {15: box(15), 9: mask(9)}, "b": {15: mask(15, 1), 17: box(17, 1)}},
        range(15, -1, -1),
        {"start_frame_idx": 15, "reverse": True},
    ),
    "an early prompt and a later start": (
        {"a": {0: box(0), 10: mask(10)}},
        range(10, COUNT),
        {"start_frame_idx": 10},
    ),
}


@pytest.mark.parametrize(
    ("name", "visible"),
    [*((name, 1.0) for name in CASES), pytest.param("several objects", 0.2, marks=pytest.mark.slow)],
    ids=str,
)
def test_masks_and_memory_equal_the_stock_predictors(name: str, visible: float) -> None:
    prompts, span, where = CASES[name]
    net = network(visible)
    at_work = tracker(net)

    found = masks_of(at_work.follow(targets(prompts, span)))

    expected, stock_state = stock(net, prompts, **where)
    assert_equal(found, expected)
    for number, bank in enumerate(at_work.banks.values()):
        last = stock_state["output_dict_per_obj"][number]["non_cond_frame_outputs"][span[-1]]
        # A single object's memory is the stock one to the last bit; a batch of several sums in another order.
        within = {"rtol": 0, "atol": 0 if len(prompts) == 1 else 0.02}
        torch.testing.assert_close(bank.tracked[span[-1]].logits, last["pred_masks"], **within)
        torch.testing.assert_close(bank.tracked[span[-1]].pointer, last["obj_ptr"], **within)
        torch.testing.assert_close(bank.tracked[span[-1]].memory, last["maskmem_features"], **within)


def test_a_clip_shorter_than_the_memory_equals_the_stock_predictors() -> None:
    short = Pictures(video().pictures[:4])

    found = masks_of(_tracked(network(), {"a": {0: box(0)}}, range(4), source=short))

    assert_equal(found, stock(network(), {"a": {0: box(0)}}, short)[0])


def test_more_prompted_frames_than_the_model_attends_to_equal_the_stock_predictors() -> None:
    net = copy.copy(network())
    net.max_cond_frames_in_attn = 3
    prompts = {"a": {frame: mask(frame) for frame in (0, 3, 5, 6, 11, 15)}}

    found = masks_of(_tracked(net, prompts, range(COUNT)))

    assert_equal(found, stock(net, prompts)[0])


def test_an_object_is_absent_where_its_score_says_so_and_found_again() -> None:
    net = copy.deepcopy(network())
    logits = [4.0] * 5 + [-3.0] * 4 + [2.0] * 8
    net.sam_mask_decoder.pred_obj_score_head = Scripted([0.0, *logits])  # first for the prompt's own pointer

    found = list(masks_of(_tracked(net, {"a": {0: mask(0)}}, range(COUNT))).values())

    assert [one.present for one in found] == [True] + [logit > 0 for logit in logits]
    assert [one.score for one in found[1:]] == pytest.approx([1 / (1 + np.exp(-logit)) for logit in logits])
    assert all(one.present or not one.bitmap.any() for one in found)


def test_each_object_is_followed_over_its_own_span() -> None:
    both = {"a": Target({2: box(2)}, range(2, 12)), "b": Target({6: mask(6, 1)}, range(6, 15))}

    frames = list(tracker(network()).follow(both))

    assert [[found.object_id for found in masks] for masks in frames] == [["a"]] * 4 + [["a", "b"]] * 6 + [
        ["b"]
    ] * 3
    alone = masks_of(_tracked(network(), {"b": {6: mask(6, 1)}}, range(6, 15)))
    for masks in frames:
        for found in masks:
            if found.object_id == "b":
                assert np.array_equal(found.bitmap, alone[found.frame, "b"].bitmap)


def test_what_is_followed_in_parts_by_one_tracker_is_what_is_followed_at_once() -> None:
    whole = masks_of(_tracked(network(), {"a": {0: box(0)}}, range(COUNT)))
    one = tracker(network())
    parts = [range(7), range(7, 8), range(8, COUNT)]
    found = [masks_of(one.follow(targets({"a": {0: box(0)}}, part))) for part in parts]
    together = found[0] | found[1] | found[2]
    assert together.keys() == whole.keys()
    for key, mask_at in whole.items():
        assert np.array_equal(together[key].bitmap, mask_at.bitmap)


def test_what_is_kept_does_not_grow_with_the_length() -> None:
    small = Pictures(tuple(np.zeros((8, 8, 3), np.uint8) for _ in range(60)))
    prompts = {"a": {frame: Prompt(points=(Point(4, 4),)) for frame in range(0, 60, 2)}}
    encode = Always(Counting())
    at_work = tracker(network(), small, encode=encode)

    sizes = []
    for _ in at_work.follow(targets(prompts, range(60))):
        outputs = [
            output
            for bank in at_work.banks.values()
            for output in (*bank.prompted.values(), *bank.tracked.values())
        ]
        sizes.append(sum(tensor.nbytes for output in outputs for tensor in output if tensor is not None))

    assert max(sizes[30:]) <= max(sizes[:30])


def test_a_frame_takes_the_device_twice_for_its_features_and_for_all_that_is_made_of_them() -> None:
    pieces: list[object] = []

    def run(work: Callable[[], T]) -> T:
        assert not torch.is_inference_mode_enabled()
        result = work()
        pieces.append(result)
        return result

    frames = _tracked(network(), {"a": {0: box(0)}, "b": {0: mask(0, 1)}}, range(6), on_device=run)
    next(frames)
    before = len(pieces)
    next(frames)

    assert len(pieces) - before == 2  # with room for a click between


def test_features_come_from_the_encode_seam_once_a_frame() -> None:
    encode = Counting()
    prompts = {"a": {0: box(0), 4: box(4)}, "b": {0: mask(0, 1)}}

    first = masks_of(_tracked(network(), prompts, range(8), encode=encode))
    again = masks_of(_tracked(network(), prompts, range(8), encode=encode))

    assert sorted(encode.computed) == list(range(8))
    assert all(np.array_equal(first[key].bitmap, again[key].bitmap) for key in first)


def test_ending_the_iteration_ends_the_work() -> None:
    encode = Counting()
    frames = _tracked(network(), {"a": {0: box(0)}}, range(COUNT), encode=encode)

    next(frames)
    next(frames)
    frames.close()  # type: ignore[attr-defined]

    assert max(encode.computed) <= 2


@pytest.mark.parametrize(
    ("target", "says"),
    [
        (Target({}, range(3)), "no prompt"),
        (Target({COUNT: box(0)}, range(3)), "outside the video"),
        (Target({0: box(0)}, range(COUNT + 1)), "outside the video"),
        (Target({0: box(0)}, range(0, 10, 2)), "one by one"),
    ],
)
def test_a_target_that_cannot_be_followed_is_refused(target: Target, says: str) -> None:
    with pytest.raises(PromptError, match=says):
        next(tracker(network()).follow({"a": target}))


def test_forward_and_backward_at_once_are_refused() -> None:
    both = {"a": Target({5: box(5)}, range(5, 9)), "b": Target({5: box(5)}, range(5, -1, -1))}

    with pytest.raises(PromptError, match="forward and backward"):
        next(tracker(network()).follow(both))
