"""Tracking against the stock SAM 2 video predictor, in one run on one machine.

    python -m benchmarks.video speed [--model demo] [--frames 60] [--threads 1]
    python -m benchmarks.video clicks [--model demo] [--clicks 60]
    python -m benchmarks.video memory [--frames 10000] [--stock-frames 1500] [--out benchmarks/video_memory.csv]

`speed` prints frames a second of both and their ratio, for one and for four objects. Ours reads the video file and
resizes its frames as it goes, which is counted; the stock predictor has them in memory, ready, before its clock
starts. What both have to do, to read and to prepare a frame, is printed beside it. "Again" is the service's own
track over frames whose features it has kept. `clicks` measures clicks on an encoded picture over HTTP, at rest and
while the service tracks a video, turn by turn in one run. `memory` prints resident memory while a clip that is drawn
frame by frame is tracked, each in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import multiprocessing
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median, quantiles
from tempfile import TemporaryDirectory
from time import perf_counter, process_time, sleep
from typing import Any, NamedTuple

import av
import httpx
import numpy as np
import torch
from label_studio_sam2.engine.device import choose
from label_studio_sam2.engine.model import load
from label_studio_sam2.engine.network import build
from label_studio_sam2.engine.opening import open_segmenter
from label_studio_sam2.engine.video.targets import Target
from label_studio_sam2.media_files.videos import Video
from label_studio_sam2.server.in_process import running
from label_studio_sam2.settings import Settings
from label_studio_sam2.types import Box, Pixels, Prompt, Size

from tests.fakes.asking import body, click, data_url
from tests.fakes.networks import tracker
from tests.fakes.stock import initial_state, prompt_with

SIZE, SMALL = Size(480, 640), Size(240, 320)
ROUNDS = 5
EVERY = 100
TURNS = 3
PAUSE = 0.1

CONFIG = """<View>
  <Labels name="labels" toName="video"><Label value="Thing"/></Labels>
  <Video name="video" value="$video" framerate="25"/>
  <VideoRectangle name="box" toName="video" smart="true"/>
</View>"""


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


def network(name: str, folder: Path, *, as_upstream: bool = False) -> Any:
    """The model's network, as we load it or as upstream does; its objects all count as visible: the costly case."""
    model = load(name, folder, choose("auto"))
    net = model.network
    if as_upstream:
        net = build(net.state_dict()).to(model.device).eval().requires_grad_(False)
    net.sam_mask_decoder.pred_obj_score_head.layers[-1].bias.data += 10
    return net


def followed(source: Any, objects: int) -> dict[str, Target]:
    prompts = Drawn(1, source.size).prompts(objects)
    return {name: Target(by, range(len(source))) for name, by in prompts.items()}


def ours(net: Any, source: Any, objects: int, dtype: torch.dtype | None) -> Iterator[int]:
    targets = followed(source, objects)
    for masks in tracker(net, source, dtype).follow(targets):
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
    upstream = network(options.model, options.folder, as_upstream=True)
    dtype = torch.bfloat16 if net.device.type == "cuda" else None
    with TemporaryDirectory() as folder:
        video = write(Path(folder) / "clip.mp4", list(Drawn(0).frames(range(options.frames))))
        pictures = list(video.frames(range(len(video))))
        print(
            f"{options.model} on {net.device.type}, {net.image_size} px, {len(video)} frames of {SIZE[1]}x{SIZE[0]}"
        )
        for objects in (1, 4):
            pairs = [
                (pace(ours(net, video, objects, dtype)), pace(stock(upstream, pictures, objects, dtype)))
                for _ in range(ROUNDS)
            ]
            mine, theirs = (Pace(*map(median, zip(*side, strict=True))) for side in zip(*pairs, strict=True))
            ratios = ", ".join(f"{one.rate / other.rate:.2f}" for one, other in pairs)
            print(
                f"{objects} objects: ours {mine.rate:.2f} frames/s, stock {theirs.rate:.2f} ({ratios} by round);",
                end="",
            )
            print(f" processor time a frame {mine.work:.1f} and {theirs.work:.1f} ms")
        begun = process_time()
        for _ in video.frames(range(len(video))):
            pass
        read = process_time()
        initial_state(upstream, pictures)
        print(
            f"of which, or besides: reading a frame {(read - begun) / len(video) * 1000:.1f} ms, the stock predictor's "
            f"preparing one {(process_time() - read) / len(video) * 1000:.1f} ms"
        )
        again(options, video)


def again(options: argparse.Namespace, video: Video) -> None:
    """A second track over the same frames beside the first, through the segmenter with its cache."""
    segmenter = open_segmenter(
        Settings().model_copy(update={"model": options.model, "model_cache": options.folder, "redis_url": ""})
    )
    first, second = (
        pace(masks[0].frame for masks in segmenter.track(segmenter.model, video, "clip", followed(video, 1)))
        for _ in range(2)
    )
    print(
        f"1 object again: {second.rate:.2f} frames/s after {first.rate:.2f} ({second.rate / first.rate:.2f} times),"
        f" processor time a frame {second.work:.1f} after {first.work:.1f} ms"
    )
    segmenter.close()


def served(options: argparse.Namespace, told: Queue[Any], over: Event) -> None:
    settings = Settings().model_copy(
        update={
            "model": options.model,
            "model_cache": options.folder,
            "redis_url": "",
            "predict_budget": 0.01,
        }
    )
    with running(settings) as address:
        told.put(address)
        over.wait()


def clicks(options: argparse.Namespace) -> None:
    spawn = multiprocessing.get_context("spawn")
    told, over = spawn.Queue(), spawn.Event()
    process = spawn.Process(target=served, args=(options, told, over))
    process.start()
    with TemporaryDirectory() as folder, httpx.Client(base_url=told.get(), timeout=300) as client:
        clip = write(Path(folder) / "clip.mp4", list(Drawn(0).frames(range(options.frames))))
        video = "data:video/mp4;base64," + b64encode(clip.path.read_bytes()).decode()
        picture = data_url(Drawn(0).frame(0))
        clicked(client, picture, 3)
        rest, busy = [], []
        for turn in range(TURNS):
            rest += clicked(client, picture, options.clicks // TURNS)
            job = track_in_background(client, clip, video, f"{turn}")
            busy += clicked(client, picture, options.clicks // TURNS)
            assert client.get(f"/jobs/{job}").json()["state"] == "running", "the video was too short"
            client.delete(f"/jobs/{job}")
            while client.get(f"/jobs/{job}").json()["state"] == "running":
                sleep(0.05)
    over.set()
    process.join()
    for name, of in (("median", median), ("95th percentile", lambda times: quantiles(times, n=20)[-1])):
        print(
            f"click, {name}: {of(rest) * 1000:.1f} ms at rest, {of(busy) * 1000:.1f} ms while a video is tracked"
            f" ({of(busy) / of(rest):.2f} times)"
        )


def clicked(client: httpx.Client, picture: str, count: int) -> list[float]:
    """Seconds of so many clicks at different places, a moment apart, as people click."""
    times = []
    for x, y in np.random.default_rng(count).random((count, 2)):
        content = body(picture, [click(x * SIZE.width, y * SIZE.height, SIZE)])
        begun = perf_counter()
        client.post("/predict", json=content).raise_for_status()
        times.append(perf_counter() - begun)
        sleep(PAUSE)
    return times


def track_in_background(client: httpx.Client, clip: Video, address: str, name: str) -> str:
    """The id of the job that goes on after the answer."""
    x0, y0, x1, y1 = Drawn(1).prompts(1)["0"][0].box or Box(0, 0, 0, 0)
    keyframe = {
        "frame": 1,
        "enabled": True,
        "rotation": 0,
        "x": 100 * x0 / SIZE.width,
        "y": 100 * y0 / SIZE.height,
        "width": 100 * (x1 - x0) / SIZE.width,
        "height": 100 * (y1 - y0) / SIZE.height,
    }
    value = {"framesCount": len(clip), "duration": clip.duration, "sequence": [keyframe], "labels": ["Thing"]}
    region = {"id": name, "type": "videorectangle", "from_name": "box", "to_name": "video", "value": value}
    asked = body("", [region], CONFIG) | {"tasks": [{"id": name, "data": {"video": address}}]}
    client.post("/predict", json=asked).raise_for_status()
    return str(client.get("/jobs").json()["jobs"][0]["id"])


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
    parser.add_argument("what", choices=["speed", "clicks", "memory"])
    parser.add_argument("--model", default="demo")
    parser.add_argument("--folder", type=Path, default=Path("model_cache"), help="where checkpoints are")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--clicks", type=int, default=60)
    parser.add_argument("--stock-frames", type=int, default=1500)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "video_memory.csv")
    options = parser.parse_args()
    options.frames = options.frames or {"speed": 60, "clicks": 1000, "memory": 10_000}[options.what]
    torch.set_num_threads(options.threads)
    {"speed": speed, "clicks": clicks, "memory": memory}[options.what](options)


if __name__ == "__main__":
    main()
