"""One request and one answer of each route. Tests hold them to their schemas, and send the requests."""

from __future__ import annotations

CONFIG = (
    "<View><Image name='image' value='$image'/>"
    "<PolygonLabels name='out' toName='image' smart='false'><Label value='Car'/></PolygonLabels>"
    "<KeyPointLabels name='click' toName='image' smart='true'><Label value='Car'/></KeyPointLabels></View>"
)
PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAAAwCAAAAACEICPDAAAAN0lEQVRIx2PUYKAMMDGMGjAMDGDBJrgFnw6f0UAcNWDUgFEDRg0YvAYwjlbvowaMGjBqALUMAAAETAGxE6f4fwAAAABJRU5ErkJggg=="
)
MODEL = "sam2.1_hiera_small-6d1aa6f3"

PREDICT = {
    "tasks": [{"id": 1, "data": {"image": PICTURE}}],
    "project": "12.1764288000",
    "label_config": CONFIG,
    "params": {
        "context": {
            "result": [
                {
                    "id": "a",
                    "type": "keypointlabels",
                    "from_name": "click",
                    "to_name": "image",
                    "is_positive": True,
                    "value": {"x": 52, "y": 22, "keypointlabels": ["Car"]},
                }
            ]
        }
    },
}
PREDICTED = {
    "results": [
        {
            "result": [
                {
                    "id": "5Yb0TgSpqJ",
                    "from_name": "out",
                    "to_name": "image",
                    "type": "polygonlabels",
                    "origin": "prediction",
                    "original_width": 640,
                    "original_height": 480,
                    "score": 0.93,
                    "value": {
                        "points": [[20.0, 10.0], [70.0, 10.0], [45.0, 60.0]],
                        "closed": True,
                        "polygonlabels": ["Car"],
                    },
                }
            ],
            "score": 0.93,
            "model_version": MODEL,
        }
    ]
}
SETUP = {"project": "12.1764288000", "schema": CONFIG, "hostname": "http://localhost:8080"}
VERSION = {"model_version": MODEL}
READY = {"status": "READY", "model_version": MODEL}
HEALTH = {"status": "UP", "model_class": "SAM2", "model_version": MODEL, "version": "0.1.0"}
EVENT = {"action": "ANNOTATION_CREATED", "project": {"id": 12, "label_config": CONFIG}}
TAKEN = {"status": "accepted", "action": "ANNOTATION_CREATED"}
TRAIN = {"project": "12.1764288000"}
TRAINING = {"status": "accepted", "action": "START_TRAINING", "job": "0123456789ab"}
START = {"kind": "warm", "project": 12}
CHECKS = {
    "found": [
        {
            "name": "redis",
            "state": "ok",
            "sentence": "Redis answers.",
            "remedy": "",
            "project": None,
        }
    ],
    "at": "2026-01-01T00:00:00+00:00",
    "running": True,
}
JOB = {
    "id": "0123456789ab",
    "kind": "warm",
    "title": "Project 12",
    "state": "running",
    "progress": {"done": 40, "total": 200, "unit": "pictures"},
    "message": "",
    "result": None,
    "created": "2026-01-01T00:00:00.000+00:00",
    "started": "2026-01-01T00:00:00.100+00:00",
    "finished": None,
}
CHOICE = {"project": 12, "use": 3}
IN_USE = {"project": 12, "in_use": 3}
VERSIONS = {
    "versions": [MODEL, f"{MODEL}+project12.v3"],
    "tuned": [
        {
            "project": 12,
            "number": 3,
            "base": "sam2.1_hiera_small",
            "base_hash": "6d1aa6f30de5c92224f8172114de081d104bbd23dd9dc5c58996f0cad5dc4d38",
            "sha256": "0" * 64,
            "accepted": True,
            "reason": "Better on held-out tasks.",
            "created": "2026-01-01T00:00:00+00:00",
            "counts": {"training": 30},
            "figures": {},
            "report": "/reports/12/3",
        }
    ],
    "in_use": {"12": 3},
}
