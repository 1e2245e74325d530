"""What tuning brings on projects of three kinds, what it leaves as it was, and what it makes of labels without sense.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.fit [--seeds 5] [--tasks 40] [--labels 1] [--senseless 4]

Over HTTP, as Label Studio asks for it. Each row is the mean over seeds, each of which has its own pictures, ± its
standard error. Held out: one click on tasks that no run was trained on. New: one click on pictures that come after the
run, where the version is used. Elsewhere: how far (IoU) answers away from accepted objects are those of the base. A run
ends by its steps, not its time, so that how busy the machine is changes nothing.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx
import numpy as np
from label_studio_sam2.context import Context
from label_studio_sam2.engine.tuning import prompting
from label_studio_sam2.geometry import iou
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import DEMO, Settings
from label_studio_sam2.types import Bitmap, Size
from pydantic import SecretStr

from tests.fakes.asking import body, click, data_url, mask_of, regions_of
from tests.fakes.fit_server import FitServer, brush, png
from tests.fakes.servers import LEGACY, serving
from tests.fakes.taught_projects import LABELLED, PROJECTS, SENSELESS, Taught
from tests.fakes.tuning_service import UNHURRIED, trained

APART = 1000
"""Between the pictures of two seeds; new pictures begin half-way."""

NEW = 20
SENSELESS_TASKS = 24


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5, help="runs of each project")
    parser.add_argument("--tasks", type=int, default=40, help="annotated tasks of each project")
    parser.add_argument("--labels", type=int, default=1, help="runs of each project with two labels")
    parser.add_argument("--senseless", type=int, default=4, help="runs of each kind of labels without sense")
    arguments = parser.parse_args()
    print(f"{'':26} {'used':>5}  {'held out':>27}  {'new pictures':>27}  elsewhere")
    for name, draw in PROJECTS.items():
        runs = [Run.of(draw, seed, arguments.tasks) for seed in range(arguments.seeds)]
        print_row(name, runs)
    print("\nTwo labels, one decoder and where it pays one for each:")
    for name, draw in LABELLED.items():
        for how, alike in (("one", True), ("by label", False)):
            runs = [Run.of(draw, seed, arguments.tasks, alike=alike) for seed in range(arguments.labels)]
            print_row(f"{name}, {how}", runs)
    print("\nWithout sense, refused:")
    for name, draw in SENSELESS.items():
        runs = [Run.of(draw, seed, SENSELESS_TASKS) for seed in range(arguments.senseless)]
        print(f"  {name:16} {sum(not run.used for run in runs)} of {len(runs)}")
        for run in runs:
            print(f"      {run.reason}")


def print_row(name: str, runs: list[Run]) -> None:
    if not runs:
        return
    used = f"{sum(run.used for run in runs)}/{len(runs)}"
    held_out, new = (
        f"{before.mean():.3f} {shown(after - before)}"
        for before, after in (
            np.array([getattr(run, kind) for run in runs]).T for kind in ("held_out", "new")
        )
    )
    elsewhere = [run.elsewhere for run in runs if run.elsewhere is not None]
    print(f"{name:26} {used:>5}  {held_out:>27}  {new:>27}  {shown(np.array(elsewhere), sign='')}")
    for run in runs:
        print(f"      {run.reason}{f' {run.own} decoders of their own.' if run.own else ''}")


def shown(values: Any, sign: str = "+") -> str:
    if not len(values):
        return "nothing"
    error = values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{values.mean():{sign}.3f} ± {error:.3f}"


class Run:
    """What came of one: IoU before and after, how far the base's answers stay, and what was said."""

    def __init__(self, result: Mapping[str, Any], new: tuple[float, float]) -> None:
        figures = result["figures"]
        click = figures["held_out"]["one click"]
        self.used = bool(result["used"])
        self.reason = str(result["reason"])
        self.held_out = click["before"], click["after"]
        self.new = new
        self.elsewhere = figures["agreement"]
        self.own = int(result["counts"]["own_decoders"])

    @classmethod
    def of(cls, draw: Callable[[int], Taught], seed: int, tasks: int, *, alike: bool = True) -> Run:
        """In a service and a Label Studio of its own; all masks have one label where they are `alike`."""
        first = seed * APART
        with serving(FitServer()) as site, service(site) as client:
            project = site.make()
            for number in range(first, first + tasks):
                picture = draw(number)
                regions = [
                    brush(mask, f"region{n}", label)
                    for n, (label, mask) in enumerate(labelled(picture, alike))
                ]
                site.add(project, "image", png(picture.pixels), {"result": regions})
            asked = [draw(number) for number in range(first + APART // 2, first + APART // 2 + NEW)]
            before = clicked(client, project, asked, alike)
            result = trained(client, project)
            return cls(result, (before, clicked(client, project, asked, alike)))


def labelled(picture: Taught, alike: bool) -> Iterator[tuple[str, Bitmap]]:
    """The masks, with labels of the labeling config."""
    for label, masks in zip(
        cycle(["Car"] if alike else ["Car", "Dog"]), picture.accepted.values(), strict=False
    ):
        yield from ((label, mask) for mask in masks)


@contextmanager
def service(site: FitServer) -> Iterator[httpx.Client]:
    with TemporaryDirectory() as folder:
        given = {
            "model": DEMO,
            "device": "cpu",
            "redis_url": "",
            "model_cache": Path(folder),
            "label_studio_url": site.url,
            "label_studio_api_key": SecretStr(LEGACY),
        }
        settings = Settings().model_copy(update=given)
        with (
            running(settings, context=Context(settings, UNHURRIED)) as address,
            httpx.Client(base_url=address, timeout=300, trust_env=False) as client,
        ):
            site.service = address
            yield client


def clicked(client: httpx.Client, project: int, asked: list[Taught], alike: bool) -> float:
    """The mean IoU of one click in the middle of each object."""
    ious = []
    for picture in asked:
        for label, mask in labelled(picture, alike):
            at = prompting.click(mask)
            point = click(at.x, at.y, Size(*mask.shape), label=label)
            answer = client.post(
                "/predict", json=body(data_url(picture.pixels), [point], project=f"{project}.1")
            )
            ious.append(iou(mask_of(regions_of(answer)[0]), mask))
    return float(np.mean(ious))


if __name__ == "__main__":
    main()
