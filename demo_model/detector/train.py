"""Train the demo detector: `python -m demo_model.detector.train`, on one CPU core, resumable at any time."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn
from transformers import CLIPTokenizer
from transformers.image_utils import OPENAI_CLIP_MEAN, OPENAI_CLIP_STD

from demo_model.detector.feed import Feed
from demo_model.detector.losses import box_loss, class_loss, helper_loss
from demo_model.detector.network import (
    build_tokenizer,
    encode_pictures,
    encode_text,
)
from demo_model.detector.runs import RUN, Run, continued_run, new_run
from demo_model.detector.scenes import Level
from demo_model.detector.targets import Targets, pixel_values
from demo_model.detector.vocabulary import Query, Thing, random_queries
from demo_model.log import Log
from demo_model.textures import Pixels

_BATCH = 16
_PHRASES = 24
_LARGEST_GRADIENT = 1.0
_WARM_UP_STEPS = 60
_SIMPLE_STEPS = (300, 650)  # between them, simple pictures grow fewer
_DECLINE = 0.35  # the last part of a run, in which the learning rate falls to nothing
_SHAPE_WEIGHT = 2.0  # of queries for a shape, which are what takes longest to learn


def loss_of(
    run: Run, tokenizer: CLIPTokenizer, batch: tuple[Pixels, Pixels, list[list[Thing]]], queries: list[Query]
) -> tuple[Tensor, dict[str, float]]:
    """The loss of a batch and its parts."""
    images, labels, things = batch
    model = run.model
    targets = Targets.of(labels, things)
    tokens = tokenizer(
        [query.text for query in queries], padding="longest", truncation=True, return_tensors="pt"
    )
    words = encode_text(model, tokens["input_ids"], tokens["attention_mask"])
    features, halfway = encode_pictures(model, pixel_values(images, OPENAI_CLIP_MEAN, OPENAI_CLIP_STD))
    raw = model.box_head(features)
    boxes, quality = box_loss((raw + model.box_bias).sigmoid(), raw, model.box_bias, targets)
    logits = model.class_predictor(features, words.expand(len(images), -1, -1))[0]
    answers = targets.answers(queries)
    weights = torch.tensor(
        [_SHAPE_WEIGHT if query.shapes and not query.colours else 1.0 for query in queries]
    )
    classes = class_loss(logits, answers, quality, weights)
    helped, parts = helper_loss(*run.helpers.guessed(halfway, features), targets)
    loss = 4 * classes + 0.4 * boxes + 0.7 * helped
    owned = targets.owner < len(targets.things)
    figures = {"loss": loss.item(), "class": classes.item(), "box": boxes.item(), **parts}
    figures["giou"] = quality[owned].mean().item()
    return loss, figures


def share_of_rate(step: int, steps: int) -> float:
    """Of the learning rate: it rises, stays, and falls to nothing in the last part of a run."""
    left = (steps - step) / (_DECLINE * steps)
    return min(1.0, (step + 1) / _WARM_UP_STEPS, max(left, 0.0))


def shares_at(step: int) -> dict[Level, float]:
    """Of the levels of pictures: simple ones first, fewer later."""
    simple = float(np.interp(step, _SIMPLE_STEPS, (1.0, 0.15)))
    return {"simple": simple, "usual": 0.5 * (1 - simple), "crowded": 0.5 * (1 - simple)}


def train(run: Run, tokenizer: CLIPTokenizer, options: argparse.Namespace) -> None:
    """Train to the last step, from where the run is."""
    feed = Feed(run.progress.seed, shares_at(0))
    parameters = [*run.model.parameters(), *run.helpers.parameters()]
    log, saved = Log(options.run / "log.jsonl"), time.monotonic()
    while run.progress.step < options.steps:
        taken = run.progress.before + run.progress.step
        rng = np.random.default_rng((7, taken))
        feed.shares = shares_at(taken)
        batch = feed.batch(options.batch)
        queries = random_queries(rng, [thing for things in batch[2] for thing in things], _PHRASES)
        share = share_of_rate(run.progress.step, options.steps)
        for optimiser in run.optimisers:
            for group in optimiser.param_groups:
                group["lr"] = share * options.rate * group["share"]
            optimiser.zero_grad()
        loss, figures = loss_of(run, tokenizer, batch, queries)
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it so
        norm = nn.utils.clip_grad_norm_(parameters, _LARGEST_GRADIENT)
        for optimiser in run.optimisers:
            optimiser.step()
        run.progress = replace(run.progress, step=run.progress.step + 1, seed=feed.seed)
        run.update_average()
        log.add(run.progress, figures | {"gradient": float(norm)})
        if time.monotonic() - saved > options.save_every:
            run.save(options.run / "run.pt")
            saved = time.monotonic()
    run.save(options.run / "run.pt")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m demo_model.detector.train", description=__doc__)
    parser.add_argument(
        "--run", type=Path, default=RUN, help="directory of the run; an earlier one is continued"
    )
    parser.add_argument("--steps", type=int, default=6000, help="after which the run ends")
    parser.add_argument("--batch", type=int, default=_BATCH)
    parser.add_argument("--rate", type=float, default=1e-3, help="the highest learning rate")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights")
    parser.add_argument("--resume", type=Path, help="begin a new run from this detector's folder")
    parser.add_argument("--save-every", type=float, default=120, help="seconds")
    options = parser.parse_args()
    options.run.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    tokenizer = build_tokenizer()
    run = continued_run(options.resume) if options.resume else new_run(tokenizer, options.seed)
    if (options.run / "run.pt").exists():
        run.load(options.run / "run.pt")
    train(run, tokenizer, options)


if __name__ == "__main__":
    main()
