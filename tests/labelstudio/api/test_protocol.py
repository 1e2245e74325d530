from __future__ import annotations

from typing import Any

import orjson
import pytest
from label_studio_sam2.labelstudio.api.protocol import (
    Prediction,
    PredictRequest,
    SetupRequest,
    WebhookEvent,
    predict_response,
)
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.labelstudio.regions.prompts import from_regions
from label_studio_sam2.labelstudio.regions.results import to_regions
from label_studio_sam2.types import Mask
from pydantic import ValidationError

from tests.fakes.regions import SIZE, disc, predict_bodies, recorded

CLICKED = {
    "ui_keypoint_positive_1": [[(347, 225, True)]],
    "ui_keypoint_negative_2": [[(347, 225, True), (415, 186, False)]],
    "ui_keypoint_accumulated_3": [[(347, 225, True), (415, 186, False), (285, 214, True)]],
    "ui_keypoint_other_label": [[(591, 386, True)]],
    "ui_rotated_keypoint": [[(141, 340, True)]],
    "ui_sep_bitmask_only_request": [[(285, 243, True)]],
    "ui_sep_brush_only_request": [[(285, 243, True)]],
    "predict_interactive_api": [[(280, 240, True)]],
    "basic_auth_requests": [[(280, 240, True)]],
}
BOXED = {"ui_rectangle": (476, 300, 667, 472), "ui_prompt_rect": (171, 157, 400, 357)}
ANSWERED = {
    "ui_prompt_rect": ["brushlabels", "bitmasklabels", "polygonlabels", "ellipselabels", "vectorlabels"],
    "ui_sep_bitmask_only_request": ["brush", "labels", "bitmask", "labels"],
    "ui_sep_brush_only_request": ["brush", "labels", "bitmask", "labels"],
}


@pytest.mark.parametrize("name", [*CLICKED, *BOXED])
def test_recorded_requests_give_the_prompts_that_were_drawn(name: str) -> None:
    for request in map(PredictRequest.model_validate, predict_bodies(name)):
        assert request.interactive is not None
        config = labeling_config.parse(request.label_config)
        found = [one.scaled(SIZE).prompt for one in from_regions(request.interactive.result, config).prompts]
        points = [[(round(p.x), round(p.y), p.positive) for p in prompt.points] for prompt in found]
        boxes = [tuple(map(round, prompt.box)) for prompt in found if prompt.box]
        assert points == CLICKED.get(name, [[]])
        assert boxes == ([BOXED[name]] if name in BOXED else [])


@pytest.mark.parametrize("name", [*CLICKED, *BOXED])
def test_recorded_requests_are_answered_in_the_protocol_s_shape(name: str) -> None:
    for request in map(PredictRequest.model_validate, predict_bodies(name)):
        assert request.interactive is not None
        config = labeling_config.parse(request.label_config)
        (prompt,) = from_regions(request.interactive.result, config).prompts
        regions = to_regions([Mask(disc(), 0.9)], prompt)
        answer = orjson.loads(orjson.dumps(predict_response(Prediction(regions, 0.9, "sam2-1"))))
        (entry,) = answer["results"]
        assert entry["model_version"] == "sam2-1"
        assert [region["type"] for region in entry["result"]] == ANSWERED.get(name, ["brushlabels"])
        for region in entry["result"]:
            assert region["to_name"] == prompt.on.name in config.objects
            assert (region["original_width"], region["original_height"]) == (800, 600)


def test_a_batch_has_no_context_and_every_task() -> None:
    (body,) = predict_bodies("predict_batch_retrieve")
    request = PredictRequest.model_validate(body)
    assert request.interactive is None
    assert request.project_id == 1
    assert [(task.id, task.data["image"][:15]) for task in request.tasks] == [
        (1, "/data/upload/1/"),
        (2, "/data/upload/1/"),
    ]


@pytest.mark.parametrize("name", ["ui_video_one_region_one_keyframe", "ui_video_two_keyframes"])
def test_regions_of_a_video_are_no_prompts_on_a_picture(name: str) -> None:
    (body,) = predict_bodies(name)
    request = PredictRequest.model_validate(body)
    assert request.interactive is not None
    config = labeling_config.parse(request.label_config)
    assert config.object(request.interactive.result[0]["to_name"]).kind == "Video"
    assert from_regions(request.interactive.result, config).prompts == []


def test_the_setup_request_is_read() -> None:
    body = next(one["body"] for one in recorded("connect_health_setup") if one["path"] == "/setup")
    request = SetupRequest.model_validate(body)
    assert (request.project_id, request.hostname) == (1, "http://127.0.0.1:8080")
    assert labeling_config.lint(request.label_config) == []


@pytest.mark.parametrize(
    ("name", "action", "project"),
    [
        ("webhook_annotation_created", "ANNOTATION_CREATED", 1),
        ("webhook_project_updated", "PROJECT_UPDATED", 5),
        ("start_training", "START_TRAINING", 1),
        ("start_training_ui", "START_TRAINING", 1),
    ],
)
def test_webhook_events_are_read(name: str, action: str, project: int) -> None:
    event = WebhookEvent.model_validate(recorded(name)[0]["body"])
    assert (event.action, event.project_id) == (action, project)


@pytest.mark.parametrize(
    ("named", "project"),
    [("7.1795457783", 7), ("7", 7), (7, 7), (None, None), ("", None), ("x.1", None), ("²", None)],
)
def test_a_project_is_named_by_what_stands_before_the_dot(named: Any, project: int | None) -> None:
    assert PredictRequest.model_validate({"project": named}).project_id == project


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"tasks": []},
        {"tasks": [{}], "params": None, "label_config": None},
        {"tasks": [{"id": "a", "data": {}, "annotations": None, "drafts": "x"}], "params": {}},
        {"tasks": [], "params": {"context": None, "login": 5}, "unheard_of": [1]},
    ],
)
def test_what_may_be_missing_may_be_missing(body: dict[str, Any]) -> None:
    assert PredictRequest.model_validate(body).interactive is None


@pytest.mark.parametrize("context", [{}, {"result": []}, {"result": None}, {"result": [], "more": 1}])
def test_an_empty_context_asks_for_nothing(context: dict[str, Any]) -> None:
    request = PredictRequest.model_validate({"params": {"context": context}})
    assert request.interactive is not None
    assert request.interactive.result == []


def test_an_event_is_read_from_the_context() -> None:
    request = PredictRequest.model_validate({"params": {"context": {"event": "capabilities"}}})
    assert request.interactive is not None
    assert request.interactive.event == "capabilities"


@pytest.mark.parametrize(
    "body",
    [
        {"tasks": {}},
        {"label_config": 5},
        {"params": []},
        {"params": {"context": "x"}},
        {"params": {"context": {"result": {}}}},
        {"params": {"context": {"event": 1}}},
    ],
)
def test_a_wrong_type_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        PredictRequest.model_validate(body)


def test_drafts_and_annotations_are_not_copied() -> None:
    rle = list(range(256)) * 1000
    earlier = [{"result": [{"type": "brushlabels", "value": {"rle": rle}}]}]
    body = {"tasks": [{"id": 1, "annotations": earlier, "predictions": earlier, "drafts": earlier}]}
    (task,) = PredictRequest.model_validate(body).tasks
    assert task.annotations is earlier
    assert task.predictions is earlier
    assert not hasattr(task, "drafts")


def test_no_mask_is_an_entry_with_an_empty_result() -> None:
    assert predict_response(Prediction([], None, "v")) == {
        "results": [{"result": [], "score": None, "model_version": "v"}]
    }


@pytest.mark.parametrize(
    "body",
    [
        {"tasks": None, "params": {"everything": None, "context": {"result": None, "everything": None}}},
        {"tasks": [], "params": {"context": {}}},
    ],
)
def test_null_is_what_a_missing_key_is(body: dict[str, Any]) -> None:
    request = PredictRequest.model_validate(body)
    assert request.tasks == []
    assert request.everything is False
    assert request.interactive is not None
    assert request.interactive.result == []


@pytest.mark.parametrize("odd", [None, 1, "x", [], {"data": []}, {"data": None, "id": 1.5}, {"id": {}}])
def test_a_task_of_another_kind_is_one_without_data_and_keeps_its_place(odd: object) -> None:
    tasks = PredictRequest.model_validate({"tasks": [odd, {"id": 2, "data": {"image": "a.png"}}]}).tasks
    assert [(task.id, task.data) for task in tasks] == [(None, {}), (2, {"image": "a.png"})]


def test_items_of_a_result_that_are_no_regions_do_not_refuse_the_others() -> None:
    body = {"params": {"context": {"result": [None, 1, "x", {"id": "a"}, []]}}}
    interactive = PredictRequest.model_validate(body).interactive
    assert interactive is not None
    assert interactive.regions == [{"id": "a"}]


@pytest.mark.parametrize(
    ("project", "number"),
    [
        ("7.1795457783", 7),
        (7, 7),
        ("9" * 5000, None),
        ("9" * 5000 + ".5", None),
        ("-1", None),
        ("٣", None),
        ("", None),
        ({"id": {}}, None),
        ([1], None),
        (None, None),
    ],
)
def test_a_project_s_number_is_read_or_none_whatever_stands_there(project: Any, number: int | None) -> None:
    assert WebhookEvent.model_validate({"project": project}).project_id == number
