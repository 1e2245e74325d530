"""The demo detector: what it is trained on, and a run that is stopped and taken up again."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import torch

from demo_model.detector.colours import CORES, name_of, names_in_reach
from demo_model.detector.export import export
from demo_model.detector.network import build_tokenizer, load
from demo_model.detector.runs import new_run
from demo_model.detector.scenes import draw_scene
from demo_model.detector.targets import EITHER, NO, YES, Targets
from demo_model.detector.train import train
from demo_model.detector.vocabulary import SHAPES, UNKNOWN, Query, Thing, phrase_query, random_queries

RED_RING = Thing("ring", "red", frozenset({"red", "orange"}))


def test_a_seed_gives_the_same_scene_twice_and_the_splits_share_none() -> None:
    first, second = draw_scene(5, width=192, height=144), draw_scene(5, width=192, height=144)
    assert np.array_equal(first.image, second.image)
    assert first.things == second.things
    assert not np.array_equal(first.image, draw_scene(5, split="training", width=192, height=144).image)


@pytest.mark.parametrize("seed", range(8))
def test_every_thing_of_a_scene_is_seen(seed: int) -> None:
    scene = draw_scene(seed, width=256, height=192, level=("simple", "usual", "crowded")[seed % 3])
    assert len(scene.masks) == len(scene.things) == scene.labels.max()
    assert scene.masks.any(axis=(1, 2)).all()


def test_a_colour_of_a_name_is_called_so_by_everybody() -> None:
    rng = np.random.default_rng(0)
    for name, core in CORES.items():
        for colour in (core.draw(rng) for _ in range(50)):
            assert name_of(colour) == name
            assert name in names_in_reach(colour)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        (phrase_query("red", "ring"), True),
        (phrase_query("orange", "ring"), None),
        (phrase_query("blue", "ring"), False),
        (phrase_query("red", "star"), False),
        (Query("things"), True),
        (Query("cat", known=False), False),
    ],
)
def test_words_fit_what_they_name(query: Query, answer: bool | None) -> None:
    assert query.fits(RED_RING) is answer


def test_the_same_step_asks_the_same_queries_and_every_shape() -> None:
    first, second = (random_queries(np.random.default_rng(3), [RED_RING], 6) for _ in range(2))
    assert first == second
    assert {shape for query in first for shape in query.shapes} == set(SHAPES)


def test_words_that_are_held_out_are_not_trained_on() -> None:
    assert not set(UNKNOWN["training"]) & set(UNKNOWN["held_out"])


def test_a_token_answers_for_the_object_that_it_shows() -> None:
    labels = np.zeros((1, 192, 192), np.uint8)
    labels[0, 0:32, 0:32] = 1  # four whole tokens
    labels[0, 0:32, 32:34] = 1  # an eighth of two more
    targets = Targets.of(labels, [[RED_RING]])
    answers = targets.answers([phrase_query("red", "ring"), phrase_query("blue", "ring")]).view(12, 12, 2)
    assert (answers[:2, :2, 0] == YES).all()
    assert (answers[:2, 2, 0] == EITHER).all()
    assert (answers[2:, :, 0] == NO).all()
    assert (answers[..., 1] == NO).all()
    assert torch.allclose(targets.boxes[0] * 192, torch.tensor([17.0, 16.0, 34.0, 32.0]))


def test_a_run_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    tokenizer = build_tokenizer()
    options = Namespace(run=tmp_path, steps=2, batch=2, rate=1e-3, save_every=1e9)
    first = new_run(tokenizer, seed=0)
    before = {name: weight.clone() for name, weight in first.model.named_parameters()}
    train(first, tokenizer, options)
    still = {name for name, weight in first.model.named_parameters() if torch.equal(weight, before[name])}
    # Objectness and the projections of whole pictures are not asked by words.
    assert all(
        name.startswith(("objectness_head", "owlv2.visual_projection", "owlv2.logit_scale")) for name in still
    )
    second = new_run(tokenizer, seed=1)
    second.load(tmp_path / "run.pt")
    assert second.progress == first.progress
    for name, weight in second.model.state_dict().items():
        assert torch.equal(weight, first.model.state_dict()[name])
    export(tmp_path, tmp_path / "out")
    assert load(tmp_path / "out")[0].state_dict().keys() == first.model.state_dict().keys()
