from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.fakes.asking import CONFIG, body, click, regions_of
from tests.fakes.eventually import eventually
from tests.fakes.replicas import Pair
from tests.fakes.small_pictures import SIZE, picture, png


def problem(client: httpx.Client, project: int) -> Any:
    return client.get("/").json()["problems"].get(str(project), {}).get("error")


@pytest.mark.parametrize(
    ("fails_at", "goes_well_at"), [("first", "first"), ("first", "second"), ("second", "first")]
)
def test_what_went_wrong_at_one_replica_is_said_by_both_until_it_goes_well_at_either(
    fails_at: str, goes_well_at: str, together: Pair
) -> None:
    project = int(f"88{len(fails_at)}{len(goes_well_at)}")
    fails, goes_well = getattr(together, fails_at), getattr(together, goes_well_at)

    def both_say(error: str | None) -> bool:
        return problem(together.first, project) == problem(together.second, project) == error

    asked = {"project": f"{project}.1"}
    wrong = body("file:///etc/passwd", [click(80, 60, SIZE)], **asked)
    assert fails.post("/predict", json=wrong).is_error
    assert problem(fails, project) == "MediaRefused"
    eventually(lambda: both_say("MediaRefused"))
    right = body(picture(3), [click(80, 60, SIZE)], **asked)
    assert regions_of(goes_well.post("/predict", json=right))
    assert problem(goes_well, project) is None
    eventually(lambda: both_say(None))


def test_what_goes_well_at_one_replica_before_it_hears_of_an_earlier_problem_counts_too(
    together: Pair,
) -> None:
    asked = {"project": "8805.1"}
    together.first.post("/predict", json=body("file:///etc/passwd", [click(80, 60, SIZE)], **asked))
    together.second.post("/predict", json=body(picture(3), [click(80, 60, SIZE)], **asked))
    eventually(lambda: problem(together.first, 8805) is None)


def test_a_name_of_label_studios_that_one_replica_is_told_is_known_to_the_other(together: Pair) -> None:
    site, name = together.site, "http://label-studio.example:8080"
    site.files["/data/upload/7/known.png"] = png(4)
    asked = body(f"{name}/data/upload/7/known.png", [click(80, 60, SIZE)])
    together.first.post(
        "/setup", json={"project": "7.1", "schema": CONFIG, "hostname": name}
    ).raise_for_status()
    eventually(lambda: together.second.post("/predict", json=asked).is_success, every=0.2)
