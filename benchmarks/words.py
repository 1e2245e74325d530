"""A picture's first question in words against its second, on the published OWLv2 base architecture.

    OMP_WAIT_POLICY=PASSIVE python -m benchmarks.words [--questions 5] [--small]

Times don't depend on the weights, so they are random. The first question looks at the picture; each further one, of ten
phrases that weren't read before, only reads them and rates what is cached. "Library" is the stock forward pass, which
does all of it each time. The boxes' masks are SAM 2's business and not measured here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter

import torch
from label_studio_sam2.engine import device
from label_studio_sam2.engine.cache.embedding import to_bytes
from label_studio_sam2.engine.cache.embedding_cache import EmbeddingCache
from label_studio_sam2.engine.lane import Lane
from label_studio_sam2.engine.segmenter import Segmenter
from label_studio_sam2.engine.words.finder import Finder, Question
from label_studio_sam2.engine.words.owlv2 import load
from label_studio_sam2.types import Picture

from demo_model.scenes import draw_scene
from tests.fakes.detectors import BASE, SMALL, random_owlv2
from tests.fakes.networks import demo_model

PHRASES = 10
HIGHEST = 0.1
"""Of the first question's time, that a second one may take."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--questions", type=int, default=5, help="further questions, of ten phrases each")
    parser.add_argument("--small", action="store_true", help="a tiny architecture: to try the script")
    arguments = parser.parse_args()
    with TemporaryDirectory() as folder:
        measure(random_owlv2(Path(folder), SMALL if arguments.small else BASE), arguments.questions)


def measure(folder: Path, questions: int) -> None:
    """Prints the times and their ratio."""
    cpu = device.choose("cpu")
    detector = load(str(folder), Path(), cpu, encoder_dtype=device.encoder_dtype(cpu))
    finder = Finder(detector, Segmenter(demo_model(), EmbeddingCache(1 << 30), Lane()))
    pixels = draw_scene(1, width=1920, height=1080).image
    picture = Picture("picture", lambda: pixels)

    def ask(number: int) -> None:
        asked = [Question(f"thing {number} {phrase}") for phrase in range(PHRASES)]
        finder.boxes(finder.look(picture), asked)

    finder.look(Picture("another", lambda: pixels))  # whatever is slow but once
    first = seconds(lambda: ask(0))
    further = [seconds(lambda n=n: ask(n)) for n in range(1, questions + 1)]
    words = [f"thing {phrase}" for phrase in range(PHRASES)]
    inputs = detector.processor(text=[words], images=pixels, return_tensors="pt")
    with torch.inference_mode():
        library = seconds(lambda: detector.network(**inputs))
    kept = finder.look(picture)
    print(f"{PHRASES} phrases on a picture of 1920x1080, CPU, {torch.get_num_threads()} threads")
    print(f"  first question                {first:8.2f} s")
    print(
        f"  further ones, median of {questions:3} {median(further):10.3f} s   {median(further) / first:.3f} x first"
    )
    print(f"  library's forward pass        {library:8.2f} s")
    print(f"  kept of a picture             {len(to_bytes(kept.embedding)) / (1 << 20):8.2f} MiB")
    finder.segmenter.close()
    if median(further) > HIGHEST * first:
        raise SystemExit(f"A further question took more than {HIGHEST:g} of the first.")


def seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began


if __name__ == "__main__":
    main()
