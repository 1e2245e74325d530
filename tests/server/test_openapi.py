"""The description of the routes is true: of the routes that there are, of recorded traffic, and of what is answered."""

from __future__ import annotations

import json
import re
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator
from label_studio_sam2.labelstudio.config import labeling_config
from label_studio_sam2.server.app import create_app
from label_studio_sam2.server.in_process import running
from label_studio_sam2.server.openapi.document import document
from label_studio_sam2.server.routes import PAGE
from pydantic import SecretStr

from tests.fakes.settings import settings
from tests.server.test_traffic import reaching_us, recorded

JSON = "application/json"
OPERATIONS = [
    (path, method, one) for path, methods in document()["paths"].items() for method, one in methods.items()
]
IDS = [f"{method} {path}" for path, method, _ in OPERATIONS]
RECORDED = [(name, number) for name, number in reaching_us() if recorded(name)[number]["method"] == "POST"]


def validator(schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(schema | {"components": document()["components"]})


def answer_of(path: str, method: str, status: int) -> Draft202012Validator:
    answer = document()["paths"][path][method]["responses"][str(status)]
    return validator(answer["content"][JSON]["schema"])


def test_it_describes_every_route_and_none_that_there_is_not() -> None:
    served = {
        (route.path, method.lower())
        for route in create_app(settings()).routes
        if hasattr(route, "methods") and not route.path.startswith(("/web/", "/openapi"))  # type: ignore[attr-defined]
        for method in (route.methods or ()) - {"HEAD"}  # type: ignore[attr-defined]
    }
    assert {(path, method) for path, method, _ in OPERATIONS} == served
    names = [one["operationId"] for _, _, one in OPERATIONS]
    assert len(names) == len(set(names))


def test_its_schemas_are_schemas_whose_references_lead_somewhere() -> None:
    schemas = document()["components"]["schemas"]
    for schema in schemas.values():
        Draft202012Validator.check_schema(schema)
    found = set(re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(document())))
    assert found <= schemas.keys()


@pytest.mark.parametrize(("path", "method", "one"), OPERATIONS, ids=IDS)
def test_its_examples_are_of_their_schemas(path: str, method: str, one: dict[str, Any]) -> None:
    contents = [answer["content"] for answer in one["responses"].values()]
    contents += [one["requestBody"]["content"]] if "requestBody" in one else []
    for content in (content[JSON] for content in contents if JSON in content):
        if "example" in content:
            validator(content["schema"]).validate(content["example"])


@pytest.mark.parametrize(("path", "method", "one"), OPERATIONS, ids=IDS)
def test_every_route_answers_its_example_as_it_is_described(
    path: str, method: str, one: dict[str, Any], client: httpx.Client
) -> None:
    address = path.format(job_id="none", project=1, number=1)
    sent = one.get("requestBody", {}).get("content", {}).get(JSON, {}).get("example")
    answer = client.request(method, address, json=sent)
    content = one["responses"][str(answer.status_code)]["content"]
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in content
    if kind == JSON:
        validator(content[kind]["schema"]).validate(answer.json())
        if answer.is_error:
            names = one["responses"][str(answer.status_code)]["description"].split(", ")
            assert answer.json()["error"] in names


def test_the_routes_that_it_says_are_open_are_those_that_ask_for_no_password() -> None:
    given = settings(basic_auth_user="ls", basic_auth_pass=SecretStr("secret"))
    with running(given, ready=False) as address:
        for path, method, one in OPERATIONS:
            sent = one.get("requestBody", {}).get("content", {}).get(JSON, {}).get("example")
            asked = address + path.format(job_id="none", project=1, number=1)
            answer = httpx.request(method, asked, json=sent, trust_env=False)
            assert (answer.status_code != 401) is (one.get("security") == [{}]), path


def test_the_example_of_a_click_gives_a_polygon(client: httpx.Client) -> None:
    sent = document()["paths"]["/predict"]["post"]["requestBody"]["content"][JSON]["example"]
    assert labeling_config.lint(sent["label_config"]) == []
    (entry,) = client.post("/predict", json=sent).json()["results"]
    assert entry["result"][0]["type"] == "polygonlabels"


@pytest.mark.parametrize(("name", "number"), RECORDED)
def test_recorded_traffic_is_of_the_described_bodies(name: str, number: int) -> None:
    one = recorded(name)[number]
    path = "/" + one["path"].rpartition("/")[2]
    body = document()["paths"][path]["post"]["requestBody"]["content"][JSON]
    validator(body["schema"]).validate(one["body"])


@pytest.mark.parametrize(
    ("sent", "status", "error"),
    [
        ({"json": []}, 400, "RequestError"),
        ({"json": {"tasks": "none"}}, 422, "Malformed"),
        ({"content": b"{}", "headers": {"Content-Type": "text/plain"}}, 415, "NotJson"),
        ({"json": {}, "headers": {"Sec-Fetch-Site": "cross-site"}}, 403, "ForeignSite"),
        (
            {
                "json": {
                    "tasks": [{"id": 1, "data": {"image": "http://10.0.0.1/a.png"}}],
                    "label_config": "<View><Image name='image' value='$image'/><Brush name='b' toName='image'/>"
                    "<KeyPoint name='k' toName='image' smart='true'/></View>",
                    "params": {
                        "context": {
                            "result": [
                                {
                                    "id": "a",
                                    "type": "keypoint",
                                    "from_name": "k",
                                    "to_name": "image",
                                    "value": {"x": 1, "y": 1},
                                }
                            ]
                        }
                    },
                }
            },
            502,
            "MediaRefused",
        ),
    ],
)
def test_errors_are_described_by_the_kinds_that_are_answered(
    sent: dict[str, Any], status: int, error: str, client: httpx.Client
) -> None:
    answer = client.post("/predict", **sent)
    described = document()["paths"]["/predict"]["post"]["responses"][str(status)]
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert error in described["description"].split(", ")
    answer_of("/predict", "post", status).validate(answer.json())


def test_the_page_for_people_takes_nothing_from_elsewhere() -> None:
    for name in ("docs.html", "docs.js", "docs.css"):
        assert not re.search(r"(?:https?:)?//[\w.]+\.\w+", (PAGE / name).read_text().replace("// ", "")), name
