"""A stand-in for the service: it serves the page and answers /predict in the protocol's shape, as it is told to."""

from __future__ import annotations

import base64
import html
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import cv2
import label_studio_sam2
import numpy as np
from pycocotools import mask as coco

JOB = {
    "id": "5f0c",
    "kind": "track",
    "title": "Player on task 12",
    "state": "running",
    "progress": {"done": 240, "total": 900, "unit": "frames"},
    "message": "",
}

CHECKS = {
    "found": [
        {"name": "redis", "state": "ok", "sentence": "Redis answers.", "remedy": "", "project": None},
        {
            "name": "disk",
            "state": "warning",
            "sentence": "1.9 GiB are free for /model_cache.",
            "remedy": "Free some, or point MODEL_CACHE to a larger disk.",
            "project": None,
        },
        {
            "name": "connection",
            "state": "problem",
            "sentence": "The project's ML backend is not interactive, so that a click asks nobody.",
            "remedy": "Run `label-studio-sam2 connect --project 12`, or switch it on under <Settings>.",
            "project": 12,
        },
    ],
    "at": "2026-11-24T02:11:05+00:00",
    "running": False,
}
LINEAGE = {
    "base": "sam2.1_hiera_small",
    "base_hash": "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
    "figures": {"held_out": {"one click": {"before": 0.8124, "after": 0.8542}}, "generic_loss": 0.0012},
}
TUNED = [
    LINEAGE
    | {
        "project": 12,
        "number": number,
        "accepted": accepted,
        "reason": reason,
        "created": f"2026-11-24T0{number}:00:00+00:00",
        "report": f"/reports/12/{number}",
    }
    for number, accepted, reason in (
        (1, True, "Used: held-out IoU rises by 0.020 (±0.004)."),
        (2, False, "Not used: it is worse with box on held-out tasks."),
        (3, True, "Used: held-out IoU rises by 0.042 (±0.010)."),
    )
]

PACKAGE = Path(label_studio_sam2.__file__).parent
FILES = {
    "sample.jpg": PACKAGE / "demo" / "sample.jpg",
    "sample.mp4": PACKAGE / "demo" / "sample.mp4",
}
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
    ".jpg": "image/jpeg",
    ".mp4": "video/mp4",
}
READY: dict[str, Any] = {
    "status": "UP",
    "model_class": "SAM2",
    "model_version": "sam2.1_hiera_small-6d1aa6f3",
    "model": "sam2.1_hiera_small",
    "label_studio": "http://label-studio.example",
    "ready": True,
    "reason": None,
    "device": "cuda",
    "cache": {"memory": 91, "redis": 6, "encoded": 3, "bytes": 300 << 20, "capacity": 2048 << 20},
    "queue": {"click_decode": 0, "click_encode": 0, "video_frame": 0, "tuning": 0, "prewarm": 0},
    "jobs": [],
    "problems": {},
    "checks": {"found": [], "at": None, "running": False},
    "version": "0.1.0",
}
UNTUNED: dict[str, Any] = {"versions": [READY["model_version"]], "tuned": [], "in_use": {}}
LET_IN = "let-in=yes"
RADII = (0.12, 0.2, 0.06)
"""Of the masks that a click gets, as shares of the picture's width: three candidates."""


@dataclass
class Scripted:
    """One answer that differs from the usual one; it is held back until `released`."""

    status: int = 200
    body: dict[str, Any] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    released: threading.Event | None = None


@dataclass
class FakeService:
    """`script`: what the next requests to /predict are answered with, before the usual answers. `requests`: what was
    asked; `opened`: tasks that were announced with no prompts yet. `looks`: how often the checks were asked for anew.
    `wants_password`: of programs; who has opened the page is let in. `last_frame`: up to where clips are tracked, None:
    to their end.
    """

    url: str
    status: dict[str, Any] = field(default_factory=lambda: dict(READY))
    versions: dict[str, Any] = field(default_factory=lambda: dict(UNTUNED))
    looks: int = 0
    script: list[Scripted] = field(default_factory=list)
    requests: list[dict[str, Any]] = field(default_factory=list)
    opened: list[dict[str, Any]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    wants_password: bool = False
    last_frame: int | None = None

    def reset(self) -> None:
        vars(self).update(vars(FakeService(self.url)))

    def predict(self, request: dict[str, Any]) -> Scripted:
        if request["params"]["context"] is None:
            self.opened.append(request["tasks"][0])
            return Scripted(body={"results": [[]]})
        self.requests.append(request)
        scripted = self.script.pop(0) if self.script else Scripted()
        if scripted.released is not None:
            assert scripted.released.wait(10)
        if scripted.status == 200 and scripted.body is None:
            scripted.body = {
                "results": [{"result": self._regions(request), "score": 0.9, "model_version": "v"}]
            }
        return scripted

    def _regions(self, request: dict[str, Any]) -> list[dict[str, Any]]:
        prompts = request["params"]["context"]["result"]
        if prompts[0]["type"] == "videorectangle":
            return [_track(prompts[0], self.last_frame)]
        if prompts[0]["type"] == "textarea":
            return [*self._named(request), prompts[0]]
        boxes = [prompt["value"] for prompt in prompts if prompt["type"] == "rectanglelabels"]
        clicks = [prompt for prompt in prompts if prompt["type"] == "keypointlabels"]
        if boxes:
            return [_region(_ellipse(box)) for box in boxes]
        if len(clicks) == 1:
            return [_region(_discs(clicks, radius), 0.97 - radius) for radius in RADII]
        return [_region(_discs(clicks, RADII[0]))]

    @staticmethod
    def _named(request: dict[str, Any]) -> list[dict[str, Any]]:
        """A disc for each label of the config but those that are called a cat, from left to right."""
        labels = re.findall('<Label value="(.*?)"', request["label_config"])
        there = [html.unescape(label) for label in labels if "cat" not in label]
        places = [
            {"is_positive": True, "value": {"x": 20 + 30 * number, "y": 50}} for number in range(len(there))
        ]
        found = []
        for label, place in zip(there, places, strict=True):
            region = _region(_discs([place], RADII[0]), 0.8)
            found.append(region | {"value": region["value"] | {"bitmasklabels": [label]}})
        return found


def _discs(clicks: list[dict[str, Any]], radius: float) -> np.ndarray[Any, Any]:
    mask = np.zeros((960, 1280), np.uint8)
    for click in sorted(clicks, key=lambda click: not click["is_positive"]):
        centre = (round(12.8 * click["value"]["x"]), round(9.6 * click["value"]["y"]))
        cv2.circle(mask, centre, round(radius * 1280), int(click["is_positive"]), -1)
    return mask


def _ellipse(box: dict[str, Any]) -> np.ndarray[Any, Any]:
    mask = np.zeros((960, 1280), np.uint8)
    half = (box["width"] * 6.4, box["height"] * 4.8)
    centre = (box["x"] * 12.8 + half[0], box["y"] * 9.6 + half[1])
    cv2.ellipse(mask, (centre, (2 * half[0], 2 * half[1]), 0), 1, -1)  # type: ignore[call-overload]
    return mask


def _region(mask: np.ndarray[Any, Any], score: float = 0.9) -> dict[str, Any]:
    colours = np.zeros((*mask.shape, 4), np.uint8)
    colours[mask > 0] = 255
    png = base64.b64encode(cv2.imencode(".png", colours)[1].tobytes()).decode()
    value = {"imageDataURL": f"data:image/png;base64,{png}", "bitmasklabels": ["Object"]}
    return {
        "id": "m",
        "type": "bitmasklabels",
        "from_name": "mask",
        "to_name": "image",
        "score": score,
        "value": value,
    }


def _track(region: dict[str, Any], last: int | None) -> dict[str, Any]:
    """The first box, carried to the right by one percent a frame, and out of sight on frames 20 to 24."""
    value = region["value"]
    first = value["sequence"][0]
    last = last or value["framesCount"]
    sequence = [
        {
            "frame": frame,
            "enabled": frame not in {19, last},
            "rotation": 0,
            "auto": True,
            "score": 0.9,
            **{key: first[key] for key in ("y", "width", "height")},
            "x": first["x"] + frame - first["frame"],
            "rle": _rle(first, first["x"] + frame - first["frame"]),
        }
        for frame in range(first["frame"], last + 1)
        if not 20 <= frame < 25
    ]
    note = f"SAM 2: frames 1-{last} of {value['framesCount']}; click its label off and on again for the rest"
    meta = {"tracked": [1, last], "text": [note] if last < value["framesCount"] else []}
    return region | {"value": value | {"sequence": sequence}, "meta": meta}


def _rle(box: dict[str, float], left: float) -> dict[str, Any]:
    mask = np.zeros((480, 640), np.uint8, order="F")
    y, x = round(4.8 * box["y"]), round(6.4 * left)
    mask[y : y + round(4.8 * box["height"]), x : x + round(6.4 * box["width"])] = 1
    packed = coco.encode(mask)
    return {"size": [480, 640], "counts": packed["counts"].decode()}


class Handler(BaseHTTPRequestHandler):
    service: FakeService

    def log_message(self, *_: object) -> None: ...

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/" and "text/html" in self.headers.get("accept", ""):
            page = (PACKAGE / "server" / "page" / "index.html").read_bytes()
            self._send(200, page, TYPES[".html"], {"Set-Cookie": LET_IN})
        elif self.service.wants_password and LET_IN not in self.headers.get("cookie", ""):
            self._json(401, {})
        elif path == "/":
            self._json(200, self.service.status)
        elif path == "/versions":
            self._json(200, self.service.versions)
        else:
            name = path.removeprefix("/web/")
            self._file(FILES.get(name, PACKAGE / "server" / "page" / name))

    def do_POST(self) -> None:
        if self.path == "/checks":
            self.service.looks += 1
            self._json(202, self.service.status["checks"] | {"running": True})
            return
        body = self.rfile.read(int(self.headers["content-length"]))
        answer = self.service.predict(json.loads(body))
        timing = {"Server-Timing": "encode;dur=120.4, decode;dur=8.25"} if answer.status == 200 else {}
        self._json(answer.status, answer.body or {}, timing | answer.headers)

    def do_DELETE(self) -> None:
        self.service.cancelled.append(self.path.removeprefix("/jobs/"))
        self._json(202, {})

    def _file(self, path: Path) -> None:
        if path.is_file():
            self._send(200, path.read_bytes(), TYPES[path.suffix])
        else:
            self._json(404, {"detail": f"There is no {path.name}.", "error": "NotFound"})

    def _json(self, status: int, body: dict[str, Any], headers: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(body).encode(), "application/json", headers or {})

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {
            "Content-Type": kind,
            "Content-Length": str(len(body)),
            **(headers or {}),
        }.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_service() -> Iterator[FakeService]:
    service = FakeService("")
    handler = type("Handler", (Handler,), {"service": service})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    service.url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
