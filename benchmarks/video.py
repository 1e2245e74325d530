"""Tracking against the stock SAM 2 video predictor, in one run on one machine.

    python -m benchmarks.video speed [--model demo] [--frames 60] [--threads 1]
    python -m benchmarks.video memory [--frames 10000] [--stock-frames 1500] [--out benchmarks/video_memory.csv]

`speed` prints frames a second of both and their ratio, for one and for four objects. Ours reads the video file and
resizes its frames as it goes; the stock predictor has them in memory, ready, before its clock starts. `memory`
prints resident memory while a clip that is drawn frame by frame is tracked, each in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.queues import Queue
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter, process_time
from typing import Any, NamedTuple

import av
import numpy as np
import torch
from label_studio_sam2.engine.device import choose
from label_studio_sam2.engine.frames import Video
from label_studio_sam2.engine.model import load
from label_studio_sam2.engine.video import Target, track
from label_studio_sam2.types import Box, Pixels, Prompt, Size

from tests.engine.stock import initial_state, prompt_with

SIZE, SMALL = Size(480, 640), Size(240, 320)
ROUNDS = 5
EVERY = 100


@dataclass(frozen=True)
class Drawn:
    """Four discs that wander over a still ground, drawn when they are asked for."""

    count: int
    size: Size = SIZE

    def __len__(self) -> int:
        return self.count

    @property
    def radius(self) -> float:
        return self.size.height / 11

    def centres(self, index: int) -> list[tuple[float, float]]:
        height, width = self.size
        return [
            (width * (0.5 + 0.35 * np.sin(index / 70 + k)), height * (0.5 + 0.3 * np.cos(index / 90 + 2 * k)))
            for k in range(4)
        ]

    def frame(self, index: int) -> Pixels:
        rows, columns = np.ogrid[: self.size.height, : self.size.width]
        picture = np.empty((*self.size, 3), np.uint8)
        picture[:] = ((rows + columns) % 200)[..., None]
        for number, (x, y) in enumerate(self.centres(index)):
            disc = (columns - x) ** 2 + (rows - y) ** 2 < self.radius**2
            picture[disc] = (60 * number + 40, 220 - 50 * number, 90)
        return picture

    def frames(self, span: range) -> Iterator[Pixels]:
        return map(self.frame, span)

    def prompts(self, objects: int) -> dict[str, dict[int, Prompt]]:
        r = self.radius
        around = [Box(x - r, y - r, x + r, y + r) for x, y in self.centres(0)]
        return {str(number): {0: Prompt(box=around[number])} for number in range(objects)}


def network(name: str, folder: Path) -> Any:
    """The model's network; its objects all count as visible, which is the costly case."""
    loaded = load(name, folder, choose("auto")).network
    loaded.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data += 10
    return loaded


def ours(net: Any, source: Any, objects: int, dtype: torch.dtype | None) -> Iterator[int]:
    targets = {
        name: Target(by, range(len(source))) for name, by in Drawn(1, source.size).prompts(objects).items()
    }
    for masks in track(net, source, targets, dtype=dtype):
        yield masks[0].frame


def stock(net: Any, pictures: list[Pixels], objects: int, dtype: torch.dtype | None) -> Iterator[int]:
    with (
        torch.inference_mode(),
        torch.autocast(net.device.type, dtype or torch.bfloat16, enabled=dtype is not None),
    ):
        state = initial_state(net, pictures)
        prompt_with(net, state, Drawn(1, Size(*pictures[0].shape[:2])).prompts(objects))
        for frame, _, logits in net.propagate_in_video(state):
            (logits > 0).cpu().numpy()
            yield frame


class Pace(NamedTuple):
    """Frames a second, and milliseconds of processor time a frame, of all threads."""

    rate: float
    work: float


def pace(frames: Iterator[int]) -> Pace:
    """From the third frame on, when everything is warm."""
    next(frames), next(frames)
    begun, worked = perf_counter(), process_time()
    count = sum(1 for _ in frames)
    return Pace(count / (perf_counter() - begun), (process_time() - worked) / count * 1000)


def write(path: Path, pictures: list[Pixels]) -> Video:
    with av.open(str(path), "w") as out:
        stream = out.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = SIZE.width, SIZE.height, "yuv420p"
        for picture in pictures:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode())
    return Video.open(path)


def speed(options: argparse.Namespace) -> None:
    net = network(options.model, options.folder)
    dtype = torch.bfloat16 if net.device.type == "cuda" else None
    with TemporaryDirectory() as folder:
        video = write(Path(folder) / "clip.mp4", list(Drawn(0).frames(range(options.frames))))
        pictures = list(video.frames(range(len(video))))
        print(
            f"{options.model} on {net.device.type}, {net.image_size} px, {len(video)} frames of {SIZE[1]}x{SIZE[0]}"
        )
        for objects in (1, 4):
            pairs = [
                (pace(ours(net, video, objects, dtype)), pace(stock(net, pictures, objects, dtype)))
                for _ in range(ROUNDS)
            ]
            mine, theirs = (Pace(*map(median, zip(*side, strict=True))) for side in zip(*pairs, strict=True))
            ratios = ", ".join(f"{one.rate / other.rate:.2f}" for one, other in pairs)
            print(
                f"{objects} objects: ours {mine.rate:.2f} frames/s, stock {theirs.rate:.2f} ({ratios} by round);",
                end="",
            )
            print(f" processor time a frame {mine.work:.1f} and {theirs.work:.1f} ms")


def resident() -> float:
    """MiB of the process's own memory, also where the system has swapped it out; not its program files."""
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return sum(int(lines[name].split()[0]) for name in ("RssAnon", "VmSwap")) / 1024


def curve(kind: str, options: argparse.Namespace, frames: int, told: Queue[Any]) -> None:
    torch.set_num_threads(options.threads)
    net = network(options.model, options.folder)
    source = Drawn(frames, SMALL)
    begun = resident()
    steps = (
        ours(net, source, 1, None)
        if kind == "ours"
        else stock(net, list(source.frames(range(frames))), 1, None)
    )
    for frame in steps:
        if (frame + 1) % EVERY == 0:
            told.put((kind, frame + 1, round(resident(), 1), round(begun, 1)))
    told.put(None)


def memory(options: argparse.Namespace) -> None:
    spawn = multiprocessing.get_context("spawn")
    with options.out.open("w", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(["predictor", "frame", "resident MiB", "resident MiB before tracking"])
        for kind, frames in (("ours", options.frames), ("stock", options.stock_frames)):
            told = spawn.Queue()
            process = spawn.Process(target=curve, args=(kind, options, frames, told))
            process.start()
            while (row := told.get()) is not None:
                rows.writerow(row)
                file.flush()
                if row[1] in (EVERY, 3 * EVERY) or row[1] % 1000 == 0 or row[1] == frames - EVERY:
                    print(*row)
            process.join()


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["speed", "memory"])
    parser.add_argument("--model", default="demo")
    parser.add_argument("--folder", type=Path, default=Path("model_cache"), help="where checkpoints are")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--stock-frames", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "video_memory.csv")
    options = parser.parse_args()
    options.frames = options.frames or {"speed": 60, "memory": 10_000}[options.what]
    torch.set_num_threads(options.threads)
    {"speed": speed, "memory": memory}[options.what](options)


if __name__ == "__main__":
    main()
